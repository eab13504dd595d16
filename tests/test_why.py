import math

import pytest
import torch
from helpers import TINY_TRAINING, TINY_TWIN
from hypothesis import given
from hypothesis import strategies as st

from nontarget import non_target_loss, partition_label_space
from nontarget.experiment import Experiment, train
from nontarget.results import ResultStore
from nontarget.study.why import GradientLog, gradient_to_truth, hidden_clips

TINY = {"twin_settings": TINY_TWIN, "training_settings": TINY_TRAINING, "detector_settings": {"embed_dim": 16, "mask_dim": 8}}


def test_gradients_by_hand():
    """p = student; with the truth y: l_tgt sends p_y - [y is the target]; l_neg sends p_y to a negative y, and takes from it what it
    takes from other negatives; l_pos sends k p_y - [y is positive] for k positives."""
    logits = torch.tensor([[0.3, -0.2, 0.5], [1.0, 0.0, -1.0], [0.2, 0.1, 0.4], [0.0, 0.3, 0.6]])
    pseudo = torch.tensor([[0.46, 0.44, 0.10], [0.10, 0.80, 0.10], [0.70, 0.20, 0.10], [0.40, 0.30, 0.30]])
    labels = torch.tensor([1, 1, 1, 2])
    found = gradient_to_truth(logits, pseudo, labels).set_index("subspace")
    p = logits.double().softmax(-1)
    assert found["share"].tolist() == [0.25] * 4
    expected = {
        # torn, truth 1 positive: target 0, negative 2
        "positive": (p[0, 1], -p[0, 1] * p[0, 2] / (1 - p[0, 2]), p[0, 1] - 1),
        # sure of the truth 1: negatives 0 and 2
        "target": (p[1, 1] - 1, -p[1, 1] * (p[1, 0] / (1 - p[1, 0]) + p[1, 2] / (1 - p[1, 2])), 0),
        # sure of 0, truth 1 negative: negatives 1 and 2
        "negative": (p[2, 1], p[2, 1] - p[2, 1] * p[2, 2] / (1 - p[2, 2]), 0),
        # unsure, truth 2 ambiguous: of two equal ones the first may be negative (0.3 <= 0.4)
        "ambiguous": (p[3, 2], -p[3, 2] * p[3, 1] / (1 - p[3, 1]), 0),
    }
    for subspace, values in expected.items():
        assert found.loc[subspace, ["l_tgt", "l_neg", "l_pos"]].tolist() == pytest.approx([float(v) for v in values]), subspace
        assert found.loc[subspace, "total"] == pytest.approx(float(sum(values)))


def test_an_empty_subspace_has_no_gradient():
    found = gradient_to_truth(torch.zeros(1, 3), torch.tensor([[0.1, 0.8, 0.1]]), torch.tensor([1])).set_index("subspace")
    assert found["share"].tolist() == [1, 0, 0, 0]
    assert found.loc["positive":, ["l_tgt", "l_neg", "l_pos", "total"]].isna().all(axis=None)


def test_the_gradient_is_followed_over_training(tmp_path):
    experiment = Experiment("thumos14-sim", "non-target", 0.25, **TINY)
    log = GradientLog(hidden_clips(experiment))
    training = train(experiment, ResultStore(tmp_path), progress=False, on_epoch=log)
    frame = log.frame
    assert frame[["stage", "epoch"]].drop_duplicates().to_numpy().tolist() == [
        ["pretrain", 1],
        ["pretrain", 2],
        ["selftrain", 1],
        ["selftrain", 2],
    ]
    assert (frame.groupby(["stage", "epoch"])["share"].sum() - 1).abs().max() < 1e-9
    assert (frame.loc[frame["subspace"] == "target", "total"] <= 0).all(), "a right target is raised"
    plain = train(experiment, ResultStore(tmp_path), progress=False)
    same = zip(training.trained.detector.state_dict().values(), plain.trained.detector.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same), "to look changes nothing"
    shares = frame.pivot(index=["stage", "epoch"], columns="subspace", values="share")
    assert (shares.loc[("pretrain", 2)] == shares.loc[("selftrain", 1)]).all(), "the teacher is the pre-trained detector"
    renewed = GradientLog(log.clips, renewed=True)
    renewed._teacher = log._teacher
    renewed("selftrain", 2, plain.trained.detector)
    assert renewed.frame["share"].tolist() != frame["share"].tolist()[-4:]


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30), st.floats(0.5, 1.0))
def test_from_a_half_on_every_other_class_is_negative(rest, top):
    rest = torch.tensor([0.0, *rest], dtype=torch.float64)
    rest = rest / rest.sum().clamp(min=1e-9) * (1 - top) * (1 - 1e-9)
    sets = partition_label_space(torch.cat((torch.tensor([top], dtype=torch.float64), rest)))
    assert sets.negative[1:].all()
    assert not sets.positive.any()


@pytest.mark.parametrize(("classes", "expected"), [(21, 0.98), (51, 0.99), (201, 1.00)])
def test_l_neg_does_not_grow_with_the_number_of_classes(classes, expected):
    """At uniform p with every class but the label negative; l_tgt is log(classes) there."""
    logits, labels = torch.zeros(1, classes), torch.tensor([0])
    assert float(non_target_loss(logits, labels=labels, terms=("negative",))) == pytest.approx(expected, abs=0.005)
    assert float(non_target_loss(logits, labels=labels, terms=("target",))) == pytest.approx(math.log(classes))
