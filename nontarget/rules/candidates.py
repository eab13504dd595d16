"""Beyond the paper: what is not surely wrong is a candidate, as in partial-label learning."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nontarget.losses import Activation, Term, candidate_loss, loss_of_sets, mean_where
from nontarget.partition import partition_label_space
from nontarget.rules.base import LearningRule, Temperature


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
