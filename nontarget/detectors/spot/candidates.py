"""From the class and mask probabilities of SPOT to candidate segments (Sec. 3.6)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nontarget.config import InferenceConfig
from nontarget.detectors.base import Candidates
from nontarget.segments import runs_above, sum_over


def spot_candidates(
    class_probs: Float[Tensor, "clips snippets classes"],
    mask_probs: Float[Tensor, "clips snippets snippets"],
    valid: Bool[Tensor, "clips snippets"],
    config: InferenceConfig,
) -> Candidates:
    """Candidates from class and mask probabilities (Sec. 3.6).

    Every run of snippets above a class threshold is a candidate. The mean of its snippets' masks says how far the instance extends that
    the run lies in: every run of that mask above a mask threshold is a candidate of the same class. The score is class score times mask
    score.

    Deviation: the paper defines neither. The means over the segment would put fragments of an instance first, since the middle of an
    instance is surer than the whole. The default class score is the contrast of the segment with its surroundings, the default mask
    score its soft tIoU with the mask; see :class:`nontarget.config.InferenceConfig`.
    """
    class_probs = class_probs[..., :-1].masked_fill(~valid[..., None], 0.0).transpose(1, 2)  # [clips, classes, snippets]
    mask_probs = mask_probs.masked_fill(~(valid[:, None] & valid[..., None]), 0.0)
    promising = (class_probs.amax(dim=-1) > min(config.class_thresholds)).nonzero()  # [rows, 2]: clip and class
    curves = class_probs[promising[:, 0], promising[:, 1]]
    row, start, end = runs_above(curves, config.class_thresholds)
    if len(row) == 0:
        return Candidates(row, row, class_probs.new_zeros(0, 2), class_probs.new_zeros(0))

    clip, label = promising[row].unbind(dim=1)
    total = F.pad(mask_probs.cumsum(dim=1), (0, 0, 1, 0))  # over the snippets whose masks they are
    mask = (total[clip, end] - total[clip, start]) / (end - start)[:, None]  # [runs, snippets]
    origin, mask_start, mask_end = runs_above(mask, config.mask_thresholds)
    origin = torch.cat((torch.arange(len(row), device=row.device), origin))
    start, end = torch.cat((start, mask_start)), torch.cat((end, mask_end))

    length = end - start
    mask_score = sum_over(mask, origin, start, end) / length
    if config.mask_score == "agreement":
        inside = mask_score * length
        mask_score = inside / (mask.sum(dim=-1)[origin] + length - inside)
    class_score = sum_over(curves, row[origin], start, end) / length
    if config.class_score == "contrast":
        class_score = (class_score - _surroundings(curves, row[origin], start, end)).clamp(min=0)
    return Candidates(clip[origin], label[origin], torch.stack((start, end), dim=1).to(curves.dtype), class_score * mask_score)


def _surroundings(
    curves: Float[Tensor, "rows snippets"], row: Int[Tensor, " n"], start: Int[Tensor, " n"], end: Int[Tensor, " n"], margin: float = 0.25
) -> Float[Tensor, " n"]:
    """Mean of a row's values on either side of [start, end), over a share of its length; outside the clip they are 0."""
    width = (margin * (end - start)).ceil().long().clamp(min=1)
    before, after = (start - width).clamp(min=0), (end + width).clamp(max=curves.shape[1])
    return (sum_over(curves, row, before, start) + sum_over(curves, row, end, after)) / (2 * width)
