"""What the audit combines: protocols of evaluation, and trivial detectors (:mod:`nontarget.study.audit`).

A *protocol* is a choice of the videos, instances and detections that are scored. Each is a small function of a ground truth (video ->
entry of an ActivityNet-style database) or of detections (video_id, label, start_s, end_s, score), so that they can be combined. The
detectors have seen no video.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nontarget.data.annotations import AnnotationFile
from nontarget.protocols import OUT_OF_RANGE, QUESTIONED, THUMOS14_TEST_VIDEOS, Truth

THUMOS14_OUT_OF_RANGE = {
    OUT_OF_RANGE: ("HammerThrow", 22),
    "video_test_0000814": ("ThrowDiscus", 3),
    "video_test_0001081": ("Diving", 1),
}
"""Test instances of the official text files that begin after their video's end, which readers leave out: (class, how many)."""
THUMOS14_LEFT_OUT = ((OUT_OF_RANGE,), (OUT_OF_RANGE, QUESTIONED), THUMOS14_TEST_VIDEOS["210"])
"""Lists of test videos that descriptions of experiments leave out."""


# --- protocols


def predicted_videos(truth: Truth, detections: pd.DataFrame) -> Truth:
    """Only videos with a detection: those that a detector says nothing about are no misses, they are not scored at all."""
    predicted = set(detections["video_id"])
    return {video: entry for video, entry in truth.items() if video in predicted}


def last_instance(truth: Truth, min_share: float | None = None) -> Truth:
    """One instance a video, the last listed, as when a dictionary with a key a video is filled in a loop over instances.

    Args:
        truth: video -> entry.
        min_share: a video stays only if that instance spans at least this share of it. Default: every video stays.
    """
    kept = {video: entry | {"annotations": entry["annotations"][-1:]} for video, entry in truth.items()}
    if min_share is None:
        return kept
    return {v: e for v, e in kept.items() if e["annotations"] and _length_s(e["annotations"][0]) >= min_share * e["duration"]}


def of_videos(detections: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Only detections in videos of the ground truth. Without this, those in other videos are false positives."""
    return detections[detections["video_id"].isin(list(truth))]


def long_instances(truth: Truth, min_s: float) -> Truth:
    """Only instances of at least ``min_s`` seconds; every video stays, so a detection of a shorter one is a false positive."""
    return {v: e | {"annotations": [a for a in e["annotations"] if _length_s(a) >= min_s]} for v, e in truth.items()}


def with_out_of_range(truth: Truth, out_of_range: Mapping[str, tuple[str, int]]) -> Truth:
    """With instances that begin after their video's end, which nothing can find: video -> (label, how many)."""
    added = dict(truth)
    for video, (label, count) in out_of_range.items():
        beyond = [{"label": label, "segment": [truth[video]["duration"] + i + 1, truth[video]["duration"] + i + 2]} for i in range(count)]
        added[video] = truth[video] | {"annotations": [*truth[video]["annotations"], *beyond]}
    return added


# --- detectors that have seen no video


def one_segment(truth: Truth, classes: Iterable[tuple[str, str, float]], share: tuple[float, float] = (0.0, 1.0)) -> pd.DataFrame:
    """One segment for each video and class, of (video, label, score).

    Args:
        truth: says how long a video is; one that it does not have is taken to last 1 s, as no segment there can be right.
        classes: may name a video several times.
        share: start and end of the segment, in video lengths.
    """
    rows = []
    for video, label, score in classes:
        duration = truth[video]["duration"] if video in truth else 1.0
        rows.append((video, label, share[0] * duration, share[1] * duration, score))
    return _detections(rows)


def annotated_classes(truth: Truth, seed: int) -> list[tuple[str, str, float]]:
    """The right class or classes of each video, all with score 1; equal scores have no order, so theirs is drawn."""
    named = [(video, label, 1.0) for video, e in truth.items() for label in dict.fromkeys(a["label"] for a in e["annotations"])]
    return [named[i] for i in np.random.default_rng(seed).permutation(len(named))]


def mean_share(annotations: AnnotationFile) -> tuple[float, float]:
    """Mean start and end of the training subset's instances, in video lengths."""
    training = [e for e in annotations.videos.values() if e.subset == annotations.subsets()[0]]
    start, end = np.concatenate([e.annotations.segments_s / e.duration_s for e in training]).mean(axis=0)
    return float(start), float(end)


def jittered_truth(
    truth: Truth, seed: int, *, missed: float = 0.2, shift: float = 0.1, scale: float = 0.2, false_per_minute: float = 4.0
) -> pd.DataFrame:
    """Simulated detections: instances with noise and false positives, by which protocols can be compared where no detector is at hand.

    Args:
        truth: video -> entry.
        seed: of everything drawn.
        missed: probability that an instance is not found.
        shift: standard deviation of the segment's shift, in its lengths.
        scale: standard deviation of the logarithm of the factor on its length.
        false_per_minute: rate of false positives; class and length are those of an instance drawn from all.
    """
    rng = np.random.default_rng(seed)
    everything = [a for entry in truth.values() for a in entry["annotations"]]
    rows = []

    def add(video: str, label: str, centre: float, length: float, score: float) -> None:
        start, end = np.clip([centre - length / 2, centre + length / 2], 0, truth[video]["duration"])
        if start < end:
            rows.append((video, label, start, end, score))

    for video, entry in truth.items():
        for a in entry["annotations"]:
            if rng.random() >= missed:
                length = _length_s(a)
                centre = np.mean(a["segment"]) + rng.normal(0, shift) * length
                add(video, a["label"], centre, length * np.exp(rng.normal(0, scale)), rng.beta(4, 2))
        for _ in range(rng.poisson(false_per_minute * entry["duration"] / 60)):
            a = everything[rng.integers(len(everything))]
            add(video, a["label"], rng.uniform(0, entry["duration"]), _length_s(a), rng.beta(2, 4))
    return _detections(rows)


def _length_s(instance: Mapping[str, Any]) -> float:
    return float(instance["segment"][1] - instance["segment"][0])


def _detections(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s", "score"])
