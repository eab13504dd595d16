"""The paper's rule: hybrid positive-negative learning (Sec. 3.6)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nontarget.losses import Activation, Term, non_target_loss
from nontarget.partition import Precedence, check_partition_arguments
from nontarget.rules.base import LearningRule


@dataclass(frozen=True, kw_only=True)
class Ours(LearningRule):
    """l_tgt + l_neg + l_pos on unlabelled snippets, l_tgt + l_neg on labelled ones."""

    name: ClassVar[str] = "ours"
    labeled_terms: ClassVar[tuple[Term, ...]] = ("target", "negative")

    positive_ratio: float = 0.85
    """lambda of Eq. 10 (Table 4)."""
    precedence: Precedence = "negative"
    """Which of Eqs. 8 and 10 keeps a class that both claim (Sec. 3.5: negatives are taken out first)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_partition_arguments(self.positive_ratio, self.precedence)

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        return non_target_loss(
            logits, pseudo_probs, valid=valid, positive_ratio=self.positive_ratio, precedence=self.precedence, activation=activation
        )
