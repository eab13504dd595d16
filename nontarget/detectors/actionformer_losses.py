"""Targets and losses of ActionFormer's points (Zhang, Wu, Li, ECCV 2022)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def point_targets(
    labels: Int[Tensor, "clips snippets"],
    segments: Float[Tensor, "clips snippets 2"],
    centres: Float[Tensor, " points"],
    strides: Float[Tensor, " points"],
    ranges: Float[Tensor, "points 2"],
    num_classes: int,
    radius: float,
) -> tuple[Int[Tensor, "clips points"], Float[Tensor, "clips points 2"]]:
    """Class of every point (background: ``num_classes``), and its distances to the start and end of its instance (background: 0).

    A point belongs to an instance that it lies in, less than ``radius`` strides from the middle, and whose farther end is as far off
    as its level is for: in ``[low, high)`` of ``ranges``. Of several instances it takes the shortest.

    Deviation: the instances are those that snippets were assigned to, so that one wholly hidden under shorter ones is lost; of two
    equally short ones a point takes one, the released code the classes of both. Every snippet stands for its instance: the same
    instance many times over changes nothing. An instance is not cut at the clip's border. The released code cuts it, and drops it
    where less than half is left; here such a one has no points, as its middle is outside.

    Args:
        labels: class of each snippet's instance.
        segments: start and end of that instance, in snippets of the clip.
        centres: where the points are, in snippets.
        strides: snippets between two points of the level.
        ranges: of the level, in snippets.
        num_classes: index of background.
        radius: of centre sampling, in strides.
    """
    start, end = segments[:, None].unbind(dim=-1)  # [clips, 1, snippets]
    left, right = centres[:, None] - start, end - centres[:, None]  # [clips, points, snippets]
    far, (low, high) = torch.maximum(left, right), ranges[..., None].unbind(dim=1)
    central = (left - right).abs() < 2 * radius * strides[:, None]
    fits = (torch.minimum(left, right) > 0) & central & (far >= low) & (far < high) & (labels != num_classes)[:, None]
    length, snippet = (end - start).where(fits, torch.inf).min(dim=-1)
    positive = length < torch.inf
    distances = torch.stack([x.gather(-1, snippet[..., None]).squeeze(-1) for x in (left, right)], dim=-1)
    return labels.gather(1, snippet).where(positive, num_classes), distances.where(positive[..., None], 0.0)


def focal_loss(
    logits: Float[Tensor, "*points classes"], labels: Int[Tensor, "*points"], alpha: float, gamma: float
) -> Float[Tensor, "*points"]:
    """Sigmoid focal loss of every point, summed over classes (Lin et al. 2017); the label ``classes`` is background, no class at all."""
    target = F.one_hot(labels, logits.shape[-1] + 1)[..., :-1].to(logits.dtype)
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
