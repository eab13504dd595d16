"""Supervised learning from the labelled videos or from all of them, and a sanity check: rules that do not learn from pseudo labels."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from nontarget.losses import Activation
from nontarget.rules.base import LearningRule


@dataclass(frozen=True, kw_only=True)
class SupervisedOnly(LearningRule):
    """Both stages use the labelled videos alone, with the class loss (Eq. 2) and every other loss of the detector."""

    name: ClassVar[str] = "supervised only"
    uses_unlabeled: ClassVar[bool] = False

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        raise RuntimeError(f"the rule {self.name!r} does not learn from unlabelled videos")


@dataclass(frozen=True, kw_only=True)
class PreTrainedOnly(LearningRule):
    """The first stage alone: labelled videos supervise the heads, all videos train what needs no labels (Sec. 4.2)."""

    name: ClassVar[str] = "pre-trained only"
    self_trains: ClassVar[bool] = False

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        raise RuntimeError(f"the rule {self.name!r} has no second stage")


@dataclass(frozen=True, kw_only=True)
class FullySupervised(SupervisedOnly):
    """``supervised only`` with every training video labelled, whatever the label ratio: the most that there is to gain.

    It trains as ``supervised only`` does at a label ratio of 1, and gives the same numbers.
    """

    name: ClassVar[str] = "fully supervised"
    labels_all: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class WholeVideo(SupervisedOnly):
    """One segment [0, duration] a video, of the class with the highest mean probability: the mAP that is reached without localising."""

    name: ClassVar[str] = "whole-video"
    whole_video: ClassVar[bool] = True

    def training_settings(self) -> dict[str, Any]:
        return super().training_settings() | {"name": SupervisedOnly.name}
