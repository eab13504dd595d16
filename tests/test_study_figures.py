"""The figures of the study draw what they are given, and say what is not there."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from test_study_when import bent, points

from nontarget.plotting import study
from nontarget.study.decomposition import AS_IS, ORACLES, TRIVIAL
from nontarget.study.shares import sets_by_temperature
from nontarget.study.when import GainMap, place


def drawn(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_decomposition(tmp_path):
    names = [AS_IS, *ORACLES, *TRIVIAL]
    full = pd.DataFrame({"avg": np.linspace(10, 90, len(names))}, index=names)
    text = drawn(study.decomposition({"a (real)": full, "b (simulated)": full.iloc[:5]}), tmp_path)
    assert "oracle ranking" in text
    assert "not computed" in text
    with pytest.raises(ValueError, match="no data set"):
        study.decomposition({})


def test_gates_are_readable_without_colour(tmp_path):
    states = pd.DataFrame({"a": [True, False], "b": [None, True]}, index=["x, 10 %", "y, 20 %"], dtype=object)
    text = drawn(study.gate_table(states), tmp_path)
    for sign in ("\N{CHECK MARK}", "\N{MULTIPLICATION SIGN}", "?"):
        assert sign in text
    assert "not computed" in text


def test_sets_by_temperature(tmp_path):
    frame = sets_by_temperature([[0.45, 0.42, 0.13], [0.7, 0.2, 0.1], [0.45, 0.35, 0.2]], [1, 2, 1])
    text = drawn(study.subspaces_by_temperature({"svm": frame, "cnn": frame}, {"svm": 0.5}), tmp_path)
    assert "lowest log loss" in text
    with pytest.raises(ValueError, match="no teacher"):
        study.subspaces_by_temperature({})


@pytest.mark.parametrize("grid", [(0.1, 0.5), (0.0, 0.2, 0.35, 0.5)])
def test_gain_map(tmp_path, grid):
    fitted = GainMap.fit(points(bent, grid))
    sets = place(fitted, pd.DataFrame({"positive": [0.2, 0.8], "negative": [0.2, 0.1]}, index=["hapt", "salads50"]))
    text = drawn(study.gain_map(fitted, sets, steps=12), tmp_path)
    assert "hapt: " in text
    assert "extrapolated" in text
    drawn(study.gain_map(fitted, steps=12), tmp_path)
