"""What the book's pages show of a table, with a warning where the instrument is not known to tell learning rules apart."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Unpack

from nontarget.experiment import Experiment
from nontarget.protocols import named_settings
from nontarget.results import Record, ResultStore, identity_key
from nontarget.runtime.escaping import escaped
from nontarget.study.comparison import Comparison
from nontarget.study.gates import GateReport, Lookup, gates
from nontarget.study.report import decompositions
from nontarget.study.reproduce import DATASETS, has_part
from nontarget.study.systems import TABLES, FurtherFields
from nontarget.study.tables import RATIOS, Source, current_tables, paper_table
from nontarget.study.tabs import Tabs

ALL = "all"
"""In place of a data set or a label ratio: all those of which the book has the table."""


def table_page(
    table: str,
    dataset: str = "thumos14-sim",
    ratio: float | str = 0.1,
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    features: str | None = None,
    protocol: str | None = None,
    systems: Sequence[str] | None = None,
    device: str = "auto",
    source: Source = "auto",
    store: ResultStore | None = None,
) -> Tabs:
    """A table for one data set and label ratio, or a tab for each of several that have results; with warnings.

    Args:
        table: one of ``nontarget.study.systems.TABLES``.
        dataset: see :func:`nontarget.data.load_dataset`; or ``all``.
        ratio: share of labelled training videos; or ``all``.
        seeds: see :func:`nontarget.study.tables.paper_table`, as for all that follows.
        preset: ``small`` or ``full``.
        features: a feature folder to use instead of a data set's name.
        protocol: one of the field's, by name (:func:`nontarget.protocols.available`); default: the data set's own.
        systems: the rows to take; default: all.
        device: of the runs that are computed.
        source: where results come from. With ``all``, nothing is computed: ``stored`` or ``committed``.
        store: default: the store in the default folder.

    Raises:
        ValueError: an unknown name or setting, or an option that cannot matter beside the others.
    """
    if isinstance(ratio, str) and ratio != ALL:
        raise ValueError(f"ratio must be a share of labelled videos in (0, 1], or {ALL!r}; got {ratio!r}")
    if ALL not in (dataset, ratio):
        comparison = paper_table(
            table, dataset, float(ratio), seeds,
            preset=preset, features=features, protocol=protocol, systems=systems, source=source, store=store, device=device,
        )  # fmt: skip
        settings = named_settings(protocol)
        return marked_tabs(Tabs((comparison,), table), store, preset=preset, features=features, protocol_settings=settings)
    if source not in ("stored", "committed"):
        raise ValueError(f"source={source!r} computes runs, for one data set and ratio at a time; with 'all' use 'stored' or 'committed'")
    for name, value, default in (
        ("features", features, None),
        ("protocol", protocol, None),
        ("systems", systems, None),
        ("device", device, "auto"),
    ):
        if value != default:
            raise ValueError(f"{name}={value!r} has no effect where dataset or ratio is 'all'; leave it out, or name one of each")
    datasets = [name for name in DATASETS if has_part(table, name)] if dataset == ALL else [dataset]
    ratios = RATIOS if ratio == ALL else (float(ratio),)
    tabs = current_tables(table, product(datasets, ratios), seeds, preset=preset, source=source, store=store)
    return marked_tabs(tabs, store, preset=preset)


def ratio_curve(
    table: str = "table1",
    dataset: str = "thumos14-sim",
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    features: str | None = None,
    protocol: str | None = None,
    systems: Sequence[str] | None = None,
    source: Source = "auto",
    store: ResultStore | None = None,
) -> list[Comparison]:
    """A table at those label ratios at which every system has results; arguments as for :func:`table_page`.

    Nothing is computed: this machine's results are read where ``source`` is ``run`` or ``stored``, else the committed ones.
    """
    looked_up: Source = "stored" if source in ("run", "stored") else "committed"
    problem: dict[str, Any] = {"preset": preset, "features": features, "protocol": protocol, "systems": systems}
    comparisons = [paper_table(table, dataset, ratio, seeds, source=looked_up, store=store, **problem) for ratio in RATIOS]
    return [comparison for comparison in comparisons if not comparison.unavailable]


def gate_reports(
    cells: Iterable[tuple[str, float]],
    store: ResultStore | None = None,
    lookup: Lookup | None = None,
    **settings: Unpack[FurtherFields],
) -> dict[tuple[str, float], GateReport]:
    """The gates of several data sets and label ratios.

    Args:
        cells: pairs of a data set and a label ratio.
        store: default: the store in the default folder.
        lookup: of records; default: the committed table, then the store.
        **settings: further fields of the experiments.
    """
    store = store or ResultStore()
    rows = decompositions(store)
    lookup = lookup or anywhere(store)
    return {cell: gates(*cell, lookup=lookup, decompositions=rows, **settings) for cell in cells}


def anywhere(store: ResultStore) -> Lookup:
    """Records of the committed table and, where it has none, of this machine."""
    metrics = store.metrics()

    def lookup(experiment: Experiment) -> Record | None:
        identity = experiment.identity()
        return store.committed(identity, metrics).record or store.read(identity_key(identity))

    return lookup


def marked(comparison: Comparison, store: ResultStore | None = None, **settings: Unpack[FurtherFields]) -> Comparison:
    """The comparison with a warning if a gate fails or was not computed.

    Args:
        comparison: which is to be marked.
        store: see :func:`gate_reports`.
        **settings: fields of the comparison's experiments, such as ``preset`` and ``features``. The detector is that of its table.
    """
    return marked_tabs(Tabs((comparison,)), store, **settings).comparisons[0]


def marked_tabs(tabs: Tabs, store: ResultStore | None = None, **settings: Unpack[FurtherFields]) -> Tabs:
    """Each comparison :func:`marked`."""
    cells = dict.fromkeys((c.dataset, c.label_ratio) for c in tabs.comparisons)
    detectors = {row.get("detector", "spot") for c in tabs.comparisons if c.table for row in TABLES[c.table].systems.values()}
    detector = detectors.pop() if len(detectors) == 1 else "spot"
    fields: FurtherFields = {"detector": detector, **settings}
    reports = gate_reports(cells, store, **fields)
    return replace(tabs, comparisons=tuple(replace(c, mark=reports[c.dataset, c.label_ratio].mark) for c in tabs.comparisons))


def gates_findings(reports: Iterable[GateReport]) -> str:
    """On which data the gates hold, in a sentence or two (Markdown)."""
    reports = list(reports)
    held = [escaped(report.title) for report in reports if report.passed]
    text = f"**All gates hold in {len(held)} of {len(reports)} cells{': ' if held else ''}{'; '.join(held)}.**"
    failing = [f"{escaped(report.title)}: {', '.join(f'({gate.name})' for gate in report.failing)}" for report in reports if report.failing]
    unknown = [escaped(report.title) for report in reports if report.passed is None]
    text += f" A gate fails on {'; '.join(failing)}." if failing else ""
    return text + (f" No gate fails, but some were not computed, on {'; '.join(unknown)}." if unknown else "")
