"""The paper's method with other interpretations of its equations, where they leave a choice."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from jaxtyping import Bool, Float, Int
from torch import Tensor

from nontarget.config import check_choice
from nontarget.detectors.base import Detector, DetectorOutput, Targets
from nontarget.losses import Activation, Term, distribution_of_scores, labelled_partition, loss_of_sets, mean_where
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.rules.non_target import NonTarget

SetReduction = Literal["sum", "mean"]
Background = Literal["class", "outside", "apart"]
_TERMS: tuple[Term, ...] = ("target", "negative", "positive")


@dataclass(frozen=True, kw_only=True)
class NonTargetVariant(NonTarget):
    """The paper's method, where each setting interprets an equation differently. The defaults are those of ``non-target``.

    A detector of independent classes (sigmoid) takes its labelled loss from itself, as with every rule.
    """

    name: ClassVar[str] = "non-target, other interpretations"

    target_in_sets: bool = False
    """Eqs. 8 and 10 to the letter, on unlabelled snippets: the target is counted as positive (where lambda is at most 1), and as
    negative too where ``max(p) = 1`` in float precision, whatever Eq. 4 says."""
    normalization: SetReduction = "sum"
    """``sum`` over the classes of a set, as Eqs. 9 and 11 have it; ``mean``: each of l_neg and l_pos divided by the number of
    classes in its set, on labelled snippets too."""
    background: Background = "class"
    """``class``: background is one class of the label space (Eq. 4); ``outside``: it can be the target, but is never positive or
    negative, on labelled snippets too; ``apart``: where the target is an action, the partition is that of the action classes alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.target_in_sets, bool):
            raise ValueError(f"target_in_sets must be True or False, got {self.target_in_sets!r}")
        check_choice("normalization", self.normalization, get_args(SetReduction))
        check_choice("background", self.background, get_args(Background))

    def labeled_loss(self, detector: Detector, output: DetectorOutput, targets: Targets) -> Tensor:
        if output.activation == "sigmoid":
            return super().labeled_loss(detector, output, targets)
        sets = labelled_partition(targets.all_labels, output.class_logits.shape[-1])
        return self._loss(output.class_logits, self._without_background(sets), output.valid, output.activation)

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        probs = pseudo_probs if activation == "softmax" else distribution_of_scores(pseudo_probs)
        return self._loss(logits, self.sets(probs), valid, activation)

    def sets(self, probs: Float[Tensor, "*snippets classes"]) -> LabelPartition:
        """The four sets of unlabelled snippets, background last; not disjoint with ``target_in_sets``."""
        if self.background == "apart":
            # Eqs. 8 and 10 do not change when probabilities are scaled: to renormalise the actions is to give background no share.
            action = probs.argmax(dim=-1) < probs.shape[-1] - 1
            probs = probs.clone()
            probs[..., -1] = probs[..., -1].masked_fill(action, 0.0)
        sets = self._without_background(partition_label_space(probs, self.positive_ratio, self.precedence))
        if not self.target_in_sets:
            return sets
        top = probs.amax(dim=-1, keepdim=True)
        everything = probs.masked_fill(sets.target, 0.0).sum(dim=-1, keepdim=True) + top
        positive = sets.positive | sets.target if self.positive_ratio <= 1 else sets.positive
        return sets._replace(positive=positive, negative=sets.negative | (sets.target & (everything <= top)))

    def pretraining_settings(self) -> dict[str, Any]:
        """The settings of ``non-target``, unless the loss of labelled snippets differs, so that equal pre-training is shared."""
        changed: dict[str, Any] = {} if self.normalization == "sum" else {"normalization": self.normalization}
        if self.background != "class":
            changed["background_may_be_negative"] = False
        return super().pretraining_settings() | changed

    def _without_background(self, sets: LabelPartition) -> LabelPartition:
        """The sets with background removed from the positive and negative classes, if the interpretation asks for it."""
        if self.background == "class":
            return sets
        target, positive, negative, ambiguous = (mask.clone() for mask in sets)
        ambiguous[..., -1] |= positive[..., -1] | negative[..., -1]
        positive[..., -1] = negative[..., -1] = False
        return LabelPartition(target, positive, negative, ambiguous)

    def _loss(
        self,
        logits: Float[Tensor, "clips snippets classes"],
        sets: LabelPartition,
        valid: Bool[Tensor, "clips snippets"],
        activation: Activation,
    ) -> Float[Tensor, ""]:
        logits = logits.masked_fill(~valid.unsqueeze(-1), 0.0)
        if self.normalization == "sum":
            return mean_where(loss_of_sets(logits, sets, _TERMS, activation), valid)
        loss = loss_of_sets(logits, sets, ("target",), activation)
        loss = loss + loss_of_sets(logits, sets, ("negative",), activation) / _size(sets.negative)
        loss = loss + loss_of_sets(logits, sets, ("positive",), activation) / _size(sets.positive)
        return mean_where(loss, valid)


def _size(classes: Bool[Tensor, "*snippets classes"]) -> Int[Tensor, "*snippets"]:
    """Number of classes in a set, at least 1 (the loss of an empty set is 0)."""
    return classes.sum(dim=-1).clamp(min=1)
