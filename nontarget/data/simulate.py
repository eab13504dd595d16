"""Simulated twins of THUMOS14 and ActivityNet: real class names and annotation statistics, made-up features, no download.

A twin answers "does the pipeline work, and how do the rules compare on a problem built like this one", never "what would the rule
score on THUMOS14". Everything that comes from one is labelled as simulated.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nontarget.config import ACTIVITYNET_PROTOCOL, THUMOS14_PROTOCOL, Protocol, check_choice
from nontarget.data.annotations import AnnotatedEntry
from nontarget.data.videos import Annotations, Dataset, LabeledVideo, Video
from nontarget.progress import progress_bar

GENERATOR_VERSION = 1
_COUNT_QUANTILES = (np.arange(200) + 0.5) / 200
_QUANTILES = np.linspace(0, 1, 21)
# Of the published external scores of ActivityNet's validation videos: how often the class is right, and quantiles of the score.
_CLASSIFIER_ACCURACY = 0.886
_CONFIDENCE_RIGHT, _CONFIDENCE_WRONG = (0.056, 0.977, 0.9996, 1.0, 1.0, 1.0), (0.141, 0.500, 0.622, 0.753, 0.936, 1.0)

Layout = tuple[float, NDArray[np.float64]]
"""Duration of a video and the segments of its instances, in seconds."""


@dataclass(frozen=True)
class TwinConfig:
    """One simulated data set. The feature model is assumed; ``noise`` alone was calibrated (page "Calibration of the twins")."""

    statistics: str
    """Whose annotations the layout follows: ``thumos14`` or ``activitynet``."""
    num_train: int
    num_test: int
    num_classes: int
    protocol: Protocol
    noise: float
    """Standard deviation of the noise in a feature dimension, where a class prototype has 1. Sets the difficulty."""
    fps: float | None = None
    """Snippets per second; None: as many as fill one clip of the protocol, whatever the video's duration (ActivityNet)."""
    max_snippets: int | None = None
    """Longer videos are cut to a stretch of this many snippets; None keeps them whole."""
    feature_dim: int = 64
    group_size: int = 4
    """Classes that are easily confused with each other come in groups of this size."""
    similarity: float = 0.75
    """Squared cosine of the angle between a class prototype and what its group has in common."""
    instance_variation: float = 0.25
    """Standard deviation, in a feature dimension, of what is particular to an instance."""
    max_confusion: float = 0.35
    """An instance may look in part, up to this share, like another class of its group."""
    context: float = 0.35
    """Standard deviation of the scene, which foreground and background of a video share; half its variance is the group's."""
    correlation: float = 0.6
    """Of the noise between neighbouring snippets."""
    border_evidence: float = 0.35
    """Evidence at the border of an instance, rising to 1 a quarter of its length inside."""
    seed: int = 0


TWINS: dict[str, dict[str, TwinConfig]] = {
    "thumos14-sim": {
        "small": TwinConfig(
            "thumos14", 200, 100, 20, replace(THUMOS14_PROTOCOL, num_snippets=64, stride=32), noise=1.05, fps=2.0, max_snippets=64
        ),
        "full": TwinConfig("thumos14", 200, 213, 20, THUMOS14_PROTOCOL, noise=2.1, fps=6.0, feature_dim=256),
    },
    "activitynet-sim": {
        "small": TwinConfig("activitynet", 500, 250, 50, replace(ACTIVITYNET_PROTOCOL, num_snippets=32), noise=0.9),
        "full": TwinConfig("activitynet", 9649, 4728, 200, ACTIVITYNET_PROTOCOL, noise=1.8, feature_dim=256),
    },
}


def simulate_twin(name: str, config: TwinConfig) -> Dataset:
    """Generate a twin; the same config gives the same data.

    Snippet t of a video shows ``x_t = scene + sum_i e_it (prototype_i + variation_i) + noise_t``: e_it is the evidence of instance i,
    1 inside it, weaker at its borders, 0 outside; the prototype is that of the instance's class, mixed in part with another of its group.
    """
    statistics = load_statistics()[config.statistics]
    rng = np.random.default_rng(config.seed)
    classes = tuple(statistics["classes"])
    if config.num_classes < len(classes):
        classes = tuple(classes[i] for i in np.sort(rng.choice(len(classes), config.num_classes, replace=False)))
    world = _World(config, len(classes), rng)
    subsets = []
    for subset, count in (("train", config.num_train), ("test", config.num_test)):
        layouts = sample_layouts(statistics, count, rng)
        # Classes take turns, so that each has its share of the videos.
        labels = rng.permutation(np.arange(count) % len(classes))
        subsets.append(
            tuple(
                _simulate_video(f"{name}_{subset}_{i:05d}", config, statistics, classes, world, layout, int(label), rng)
                for i, (layout, label) in enumerate(progress_bar(list(zip(layouts, labels, strict=True)), f"{name}, {subset}", "video"))
            )
        )
    train, test = subsets
    external = _simulate_external_scores(test, len(classes), np.random.default_rng([config.seed, 1]))
    return Dataset(name, classes, train, test, config.protocol, twin_checksum(config), simulated=True, external_scores=external)


def _simulate_external_scores(videos: Sequence[LabeledVideo], num_classes: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """One class and score a video, right as often and as sure of it as the classifier that SPOT published for ActivityNet."""
    found = {}
    for v in videos:
        true = np.unique(v.annotations.labels)
        right = len(true) > 0 and rng.random() < _CLASSIFIER_ACCURACY
        label = rng.choice(true if right else np.setdiff1d(np.arange(num_classes), true))
        confidence = _CONFIDENCE_RIGHT if right else _CONFIDENCE_WRONG
        row = np.zeros(num_classes)
        row[label] = np.interp(rng.random(), np.linspace(0, 1, len(confidence)), confidence)
        found[v.video.video_id] = row
    return found


def twin_checksum(config: TwinConfig) -> str:
    """Identifies what :func:`simulate_twin` generates: a hash of everything that goes into it."""
    recipe = json.dumps([GENERATOR_VERSION, load_statistics()[config.statistics], asdict(config)], sort_keys=True)
    return hashlib.sha256(recipe.encode()).hexdigest()


def load_statistics() -> dict[str, Any]:
    """Frozen annotation statistics of the real data sets, as :func:`measure_statistics` gave them."""
    return json.loads(files("nontarget.data").joinpath("twin_statistics.json").read_text(encoding="utf-8"))


def measure_statistics(videos: Sequence[AnnotatedEntry], max_counts: Sequence[int], length: str) -> dict[str, Any]:
    """Quantiles that describe the layout of annotated videos.

    Videos are grouped by their number of instances; within a group the durations and the instance lengths are described by 21 quantiles
    each, as if independent. An instance that repeats another one under a second label is left out.

    Args:
        videos: entries of an annotation file.
        max_counts: largest number of instances in each group, rising.
        length: ``mean`` to describe the mean length of a video's instances in seconds (THUMOS14, where it is the action's), or
            ``share`` for their total as a share of the video (ActivityNet, where clips are cut around the action).
    """
    check_choice("length", length, ("mean", "share"))
    layouts = [(v.duration_s, v.annotations.segments_s[_distinct(v.annotations)]) for v in videos]
    counts = np.array([len(segments) for _, segments in layouts])
    buckets, lowest = [], 0
    for highest in max_counts:
        members = [layout for layout, n in zip(layouts, counts, strict=True) if lowest <= n <= highest]
        lengths = [np.diff(segments, axis=1)[:, 0] for _, segments in members]
        with_instances = [(x, d) for x, (d, _) in zip(lengths, members, strict=True) if len(x)]
        measured = [x.mean() if length == "mean" else min(x.sum() / d, 0.98) for x, d in with_instances]
        spread = [x.std() / x.mean() for x in lengths if len(x) > 1]
        buckets.append(
            {
                "max_count": int(highest),
                "duration_s": np.quantile([d for d, _ in members], _QUANTILES).round(2).tolist(),
                "length": np.quantile(measured, _QUANTILES).round(3).tolist(),
                "spread": round(float(np.mean(spread)), 3) if spread else 0.0,
            }
        )
        lowest = highest + 1
    count_quantiles = np.quantile(counts, _COUNT_QUANTILES, method="nearest")
    return {"length": length, "counts": count_quantiles.astype(int).tolist(), "buckets": buckets}


def layout_samples(layouts: Sequence[Layout]) -> dict[str, NDArray[np.float64]]:
    """What describes the layout of annotated videos, for comparing distributions: one array of values for each quantity."""
    return {
        "instance duration (s)": np.concatenate([np.diff(segments, axis=1)[:, 0] for _, segments in layouts]),
        "instances per video": np.array([len(segments) for _, segments in layouts], dtype=float),
        "video duration (s)": np.array([duration for duration, _ in layouts]),
    }


def sample_layouts(statistics: dict[str, Any], count: int, rng: np.random.Generator) -> list[Layout]:
    """Draw durations and segments of ``count`` videos that follow the statistics; stratified, so that small samples follow them too."""
    numbers = np.interp(_stratified(count, rng), _COUNT_QUANTILES, statistics["counts"]).round().astype(int)
    highest = [b["max_count"] for b in statistics["buckets"]]
    bucket = np.minimum(np.searchsorted(highest, numbers), len(highest) - 1)
    durations, lengths = np.zeros(count), np.zeros(count)
    for i, b in enumerate(statistics["buckets"]):
        members = np.flatnonzero(bucket == i)
        durations[members] = np.interp(_stratified(len(members), rng), _QUANTILES, b["duration_s"])
        lengths[members] = np.interp(_stratified(len(members), rng), _QUANTILES, b["length"])
    spreads = np.array([b["spread"] for b in statistics["buckets"]])[bucket]
    mean = statistics["length"] == "mean"
    return [
        _layout(int(n), d, length * n if mean else length * d, s, rng)
        for n, d, length, s in zip(numbers, durations, lengths, spreads, strict=True)
    ]


def _layout(number: int, duration: float, total: float, spread: float, rng: np.random.Generator) -> Layout:
    """Place ``number`` instances of the given total length in a video, which grows if they do not fit."""
    lengths = _shares(1 / max(spread, 0.05) ** 2, number, rng) * total
    duration = max(duration, total / 0.98)
    gaps = _shares(0.7, number + 1, rng) * (duration - total)
    starts = gaps[:-1].cumsum() + np.concatenate(([0.0], lengths[:-1].cumsum())) if number else np.zeros(0)
    return duration, np.stack([starts, starts + lengths], axis=1)


def _shares(shape: float, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    parts = rng.gamma(shape, size=number) + 1e-12
    return parts / parts.sum()


def _stratified(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform numbers, one in each of ``count`` equal parts of [0, 1), in random order."""
    return rng.permutation((np.arange(count) + rng.random(count)) / count)


def _distinct(annotations: Annotations) -> NDArray[np.bool_]:
    """False for an instance that repeats, to a tIoU over 0.5, an earlier one of another class."""
    keep = np.ones(len(annotations.labels), dtype=bool)
    start, end = annotations.segments_s.T
    for i in range(1, len(keep)):
        overlap = np.minimum(end[i], end[:i]) - np.maximum(start[i], start[:i])
        union = (end[i] - start[i]) + (end[:i] - start[:i]) - overlap
        keep[i] = not np.any(keep[:i] & (overlap > 0.5 * union) & (annotations.labels[:i] != annotations.labels[i]))
    return keep


class _World:
    """What the videos of a twin share: class prototypes and the scenes of class groups."""

    def __init__(self, config: TwinConfig, num_classes: int, rng: np.random.Generator) -> None:
        self.group = rng.permutation(num_classes) // config.group_size
        groups = self.group.max() + 1
        common = rng.normal(size=(groups, config.feature_dim))
        own = rng.normal(size=(num_classes, config.feature_dim))
        self.prototypes = np.sqrt(config.similarity) * common[self.group] + np.sqrt(1 - config.similarity) * own
        self.scenes = rng.normal(size=(groups, config.feature_dim))


def _simulate_video(
    video_id: str,
    config: TwinConfig,
    statistics: dict[str, Any],
    classes: tuple[str, ...],
    world: _World,
    layout: Layout,
    label: int,
    rng: np.random.Generator,
) -> LabeledVideo:
    duration, segments = layout
    labels, segments = _second_labels(statistics, classes, np.full(len(segments), label), segments)
    if config.fps is not None and config.max_snippets is not None and duration * config.fps > config.max_snippets:
        duration, labels, segments = _cut(config.max_snippets / config.fps, duration, labels, segments, rng)
    snippets = config.protocol.num_snippets if config.fps is None else max(int(np.ceil(duration * config.fps)), 1)
    fps = snippets / duration if config.fps is None else config.fps

    dim = config.feature_dim
    scene = config.context * np.sqrt(0.5) * (world.scenes[world.group[label]] + rng.normal(size=dim))
    features = np.tile(scene, (snippets, 1))
    distinct = _distinct(Annotations(labels, segments))
    for c, (start, end) in zip(labels[distinct], segments[distinct], strict=True):
        rival = rng.choice(np.flatnonzero(world.group == world.group[c]))
        share = config.max_confusion * rng.random()
        look = (1 - share) * world.prototypes[c] + share * world.prototypes[rival]
        look = look + config.instance_variation * rng.normal(size=dim)
        features += _evidence(start * fps, end * fps, snippets, config.border_evidence)[:, None] * look
    features += config.noise * _correlated_noise(snippets, dim, config.correlation, rng)
    video = Video(video_id, features.astype(np.float32), fps, float(duration))
    return LabeledVideo(video, Annotations(labels.astype(np.int64), segments))


def _second_labels(
    statistics: dict[str, Any], classes: tuple[str, ...], labels: NDArray[np.int64], segments: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Overlaps between classes, as in THUMOS14: every CliffDiving is a Diving too; bowling and batting take turns and touch."""
    name = classes[labels[0]] if len(labels) else ""
    repeated, alternating = statistics.get("repeated", {}), statistics.get("alternating", {})
    if name in repeated and repeated[name] in classes:
        second = np.full(len(labels), classes.index(repeated[name]))
        labels, segments = np.concatenate([labels, second]), np.concatenate([segments, segments])
    elif name in alternating and alternating[name] in classes:
        labels = labels.copy()
        labels[1::2] = classes.index(alternating[name])
        segments = segments.copy()
        after = np.arange(1, len(labels), 2)
        close = after[segments[after, 0] - segments[after - 1, 1] < 2.0]
        segments[close, 0] = segments[close - 1, 1] - 0.1 * np.diff(segments[close - 1], axis=1)[:, 0]
    return labels, segments


def _cut(
    wanted: float, duration: float, labels: NDArray[np.int64], segments: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """A stretch of the video around one of its instances; an instance stays if at least half of it is inside."""
    centre = segments[rng.integers(len(segments))].mean() if len(segments) else duration / 2
    start = np.clip(centre - wanted * rng.random(), 0, duration - wanted)
    inside = np.clip(segments - start, 0, wanted)
    kept = np.diff(inside, axis=1)[:, 0] >= 0.5 * np.diff(segments, axis=1)[:, 0]
    return wanted, labels[kept], inside[kept]


def _evidence(start: float, end: float, snippets: int, at_border: float) -> NDArray[np.float64]:
    """Evidence of an instance in each snippet: the part of the snippet that it covers, times how clear it is there."""
    left, right = np.arange(snippets), np.arange(1, snippets + 1)
    covered = np.clip(np.minimum(right, end) - np.maximum(left, start), 0, 1)
    inside = np.minimum(left + 0.5 - start, end - left - 0.5) / (0.25 * (end - start))
    return covered * np.clip(at_border + (1 - at_border) * inside, at_border, 1)


def _correlated_noise(snippets: int, dim: int, correlation: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """First-order autoregressive noise with unit variance."""
    noise = rng.normal(size=(snippets, dim))
    noise[1:] *= np.sqrt(1 - correlation**2)
    for t in range(1, snippets):
        noise[t] += correlation * noise[t - 1]
    return noise
