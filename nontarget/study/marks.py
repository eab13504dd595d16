"""Marks under comparisons where the instrument is not known to tell rules apart."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nontarget.experiment import Experiment
from nontarget.results import Record, ResultStore, identity_key
from nontarget.study.comparison import Comparison, Tabs
from nontarget.study.gates import GateReport, Lookup, gates
from nontarget.study.report import decompositions
from nontarget.study.systems import TABLES


def gate_reports(
    cells: list[tuple[str, float]], store: ResultStore | None = None, lookup: Lookup | None = None, **settings: Any
) -> dict[tuple[str, float], GateReport]:
    """The gates of several data sets and label ratios, from committed rows and this machine's records.

    Args:
        cells: data sets with label ratios.
        store: default: the store in the default folder.
        lookup: of records; default: the committed table, then the store.
        **settings: further fields of :class:`nontarget.experiment.Experiment`.
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


def marked(comparison: Comparison, store: ResultStore | None = None, **settings: Any) -> Comparison:
    """A comparison that says where a gate fails or was not computed.

    Args:
        comparison: what is to be marked.
        store: see :func:`gate_reports`.
        **settings: fields of the comparison's experiments: ``preset``, ``features``. The detector is that of its table.
    """
    return marked_tabs(Tabs((comparison,)), store, **settings).comparisons[0]


def marked_tabs(tabs: Tabs, store: ResultStore | None = None, **settings: Any) -> Tabs:
    """Every comparison of a table, :func:`marked`."""
    cells = dict.fromkeys((c.dataset, c.label_ratio) for c in tabs.comparisons)
    names = {rows.get("detector", "spot") for c in tabs.comparisons if c.table for rows in TABLES[c.table].systems.values()}
    detector = names.pop() if len(names) == 1 else "spot"
    reports = gate_reports(list(cells), store, **{"detector": detector, **settings})
    return replace(tabs, comparisons=tuple(replace(c, mark=reports[c.dataset, c.label_ratio].mark) for c in tabs.comparisons))


def gates_findings(reports: Iterable[GateReport]) -> str:
    """On which data the gates hold, in a sentence or two (Markdown)."""
    reports = list(reports)
    held = [report.title for report in reports if report.passed]
    text = f"**All gates hold in {len(held)} of {len(reports)} cells{': ' if held else ''}{'; '.join(held)}.**"
    failing = [f"{report.title}: {', '.join(f'({gate.name})' for gate in report.failing)}" for report in reports if report.failing]
    unknown = [report.title for report in reports if report.passed is None]
    text += f" A gate fails on {'; '.join(failing)}." if failing else ""
    return text + (f" Not computed, or not in full, though nothing fails: {'; '.join(unknown)}." if unknown else "")
