"""Consistency: the student's output on a changed clip follows the teacher's output (mean teacher, SSP, SSTAP)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets, taken_from
from nontarget.losses import Activation, mean_where
from nontarget.rules.base import LearningRule, TeacherChoice, View
from nontarget.rules.views import coin, hide_span, reversed_time, shift_channels, warped_time


@dataclass(frozen=True, kw_only=True)
class Consistency(LearningRule):
    """Mean squared difference to the probabilities of the running average of the weights (Tarvainen and Valpola 2017).

    As in that paper, the averaged model is the one that is evaluated.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"consistency", "views"})

    teacher: TeacherChoice = "average"

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        probs = logits.softmax(dim=-1) if activation == "softmax" else logits.sigmoid()
        return mean_where((probs - pseudo_probs).square().sum(dim=-1), valid)

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        loss = self.unlabeled_loss(output.class_logits, pseudo.class_probs, output.valid, output.activation)
        return {"class": loss, **detector.consistency_losses(output, pseudo)}


@dataclass(frozen=True, kw_only=True)
class Ssp(Consistency):
    """Mean teacher through time warping and time masking."""

    name: ClassVar[str] = "SSP-style"

    warp: float = 0.2
    """How far the middle of a clip may move, as a share of its length (assumed)."""
    hidden_share: float = 0.1
    """Share of a clip that the student does not see (assumed)."""

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        source = warped_time(valid, self.warp)
        augmented = hide_span(taken_from(features, source), valid, self.hidden_share)
        return View(augmented, lambda output: detector.resample(output, source))


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
        augmented = taken_from(shift_channels(features, valid, self.shifted_share), source)
        return View(augmented, lambda output: detector.resample(output, source))

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
