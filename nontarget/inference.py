"""From a trained detector to detections in seconds (Sec. 3.6)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from nontarget.config import InferenceConfig, Protocol
from nontarget.runtime.progress import progress_bar
from nontarget.segments import soft_nms

INFERENCE_VERSION = 2
COLUMNS = ["video_id", "label", "start_s", "end_s", "score"]


@torch.no_grad()
def detect_clips(
    detector: Any,
    clips: Any,
    video_ids: Sequence[str],
    durations_s: Sequence[float],
    classes: Sequence[str],
    config: InferenceConfig,
    protocol: Protocol,
    external_scores: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Detections of the clips' videos: candidates of all clips, in video time, through one Soft-NMS by class and video.

    A candidate at a border of its clip where the video goes on is a fragment, if it is no longer than what neighbouring clips share:
    the neighbour sees all of it. Fragments are left out.

    Args:
        detector: a detector (:class:`nontarget.detectors.base.Detector`) on the clips' device; put into evaluation mode.
        clips: clips (:class:`nontarget.data.Clips`).
        video_ids: of the videos that ``clips.video`` points at.
        durations_s: of the same videos, in seconds; detections are clipped to [0, duration].
        classes: names, background excluded.
        config: thresholds and limits.
        protocol: how the clips were cut, and the width of Soft-NMS.
        external_scores: score of each class in each video, by id, from a classifier of whole videos; used if the config says so.

    Returns:
        One row a detection (video_id, label, start_s, end_s, score), by video, best first.

    Raises:
        ValueError: the config asks for external scores, and there are none, or none for a video.
    """
    external = _external_tensor(external_scores, video_ids, classes).to(clips.features.device) if config.external_scores else None
    videos, labels, segments, scores = [], [], [], []
    for part, output in _outputs(detector, clips, config.batch_size):
        found = detector.candidates(output, part.valid, config)
        inner = ~_is_fragment(found, part, protocol)
        clip, segment = found.clip[inner], found.segments[inner].double()
        videos.append(part.video[clip])
        labels.append(found.labels[inner])
        segments.append(segment / part.fps[clip, None] + part.offset_s[clip, None])
        score = found.scores[inner]
        scores.append(score if external is None else score * external[videos[-1], labels[-1]])
    video, label, segment, score = torch.cat(videos), torch.cat(labels), torch.cat(segments), torch.cat(scores)
    ends = torch.tensor(durations_s, dtype=segment.dtype, device=segment.device)[video]
    segment = torch.minimum(segment.clamp(min=0), ends[:, None])
    group = video * len(classes) + label
    kept = _best_of_each(group, torch.where(segment[:, 1] > segment[:, 0], score, 0.0), config.max_candidates, config.min_score)
    video, label, segment, score = video[kept], label[kept], segment[kept], score[kept]
    kept, score = soft_nms(
        segment.to(score.dtype),
        score,
        label,
        sigma=protocol.nms_sigma,
        min_score=config.min_score,
        max_detections=config.max_detections,
        videos=video,
    )
    return _frame(video[kept], label[kept], segment[kept], score, video_ids, classes)


@torch.no_grad()
def detect_whole_videos(
    detector: Any,
    clips: Any,
    video_ids: Sequence[str],
    durations_s: Sequence[float],
    classes: Sequence[str],
    config: InferenceConfig,
    protocol: Protocol,
    external_scores: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """The trivial detector: each video whole, as the action class that its snippets have on average, scored by that mean probability.

    Arguments as for :func:`detect_clips`.
    """
    external = _external_tensor(external_scores, video_ids, classes).to(clips.features.device) if config.external_scores else 1.0
    total = torch.zeros(len(video_ids), len(classes), device=clips.features.device)
    count = torch.zeros(len(video_ids), 1, device=clips.features.device)
    for part, output in _outputs(detector, clips, config.batch_size):
        probs = output.action_probs
        total.index_add_(0, part.video, probs.masked_fill(~output.valid[..., None], 0.0).sum(dim=1))
        count.index_add_(0, part.video, output.valid.sum(dim=1, keepdim=True).float())
    score, label = (total / count * external).max(dim=1)
    ends = torch.tensor(durations_s, dtype=torch.float64, device=score.device)
    return _frame(torch.arange(len(video_ids)), label, torch.stack((torch.zeros_like(ends), ends), dim=1), score, video_ids, classes)


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


def _outputs(detector: Any, clips: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    detector.eval()
    for first in progress_bar(range(0, len(clips), batch_size), "detecting", "batch"):
        part = clips[slice(first, first + batch_size)]
        yield part, detector(part.features, part.valid)


def _is_fragment(found: Any, clips: Any, protocol: Protocol) -> Tensor:
    start, end = found.segments.unbind(dim=1)
    cut = ((start == 0) & (clips.offset_s[found.clip] > 0)) | ((end == clips.valid.sum(dim=1)[found.clip]) & clips.goes_on[found.clip])
    return cut & (end - start <= protocol.num_snippets - protocol.stride)


def _best_of_each(group: Tensor, score: Tensor, limit: int, min_score: float) -> Tensor:
    """Indices of the ``limit`` best entries of each group that reach ``min_score``."""
    order = (score >= min_score).nonzero().squeeze(1)
    order = order[score[order].argsort(descending=True, stable=True)]
    order = order[group[order].argsort(stable=True)]
    grouped = group[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(grouped, grouped)
    return order[rank < limit]


def _frame(video: Tensor, label: Tensor, segment: Tensor, score: Tensor, video_ids: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    columns = (
        pd.Index(video_ids).take(video.cpu().numpy()),
        pd.Index(classes).take(label.cpu().numpy()),
        *segment.double().cpu().numpy().T,
        score.double().cpu().numpy(),
    )
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
