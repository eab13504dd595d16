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
from nontarget.runtime.escaping import escaped
from nontarget.study.gate_checks import (
    DOUBLED,
    FAILED,
    MIDDLE,
    MIDDLE_RATIO,
    MISSING,
    PASSED,
    QUESTIONS,
    Gate,
    GateRuns,
    caps_hold,
    gradient,
    more_labels,
    no_harm,
    oracle,
    trivial,
)
from nontarget.study.texttable import TextTable, percent

Lookup = Callable[[Experiment], Record | None]
"""The record of an experiment, or None where there is none that is current."""

SEEDS = tuple(range(5))
_OTHER_SEEDS = {("shrec21", 0.1): (0, 1, 5, 6, 7), ("nips4b", 0.2): (0, 1, 3, 4, 5)}


@dataclass(frozen=True)
class GateReport:
    """All gates of one data set at one label ratio."""

    dataset: str
    simulated: bool
    label_ratio: float
    num_seeds: int
    gates: tuple[Gate, ...]
    records: Mapping[str, Mapping[int, Record | None]] = field(default_factory=dict, repr=False)
    """Behind the gates, by run and seed; None where there is none."""

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
            return f"**Whether this instrument can tell rules apart on {escaped(self.title)} is not known: its gates were not computed.**"
        parts = [
            f"gate{'s' if len(gates) > 1 else ''} {', '.join(g.name for g in gates)} {verb}"
            for gates, verb in (
                (self.failing, "fail" if len(self.failing) > 1 else "fails"),
                (self.missing, "were not computed" if len(self.missing) > 1 else "was not computed"),
            )
            if gates
        ]
        return f"**This instrument is not known to tell rules apart on {escaped(self.title)}: {'; '.join(parts)}.**" if parts else ""

    @property
    def table(self) -> TextTable:
        """A row a gate."""
        rows = [{"Gate": f"({g.name}) {g.question}", "Held-out data": f"{g.state}. {g.sentence}"} for g in self.gates]
        caption = f"Gates on {escaped(self.title)}: held-out data, {self.num_seeds} seeds; intervals of 95 %."
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
    runs = GateRuns(records, len(seeds))
    # The record's own key: where the data are not at hand, the key of an experiment lacks their checksum.
    plain = {seed: records["supervised only"][seed] for seed in seeds}
    key_of = {
        seed: (record or {}).get("key") or identity_key(replace(cells["supervised only"], seed=seed).identity())
        for seed, record in plain.items()
    }
    about = cells["supervised only"].identity()["dataset"]
    checks = (
        more_labels(runs, label_ratio),
        oracle(runs),
        no_harm(runs),
        gradient(runs),
        caps_hold(runs, [name for name in cells if name.startswith(DOUBLED)]),
        trivial(runs, key_of, decompositions),
    )
    return GateReport(about["name"], about["simulated"], label_ratio, len(seeds), checks, records)


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
    return TextTable(frame.rename(index=escaped).rename_axis("Data").reset_index(), caption, "gates")


def _cells(dataset: str, label_ratio: float, settings: Mapping[str, Any]) -> dict[str, Experiment]:
    """The experiments by name, for any seed."""
    plain = Experiment(**{"held_out": True, **settings, "dataset": dataset, "label_ratio": label_ratio})
    rules = ("pre-trained only", "supervised only", "baseline", "oracle", "fully supervised")
    cells = {rule: replace(plain, rule=rule) for rule in rules}
    if label_ratio < MIDDLE_RATIO:
        cells[MIDDLE] = replace(cells["supervised only"], label_ratio=MIDDLE_RATIO)
    inference = cells["supervised only"].identity()["inference"]
    for cap, value in inference.items():
        if cap.startswith("max_") and value is not None:  # inference alone changes: the weights are those of `supervised only`
            changed = {**plain.inference_settings, cap: 2 * value}
            cells[DOUBLED + cap] = replace(cells["supervised only"], inference_settings=changed)
    return cells
