"""Compute every result that the book shows, and put it into the committed table: ``python -m nontarget.reproduce --help``."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from nontarget.data import available
from nontarget.data.simulate import TWINS
from nontarget.experiment import Experiment
from nontarget.parallel import run_all
from nontarget.readings import readings_experiments
from nontarget.results import ResultStore, identity_key
from nontarget.study.calibration import calibration_experiments
from nontarget.systems import TABLES, table_experiments
from nontarget.tables import RATIOS

REAL = {"hapt": RATIOS, "nips4b": (0.2, 0.4, 0.6), "precog16": RATIOS}  # at 10 % some classes of nips4b have no label


PARTS = (*TABLES, "readings")
"""What there is to compute: the tables, and the alternatives to what the paper leaves open."""


def book_experiments(
    datasets: Sequence[str], tables: Sequence[str] = PARTS, ratios: Sequence[float] = RATIOS, seeds: int = 3
) -> list[Experiment]:
    """Every experiment behind the book's pages, for these data sets, parts and ratios; one that several share is listed once."""
    experiments: list[Experiment] = []
    for dataset in datasets:
        if dataset in TWINS and "table1" in tables:
            experiments += calibration_experiments(dataset, ratios)
        if "readings" in tables and 0.1 in ratios and 0.1 in REAL.get(dataset, RATIOS):
            experiments += [replace(e, seed=s) for e in readings_experiments(Experiment(dataset)).values() for s in range(seeds)]
        for table in [table for table in tables if table in TABLES]:
            if table == "external" and dataset not in TWINS:
                continue  # the real sets here have no external scores
            possible = (0.1,) if table == "lambda" else REAL.get(dataset, RATIOS)
            for ratio in [ratio for ratio in possible if ratio in ratios]:
                experiments += table_experiments(table, Experiment(dataset, label_ratio=ratio), range(seeds))
    return list({identity_key(e.identity()): e for e in experiments}.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    here = [name for name in available() if name in TWINS or name in REAL]
    parser = argparse.ArgumentParser(prog="python -m nontarget.reproduce", description=__doc__)
    parser.add_argument("datasets", nargs="*", default=here, help=f"default: those that are here ({', '.join(here)})")
    parser.add_argument("--tables", nargs="+", default=list(PARTS), choices=PARTS, help="default: all")
    parser.add_argument("--ratios", nargs="+", type=float, default=list(RATIOS), choices=RATIOS, help="default: all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, help="processes; default: one a CPU core")
    parser.add_argument("--recompute", action="store_true", help="also what has been computed on this machine already")
    parser.add_argument("--missing", action="store_true", help="only what the committed table lacks, or has of other code or data")
    chosen = parser.parse_args(arguments)
    store = ResultStore()
    experiments = book_experiments(chosen.datasets, chosen.tables, chosen.ratios)
    if chosen.missing:
        metrics = store.metrics()
        experiments = [e for e in experiments if store.committed(e.identity(), metrics).status != "current"]
    records = run_all(experiments, store, device=chosen.device, workers=chosen.workers, recompute=chosen.recompute)
    print(f"{store.metrics_path}: {len(records)} runs added or renewed, {store.commit(records)} in all")


if __name__ == "__main__":
    main()
