"""What a learning rule is: how a detector learns from the class distribution of labelled and unlabelled snippets."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from jaxtyping import Bool, Float, Int
from torch import Tensor

from nontarget.config import check_choice
from nontarget.losses import Term, non_target_loss

Teacher = Literal["iterative", "online"]


@dataclass(frozen=True, kw_only=True)
class LearningRule(ABC):
    """A learning rule; its fields are its settings and become part of a result's identity.

    Subclass it in one file of this folder and add one line to :mod:`nontarget.rules`. Only :meth:`unlabeled_loss` has to be written.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """To be raised when a change of the code changes numbers: results of another version are stale."""
    uses_unlabeled: ClassVar[bool] = True
    """Whether unlabelled videos take part in training at all."""
    labels_all: ClassVar[bool] = False
    """Whether every training video is labelled, whatever the label ratio (full supervision)."""
    whole_video: ClassVar[bool] = False
    """Whether detections are one segment a video instead of the detector's candidates (the sanity row)."""
    labeled_terms: ClassVar[tuple[Term, ...]] = ("target",)
    """Terms of the loss on labelled snippets; ``("target",)`` is cross-entropy (Eq. 2)."""

    teacher: Teacher = "iterative"
    """Where pseudo labels come from: ``iterative``, a frozen evaluation-mode copy of the model, renewed every epoch, or
    ``online``, the student's own prediction, without gradient."""

    def __post_init__(self) -> None:
        check_choice("teacher", self.teacher, get_args(Teacher))

    def labeled_loss(
        self, logits: Float[Tensor, "clips snippets classes"], labels: Int[Tensor, "clips snippets"], valid: Bool[Tensor, "clips snippets"]
    ) -> Float[Tensor, ""]:
        """Class loss of labelled clips (L^s of Eq. 12)."""
        return non_target_loss(logits, labels=labels, valid=valid, terms=self.labeled_terms)

    @abstractmethod
    def unlabeled_loss(
        self,
        logits: Float[Tensor, "clips snippets classes"],
        pseudo_probs: Float[Tensor, "clips snippets classes"],
        valid: Bool[Tensor, "clips snippets"],
    ) -> Float[Tensor, ""]:
        """Class loss of unlabelled clips (L^u of Eq. 12), given the teacher's distribution of every snippet."""

    def training_settings(self) -> dict[str, Any]:
        """What training depends on, apart from the version: rules that agree here share their weights."""
        return {"name": self.name, **asdict(self)}

    def pretraining_settings(self) -> dict[str, Any]:
        """What pre-training depends on: rules that agree here share it."""
        return {"labeled_terms": self.labeled_terms, "uses_unlabeled": self.uses_unlabeled}
