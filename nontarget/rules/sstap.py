"""SSTAP's learning rule (Wang et al. 2021) on the common detector."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nontarget.detectors.base import Detector, Losses, taken_from
from nontarget.rules.base import View
from nontarget.rules.mean_teacher import Consistency
from nontarget.rules.views import coin, reversed_time, shift_channels


@dataclass(frozen=True, kw_only=True)
class Sstap(Consistency):
    """Mean teacher through shifted channels and reversed time; the order of a clip's halves as a further task.

    Masked reconstruction, SSTAP's other pretext task, belongs to the detector. In the paper SSTAP is a proposal network with an
    external classifier; this is its learning rule.
    """

    name: ClassVar[str] = "SSTAP"

    shifted_share: float = 1 / 8
    """Share of the channels that is shifted in each direction (assumed, as in TSM)."""
    order_weight: float = 0.1
    """Weight of the loss of the order of halves (assumed)."""

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        source = reversed_time(valid, coin(len(valid), features))
        shown = taken_from(shift_channels(features, valid, self.shifted_share), source)
        return View(shown, lambda output: detector.resample(output, source))

    def pretext_head(self, width: int) -> nn.Module:
        return nn.Linear(2 * width, 1)

    def pretext_losses(self, detector: Detector, features: Tensor, valid: Tensor, pretraining: bool) -> Losses:
        """Whether the halves of a clip have been swapped (assumed: two parts), from the mean embedding of each half.

        Embeddings are computed after the swap, so that a half is seen beside the other.
        """
        assert detector.pretext is not None
        half = valid.sum(dim=1, keepdim=True) // 2
        steps = torch.arange(valid.shape[1], device=valid.device)
        swapped = coin(len(valid), features)
        source = torch.where(steps < half, steps + half, steps - half)
        even = steps < 2 * half  # an odd last snippet stays
        source = torch.where(swapped[:, None] & even, source, steps.expand_as(source))
        embeddings = detector(taken_from(features, source), valid).embeddings
        halves = [(inside[..., None] * embeddings).sum(dim=1) / half.clamp(min=1) for inside in (steps < half, (steps >= half) & even)]
        guess = detector.pretext(torch.cat(halves, dim=-1)).squeeze(-1)
        return {"order": self.order_weight * F.binary_cross_entropy_with_logits(guess, swapped.to(guess.dtype))}

    def pretraining_settings(self) -> dict[str, Any]:
        return super().pretraining_settings() | {"pretext": self.name, "order_weight": self.order_weight}
