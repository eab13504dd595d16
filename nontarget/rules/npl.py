"""NPL-style: noisy label ranking and filtering (after Xia et al. 2023, of which no code is public)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nontarget.detectors.base import Detector, DetectorOutput
from nontarget.rules.selected import SelectedTargets


@dataclass(frozen=True, kw_only=True)
class NoisyPseudoLabels(SelectedTargets):
    """Snippets ranked by class confidence times agreement of class span and mask span; the best of each class, weighted by agreement."""

    name: ClassVar[str] = "NPL-style"
    needs: ClassVar[frozenset[str]] = frozenset({"agreement"})

    kept_share: float = 0.5
    """Share of each predicted class that is kept (assumed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.kept_share <= 1:
            raise ValueError(f"kept_share must be in (0, 1], got {self.kept_share!r}")

    def scores(self, detector: Detector, pseudo: DetectorOutput) -> Tensor:
        return super().scores(detector, pseudo) * detector.agreement(pseudo)

    def weights(self, detector: Detector, pseudo: DetectorOutput) -> Tensor:
        return detector.agreement(pseudo)

    def thresholds(self, scores: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
        """The score of the last snippet of each class that is kept; infinite for a class that nothing was taken for."""
        order = scores.argsort(descending=True)
        order = order[predicted[order].argsort(stable=True)]  # by class, best first
        counts = predicted.bincount(minlength=num_classes)
        last = counts.cumsum(0) - counts + (self.kept_share * counts).ceil().long() - 1
        found = scores[order[last.clamp(min=0)]]
        return torch.where(counts > 0, found, torch.inf)
