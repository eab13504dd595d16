"""FixMatch-style and FlexMatch-style confidence thresholds (Sohn et al. 2020; Zhang et al. 2021); beyond the paper."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nontarget.detectors.base import Detector
from nontarget.rules.base import View
from nontarget.rules.selected import SelectedTargets
from nontarget.rules.views import hide_span


@dataclass(frozen=True, kw_only=True)
class FixMatch(SelectedTargets):
    """Pseudo labels above one confidence; the student sees clips with a span hidden."""

    name: ClassVar[str] = "FixMatch-style"

    confidence: float = 0.95
    """Lowest probability that is trusted (FixMatch)."""
    hidden_share: float = 0.1
    """Share of a clip that the student does not see (assumed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("confidence", "hidden_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)!r}")

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        return View(hide_span(features, valid, self.hidden_share))

    def thresholds(self, scores: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
        return torch.full((num_classes,), self.confidence, device=scores.device)


@dataclass(frozen=True, kw_only=True)
class FlexMatch(FixMatch):
    """FixMatch with a lower confidence for classes of which little is learnt: few snippets reach the confidence."""

    name: ClassVar[str] = "FlexMatch-style"

    def thresholds(self, scores: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
        """Each class's share of the most frequent one's confident snippets, mapped by ``x / (2 - x)`` (FlexMatch, Eqs. 5-7 and 10).

        Deviation: background, by far the most frequent, has the full confidence, and is not what the others are compared with.
        """
        learnt = predicted[scores >= self.confidence].bincount(minlength=num_classes)[:-1]
        unlearnt = (predicted < num_classes - 1).sum() - learnt.sum()  # at first few are confident: they do not rush ahead
        share = learnt / torch.maximum(learnt.max(), unlearnt).clamp(min=1)
        return torch.cat((self.confidence * share / (2 - share), scores.new_full((1,), self.confidence)))
