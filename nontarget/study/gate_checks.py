"""The six gates of the instrument, each computed from the average mAP of runs by name and seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from nontarget.results import Record
from nontarget.statistics import t_interval
from nontarget.study.decomposition import AS_IS, TRIVIAL
from nontarget.study.texttable import difference_text, percent

MIDDLE_RATIO = 0.4
ORACLE_WITHIN = 2.0
"""Points of average mAP within which the truth as pseudo labels must come of full supervision."""
CAP_WITHIN = 0.1
"""Points of average mAP by which doubling a cap may move a run."""
LARGEST_SHARE = 0.5
"""Of the embedding's gradient, for a loss that does not belong to the learning rule."""

QUESTIONS = {
    "a": "Do more labels help by more than the spread over seeds?",
    "b": "Does self-training on the truth reach full supervision?",
    "c": "Do the baseline's pseudo labels do no harm?",
    "d": "Is the embedding trained by what the rules differ in?",
    "e": "Is no class lost to a cap?",
    "f": "Does the detector beat trivial detectors?",
}
PASSED, FAILED, MISSING = "passed", "FAILS", "not computed"


@dataclass(frozen=True)
class Gate:
    """One gate on one data set at one label ratio."""

    name: str
    question: str
    passed: bool | None
    """None: not computed, for lack of a record."""
    sentence: str
    """What was found, with its numbers."""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """As a table says it."""
        return {True: PASSED, False: FAILED, None: MISSING}[self.passed]


DOUBLED = "doubled "
MIDDLE = f"supervised only, {percent(MIDDLE_RATIO)}"


@dataclass(frozen=True)
class GateRuns:
    """Records by name and seed."""

    records: Mapping[str, Mapping[int, Record | None]]
    wanted: int

    def maps(self, name: str) -> pd.Series | None:
        """Average mAP in percent by seed; None unless all are there."""
        by_seed = {seed: 100 * record["scores"]["avg"] for seed, record in self.records.get(name, {}).items() if record is not None}
        return pd.Series(by_seed) if len(by_seed) == self.wanted else None

    def absent(self, *names: str) -> str:
        """Which runs are missing, in a sentence."""
        counts = {name: sum(r is not None for r in self.records.get(name, {}).values()) for name in names}
        parts = [f"{n} of {self.wanted} seeds of {name}" for name, n in counts.items() if n < self.wanted]
        return f"There are only {', '.join(parts)}." if parts else ""


def _gate(name: str, passed: bool | None, sentence: str, **numbers: float) -> Gate:
    return Gate(name, QUESTIONS[name], passed, sentence, numbers)


def _verdict(checks: Iterable[bool | None]) -> bool | None:
    """Whether all hold: one that fails decides, whatever is missing."""
    checks = list(checks)
    return False if False in checks else None if None in checks else True


def more_labels(runs: GateRuns, label_ratio: float) -> Gate:
    """Gate (a): the gain from more labels, against the spread over seeds."""
    steps = {"fully supervised": "all labels", MIDDLE: percent(MIDDLE_RATIO), "supervised only": percent(label_ratio)}
    if MIDDLE not in runs.records:
        del steps[MIDDLE]
    checks: list[bool | None] = []
    sentences: list[str] = []
    numbers: dict[str, float] = {}
    for more, fewer in zip(list(steps)[:-1], list(steps)[1:], strict=True):
        high, low = runs.maps(more), runs.maps(fewer)
        if high is None or low is None:
            checks.append(None)
            sentences.append(runs.absent(more, fewer))
            continue
        gain, spread = t_interval(high - low), max(float(high.std()), float(low.std()))
        checks.append(gain.mean > spread)
        numbers |= {f"{more} - {fewer}": gain.mean, f"spread of {more} and {fewer}": spread}
        sentences.append(f"{steps[more]} against {steps[fewer]}: {difference_text(gain, 'points')}, spread {spread:.1f}.")
    return _gate("a", _verdict(checks), " ".join(sentences), **numbers)


def oracle(runs: GateRuns) -> Gate:
    """Gate (b): the truth as pseudo labels, against full supervision at equal budget."""
    oracle, full = runs.maps("oracle"), runs.maps("fully supervised")
    if oracle is None or full is None:
        return _gate("b", None, runs.absent("oracle", "fully supervised"))
    lead = t_interval(oracle - full)
    sentence = (
        f"The truth as pseudo labels against all labels: {difference_text(lead, 'points')}; at least {-ORACLE_WITHIN:g} is asked for."
    )
    return _gate("b", lead.mean >= -ORACLE_WITHIN, sentence, difference=lead.mean, low=lead.low, high=lead.high)


def no_harm(runs: GateRuns) -> Gate:
    """Gate (c): the baseline, against what uses no pseudo labels."""
    checks: list[bool | None] = []
    sentences: list[str] = []
    numbers: dict[str, float] = {}
    baseline = runs.maps("baseline")
    for other in ("supervised only", "pre-trained only"):
        reference = runs.maps(other)
        if baseline is None or reference is None:
            checks.append(None)
            sentences.append(runs.absent("baseline", other))
            continue
        lead = t_interval(baseline - reference)
        checks.append(lead.high >= 0)
        numbers[f"baseline - {other}"] = lead.mean
        sentences.append(f"The baseline against {other}: {difference_text(lead, 'points')}.")
    return _gate("c", _verdict(checks), " ".join(dict.fromkeys(sentences)), **numbers)


def is_label_free(loss: str) -> bool:
    """Whether a loss is the same whatever the learning rule: those of classes are the rules' own."""
    return loss != "labeled" and not loss.startswith("unlabeled_")


def gradient(runs: GateRuns) -> Gate:
    """Gate (d): gradient shares of the losses that are the same whatever the rule; those of classes are the rules' own."""
    largest: tuple[float, str] = (-1.0, "")
    for rule in ("supervised only", "baseline"):
        shares = [record.get("gradient_share") for record in runs.records[rule].values() if record is not None]
        if len(shares) < runs.wanted:
            return _gate("d", None, runs.absent(rule))
        if not all(shares):
            return _gate("d", None, f"The records of {rule} do not hold the shares of the gradient.")
        frame = pd.concat([pd.DataFrame(by_stage).unstack() for by_stage in shares], axis=1).T
        for (stage, loss), share in frame.mean().items():
            if is_label_free(loss):
                largest = max(largest, (float(share), f"{loss} in the stage {stage} of {rule}"))
    share, where = largest
    if not where:
        return _gate("d", True, "There is no loss but those of the rule.", share=0.0)
    return _gate("d", share <= LARGEST_SHARE, f"At most {100 * share:.0f} % of the embedding's gradient: {where}.", share=share)


def caps_hold(runs: GateRuns, caps: Sequence[str]) -> Gate:
    """Gate (e): how far doubling each cap moves a run."""
    plain = runs.maps("supervised only")
    if plain is None:
        return _gate("e", None, runs.absent("supervised only"))
    checks: list[bool | None] = []
    sentences: list[str] = []
    numbers: dict[str, float] = {}
    for cap in caps:
        doubled = runs.maps(cap)
        if doubled is None:
            checks.append(None)
            sentences.append(runs.absent(cap))
            continue
        moved = float((doubled - plain).abs().max())
        checks.append(moved < CAP_WITHIN)
        numbers[cap] = moved
        sentences.append(f"{cap.removeprefix(DOUBLED)} doubled moves a run by at most {moved:.2f} points.")
    return _gate("e", _verdict(checks), " ".join(sentences) or "There is no cap.", **numbers)


def trivial(runs: GateRuns, key_of: Mapping[int, str], decompositions: pd.DataFrame | None) -> Gate:
    """Gate (f): the detector, against trivial ones."""
    if decompositions is None or not len(decompositions):
        return _gate("f", None, "The trivial detectors were not computed.")
    rows = decompositions[(decompositions["tiou"] == "avg") & decompositions["key"].isin(key_of.values())]
    table = rows.pivot_table(index="key", columns="variant", values="mean_ap").reindex([key_of[seed] for seed in sorted(key_of)])
    checks: list[bool | None] = []
    sentences: list[str] = []
    numbers: dict[str, float] = {}
    for name in TRIVIAL:
        if not {AS_IS, name} <= set(table) or table[[AS_IS, name]].isna().any(axis=None):
            checks.append(None)
            there = int(table[name].notna().sum()) if name in table else 0
            sentences.append(f"There are only {there} of {runs.wanted} seeds of {name}.")
            continue
        lead = t_interval(table[AS_IS] - table[name])
        checks.append(lead.mean > 0)
        numbers[name] = lead.mean
        sentences.append(f"Above {name}: {difference_text(lead, 'points')}.")
    return _gate("f", _verdict(checks), " ".join(sentences), **numbers)
