"""The tables: which runs are behind each, computed or looked up."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import pandas as pd

from nontarget.config import check_choice
from nontarget.experiment import Experiment
from nontarget.parallel import run_all
from nontarget.results import Found, Record, ResultStore, identity_key
from nontarget.study.comparison import Comparison, Tabs, paired_interval
from nontarget.study.systems import MAIN_SYSTEMS, TABLES, seeds_of

__all__ = [
    "RATIOS", "Comparison", "Source", "Tabs", "compare", "complete_ratios", "current_tables",
    "paired_interval", "paper_table", "table1",
]  # fmt: skip

Source = Literal["auto", "run", "stored", "committed"]
RATIOS = (0.1, 0.2, 0.4, 0.6)  # Sec. 4.2


def paper_table(
    name: str = "table1",
    dataset: str = "thumos14-sim",
    label_ratio: float = 0.1,
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    features: str | None = None,
    systems: Sequence[str] | None = None,
    source: Source = "run",
    store: ResultStore | None = None,
    **options: Any,
) -> Comparison:
    """A table of the paper, or one that this project added, for one data set and label ratio.

    Args:
        name: one of ``nontarget.study.systems.TABLES``.
        dataset: see :func:`nontarget.data.load_dataset`.
        label_ratio: share of labelled training videos.
        seeds: how many, or which; see :func:`nontarget.study.systems.seeds_of`.
        preset: ``small`` or ``full``.
        features: a feature folder to use instead.
        systems: some of the table's systems; for ``table1`` any learning rule. Default: all.
        source: ``run`` reads what was computed on this machine and computes the rest; ``auto`` takes what the committed table has that
            is current, and runs the rest; ``stored`` reads this machine's results alone, ``committed`` the committed table alone: what
            is missing or stale there is said to be, and not used.
        store: default: the store in the default folder.
        **options: of :func:`nontarget.parallel.run_all`.
    """
    check_choice("table", name, TABLES)
    plain = Experiment(dataset=dataset, label_ratio=label_ratio, preset=preset, features=features)
    chosen = TABLES[name].experiments(plain, systems)
    return compare(chosen, seeds, source=source, store=store, table=name, reference=TABLES[name].reference, **options)


def table1(dataset: str = "thumos14-sim", label_ratio: float = 0.1, seeds: int | Sequence[int] = 3, **options: Any) -> Comparison:
    """Table 1 of the paper with its main systems, see :func:`paper_table`."""
    return paper_table("table1", dataset, label_ratio, seeds, **{"systems": MAIN_SYSTEMS, **options})


def complete_ratios(name: str = "table1", ratios: Sequence[float] = RATIOS, **options: Any) -> list[Comparison]:
    """:func:`paper_table` at those label ratios at which every system has results, in ``source="stored"`` or ``"committed"``."""
    found = [paper_table(name, label_ratio=ratio, **options) for ratio in ratios]
    return [comparison for comparison in found if not comparison.unavailable]


def current_tables(
    name: str,
    datasets: Sequence[str],
    ratios: Sequence[float] = RATIOS,
    seeds: int | Sequence[int] = 3,
    *,
    source: Source = "committed",
    store: ResultStore | None = None,
) -> Tabs:
    """:func:`paper_table` for those data sets and label ratios of which two systems at least have results; the others are named."""
    found = [paper_table(name, d, r, seeds, source=source, store=store) for d in datasets for r in ratios]
    kept = [c for c in found if c.maps.index.unique("system").size > 1]
    absent: dict[str, list[str]] = {}
    for c in found:
        if all(c is not other for other in kept):
            absent.setdefault(c.dataset, []).append(f"{100 * c.label_ratio:g}")
    missing = tuple(f"{dataset} {', '.join(shares)} %" for dataset, shares in absent.items())
    return Tabs(tuple(kept), f"{name}-all", missing)


def compare(
    systems: dict[str, Experiment],
    seeds: int | Sequence[int],
    *,
    source: Source = "run",
    store: ResultStore | None = None,
    table: str = "",
    reference: str = "baseline",
    **options: Any,
) -> Comparison:
    """Run, or look up, several systems over the same seeds.

    Arguments as for :func:`paper_table`; ``systems`` maps the name of a row to its experiment, whose seed is replaced.
    """
    store = store or ResultStore()
    if not systems:
        raise ValueError("nothing to compare: no systems")
    experiments = {(name, seed): replace(e, seed=seed) for name, e in systems.items() for seed in seeds_of(e.rule, seeds)}
    unavailable: list[str] = []
    partial: list[str] = []
    if source in ("auto", "run"):
        found = _computed(experiments, source, store, options)
    else:
        found = _looked_up(experiments, source, store, unavailable, partial)
    any_of = next(iter(systems.values()))
    identity = any_of.identity()
    columns = [f"{t:g}" for t in identity["protocol"]["tiou_thresholds"]] + ["avg"]
    about = identity["dataset"]
    maps = pd.DataFrame([record["scores"] for record in found.values()], columns=columns).mul(100)
    maps.index = pd.MultiIndex.from_tuples(found, names=["system", "seed"]) if found else _NO_RUNS
    return Comparison(
        about["name"],
        about["simulated"],
        any_of.label_ratio,
        maps,
        tuple(found.values()),
        tuple(unavailable),
        table,
        reference,
        tuple(name for name, e in systems.items() if e.inference_settings.get("external_scores")),
        tuple(partial),
    )


def _computed(
    experiments: dict[tuple[str, int], Experiment], source: Source, store: ResultStore, options: dict[str, Any]
) -> dict[tuple[str, int], Record]:
    """All records: with ``auto`` those of the committed table where they are current, the rest from this machine or computed now."""
    known: dict[tuple[str, int], Record] = {}
    if source == "auto":
        metrics = store.metrics()
        found = {key: store.committed(experiment.identity(), metrics).record for key, experiment in experiments.items()}
        known = {key: record for key, record in found.items() if record is not None}
    todo = {key: experiment for key, experiment in experiments.items() if key not in known}
    computed = dict(zip(todo, run_all(list(todo.values()), store, **options), strict=True)) if todo else {}
    return {key: known.get(key) or computed[key] for key in experiments}


def _looked_up(
    experiments: dict[tuple[str, int], Experiment], source: Source, store: ResultStore, unavailable: list[str], partial: list[str]
) -> dict[tuple[str, int], Record]:
    """Records that are there; a system without any is named, and one of which some are missing or stale."""
    check_choice("source", source, get_args(Source))
    metrics = store.metrics() if source == "committed" else None
    found = {}
    for key, experiment in experiments.items():
        identity = experiment.identity()
        record = store.read(identity_key(identity)) if metrics is None else None
        found[key] = store.committed(identity, metrics) if metrics is not None else Found("current" if record else "missing", record)
    for name in dict.fromkeys(name for name, _ in experiments):
        states = pd.Series({seed: f.status for (system, seed), f in found.items() if system == name})
        lacking = states[states != "current"]
        if len(lacking) == len(states):
            unavailable.append(f"{name}: no current {source} result (seeds {_listed(lacking.index)} {' or '.join(sorted(set(lacking)))})")
        elif len(lacking):
            partial.append(f"{name}: {len(states) - len(lacking)} of {len(states)} seeds")
    return {key: f.record for key, f in found.items() if f.record is not None}


def _listed(numbers: Sequence[int]) -> str:
    return f"{min(numbers)} to {max(numbers)}" if len(numbers) > 2 else " and ".join(map(str, numbers))


_NO_RUNS = pd.MultiIndex.from_arrays([[], []], names=["system", "seed"])
