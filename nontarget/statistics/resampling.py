"""Bootstraps over seeds, and over seeds and test videos."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nontarget.config import Protocol
from nontarget.metrics import evaluate_detections, interpolated_ap, match_detections, rank_detections
from nontarget.protocols import as_scored
from nontarget.scoring_input import InstanceSource, detection_table, ground_truth_table
from nontarget.statistics.paired import LEVEL, Interval, check_share, paired_values


def bootstrap_interval(differences: Iterable[float], level: float = LEVEL, resamples: int = 9999, seed: int = 0) -> Interval:
    """Bias-corrected and accelerated bootstrap of the mean of paired differences (Efron 1987); it needs ten pairs or more to be of use.

    Args:
        differences: see :func:`t_interval`, as for ``level``.
        level: of the interval.
        resamples: number of bootstrap samples.
        seed: of their draw.

    Raises:
        ValueError: as :func:`t_interval`.
    """
    values = paired_values(differences)
    check_share("level", level)
    mean = float(values.mean()) if len(values) else float("nan")
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"))
    if not np.ptp(values):
        return Interval(mean, mean, mean)
    rng = np.random.default_rng(seed)
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, confidence_level=level, method="BCa", random_state=rng
    ).confidence_interval
    return Interval(mean, float(interval.low), float(interval.high))


def hierarchical_bootstrap(values: ArrayLike, level: float = LEVEL, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Bootstrap of a mean over seeds and test videos; its interval covers other seeds and other test videos.

    Every seed is scored on the same test videos, whose luck does not average out over seeds. So each bootstrap sample draws seeds, and one
    set of videos for all of them (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 1, 2007); drawing videos anew for each seed
    would give too narrow an interval. Percentile interval; of fewer than about ten seeds it is too narrow as well.

    Args:
        values: [seeds, videos], of any quantity that is averaged over videos, such as the difference of two rules in recall.
        level: of the interval, in (0, 1).
        resamples: number of bootstrap samples.
        seed: of their draw.

    Raises:
        ValueError: another shape, nothing in it, or a number that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"values must be finite numbers [seeds, videos], one or more of each; got the shape {array.shape}")
    seeds, videos = _draw(array.shape, resamples, seed)
    means = ((seeds @ array) * videos).sum(axis=1) / array.size
    return Interval(float(array.mean()), *percentile_interval(means, level))


def map_difference(
    ground_truth: InstanceSource,
    first: Sequence[InstanceSource],
    second: Sequence[InstanceSource],
    tiou_thresholds: Sequence[float] | None = None,
    subset: str | None = None,
    *,
    protocol: str | Protocol | None = None,
    level: float = LEVEL,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Average mAP of one system minus that of another, in [-1, 1], with a bootstrap over seeds and test videos.

    Seeds and videos are drawn as by :func:`hierarchical_bootstrap`. Both systems are scored on the same drawn videos, as
    :func:`nontarget.evaluate_detections` scores them. A video that is drawn twice counts as two; a class that is not drawn does not count.

    Args:
        ground_truth: see :func:`nontarget.evaluate_detections`.
        first: detections of one system on the same videos, for each seed; see there.
        second: those of the other system, for the same seeds in the same order.
        tiou_thresholds: mAP is averaged over them; see there, as for ``subset`` and ``protocol``.
        subset: which of the database's subsets is scored.
        protocol: which test videos, instances and detections count.
        level: of the interval, in (0, 1).
        resamples: number of bootstrap samples; each is scored once for every drawn seed and system.
        seed: of their draw.

    Raises:
        ValueError: the systems have different numbers of runs, or none; or as :func:`nontarget.evaluate_detections`.
    """
    if not len(first) == len(second) > 0:
        raise ValueError(f"first and second must have a run for each of the same seeds, got {len(first)} and {len(second)} runs")
    systems = (first, second)
    scored = [[evaluate_detections(ground_truth, run, tiou_thresholds, subset, protocol=protocol) for run in system] for system in systems]
    mean_map, other_map = (np.mean([scores.average_mean_ap for scores in system]) for system in scored)
    tables = [[_tables(ground_truth, run, subset, protocol) for run in system] for system in systems]
    truth, num_videos, _ = tables[0][0]
    ranked = [[detections for _, _, detections in system] for system in tables]
    names = dict.fromkeys(name for table in (truth, *ranked[0], *ranked[1]) for name in table["video_id"])
    number = {name: i for i, name in enumerate(names)}
    num_videos = max(num_videos, len(names))  # a video without instances and detections is drawn like any other
    classes = truth["label"].unique().tolist()
    videos_of = (truth.loc[truth["label"] == c, "video_id"].map(number) for c in classes)
    instances = np.stack([np.bincount(videos, minlength=num_videos) for videos in videos_of])
    thresholds = scored[0][0].tiou_thresholds
    runs = [[_hits_by_class(truth, table, thresholds, number, classes) for table in system] for system in ranked]
    samples = [
        sum(n * (_average_map(a, times, instances) - _average_map(b, times, instances)) for n, a, b in zip(drawn, *runs, strict=True) if n)
        for drawn, times in zip(*_draw((len(first), num_videos), resamples, seed), strict=True)
    ]
    return Interval(float(mean_map - other_map), *percentile_interval(np.array(samples) / len(first), level))


def draw_counts(size: int, resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """[resamples, size]: how often each of ``size`` things is in each bootstrap sample."""
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples)


def percentile_interval(samples: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """The middle ``level`` of bootstrap samples; NaN among them (nothing was drawn that could be scored) are left out."""
    check_share("level", level)
    low, high = np.nanpercentile(np.asarray(samples, dtype=np.float64), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _draw(shape: tuple[int, ...], resamples: int, seed: int) -> list[NDArray[np.int64]]:
    """:func:`draw_counts` along each axis, independently."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples!r}")
    rng = np.random.default_rng(seed)
    return [draw_counts(size, resamples, rng) for size in shape]


_Hits: TypeAlias = list[tuple[NDArray[np.int64], NDArray[np.bool_]]]
"""For each class, the video of its detections, best first, and at which thresholds they match: [detections], [detections, thresholds]."""


def _tables(
    ground_truth: InstanceSource, run: InstanceSource, subset: str | None, protocol: str | Protocol | None
) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    """What is scored: instances, the number of videos, and detections, best first."""
    left_out: frozenset[str] = frozenset()
    if protocol is not None:
        ground_truth, run, left_out = as_scored(protocol, ground_truth, run)
    truth, num_videos, _ = ground_truth_table(ground_truth, subset, left_out)
    predictions = detection_table(run)
    return truth, num_videos, rank_detections(predictions[~predictions["video_id"].isin(list(left_out))])


def _hits_by_class(
    truth: pd.DataFrame, ranked: pd.DataFrame, thresholds: Sequence[float], number: Mapping[Any, int], classes: Sequence[Any]
) -> _Hits:
    matched = match_detections(truth, ranked, thresholds) >= 0
    video = ranked["video_id"].map(number).to_numpy()
    chosen = [(ranked["label"] == c).to_numpy() for c in classes]
    return [(video[mask], matched[mask]) for mask in chosen]


def _average_map(run: _Hits, times: NDArray[np.int64], instances: NDArray[np.int64]) -> float:
    """With each video counted ``times``: the copies of a detection stand side by side in the ranking. NaN where no instance is drawn."""
    counts = (instances @ times).tolist()
    ap = [interpolated_ap(np.repeat(hits, times[video], axis=0), n).mean() for (video, hits), n in zip(run, counts, strict=True) if n]
    return float(np.mean(ap)) if ap else float("nan")
