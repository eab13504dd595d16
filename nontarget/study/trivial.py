"""Trivial detectors, which need nothing but class probabilities: what localisation earns must lie above what they earn."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nontarget.segments import runs_above, sum_over


class TrivialSegments(NamedTuple):
    """Scored segments of one video, in snippets."""

    labels: Int[Tensor, " n"]
    segments: Float[Tensor, "n 2"]
    scores: Float[Tensor, " n"]


def whole_video(class_probs: Float[Tensor, "snippets classes"]) -> TrivialSegments:
    """One segment, all of the video, as the class of the highest mean probability, which is its score."""
    score, label = class_probs.mean(dim=0).max(dim=0)
    return TrivialSegments(label[None], class_probs.new_tensor([[0.0, len(class_probs)]]), score[None])


def runs_by_mean(class_probs: Float[Tensor, "snippets classes"], thresholds: tuple[float, ...]) -> TrivialSegments:
    """Every run of snippets of a class above a threshold, scored by its mean probability.

    Args:
        class_probs: of the action classes, background excluded.
        thresholds: of the class probability; a run that several of them give is listed once.
    """
    label, start, end = runs_above(class_probs.T, thresholds)
    scores = sum_over(class_probs.T, label, start, end) / (end - start)
    return TrivialSegments(label, torch.stack((start, end), dim=1).to(class_probs.dtype), scores)


def runs_by_contrast(
    class_probs: Float[Tensor, "snippets classes"], thresholds: tuple[float, ...], margin: float = 0.25
) -> TrivialSegments:
    """Every run of snippets of a class above a threshold, scored by its mean probability minus that of its surroundings.

    The surroundings are ``margin`` of its length, at least one snippet, on either side, as far as the video goes; where there are none,
    their probability counts as 0.

    Args:
        class_probs: of the action classes, background excluded.
        thresholds: as for :func:`runs_by_mean`.
        margin: share of the length of a run.
    """
    label, start, end = runs_above(class_probs.T, thresholds)
    inner = sum_over(class_probs.T, label, start, end)
    reach = ((end - start) * margin).ceil().long().clamp(min=1)
    before, after = (start - reach).clamp(min=0), (end + reach).clamp(max=len(class_probs))
    outer = sum_over(class_probs.T, label, before, after) - inner
    beside = (after - before) - (end - start)
    scores = inner / (end - start) - outer / beside.clamp(min=1)
    return TrivialSegments(label, torch.stack((start, end), dim=1).to(class_probs.dtype), scores)
