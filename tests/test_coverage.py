"""Where the truth lies, on a detector whose predictions are given."""

import pytest
import torch
from helpers import labeled

from nontarget.config import Protocol
from nontarget.coverage import subspace_coverage
from nontarget.data import Normalization
from nontarget.detectors import build_detector, detector_settings
from nontarget.detectors.spot import SpotOutput
from nontarget.experiment import Experiment, train, truth_in_subspaces
from nontarget.results import ResultStore


def fixed_detector(probs):
    """SPOT with two action classes that predicts the same distribution everywhere."""
    detector = build_detector("spot", 3, 2, detector_settings("spot", "small", embed_dim=8, mask_dim=4))
    logits = torch.tensor(probs).log()

    def forward(features, valid):
        return SpotOutput(logits.expand(*valid.shape, 3), valid, torch.zeros(*valid.shape, valid.shape[1]), torch.zeros(*valid.shape, 8))

    detector.forward = forward
    return detector


def coverage(probs, **options):
    # 8 snippets at 2 Hz: the first four are class 0, the next two class 1, the others background; half of a second clip is padding.
    videos = [labeled("a", [(0, 0, 2), (1, 2, 3)], snippets=8)]
    protocol = Protocol(num_snippets=8, stride=4)
    return subspace_coverage(fixed_detector(probs), videos, protocol, Normalization.of([v.video for v in videos]), **options)


def test_shares_by_hand():
    found = coverage([0.45, 0.40, 0.15], precedence="positive")  # target 0, positive 1 (0.40 >= 0.85 * 0.45), negative: background
    assert found["truth_target"] == 4 / 8
    assert found["truth_positive"] == 2 / 8
    assert found["truth_negative"] == 2 / 8
    assert found["truth_ambiguous"] == 0
    assert found["action_target"] == pytest.approx(4 / 6)
    assert found["action_positive"] == pytest.approx(2 / 6)
    assert (found["size_positive"], found["size_negative"], found["size_ambiguous"]) == (1, 1, 0)


def test_the_bar_and_the_precedence_are_passed_on():
    assert coverage([0.45, 0.40, 0.15], positive_ratio=0.95)["truth_ambiguous"] == 2 / 8
    assert coverage([0.51, 0.44, 0.05], precedence="negative")["truth_negative"] == 4 / 8
    assert coverage([0.51, 0.44, 0.05], precedence="positive")["truth_positive"] == 2 / 8


def test_a_record_has_it_and_full_supervision_hides_nothing(tmp_path):
    from helpers import TINY

    store = ResultStore(tmp_path)
    training = train(Experiment(**TINY, rule="non-target"), store, device="cpu", progress=False)
    found = truth_in_subspaces(training)
    assert sum(v for k, v in found.items() if k.startswith("truth_")) == pytest.approx(1)
    full = Experiment(**TINY, rule="fully supervised")
    assert truth_in_subspaces(train(full, store, device="cpu", progress=False)) == {}


def test_a_look_at_every_epoch(tmp_path):
    from helpers import TINY

    seen = []
    experiment = Experiment(**TINY, rule="non-target")
    plain = train(experiment, ResultStore(tmp_path / "a"), device="cpu", progress=False)
    watched = train(experiment, ResultStore(tmp_path / "b"), device="cpu", progress=False, on_epoch=lambda *a: seen.append(a[:2]))
    epochs = {name: stage.epoch for name, stage in plain.stages.items()}
    assert seen == [(name, i + 1) for name, n in epochs.items() for i in range(n)]
    for a, b in zip(plain.trained.detector.parameters(), watched.trained.detector.parameters(), strict=True):
        assert torch.equal(a, b)
