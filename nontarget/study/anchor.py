"""An anchor outside: ActionFormer on HAPT under the published SBHAR protocol, one of 30 volunteers left out at a time.

``python -m nontarget.study.anchor`` computes the folds that are not there yet, one record per fold, writes the committed table
``anchor.csv`` and prints it.

Deviation: the published numbers are of raw windows of 50 samples (acceleration and turning rate at 50 Hz, one second) under ActionFormer's
own training; these are of window statistics, 64 numbers at 5 Hz that are averaged by four, under this library's training. Classes,
annotations, folds, thresholds and the normalised AP are the same.
"""

import argparse
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nontarget.data import Dataset, load_dataset
from nontarget.experiment import evaluate, train
from nontarget.metrics import match_detections, rank_detections
from nontarget.results import ResultStore, default_results_folder, identity_key
from nontarget.runtime.devices import resolve_device
from nontarget.runtime.digests import intact, read_record, write_record
from nontarget.runtime.files import check_writable
from nontarget.runtime.locks import locked
from nontarget.runtime.provenance import provenance
from nontarget.runtime.tables import read_table, write_table
from nontarget.statistics import t_interval
from nontarget.study.given import ExperimentOn
from nontarget.study.texttable import TextTable

TIOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
PUBLISHED = {"ActionFormer": 94.3, "TriDet": 94.0, "TemporalMaxer": 93.9}
"""Average mAP_N on SBHAR, one volunteer left out at a time, as published."""
BUDGET = {"pretrain_epochs": 4, "selftrain_epochs": 4}
"""400 steps in all: doubling them adds less than a point on held-out training videos (``results/choices.csv``)."""
COLUMNS = ["subject", "mean_ap", "normalized", "videos", "instances", "key", "commit", "date", "device"]
WITHIN = 3.0
"""Points within which this project's detector must be, or the difference be explained."""
SUBJECTS = 30
"""Volunteers of ``hapt``."""
_USER = re.compile(r"_user(\d+)$")


def subject_of(video_id: str) -> str:
    """The volunteer of a recording of ``hapt``, such as ``user07`` of ``hapt_exp14_user07``.

    Raises:
        ValueError: the id names none.
    """
    match = _USER.search(video_id)
    if match is None:
        raise ValueError(f"a recording of hapt is named like 'hapt_exp14_user07', got {video_id!r}")
    return f"user{match[1]}"


def leave_one_subject_out(dataset: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Every volunteer, with the data set that tests on his or her recordings and trains on all others'.

    Raises:
        ValueError: there is one volunteer alone, or an id names none.
    """
    videos = sorted((*dataset.train, *dataset.test), key=lambda v: v.video.video_id)
    subjects = [subject_of(v.video.video_id) for v in videos]
    if len(set(subjects)) < 2:
        raise ValueError(f"{dataset.name}: leaving one subject out needs two subjects or more, got {sorted(set(subjects))}")
    for subject in sorted(set(subjects)):
        test = tuple(v for v, s in zip(videos, subjects, strict=True) if s == subject)
        rest = tuple(v for v, s in zip(videos, subjects, strict=True) if s != subject)
        checksum = hashlib.sha256(f"{dataset.checksum} without {subject}".encode()).hexdigest()
        yield subject, replace(dataset, train=rest, test=test, unlabeled=(), checksum=checksum)


def normalized_ap(matched: NDArray[np.bool_], num_instances: int, normal_instances: float) -> NDArray[np.float64]:
    """Average precision with normalised precision (AP_N of Alwassel et al. 2018, Eq. 1), one value a threshold.

    Precision depends on how many instances a class has. With N instances in place of the class's own, and the same recall R and number
    of false positives F, it is R N / (R N + F); the envelope and the area under it are as for AP.

    Args:
        matched: [detections, thresholds] of one class, best score first.
        num_instances: of the class.
        normal_instances: N, the mean number of instances of a class.
    """
    hits = matched.cumsum(axis=0)
    true = hits / num_instances * normal_instances
    false = np.arange(1, len(matched) + 1)[:, None] - hits
    precision = true / np.maximum(true + false, np.finfo(float).tiny)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.where(matched, envelope, 0.0).sum(axis=0) / num_instances


def mean_normalized_ap(truth: pd.DataFrame, detections: pd.DataFrame, tiou_thresholds: Sequence[float] = TIOUS) -> NDArray[np.float64]:
    """Mean of :func:`normalized_ap` over the classes of the ground truth, one value a threshold.

    Args:
        truth: rows (video_id, label, start_s, end_s).
        detections: rows (video_id, label, start_s, end_s, score), matched as :func:`nontarget.evaluate_detections` does.
        tiou_thresholds: thresholds.
    """
    counts = truth["label"].value_counts()
    ranked = rank_detections(detections)
    matched = match_detections(truth, ranked, tiou_thresholds) >= 0
    ap = [normalized_ap(matched[ranked["label"] == label], int(n), float(counts.mean())) for label, n in counts.items()]
    return np.mean(ap, axis=0)


@dataclass(frozen=True)
class Anchor:
    """What has been computed: a row a volunteer."""

    scores: pd.DataFrame
    """Rows by subject; columns mean_ap and normalized, in percent (means over the thresholds), videos, instances."""
    num_subjects: int

    @property
    def missing(self) -> int:
        """Folds that have not been computed."""
        return self.num_subjects - len(self.scores)

    @property
    def table(self) -> TextTable:
        """This project's average, and the published ones."""
        rows: list[dict[str, Any]] = []
        for name, column in (("normalised (mAP_N)", "normalized"), ("plain mAP", "mean_ap")):
            mean_interval = t_interval(self.scores[column])
            interval = "" if np.isnan(mean_interval.low) else f" [{mean_interval.low:.1f}, {mean_interval.high:.1f}]"
            text = "not computed" if self.scores.empty else f"{mean_interval.mean:.1f}{interval}"
            rows.append({"Detector": "ActionFormer (this project)", "Average": name, "mAP (%)": text})
        rows += [
            {"Detector": f"*{name} (published)*", "Average": "mAP_N", "mAP (%)": f"*{value:.1f}*"} for name, value in PUBLISHED.items()
        ]
        caption = (
            f"hapt (real), every volunteer left out once ({len(self.scores)} of {self.num_subjects} computed): mean over volunteers with "
            f"its 95 % interval, tIoU {TIOUS[0]} to {TIOUS[-1]}. Published: windows of 50 raw samples; here: statistics of windows."
        )
        return TextTable(pd.DataFrame(rows), caption, "anchor")

    @property
    def findings(self) -> str:
        """Whether this project's average is near the published value, in a sentence."""
        if self.missing:
            return f"{self.missing} of {self.num_subjects} folds are not computed yet: nothing can be said."
        mean = float(self.scores["normalized"].mean())
        difference = mean - PUBLISHED["ActionFormer"]
        verdict = "within" if abs(difference) <= WITHIN else "not within"
        return f"ActionFormer reaches {mean:.1f} mAP_N, {difference:+.1f} of the published value: {verdict} {WITHIN:g} points."


def anchor_experiment(data: Dataset, seed: int = 0, **settings: Any) -> ExperimentOn:
    """ActionFormer, fully supervised, on one fold.

    Args:
        data: of a fold.
        seed: of training.
        **settings: further fields of :class:`nontarget.experiment.Experiment`.
    """
    fields = {"dataset": data.name, "detector": "actionformer", "rule": "fully supervised", "label_ratio": 1.0, "training_settings": BUDGET}
    return ExperimentOn(**{**fields, **settings}, seed=seed, data=data.with_protocol(tiou_thresholds=TIOUS))


def run_anchor(
    folder: Path,
    dataset: Dataset | None = None,
    subjects: Sequence[str] | None = None,
    *,
    compute: bool = True,
    device: str = "auto",
    progress: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> Anchor:
    """Compute the folds that have no record yet, each written whole or not at all, and read all of them.

    A record that is not what was written is set aside with a warning, and counts as none.

    Args:
        folder: of the records; weights of a fold under way are kept below it, so that an interrupted one goes on.
        dataset: default: ``hapt``.
        subjects: which to compute; default: all.
        compute: False reads what is there.
        device: see :func:`nontarget.experiment.run`.
        progress: show bars.
        settings: of :func:`anchor_experiment`; folds of other settings are other records.

    Raises:
        ValueError: there is no such subject.
        OSError: the folder cannot be written.
    """
    dataset = dataset or load_dataset("hapt")
    folds = dict(leave_one_subject_out(dataset))
    wanted = list(folds) if subjects is None else list(subjects)
    if unknown := sorted(set(wanted) - set(folds)):
        raise ValueError(f"no such subjects: {unknown}; there are {list(folds)}")
    rows = {}
    for subject, data in folds.items():
        experiment = anchor_experiment(data, **dict(settings or {}))
        path = folder / f"{subject}-{identity_key(experiment.identity())}.json"
        record = intact(path, read_record)
        if record is None and compute and subject in wanted:
            check_writable(folder)
            record = _write_fold(path, subject, experiment, ResultStore(folder), device, progress)
        if record is not None:
            about = {name: record["provenance"][name] for name in ("commit", "date", "device")}
            rows[subject] = {**record["scores"], "key": identity_key(record["identity"]), **about}
    return Anchor(pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS[1:]).rename_axis("subject"), len(folds))


def read_anchor(path: Path | None = None) -> Anchor:
    """The committed folds: ``anchor.csv`` of the results folder; none if there is no such file."""
    path = path or default_results_folder() / "anchor.csv"
    scores = read_table(path, COLUMNS) if path.is_file() else pd.DataFrame(columns=COLUMNS)
    return Anchor(scores.set_index("subject"), SUBJECTS)


def _write_fold(path: Path, subject: str, experiment: ExperimentOn, store: ResultStore, device: str, progress: bool) -> dict[str, Any]:
    training = train(experiment, store, device=device, progress=progress)
    scores, detections = evaluate(training)
    data = training.dataset
    normalized = mean_normalized_ap(data.instances(data.test), detections)
    record = {
        "subject": subject,
        "identity": experiment.identity(),
        "scores": {
            "mean_ap": 100 * scores.average_mean_ap,
            "normalized": 100 * float(normalized.mean()),
            "videos": scores.num_videos,
            "instances": scores.num_instances,
        },
        "by_tiou": {
            f"{t:g}": {"mean_ap": 100 * float(plain), "normalized": 100 * float(value)}
            for t, plain, value in zip(TIOUS, scores.mean_ap, normalized, strict=True)
        },
        "provenance": provenance(resolve_device(device), 1),
    }
    write_record(path, record)
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m nontarget.study.anchor", description="ActionFormer on HAPT, one volunteer left out.")
    parser.add_argument(
        "--results", type=Path, default=default_results_folder() / "runs" / "anchor", help="folder of the records, one file per fold"
    )
    parser.add_argument("--subjects", nargs="*", metavar="USER", help="some of user01 to user30; default: all")
    parser.add_argument("--preset", default="small", help="of the detector: small or full")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    options = parser.parse_args(arguments)
    anchor = run_anchor(options.results, subjects=options.subjects, device=options.device, settings={"preset": options.preset})
    path = default_results_folder() / "anchor.csv"
    with locked(path):
        write_table(path, anchor.scores.reset_index()[COLUMNS], float_format="%.6g")
    print(anchor.table.caption, anchor.table.cells.to_string(index=False), anchor.findings, sep="\n")


if __name__ == "__main__":
    main()
