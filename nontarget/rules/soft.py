"""Soft pseudo labels with mixup and two regularisers (Arazo et al. 2020)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.losses import Activation, mean_where
from nontarget.rules.base import LearningRule, View


@dataclass(frozen=True, kw_only=True)
class SoftPseudoLabel(LearningRule):
    """Cross-entropy with the whole distribution on mixed clips; a prior over classes against collapse, low entropy for sureness."""

    name: ClassVar[str] = "soft pseudo label"
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    mixup: float = 4.0
    """Parameter of the beta distribution that shares are drawn from (Arazo et al.)."""
    prior_weight: float = 0.8
    """Of the divergence between the class prior and the mean prediction (Arazo et al.)."""
    entropy_weight: float = 0.4
    """Of the mean entropy (Arazo et al.)."""

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        order = torch.randperm(len(features)).to(features.device)
        share = torch.distributions.Beta(self.mixup, self.mixup).sample((len(features),)).to(features.device)
        return View(
            (share[:, None, None] * features + (1 - share)[:, None, None] * features[order]).masked_fill(~valid[..., None], 0.0),
            lambda output: detector.mix(output, order, share),
        )

    def epoch_statistics(self, detector: Detector, labels: Tensor, outputs: Iterable[DetectorOutput]) -> Tensor:
        """The class prior: frequencies of the labelled snippets.

        Deviation: Arazo et al. take a uniform prior; most snippets of untrimmed video are background.
        """
        return labels.bincount(minlength=detector.num_classes + 1) / len(labels)

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        return mean_where(-(pseudo_probs * logits.log_softmax(dim=-1)).sum(dim=-1), valid)

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        log_probs = output.class_logits[output.valid].log_softmax(dim=-1)
        mean = log_probs.exp().mean(dim=0)
        divergence = torch.special.xlogy(statistics, statistics) - statistics * mean.clamp(min=1e-12).log()
        return super().unlabeled_losses(detector, output, pseudo, statistics) | {
            "prior": self.prior_weight * divergence.sum(),
            "entropy": -self.entropy_weight * (log_probs.exp() * log_probs).sum(dim=-1).mean(),
        }
