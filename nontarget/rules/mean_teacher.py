"""Mean teachers: agree with the average of one's own past, seen through a changed clip."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.losses import Activation, mean_where
from nontarget.rules.base import LearningRule, Teacher


@dataclass(frozen=True, kw_only=True)
class Consistency(LearningRule):
    """Mean squared difference to the probabilities of the running average of the weights (Tarvainen and Valpola 2017).

    The average is what is evaluated, as there.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"consistency", "views"})

    teacher: Teacher = "average"

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        probs = logits.softmax(dim=-1) if activation == "softmax" else logits.sigmoid()
        return mean_where((probs - pseudo_probs).square().sum(dim=-1), valid)

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        loss = self.unlabeled_loss(output.class_logits, pseudo.class_probs, output.valid, output.activation)
        return {"class": loss, **detector.consistency_losses(output, pseudo)}
