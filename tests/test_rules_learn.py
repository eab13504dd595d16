"""Every rule learns from unlabelled clips, on a problem made so that they must help.

The two classes can be told by two cues. Labelled clips show the first alone, unlabelled ones both, test clips the second alone: who does
not learn from unlabelled clips cannot know what it means.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import dataset_of

from nontarget import TrainedDetector, rules
from nontarget.config import InferenceConfig, Protocol, TrainingConfig
from nontarget.data import Annotations, LabeledVideo, Normalization, Video, make_clips, make_labeled_clips
from nontarget.detectors import build_detector, detector_settings
from nontarget.inference import detect_videos
from nontarget.metrics import evaluate_detections
from nontarget.training import TrainingData, train_stage

LEARNING = [name for name, rule in ((n, rules.get_rule(n)) for n in rules.available()) if rule.uses_unlabeled and rule.self_trains]
# Noise: without it a student agrees with a frozen teacher from the start, by the one cue that both know, and has nothing to learn.
CONFIG = TrainingConfig(
    pretrain_epochs=20, selftrain_epochs=30, batch_size=8, pretrain_learning_rate=3e-3, learning_rate=2e-3, feature_noise=1.0
)


def two_cues(index, cues, rng):
    length = 40
    features = rng.normal(size=(length, 6)).astype(np.float32) * 0.4
    features[:, 2] += 1  # background
    segments, labels = [], []
    for first in (3, 22):
        start = first + int(rng.integers(4))
        end, label = start + int(rng.integers(8, 13)), int(rng.integers(2))
        features[start:end, 2] -= 1
        features[start:end, :2] += (1 - 2 * label) * np.array(cues, dtype=np.float32)
        segments.append((start, end))
        labels.append(label)
    annotations = Annotations(np.array(labels), np.array(segments, dtype=np.float64))
    return LabeledVideo(Video(f"v{index}", features, 1.0, float(length)), annotations)


def learned(name):
    """Share of test snippets named right, and average mAP."""
    rng = np.random.default_rng(0)
    videos = [two_cues(i, (1, 0) if i < 8 else (1, 1) if i < 48 else (0, 1), rng) for i in range(72)]
    labeled, unlabeled, test = videos[:8], [v.video for v in videos[8:48]], videos[48:]
    dataset = dataset_of(videos[:48], test, protocol=Protocol(num_snippets=40, stride=20))
    normalization = Normalization.of([v.video for v in dataset.train])
    data = TrainingData(
        make_labeled_clips(labeled, dataset.protocol, normalization, 2), make_clips(unlabeled, dataset.protocol, normalization)
    )
    torch.manual_seed(0)
    detector = build_detector("spot", 6, 2, detector_settings("spot", "small", embed_dim=32, mask_dim=8, output_dropout=0.1))
    rule = rules.get_rule(name)
    if rule.teacher_temperature == "calibrated":
        rule = replace(rule, teacher_temperature=2.0)
    if rule.uses_truth:
        data = replace(data, truth=make_labeled_clips(videos[8:48], dataset.protocol, normalization, 2))
    detector.pretext = rule.pretext_head(detector.embed_dim)
    for stage in ("pretrain", "selftrain"):
        train_stage(stage, detector, rule, data, CONFIG, seed=0)
    clips = make_labeled_clips(test, dataset.protocol, normalization, 2)
    with torch.no_grad():
        output = detector.eval()(clips.features, clips.valid)
    right = (output.class_logits.argmax(dim=-1) == clips.labels)[clips.valid].float().mean().item()
    trained = TrainedDetector(detector, "spot", {}, dataset.classes, normalization, dataset.protocol, InferenceConfig())
    found = detect_videos(trained, [v.video for v in test])
    return right, evaluate_detections(dataset.ground_truth(test), found, (0.3, 0.5, 0.7)).average_mean_ap


@pytest.fixture(scope="module")
def floor():
    return learned("supervised only")


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_a_rule_learns_what_only_unlabelled_clips_can_teach(name, floor):
    right, mean_ap = learned(name)
    print(f"{name}: {right:.3f} of the snippets, {mean_ap:.3f} mAP; supervised only {floor[0]:.3f}, {floor[1]:.3f}")
    assert right > floor[0] + 0.04 or mean_ap > floor[1] + 0.08
