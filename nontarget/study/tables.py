"""The tables of the book: their runs are computed, or looked up, and compared.

The rows are those of ``nontarget.study.systems.TABLES``; what is returned renders itself, on a page and in a notebook.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypedDict, Unpack, get_args

import pandas as pd

from nontarget.config import check_choice
from nontarget.experiment import Experiment
from nontarget.parallel import run_all
from nontarget.protocols import describe, named_settings
from nontarget.results import Found, Record, ResultStore, identity_key
from nontarget.study.comparison import Comparison
from nontarget.study.systems import MAIN_SYSTEMS, TABLES, seeds_of
from nontarget.study.tabs import Tabs

Source = Literal["auto", "run", "stored", "committed"]
"""Where results come from. ``run``: from this machine, which computes what it lacks. ``auto``: from the committed table where that is
current, and otherwise as ``run``. ``stored``: from this machine only. ``committed``: from the committed table only. With the last two
nothing is computed; what is missing or stale is named, and not used."""
RATIOS = (0.1, 0.2, 0.4, 0.6)  # Sec. 4.2
_Runs = Mapping[tuple[str, int], Experiment]
"""The experiments of a comparison, by system and seed."""


class RunOptions(TypedDict, total=False):
    """How missing runs are computed, see :func:`nontarget.parallel.run_all`."""

    device: str
    workers: int | None
    recompute: bool
    progress: bool


_DEFAULT_OPTIONS: RunOptions = {"device": "auto", "workers": None, "recompute": False, "progress": True}


def paper_table(
    name: str = "table1",
    dataset: str = "thumos14-sim",
    label_ratio: float = 0.1,
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    features: str | None = None,
    protocol: str | None = None,
    systems: Sequence[str] | None = None,
    source: Source = "run",
    store: ResultStore | None = None,
    **options: Unpack[RunOptions],
) -> Comparison:
    """A table of the paper, or one that this book adds, for one data set and label ratio.

    Args:
        name: one of ``nontarget.study.systems.TABLES``.
        dataset: see :func:`nontarget.data.load_dataset`.
        label_ratio: share of labelled training videos.
        seeds: how many, or which; see :func:`nontarget.study.systems.seeds_of`.
        preset: ``small`` or ``full``.
        features: a feature folder to use instead of a data set's name.
        protocol: one of the field's, by name (:func:`nontarget.protocols.available`); default: the data set's own.
        systems: the rows to take, which may be any learning rule; default: all rows of the table.
        source: where results come from, see :data:`Source`.
        store: default: the store in the default folder.
        **options: how missing runs are computed.

    Raises:
        ValueError: an unknown name or setting, or an option that cannot matter since nothing is computed with this ``source``.
    """
    check_choice("table", name, TABLES)
    plain = Experiment(
        dataset=dataset, label_ratio=label_ratio, preset=preset, features=features, protocol_settings=named_settings(protocol)
    )
    chosen = TABLES[name].experiments(plain, systems)
    return compare(chosen, seeds, source=source, store=store, table=name, reference=TABLES[name].reference, **options)


def table1(
    dataset: str = "thumos14-sim",
    label_ratio: float = 0.1,
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    features: str | None = None,
    protocol: str | None = None,
    systems: Sequence[str] | None = MAIN_SYSTEMS,
    source: Source = "run",
    store: ResultStore | None = None,
    **options: Unpack[RunOptions],
) -> Comparison:
    """Table 1 of the paper with its main systems; arguments as for :func:`paper_table`."""
    return paper_table(
        "table1", dataset, label_ratio, seeds,
        preset=preset, features=features, protocol=protocol, systems=systems, source=source, store=store, **options,
    )  # fmt: skip


def current_tables(
    name: str,
    cells: Iterable[tuple[str, float]],
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    source: Source = "committed",
    store: ResultStore | None = None,
) -> Tabs:
    """:func:`paper_table` for several data sets and label ratios; those where fewer than two systems have results are only named.

    Args:
        name: one of ``nontarget.study.systems.TABLES``.
        cells: pairs of a data set and a label ratio.
        seeds: see :func:`paper_table`, as for all that follows.
        preset: ``small`` or ``full``.
        source: ``stored`` or ``committed``.
        store: default: the store in the default folder.
    """
    tables = [paper_table(name, dataset, ratio, seeds, preset=preset, source=source, store=store) for dataset, ratio in cells]
    visible = [len(table.mean) > 1 for table in tables]
    absent: dict[str, list[str]] = {}
    for table, is_shown in zip(tables, visible, strict=True):
        if not is_shown:
            absent.setdefault(table.dataset, []).append(f"{100 * table.label_ratio:g}")
    missing = tuple(f"{dataset} {', '.join(shares)} %" for dataset, shares in absent.items())
    return Tabs(tuple(table for table, is_shown in zip(tables, visible, strict=True) if is_shown), f"{name}-all", missing)


def compare(
    systems: Mapping[str, Experiment],
    seeds: int | Sequence[int],
    *,
    source: Source = "run",
    store: ResultStore | None = None,
    table: str = "",
    reference: str = "baseline",
    **options: Unpack[RunOptions],
) -> Comparison:
    """Run, or look up, several systems over the same seeds.

    Args:
        systems: name of a row -> its experiment, whose seed is replaced.
        seeds: see :func:`paper_table`, as for ``source``, ``store`` and ``options``.
        source: where results come from.
        store: of records.
        table: the table's name, if the systems are those of one.
        reference: the row that the others are compared with.
        **options: how missing runs are computed.

    Raises:
        ValueError: see :func:`paper_table`; also if there are no systems.
    """
    check_choice("source", source, get_args(Source))
    if not systems:
        raise ValueError("nothing to compare: no systems")
    store = store or ResultStore()
    experiments = {(name, seed): replace(e, seed=seed) for name, e in systems.items() for seed in seeds_of(e.rule, seeds)}
    unavailable: list[str] = []
    partial: list[str] = []
    if source in ("auto", "run"):
        records = _computed(experiments, source, store, options)
    else:
        _refuse_options(source, options)
        records, unavailable, partial = _looked_up(experiments, source, store)
    any_of = next(iter(systems.values()))
    identity = any_of.identity()
    columns = [f"{t:g}" for t in identity["protocol"]["tiou_thresholds"]] + ["avg"]
    maps = pd.DataFrame([record["scores"] for record in records.values()], columns=columns).mul(100)
    maps.index = pd.MultiIndex.from_tuples(records, names=["system", "seed"]) if records else _NO_RUNS
    return Comparison(
        dataset=identity["dataset"]["name"],
        simulated=identity["dataset"]["simulated"],
        label_ratio=any_of.label_ratio,
        maps=maps,
        records=tuple(records.values()),
        unavailable=tuple(unavailable),
        table=table,
        reference=reference,
        helped=tuple(name for name, e in systems.items() if e.inference_settings.get("external_scores")),
        partial=tuple(partial),
        protocol=describe(identity["protocol"]),
    )


def _refuse_options(source: Source, options: RunOptions) -> None:
    """Raise if an option is set that says how runs are computed, since with this source none is."""
    for name, value in options.items():
        check_choice("option", name, _DEFAULT_OPTIONS)
        if value != dict(_DEFAULT_OPTIONS)[name]:
            raise ValueError(f"{name}={value!r} has no effect with source={source!r}, which computes nothing; use source='run' or 'auto'")


def _computed(experiments: _Runs, source: Source, store: ResultStore, options: RunOptions) -> dict[tuple[str, int], Record]:
    """All records: with ``auto`` from the committed table where that is current, otherwise from this machine, computed if need be."""
    current: dict[tuple[str, int], Record] = {}
    if source == "auto" and not options.get("recompute"):
        metrics = store.metrics()
        committed = {key: store.committed(experiment.identity(), metrics).record for key, experiment in experiments.items()}
        current = {key: record for key, record in committed.items() if record is not None}
    lacking = {key: experiment for key, experiment in experiments.items() if key not in current}
    computed = dict(zip(lacking, run_all(list(lacking.values()), store, **options), strict=True)) if lacking else {}
    return {key: current.get(key) or computed[key] for key in experiments}


def _looked_up(experiments: _Runs, source: Source, store: ResultStore) -> tuple[dict[tuple[str, int], Record], list[str], list[str]]:
    """The records that there are; the systems without any, with the reason; and those that lack some, with the number they have."""
    metrics = store.metrics() if source == "committed" else None
    entries = {}
    for key, experiment in experiments.items():
        identity = experiment.identity()
        record = store.read(identity_key(identity)) if metrics is None else None
        entries[key] = store.committed(identity, metrics) if metrics is not None else Found("current" if record else "missing", record)
    unavailable, partial = [], []
    for name in dict.fromkeys(name for name, _ in experiments):
        states = pd.Series({seed: entry.status for (system, seed), entry in entries.items() if system == name})
        lacking = states[states != "current"]
        if len(lacking) == len(states):
            unavailable.append(f"{name}: no current {source} result (seeds {_listed(lacking.index)} {' or '.join(sorted(set(lacking)))})")
        elif len(lacking):
            partial.append(f"{name}: {len(states) - len(lacking)} of {len(states)} seeds")
    return {key: entry.record for key, entry in entries.items() if entry.record is not None}, unavailable, partial


def _listed(numbers: Sequence[int]) -> str:
    return f"{min(numbers)} to {max(numbers)}" if len(numbers) > 2 else " and ".join(map(str, numbers))


_NO_RUNS = pd.MultiIndex.from_arrays([[], []], names=["system", "seed"])
