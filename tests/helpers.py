"""Small problems for tests."""

from dataclasses import replace

import numpy as np
import torch

from nontarget import TrainedDetector
from nontarget.config import InferenceConfig, Protocol
from nontarget.data import Annotations, Clips, Dataset, LabeledVideo, Normalization, Video, with_instances
from nontarget.data.simulate import TWINS, simulate_twin

TINY_TWIN = {"num_train": 24, "num_test": 8, "num_classes": 4, "group_size": 2, "feature_dim": 8}
TINY_TRAINING = {"pretrain_epochs": 2, "selftrain_epochs": 2, "batch_size": 8, "steps_per_epoch": 3}
TINY = {
    "label_ratio": 0.25,
    "twin_settings": TINY_TWIN,
    "training_settings": TINY_TRAINING,
    "detector_settings": {"embed_dim": 16, "mask_dim": 8},
}


def tiny_dataset(**changes):
    """A simulated data set that trains in a second."""
    return simulate_twin("thumos14-sim", replace(TWINS["thumos14-sim"]["small"], **(TINY_TWIN | changes)))


def video(video_id="v", snippets=10, dim=3, fps=2.0, seed=0):
    features = np.random.default_rng(seed).normal(size=(snippets, dim)).astype(np.float32)
    return Video(video_id, features, fps, snippets / fps)


def labeled(video_id, instances, **options):
    """instances: (class index, start_s, end_s)."""
    labels = np.array([c for c, _, _ in instances], dtype=np.int64)
    segments = np.array([(s, e) for _, s, e in instances], dtype=np.float64).reshape(-1, 2)
    return LabeledVideo(video(video_id, **options), Annotations(labels, segments))


def dataset_of(train, test=(), classes=("a", "b"), protocol=None):
    return Dataset("toy", classes, tuple(train), tuple(test), protocol or Protocol(num_snippets=8, stride=4), "checksum")


def clips_of(instances, snippets, background=3, lengths=None, offset_s=0.0, continues=False, device="cpu"):
    """Labelled clips without features, at 1 snippet a second; instances: for each clip, (class, start, end) in snippets."""
    lengths = torch.tensor([snippets] * len(instances) if lengths is None else lengths)
    valid = torch.arange(snippets) < lengths[:, None]
    slots = 1 + max(map(len, instances))
    labels, segments = torch.full((len(instances), slots), background), torch.zeros(len(instances), slots, 2)
    for i, clip in enumerate(instances):
        for j, (label, start, end) in enumerate(clip):
            labels[i, j], segments[i, j] = label, torch.tensor([start, end])
    fps, offset_s = torch.ones(len(instances)).double(), torch.full((len(instances),), offset_s).double()
    features, video = torch.zeros(len(instances), snippets, 1), torch.arange(len(instances))
    clips = Clips(features, valid, video, fps, offset_s, torch.full((len(instances),), continues), offset_s == 0)
    return with_instances(clips, labels, segments).to(device)


def as_trained(detector, videos, protocol, classes=("run", "jump"), **inference):
    """A trained detector that normalises features by those of ``videos``."""
    return TrainedDetector(detector, "given", {}, tuple(classes), Normalization.of(videos), protocol, InferenceConfig(**inference))
