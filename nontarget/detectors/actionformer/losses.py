"""Targets and losses of ActionFormer's points (Zhang, Wu, Li, ECCV 2022)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

_EQUALLY_SHORT = 1e-3  # snippets, as in the released code


class PointTargets(NamedTuple):
    """What the points of clips are trained towards."""

    labels: Int[Tensor, "clips points"]
    """Class of the shortest instance of every point; background is ``num_classes``."""
    distances: Float[Tensor, "clips points 2"]
    """To the start and end of that instance, in snippets; 0 for background."""
    classes: Bool[Tensor, "clips points classes"]
    """For each class whether the point has it: the classes of all instances that are as short as the shortest; none for background."""


def cut_instances(
    segments: Float[Tensor, "clips instances 2"],
    begin: Float[Tensor, " clips"],
    end: Float[Tensor, " clips"],
    min_share: float = 0.5,
) -> tuple[Float[Tensor, "clips instances 2"], Bool[Tensor, "clips instances"]]:
    """Instances cut to ``[begin, end]`` of their clip, and which of them count: those of which at least ``min_share`` is left.

    A point can find a border that its clip shows, and no other (ActionFormer's released code cuts and drops alike).
    """
    cut = torch.minimum(segments.maximum(begin[:, None, None]), end[:, None, None])
    left, length = cut.diff(dim=-1).squeeze(-1), segments.diff(dim=-1).squeeze(-1)
    return cut, (left > 0) & (left >= min_share * length)


def point_targets(
    labels: Int[Tensor, "clips instances"],
    segments: Float[Tensor, "clips instances 2"],
    counts: Bool[Tensor, "clips instances"],
    covers: Bool[Tensor, "clips instances snippets"],
    centres: Float[Tensor, " points"],
    strides: Float[Tensor, " points"],
    ranges: Float[Tensor, "points 2"],
    num_classes: int,
    radius: float,
) -> PointTargets:
    """Targets of every point, from the list of the instances of its clip.

    A point belongs to an instance that it lies in, less than ``radius`` strides from the middle, and whose farther end is as far off
    as its level is for: in ``[low, high)`` of ``ranges``. Of several instances it takes the shortest, and the classes of all that are
    longer by no more than 0.001 snippets (ActionFormer's released code): an instance of CliffDiving is there again as one of Diving.

    Deviation: an instance that lies between two points of the first level has the point of the snippet that it claims; the released
    code has none for it.

    Args:
        labels: class of each instance.
        segments: its start and end, in snippets of the clip.
        counts: False for padding and for instances to leave out.
        covers: which snippets belong to each instance (:func:`nontarget.segments.covered_snippets`).
        centres: where the points are, in snippets; those of the first level come first, one for each snippet.
        strides: snippets between two points of the level.
        ranges: of the level, in snippets.
        num_classes: index of background.
        radius: of centre sampling, in strides.
    """
    start, end = segments[:, None].unbind(dim=-1)  # [clips, 1, instances]
    left, right = centres[:, None] - start, end - centres[:, None]  # [clips, points, instances]
    far, (low, high) = torch.maximum(left, right), ranges[..., None].unbind(dim=1)
    inside = (torch.minimum(left, right) > 0) & counts[:, None]
    central = (left - right).abs() < 2 * radius * strides[:, None]
    fits = inside & central & (far >= low) & (far < high)
    snippets, first = covers.shape[-1], covers.transpose(1, 2)  # [clips, snippets, instances]
    missed = counts & ~(inside[:, :snippets] & first).any(dim=1)
    fits[:, :snippets] |= first & missed[:, None]
    length = (end - start).where(fits, torch.inf)
    shortest, instance = length.min(dim=-1)
    positive = shortest < torch.inf
    distances = torch.stack([x.gather(-1, instance[..., None]).squeeze(-1) for x in (left, right)], dim=-1).clamp(min=0)
    equally_short = fits & (length <= shortest[..., None] + _EQUALLY_SHORT)
    of_class = labels[..., None] == torch.arange(num_classes, device=labels.device)  # [clips, instances, classes]
    return PointTargets(
        labels.gather(1, instance).where(positive, num_classes),
        distances.where(positive[..., None], 0.0),
        (equally_short.float() @ of_class.float()) > 0,
    )


def focal_loss(
    logits: Float[Tensor, "*points classes"],
    labels: Int[Tensor, "*points"] | Bool[Tensor, "*points classes"],
    alpha: float,
    gamma: float,
) -> Float[Tensor, "*points"]:
    """Sigmoid focal loss of every point, summed over classes (Lin et al. 2017).

    Args:
        logits: scores of the classes before the sigmoid.
        labels: class of every point, where ``classes`` is background, no class at all; or, as bool, for each class whether the point
            has it.
        alpha: weight of a class that the point has; others have ``1 - alpha``.
        gamma: power of what is missing to the right answer.
    """
    has = labels if labels.dtype == torch.bool else F.one_hot(labels, logits.shape[-1] + 1)[..., :-1]
    target = has.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missing = (target - logits.sigmoid()).abs()  # 1 - p of the right answer
    return ((alpha * target + (1 - alpha) * (1 - target)) * missing**gamma * entropy).sum(dim=-1)


def diou_loss(distances: Float[Tensor, "*points 2"], target: Float[Tensor, "*points 2"]) -> Float[Tensor, "*points"]:
    """``1 - tIoU + (distance of the middles / length of the hull)^2`` of the segments that lie so far around a point (Zheng et al. 2020).

    All distances are at least 0, so that both segments contain the point.
    """
    tiny = torch.finfo(distances.dtype).eps
    intersection = torch.minimum(distances, target).sum(dim=-1)
    hull = torch.maximum(distances, target).sum(dim=-1).clamp(min=tiny)
    union = (distances.sum(dim=-1) + target.sum(dim=-1) - intersection).clamp(min=tiny)
    middles = (distances - target).diff(dim=-1).squeeze(-1) / 2
    return 1 - intersection / union + (middles / hull) ** 2
