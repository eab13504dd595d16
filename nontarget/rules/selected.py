"""Target learning from trusted snippets alone: NPL-style, FixMatch-style and FlexMatch-style."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.rules.baseline import Baseline


@dataclass(frozen=True, kw_only=True)
class SelectedTargets(Baseline):
    """The argmax pseudo label where a snippet's score reaches the threshold of its class; nothing elsewhere."""

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        targets = detector.pseudo_targets(pseudo)
        score = self.scores(detector, pseudo)
        trusted = (score >= statistics[targets.labels]) & output.valid
        chosen = replace(targets, weights=trusted * self.weights(detector, pseudo))
        return {"class": detector.class_loss(output, chosen), **detector.localization_loss(output, chosen)}

    def epoch_statistics(
        self, detector: Detector, labels: Int[Tensor, " n"], outputs: Iterable[DetectorOutput]
    ) -> Float[Tensor, " classes"]:
        """Thresholds, one a class, background last."""
        scores, predicted = [], []
        for output in outputs:
            scores.append(self.scores(detector, output)[output.valid])
            predicted.append(detector.pseudo_targets(output).labels[output.valid])
        return self.thresholds(torch.cat(scores), torch.cat(predicted), detector.num_classes + 1)

    def scores(self, detector: Detector, pseudo: DetectorOutput) -> Float[Tensor, "clips snippets"]:
        """How far a snippet's pseudo label is trusted: its probability."""
        return pseudo.distribution.amax(dim=-1)

    def weights(self, detector: Detector, pseudo: DetectorOutput) -> Float[Tensor, "clips snippets"]:
        """Weight of a snippet that is trusted."""
        return torch.ones_like(pseudo.class_logits[..., 0])

    @abstractmethod
    def thresholds(self, scores: Float[Tensor, " n"], predicted: Int[Tensor, " n"], num_classes: int) -> Float[Tensor, " classes"]:
        """Lowest score that is trusted, for each class, given the scores and pseudo labels of all unlabelled snippets."""
