"""Explanations of failing gates, on made-up records whose differences are known."""

import pandas as pd
import pytest

from nontarget.study.decomposition import AS_IS
from nontarget.study.failures import explanation, failures
from nontarget.study.gates import Gate, GateReport

NUMBERS = {"fully supervised": 90.0, "oracle": 88.0, "pre-trained only": 70.0, "supervised only": 72.0, "baseline": 69.0}


def lookup(experiment):
    value = 85.0 if experiment.label_ratio == 0.4 else NUMBERS[experiment.rule]
    shares = {"reconstruction": 0.7 if experiment.rule == "supervised only" else 0.3, "labeled": 0.2, "unlabeled_class": 0.1}
    return {"scores": {"avg": (value + 0.1 * experiment.seed) / 100}, "gradient_share": {"selftrain": shares}}


def report(gate):
    return GateReport("salads50", False, 0.1, 5, (Gate(gate, "?", False, "It failed."), Gate("b", "?", True, "It held.")))


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
    text = explanation(report(gate), gate, lookup, decompositions())
    assert all(part in text for part in expected), text


def test_only_failing_gates_are_explained():
    table = failures([report("c")], lookup, decompositions())
    assert list(table.cells["Gate"]) == ["(c)"]
    assert "+18.0" in table.cells["What the oracles say"].iloc[0]


def test_what_is_missing_is_said():
    assert "missing" in explanation(report("c"), "c", lambda experiment: None, decompositions())
    assert "missing" in explanation(report("f"), "f", lookup, decompositions().iloc[:2])
