"""A committed result is what this code computes."""

import json
from pathlib import Path

import pytest

from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore

# Kernels for SSE, AVX2 and AVX-512, and one or two threads, agreed to four digits; the standard deviation over seeds is about 0.01.
TOLERANCE = 0.003


def experiment_of(row):
    """The experiment that a row of the committed table is of."""
    fields = ("dataset", "rule", "label_ratio", "seed", "preset", "detector")
    return Experiment(**{name: row[name] for name in fields}, **json.loads(row["settings"]))


def cheapest_current(store):
    """The cheapest committed run of a twin that is of this code, and its experiment; None if there is none."""
    metrics = store.metrics()
    rows = metrics[(metrics["tiou"] == "avg") & metrics["simulated"].astype(bool)].sort_values("seconds", kind="stable")
    for row in rows.to_dict("records"):
        try:
            experiment = experiment_of(row)
            committed = store.committed(experiment.identity(), metrics)
        except (TypeError, ValueError):  # a setting or rule that there is no more
            continue
        if committed.status == "current":
            return experiment, committed.record
    return None


@pytest.mark.slow
def test_a_committed_run_can_be_repeated(tmp_path):
    store = ResultStore(Path(__file__).parents[1] / "results")
    found = cheapest_current(store)
    assert found is not None, f"{store.metrics_path}: no run of a twin is of this code; run `python -m nontarget.reproduce` and commit it"
    experiment, committed = found
    record = run(experiment, ResultStore(tmp_path), device="cpu")
    assert record["key"] == committed["key"]
    assert record["scored"].keys() == committed["scored"].keys()
    for tiou, value in record["scores"].items():
        assert committed["scores"][tiou] == pytest.approx(value, abs=TOLERANCE), tiou
