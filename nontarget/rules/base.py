"""What a learning rule is: how a detector learns from the class distribution of labelled and unlabelled snippets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nontarget.config import as_plain_numbers, check_choice, is_finite_number
from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.losses import Activation, Term, non_target_loss

TeacherChoice = Literal["generations", "epochs", "online", "average"]

Temperature = float | Literal["calibrated"]


@dataclass(frozen=True)
class View:
    """The augmented clips that the student sees in place of the unlabelled clips."""

    features: Float[Tensor, "clips snippets dim"]
    follow: Callable[[Any], Any] = lambda output: output
    """Maps the teacher's output on the clips to its output on the view. The same snippets are real in both."""


@dataclass(frozen=True, kw_only=True)
class LearningRule(ABC):
    """A learning rule; its fields are its settings and become part of a result's identity.

    A subclass is made known by :func:`nontarget.rules.register`. Only :meth:`unlabeled_loss` has to be written.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when a change of the code changes numbers: results of another version are stale."""
    uses_unlabeled: ClassVar[bool] = True
    """Whether unlabelled videos take part in training at all."""
    self_trains: ClassVar[bool] = True
    """Whether there is a second stage; without one, the pre-trained detector is the result."""
    labels_all: ClassVar[bool] = False
    """Whether every training video is labelled, whatever the label ratio (full supervision)."""
    whole_video: ClassVar[bool] = False
    """Whether detections are one segment a video instead of the detector's candidates (the sanity row)."""
    uses_truth: ClassVar[bool] = False
    """Whether the rule is an oracle, which is told the hidden labels of unlabelled videos. Its name then begins with "oracle"."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What the rule requires of the detector beyond what every detector can do: names from ``Detector.abilities``."""
    labeled_terms: ClassVar[tuple[Term, ...]] = ("target",)
    """Terms of the loss on labelled snippets; ``("target",)`` is the detector's own class loss (Eq. 2)."""

    teacher: TeacherChoice = "generations"
    """Where pseudo labels come from: ``generations``, the model as it was when self-training began, frozen and in evaluation mode (with
    several generations: as the last one left it); ``epochs``, the same, renewed every epoch; ``online``, the student's own prediction,
    without gradient; ``average``, the running average of the student's weights (mean teacher)."""
    teacher_temperature: Temperature = 1.0
    """Divisor of the teacher's class logits. It changes no pseudo label, but it changes the sets and the confidences. 1: the logits
    as they are (the paper). ``calibrated``: the temperature of lowest log loss on held-out labelled videos
    (:func:`nontarget.calibration.fold_temperature`)."""

    def __post_init__(self) -> None:
        as_plain_numbers(self)
        check_choice("teacher", self.teacher, get_args(TeacherChoice))
        value = self.teacher_temperature
        if value != "calibrated" and not (is_finite_number(value) and float(value) > 0):
            raise ValueError(f"teacher_temperature must be a finite number > 0 or 'calibrated', got {value!r}")

    @property
    def temperature(self) -> float:
        """``teacher_temperature`` as a number.

        Raises:
            ValueError: it is still to be calibrated; :func:`nontarget.experiment.train` replaces it before training.
        """
        if self.teacher_temperature == "calibrated":
            raise ValueError(
                f"learning rule {self.name!r} is to be trained with a calibrated teacher: replace its teacher_temperature by a number, "
                "see nontarget.calibration.fold_temperature"
            )
        return float(self.teacher_temperature)

    def labeled_loss(self, detector: Detector, output: DetectorOutput, targets: Targets) -> Float[Tensor, ""]:
        """Class loss of labelled clips (L^s of Eq. 12).

        With independent classes (sigmoid), every other class is a negative already, so that all rules share the detector's class loss.
        """
        if self.labeled_terms == ("target",) or output.activation == "sigmoid":
            return detector.class_loss(output, targets)
        return non_target_loss(output.class_logits, labels=targets.all_labels, valid=output.valid, terms=self.labeled_terms)

    @abstractmethod
    def unlabeled_loss(
        self,
        logits: Float[Tensor, "clips snippets classes"],
        pseudo_probs: Float[Tensor, "clips snippets classes"],
        valid: Bool[Tensor, "clips snippets"],
        activation: Activation = "softmax",
    ) -> Float[Tensor, ""]:
        """Class loss of unlabelled clips (L^u of Eq. 12).

        Args:
            logits: the student's class scores.
            pseudo_probs: the teacher's probabilities.
            valid: False for padding.
            activation: ``softmax`` with background as last class, or ``sigmoid``, independent action classes without background.
        """

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        """All losses of unlabelled clips, by name; the default adds the localisation loss to ``unlabeled_loss``.

        Args:
            detector: the student.
            output: its output on the view of the clips.
            pseudo: the teacher's output on the view.
            statistics: what ``epoch_statistics`` returned in this epoch.
            truth: the hidden labels of the clips, for a rule that declares ``uses_truth``; None for all others.
        """
        loss = self.unlabeled_loss(output.class_logits, pseudo.class_probs, output.valid, output.activation)
        return {"class": loss, **detector.localization_loss(output, detector.pseudo_targets(pseudo))}

    def view(self, detector: Detector, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> View | None:
        """A random view of unlabelled clips for the student; None: the clips as they are."""
        return None

    def epoch_statistics(self, detector: Detector, labels: Int[Tensor, " n"], outputs: Iterable[DetectorOutput]) -> Any:
        """Statistics of the whole training set, computed once at the start of each epoch; None: the rule needs none.

        Args:
            detector: the student.
            labels: classes of all labelled snippets.
            outputs: the teacher's on all unlabelled clips, batch by batch, computed as they are asked for.
        """
        return None

    def pretext_head(self, width: int) -> nn.Module | None:
        """A head of the rule's own on snippet embeddings of that width, which is ``detector.pretext`` during training; None: no head."""
        return None

    def pretext_losses(
        self,
        detector: Detector,
        features: Float[Tensor, "clips snippets dim"],
        valid: Bool[Tensor, "clips snippets"],
        pretraining: bool,
    ) -> Losses:
        """Losses of the rule's own that need no labels, on labelled and unlabelled clips."""
        return {}

    def training_settings(self) -> dict[str, Any]:
        """The settings that training depends on, apart from the version: rules that agree in them share their weights."""
        return {"name": self.name, **asdict(self)}

    def pretraining_settings(self) -> dict[str, Any]:
        """The settings that pre-training depends on: rules that agree in them share the pre-trained weights."""
        return {"labeled_terms": self.labeled_terms, "uses_unlabeled": self.uses_unlabeled}


def scalar_losses(rule: LearningRule, kind: str, losses: Losses) -> Losses:
    """A rule's losses, once each is known to be what can be added up.

    Raises:
        TypeError: a loss is not a scalar tensor.
    """
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim > 0:
            got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise TypeError(f"learning rule {rule.name!r} must return a scalar tensor as its {kind} loss {name!r}, got {got}")
    return losses
