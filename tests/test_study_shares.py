"""Where the truth lies among a teacher's errors, on distributions whose partition is known."""

import numpy as np
import pytest

from nontarget.study.shares import best_temperature, sets_by_temperature, shares_among_errors, shares_of_occupancy

# Targets are class 0. Truths: right; positive (0.42 >= 0.85 * 0.45); negative (p_max >= 1/2); ambiguous (0.2 + 0.35 > 0.45, 0.35 < 0.3825).
PROBS = [[0.7, 0.2, 0.1], [0.45, 0.42, 0.13], [0.7, 0.2, 0.1], [0.45, 0.35, 0.2]]
LABELS = [0, 1, 2, 1]


def test_by_hand():
    found = shares_among_errors(PROBS, LABELS)
    assert found.errors == 3 / 4
    assert (found.positive, found.negative, found.ambiguous) == (1 / 3, 1 / 3, 1 / 3)
    assert found.sure == 2 / 4
    assert found.log_loss == pytest.approx(-np.log([0.7, 0.42, 0.1, 0.35]).mean())


def test_no_error_has_no_shares():
    found = shares_among_errors([[0.9, 0.1]], [0])
    assert found.errors == 0
    assert np.isnan([found.positive, found.negative, found.ambiguous]).all()


def test_a_surer_teacher_makes_every_other_class_negative():
    frame = sets_by_temperature(PROBS, LABELS, (0.05, 1.0))
    assert frame.loc[0.05, ["negative", "sure"]].tolist() == [1.0, 1.0]
    assert frame.loc[1.0, "negative"] == pytest.approx(1 / 3)
    assert frame["errors"].nunique() == 1, "temperature does not move the argmax"


def test_the_temperature_that_sharpened_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((len(true), 1)) > true.cumsum(axis=1)).sum(axis=1)
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    assert best_temperature(sharp, labels) == pytest.approx(3, rel=0.1)
    assert best_temperature(true, labels) == pytest.approx(1, rel=0.1)


def test_shares_of_a_record():
    occupancy = {"truth_target": 0.6, "truth_positive": 0.1, "truth_negative": 0.2, "truth_ambiguous": 0.1}
    assert shares_of_occupancy(occupancy) == pytest.approx({"errors": 0.4, "positive": 0.25, "negative": 0.5, "ambiguous": 0.25})
    assert shares_of_occupancy({}) == {}


@pytest.mark.parametrize("arguments", [([[0.5, 0.5]], [0, 1]), ([0.5, 0.5], [0]), ([[0.5, 0.5]], [0], 0.0)])
def test_what_does_not_fit_is_refused(arguments):
    with pytest.raises(ValueError, match="probs|temperature"):
        shares_among_errors(*arguments)
