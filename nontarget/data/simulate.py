"""Simulated twins of THUMOS14 and ActivityNet: real class names and annotation statistics, made-up features, no download.

A twin answers "does the pipeline work, and how do the rules compare on a problem built like this one", never "what would the rule
score on THUMOS14". Everything that comes from one is labelled as simulated.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nontarget.config import ACTIVITYNET_PROTOCOL, THUMOS14_PROTOCOL, Protocol
from nontarget.data.twin_evidence import correlated_noise, evidence, without_gap
from nontarget.data.twin_layout import TwinLayout, cut, distinct, load_statistics, sample_layouts, second_labels, shorten_background
from nontarget.data.videos import Annotations, Dataset, LabeledVideo, Video
from nontarget.runtime.progress import progress_bar
from nontarget.segments import TimeGrid

GENERATOR_VERSION = 2
# Of the published external scores of ActivityNet's validation videos: how often the class is right, and quantiles of the score.
_CLASSIFIER_ACCURACY = 0.886
_CONFIDENCE_RIGHT, _CONFIDENCE_WRONG = (0.056, 0.977, 0.9996, 1.0, 1.0, 1.0), (0.141, 0.500, 0.622, 0.753, 0.936, 1.0)


@dataclass(frozen=True)
class TwinConfig:
    """One simulated data set.

    The feature model is assumed. Its knobs, from ``noise`` to ``distractors``, set the difficulty and were calibrated together on the
    baseline's mAP in the paper's Table 1 (:mod:`nontarget.study.calibration` says which knob moves what).
    """

    statistics: str
    """Whose annotations the layout follows: ``thumos14`` or ``activitynet``."""
    num_train: int
    num_test: int
    num_classes: int
    protocol: Protocol
    noise: float
    """Standard deviation of the noise in a feature dimension, where a class prototype has 1."""
    similarity: float = 0.75
    """Separability of classes: squared cosine of the angle between a class prototype and what its group has in common."""
    variation: float = 0.25
    """Standard deviation, in a feature dimension, of what is particular to an instance."""
    confusable: float = 0.0
    """Share of instances that look in part, by a share that is uniform in [0, 1], like another class of the group: half of them look more
    like that one, and no number of labels can tell."""
    border_jitter: float = 0.0
    """Standard deviation of the distance between an annotated border and the border of the evidence, as a share of the length."""
    dropouts: float = 0.0
    """Mean share of an instance's length without evidence: one gap within it, of up to twice that share."""
    distractors: float = 0.0
    """Unannotated segments in the background for each annotated instance, of the same look: false positives that cannot be avoided."""
    fps: float | None = None
    """Snippets per second; None: as many as fill one clip of the protocol, whatever the video's duration (ActivityNet)."""
    max_snippets: int | None = None
    """Longer videos lose background, down to ``min_background``, then all but a stretch of so many snippets; None keeps them whole."""
    min_background: float = 1.0
    """Share of its background that a video longer than ``max_snippets`` keeps at least."""
    min_instances: int = 0
    """Videos with fewer instances are not drawn."""
    feature_dim: int = 64
    group_size: int = 4
    """Classes that are easily confused come in groups: those of the statistics by name (THUMOS14), else random ones of this size."""
    context: float = 0.35
    """Standard deviation of the scene, which foreground and background of a video share; half its variance is the group's."""
    correlation: float = 0.6
    """Correlation of the noise between neighbouring snippets."""
    border_evidence: float = 0.35
    """Evidence at the border of an instance, rising to 1 a quarter of its length inside."""
    seed: int = 0
    """Of the generator's world: prototypes, layouts, videos. The book shows 0; development uses 1000 and above."""


# `small` of thumos14-sim: 128 s at 1 fps hold half of a video's instances at most. So that 10 % of the videos have about 300 labelled
# instances, as in the real set, long videos lose up to two thirds of their background and those with few instances are not drawn.
# `full` is set on paper, not run: the distance between prototypes grows with the square root of the dimension, so four times the
# dimensions carry twice the noise at equal separability; variation and context, which a prototype's direction must stand out from,
# scale alike. Jitter, dropouts, distractors and confusable instances are shares and stay.
TWINS: dict[str, dict[str, TwinConfig]] = {
    "thumos14-sim": {
        "small": TwinConfig(
            "thumos14",
            200,
            100,
            20,
            replace(THUMOS14_PROTOCOL, num_snippets=64, stride=32),
            noise=0.5,
            similarity=0.6,
            confusable=0.22,
            border_jitter=0.14,
            dropouts=0.05,
            distractors=0.3,
            fps=1.0,
            max_snippets=128,
            min_background=1 / 3,
            min_instances=6,
        ),
        "full": TwinConfig(
            "thumos14",
            200,
            213,
            20,
            THUMOS14_PROTOCOL,
            noise=1.0,
            similarity=0.6,
            variation=0.5,
            confusable=0.22,
            border_jitter=0.14,
            dropouts=0.05,
            distractors=0.3,
            fps=6.0,
            feature_dim=256,
            context=0.7,
        ),
    },
    "activitynet-sim": {
        "small": TwinConfig(
            "activitynet",
            1000,
            250,
            50,
            replace(ACTIVITYNET_PROTOCOL, num_snippets=32),
            noise=0.2,
            similarity=0.4,
            variation=0.15,
            confusable=0.33,
            border_jitter=0.155,
            distractors=0.6,
            context=0.1,
        ),
        "full": TwinConfig(
            "activitynet",
            9649,
            4728,
            200,
            ACTIVITYNET_PROTOCOL,
            noise=0.4,
            similarity=0.4,
            variation=0.3,
            confusable=0.33,
            border_jitter=0.155,
            distractors=0.6,
            feature_dim=256,
            context=0.2,
        ),
    },
}


def simulate_twin(name: str, config: TwinConfig) -> Dataset:
    """Generate a twin; the same config gives the same data.

    Snippet t of a video shows ``x_t = scene + sum_i e_it look_i + noise_t``: e_it is the evidence of instance i, 1 inside it, weaker at
    its borders, 0 outside; its look is the prototype of its class, or a mixture with that of another class of the group, and what is
    particular to the instance. Distractors are instances that are not annotated.
    """
    statistics = load_statistics()[config.statistics]
    rng = np.random.default_rng(config.seed)
    classes = tuple(statistics["classes"])
    if config.num_classes < len(classes):
        classes = tuple(classes[i] for i in np.sort(rng.choice(len(classes), config.num_classes, replace=False)))
    world = _World(config, statistics, classes, rng)
    subsets = []
    for subset, count in (("train", config.num_train), ("test", config.num_test)):
        layouts = sample_layouts(statistics, count, rng, config.min_instances)
        # Classes take turns, so that each has its share of the videos.
        labels = rng.permutation(np.arange(count) % len(classes))
        subsets.append(
            tuple(
                world.video(f"{name}_{subset}_{i:05d}", layout, int(label), rng)
                for i, (layout, label) in enumerate(progress_bar(list(zip(layouts, labels, strict=True)), f"{name}, {subset}", "video"))
            )
        )
    train, test = subsets
    external = _simulate_external_scores(test, len(classes), np.random.default_rng([config.seed, 1]))
    return Dataset(name, classes, train, test, config.protocol, twin_checksum(config), simulated=True, external_scores=external)


def _simulate_external_scores(videos: Sequence[LabeledVideo], num_classes: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """One class and score a video, right as often and as sure of it as the classifier that SPOT published for ActivityNet."""
    scores = {}
    for v in videos:
        true = np.unique(v.annotations.labels)
        right = len(true) > 0 and rng.random() < _CLASSIFIER_ACCURACY
        label = rng.choice(true if right else np.setdiff1d(np.arange(num_classes), true))
        confidence = _CONFIDENCE_RIGHT if right else _CONFIDENCE_WRONG
        row = np.zeros(num_classes)
        row[label] = np.interp(rng.random(), np.linspace(0, 1, len(confidence)), confidence)
        scores[v.video.video_id] = row
    return scores


def twin_checksum(config: TwinConfig) -> str:
    """Identifies what :func:`simulate_twin` generates: a hash of everything that goes into it."""
    recipe = json.dumps([GENERATOR_VERSION, load_statistics()[config.statistics], asdict(config)], sort_keys=True)
    return hashlib.sha256(recipe.encode()).hexdigest()


class _World:
    """What the videos of a twin share: class prototypes, groups of classes and their scenes."""

    def __init__(self, config: TwinConfig, statistics: dict[str, Any], classes: tuple[str, ...], rng: np.random.Generator) -> None:
        self.config, self.statistics, self.classes = config, statistics, classes
        group, rank = _groups(statistics.get("groups"), config.group_size, classes, rng)
        common = rng.normal(size=(group.max() + 1, config.feature_dim))
        own = rng.normal(size=(len(classes), config.feature_dim))
        self.prototypes = np.sqrt(config.similarity) * common[group] + np.sqrt(1 - config.similarity) * own
        self.scenes = np.sqrt(0.5) * rng.normal(size=(group.max() + 1, config.feature_dim))[group]
        # Which class an instance is confused with: one of its group, most often a neighbour in the list.
        distance = np.abs(rank[:, None] - rank)
        weights = np.where((group[:, None] == group) & (distance > 0), 1 / np.maximum(distance, 1) ** 2, 0.0)
        weights += np.diag(weights.sum(axis=1) == 0)  # alone in its group: itself
        self.rivals = weights / weights.sum(axis=1, keepdims=True)

    def video(self, video_id: str, layout: TwinLayout, label: int, rng: np.random.Generator) -> LabeledVideo:
        config = self.config
        longest = config.max_snippets / config.fps if config.fps is not None and config.max_snippets is not None else np.inf
        if layout[0] > longest:
            layout = shorten_background(layout, longest, config.min_background)
        duration, segments = layout
        labels, segments = second_labels(self.statistics, self.classes, np.full(len(segments), label), segments)
        if duration > longest:
            duration, labels, segments = cut(longest, duration, labels, segments, rng)
        snippets = config.protocol.num_snippets if config.fps is None else max(int(np.ceil(duration * config.fps)), 1)
        fps = snippets / duration if config.fps is None else config.fps

        scene = config.context * (self.scenes[label] + np.sqrt(0.5) * rng.normal(size=config.feature_dim))
        features = np.tile(scene, (snippets, 1))
        annotated = distinct(Annotations(labels, segments))
        visible = list(zip(labels[annotated], segments[annotated], strict=True))
        evident = [(c, _jittered(segment, config.border_jitter, rng)) for c, segment in visible]
        evident += _distractors(visible, duration, config.distractors, rng)
        for c, segment in evident:
            start, end = TimeGrid(fps).to_snippets(segment).tolist()
            clarity = evidence(start, end, snippets, config.border_evidence) * without_gap(start, end, snippets, config.dropouts, rng)
            features += clarity[:, None] * self._look(c, rng)
        features += config.noise * correlated_noise(snippets, config.feature_dim, config.correlation, rng)
        video = Video(video_id, features.astype(np.float32), fps, float(duration))
        return LabeledVideo(video, Annotations(labels.astype(np.int64), segments))

    def _look(self, label: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """What an instance of a class shows where its evidence is full."""
        rival = rng.choice(len(self.classes), p=self.rivals[label])
        share = rng.random() if rng.random() < self.config.confusable else 0.0
        look = (1 - share) * self.prototypes[label] + share * self.prototypes[rival]
        return look + self.config.variation * rng.normal(size=self.config.feature_dim)


def _groups(
    named: Sequence[Sequence[str]] | None, size: int, classes: tuple[str, ...], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group of each class, and its place in the group. Classes whose whole named group is absent but for them form one together."""
    if named is None:
        order = rng.permutation(len(classes))
        return order // size, order % size
    groups = [[name for name in group if name in classes] for group in named]
    lone = [group[0] for group in groups if len(group) == 1]
    groups = [group for group in groups if len(group) > 1] + ([lone] if lone else [])
    places = {name: (g, rank) for g, group in enumerate(groups) for rank, name in enumerate(group)}
    group, rank = np.array([places[name] for name in classes]).T
    return group, rank


def _jittered(segment: NDArray[np.float64], jitter: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where the evidence of an annotated segment begins and ends; at least a fifth of the length remains."""
    length = segment[1] - segment[0]
    shift = np.clip(jitter * rng.normal(size=2), (-1, -0.4), (0.4, 1))
    return segment + shift * length


def _distractors(
    instances: list[tuple[int, NDArray[np.float64]]], duration: float, rate: float, rng: np.random.Generator
) -> list[tuple[int, NDArray[np.float64]]]:
    """Segments in the background, each of the class and at most the length of an annotated instance; ``rate`` for each of those."""
    number = rng.poisson(rate * len(instances))
    if not number:
        return []
    times = np.stack([segment for _, segment in instances])
    times = times[times[:, 0].argsort()]
    gaps = np.stack([np.append(0.0, np.maximum.accumulate(times[:, 1])), np.append(times[:, 0], duration)], axis=1)
    gaps = gaps[gaps[:, 1] > gaps[:, 0]]
    distractors = []
    for _ in range(number if len(gaps) else 0):
        c, segment = instances[rng.integers(len(instances))]
        width = np.diff(gaps, axis=1)[:, 0]
        start, end = gaps[rng.choice(len(gaps), p=width / width.sum())]
        length = min(segment[1] - segment[0], 0.8 * (end - start))
        begin = start + rng.random() * (end - start - length)
        distractors.append((c, np.array([begin, begin + length])))
    return distractors
