"""Complementary labels: one random class that a snippet does not belong to (Eq. 6; Ishida et al. 2017)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nontarget.losses import Activation, Term, distribution_of_scores, loss_of_sets, mean_where
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.rules.base import LearningRule


@dataclass(frozen=True, kw_only=True)
class ComplementaryLabel(LearningRule):
    """Target learning, and negative learning of one non-target class, drawn uniformly in every step.

    Deviation: the paper says that the idea was built into its own method, not how; so the target's loss stays (assumed).
    """

    name: ClassVar[str] = "complementary label"

    with_target: bool = True
    """Whether the loss of the target class (Eq. 5) is added."""

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        probs = pseudo_probs if activation == "softmax" else distribution_of_scores(pseudo_probs)
        target = partition_label_space(probs).target
        chosen = torch.rand_like(probs).masked_fill(target, -1.0).argmax(dim=-1, keepdim=True)
        one = torch.zeros_like(target).scatter(-1, chosen, True)
        terms: tuple[Term, ...] = ("target", "negative") if self.with_target else ("negative",)
        loss = loss_of_sets(logits, LabelPartition(target, target & False, one, ~(target | one)), terms, activation)
        return mean_where(loss, valid)
