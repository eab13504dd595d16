"""Detection quality: average precision and its means, by the definition of the official ActivityNet evaluator (Sec. 4.1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from nontarget.config import Protocol
from nontarget.protocols import as_scored, get_protocol
from nontarget.scoring_input import (
    InstanceSource,
    argument_name,
    check_they_match,
    detection_table,
    ground_truth_table,
    names_of,
    warn_of_blocked,
)
from nontarget.segments import tiou

METRICS_VERSION = 1
"""To be raised when a change of the code changes numbers."""


@dataclass(frozen=True)
class DetectionScores:
    """The result of :func:`evaluate_detections`, and what it was computed on."""

    tiou_thresholds: tuple[float, ...]
    mean_ap: NDArray[np.float64]
    """Mean over classes of the AP at each threshold, in [0, 1]."""
    ap: pd.DataFrame
    """AP of every class (rows) that occurs in the ground truth, at each threshold (columns)."""
    num_videos: int
    num_instances: int
    num_detections: int
    protocol: str = ""
    """Name of the protocol that scored them (:mod:`nontarget.protocols`); empty if none was named."""

    @property
    def average_mean_ap(self) -> float:
        """Mean of ``mean_ap`` over the thresholds, the "Avg." column of the paper."""
        return float(self.mean_ap.mean())


def evaluate_detections(
    ground_truth: InstanceSource,
    detections: InstanceSource,
    tiou_thresholds: Sequence[float] | None = None,
    subset: str | None = None,
    *,
    protocol: str | Protocol | None = None,
    blocked_videos: Iterable[str] = (),
    known_labels: Iterable[str] = (),
) -> DetectionScores:
    """Average precision of temporal detections, as the official ActivityNet evaluator defines it.

    For each class, detections of all videos are ranked by score; each is matched, among the instances of its class and video that are
    not matched yet, to the one with the highest tIoU if that reaches the threshold, else it is a false positive. AP is the area under
    the interpolated precision-recall curve, mean AP the mean over the classes that occur in the ground truth. Every video counts:
    one without detections is all misses. Among equal scores, and among equal tIoU, the later listed goes first; duplicate
    instances are kept; an instance and a detection without length match each other, as in the official code; what ends before it
    starts matches nothing. Detections of a class that the ground truth does not have change nothing and are not counted; those in a
    video that it does not have are false positives. Both are warned about, with their likely cause.

    Args:
        ground_truth: ActivityNet-style dictionary ``{"database": {video: {"subset", "annotations": [{"label", "segment"}]}}}``, a path to
            one, or a DataFrame (video_id, label, start_s, end_s), in which only videos with an instance can be counted.
        detections: ``{"results": {video: [{"label", "score", "segment"}]}}``, a path to one, or a DataFrame (video_id, label, start_s,
            end_s, score).
        tiou_thresholds: any order. Default: those of the protocol.
        subset: which of the database's subsets to score (exact match). Default: all.
        protocol: one of the field's, by name (:func:`nontarget.protocols.available`): which test videos, instances and detections count.
            Default: all of them.
        blocked_videos: taken out of both.
        known_labels: labels that detections may have though no instance that is scored has them, such as the classes of the training set;
            there is no warning about them.

    Raises:
        ValueError: there are neither thresholds nor a protocol, or there is no such protocol; a key or column is missing, a value is of
            the wrong kind, a number is not finite, a file lists a video twice, or there is nothing to score; the message names the
            argument and the place.
    """
    blocked, expected = names_of("blocked_videos", blocked_videos), names_of("known_labels", known_labels)
    sources = argument_name("ground_truth", ground_truth), argument_name("detections", detections)
    chosen = get_protocol(protocol) if isinstance(protocol, str) else protocol
    if tiou_thresholds is None:
        if chosen is None:
            raise ValueError("give tiou_thresholds, or protocol=NAME, whose thresholds are then used")
        tiou_thresholds = chosen.tiou_thresholds
    thresholds = _thresholds(tiou_thresholds)
    left_out: frozenset[str] = frozenset()
    if chosen is not None:
        ground_truth, detections, left_out = as_scored(chosen, ground_truth, detections)
    truth, num_videos, known_videos = ground_truth_table(ground_truth, subset, blocked | left_out)
    predictions = detection_table(detections)
    warn_of_blocked(blocked, known_videos | set(predictions["video_id"]))
    if not len(truth):
        where = "" if subset is None else f" in subset {subset!r}"
        raise ValueError(f"{sources[0]} has no instance{where}: there is nothing to score")
    predictions = predictions[~predictions["video_id"].isin(list(blocked | left_out))]
    check_they_match(truth, predictions, known_videos, expected, sources)
    classes = pd.Index(sorted(truth["label"].unique()), name="label")
    ranked = rank_detections(predictions[predictions["label"].isin(classes)])
    matched = match_detections(truth, ranked, thresholds) >= 0

    label = classes.get_indexer(ranked["label"])
    instances = np.bincount(classes.get_indexer(truth["label"]), minlength=len(classes))
    order = np.argsort(label, kind="stable")
    by_class = np.split(matched[order], np.cumsum(np.bincount(label, minlength=len(classes)))[:-1])
    ap = np.stack([interpolated_ap(hits, n) for hits, n in zip(by_class, instances.tolist(), strict=True)])
    return DetectionScores(
        tiou_thresholds=thresholds,
        mean_ap=ap.mean(axis=0),
        ap=pd.DataFrame(ap, index=classes, columns=pd.Index(thresholds, name="tiou")),
        num_videos=num_videos,
        num_instances=len(truth),
        num_detections=len(ranked),
        protocol=getattr(chosen, "name", ""),
    )


def interpolated_ap(matched: NDArray[np.bool_], num_instances: int) -> NDArray[np.float64]:
    """Area under the precision envelope over all recall steps, one value a threshold.

    Args:
        matched: [detections, thresholds] of one class, best score first.
        num_instances: how many instances there are to find.
    """
    hits = matched.cumsum(axis=0)
    return area_under_envelope(matched, hits / np.arange(1, len(matched) + 1)[:, None], num_instances)


def area_under_envelope(matched: NDArray[np.bool_], precision: NDArray[np.float64], num_instances: int) -> NDArray[np.float64]:
    """:func:`interpolated_ap` of any precision, [detections, thresholds] like ``matched``."""
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # Recall rises by 1 / num_instances at each match and nowhere else.
    area: NDArray[np.float64] = np.where(matched, envelope, 0.0).sum(axis=0) / num_instances
    return area


def rank_detections(detections: pd.DataFrame) -> pd.DataFrame:
    """Detections in descending order of score, the one listed later first among ties. The index is reset."""
    later_first = detections.iloc[::-1]
    order = np.argsort(-later_first["score"].to_numpy(dtype=np.float64), kind="stable")
    return later_first.iloc[order].reset_index(drop=True)


def match_detections(truth: pd.DataFrame, ranked: pd.DataFrame, tiou_thresholds: Sequence[float]) -> NDArray[np.int64]:
    """Greedy one-to-one matching of detections and instances of the same class and video, at each tIoU threshold.

    Each detection, best first, takes the instance with the highest tIoU among those that no better one has taken, if that tIoU reaches
    the threshold; among equal tIoU the later listed instance goes first. A detection cannot take from a better one.

    Detections of different classes or videos cannot compete, so the k-th detections of all (video, class) groups are matched at once.

    Args:
        truth: rows (video_id, label, start_s, end_s).
        ranked: rows (video_id, label, start_s, end_s), best first: see :func:`rank_detections`.
        tiou_thresholds: thresholds, in [0, 1].

    Returns:
        [detections, thresholds]: row of ``truth`` that the detection takes, -1 if it takes none.
    """
    thresholds = np.asarray(tiou_thresholds, dtype=np.float64)
    matched = np.full((len(ranked), len(thresholds)), -1, dtype=np.int64)
    ranked, count = ranked.reset_index(drop=True), len(truth)
    truth = truth.iloc[::-1].reset_index(drop=True).rename_axis("instance").reset_index()  # later listed first among equal tIoU
    pairs = ranked.rename_axis("detection").reset_index().merge(truth, on=["video_id", "label"], suffixes=("", "_true"))
    segment = torch.from_numpy(pairs[["start_s", "end_s"]].to_numpy(dtype=np.float64, copy=True))
    instance_segment = torch.from_numpy(pairs[["start_s_true", "end_s_true"]].to_numpy(dtype=np.float64, copy=True))
    # 0 / 0, two equal moments, is a match for the official evaluator; a detection that ends before it starts never is one for us.
    backwards = (segment[:, 1] < segment[:, 0]) | (instance_segment[:, 1] < instance_segment[:, 0])
    overlap = tiou(segment, instance_segment).nan_to_num(nan=np.inf).masked_fill(backwards, 0.0).numpy()
    close = overlap >= thresholds.min()
    detection, instance, overlap = pairs["detection"].to_numpy()[close], pairs["instance"].to_numpy()[close], overlap[close]
    if not len(overlap):
        return matched

    # Candidates of a detection stand together, best tIoU first; a detection's turn is its rank in its group.
    order = np.lexsort((instance, -overlap, detection))
    detection, instance, overlap = detection[order], instance[order], overlap[order]
    turn = ranked.loc[detection].groupby(["video_id", "label"], sort=False).ngroup().to_numpy()
    first = np.flatnonzero(np.diff(detection, prepend=-1))
    group = turn[first]
    rank = pd.Series(group).groupby(group).cumcount().to_numpy()
    choices = np.diff(first, append=len(detection))

    free = np.ones((len(truth), len(thresholds)), dtype=bool)
    by_rank = np.argsort(rank, kind="stable")
    for members in np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]):
        pending = first[members]
        left = choices[members]
        taken = np.full((len(members), len(thresholds)), -1, dtype=np.int64)
        for step in range(left.max()):
            trying = np.flatnonzero(step < left)
            at = pending[trying] + step
            takes = free[instance[at]] & (taken[trying] < 0) & (overlap[at, None] >= thresholds)
            free[instance[at]] &= ~takes
            taken[trying] = np.where(takes, count - 1 - instance[at, None], taken[trying])  # back in the order of truth
        matched[detection[pending]] = taken
    return matched


def _thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    values = np.atleast_1d(np.asarray(thresholds, dtype=object)).ravel().tolist()
    if not values or not all(isinstance(t, Real) and not isinstance(t, bool) and 0 <= t <= 1 for t in values):  # type: ignore[operator]
        raise ValueError(f"tiou_thresholds must be one or more numbers in [0, 1], got {thresholds!r}")
    return tuple(float(t) for t in values)
