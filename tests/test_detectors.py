"""Detectors by name, and one of a user's own: one class, registered, trained like the others."""

from dataclasses import dataclass

import pytest
import torch
from helpers import TINY_TRAINING, TINY_TWIN
from torch import nn

from nontarget import TrainedDetector, detect, detectors
from nontarget.detectors.base import Candidates, Detector, DetectorOutput, Targets
from nontarget.experiment import Experiment, run, train
from nontarget.results import ResultStore
from nontarget.segments import runs


@dataclass(frozen=True)
class RunsConfig:
    width: int = 8
    threshold: float = 0.2


class Runs(Detector):
    """Classifies snippets by a convolution; its candidates are the runs of snippets above a threshold."""

    name = "runs"
    version = 1
    presets = {"small": RunsConfig(), "full": RunsConfig(width=16)}  # noqa: RUF012  # as a user writes it
    training_changes = {"small": {"pretrain_learning_rate": 1e-2}}  # noqa: RUF012
    abilities = frozenset({"background"})

    def __init__(self, feature_dim, num_classes, config):
        super().__init__(num_classes)
        self.config, self.embed_dim = config, config.width
        self.embedding = nn.Conv1d(feature_dim, config.width, 3, padding=1)
        self.class_head = nn.Linear(config.width, num_classes + 1)

    def forward(self, features, valid):
        return DetectorOutput(self.class_head(self.embedding(features.transpose(1, 2)).relu().transpose(1, 2)), valid)

    def targets(self, clips):
        return Targets(clips.labels, None)

    def pseudo_targets(self, output):
        return Targets(output.class_logits.argmax(dim=-1), None)

    def localization_loss(self, output, targets):
        return {}

    def candidates(self, output, valid, config):
        probs = output.action_probs.masked_fill(~valid[..., None], 0.0)
        row, start, end = runs((probs > self.config.threshold).transpose(1, 2).flatten(0, 1))
        clip, label = row // self.num_classes, row % self.num_classes
        return Candidates(clip, label, torch.stack((start, end), dim=1).float(), probs[clip, start, label])


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(detectors, "_DETECTORS", dict(detectors._DETECTORS))
    assert detectors.register(Runs) is Runs
    assert detectors.register(Runs) is Runs, "a cell may be run again"


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("rule", ["non-target", "baseline"])
def test_a_detector_of_one_s_own_is_trained_by_its_name(tmp_path, rule):
    experiment = Experiment(detector="runs", rule=rule, label_ratio=0.25, twin_settings=TINY_TWIN, training_settings=TINY_TRAINING)
    assert experiment.identity()["detector"] == {"name": "runs", "settings": {"width": 8, "threshold": 0.2}}
    assert experiment.identity()["training"]["pretrain_learning_rate"] == 1e-2
    store = ResultStore(tmp_path)
    record = run(experiment, store, device="cpu", progress=False)
    assert {"labeled", "unlabeled_class", "learning_rate"} <= set(record["curves"]["selftrain"][-1])
    assert record["scored"]["detections"] > 0
    training = train(experiment, store, device="cpu", progress=False)
    training.trained.save(tmp_path / "own.safetensors")
    video = training.dataset.test[0].video
    again = detect(tmp_path / "own.safetensors", {"v": video.features}, video.fps)
    assert again.equals(detect(training.trained, {"v": video.features}, video.fps))
    assert isinstance(TrainedDetector.load(tmp_path / "own.safetensors").detector, Runs)


@pytest.mark.usefixtures("registered")
def test_what_it_cannot_do_is_said():
    assert "runs" in detectors.available()
    with pytest.raises(ValueError, match=r"'SSTAP' needs the abilities .*, and detector 'runs' lacks .*; it runs on \['spot'\]"):
        Experiment(detector="runs", rule="SSTAP").identity()
    with pytest.raises(ValueError, match="unknown detector 'run'; did you mean 'runs'"):
        detectors.detector_settings("run", "small")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (int, "that is no such class"),
        (type("Nameless", (Runs,), {"name": None}), "it has no name"),
        (type("Unversioned", (Runs,), {"version": "1"}), "it has no version"),
        (type("Bare", (Detector,), {"name": "bare", "version": 1, "presets": Runs.presets}), "it does not define candidates, forward, "),
        (type("Mixed", (Runs,), {"presets": {"small": RunsConfig(), "full": {}}}), "dataclasses of one class"),
    ],
)
def test_what_is_no_detector_is_not_registered(wrong, message):
    before = detectors.available()
    with pytest.raises(TypeError, match=message):
        detectors.register(wrong)
    assert detectors.available() == before


def test_the_library_s_names_are_taken():
    with pytest.raises(ValueError, match=r"there is a detector 'spot' already, nontarget\.detectors\.spot\.model\.Spot"):
        detectors.register(type("Clash", (Runs,), {"name": "spot"}))
