"""Real detections that were released on THUMOS14, scored and diagnosed: ``python -m nontarget.study.released``.

The detections and annotations are their authors', and not part of this repository; the table ``detections.csv`` beside the metrics holds
scores and shares of errors alone.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nontarget.config import check_choice
from nontarget.data.registry import DATA_VARIABLE
from nontarget.detection_files import read_detections, read_ground_truth
from nontarget.diagnose import KINDS, THUMOS14_BINS, diagnose_detections
from nontarget.metrics import METRICS_VERSION, evaluate_detections
from nontarget.protocols import THUMOS14_TEST_VIDEOS, Truth, counted_once, outside_ambiguous
from nontarget.results import default_results_folder
from nontarget.runtime.digests import file_digest
from nontarget.runtime.escaping import escaped
from nontarget.runtime.files import check_replaceable
from nontarget.runtime.locks import locked
from nontarget.runtime.provenance import commit_and_date
from nontarget.runtime.tables import check_signed, read_versioned_table, write_table
from nontarget.study.audit_protocols import of_videos
from nontarget.study.texttable import TextTable

RELEASED_VERSION = 1
"""To be raised when a change of the code changes numbers."""
VERSION = f"released {RELEASED_VERSION}, metrics {METRICS_VERSION}"
ALL = "213 videos"
"""The protocol that the others are compared with, and under which errors are sorted."""
TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
COLUMNS = [
    "detector",
    "protocol",
    "part",
    "name",
    "group",
    "tiou",
    "value",
    "published",
    "version",
    "commit",
    "date",
    "truth",
    "detections",
]


@dataclass(frozen=True)
class ReleasedDetections:
    """Detections of one detector."""

    file: str
    """Under ``thumos14/detections``."""
    tious: tuple[float, ...] = TIOUS
    """Thresholds that they were made for."""
    origin: str = ""


RELEASES = {
    "AutoLoc": ReleasedDetections("autoloc.json", origin="released by its authors, with a table of results"),
    "A2Net": ReleasedDetections("a2net.json", origin="released by its authors; an ablation, not the paper's main result"),
    "TURN (tIoU 0.3)": ReleasedDetections(
        "turn_flow_0.3.json", (0.3,), "released by its authors: proposals with S-CNN's classes, a file per tIoU; published: its paper"
    ),
    "TURN (tIoU 0.5)": ReleasedDetections("turn_flow_0.5.json", (0.5,), "the same"),
}
DIAGNOSED = ("AutoLoc", "A2Net")
"""Those that were made for every threshold."""


def released_rows(root: str | Path | None = None) -> pd.DataFrame:
    """Score every release under every protocol, and diagnose it.

    Args:
        root: holds the folder ``thumos14``. Default: the environment variable NONTARGET_DATA.

    Returns:
        Rows with ``COLUMNS``: ``value`` and ``published`` in [0, 1]; ``part``, ``name``, ``group`` and ``tiou`` as in
        :meth:`nontarget.DetectionDiagnosis.rows`, and the part ``AP`` with a class as its name; ``truth`` and ``detections``
        begin the SHA-256 of the two files.

    Raises:
        FileNotFoundError: a file is missing.
    """
    folder_root = root if root is not None else os.environ.get(DATA_VARIABLE)
    if folder_root is None:
        raise FileNotFoundError(f"set {DATA_VARIABLE} to a folder that holds thumos14/thumos14.json and thumos14/detections")
    folder = Path(folder_root) / "thumos14"
    truth_path = folder / "thumos14.json"
    truth: Truth = {v: e for v, e in read_ground_truth(truth_path)["database"].items() if e.get("subset") == "test"}
    published = pd.read_csv(folder / "detections" / "published.csv")
    parts = []
    for name, release in RELEASES.items():
        path = folder / "detections" / release.file
        detections = read_detections(path)
        rows = pd.concat([*_scored(truth, detections, release.tious), _diagnosed(truth, detections, release.tious)], ignore_index=True)
        published_maps = published[published["file"] == path.stem]
        stated = {f"{t:g}": v / 100 for t, v in zip(published_maps["tiou"], published_maps["map_percent"], strict=True)}
        plain = (rows["protocol"] == ALL) & (rows["part"] == "score") & (rows["name"] == "mAP")
        rows["published"] = rows["tiou"].map(stated).where(plain)
        parts.append(rows.assign(detector=name, detections=file_digest(path)[:16]))
    made = {"version": VERSION, **commit_and_date(), "truth": file_digest(truth_path)[:16]}
    return pd.concat(parts, ignore_index=True).assign(**made)[COLUMNS].round({"value": 6, "published": 6})


def protocols(truth: Truth, detections: pd.DataFrame) -> Iterator[tuple[str, Truth, pd.DataFrame]]:
    """What published protocols score: name, ground truth, detections."""
    for videos, left_out in THUMOS14_TEST_VIDEOS.items():
        kept = {v: e for v, e in truth.items() if v not in left_out}
        yield f"{videos} videos", kept, of_videos(detections, kept)
    yield "ambiguous spans ignored", truth, outside_ambiguous(detections, truth)
    yield "cliff dives count once", counted_once(truth), detections


def _scored(truth: Truth, detections: pd.DataFrame, tious: Sequence[float]) -> Iterator[pd.DataFrame]:
    for protocol, entries, kept in protocols(truth, detections):
        scores = evaluate_detections({"database": entries}, kept, tious)
        by_tiou = dict(zip(map("{:g}".format, tious), scores.mean_ap.tolist(), strict=True)) | {"avg": scores.average_mean_ap}
        rows: list[dict[str, Any]] = [{"part": "score", "name": "mAP", "tiou": t, "value": v} for t, v in by_tiou.items()]
        if protocol == ALL:
            rows += [{"part": "AP", "name": c, "tiou": f"{t:g}", "value": v} for t in scores.ap for c, v in scores.ap[t].items()]
        yield pd.DataFrame(rows).assign(protocol=protocol, group="")


def _diagnosed(truth: Truth, detections: pd.DataFrame, tious: Sequence[float]) -> pd.DataFrame:
    rows = diagnose_detections({"database": truth}, detections, tious, bins=THUMOS14_BINS).rows()
    return rows[~((rows["part"] == "score") & (rows["name"] == "mAP"))].assign(protocol=ALL)


def get_released(source: Literal["committed", "run"] = "committed", root: str | Path | None = None) -> pd.DataFrame:
    """The committed rows, or the same computed now (:func:`released_rows`)."""
    check_choice("source", source, ("committed", "run"))
    return read_released() if source == "committed" else released_rows(root)


def read_released(path: str | Path | None = None) -> pd.DataFrame:
    """Rows that ``python -m nontarget.study.released`` wrote. Default: ``detections.csv`` of the results folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another version of the code wrote it.
    """
    path = Path(path) if path is not None else default_results_folder() / "detections.csv"
    text = dict.fromkeys(("name", "group", "tiou"), str)
    rows = read_versioned_table(path, COLUMNS, VERSION, "python -m nontarget.study.released", "released detections", dtype=text)
    return rows.fillna({"group": "", "tiou": ""})


def sources(rows: pd.DataFrame) -> str:
    """Where the detections come from, with the checksums of the files behind these rows (a Markdown list)."""
    sums = rows.groupby("detector")["detections"].first()
    return "\n".join(f"- *{name}*: {release.origin} (SHA-256 `{sums[name]}…`)" for name, release in RELEASES.items())


def score_table(rows: pd.DataFrame) -> TextTable:
    """mAP of each detector on all videos, and below it what was published with the detections."""
    maps = rows[(rows["part"] == "score") & (rows["name"] == "mAP") & (rows["protocol"] == ALL)]
    cells = []
    for name in RELEASES:
        detector_maps = maps[maps["detector"] == name].set_index("tiou")
        cells.append({"Detections": name} | {t: 100 * v for t, v in detector_maps["value"].items() if t != "avg"})
        if detector_maps["published"].notna().any():
            cells.append({"Detections": f"*{name}, published*"} | {t: 100 * v for t, v in detector_maps["published"].items() if t != "avg"})
    columns = ["Detections", *map("{:g}".format, TIOUS)]
    return TextTable(pd.DataFrame(cells)[columns], "mAP (%) by tIoU on THUMOS14's 213 test videos.", "released-scores")


def protocol_table(rows: pd.DataFrame) -> TextTable:
    """Average mAP under each protocol, a column a detector."""
    maps = rows[(rows["part"] == "score") & (rows["name"] == "mAP") & (rows["tiou"] == "avg") & rows["detector"].isin(DIAGNOSED)]
    wide = maps.pivot_table(index="protocol", columns="detector", values="value", sort=False)[list(DIAGNOSED)].mul(100)
    caption = f"Average mAP (%) over tIoU {TIOUS[0]:g} to {TIOUS[-1]:g} of the same detections under other protocols."
    return TextTable(wide.rename_axis(None, axis=1).rename_axis("Protocol").reset_index(), caption, "released-protocols")


def class_table(rows: pd.DataFrame, tiou: str = "0.5") -> TextTable:
    """AP of every class at one threshold."""
    aps = rows[(rows["part"] == "AP") & (rows["tiou"] == tiou) & rows["detector"].isin(DIAGNOSED)]
    wide = aps.pivot_table(index="name", columns="detector", values="value", sort=False)[list(DIAGNOSED)].mul(100)
    table = wide.rename(index=escaped).rename_axis(None, axis=1).rename_axis("Class").reset_index()
    return TextTable(table, f"AP (%) of every class at tIoU {tiou}.", "released-classes")


def error_table(rows: pd.DataFrame) -> TextTable:
    """Share of each kind among the best detections, and what average-mAP_N would gain without it."""
    columns: dict[str, pd.Series] = {}
    for name in DIAGNOSED:
        values = rows[(rows["detector"] == name) & (rows["tiou"] == "avg") & (rows["group"] == "")].set_index(["part", "name"])["value"]
        columns[f"{name}: share (%)"] = 100 * values["detections"]
        columns[f"{name}: gain"] = 100 * values["gain"]
    table = pd.DataFrame(columns).reindex(list(KINDS)).rename_axis("Kind").reset_index()
    caption = (
        "Kinds among the best 10 G detections of each class (G its number of instances), mean over tIoU, and the gain in average-mAP_N "
        "if a kind were removed."
    )
    return TextTable(table, caption, "released-errors")


def instance_table(rows: pd.DataFrame) -> TextTable:
    """Share of instances that are missed, and average-mAP_N, by property of the instance."""
    selected = rows[rows["part"].isin(["instances", "missed", "map_n"]) & rows["detector"].isin(DIAGNOSED)]
    wide = selected.pivot_table(index=["name", "group"], columns=["detector", "part"], values="value", sort=False)
    table = wide[[(DIAGNOSED[0], "instances")]].astype(int)
    for name in DIAGNOSED:
        table[(name, "missed")], table[(name, "map_n")] = 100 * wide[name, "missed"], 100 * wide[name, "map_n"]
    table.columns = ["Instances", *(f"{n}: {what}" for n in DIAGNOSED for what in ("missed (%)", "average-mAP_N (%)"))]
    caption = "Instances that no detection finds, and average-mAP_N of each group of instances, mean over tIoU."
    return TextTable(table.rename_axis(["Property", "Group"]).reset_index(), caption, "released-instances")


def findings(rows: pd.DataFrame) -> str:
    """What the numbers say, in sentences (Markdown)."""
    scores = rows[(rows["part"] == "score") & (rows["name"] == "mAP") & (rows["protocol"] == ALL)]
    differences = (scores["value"] - scores["published"]).dropna().mul(100)
    text = f"**These detections score within {differences.abs().max():.1f} points of what was published with them.** "
    average = rows[(rows["part"] == "score") & (rows["name"] == "mAP") & (rows["tiou"] == "avg")]
    for name in DIAGNOSED:
        values = average[average["detector"] == name].set_index("protocol")["value"].mul(100)
        text += f"The choice of protocol moves {name} from {values.min():.1f} to {values.max():.1f}. "
        gains = rows[(rows["detector"] == name) & (rows["part"] == "gain")].set_index("name")["value"].mul(100)
        text += f"Of its errors, those of the kind *{gains.idxmax()}* cost most, {gains.max():.1f} points of average-mAP_N. "
    return text.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m nontarget.study.released", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", help=f"folder that holds thumos14; default: {DATA_VARIABLE}")
    chosen = parser.parse_args(arguments)
    path = default_results_folder() / "detections.csv"
    check_replaceable(path)
    check_signed(path)
    rows = released_rows(chosen.data)
    with locked(path):
        write_table(path, rows)
    print(f"{path}: {len(rows)} rows")


if __name__ == "__main__":
    main()
