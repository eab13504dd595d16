"""The paper's method: learning from target, positive and negative classes (Sec. 3.6), and what goes beyond it."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nontarget.losses import Activation, Term, candidate_loss, loss_of_sets, mean_where, non_target_loss
from nontarget.partition import Precedence, check_partition_arguments, partition_label_space
from nontarget.rules.base import LearningRule, TeacherChoice, Temperature


@dataclass(frozen=True, kw_only=True)
class NonTarget(LearningRule):
    """``l_tgt + l_neg + l_pos`` on unlabelled snippets and ``l_tgt + l_neg`` on labelled ones (Sec. 3.6)."""

    name: ClassVar[str] = "non-target"
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


@dataclass(frozen=True, kw_only=True)
class NonTargetAmbiguous(NonTarget):
    """Non-target with one more term, which lets the classes that are not negative share all the probability mass: ``-log sum p_c``.

    The paper leaves ambiguous classes to future work (Sec. 5). Here they enter one joint loss with the target and the positive classes.
    """

    name: ClassVar[str] = "non-target + ambiguous"
    needs: ClassVar[frozenset[str]] = frozenset({"background"})

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        sets = partition_label_space(pseudo_probs, self.positive_ratio, self.precedence)
        mass = candidate_loss(logits, ~sets.negative)
        return super().unlabeled_loss(logits, pseudo_probs, valid, activation) + mean_where(mass, valid)


@dataclass(frozen=True, kw_only=True)
class MeanTeacherNonTarget(NonTarget):
    """Non-target with the running average of the weights both as the teacher and as the trained detector."""

    name: ClassVar[str] = "mean teacher + non-target"

    teacher: TeacherChoice = "average"


@dataclass(frozen=True, kw_only=True)
class CandidateLabels(LearningRule):
    """A calibrated teacher names the classes that a snippet can have: negative ones are pushed away, and one of the others is right.

    Target, positive and ambiguous classes together are the candidates, whose loss is ``-log sum p_c``
    (:func:`nontarget.losses.candidate_loss`; Jin and Ghahramani 2002). Its gradient weighs candidates by the student's own
    probabilities, the progressive identification of PRODEN (Lv et al. 2020) and of the risk-consistent RC (Feng et al. 2020). Nothing
    pulls towards the argmax, except where it is the only candidate: there the loss is ``l_tgt``. Negative classes have ``l_neg`` (Eq. 9).

    It needs the temperature: a teacher that is too sure leaves one candidate (p_max >= 1/2 makes every other class negative), and the
    rule is then that of the paper without positives. Lambda (Eq. 10) plays no part, as a positive class is a candidate like any other.
    """

    name: ClassVar[str] = "candidate labels"
    needs: ClassVar[frozenset[str]] = frozenset({"background"})
    labeled_terms: ClassVar[tuple[Term, ...]] = ("target", "negative")

    teacher_temperature: Temperature = "calibrated"

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        sets = partition_label_space(pseudo_probs)
        logits = logits.masked_fill(~valid.unsqueeze(-1), 0.0)
        loss = candidate_loss(logits, ~sets.negative) + loss_of_sets(logits, sets, ("negative",), activation)
        return mean_where(loss, valid)
