"""Explanations of failing gates, on made-up records whose differences are known."""

import pandas as pd
import pytest

from nontarget.study.decomposition import AS_IS
from nontarget.study.failures import explanation, failures
from nontarget.study.gates import Gate, GateReport

NUMBERS = {
    "fully supervised": 90.0,
    "supervised only, 40 %": 85.0,
    "oracle": 88.0,
    "pre-trained only": 70.0,
    "supervised only": 72.0,
    "baseline": 69.0,
}


def record(name, seed):
    shares = {"reconstruction": 0.7 if name == "supervised only" else 0.3, "labeled": 0.2, "unlabeled_class": 0.1}
    return {"scores": {"avg": (NUMBERS[name] + 0.1 * seed) / 100}, "gradient_share": {"selftrain": shares}}


def report(gate, absent=False):
    records = {name: {seed: None if absent else record(name, seed) for seed in range(5)} for name in NUMBERS}
    gates = (Gate(gate, "?", False, "It failed."), Gate("b", "?", True, "It held."))
    return GateReport("salads50", False, 0.1, 5, gates, records)


def decompositions(masks=60.0):
    variants = {AS_IS: 30.0, "oracle classes": 37.0, "oracle masks": masks, "runs, contrast": 31.0}
    rows = [("salads50", 0.1, "supervised only", v, "avg", m) for v, m in variants.items()]
    return pd.DataFrame(rows, columns=["dataset", "label_ratio", "rule", "variant", "tiou", "mean_ap"])


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("a", ["94 %", "+18.0"]),
        ("b", ["90 % of the gap", "(70.2)", "(90.2)"]),
        ("d", ["70 % for", "30 % for"]),
        ("c", ["+18.0", "+2.0"]),
        ("f", ["30.0 points", "7.0:"]),
    ],
)
def test_numbers_of_the_explanation(gate, expected):
    text = explanation(report(gate), gate, decompositions())
    assert all(part in text for part in expected), text


def test_only_failing_gates_are_explained():
    table = failures([report("c")], decompositions())
    assert list(table.cells["Gate"]) == ["(c)"]
    assert "+18.0" in table.cells["What the oracles say"].iloc[0]


def test_what_is_missing_is_said():
    assert "missing" in explanation(report("c", absent=True), "c", decompositions())
    assert "missing" in explanation(report("f"), "f", decompositions().iloc[:2])
