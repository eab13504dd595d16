from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY_TRAINING, TINY_TWIN, tiny_dataset
from scipy.optimize import minimize_scalar

from nontarget import calibration as calibration_module
from nontarget import rules
from nontarget.calibration import RANGE, calibrate_temperature, fold_temperature, log_loss
from nontarget.config import TrainingConfig
from nontarget.data import Annotations, LabeledVideo, Normalization, make_labeled_clips
from nontarget.detectors import build_detector, detector_settings
from nontarget.detectors.base import DetectorOutput
from nontarget.experiment import Experiment, run, train
from nontarget.results import ResultStore
from nontarget.training import TrainingData, train_stage

TINY = {"twin_settings": TINY_TWIN, "training_settings": TINY_TRAINING, "detector_settings": {"embed_dim": 16, "mask_dim": 8}}


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature):
    """Labels are drawn from the softmax of logits that are then multiplied by it."""
    logits = torch.randn(20000, 6) * 2
    labels = torch.multinomial(logits.softmax(-1), 1).squeeze(-1)
    assert calibrate_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_no_temperature_has_a_lower_log_loss(activation):
    logits = torch.randn(300, 5) * 3
    labels = torch.where(torch.rand(300) < 0.7, logits.argmax(-1), torch.randint(5 + (activation == "sigmoid"), (300,)))
    found = calibrate_temperature(logits, labels, activation)
    best = minimize_scalar(lambda x: log_loss(logits, labels, float(np.exp(x)), activation), bounds=np.log(RANGE), method="bounded")
    assert found == pytest.approx(float(np.exp(best.x)), rel=1e-3)


def test_log_loss_by_hand():
    logits = torch.tensor([[2.0, 0.0]])
    assert log_loss(logits, torch.tensor([1]), 2.0) == pytest.approx(np.log(1 + np.e))
    # sigmoid, background: both classes are absent
    assert log_loss(logits, torch.tensor([2]), 2.0, "sigmoid") == pytest.approx(np.log(1 + np.e) + np.log(2))


def test_the_range_ends_where_the_optimum_is_outside():
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert calibrate_temperature(logits, torch.tensor([0, 1])) == pytest.approx(RANGE[0], rel=1e-3)
    assert calibrate_temperature(logits, torch.tensor([1, 0])) == pytest.approx(RANGE[1], rel=1e-3)
    with pytest.raises(ValueError, match="at least one labelled snippet, got none"):
        calibrate_temperature(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


@pytest.mark.parametrize("name", ["spot", "actionformer"])
def test_no_pseudo_label_changes_with_the_temperature(name):
    detector = build_detector(name, 3, 4, detector_settings(name, "small")).eval()
    output = detector(torch.randn(2, 16, 3), torch.ones(2, 16, dtype=torch.bool))
    output = replace(output, class_logits=torch.randn_like(output.class_logits) * 3)
    for temperature in (0.5, 3.0):
        tempered = output.tempered(temperature)
        torch.testing.assert_close(tempered.class_logits * temperature, output.class_logits)
        assert torch.equal(detector.pseudo_targets(tempered).labels, detector.pseudo_targets(output).labels)
    assert output.tempered(1.0) is output


def test_a_rule_s_temperature():
    assert rules.get_rule("non-target").temperature == 1.0
    assert rules.get_rule("non-target", teacher_temperature=2.5).temperature == 2.5
    assert rules.get_rule("candidate labels").teacher_temperature == "calibrated"
    with pytest.raises(ValueError, match="'candidate labels' is to be trained with a calibrated teacher"):
        rules.get_rule("candidate labels").temperature  # noqa: B018
    assert rules.get_rule("non-target").training_settings() != rules.get_rule("non-target", teacher_temperature=2.0).training_settings()
    assert (
        rules.get_rule("non-target").pretraining_settings() == rules.get_rule("non-target", teacher_temperature=2.0).pretraining_settings()
    )


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "hot", None])
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_temperature_is_refused(value):
    with pytest.raises(ValueError, match="teacher_temperature must be a finite number > 0 or 'calibrated', got"):
        rules.get_rule("non-target", teacher_temperature=value)


def trained(rule, data, dataset):
    torch.manual_seed(3)
    detector = build_detector(
        "spot", dataset.feature_dim, dataset.num_classes, detector_settings("spot", "small", embed_dim=16, mask_dim=8)
    )
    train_stage("selftrain", detector, rule, data, TrainingConfig(**TINY_TRAINING), seed=5)
    return detector.state_dict().values()


@pytest.mark.parametrize("teacher", ["generations", "epochs", "online", "average"])
def test_the_temperature_reaches_every_teacher_and_the_epoch_statistics(teacher):
    dataset = tiny_dataset()
    normalization = Normalization.of([v.video for v in dataset.train])
    clips = make_labeled_clips(dataset.train, dataset.protocol, normalization, dataset.num_classes)
    data = TrainingData(clips[:4], clips[4:])

    def same(name):
        plain, tempered = (trained(rules.get_rule(name, teacher=teacher, teacher_temperature=t), data, dataset) for t in (1.0, 0.2))
        return all(torch.equal(a, b) for a, b in zip(plain, tempered, strict=True))

    assert same("baseline"), "an argmax does not change"
    assert not same("non-target")

    seen = []
    rule = rules.get_rule("FlexMatch-style", teacher=teacher, teacher_temperature=0.2)
    type(rule).thresholds, kept = (lambda self, scores, predicted, n: seen.append(scores) or torch.zeros(n)), type(rule).thresholds
    try:
        trained(rule, data, dataset)
        trained(replace(rule, teacher_temperature=5.0), data, dataset)
    finally:
        type(rule).thresholds = kept
    assert seen[0].mean() > seen[2].mean() + 0.1, "confidences of the epoch statistics are tempered too"


class Constant(torch.nn.Module):
    """A detector whose logits are its features: of the classes, and of background."""

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, features, valid):
        return DetectorOutput(features, valid)

    def targets(self, clips):
        return type("T", (), {"labels": clips.labels})


@pytest.mark.usefixtures("unchecked")
def test_folds_are_held_out_balanced_and_averaged(monkeypatch):
    dataset = tiny_dataset()
    videos = dataset.train[:9]
    held, scale = [], iter((1.0, 4.0, 16.0))

    def pretrain(labeled, unlabeled, fold):
        ids, out = {v.video.video_id for v in labeled}, {v.video_id for v in unlabeled}
        assert not ids & out
        assert ids | out == {v.video.video_id for v in videos}
        assert fold == len(held)
        held.append(out)
        return Constant()

    monkeypatch.setattr(calibration_module, "calibrate_temperature", lambda *_: next(scale))
    normalization = Normalization.of([v.video for v in dataset.train])
    found = fold_temperature(
        videos, dataset.num_classes, pretrain, lambda part: one_hot_clips(part, dataset, normalization), seed=0, folds=3
    )
    assert sorted(map(len, held)) == [3, 3, 3]
    assert len(set.union(*held)) == 9
    assert found.folds == (1.0, 4.0, 16.0)
    assert found.temperature == pytest.approx(4.0), "a geometric mean"
    with pytest.raises(ValueError, match="at least 2 folds and 2 labelled videos, got 4 folds and 1 videos"):
        fold_temperature(videos[:1], dataset.num_classes, pretrain, lambda part: None, seed=0)


def one_hot_clips(videos, dataset, normalization):
    clips = make_labeled_clips(videos, dataset.protocol, normalization, dataset.num_classes)
    return replace(clips, features=torch.nn.functional.one_hot(clips.labels, dataset.num_classes + 1).float())


@pytest.mark.usefixtures("unchecked")
def test_classes_that_the_other_folds_lack_are_left_out():
    """One class is in one video alone: when that is held out, its snippets count for nothing."""
    dataset = tiny_dataset()
    video = dataset.train[0].video
    only = LabeledVideo(replace(video, video_id="only"), Annotations(np.array([1]), np.array([[0.0, video.duration_s]])))
    other = [
        LabeledVideo(replace(video, video_id=f"v{i}"), Annotations(np.array([0]), np.array([[0.0, video.duration_s / 2]])))
        for i in range(3)
    ]
    normalization = Normalization.of([video])

    def wrong_on_class_1(part):
        clips = one_hot_clips(part, dataset, normalization)
        return replace(clips, features=torch.where((clips.labels == 1)[..., None], clips.features * -9, clips.features))

    with pytest.raises(ValueError, match="at least one labelled snippet"):
        fold_temperature([only, *other], dataset.num_classes, lambda *_: Constant(), wrong_on_class_1, seed=0, folds=4)


def test_an_experiment_calibrates_and_records_it(tmp_path):
    store = ResultStore(tmp_path)
    plain = Experiment("thumos14-sim", "non-target", 0.25, **TINY)
    calibrated = replace(plain, rule_settings={"teacher_temperature": "calibrated"})
    record = run(calibrated, store, progress=False)
    found = record["calibration"]
    assert RANGE[0] <= found["temperature"] <= RANGE[1]
    assert len(found["folds"]) == 4
    assert found["calibrated_log_loss"] <= found["log_loss"] + 1e-9
    assert record["identity"]["rule"]["settings"]["teacher_temperature"] == "calibrated"
    assert run(calibrated, store, progress=False) == record
    assert run(plain, store, progress=False)["calibration"] is None

    # The same numbers as with that temperature given; the weights of the folds are kept for the next rule.
    given = replace(plain, rule_settings={"teacher_temperature": found["temperature"]})
    assert run(given, store, progress=False)["scores"] == record["scores"]
    before = {p.name for p in store.runs_folder.glob("weights-*")}
    again = train(replace(calibrated, rule="candidate labels", rule_settings={}), store, progress=False)
    assert again.calibration.temperature == pytest.approx(found["temperature"], rel=1e-9)
    assert len({p.name for p in store.runs_folder.glob("weights-*")} - before) == 1, "its self-training alone"
    assert run(replace(plain, rule="supervised only", rule_settings={"teacher_temperature": "calibrated"}), store, progress=False)


def test_an_oracle_experiment(tmp_path):
    """The oracle's run is apart in name, and only it is told anything."""
    store = ResultStore(tmp_path)
    record = run(Experiment("thumos14-sim", "oracle", 0.25, **TINY), store, progress=False)
    assert record["identity"]["rule"]["name"] == "oracle"
    assert {name for name in rules.available() if rules.get_rule(name).uses_truth} == {
        n for n in rules.available() if n.startswith("oracle")
    }
