"""Can this instrument tell learning rules apart? Six gates, none of which looks at how the paper's rule compares.

They are computed on held-out data (:attr:`nontarget.experiment.Experiment.held_out`), for one data set and label ratio, from records. A
comparison of rules where a gate fails, or was not computed, is marked as such.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from nontarget.config import check_choice
from nontarget.experiment import Experiment
from nontarget.results import Record, ResultStore, identity_key
from nontarget.study.comparison import paired_interval
from nontarget.study.decomposition import AS_IS, TRIVIAL
from nontarget.study.texttable import TextTable, interval_text, percent

Lookup = Callable[[Experiment], Record | None]
"""The record of an experiment, or None where there is none that is current."""

SEEDS = tuple(range(5))
_OTHER_SEEDS = {("shrec21", 0.1): (0, 1, 5, 6, 7), ("nips4b", 0.2): (0, 1, 3, 4, 5)}
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
    "f": "Does the detector beat what needs no localisation?",
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


@dataclass(frozen=True)
class GateReport:
    """All gates of one data set at one label ratio."""

    dataset: str
    simulated: bool
    label_ratio: float
    num_seeds: int
    gates: tuple[Gate, ...]

    @property
    def failing(self) -> tuple[Gate, ...]:
        """The gates that fail."""
        return tuple(gate for gate in self.gates if gate.passed is False)

    @property
    def missing(self) -> tuple[Gate, ...]:
        """The gates that were not computed."""
        return tuple(gate for gate in self.gates if gate.passed is None)

    @property
    def passed(self) -> bool | None:
        """Whether all gates hold; None: none fails, but some were not computed."""
        return False if self.failing else None if self.missing else True

    @property
    def title(self) -> str:
        """Data set, whether it is simulated, and label ratio."""
        return f"{self.dataset} ({'simulated' if self.simulated else 'real'}), {percent(self.label_ratio)} labelled"

    @property
    def mark(self) -> str:
        """What a comparison of rules on this cell must say (Markdown); empty if all gates hold."""
        if len(self.missing) == len(self.gates):
            return f"**Whether this instrument can tell rules apart on {self.title} is not known: its gates were not computed.**"
        parts = [
            f"gate{'s' if len(gates) > 1 else ''} {', '.join(g.name for g in gates)} {said}"
            for gates, said in (
                (self.failing, "fail" if len(self.failing) > 1 else "fails"),
                (self.missing, "were not computed" if len(self.missing) > 1 else "was not computed"),
            )
            if gates
        ]
        return f"**This instrument is not known to tell rules apart on {self.title}: {'; '.join(parts)}.**" if parts else ""

    @property
    def table(self) -> TextTable:
        """A row a gate."""
        rows = [{"Gate": f"({g.name}) {g.question}", "Held-out data": f"{g.state}. {g.sentence}"} for g in self.gates]
        caption = f"Gates on {self.title}: held-out data, {self.num_seeds} seeds; intervals of 95 %."
        return TextTable(pd.DataFrame(rows), caption, f"gates-{self.dataset}-{100 * self.label_ratio:g}")

    def _repr_markdown_(self) -> str:
        return self.table._repr_markdown_()

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def gate_seeds(dataset: str, label_ratio: float) -> tuple[int, ...]:
    """The first five seeds whose label split leaves no class of the held-out data without a label.

    A third of the training videos is held out, so that on a small data set the labelled share of the rest misses a class for some seeds.
    """
    return _OTHER_SEEDS.get((dataset, label_ratio), SEEDS)


def gate_experiments(dataset: str, label_ratio: float = 0.1, seeds: Sequence[int] | None = None, **settings: Any) -> list[Experiment]:
    """Every run that the gates of a data set and label ratio need, all of them on held-out data.

    Args:
        dataset: see :func:`nontarget.data.load_dataset`.
        label_ratio: share of labelled training videos.
        seeds: which; the gates ask for five or more. Default: :func:`gate_seeds`.
        **settings: further fields of :class:`nontarget.experiment.Experiment`.
    """
    seeds = gate_seeds(dataset, label_ratio) if seeds is None else seeds
    return [replace(experiment, seed=seed) for experiment in _cells(dataset, label_ratio, settings).values() for seed in seeds]


def gates(
    dataset: str,
    label_ratio: float = 0.1,
    seeds: Sequence[int] | None = None,
    *,
    lookup: Lookup,
    decompositions: pd.DataFrame | None = None,
    **settings: Any,
) -> GateReport:
    """The gates of a data set and label ratio, from records; nothing is computed.

    Args:
        dataset: see :func:`gate_experiments`, as ``label_ratio``, ``seeds`` and ``settings``.
        label_ratio: share of labelled training videos.
        seeds: a gate for which one of them is missing was not computed. Default: :func:`gate_seeds`.
        lookup: of records, see :func:`records_in`.
        decompositions: rows of :func:`nontarget.study.decomposition.decomposition_rows` of ``supervised only``, for gate (f).
        **settings: further fields of :class:`nontarget.experiment.Experiment`.

    Raises:
        ValueError: fewer than five seeds.
    """
    seeds = gate_seeds(dataset, label_ratio) if seeds is None else seeds
    if len(seeds) < len(SEEDS):
        raise ValueError(f"the gates need {len(SEEDS)} seeds or more, got {len(seeds)}")
    cells = _cells(dataset, label_ratio, settings)
    records = {name: {seed: lookup(replace(experiment, seed=seed)) for seed in seeds} for name, experiment in cells.items()}
    runs = _Runs(records, len(seeds))
    # The record's own key: where the data are not at hand, the key of an experiment lacks their checksum.
    plain = {seed: records["supervised only"][seed] for seed in seeds}
    key_of = {
        seed: (record or {}).get("key") or identity_key(replace(cells["supervised only"], seed=seed).identity())
        for seed, record in plain.items()
    }
    about = cells["supervised only"].identity()["dataset"]
    found = (
        _more_labels(runs, label_ratio),
        _oracle(runs),
        _no_harm(runs),
        _gradient(runs),
        _caps(runs, [name for name in cells if name.startswith(_DOUBLED)]),
        _trivial(runs, key_of, decompositions),
    )
    return GateReport(about["name"], about["simulated"], label_ratio, len(seeds), found)


def records_in(store: ResultStore | None = None, source: str = "stored") -> Lookup:
    """Records of a store: those computed on this machine (``stored``), or the rows of the committed table (``committed``)."""
    check_choice("source", source, ("stored", "committed"))
    store = store or ResultStore()
    metrics = store.metrics() if source == "committed" else None

    def lookup(experiment: Experiment) -> Record | None:
        identity = experiment.identity()
        return store.read(identity_key(identity)) if metrics is None else store.committed(identity, metrics).record

    return lookup


def gate_states(reports: Iterable[GateReport]) -> pd.DataFrame:
    """One row a data set and label ratio, one column a gate: True, False, or None where it was not computed."""
    rows = {report.title: {gate.name: gate.passed for gate in report.gates} for report in reports}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(QUESTIONS), dtype=object)


def summary(reports: Sequence[GateReport]) -> TextTable:
    """All data sets and label ratios: a row each, a column a gate."""
    states = {True: PASSED, False: f"**{FAILED}**", None: MISSING}
    frame = gate_states(reports).map(lambda passed: states[passed]).rename(columns=lambda name: f"({name})")
    caption = "Gates on held-out data. " + " ".join(f"({name}) {question}" for name, question in QUESTIONS.items())
    return TextTable(frame.rename_axis("Data").reset_index(), caption, "gates")


_DOUBLED = "doubled "


def _cells(dataset: str, label_ratio: float, settings: Mapping[str, Any]) -> dict[str, Experiment]:
    """The experiments by name, for any seed."""
    plain = Experiment(**{"held_out": True, **settings, "dataset": dataset, "label_ratio": label_ratio})
    rules = ("pre-trained only", "supervised only", "baseline", "oracle", "fully supervised")
    cells = {rule: replace(plain, rule=rule) for rule in rules}
    if label_ratio < MIDDLE_RATIO:
        cells[_MIDDLE] = replace(cells["supervised only"], label_ratio=MIDDLE_RATIO)
    inference = cells["supervised only"].identity()["inference"]
    for cap, value in inference.items():
        if cap.startswith("max_") and value is not None:  # inference alone changes: the weights are those of `supervised only`
            changed = {**plain.inference_settings, cap: 2 * value}
            cells[_DOUBLED + cap] = replace(cells["supervised only"], inference_settings=changed)
    return cells


_MIDDLE = f"supervised only, {percent(MIDDLE_RATIO)}"


@dataclass(frozen=True)
class _Runs:
    """Records by name and seed."""

    records: Mapping[str, Mapping[int, Record | None]]
    wanted: int

    def maps(self, name: str) -> pd.Series | None:
        """Average mAP in percent by seed; None unless all are there."""
        found = {seed: 100 * record["scores"]["avg"] for seed, record in self.records.get(name, {}).items() if record is not None}
        return pd.Series(found) if len(found) == self.wanted else None

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


def _more_labels(runs: _Runs, label_ratio: float) -> Gate:
    steps = {"fully supervised": "all labels", _MIDDLE: percent(MIDDLE_RATIO), "supervised only": percent(label_ratio)}
    if _MIDDLE not in runs.records:
        del steps[_MIDDLE]
    checks: list[bool | None] = []
    sentences: list[str] = []
    numbers: dict[str, float] = {}
    for more, fewer in zip(list(steps)[:-1], list(steps)[1:], strict=True):
        high, low = runs.maps(more), runs.maps(fewer)
        if high is None or low is None:
            checks.append(None)
            sentences.append(runs.absent(more, fewer))
            continue
        gain, spread = paired_interval(high - low), max(float(high.std()), float(low.std()))
        checks.append(gain["mean"] > spread)
        numbers |= {f"{more} - {fewer}": gain["mean"], f"spread of {more} and {fewer}": spread}
        sentences.append(f"{steps[more]} against {steps[fewer]}: {interval_text(**gain)} points, spread {spread:.1f}.")
    return _gate("a", _verdict(checks), " ".join(sentences), **numbers)


def _oracle(runs: _Runs) -> Gate:
    oracle, full = runs.maps("oracle"), runs.maps("fully supervised")
    if oracle is None or full is None:
        return _gate("b", None, runs.absent("oracle", "fully supervised"))
    lead = paired_interval(oracle - full)
    sentence = f"The truth as pseudo labels against all labels: {interval_text(**lead)} points; at least {-ORACLE_WITHIN:g} is asked for."
    return _gate("b", lead["mean"] >= -ORACLE_WITHIN, sentence, difference=lead["mean"], low=lead["low"], high=lead["high"])


def _no_harm(runs: _Runs) -> Gate:
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
        lead = paired_interval(baseline - reference)
        checks.append(lead["high"] >= 0)
        numbers[f"baseline - {other}"] = lead["mean"]
        sentences.append(f"The baseline against {other}: {interval_text(**lead)} points.")
    return _gate("c", _verdict(checks), " ".join(dict.fromkeys(sentences)), **numbers)


def _gradient(runs: _Runs) -> Gate:
    """Shares of the losses that are the same whatever the rule: those of labelled classes and of unlabelled clips are the rules' own."""
    largest: tuple[float, str] = (-1.0, "")
    for rule in ("supervised only", "baseline"):
        shares = [record.get("gradient_share") for record in runs.records[rule].values() if record is not None]
        if len(shares) < runs.wanted:
            return _gate("d", None, runs.absent(rule))
        if not all(shares):
            return _gate("d", None, f"The records of {rule} do not hold the shares of the gradient.")
        frame = pd.concat([pd.DataFrame(by_stage).unstack() for by_stage in shares], axis=1).T
        for (stage, loss), share in frame.mean().items():
            if loss != "labeled" and not loss.startswith("unlabeled_"):
                largest = max(largest, (float(share), f"{loss} in the stage {stage} of {rule}"))
    share, where = largest
    if not where:
        return _gate("d", True, "There is no loss but those of the rule.", share=0.0)
    return _gate("d", share <= LARGEST_SHARE, f"At most {100 * share:.0f} % of the embedding's gradient: {where}.", share=share)


def _caps(runs: _Runs, caps: Sequence[str]) -> Gate:
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
        sentences.append(f"{cap.removeprefix(_DOUBLED)} doubled moves a run by at most {moved:.2f} points.")
    return _gate("e", _verdict(checks), " ".join(sentences) or "There is no cap.", **numbers)


def _trivial(runs: _Runs, key_of: Mapping[int, str], decompositions: pd.DataFrame | None) -> Gate:
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
        lead = paired_interval(table[AS_IS] - table[name])
        checks.append(lead["mean"] > 0)
        numbers[name] = lead["mean"]
        sentences.append(f"Above {name}: {interval_text(**lead)} points.")
    return _gate("f", _verdict(checks), " ".join(sentences), **numbers)
