"""Compute every result that the book shows, and put it into the committed table: ``python -m nontarget.reproduce --help``.

Runs are computed one after another; :mod:`nontarget.study.sweep` spreads them over cores and machines.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nontarget.config import check_choice
from nontarget.data import available, book_datasets, defaults_of
from nontarget.data.simulate import TWINS
from nontarget.experiment import Experiment
from nontarget.parallel import run_all
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.interrupts import interruptible
from nontarget.study.calibration import calibration_experiments
from nontarget.study.gates import gate_experiments
from nontarget.study.open_questions import readings_experiments
from nontarget.study.report import REPORTS
from nontarget.study.systems import EXTRA, seeds_of, table_experiments

DATASETS = book_datasets()
"""The data sets of the book; the real ones are computed where they are at hand."""
PARTS = (
    "table1", "gates", "decomposition", "why", "table2", "table3", "table4", "table5", "calibration", "map",
    *(name for name in EXTRA if name != "why"), "readings",
)  # fmt: skip
"""What there is to compute, the most wanted first. ``decomposition``, ``why`` (a table of systems, too) and ``map`` leave a small table
of their own beside ``metrics.csv``: see :mod:`nontarget.study.report`."""
GATE_RATIOS = (0.1, 0.2)
_SEEDS = {"table1": 10}  # else 3


def main_ratio(dataset: str) -> float:
    """The label ratio of the book's tables: 10 %, or 20 % where at 10 % some classes have no label."""
    return defaults_of(dataset).label_ratio


def has_part(part: str, dataset: str) -> bool:
    """Whether the book has one of ``PARTS`` of a data set."""
    if part in ("calibration", "external"):
        return dataset in TWINS  # of the real sets none has external scores
    return part in ("table1", "why", "gates", "decomposition", "map") or defaults_of(dataset).book_tables == "all"


def part_experiments(
    part: str, dataset: str, ratios: Sequence[float] | None = None, seeds: int | Sequence[int] | None = None
) -> list[Experiment]:
    """The runs behind one part of the book on one data set; none where the book has no such page.

    Args:
        part: one of ``PARTS``.
        dataset: see :func:`nontarget.data.load_dataset`.
        ratios: label ratios; default: :func:`main_ratio`, and those of the gates.
        seeds: how many, or which (see :func:`nontarget.study.systems.seeds_of`); default: 10 for Table 1, else 3.
    """
    check_choice("part", part, PARTS)
    if not has_part(part, dataset):
        return []
    chosen = [main_ratio(dataset)] if ratios is None else list(ratios)
    if part == "calibration":
        return calibration_experiments(dataset)
    if part == "gates":
        return [e for ratio in ratios or GATE_RATIOS if ratio >= main_ratio(dataset) for e in gate_experiments(dataset, ratio)]
    if part == "decomposition":
        return [e for ratio in report_ratios(part, dataset, ratios) for e in REPORTS[part].experiments(dataset, ratio)]
    if part == "map":
        return [e for ratio in chosen for e in REPORTS[part].experiments(dataset, ratio)]
    seeds = seeds or _SEEDS.get(part, 3)
    plain = [Experiment(dataset, label_ratio=ratio) for ratio in chosen]
    if part == "readings":
        return [replace(e, seed=s) for p in plain for e in readings_experiments(p).values() for s in seeds_of(e.rule, seeds)]
    reported = [e for ratio in chosen for e in REPORTS[part].experiments(dataset, ratio)] if part in REPORTS else []
    return [*(e for p in plain for e in table_experiments(part, p, seeds)), *reported]


def report_ratios(part: str, dataset: str, ratios: Sequence[float] | None = None) -> list[float]:
    """The label ratios of a table of :mod:`nontarget.study.report`: those of the gates for the decomposition, else the book's."""
    if part == "decomposition":
        return [ratio for ratio in ratios or GATE_RATIOS if ratio >= main_ratio(dataset)]
    return [main_ratio(dataset)] if ratios is None else list(ratios)


def book_experiments(datasets: Sequence[str], parts: Sequence[str] = PARTS, ratios: Sequence[float] | None = None) -> list[Experiment]:
    """Every experiment behind the book's pages, for these data sets and parts; one that several share is listed once."""
    experiments = [e for part in parts for dataset in datasets for e in part_experiments(part, dataset, ratios)]
    return list({identity_key(e.identity()): e for e in experiments}.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    there = available()
    at_hand = [name for name in DATASETS if name in there]
    parser = argparse.ArgumentParser(prog="python -m nontarget.reproduce", description=__doc__.split(":")[0])
    parser.add_argument("datasets", nargs="*", default=at_hand, help=f"default: those that are at hand ({', '.join(at_hand)})")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, help="default: all")
    parser.add_argument("--ratios", nargs="+", type=float, help="default: each data set's own, as the book")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--recompute", action="store_true", help="also what has been computed on this machine already")
    parser.add_argument("--missing", action="store_true", help="only what the committed table lacks, or has of other code or data")
    chosen = parser.parse_args(arguments)
    store = ResultStore()
    kept = (
        f"finished runs and epochs are kept in {store.runs_folder}, committed ones in {store.folder}; the same command goes on from there"
    )
    with interruptible(kept):
        _reproduce(chosen, store)


def _reproduce(chosen: argparse.Namespace, store: ResultStore) -> None:
    store.prepare()
    store.prepare_commit()
    for part in set(chosen.parts) & set(REPORTS):
        REPORTS[part].prepare(store)
    for part in chosen.parts:
        for dataset in chosen.datasets:
            experiments = part_experiments(part, dataset, chosen.ratios)
            if chosen.missing:
                metrics = store.metrics()
                experiments = [e for e in experiments if store.committed(e.identity(), metrics).status != "current"]
            if experiments:
                records = run_all(experiments, store, device=chosen.device, workers=1, recompute=chosen.recompute)
                print(f"{part}, {dataset}: {len(records)} runs added or renewed, {store.commit(records)} in all", flush=True)
            if part in REPORTS:
                options: dict[str, Any] = {"device": chosen.device, "recompute": chosen.recompute}
                rows = REPORTS[part].update(dataset, report_ratios(part, dataset, chosen.ratios), store, **options)
                print(f"{part}.csv: {rows} rows", flush=True)


if __name__ == "__main__":
    main()
