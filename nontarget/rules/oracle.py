"""Oracles: rules that are told the hidden labels of unlabelled videos. They measure the instrument and compete with no other rule.

They answer what ordinary rules cannot: how far self-training could go with pseudo labels that are right, and what the paper's method would
gain if the true class were never pushed away, or always pulled.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.losses import Activation, loss_of_sets, mean_where
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.rules.base import LearningRule
from nontarget.rules.non_target import NonTarget


@dataclass(frozen=True, kw_only=True)
class Oracle(LearningRule):
    """The true classes and segments as pseudo labels: the baseline with a teacher that is always right.

    What separates it from full supervision at equal budget is due to self-training itself.
    """

    name: ClassVar[str] = "oracle"
    uses_truth: ClassVar[bool] = True

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        raise RuntimeError(f"the rule {self.name!r} learns from the truth, see unlabeled_losses")

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        truth = _told(truth, self.name)
        return {"class": detector.class_loss(output, truth), **detector.localization_loss(output, truth)}


@dataclass(frozen=True, kw_only=True)
class OracleTruthNotNegative(NonTarget):
    """Non-target, but the true class is never negative: where Eq. 8 claims it, it is ambiguous."""

    name: ClassVar[str] = "oracle: truth not negative"
    uses_truth: ClassVar[bool] = True

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        sets = partition_label_space(pseudo.distribution, self.positive_ratio, self.precedence)
        true_class = _true_classes(_told(truth, self.name), sets.target.shape[-1])
        logits = output.class_logits.masked_fill(~output.valid[..., None], 0.0)
        loss = loss_of_sets(logits, self.corrected(sets, true_class), ("target", "negative", "positive"), output.activation)
        return {"class": mean_where(loss, output.valid), **detector.localization_loss(output, detector.pseudo_targets(pseudo))}

    def corrected(self, sets: LabelPartition, true_class: Bool[Tensor, "*snippets classes"]) -> LabelPartition:
        """The sets with the true class moved to where the oracle wants it; they stay disjoint and exhaustive."""
        wronged = sets.negative & true_class
        return sets._replace(negative=sets.negative & ~wronged, ambiguous=sets.ambiguous | wronged)


@dataclass(frozen=True, kw_only=True)
class OracleTruthPositive(OracleTruthNotNegative):
    """Non-target, but the true class is positive wherever it is not the target."""

    name: ClassVar[str] = "oracle: truth positive"

    def corrected(self, sets: LabelPartition, true_class: Tensor) -> LabelPartition:
        pulled = true_class & ~sets.target
        return LabelPartition(sets.target, sets.positive | pulled, sets.negative & ~pulled, sets.ambiguous & ~pulled)


def _true_classes(truth: Targets, num_classes: int) -> Bool[Tensor, "*snippets classes"]:
    """Every class that a snippet has, background last."""
    if truth.classes is None:
        return F.one_hot(truth.labels, num_classes).bool()
    if truth.classes.shape[-1] == num_classes:
        return truth.classes
    return torch.cat((truth.classes, ~truth.classes.any(dim=-1, keepdim=True)), dim=-1)  # a detector without a class for background


def _told(truth: Targets | None, name: str) -> Targets:
    if truth is None:
        raise ValueError(f"learning rule {name!r} is an oracle and needs the truth of unlabelled clips, got None")
    return truth
