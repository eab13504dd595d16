"""From a trained detector to detections in seconds (Sec. 3.6)."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from nontarget.config import InferenceConfig, Protocol, is_finite_number
from nontarget.data import Clips, DataError, Video, make_clips
from nontarget.data.folder import pooled
from nontarget.data.videos import LENGTH_TOLERANCE, RATE_TOLERANCE, is_off
from nontarget.detectors.base import Candidates, DetectorOutput, forward_batches
from nontarget.nms import soft_nms
from nontarget.runtime.devices import cpu_threads
from nontarget.runtime.progress import progress_bar
from nontarget.segments import TimeGrid
from nontarget.trained import TrainedDetector

INFERENCE_VERSION = 2
COLUMNS = ["video_id", "label", "start_s", "end_s", "score"]


@dataclass(frozen=True)
class VideoSegments:
    """Labelled and scored segments of several videos, in seconds."""

    video: Int[Tensor, " n"]
    """Position of the video in a sequence of videos."""
    labels: Int[Tensor, " n"]
    segments: Float[Tensor, "n 2"]
    scores: Float[Tensor, " n"]

    def __getitem__(self, index: Tensor) -> "VideoSegments":
        return VideoSegments(self.video[index], self.labels[index], self.segments[index], self.scores[index])

    def frame(self, video_ids: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
        """As rows (video_id, label, start_s, end_s, score)."""
        columns = (
            pd.Index(video_ids).take(self.video.cpu().numpy()),
            pd.Index(classes).take(self.labels.cpu().numpy()),
            *self.segments.double().cpu().numpy().T,
            self.scores.double().cpu().numpy(),
        )
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def detect(
    model_or_checkpoint: TrainedDetector | str | Path,
    features: Mapping[str, ArrayLike],
    feature_fps: float,
    durations_s: Mapping[str, float] | None = None,
    inference: InferenceConfig | None = None,
    external_scores: Mapping[str, ArrayLike] | None = None,
    feature_offset_s: float | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """Detections for a user's own features, of the kind that the detector was trained on.

    Args:
        model_or_checkpoint: a trained detector or the path of a saved one.
        features: video id -> array [T, D]; ``numpy.load("features.npz")`` will do.
        feature_fps: feature steps per second, as in training; more than 2 % off is warned about, a factor of 2 refused.
            Step t is centred on ``feature_offset_s + t / feature_fps`` seconds.
        durations_s: of the videos; default: as long as their features last. More than 2 % off is warned about, 10 % refused.
        inference: thresholds and limits; default: those saved with the detector.
        external_scores: video id -> score of each class, of a classifier of whole videos; used if ``inference`` says so.
        feature_offset_s: centre of the first feature step, in seconds; default: half a step.
        threads: CPU threads. One is enough for a small detector, and it is far faster than several where other programs keep the cores
            busy; the preset ``full`` gains from as many as there are idle cores. Sums are rounded in another order with more.

    Returns:
        DataFrame (video_id, label, start_s, end_s, score), by video, best first.

    Raises:
        DataError: features have another dimension than in training, or are not finite, or a duration is missing or is not as long as
            the features last; the message names the video.
        FileNotFoundError: there is no such checkpoint.
        TypeError, ValueError: another argument is wrong.
    """
    if not (is_finite_number(feature_fps) and feature_fps > 0):
        raise ValueError(f"feature_fps must be a positive number of feature steps per second, got {feature_fps!r}")
    if feature_offset_s is not None and not is_finite_number(feature_offset_s):
        raise ValueError(f"feature_offset_s must be a number of seconds, got {feature_offset_s!r}")
    origin_s = 0.0 if feature_offset_s is None else float(TimeGrid.centred(feature_fps, feature_offset_s).offset_s)
    if not isinstance(model_or_checkpoint, (TrainedDetector, str, Path)):
        raise TypeError(f"expected a TrainedDetector or the path of one, got {type(model_or_checkpoint).__name__} (see its .trained?)")
    if not isinstance(features, Mapping):
        raise TypeError(f"features must be a mapping of video id -> array [T, D], got {type(features).__name__}")
    if not isinstance(durations_s, (Mapping, pd.Series, NoneType)):
        raise TypeError(f"durations_s must be a mapping of video id -> seconds, or None, got {type(durations_s).__name__}")
    if not isinstance(inference, (InferenceConfig, NoneType)):
        raise TypeError(f"inference must be an InferenceConfig, or None for that of training, got {type(inference).__name__}")
    trained = model_or_checkpoint if isinstance(model_or_checkpoint, TrainedDetector) else TrainedDetector.load(model_or_checkpoint)
    if trained.feature_fps is not None and abs(feature_fps / trained.feature_fps - 1) > RATE_TOLERANCE:
        mismatch = f"feature_fps {feature_fps:g}: the detector was trained on {trained.feature_fps:g} feature steps per second"
        if not 0.5 <= feature_fps / trained.feature_fps <= 2:
            raise ValueError(f"{mismatch}; extract or resample the features at that rate")
        warnings.warn(f"{mismatch}, and sees these videos at another speed", stacklevel=2)
    if not len(features):
        return pd.DataFrame({name: [] for name in COLUMNS})
    dim = len(trained.normalization.mean)
    videos, odd = [], []
    for video_id in features:
        array = np.asarray(features[video_id], dtype=np.float32)
        if array.ndim != 2 or len(array) == 0 or array.shape[1] != dim:
            raise DataError(f"{video_id}: the detector was trained on features [T, {dim}], got shape {array.shape}")
        if not np.isfinite(array).all():
            raise DataError(f"{video_id}: features must be finite, got NaN or infinity")
        duration = len(array) / feature_fps + origin_s if durations_s is None else durations_s.get(video_id)
        if duration is None or not (is_finite_number(duration) and duration > 0):
            raise DataError(f"{video_id}: durations_s must give it a positive number of seconds, got {duration!r}")
        if is_off(len(array), (duration - origin_s) * feature_fps, LENGTH_TOLERANCE):
            raise DataError(
                f"{video_id}: {len(array)} feature steps at feature_fps {feature_fps:g} last {len(array) / feature_fps:g} s, and "
                f"durations_s says {duration:g} s (seconds, not frames)"
            )
        if is_off(len(array), (duration - origin_s) * feature_fps, RATE_TOLERANCE):
            odd.append(f"{video_id} ({len(array)} steps, about {(duration - origin_s) * feature_fps:.0f} are expected)")
        videos.append(pooled(Video(video_id, array, feature_fps, float(duration), origin_s), trained.protocol.pool))
    if odd:
        named = ", ".join(odd[:5]) + (", ..." if len(odd) > 5 else "")
        warnings.warn(
            f"{len(odd)} of {len(videos)} videos do not last as long as their features at feature_fps {feature_fps:g}, so that times in "
            f"them are shifted: {named}",
            stacklevel=2,
        )
    if inference is not None:
        trained = replace(trained, inference=inference)
    return detect_videos(trained, videos, external_scores, threads=threads)


def detect_videos(
    trained: TrainedDetector,
    videos: Sequence[Video],
    external_scores: Mapping[str, ArrayLike] | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Detections in videos: candidates of all their clips, in video time, through one Soft-NMS by class and video.

    Args:
        trained: a detector, put into evaluation mode, with its thresholds and limits.
        videos: with features as in training; detections are clipped to [0, duration].
        external_scores: score of each class in each video, by id, from a classifier of whole videos; used if the settings say so.
        threads: CPU threads; default: as many as torch is set to use.

    Returns:
        One row a detection (video_id, label, start_s, end_s, score), by video, best first.

    Raises:
        ValueError: there is no video; or the settings ask for external scores, and there are none, or none for a video.
    """
    config, video_ids = trained.inference, [v.video_id for v in videos]
    external = _external_tensor(external_scores, video_ids, trained.classes) if config.external_scores else None
    with cpu_threads(torch.get_num_threads() if threads is None else threads):
        if config.whole_video:
            return _whole_videos(trained, videos, external).frame(video_ids, trained.classes)
        candidates = video_candidates(trained, videos)
        if external is not None:
            external = external.to(candidates.scores.device)
            candidates = replace(candidates, scores=candidates.scores * external[candidates.video, candidates.labels])
        group = candidates.video * len(trained.classes) + candidates.labels
        best = _best_of_each(group, candidates.scores, config.max_candidates, config.min_score)
        return suppressed(candidates[best], config, trained.protocol).frame(video_ids, trained.classes)


def video_candidates(trained: TrainedDetector, videos: Sequence[Video]) -> VideoSegments:
    """Every candidate of a detector in video time, before Soft-NMS.

    A candidate at a clip border where the video continues is a fragment if it is no longer than the overlap of neighbouring windows:
    the neighbouring clip contains all of it. Fragments are dropped, and segments are clipped to the video.
    """
    parts = []
    for batch, output in _outputs(trained, videos):
        candidates = trained.detector.candidates(output, batch.valid, trained.inference)
        whole = ~_is_fragment(candidates, batch, trained.protocol)
        clip = candidates.clip[whole]
        segments = batch.grid(clip).to_seconds(candidates.segments[whole].double())
        parts.append((batch.video[clip], candidates.labels[whole], segments, candidates.scores[whole]))
    video, labels, segments, scores = map(torch.cat, zip(*parts, strict=True))
    ends = torch.tensor([v.duration_s for v in videos], dtype=segments.dtype, device=segments.device)[video]
    segments = torch.minimum(segments.clamp(min=0), ends[:, None])
    return VideoSegments(video, labels, segments, scores)[segments[:, 1] > segments[:, 0]]


def suppressed(candidates: VideoSegments, config: InferenceConfig, protocol: Protocol) -> VideoSegments:
    """Detections that remain of the candidates after Soft-NMS, by video, best first."""
    kept, scores = soft_nms(
        candidates.segments.to(candidates.scores.dtype),
        candidates.scores,
        candidates.labels,
        sigma=protocol.nms_sigma,
        min_score=config.min_score,
        max_detections=config.max_detections,
        videos=candidates.video,
    )
    return replace(candidates[kept], scores=scores)


def _whole_videos(trained: TrainedDetector, videos: Sequence[Video], external: Tensor | None) -> VideoSegments:
    """Each video whole, as the action class that its snippets have on average, scored by that mean probability."""
    device = next(trained.detector.parameters()).device
    total, count = torch.zeros(len(videos), len(trained.classes), device=device), torch.zeros(len(videos), 1, device=device)
    for batch, output in _outputs(trained, videos):
        total.index_add_(0, batch.video, output.action_probs.masked_fill(~output.valid[..., None], 0.0).sum(dim=1))
        count.index_add_(0, batch.video, output.valid.sum(dim=1, keepdim=True).float())
    mean = total / count
    score, label = (mean if external is None else mean * external.to(device)).max(dim=1)
    ends = torch.tensor([v.duration_s for v in videos], dtype=torch.float64)
    return VideoSegments(torch.arange(len(videos)), label, torch.stack((torch.zeros_like(ends), ends), dim=1), score)


def _external_tensor(scores: Mapping[str, ArrayLike] | None, video_ids: Sequence[str], classes: Sequence[str]) -> Tensor:
    if scores is None:
        raise ValueError("external_scores is on, but the data set has no external video scores (a feature folder: external_scores.json)")
    missing = [v for v in video_ids if v not in scores]
    if missing:
        raise ValueError(f"external_scores is on, but {len(missing)} videos have none: {', '.join(missing[:5])}")
    table = np.array([np.asarray(scores[v], dtype=np.float32) for v in video_ids])
    if table.shape != (len(video_ids), len(classes)):
        raise ValueError(f"external scores must be one number for each of {len(classes)} classes, got shape {table.shape[1:]}")
    return torch.from_numpy(table)


def _outputs(trained: TrainedDetector, videos: Sequence[Video]) -> Iterator[tuple[Clips, DetectorOutput]]:
    clips, batch_size = make_clips(videos, trained.protocol, trained.normalization), trained.inference.batch_size
    with progress_bar(math.ceil(len(clips) / batch_size), "detecting", "batch") as bar:
        for batch, output in forward_batches(trained.detector, clips, batch_size):
            yield batch, output
            bar.update()


def _is_fragment(candidates: Candidates, clips: Clips, protocol: Protocol) -> Bool[Tensor, " n"]:
    start, end = candidates.segments.unbind(dim=1)
    at_start = (start == 0) & ~clips.begins[candidates.clip]
    at_end = (end == clips.valid.sum(dim=1)[candidates.clip]) & clips.continues[candidates.clip]
    return (at_start | at_end) & (end - start <= protocol.num_snippets - protocol.stride)


def _best_of_each(group: Tensor, score: Tensor, limit: int, min_score: float) -> Tensor:
    """Indices of the ``limit`` best entries of each group that reach ``min_score``."""
    order = (score >= min_score).nonzero().squeeze(1)
    order = order[score[order].argsort(descending=True, stable=True)]
    order = order[group[order].argsort(stable=True)]
    grouped = group[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(grouped, grouped)
    return order[rank < limit]
