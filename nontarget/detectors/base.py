"""What the rest of the library expects of a detector."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nontarget.config import InferenceConfig

Losses = dict[str, Tensor]
"""Named scalars that training adds up and records one by one."""


@dataclass(frozen=True)
class Candidates:
    """Segments that a detector proposes, in snippets of their clip, before time conversion and Soft-NMS."""

    clip: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    segments: Float[Tensor, "n 2"]
    scores: Float[Tensor, " n"]


@dataclass(frozen=True)
class DetectorOutput:
    """One forward pass. A detector adds what its own losses need in a subclass."""

    class_logits: Float[Tensor, "clips snippets classes"]
    """Background is the last class."""

    def __getitem__(self, index: slice) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def detach(self) -> Self:
        return type(self)(**{f.name: getattr(self, f.name).detach() for f in fields(self)})


@dataclass(frozen=True)
class Targets:
    """What a detector is trained towards, from annotations or from a prediction (pseudo targets)."""

    labels: Int[Tensor, "clips snippets"]
    """Class of each snippet, background last."""
    localization: Tensor
    """Whatever :meth:`Detector.localization_loss` wants; SPOT: the mask of each snippet's instance, [clips, snippets, snippets]."""


class Detector(nn.Module, ABC):
    """A detector with one class distribution a snippet, and some way to tell where an instance begins and ends.

    Learning rules work on ``class_logits``. All else is the detector's own: how annotations become targets, which losses train the
    localisation, and how an output becomes candidates. Subclass it in one file, and register it in :mod:`nontarget.detectors`.
    """

    version: ClassVar[int]
    """To be raised when a change of the code changes numbers: results of another version are stale."""
    num_classes: int

    @abstractmethod
    def forward(self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> DetectorOutput: ...

    @abstractmethod
    def targets(self, labels: Int[Tensor, "clips snippets"], segments: Float[Tensor, "clips snippets 2"]) -> Targets:
        """Targets of labelled clips, see :class:`nontarget.data.LabeledClips`."""

    @abstractmethod
    def pseudo_targets(self, output: Any) -> Targets:
        """Targets that a prediction on unlabelled clips amounts to: the target class of each snippet, and a localisation."""

    @abstractmethod
    def localization_loss(self, output: Any, targets: Targets, valid: Bool[Tensor, "clips snippets"]) -> Losses:
        """Loss of everything but the class logits."""

    @abstractmethod
    def label_free_losses(
        self, output: Any, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"], pretraining: bool
    ) -> Losses:
        """Losses that need no labels, for labelled and unlabelled clips alike."""

    @abstractmethod
    def candidates(self, output: Any, valid: Bool[Tensor, "clips snippets"], config: InferenceConfig) -> Candidates:
        """Every candidate segment of an output, with its class and score."""
