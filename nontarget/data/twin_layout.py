"""When things happen in a simulated video: annotation statistics of the real data sets, and layouts drawn from them."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nontarget.config import check_choice
from nontarget.data.annotations import AnnotatedEntry
from nontarget.data.videos import Annotations

_COUNT_QUANTILES = (np.arange(200) + 0.5) / 200
_QUANTILES = np.linspace(0, 1, 21)

TwinLayout = tuple[float, NDArray[np.float64]]
"""Duration of a video and the segments of its instances, in seconds."""


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
    layouts = [(v.duration_s, v.annotations.segments_s[distinct(v.annotations)]) for v in videos]
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


def layout_samples(layouts: Sequence[TwinLayout]) -> dict[str, NDArray[np.float64]]:
    """What describes the layout of annotated videos, for comparing distributions: one array of values for each quantity."""
    return {
        "instance duration (s)": np.concatenate([np.diff(segments, axis=1)[:, 0] for _, segments in layouts]),
        "instances per video": np.array([len(segments) for _, segments in layouts], dtype=float),
        "video duration (s)": np.array([duration for duration, _ in layouts]),
    }


def sample_layouts(statistics: dict[str, Any], count: int, rng: np.random.Generator, min_instances: int = 0) -> list[TwinLayout]:
    """Draw durations and segments of ``count`` videos that follow the statistics; stratified, so that small samples follow them too.

    Args:
        statistics: one entry of :func:`load_statistics`.
        count: how many videos.
        rng: source of randomness.
        min_instances: videos with fewer instances are left out of the distribution.
    """
    left_out = np.mean(np.array(statistics["counts"]) < min_instances)
    shares = left_out + (1 - left_out) * _stratified(count, rng)
    numbers = np.interp(shares, _COUNT_QUANTILES, statistics["counts"]).round().astype(int)
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


def _layout(number: int, duration: float, total: float, spread: float, rng: np.random.Generator) -> TwinLayout:
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


def distinct(annotations: Annotations) -> NDArray[np.bool_]:
    """False for an instance that repeats, to a tIoU over 0.5, an earlier one of another class."""
    keep = np.ones(len(annotations.labels), dtype=bool)
    start, end = annotations.segments_s.T
    for i in range(1, len(keep)):
        overlap = np.minimum(end[i], end[:i]) - np.maximum(start[i], start[:i])
        union = (end[i] - start[i]) + (end[:i] - start[:i]) - overlap
        keep[i] = not np.any(keep[:i] & (overlap > 0.5 * union) & (annotations.labels[:i] != annotations.labels[i]))
    return keep


def second_labels(
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


def cut(
    wanted: float, duration: float, labels: NDArray[np.int64], segments: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """A stretch of the video around one of its instances; an instance stays if at least half of it is inside."""
    centre = segments[rng.integers(len(segments))].mean() if len(segments) else duration / 2
    start = np.clip(centre - wanted * rng.random(), 0, duration - wanted)
    inside = np.clip(segments - start, 0, wanted)
    kept = np.diff(inside, axis=1)[:, 0] >= 0.5 * np.diff(segments, axis=1)[:, 0]
    return wanted, labels[kept], inside[kept]


def shorten_background(layout: TwinLayout, wanted: float, least: float) -> TwinLayout:
    """Shorten every gap by one factor, no smaller than ``least``, so that the video lasts ``wanted`` seconds or comes near it."""
    duration, segments = layout
    lengths = np.diff(np.concatenate(([0.0], segments.ravel(), [duration])))
    foreground = lengths[1::2].sum()
    lengths[::2] *= np.clip((wanted - foreground) / max(duration - foreground, 1e-9), least, 1)
    times = lengths.cumsum()
    return float(times[-1]), times[:-1].reshape(-1, 2)
