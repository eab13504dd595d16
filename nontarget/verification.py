"""Committed results, computed again: the same configuration, seed, library versions and kind of processor give the same numbers."""

import json
import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from nontarget.experiment import Experiment, run
from nontarget.results import METRIC_COLUMNS, ResultStore, identity_key, metric_rows

_OF_THE_MACHINE = ("seconds", "device", "torch", "commit", "date")
"""Columns that say when and where a run was computed."""


@dataclass(frozen=True)
class CommittedRun:
    """A run of the committed table that this code, with this version of torch, can repeat on a CPU."""

    experiment: Experiment
    rows: pd.DataFrame
    """Its rows, one for each tIoU."""

    @property
    def title(self) -> str:
        """What it is, in a line."""
        e, row = self.experiment, self.rows.iloc[0]
        settings = "" if row["settings"] == "{}" else f", {row['settings']}"
        return f"{e.dataset}, {100 * e.label_ratio:g} %, {e.detector}, {e.rule}{settings}, seed {e.seed} ({row['key']})"


def repeatable_runs(store: ResultStore | None = None, seed: int | None = None) -> Iterator[CommittedRun]:
    """The committed runs of this code and torch, on data that are at hand, with one CPU thread.

    Args:
        store: whose table is read.
        seed: of the order; None: those that took the fewest seconds come first.
    """
    metrics = (store or ResultStore()).metrics()
    whole = metrics[(metrics["tiou"] == "avg") & (metrics["torch"] == torch.__version__) & metrics["device"].str.startswith("cpu")]
    ordered = whole.sort_values("seconds", kind="stable").to_dict("records")
    if seed is not None:
        random.Random(seed).shuffle(ordered)
    for row in ordered:
        try:
            experiment = experiment_of(row)
            key = identity_key(experiment.identity())
        except (TypeError, ValueError):  # a setting or rule that there is no more
            continue
        if key == row["key"]:
            yield CommittedRun(experiment, metrics[metrics["key"] == key])


def experiment_of(row: Mapping[Any, Any]) -> Experiment:
    """The experiment that a row of the committed table is of.

    Raises:
        TypeError, ValueError: this version of the code does not know it.
    """
    fields = ("dataset", "rule", "label_ratio", "seed", "preset", "detector")
    return Experiment(**{name: row[name] for name in fields}, **json.loads(row["settings"]))


def differences(committed: CommittedRun, tolerance: float = 0.0) -> list[str]:
    """Compute a run again, from nothing, and say in which cells of the table it differs from what is committed; nothing: it is the same.

    Args:
        committed: the run.
        tolerance: largest difference of a mAP, in [0, 1], that is let pass, for a processor of another kind, whose kernels add up in
            another order. With 0 every cell is compared to its last digit, also counts and the coverage of the partition's sets.
    """
    with tempfile.TemporaryDirectory(prefix="nontarget-") as folder:
        record = run(committed.experiment, ResultStore(folder), device="cpu")
    computed = pd.DataFrame(metric_rows(record), columns=METRIC_COLUMNS).set_index("tiou")
    expected = committed.rows.set_index("tiou").reindex(columns=computed.columns)
    columns = [c for c in computed if c not in _OF_THE_MACHINE] if tolerance == 0 else ["mean_ap"]
    deviations = []
    for tiou in computed.index.union(expected.index, sort=False):
        for column in columns:
            was, now = (_cell(frame, tiou, column) for frame in (expected, computed))
            same = was == now if tolerance == 0 or was is None or now is None else abs(was - now) <= tolerance
            if not same:
                deviations.append(f"{column} at tIoU {tiou}: committed {was!r}, computed {now!r}")
    return deviations


def _cell(frame: pd.DataFrame, tiou: str, column: str) -> Any:
    """A value as the table's text has it; None: an empty cell, or no such row."""
    if tiou not in frame.index:
        return None
    value = frame.loc[tiou, column]
    return None if pd.isna(value) or value == "" else value
