"""Oracles and trivial detectors on candidates whose mean AP is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY

from nontarget.config import InferenceConfig, Protocol
from nontarget.experiment import Experiment, evaluate, train
from nontarget.inference import VideoSegments, suppressed
from nontarget.results import ResultStore, identity_key
from nontarget.study.decomposition import (
    AS_IS,
    ORACLES,
    ROW_COLUMNS,
    TRIVIAL,
    best_ranked,
    decompose,
    decomposition_rows,
    with_true_both,
    with_true_classes,
    with_true_segments,
)
from nontarget.study.trivial import runs_by_contrast, runs_by_mean, whole_video


def segments(*rows):
    """rows: (video, label, start, end, score)."""
    table = torch.tensor(rows, dtype=torch.float64)
    return VideoSegments(table[:, 0].long(), table[:, 1].long(), table[:, 2:4], table[:, 4])


TRUTH = segments((0, 0, 0, 10, 1), (0, 1, 20, 30, 1), (1, 1, 0, 10, 1))


def test_oracle_classes_touch_nothing_else():
    pool = segments((0, 1, 1, 10, 0.9), (0, 0, 22, 30, 0.8), (0, 0, 12, 18, 0.7), (1, 0, 0, 9, 0.6))
    found = with_true_classes(pool, TRUTH)
    assert found.labels.tolist() == [0, 1, 0, 1]  # the third overlaps nothing
    assert torch.equal(found.segments, pool.segments)
    assert torch.equal(found.scores, pool.scores)


def test_a_brush_with_an_instance_is_background():
    assert with_true_classes(segments((0, 1, 9.5, 15, 1.0)), TRUTH).labels.tolist() == [1]


def test_oracle_masks_keep_the_class_and_the_best_of_equals():
    pool = segments((0, 0, 1, 9, 0.5), (0, 0, 2, 10, 0.9), (0, 1, 1, 9, 0.4), (0, 1, 12, 18, 0.3))
    found = with_true_segments(pool, TRUTH)
    assert list(zip(found.labels.tolist(), found.scores.tolist(), strict=True)) == [(0, 0.9), (1, 0.4), (1, 0.3)]
    assert found.segments.tolist() == [[0, 10], [0, 10], [12, 18]]
    both = with_true_both(pool, TRUTH)
    assert list(zip(both.labels.tolist(), both.scores.tolist(), strict=True)) == [(0, 0.9), (1, 0.3)]


def test_oracle_ranking_is_one_to_one_and_within_the_class():
    pool = segments((0, 0, 0, 10, 0.1), (0, 0, 1, 10, 0.9), (0, 0, 20, 30, 0.8), (0, 1, 20, 25, 0.2), (1, 1, 50, 60, 0.9))
    found = best_ranked(pool, TRUTH)
    assert list(zip(found.labels.tolist(), found.scores.tolist(), strict=True)) == [(0, 1.0), (1, 0.5)]
    assert len(best_ranked(segments((1, 0, 0, 10, 1.0)), TRUTH).video) == 0


def test_soft_nms_between_candidates():
    pool = segments((0, 0, 0, 10, 0.9), (0, 0, 0, 10, 0.8), (0, 1, 0, 10, 0.7))
    found = suppressed(pool, InferenceConfig(), Protocol(nms_sigma=0.5))
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.8 * np.exp(-2)])


PROBS = torch.tensor([[0.1, 0.0], [0.7, 0.0], [0.9, 0.2], [0.1, 0.2], [0.1, 0.2], [0.1, 0.2]])


def test_whole_video():
    found = whole_video(PROBS)
    assert (found.labels.tolist(), found.segments.tolist()) == ([0], [[0, 6]])
    assert found.scores.item() == pytest.approx(2.0 / 6)


def test_runs_by_mean():
    found = runs_by_mean(PROBS, (0.15, 0.5, 0.8))
    rows = list(zip(found.labels.tolist(), found.segments.tolist(), found.scores.tolist(), strict=True))
    assert rows == [(0, [1, 3], pytest.approx(0.8)), (0, [2, 3], pytest.approx(0.9)), (1, [2, 6], pytest.approx(0.2))]


def test_runs_by_contrast():
    found = runs_by_contrast(PROBS, (0.15, 0.8))
    # One snippet on either side: 0.1 and 0.1 around [1, 3); 0.7 and 0.1 around [2, 3); the last one has its left side alone.
    assert found.scores.tolist() == pytest.approx([0.8 - 0.1, 0.9 - 0.4, 0.2 - 0.0])
    all_of_it = runs_by_contrast(torch.full((3, 1), 0.6), (0.5,))
    assert all_of_it.scores.tolist() == pytest.approx([0.6])


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return train(Experiment(**TINY, rule="supervised only"), ResultStore(tmp_path_factory.mktemp("store")), device="cpu", progress=False)


def test_of_a_trained_detector(training):
    frame = decompose(training)
    assert list(frame.index) == [AS_IS, *ORACLES, *TRIVIAL]
    assert list(frame.columns) == [f"{t:g}" for t in training.trained.protocol.tiou_thresholds] + ["avg"]
    scores, _ = evaluate(training)
    assert frame.loc[AS_IS, "avg"] == pytest.approx(100 * scores.average_mean_ap)
    assert (frame.loc["oracle ranking"] >= frame.loc[AS_IS] - 1e-9).all()
    assert frame.loc["oracle classes and masks", "avg"] >= frame.loc[AS_IS, "avg"]
    assert frame.loc["oracle classes and masks"].nunique() <= 2, "borders are those of the truth, whatever the threshold"
    by_video = replace(training.trained, inference=replace(training.trained.inference, whole_video=True))
    whole, _ = evaluate(replace(training, trained=by_video))
    assert frame.loc["whole video", "avg"] == pytest.approx(100 * whole.average_mean_ap, abs=2)


def test_a_trained_detector_needs_videos(training):
    with pytest.raises(ValueError, match="videos"):
        decompose(training.trained)
    frame = decompose(training.trained, training.dataset.test)
    assert frame.equals(decompose(training))


def test_rows_carry_the_key_of_the_record(tmp_path):
    experiment = Experiment(**TINY, rule="supervised only")
    rows = decomposition_rows([experiment], ResultStore(tmp_path), device="cpu", progress=False)
    assert list(rows.columns) == ROW_COLUMNS
    assert set(rows["key"]) == {identity_key(experiment.identity())}
    assert decomposition_rows([]).empty
