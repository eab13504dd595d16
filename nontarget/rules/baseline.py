"""The baseline: self-training with the target class alone (Eqs. 2, 3, 5)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nontarget.losses import Activation, non_target_loss
from nontarget.rules.base import LearningRule


@dataclass(frozen=True, kw_only=True)
class Baseline(LearningRule):
    """Cross-entropy with the argmax pseudo label of every unlabelled snippet."""

    name: ClassVar[str] = "baseline"

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        return non_target_loss(logits, pseudo_probs, valid=valid, terms=("target",), activation=activation)
