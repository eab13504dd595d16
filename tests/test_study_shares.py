"""Where the truth lies among a teacher's errors, on distributions whose partition is known."""

import numpy as np
import pytest
from scipy.special import softmax

from nontarget.data import read_feature_folder
from nontarget.study.shares import best_temperature, sets_by_temperature, shares_among_errors, shares_of_coverage

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
    assert shares_of_coverage(occupancy) == pytest.approx({"errors": 0.4, "positive": 0.25, "negative": 0.5, "ambiguous": 0.25})
    assert shares_of_coverage({}) == {}


@pytest.mark.parametrize("arguments", [([[0.5, 0.5]], [0, 1]), ([0.5, 0.5], [0]), ([[0.5, 0.5]], [0], 0.0)])
def test_what_does_not_fit_is_refused(arguments):
    with pytest.raises(ValueError, match="probs|temperature"):
        shares_among_errors(*arguments)


def test_sharpness_moves_the_truth_from_ambiguous_to_negative():
    frame = sets_by_temperature([[0.40, 0.30, 0.30]], [2], (0.25, 1.0))
    assert frame["negative"].tolist() == [1, 0]
    assert frame["ambiguous"].tolist() == [0, 1]
    assert frame["errors"].tolist() == [1, 1], "no argmax changes"


def test_a_stored_zero_is_not_for_ever():
    frame = sets_by_temperature([[1.0, 0.0, 0.0]], [1], (1.0, 8.0))
    assert np.isfinite(frame["log_loss"]).all()
    assert frame.loc[8.0, "log_loss"] < frame.loc[1.0, "log_loss"]


@pytest.mark.parametrize(
    ("classifier", "temperature", "expected"),
    [("svm", 1.0, (4, 20, 76)), ("svm", 0.5, (2, 58, 40)), ("tcnn", 1.0, (1, 99, 1)), ("tcnn", 4.0, (6, 69, 25))],
)
def test_real_video(data_root, classifier, temperature, expected):
    """50Salads: where the truth of wrong snippets lies (positive, negative, ambiguous), as issue 9 gives it for a first look."""
    dataset = read_feature_folder(data_root / "salads50")
    scores, labels = [], []
    for v in (*dataset.train, *dataset.test):
        centres = (np.arange(len(v.video.features)) + 0.5) / v.video.fps
        label = np.full(len(centres), dataset.num_classes)
        for c, (start, end) in zip(v.annotations.labels, v.annotations.segments_s, strict=True):
            label[(start <= centres) & (centres < end)] = c
        scores.append(np.roll(v.video.features.reshape(len(centres), 2, 18), -1, axis=2))  # background comes first in the file
        labels.append(label)
    scores, labels = np.concatenate(scores), np.concatenate(labels)
    probs = softmax(scores[:, 0], axis=-1) if classifier == "svm" else scores[:, 1]
    row = sets_by_temperature(probs, labels, [temperature]).iloc[0]
    found = 100 * row[["positive", "negative", "ambiguous"]].to_numpy()
    assert found == pytest.approx(expected, abs=3)
    other = sets_by_temperature(probs, labels, [1.0 if temperature != 1.0 else {"svm": 0.5, "tcnn": 4.0}[classifier]]).iloc[0]
    assert (row["log_loss"] < other["log_loss"]) == (temperature != 1.0), "of the two, the issue's other temperature fits better"
