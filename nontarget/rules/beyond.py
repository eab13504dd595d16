"""Beyond the paper: variations on its rule."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nontarget.losses import Activation, candidate_loss, mean_where
from nontarget.partition import partition_label_space
from nontarget.rules.base import Teacher
from nontarget.rules.ours import Ours


@dataclass(frozen=True, kw_only=True)
class OursAmbiguous(Ours):
    """Ours, and the classes that are not negative share all the probability mass: ``-log sum p_c`` over them.

    The paper leaves ambiguous classes to future work (Sec. 5). They take part here without being told apart.
    """

    name: ClassVar[str] = "ours + ambiguous"
    needs: ClassVar[frozenset[str]] = frozenset({"background"})

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        sets = partition_label_space(pseudo_probs, self.positive_ratio, self.precedence)
        mass = candidate_loss(logits, ~sets.negative)
        return super().unlabeled_loss(logits, pseudo_probs, valid, activation) + mean_where(mass, valid)


@dataclass(frozen=True, kw_only=True)
class MeanTeacherOurs(Ours):
    """Ours, with the running average of the weights as teacher and as result."""

    name: ClassVar[str] = "mean teacher + ours"

    teacher: Teacher = "average"
