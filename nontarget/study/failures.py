"""Why a gate fails, from the rows of the oracles: what would move the number, and what a comparison there can still show."""

from collections.abc import Mapping, Sequence

import pandas as pd

from nontarget.results import Record
from nontarget.runtime.escaping import escaped
from nontarget.statistics import t_interval
from nontarget.study.decomposition import AS_IS
from nontarget.study.gate_checks import MIDDLE, MIDDLE_RATIO, is_label_free
from nontarget.study.gates import GateReport
from nontarget.study.texttable import TextTable, difference_text, percent


def failures(reports: Sequence[GateReport], decompositions: pd.DataFrame) -> TextTable:
    """A row for each failing gate of each data set and label ratio: what failed, and what the oracles say of it.

    Args:
        reports: of :func:`nontarget.study.gates.gates`.
        decompositions: rows of ``decomposition.csv``.
    """
    rows = [
        {"Data": escaped(report.title), "Gate": f"({gate.name})", "Held-out data": gate.sentence, "What the oracles say": reason}
        for report in reports
        for gate in report.failing
        if (reason := explanation(report, gate.name, decompositions))
    ]
    caption = "Gates that fail on held-out data, and why: differences in points of average mAP with 95 % intervals over seeds."
    return TextTable(pd.DataFrame(rows, columns=["Data", "Gate", "Held-out data", "What the oracles say"]), caption, "gate-failures")


def explanation(report: GateReport, gate: str, decompositions: pd.DataFrame) -> str:
    """The explanation of one failing gate, in sentences; it says so where the runs behind it are missing.

    Args:
        report: of the data set and label ratio.
        gate: letter of the gate.
        decompositions: rows of ``decomposition.csv``.
    """

    def records(name: str) -> dict[int, Record]:
        return {seed: record for seed, record in report.records.get(name, {}).items() if record is not None}

    def maps(name: str) -> pd.Series:
        return pd.Series({seed: 100 * record["scores"]["avg"] for seed, record in records(name).items()}, dtype=float)

    if gate == "a":
        return _saturation(maps("fully supervised"), maps(MIDDLE), maps("supervised only"), report.label_ratio)
    if gate == "b":
        return _recovered(maps("oracle"), maps("pre-trained only"), maps("fully supervised"))
    if gate == "d":
        return _label_free(records("supervised only"), records("baseline"))
    if gate == "c":
        return _pseudo_labels(maps("oracle"), maps("pre-trained only"), maps("supervised only"))
    if gate == "f":
        chosen = (decompositions["dataset"] == report.dataset) & (decompositions["label_ratio"].astype(float) == report.label_ratio)
        chosen &= (decompositions["rule"] == "supervised only") & (decompositions["tiou"] == "avg")
        return _localization(decompositions[chosen].groupby("variant")["mean_ap"].mean())
    return "No oracle run speaks to this gate."


def _saturation(full: pd.Series, middle: pd.Series, few: pd.Series, label_ratio: float) -> str:
    if full.empty or middle.empty or few.empty:
        return "The runs with more labels are missing."
    spread = max(float(s.std()) for s in (full, middle))
    return (
        f"{percent(MIDDLE_RATIO)} of the labels reach {100 * middle.mean() / full.mean():.0f} % of what all labels reach "
        f"({full.mean():.1f}), so that the rest is worth no more than the spread over seeds ({spread:.1f}). "
        f"From {percent(label_ratio)} to all labels the gain is {difference_text(t_interval(full - few), 'points')}: a rule that closes "
        "a good part of this gap would show."
    )


def _recovered(oracle: pd.Series, pretrained: pd.Series, full: pd.Series) -> str:
    if oracle.empty or pretrained.empty or full.empty:
        return "The runs of the oracle are missing."
    share = (oracle.mean() - pretrained.mean()) / (full.mean() - pretrained.mean())
    return (
        f"Self-training on the truth closes {100 * share:.0f} % of the gap between the pre-trained detector "
        f"({pretrained.mean():.1f}) and full supervision ({full.mean():.1f}): "
        "differences between rules are shown on a shorter scale than they would have if the path reached it."
    )


def _label_free(supervised: Mapping[int, Record], baseline: Mapping[int, Record]) -> str:
    """Gradient shares of label-free losses in self-training, without and with unlabelled videos."""
    shares = {}
    for name, runs in (("supervised only", supervised), ("the baseline", baseline)):
        stages = [stage for record in runs.values() if (stage := (record.get("gradient_share") or {}).get("selftrain"))]
        if not stages:
            return "The shares of the gradient are missing."
        mean = pd.DataFrame(stages).mean()
        shares[name] = 100 * mean[list(filter(is_label_free, mean.index))].max()
    return (
        f"In self-training the largest share of a label-free loss is {shares['supervised only']:.0f} % for *supervised only*, whose "
        f"few labelled clips are nearly fitted, and {shares['the baseline']:.0f} % for the baseline, which learns from "
        "all clips as the compared rules do."
    )


def _pseudo_labels(oracle: pd.Series, pretrained: pd.Series, supervised: pd.Series) -> str:
    if oracle.empty or pretrained.empty or supervised.empty:
        return "The runs of the oracle are missing."
    return (
        f"On the same path and budget the truth as pseudo labels adds {difference_text(t_interval(oracle - pretrained), 'points')} "
        "to the pre-trained detector, and training on without unlabelled videos adds "
        f"{difference_text(t_interval(supervised - pretrained))}. So the second stage can learn from better pseudo labels, and what "
        "the teacher's most probable class adds does not make up for training on with few labels."
    )


def _localization(average: pd.Series) -> str:
    needed = {AS_IS, "oracle classes", "oracle masks", "runs, contrast"}
    if not needed <= set(average.index):
        return "The decomposition of the detector is missing."
    gain = average - average[AS_IS]
    return (
        "The trivial detector has the same class head and cuts its probabilities at a threshold; it needs no mask head. With the true "
        f"masks the detector would gain {gain['oracle masks']:.1f} points, with the true classes {gain['oracle classes']:.1f}: borders are "
        "what this data set leaves undecided (they are jittered against the evidence where it is simulated), and the mask head finds "
        "them no better than a threshold does. The rules differ in how the class head learns, which both detectors share."
    )
