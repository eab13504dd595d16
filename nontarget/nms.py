"""Soft non-maximum suppression of segments (Sec. 3.6; Bodla et al. 2017), of all classes and videos in one call."""

from numbers import Integral, Real
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

NmsMethod = Literal["gaussian", "linear", "hard"]
_Spans = tuple[Tensor, Tensor, Tensor]
"""Start, end and length."""
_PAIRS = 2**20
"""Pairs of a block of groups whose decay is computed beforehand."""
_ROUNDS = 16
"""Rounds between two looks at which groups can still give a segment that their video keeps."""


def soft_nms(
    segments: Float[Tensor, "n 2"],
    scores: Float[Tensor, " n"],
    labels: Integer[Tensor, " n"] | None = None,
    *,
    method: NmsMethod = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.1,
    min_score: float = 0.001,
    max_detections: int | None = 200,
    videos: Integer[Tensor, " n"] | None = None,
) -> tuple[Int[Tensor, " kept"], Float[Tensor, " kept"]]:
    """Soft non-maximum suppression of segments (Sec. 3.6; Bodla et al. 2017), of all classes and videos in one call.

    The best segment is kept, the others of its class and video decay by their tIoU with it, and so on: ``gaussian`` by
    ``exp(-tiou^2 / sigma)``, ``linear`` by ``1 - tiou`` where ``tiou >= iou_threshold``, ``hard`` removes where
    ``tiou >= iou_threshold``. What falls below ``min_score`` is dropped. Among equal scores the first listed wins.
    Gradients flow back to the scores alone.

    Args:
        segments: start and end, in any one unit.
        scores: positive scores.
        labels: class of each segment; segments of different classes do not suppress each other. Default: one class.
        sigma: width of the gaussian decay.
        iou_threshold: for ``linear`` and ``hard``.
        min_score: lowest score kept, before and after decay.
        max_detections: at most as many are kept for each video (and for each of its classes); None: no limit.
        videos: video of each segment; segments of different videos do not suppress each other. Default: one video.

    Returns:
        Indices of the kept segments and their decayed scores, float32 for half-precision ones; ordered by video, then by falling score.

    Raises:
        TypeError: an argument is no tensor of the right kind.
        ValueError: an option is unknown or out of range, shapes do not agree, a segment is not finite, too long for its data type or
            ends before it starts, or a score is NaN.
    """
    _check_nms_arguments(segments, scores, labels, videos, method, sigma, iou_threshold, min_score, max_detections)
    sigma, min_score = float(sigma), float(min_score)  # a whole number may be too large for a tensor's
    zeros = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    # Dense int64 ids: neither their product nor their width can overflow. Spans that fit float16 have sums that do not.
    labels, videos = (zeros if ids is None else ids.long().unique(return_inverse=True)[1] for ids in (labels, videos))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    segments = segments.detach().to(torch.promote_types(segments.dtype, scores.dtype))
    candidates = (scores >= min_score).nonzero().squeeze(1)
    if candidates.numel() == 0:
        return candidates, scores[:0]
    limit = len(candidates) if max_detections is None else min(max_detections, len(candidates))

    key = videos[candidates] * (labels.max() + 1) + labels[candidates]
    _, group, sizes = key.unique(return_inverse=True, return_counts=True)
    kept, kept_scores = [], []
    # Groups of similar size share one padded block, so that one crowded class does not make every block as wide.
    bucket = sizes.double().log2().ceil().long()
    for b in bucket.unique():
        members = candidates[(bucket == b)[group]]
        block = _padded_groups(group[(bucket == b)[group]])
        chosen, chosen_scores = _decay_rounds(
            segments, scores, videos, members[block], block >= 0, method, sigma, iou_threshold, min_score, limit
        )
        kept.append(chosen)
        kept_scores.append(chosen_scores)
    index, score = torch.cat(kept), torch.cat(kept_scores)

    order = score.argsort(descending=True, stable=True)
    order = order[videos[index[order]].argsort(stable=True)]
    index, score = index[order], score[order]
    first = torch.searchsorted(videos[index], videos[index])  # position at which the video of each entry begins
    within = torch.arange(len(index), device=index.device) - first < limit
    return index[within], score[within]


def _padded_groups(group: Int[Tensor, " n"]) -> Int[Tensor, "groups width"]:
    """Positions of each group's members, in input order, one group a row; -1 fills up."""
    order = group.argsort(stable=True)
    _, row, sizes = group[order].unique_consecutive(return_inverse=True, return_counts=True)
    column = torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[row]
    block = torch.full((len(sizes), int(sizes.max())), -1, device=group.device)
    block[row, column] = order
    return block


def _decay_rounds(
    segments: Float[Tensor, "n 2"],
    scores: Float[Tensor, " n"],
    videos: Int[Tensor, " n"],
    block: Int[Tensor, "groups width"],
    real: Bool[Tensor, "groups width"],
    method: NmsMethod,
    sigma: float,
    iou_threshold: float,
    min_score: float,
    limit: int,
) -> tuple[Int[Tensor, " kept"], Float[Tensor, " kept"]]:
    """Select and decay, one segment of every group a round; what has been chosen, or is not there, has score -inf.

    Scores only fall, so a group ends when its video has ``limit`` segments that are better than the group's best.
    """
    live = scores[block].masked_fill(~real, -torch.inf)
    start, end = (x.contiguous() for x in segments[block].unbind(-1))
    length = end - start
    rounds = min(limit, block.shape[1])
    if method != "hard" and live.device.type == "cpu" and not live.requires_grad and live.numel() * block.shape[1] <= _PAIRS:
        others = start[:, :, None], end[:, :, None], length[:, :, None]
        decay = _decay(_tiou((start[:, None], end[:, None], length[:, None]), others), method, sigma, iou_threshold)
        return _rounds_of_known_decay(live, block, decay, rounds, min_score)
    start.masked_fill_(~real, torch.inf)  # so that it overlaps with nothing, as what was chosen
    may_be_nan = bool(live.isposinf().any()) or 1 / sigma > torch.finfo(segments.dtype).max  # inf * 0
    # The same memory in every round, unless a gradient is to come back through it.
    overlap, union = (None, None) if scores.requires_grad else start.new_empty(2, *start.shape).unbind()
    chosen: list[Tensor] = []
    chosen_scores: list[Tensor] = []
    for turn in range(1, rounds + 1):
        best, where = _best_of_each(live)
        going = (best >= min_score).squeeze(1)
        if turn % _ROUNDS == 0:
            last = _last_kept(videos[torch.cat(chosen)], torch.cat(chosen_scores), limit)
            going &= best.squeeze(1) >= last[videos[block[:, 0]]]
        if not going.all():
            live, block, start, end, length = (x[going] for x in (live, block, start, end, length))
            best, where = best[going], where[going]
            overlap, union = (None if x is None else x[: len(live)] for x in (overlap, union))
            if live.numel() == 0:
                break
        chosen.append(block.gather(1, where).squeeze(1))
        chosen_scores.append(best.squeeze(1))
        others = start.gather(1, where), end.gather(1, where), length.gather(1, where)
        tiou = _tiou((start, end, length), others, overlap, union)
        if method == "hard":
            live.masked_fill_(tiou >= iou_threshold, -torch.inf)
        else:
            live.mul_(_decay(tiou, method, sigma, iou_threshold))
        if may_be_nan:
            live.masked_fill_(live.isnan(), -torch.inf)
        live.scatter_(1, where, -torch.inf)
        start.scatter_(1, where, torch.inf)
    return torch.cat(chosen), torch.cat(chosen_scores)


def _rounds_of_known_decay(
    live: Float[Tensor, "groups width"],
    block: Int[Tensor, "groups width"],
    decay: Float[Tensor, "groups width width"],
    rounds: int,
    min_score: float,
) -> tuple[Int[Tensor, " kept"], Float[Tensor, " kept"]]:
    """``_decay_rounds`` of small groups, by the decay of each pair: in numpy, whose calls cost a quarter of torch's."""
    scores, factors, groups = live.numpy(), decay.numpy(), np.arange(len(live))
    chosen, chosen_scores = [], []
    with np.errstate(invalid="ignore"):  # inf * 0
        for _ in range(rounds):
            where = scores.argmax(axis=1)
            best = scores[groups, where]
            if not (best >= min_score).any():
                break
            chosen.append(where)
            chosen_scores.append(best)
            scores *= factors[groups, where]
            np.fmax(scores, -np.inf, out=scores)  # NaN
            scores[groups, where] = -np.inf
    positions, values = (torch.from_numpy(np.stack(x)) for x in (chosen, chosen_scores))  # [rounds, groups]
    kept = values >= min_score
    return block.T.gather(0, positions)[kept], values[kept]


def _tiou(segments: _Spans, others: _Spans, overlap: Tensor | None = None, union: Tensor | None = None) -> Tensor:
    """tIoU of segments with other ones, broadcast; 0 for two without length. It is computed in the memory that is given for it."""
    (start, end, length), (other_start, other_end, other_length) = segments, others
    shared = torch.minimum(end, other_end, out=overlap)
    shared.sub_(torch.maximum(start, other_start, out=union)).clamp_(min=0)
    return shared.div_(torch.add(length, other_length, out=union).sub_(shared).clamp_(min=torch.finfo(end.dtype).tiny))


def _decay(tiou: Tensor, method: NmsMethod, sigma: float, iou_threshold: float) -> Tensor:
    if method == "gaussian":
        return tiou.square_().mul_(-1 / sigma).exp_()
    return torch.where(tiou >= iou_threshold, 1 - tiou, 1.0)


def _best_of_each(live: Float[Tensor, "groups width"]) -> tuple[Float[Tensor, "groups 1"], Int[Tensor, "groups 1"]]:
    """Each row's maximum, and where it is: the first one among equals."""
    if live.device.type != "cpu" or live.requires_grad:
        best, where = live.max(dim=1, keepdim=True)
        return best, where
    where = torch.from_numpy(live.numpy().argmax(axis=1, keepdims=True))  # numpy compares many numbers at a time, torch one
    return live.gather(1, where), where


def _last_kept(videos: Int[Tensor, " n"], scores: Float[Tensor, " n"], limit: int) -> Float[Tensor, " videos"]:
    """The score of rank ``limit`` in each video, -inf where it has fewer."""
    order = scores.argsort(descending=True)
    order = order[videos[order].argsort(stable=True)]
    counts = videos.bincount()
    full = counts >= limit
    last = scores.new_full(counts.shape, -torch.inf)
    last[full] = scores[order[(counts.cumsum(0) - counts + limit - 1)[full]]]
    return last


def _check_nms_arguments(
    segments: Tensor,
    scores: Tensor,
    labels: Tensor | None,
    videos: Tensor | None,
    method: str,
    sigma: float,
    iou_threshold: float,
    min_score: float,
    max_detections: int | None,
) -> None:
    for name, tensor, kind in (
        ("segments", segments, "float"),
        ("scores", scores, "float"),
        ("labels", labels, "int"),
        ("videos", videos, "int"),
    ):
        if tensor is None and name in ("labels", "videos"):
            continue
        if (
            not isinstance(tensor, Tensor)
            or tensor.is_floating_point() != (kind == "float")
            or tensor.dtype == torch.bool
            or tensor.is_complex()
            or (kind == "float" and tensor.element_size() < 2)  # float8 has no arithmetic
        ):
            raise TypeError(f"{name} must be a tensor of {kind}s, got {getattr(tensor, 'dtype', type(tensor).__name__)}")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise TypeError(f"{name} must be a dense tensor with numbers, got layout {tensor.layout} on {tensor.device}")
    if segments.ndim != 2 or segments.shape[1] != 2:
        raise ValueError(f"segments must be [N, 2] (start, end), got shape {tuple(segments.shape)}")
    for name, tensor in (("scores", scores), ("labels", labels), ("videos", videos)):
        if tensor is not None and tensor.shape != segments.shape[:1]:
            raise ValueError(f"{name} must have shape {tuple(segments.shape[:1])} like segments, got {tuple(tensor.shape)}")
    devices = {tensor.device for tensor in (segments, scores, labels, videos) if tensor is not None}
    if len(devices) > 1:
        raise ValueError(f"segments, scores, labels and videos must be on one device, got {sorted(map(str, devices))}")
    if not (isinstance(method, str) and method in get_args(NmsMethod)):
        raise ValueError(f"method must be one of {get_args(NmsMethod)}, got {method!r}")
    for name, value in (("iou_threshold", iou_threshold), ("sigma", sigma), ("min_score", min_score)):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"{name} must be a number, got {value!r}")
        if not abs(value) <= torch.finfo(torch.float64).max:
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    if max_detections is not None and (not isinstance(max_detections, Integral) or isinstance(max_detections, bool)):
        raise TypeError(f"max_detections must be a whole number, or None for no limit, got {max_detections!r}")
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be in [0, 1], got {iou_threshold!r}")
    most = torch.finfo(torch.promote_types(segments.dtype, torch.float32)).max / 8  # sums of four bounds are finite
    wrong = ~((segments[:, 0] <= segments[:, 1]) & (segments.abs() <= most).all(dim=1))
    if wrong.any():
        raise ValueError(f"segments must be finite with start <= end, got {segments[wrong][0].tolist()}; bounds up to {most:.2g} fit")
    if scores.isnan().any():
        raise ValueError(f"scores must not be NaN, got {int(scores.isnan().sum())} such of {len(scores)}")
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma!r}")
    if not min_score >= 0:
        raise ValueError(f"min_score must be >= 0 (decay multiplies scores), got {min_score!r}")
    if max_detections is not None and max_detections < 1:
        raise ValueError(f"max_detections must be at least 1, or None for no limit, got {max_detections!r}")
