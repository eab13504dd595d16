import copy
import math
from dataclasses import replace

import pytest
import torch
from helpers import TINY_TRAINING, tiny_dataset
from test_claims import made_up

from nontarget import partition_label_space, rules
from nontarget.config import TrainingConfig
from nontarget.data import Normalization, make_clips, make_labeled_clips, split_dataset
from nontarget.detectors import build_detector, detector_settings
from nontarget.detectors.base import DetectorOutput, Targets
from nontarget.experiment import Experiment
from nontarget.results import ResultStore, identity_key
from nontarget.statistics import smallest_detectable
from nontarget.study.open_questions import READINGS, readings_experiments
from nontarget.study.readings import measure, readings_findings
from nontarget.study.systems import FIRST_SEED
from nontarget.training import TrainingData, train_stage

READ = "non-target, other interpretations"
VALID = torch.ones(1, 1, dtype=torch.bool)


def loss(teacher, student, rule=READ, activation="softmax", **settings):
    """Loss of one unlabelled snippet."""
    student = torch.tensor([[student]])
    logits = student.log() if activation == "softmax" else student.logit()
    return rules.get_rule(rule, **settings).unlabeled_loss(logits, torch.tensor([[teacher]]), VALID, activation).item()


def minus_log(*values):
    return -sum(math.log(v) for v in values)


# The teacher's target is 0, class 1 is positive, 2 and 3 (background) are negative.
TORN, STUDENT = [0.43, 0.42, 0.05, 0.10], [0.4, 0.3, 0.1, 0.2]


def test_ours_by_hand():
    assert loss(TORN, STUDENT) == pytest.approx(minus_log(0.4, 0.3, 1 - 0.1, 1 - 0.2))


def test_the_target_counted_by_hand():
    """Positive, so its loss counts twice; not negative, as max(p) < 1."""
    assert loss(TORN, STUDENT, target_in_sets=True) == pytest.approx(minus_log(0.4, 0.4, 0.3, 1 - 0.1, 1 - 0.2))
    above_one = loss(TORN, STUDENT, target_in_sets=True, positive_ratio=1.5)
    assert above_one == pytest.approx(minus_log(0.4, 1 - 0.1, 1 - 0.2)), "nothing reaches more than the maximum"


def test_the_target_is_negative_where_the_teacher_is_certain():
    expected = minus_log(0.4, 0.4, 1 - 0.4, 1 - 0.3, 1 - 0.1, 1 - 0.2)
    assert loss([1.0, 0.0, 0.0, 0.0], STUDENT, target_in_sets=True) == pytest.approx(expected)
    nearly = loss([0.999, 0.001, 0.0, 0.0], STUDENT, target_in_sets=True)
    assert nearly == pytest.approx(expected - minus_log(1 - 0.4)), "the target is not negative below 1"


def test_means_over_the_sets_by_hand():
    assert loss(TORN, STUDENT, normalization="mean") == pytest.approx(minus_log(0.4, 0.3) + minus_log(0.9, 0.8) / 2)
    none_positive = loss([0.7, 0.1, 0.1, 0.1], STUDENT, normalization="mean")
    assert none_positive == pytest.approx(minus_log(0.4) + minus_log(0.7, 0.9, 0.8) / 3)


def test_background_by_hand():
    """Background (0.2) fills the sum of Eq. 8 before class 1 can (0.05 + 0.2 + 0.35 > 0.4); left out, it leaves room (0.4 <= 0.4)."""
    teacher = [0.4, 0.35, 0.05, 0.2]
    assert loss(teacher, STUDENT, positive_ratio=0.9) == pytest.approx(minus_log(0.4, 0.9, 0.8))
    assert loss(teacher, STUDENT, positive_ratio=0.9, background="outside") == pytest.approx(minus_log(0.4, 0.9))
    teacher = [0.41, 0.34, 0.05, 0.2]
    assert loss(teacher, STUDENT, background="apart") == pytest.approx(minus_log(0.4, 1 - 0.3, 0.9))
    torn = [0.40, 0.05, 0.16, 0.39]
    assert loss(torn, STUDENT) == pytest.approx(minus_log(0.4, 1 - 0.3, 1 - 0.1, 0.2)), "background is positive"
    for background in ("outside", "apart"):
        assert loss(torn, STUDENT, background=background) == pytest.approx(minus_log(0.4, 1 - 0.3, 1 - 0.1))


@pytest.mark.parametrize("background", ["outside", "apart"])
def test_background_can_be_the_target(background):
    """Then actions are positive or negative as ever."""
    teacher = [0.45, 0.04, 0.04, 0.47]
    assert loss(teacher, STUDENT, background=background) == pytest.approx(loss(teacher, STUDENT, rule="non-target"))


def test_to_leave_background_out_is_to_renormalise():
    probs = torch.rand(400, 6).softmax(-1)
    actions = probs[probs.argmax(-1) < 5]
    apart = rules.get_rule(READ, background="apart").sets(actions)
    expected = partition_label_space(actions[:, :-1].double() / actions[:, :-1].double().sum(-1, keepdim=True))
    for name in ("target", "positive", "negative"):
        assert torch.equal(getattr(apart, name)[:, :-1], getattr(expected, name)), name
        assert not getattr(apart, name)[:, -1].any(), name


def test_independent_classes():
    """Sigmoid scores: the partition has background, of score 1 - max, as its last class."""
    teacher, student = [0.6, 0.1], [0.7, 0.2]
    background = 1 - 0.7
    full = minus_log(0.7, 1 - 0.2, 1 - background)
    assert loss(teacher, student, activation="sigmoid") == pytest.approx(full, rel=1e-5)
    outside = loss(teacher, student, activation="sigmoid", background="outside")
    assert outside == pytest.approx(minus_log(0.7, 1 - 0.2), rel=1e-5)


def labelled(label, **settings):
    output = DetectorOutput(torch.tensor([[STUDENT]]).log(), VALID)
    spot = build_detector("spot", 3, 3, detector_settings("spot", "small"))
    return rules.get_rule(READ, **settings).labeled_loss(spot, output, Targets(torch.tensor([[label]]), None)).item()


def test_labelled_snippets_by_hand():
    assert labelled(0) == pytest.approx(minus_log(0.4, 0.7, 0.9, 0.8))
    assert labelled(0, target_in_sets=True) == labelled(0)
    assert labelled(0, normalization="mean") == pytest.approx(minus_log(0.4) + minus_log(0.7, 0.9, 0.8) / 3)
    for background in ("outside", "apart"):
        assert labelled(0, background=background) == pytest.approx(minus_log(0.4, 0.7, 0.9))
        assert labelled(3, background=background) == pytest.approx(minus_log(0.2, 0.6, 0.7, 0.9)), "background itself"


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_defaults_are_ours_to_the_bit(activation):
    logits, valid = torch.randn(3, 20, 6), torch.rand(3, 20) < 0.8
    logits[~valid] = torch.nan
    teacher = torch.randn(3, 20, 6).softmax(-1) if activation == "softmax" else torch.rand(3, 20, 6)
    found = []
    for name in ("non-target", READ):
        x = logits.clone().requires_grad_()
        value = rules.get_rule(name).unlabeled_loss(x, teacher, valid, activation)
        value.backward()
        found.append((value.detach(), x.grad))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    assert found[0][0] > 0


def train(rule, data, detector):
    student = copy.deepcopy(detector)
    config = TrainingConfig(**TINY_TRAINING)
    return [train_stage(stage, student, rule, data, config, seed=1).curve[-1] for stage in ("pretrain", "selftrain")]


def test_training_by_default_is_that_of_ours():
    dataset = tiny_dataset()
    split = split_dataset(dataset, 0.25, 3)
    normalization = Normalization.of([v.video for v in dataset.train])
    data = TrainingData(
        make_labeled_clips(split.labeled, dataset.protocol, normalization, dataset.num_classes),
        make_clips(split.unlabeled, dataset.protocol, normalization),
    )
    settings = detector_settings("spot", "small", embed_dim=16, mask_dim=8)
    detector = build_detector("spot", dataset.feature_dim, dataset.num_classes, settings)
    non_target = train(rules.get_rule("non-target"), data, detector)
    assert train(rules.get_rule(READ), data, detector) == non_target
    for other in ({"target_in_sets": True}, {"normalization": "mean"}, {"background": "outside"}, {"background": "apart"}):
        rule = rules.get_rule(READ, **other)
        curves = train(rule, data, detector)
        assert curves[1] != non_target[1], other
        shared = rule.pretraining_settings() == rules.get_rule("non-target").pretraining_settings()
        assert (curves[0] == non_target[0]) == shared, "what shares its pre-training is pre-trained alike"


def test_settings_are_checked(unchecked):
    for setting, message in (
        ({"normalization": "max"}, "unknown normalization 'max'"),
        ({"background": "class "}, "did you mean 'class'"),
        ({"target_in_sets": 1}, "target_in_sets must be True or False, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            rules.get_rule(READ, **setting)


@pytest.mark.parametrize("dataset", ["thumos14-sim", "activitynet-sim", "hapt"])
def test_every_reading_is_a_run_of_its_own(dataset):
    experiments = readings_experiments(Experiment(dataset, rule="baseline"))
    assert next(iter(experiments)) == "non-target"
    assert experiments["non-target"] == Experiment(dataset, rule="non-target")
    keys = {identity_key(e.identity()) for e in experiments.values()}
    assert len(keys) == len(experiments), "no alternative is another's, or non-target"
    assert {name.split(": ")[0] for name in experiments if name != "non-target"} == {reading.name for reading in READINGS}


def test_alternatives_are_relative_to_the_plain_experiment():
    sliding = readings_experiments(Experiment("thumos14-sim"))
    assert sliding["windows: stride T/4"].identity()["protocol"] | {"stride": 32} == Experiment("thumos14-sim").identity()["protocol"]
    assert sliding["windows: stride T/4"].protocol_settings == {"stride": 16}
    assert sliding["windows: stride T"].protocol_settings == {"stride": 64}
    rescaled = readings_experiments(Experiment("activitynet-sim", preset="full"))
    assert rescaled["windows: 2T"].protocol_settings == {"num_snippets": 200}
    slow = replace(Experiment(), training_settings={"learning_rate": 1e-5})
    rate = readings_experiments(slow)["learning rate: x 3"].training_settings["learning_rate"]
    assert rate == pytest.approx(3e-5)


def test_effects_are_paired_and_missing_ones_are_said(tmp_path):
    store, plain = ResultStore(tmp_path), Experiment("thumos14-sim")
    store.prepare()
    experiments = readings_experiments(plain)
    averages = {
        "non-target": [30.0, 34.0, 31.0],
        "precedence: positive first": [32.0, 36.0, 33.5],
        "alpha: 2.0": [28.0, 32.0, 28.5],
        "teacher: online": [29.0, 35.0, 31.0],
        "soft-nms: x 2": [29.0, 35.0],
    }
    seeds = [(replace(experiments[name], seed=i), v) for name, row in averages.items() for i, v in enumerate(row, FIRST_SEED)]
    store.commit(made_up(experiment, v) for experiment, v in seeds)
    effects = measure(plain, 3, source="committed", store=store)
    cells = effects.table.cells.set_index(["Reading", "Alternative"])["Δ"]
    assert len(cells) == len(experiments) - 1
    assert cells["precedence", "positive first"] == "+2.2 [+1.4, +2.9]"
    assert cells["soft-nms", "x 2"] == "no current result", "a seed is missing"
    assert cells["windows", "T/2"] == "no current result"
    better, worse = "1 of 3 alternatives are better than non-target (precedence: positive first)", "1 worse (alpha: 2.0)"
    unsure = f"1 not distinguishable (detectable: {smallest_detectable(1.0, 3):.1f})"
    assert f"{better}, {worse}, {unsure}; of {len(cells) - 3} there is no current result" in effects.findings
    assert effects.frame.loc["teacher: online", "panel"] == "thumos14-sim (simulated)"
    nothing = measure(plain, 3, source="committed", store=ResultStore(tmp_path / "empty"))
    assert set(nothing.table.cells["Δ"]) == {"no current result"}
    text = readings_findings([effects, nothing])
    assert text.startswith("**Of 3 intervals, 2 exclude 0; if no alternative made a difference, about 0 would do so by chance.** ")
    assert "Significant after Holm's correction for all 3: 2.\n\n- **thumos14-sim" in text
    assert readings_findings([nothing]).startswith("**Of 0 intervals, 0 exclude 0; ")


def test_every_reading_says_what_was_asked_and_decided():
    for reading in READINGS:
        assert reading.question.endswith("?")
        assert f"**{reading.question}** ({reading.where})" in reading.markdown
        assert all((reading.paper, reading.choice, reading.why))
