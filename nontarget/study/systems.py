"""The rows of every table: what each changes in an experiment, and which row of the paper stands beside it.

A table is made in three steps, a module each: this one lists its rows, :mod:`nontarget.study.tables` computes their runs or reads them,
and :class:`nontarget.study.comparison.Comparison` holds the numbers and renders them.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import TypedDict

import pandas as pd

from nontarget.config import check_choice, plain
from nontarget.data import defaults_of
from nontarget.experiment import Experiment, Settings
from nontarget.rules import PAPER_NAMES

MAIN_SYSTEMS = ("whole-video", "pre-trained only", "supervised only", "baseline", "non-target", "fully supervised")
"""Without self-training, with few and with all labels, the paper's method, and the baseline that it is built on."""
FIRST_SEED = 100
"""The first seed of results. Lower ones were used on development data, when settings were chosen."""
OTHER_SEEDS = 5
"""The largest number of seeds for a system outside ``MAIN_SYSTEMS``."""


class FurtherFields(TypedDict, total=False):
    """Fields of :class:`nontarget.experiment.Experiment` other than those that say which run it is."""

    preset: str
    detector: str
    features: str | None
    held_out: bool
    rule_settings: Settings
    detector_settings: Settings
    training_settings: Settings
    inference_settings: Settings
    protocol_settings: Settings
    twin_settings: Settings


class ExperimentFields(FurtherFields, total=False):
    """Fields of :class:`nontarget.experiment.Experiment`, any of which a table, a gate or a trial may set."""

    dataset: str
    rule: str
    label_ratio: float
    seed: int


def seeds_of(system: str, seeds: int | Sequence[int]) -> list[int]:
    """The seeds that a learning rule is run with: those listed, or as many as asked for, from ``FIRST_SEED`` on.

    Raises:
        ValueError: ``seeds`` is neither a whole number above 0 nor a list of whole numbers.
    """
    seeds = plain(seeds)
    try:
        if isinstance(seeds, (str, bool)):
            raise TypeError
        if not isinstance(seeds, Sequence):
            count = operator.index(seeds)
            chosen = list(range(FIRST_SEED, FIRST_SEED + (count if system in MAIN_SYSTEMS else min(count, OTHER_SEEDS))))
        else:
            chosen = [operator.index(seed) for seed in seeds]
    except TypeError:
        raise ValueError(f"seeds must be a number of seeds or a list of them, got {seeds!r}") from None
    if not chosen:
        raise ValueError(f"nothing to compare: seeds {seeds!r}")
    return chosen


@dataclass(frozen=True)
class Table:
    """The rows of a table."""

    title: str
    systems: Mapping[str, ExperimentFields]
    """Name of a row -> what it changes in an experiment."""
    reference: str = "baseline"
    """The row that the others are compared with."""
    about: str = ""
    """The question that the table answers."""
    paper: Mapping[str, str] = field(default_factory=dict)
    """Name of a row -> the paper's row beside it: its method, or its setting where the table varies one."""

    def experiments(self, plain: Experiment, chosen: Sequence[str] | None = None) -> dict[str, Experiment]:
        """The experiment of each row.

        Args:
            plain: what all rows have in common: data set, label ratio, preset.
            chosen: the rows to take, in this order; default: all. A name that is no row of the table is that of a learning rule.
        """
        rows = self.systems if chosen is None else {name: self.systems.get(name, {"rule": name}) for name in chosen}
        return {name: replace(plain, **changes) for name, changes in rows.items()}


def _variant(rule: str, **settings: str | float) -> ExperimentFields:
    return {"rule": rule, "rule_settings": settings} if settings else {"rule": rule}


def _lambda(value: float) -> ExperimentFields:
    return _variant("non-target") if value == 0.85 else _variant("non-target", positive_ratio=value)


def _rules(*names: str) -> dict[str, ExperimentFields]:
    return {name: _variant(name) for name in names}


def _with_external_scores(rule: str) -> dict[str, ExperimentFields]:
    return {"without": {"rule": rule}, "with": {"rule": rule, "inference_settings": {"external_scores": True}}}


TABLES = {
    "table1": Table(
        "All systems",
        _rules(
            "whole-video",
            "pre-trained only",
            "supervised only",
            "SSP-style",
            "SSTAP",
            "SPOT",
            "NPL-style",
            "baseline",
            "non-target",
            "fully supervised",
        ),
        about="What does each way to learn from unlabelled videos add, at each label ratio?",
        paper={"SSP-style": "SSP", "SSTAP": "SSTAP", "SPOT": "SPOT", "NPL-style": "NPL", "baseline": "Baseline", "non-target": "Ours"},
    ),
    "table2": Table(
        "The losses one by one",
        {
            "l_tgt": {"rule": "baseline"},
            "l_tgt + l_neg": {"rule": "non-target", "rule_settings": {"positive_ratio": 2.0}},  # above 1, no class is positive
            "l_tgt + l_neg + l_pos": {"rule": "non-target"},
        },
        reference="l_tgt",
        about="What does each term of the loss add to the argmax pseudo label?",
        paper={"l_tgt": "tgt", "l_tgt + l_neg": "tgt+neg", "l_tgt + l_neg + l_pos": "tgt+neg+pos"},
    ),
    "table3": Table(
        "Another detector",
        {
            "ActionFormer": {"detector": "actionformer", "rule": "supervised only"},
            "ActionFormer, NPL-style": {"detector": "actionformer", "rule": "NPL-style"},
            "ActionFormer, non-target": {"detector": "actionformer", "rule": "non-target"},
        },
        reference="ActionFormer",
        about="Is the loss tied to one detector? ActionFormer scores each class by itself, without background.",
        paper={"ActionFormer": "ActF", "ActionFormer, NPL-style": "NPL (ActF)", "ActionFormer, non-target": "Ours (ActF)"},
    ),
    "table4": Table(
        "The threshold for positive classes",
        {f"lambda {v:.2f}": _lambda(v) for v in (0.9, 0.85, 0.8, 0.75)},
        "lambda 0.85",
        "How close to the target's probability must a class come to count as positive? λ of Eq. 10 is that share.",
        {f"lambda {v:.2f}": f"lambda={v:.2f}" for v in (0.9, 0.85, 0.8, 0.75)},
    ),
    "table5": Table(
        "Other ways to learn from non-target classes",
        _rules("baseline", "soft pseudo label", "complementary label", "non-target"),
        about="Does it matter how non-target classes are used: as a soft target, as one random negative, or as sets?",
        paper={"soft pseudo label": "soft pseudo label", "complementary label": "complementary label", "non-target": "Ours"},
    ),
    # Beyond the paper
    "lambda": Table(
        "λ sweep",
        {f"lambda {v / 100:.2f}": _lambda(v / 100) for v in range(50, 101, 5)},
        "lambda 0.85",
        "Table 4 in eleven steps of λ, from 0.5, where many classes are positive, to 1, where none is.",
    ),
    "beyond": Table(
        "Beyond the paper",
        _rules("baseline", "non-target", "non-target + ambiguous", "mean teacher + non-target", "FixMatch-style", "FlexMatch-style"),
        about="How do rules do that the paper does not have: its future work, confidence thresholds, and a mean teacher?",
    ),
    "why": Table(
        "Why the method gains, or does not",
        {
            "baseline": {"rule": "baseline"},
            "non-target": {"rule": "non-target"},
            "non-target, calibrated": {"rule": "non-target", "rule_settings": {"teacher_temperature": "calibrated"}},
            "candidate labels": {"rule": "candidate labels"},
            "oracle: truth not negative": {"rule": "oracle: truth not negative"},
            "oracle: truth positive": {"rule": "oracle: truth positive"},
            "oracle": {"rule": "oracle"},
        },
        about="What would the method gain with a calibrated teacher, with ambiguous classes as candidates, or if the true class were "
        "never pushed down, or always pulled up? The oracles are told the hidden labels, so they are no competitors.",
    ),
    "precedence": Table(
        "Precedence of Eq. 8 and Eq. 10",
        {"negative first": {"rule": "non-target"}, "positive first": {"rule": "non-target", "rule_settings": {"precedence": "positive"}}},
        reference="negative first",
        about="Which set keeps a class that Eqs. 8 and 10 both claim? Eq. 4 asks for disjoint sets; Sec. 3.5 reads as if negatives "
        "were chosen first.",
    ),
    "teacher": Table(
        "Where pseudo labels come from",
        {
            f"{rule}, {teacher}": _variant(rule) if teacher == "generations" else _variant(rule, teacher=teacher)
            for rule in ("baseline", "non-target")
            for teacher in ("generations", "epochs", "online")
        },
        reference="baseline, generations",
        about="Does it matter who gives the pseudo labels: the frozen pre-trained model (generations), a copy of the student that is "
        "renewed every epoch (epochs), or the student itself (online)?",
    ),
    "external": Table(
        "Class scores of whole videos from outside",
        {
            f"{rule}, {name}": fields
            for rule in ("whole-video", "baseline", "non-target")
            for name, fields in _with_external_scores(rule).items()
        },
        reference="baseline, without",
        about="What is gained when the scores of detections are multiplied by those of a video classifier that was trained elsewhere, on "
        "all labels? On a twin that classifier is simulated too, and right about as often as the one published for ActivityNet.",
    ),
}
EXTRA = tuple(name for name in TABLES if not name.startswith("table"))
"""Tables that the paper does not have."""


def table_experiments(name: str, plain: Experiment, seeds: int | Sequence[int]) -> list[Experiment]:
    """Every run behind a table.

    Raises:
        ValueError: there is no table of that name.
    """
    check_choice("table", name, TABLES)
    return [replace(e, seed=seed) for e in TABLES[name].experiments(plain).values() for seed in seeds_of(e.rule, seeds)]


def reported_map(table: str, dataset: str, label_ratio: float) -> pd.DataFrame:
    """The mAP that the paper reports, in percent: a row per system and a column per tIoU ("avg" last), in the paper's order.

    Args:
        table: ``table1`` to ``table5``; the paper has no other, so that the frame is empty for them.
        dataset: a data set of this project; the frame is empty for one that the paper does not have.
        label_ratio: share of labelled videos.
    """
    with files("nontarget").joinpath("paper_reported.csv").open(encoding="utf-8") as file:
        rows = pd.read_csv(file, dtype={"tiou": str}, keep_default_na=False)
    of_dataset = rows["dataset"] == defaults_of(dataset).paper_dataset
    chosen = rows[(rows["table"] == table) & of_dataset & (rows["label_ratio"] == label_ratio)]
    varied = chosen["setting"].where(chosen["setting"] != "", chosen["method"])
    wide = chosen.assign(row=varied).pivot_table(index="row", columns="tiou", values="map_percent", sort=False)
    return wide.rename_axis(index=None, columns=None)


def chosen_systems(systems: str | Sequence[str], table: str = "table1") -> tuple[str, ...] | None:
    """The rows of a table that a notebook's parameter ``systems`` names, and the row that they are compared with; None for all.

    Args:
        systems: ``main`` or ``all``, the name of one row, several with commas between, or a list of names.
        table: name of the table.

    Raises:
        ValueError: a name is none of the table's rows; the message names the nearest.
    """
    rows = tuple(TABLES[table].systems)
    if isinstance(systems, str):
        if systems == "main":
            return MAIN_SYSTEMS
        if systems == "all":
            return None
        names = [systems] if systems in rows else [name.strip() for name in systems.split(",")]
    elif isinstance(systems, (list, tuple)) and systems:
        names = list(systems)
    else:
        raise ValueError(f"systems must be 'main', 'all' or names of rows, got {systems!r}")
    names = [PAPER_NAMES.get(name, name) if isinstance(name, str) else name for name in names]
    for name in names:
        check_choice("system", name, ("main", "all", *rows))
        if name in ("main", "all"):
            raise ValueError(f"systems must be 'main', 'all' or names of rows, got {systems!r}")
    return tuple(row for row in rows if row in names or row == TABLES[table].reference)
