"""Which systems each table compares."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nontarget.config import check_choice
from nontarget.experiment import Experiment

MAIN_SYSTEMS = ("whole-video", "pre-trained only", "supervised only", "baseline", "non-target", "fully supervised")
"""Floor, ceiling, the paper's rule and what it is built on."""
FIRST_SEED = 100
"""Seeds of results begin here; those below were used on development data, when settings were chosen."""
OTHER_SEEDS = 5
"""Systems beyond ``MAIN_SYSTEMS`` have at most as many seeds."""


def seeds_of(system: str, seeds: int | Sequence[int]) -> list[int]:
    """The seeds of a learning rule: those of a list, or the first of a number of seeds.

    Raises:
        ValueError: ``seeds`` is neither a whole number above 0 nor a list of whole numbers.
    """
    try:
        if isinstance(seeds, str):
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
    """The rows of a table: what each changes in an experiment."""

    title: str
    systems: Mapping[str, Mapping[str, Any]]
    reference: str = "baseline"
    """The row that the others are compared with."""
    about: str = ""
    """The question that it answers."""

    def experiments(self, plain: Experiment, chosen: Sequence[str] | None = None) -> dict[str, Experiment]:
        """The experiment of each row, for a data set, ratio and preset.

        Args:
            plain: the rest of each experiment.
            chosen: rows, in their order; default: all. A learning rule that is no row of the table is one of that name.

        Raises:
            ValueError: there is no such row or rule.
        """
        rows = dict(self.systems) if chosen is None else {name: self.systems.get(name, {"rule": name}) for name in chosen}
        return {name: replace(plain, **changes) for name, changes in rows.items()}


def _lambda(value: float) -> dict[str, Any]:
    return {"rule": "non-target"} if value == 0.85 else {"rule": "non-target", "rule_settings": {"positive_ratio": value}}


def _rules(*names: str) -> dict[str, dict[str, Any]]:
    return {name: {"rule": name} for name in names}


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
    ),
    "table4": Table(
        "The bar for positive classes",
        {f"lambda {v:.2f}": _lambda(v) for v in (0.9, 0.85, 0.8, 0.75)},
        "lambda 0.85",
        "How near to the target's probability must a class come to count as positive? Lambda of Eq. 10 is that share.",
    ),
    "table5": Table(
        "Other ways to learn from non-target classes",
        _rules("baseline", "soft pseudo label", "complementary label", "non-target"),
        about="Does it matter how non-target classes are used: as a soft target, as one random negative, or as sets?",
    ),
    # Beyond the paper
    "lambda": Table(
        "The bar for positive classes, finely",
        {f"lambda {v / 100:.2f}": _lambda(v / 100) for v in range(50, 101, 5)},
        "lambda 0.85",
        "Table 4 in eleven steps: from half of the target's probability, where many classes are positive, to all of it, where none is.",
    ),
    "beyond": Table(
        "Beyond the paper",
        _rules("baseline", "non-target", "non-target + ambiguous", "mean teacher + non-target", "FixMatch-style", "FlexMatch-style"),
        about="Rules that the paper does not have: its future work, confidence thresholds, and a mean teacher.",
    ),
    "why": Table(
        "Why the gain shows, or does not",
        {
            "baseline": {"rule": "baseline"},
            "non-target": {"rule": "non-target"},
            "non-target, calibrated": {"rule": "non-target", "rule_settings": {"teacher_temperature": "calibrated"}},
            "candidate labels": {"rule": "candidate labels"},
            "oracle: truth not negative": {"rule": "oracle: truth not negative"},
            "oracle: truth positive": {"rule": "oracle: truth positive"},
            "oracle": {"rule": "oracle"},
        },
        about="What would the rule gain with a calibrated teacher, with ambiguous classes as candidates, and if the truth were never "
        "pushed away, or always pulled? The oracles are told the hidden labels and compete with nothing.",
    ),
    "precedence": Table(
        "Which of Eqs. 8 and 10 keeps a class that both claim",
        {"negative first": {"rule": "non-target"}, "positive first": {"rule": "non-target", "rule_settings": {"precedence": "positive"}}},
        reference="negative first",
        about="Eq. 4 wants disjoint sets; Eqs. 8 and 10 can claim the same class. Sec. 3.5 reads as if negatives went first.",
    ),
    "teacher": Table(
        "Where pseudo labels come from",
        {
            f"{rule}, {teacher}": {"rule": rule} | ({"rule_settings": {"teacher": teacher}} if teacher != "generations" else {})
            for rule in ("baseline", "non-target")
            for teacher in ("generations", "epochs", "online")
        },
        reference="baseline, generations",
        about="The frozen pre-trained model (generations), a copy renewed every epoch (epochs), or the student itself (online)?",
    ),
    "external": Table(
        "Class scores of whole videos from outside",
        {
            f"{rule}, {'with' if on else 'without'}": {"rule": rule} | ({"inference_settings": {"external_scores": True}} if on else {})
            for rule in ("whole-video", "baseline", "non-target")
            for on in (False, True)
        },
        reference="baseline, without",
        about="What a classifier of whole videos, trained elsewhere on all labels, is worth when its scores multiply those of detections. "
        "On a twin that classifier is simulated too: it is right about as often as the one that was published for ActivityNet.",
    ),
}
EXTRA = tuple(name for name in TABLES if not name.startswith("table"))
"""Tables that the paper does not have."""


def table_experiments(name: str, plain: Experiment, seeds: int | Sequence[int]) -> list[Experiment]:
    """Every run behind a table."""
    check_choice("table", name, TABLES)
    return [replace(e, seed=seed) for e in TABLES[name].experiments(plain).values() for seed in seeds_of(e.rule, seeds)]
