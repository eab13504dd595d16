"""Audit: what a mAP depends on besides the detector. ``python -m nontarget.audit`` writes ``results/audit.csv``.

Trivial detectors are scored under several protocols (:mod:`nontarget.study.audit_protocols`), always by
:func:`nontarget.evaluate_detections`.
"""

import argparse
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from nontarget.config import check_choice
from nontarget.data.annotations import AnnotationFile, read_annotations
from nontarget.data.external import read_external_scores
from nontarget.data.registry import DATA_VARIABLE
from nontarget.metrics import METRICS_VERSION, evaluate_detections
from nontarget.protocols import THUMOS14_CLASSES, Truth, counted_once, outside_ambiguous
from nontarget.results import default_results_folder
from nontarget.runtime.digests import file_digest
from nontarget.runtime.files import check_replaceable
from nontarget.runtime.locks import locked
from nontarget.runtime.provenance import commit_and_date
from nontarget.runtime.readers import read_json
from nontarget.runtime.tables import check_signed, read_versioned_table, write_table
from nontarget.study.audit_protocols import (
    THUMOS14_LEFT_OUT,
    THUMOS14_OUT_OF_RANGE,
    annotated_classes,
    jittered_truth,
    last_instance,
    long_instances,
    mean_share,
    of_videos,
    one_segment,
    predicted_videos,
    with_out_of_range,
)

AUDIT_VERSION = 1
"""To be raised when a change of the code changes numbers."""
VERSION = f"audit {AUDIT_VERSION}, metrics {METRICS_VERSION}"

AuditProtocol: TypeAlias = tuple[str, str, Truth, pd.DataFrame]
"""Name, setting, and what is scored: a ground truth and detections."""

REFERENCE = "every video"
"""The protocol that the others are compared with: every video and instance of the subset counts."""

TIOUS = {"activitynet": tuple(np.arange(50, 100, 5) / 100), "thumos14": (0.3, 0.4, 0.5, 0.6, 0.7)}
SHOWN = {"activitynet": (0.5, 0.75, 0.95), "thumos14": TIOUS["thumos14"]}
"""tIoU thresholds that get rows of their own, beside the average over all."""
MIN_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
MIN_SCORES = (0.5, 0.9, 0.99)
MIN_SECONDS = (0.5, 1.0, 2.0)

COLUMNS = [
    "dataset", "detector", "protocol", "setting", "tiou", "mean_ap", "num_videos", "num_instances", "num_detections", "seed",
    "version", "commit", "date", "checksum",
]  # fmt: skip

FILES = {
    "activitynet": {
        "activitynet_v1-3.json": "ActivityNet's annotation file of release 1.3 (activity_net.v1-3.min.json), or the part of it that comes "
        "with a public feature release",
        "external_video_scores.json": 'video-level classification as published with detectors: {video: {"class": name, "score": number}}',
    },
    "thumos14": {
        "thumos14.json": "THUMOS14's TH14_Temporal_annotations_validation.zip and TH14_Temporal_annotations_test.zip, through "
        "nontarget.data.read_thumos14_text; spans of the files Ambiguous_*.txt as each video's key 'ambiguous'",
        "untrimmednet_test_scores_1574x101.npy": "UntrimmedNet's video scores of the test videos, as published with detectors "
        "(uNet_test.npy): row n - 1 is video_test_n, column c - 1 is class c",
    },
}
"""What the audit reads under ``NONTARGET_DATA``, and where it comes from."""


def audit(dataset: str, root: str | Path | None = None, seeds: int = 5) -> pd.DataFrame:
    """Score every detector under every protocol.

    Args:
        dataset: ``activitynet`` or ``thumos14``.
        root: holds the folder ``dataset``. Default: the environment variable NONTARGET_DATA.
        seeds: how many draws where something is drawn.

    Returns:
        Rows (dataset, detector, protocol, setting, tiou, mean_ap, num_videos, num_instances, num_detections, seed, version, commit, date,
        checksum); ``mean_ap`` in [0, 1], ``tiou`` a threshold or ``avg``, ``seed`` empty where nothing is drawn, ``checksum`` the SHA-256
        of the annotation file.

    Raises:
        FileNotFoundError: a file is missing; the message says where it comes from.
    """
    annotation_path, score_path = _paths(dataset, root)
    cases = {"activitynet": _activitynet, "thumos14": _thumos14}[dataset](annotation_path, score_path, seeds)
    rows = []
    for detector, seed, (protocol, setting, truth, detections) in cases:
        with warnings.catch_warnings():  # protocols leave out videos and classes on purpose
            warnings.filterwarnings("ignore", "[0-9]+ of the [0-9]+ (video|label)s of detections")
            scores = evaluate_detections({"database": truth}, detections, TIOUS[dataset])
        values = dict(zip(scores.tiou_thresholds, scores.mean_ap, strict=True))
        maps = {f"{t:g}": values[t] for t in SHOWN[dataset]} | {"avg": scores.average_mean_ap}
        counts = (scores.num_videos, scores.num_instances, scores.num_detections)
        rows += [(dataset, detector, protocol, setting, t, round(float(ap), 6), *counts, seed) for t, ap in maps.items()]
    made = {"version": VERSION, **commit_and_date(), "checksum": file_digest(annotation_path)}
    return pd.DataFrame(rows, columns=COLUMNS[: -len(made)]).astype({"seed": "Int64"}).assign(**made)


def _activitynet(path: Path, score_path: Path, seeds: int) -> Iterator[tuple[str, int | None, AuditProtocol]]:
    annotations = read_annotations(path, invalid="repair")
    truth = _subset(annotations, annotations.subsets()[1])
    class_scores = read_external_scores(score_path, list(read_json(score_path)), annotations.classes)
    external = [(video, annotations.classes[row.argmax()], float(row.max())) for video, row in class_scores.items()]
    middle = mean_share(annotations)
    drawn = [annotated_classes(truth, seed) for seed in range(seeds)]
    detectors: list[tuple[str, int | None, pd.DataFrame]] = [
        ("whole video, external class", None, one_segment(truth, external)),
        ("mean training segment, external class", None, one_segment(truth, external, middle)),
        *(("whole video, right class", seed, one_segment(truth, classes)) for seed, classes in enumerate(drawn)),
        *(("mean training segment, right class", seed, one_segment(truth, classes, middle)) for seed, classes in enumerate(drawn)),
        *((f"whole video, external score ≥ {s:g}", None, one_segment(truth, [c for c in external if c[2] >= s])) for s in MIN_SCORES),
    ]
    for name, seed, detections in detectors:
        yield from ((name, seed, protocol) for protocol in activitynet_protocols(truth, detections))


def activitynet_protocols(truth: Truth, detections: pd.DataFrame) -> Iterator[AuditProtocol]:
    """The protocols of the audit on ActivityNet, the reference first."""
    inside, predicted = of_videos(detections, truth), predicted_videos(truth, detections)
    yield REFERENCE, "", truth, inside
    if len(inside) < len(detections):
        yield "every published score", "", truth, detections
    yield "predicted videos", "", predicted, inside
    yield "last instance", "", last_instance(truth), inside
    yield "last instance, predicted videos", "", last_instance(predicted), inside
    for share in MIN_SHARES:
        long, both = last_instance(truth, share), last_instance(predicted, share)
        yield "long last instance", f"{share:g}", long, inside
        yield "long last instance, its videos", f"{share:g}", long, of_videos(detections, long)
        yield "long last instance, its predicted videos", f"{share:g}", both, of_videos(detections, both)


def _thumos14(path: Path, score_path: Path, seeds: int) -> Iterator[tuple[str, int | None, AuditProtocol]]:
    annotations = read_annotations(path)
    train, test = annotations.subsets()
    training, truth = _subset(annotations, train), _subset(annotations, test)
    scores = np.load(score_path).astype(np.float64)[:, [number - 1 for number in THUMOS14_CLASSES.values()]] / 2  # two streams' sum
    names = list(THUMOS14_CLASSES)
    external = [(f"video_test_{n:07d}", names[row.argmax()], float(row.max())) for n, row in enumerate(scores, start=1)]
    detections = one_segment(truth, external)
    yield from (("whole video, external class", None, protocol) for protocol in thumos14_protocols(truth, detections))
    for once, name in ((False, "jittered truth"), (True, "jittered truth, a cliff dive named once")):
        for seed in range(seeds):
            everything = training | truth
            detections = jittered_truth(counted_once(everything, "CliffDiving", "Diving") if once else everything, seed)
            yield from ((name, seed, protocol) for protocol in thumos14_protocols(truth, of_videos(detections, truth)))
            yield name, seed, ("validation videos", "", training, of_videos(detections, training))
            yield name, seed, ("test and validation videos", "", everything, detections)


def thumos14_protocols(truth: Truth, detections: pd.DataFrame) -> Iterator[AuditProtocol]:
    """The protocols of the audit on THUMOS14's test videos, the reference first."""
    inside = of_videos(detections, truth)
    yield REFERENCE, "", truth, inside
    if len(inside) < len(detections):
        yield "every published score", "", truth, detections
    yield "out-of-range instances too", "", with_out_of_range(truth, THUMOS14_OUT_OF_RANGE), inside
    for left_out in THUMOS14_LEFT_OUT:
        kept = {v: e for v, e in truth.items() if v not in left_out}
        numbers = ", ".join(str(int(v.rsplit("_", 1)[1])) for v in left_out)
        yield "without videos", numbers, kept, of_videos(detections, kept)
    annotated = {video: entry for video, entry in truth.items() if entry["annotations"]}
    yield "videos with an instance", "", annotated, of_videos(detections, annotated)
    yield "ambiguous spans ignored", "", truth, outside_ambiguous(inside, truth)
    yield "a cliff dive counted once", "", counted_once(truth, "CliffDiving", "Diving"), inside
    for seconds in MIN_SECONDS:
        long = long_instances(truth, seconds)
        yield "instances of at least", f"{seconds:g} s", long, inside
        yield "instances and detections of at least", f"{seconds:g} s", long, inside[inside["end_s"] - inside["start_s"] >= seconds]


def get_audit(source: Literal["committed", "run"] = "committed", root: str | Path | None = None, seeds: int = 5) -> pd.DataFrame:
    """The committed rows of both data sets, or the same computed now (:func:`audit`)."""
    check_choice("source", source, ("committed", "run"))
    return read_audit() if source == "committed" else pd.concat([audit(name, root, seeds) for name in FILES], ignore_index=True)


def read_audit(path: str | Path | None = None) -> pd.DataFrame:
    """Rows that ``python -m nontarget.audit`` wrote. Default: ``audit.csv`` of the results folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another version of the code wrote it.
    """
    path = Path(path) if path is not None else default_results_folder() / "audit.csv"
    dtype = {"setting": str, "tiou": str, "seed": "Int64"}
    rows = read_versioned_table(path, COLUMNS, VERSION, "python -m nontarget.audit", "the annotation files", dtype=dtype)
    return rows.fillna({"setting": ""})


def sources(rows: pd.DataFrame) -> str:
    """Where the files come from, and the checksums of the annotation files behind these rows (a Markdown list)."""
    checksums = rows.groupby("dataset")["checksum"].first()
    lines = []
    for dataset, files in FILES.items():
        for number, (file, origin) in enumerate(files.items()):
            checksum = f" (SHA-256 `{checksums[dataset][:16]}…`)" if number == 0 else ""
            lines.append(f"- `{dataset}/{file}`{checksum}: {origin}")
    return "\n".join(lines)


def audit_table(rows: pd.DataFrame, index: Sequence[str]) -> pd.DataFrame:
    """mAP in percent as text, with the standard deviation over seeds where there are several, and what was scored."""
    groups = rows.groupby([*index, "tiou"], sort=False)["mean_ap"]
    spread = groups.std().mul(100).map(lambda sd: "" if pd.isna(sd) else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{sd:.1f}")
    cells = (groups.mean().mul(100).map("{:.1f}".format) + spread).unstack("tiou", sort=False)
    counts = rows.groupby(list(index), sort=False)[["num_videos", "num_instances", "num_detections"]]
    scored = counts.agg(lambda n: f"{n.min():,}" if n.nunique() == 1 else f"{n.min():,} to {n.max():,}")
    cells.columns.name = None
    return cells.join(scored.rename(columns=lambda name: name.removeprefix("num_")))


def protocol_effects(rows: pd.DataFrame, tiou: str = "avg") -> pd.DataFrame:
    """Difference in mAP (points) to the reference protocol, paired by seed: columns mean and sd, a row a detector and protocol."""
    index = ["detector", "protocol", "setting"]
    chosen = rows[rows["tiou"] == tiou].assign(seed=rows["seed"].fillna(-1))
    reference = chosen[chosen["protocol"] == REFERENCE].set_index(["detector", "seed"])["mean_ap"]
    against = reference.loc[pd.MultiIndex.from_frame(chosen[["detector", "seed"]])].to_numpy()
    change = (chosen["mean_ap"] - against).mul(100).groupby([chosen[name] for name in index], sort=False)
    return change.agg(["mean", "std"]).rename(columns={"std": "sd"})


def _paths(dataset: str, root: str | Path | None) -> list[Path]:
    check_choice("dataset", dataset, FILES)
    root = root if root is not None else os.environ.get(DATA_VARIABLE)
    if root is None:
        needed = "; ".join(f"{dataset}/{file}: {origin}" for file, origin in FILES[dataset].items())
        raise FileNotFoundError(f"set {DATA_VARIABLE} to a folder that holds {needed}")
    paths = [Path(root) / dataset / file for file in FILES[dataset]]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: not here. It is {FILES[dataset][path.name]}")
    return paths


def _subset(annotations: AnnotationFile, subset: str) -> Truth:
    """Entries as published, not repaired; ActivityNet's own file has ids without the ``v_`` of feature releases."""
    entries = annotations.raw["database"]
    prefix = "" if all(video.startswith(("v_", "video_")) for video in entries) else "v_"
    return {prefix + video: {"annotations": []} | entry for video, entry in entries.items() if entry.get("subset") == subset}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nontarget.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", default=list(FILES), help=f"default: {' '.join(FILES)}; rows of others are kept")
    parser.add_argument("--data", help=f"folder that holds theirs; default: {DATA_VARIABLE}")
    parser.add_argument("--seeds", type=int, default=5, help="draws where something is drawn; default: 5")
    chosen = parser.parse_args(arguments)
    path = default_results_folder() / "audit.csv"
    check_replaceable(path)
    check_signed(path)
    rows = [audit(dataset, chosen.data, chosen.seeds) for dataset in chosen.datasets]
    with locked(path):
        if path.is_file() and (kept := read_audit(path).query("dataset not in @chosen.datasets")).size:
            rows.append(kept)
        table = pd.concat(rows, ignore_index=True).sort_values("dataset", kind="stable")
        write_table(path, table)
    print(f"{path}: {len(table)} rows")


if __name__ == "__main__":
    main()
