"""A committed result is what this code computes."""

from pathlib import Path

import pytest

from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore

# Kernels for SSE, AVX2 and AVX-512, and one or two threads, agreed to four digits; the standard deviation over seeds is about 0.01.
TOLERANCE = 0.003


@pytest.mark.slow
def test_a_committed_run_can_be_repeated(tmp_path):
    experiment = Experiment("thumos14-sim", "ours", label_ratio=0.1, seed=0)
    committed = ResultStore(Path(__file__).parents[1] / "results").committed(experiment.identity())
    assert committed.status == "current"
    record = run(experiment, ResultStore(tmp_path), device="cpu")
    assert record["key"] == committed.record["key"]
    assert record["scored"].keys() == committed.record["scored"].keys()
    for tiou, value in record["scores"].items():
        assert committed.record["scores"][tiou] == pytest.approx(value, abs=TOLERANCE), tiou
