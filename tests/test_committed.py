"""A committed result is what this code computes."""

import shutil
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from helpers import TINY

from nontarget.cli import main
from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore
from nontarget.runtime.provenance import provenance
from nontarget.runtime.tables import write_table
from nontarget.verification import differences, repeatable_runs

ROOT = Path(__file__).parents[1]
# Kernels for SSE, AVX2 and AVX-512 agreed to four digits; the standard deviation over seeds is about 0.01.
TOLERANCE = 0.003


@pytest.mark.slow
def test_committed_runs_can_be_repeated():
    """Some cheap ones: to the last digit on a processor of the same name, with a tolerance on another."""
    import torch

    here = provenance(torch.device("cpu"), 1)["device"]
    store = ResultStore(ROOT / "results")
    found = list(islice(repeatable_runs(store), 3))
    assert found, f"{store.metrics_path}: no run of a twin is of this code; run `python -m nontarget.reproduce` and commit it"
    for committed in found:
        same_processor = set(committed.rows["device"]) == {here}
        assert differences(committed, 0.0 if same_processor else TOLERANCE) == [], committed.title


@pytest.fixture
def store(tmp_path):
    """Two committed runs, in the folder that commands look in by default."""
    store = ResultStore(tmp_path / "results")
    store.commit([run(Experiment(**TINY, seed=seed), store, device="cpu", progress=False) for seed in (0, 1)])
    shutil.rmtree(store.runs_folder)
    return store


def verify(*arguments, code=0):
    done = CliRunner().invoke(main, ["results", "verify", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def changed(store, **cells):
    """The table with a cell changed in the first run's average, as if it had been computed so."""
    metrics = store.metrics()
    at = metrics.index[metrics["tiou"] == "avg"][0]
    for column, value in cells.items():
        metrics.loc[at, column] = value
    write_table(store.metrics_path, metrics)


def test_verify_compares_to_the_last_digit(store):
    assert "2 of 2 runs are the same" in verify("--sample", "5", "--seed", "0")
    value = store.metrics().query("tiou == 'avg'")["mean_ap"].iloc[0]
    changed(store, mean_ap=value + 1e-6)
    output = verify("--sample", "2", code=1)
    assert f"mean_ap at tIoU avg: committed {value + 1e-6!r}, computed {value!r}" in output
    assert "1 of 2 runs are the same" in output
    assert "2 of 2" in verify("--sample", "2", "--tolerance", "0.001")


def test_verify_names_every_cell_that_differs(store):
    changed(store, num_detections=1, size_negative=0.0, gradient_share="{}", seconds=0.0, commit="other")
    output = verify("--cheapest", "--sample", "1", code=1)
    named = [line.split()[0] for line in output.splitlines() if line.startswith("  ")]
    assert named == ["num_detections", "gradient_share", "size_negative"]
    metrics = store.metrics()
    write_table(store.metrics_path, metrics[metrics["tiou"] != "0.5"])
    assert "mean_ap at tIoU 0.5: committed None, computed" in verify("--sample", "1", code=1)


def test_only_runs_that_can_be_the_same_are_verified(store):
    metrics = store.metrics()
    write_table(store.metrics_path, metrics.assign(torch="1.0"))
    assert "no committed run is of this code and this version of torch" in verify(code=2)
    other = metrics["seed"].where(metrics["seed"] == 0, 7)  # a row whose key is not that of its settings
    write_table(store.metrics_path, metrics.assign(seed=other))
    assert [c.experiment.seed for c in repeatable_runs(store)] == [0]


def test_the_cheapest_come_first_and_a_seed_gives_the_same_choice(store):
    metrics = store.metrics()
    write_table(store.metrics_path, metrics.assign(seconds=pd.Series([9.0, 1.0])[metrics["seed"]].to_numpy()))
    assert [c.experiment.seed for c in repeatable_runs(store)] == [1, 0]
    orders = [[c.experiment.seed for c in repeatable_runs(store, seed)] for seed in (*range(10), 0)]
    assert orders[0] == orders[-1]
    assert [0, 1] in orders
    assert [1, 0] in orders
