"""Augmentations of the clips that the student sees."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def reversed_time(valid: Bool[Tensor, "clips snippets"], chosen: Bool[Tensor, " clips"]) -> Int[Tensor, "clips snippets"]:
    """Where each snippet comes from when the chosen clips run backwards; padding stays behind."""
    steps = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    backwards = valid.sum(dim=1, keepdim=True) - 1 - steps
    return torch.where(chosen[:, None] & valid, backwards, steps)


def warped_time(valid: Bool[Tensor, "clips snippets"], strength: float) -> Int[Tensor, "clips snippets"]:
    """Where each snippet comes from when time runs faster before a random moment of each clip and slower after it, or the reverse.

    Args:
        valid: real snippets.
        strength: how far the middle of a clip may move, as a share of its length.
    """
    length = valid.sum(dim=1, keepdim=True).clamp(min=1)
    middle = 0.5 + (torch.rand(len(valid), 1, device=valid.device) * 2 - 1) * strength
    steps = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    at = (steps + 0.5) / length
    source = torch.where(at < 0.5, at * 2 * middle, middle + (at - 0.5) * 2 * (1 - middle))
    return torch.where(valid, (source * length).long().clamp(min=0).minimum(length - 1), steps)


def hide_span(
    features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"], share: float
) -> Float[Tensor, "clips snippets dim"]:
    """Features with one random span of each clip set to 0, the mean of the training set; it covers ``share`` of the clip."""
    length = valid.sum(dim=1, keepdim=True)
    start = torch.rand(len(valid), 1, device=valid.device) * (1 - share) * length
    steps = torch.arange(valid.shape[1], device=valid.device) + 0.5
    hidden = (steps >= start) & (steps < start + share * length)
    return features.masked_fill(hidden[..., None], 0.0)


def shift_channels(
    features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"], share: float
) -> Float[Tensor, "clips snippets dim"]:
    """Features with a random ``share`` of the channels moved one snippet ahead, and as many one snippet back (SSTAP)."""
    count = round(features.shape[-1] * share)
    channels = torch.randperm(features.shape[-1]).to(features.device)
    ahead, back = channels[:count], channels[count : 2 * count]
    shifted = features.clone()
    shifted[:, 1:, ahead] = features[:, :-1, ahead]
    shifted[:, :-1, back] = features[:, 1:, back]
    return shifted.masked_fill(~valid[..., None], 0.0)


def coin(count: int, like: Tensor) -> Bool[Tensor, " count"]:
    """A fair coin flip for each clip."""
    return torch.rand(count, device=like.device) < 0.5
