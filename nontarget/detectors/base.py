"""What the rest of the library expects of a detector."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nontarget.config import InferenceConfig
from nontarget.data import Clips, LabeledClips
from nontarget.losses import Activation, distribution_of_scores, non_target_loss

Losses = dict[str, Tensor]
"""Named scalars that training adds up and records one by one."""

AnyClips = TypeVar("AnyClips", bound=Clips)


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

    activation: ClassVar[Activation] = "softmax"
    """``softmax``: background is the last class; ``sigmoid``: independent action classes, without background."""

    class_logits: Float[Tensor, "clips snippets classes"]
    """A detector with several points a snippet lists them all on that axis."""
    valid: Bool[Tensor, "clips snippets"]
    """False in the padding."""

    @property
    def class_probs(self) -> Float[Tensor, "clips snippets classes"]:
        """Probabilities of ``class_logits``."""
        return self.class_logits.softmax(dim=-1) if self.activation == "softmax" else self.class_logits.sigmoid()

    @property
    def action_probs(self) -> Float[Tensor, "clips snippets actions"]:
        """Probabilities of the action classes, without background."""
        return self.class_probs[..., :-1] if self.activation == "softmax" else self.class_probs

    @property
    def distribution(self) -> Float[Tensor, "clips snippets classes_and_background"]:
        """Class distribution of each snippet, background last, whatever the activation."""
        return self.class_probs if self.activation == "softmax" else distribution_of_scores(self.class_probs)

    def __getitem__(self, index: slice | Tensor) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def concatenated(cls, parts: Sequence[Self]) -> Self:
        """The outputs on several batches as one."""
        return type(parts[0])(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(parts[0])})

    @property
    def nbytes(self) -> int:
        """Memory that its tensors take."""
        return sum(getattr(self, f.name).nbytes for f in fields(self))

    def detach(self) -> Self:
        return type(self)(**{f.name: getattr(self, f.name).detach() for f in fields(self)})

    def tempered(self, temperature: float) -> Self:
        """The same output with its class logits divided by ``temperature``: above 1 less confident, below 1 more; same argmax."""
        return self if temperature == 1.0 else replace(self, class_logits=self.class_logits / temperature)


@dataclass(frozen=True)
class Targets:
    """Training targets of a detector, from annotations or from a prediction (pseudo targets)."""

    labels: Int[Tensor, "clips snippets"]
    """Class of each snippet, background last; of several, that of the shortest instance."""
    localization: Any
    """Target of :meth:`Detector.localization_loss`; SPOT: the mask of each snippet's instance, [clips, snippets, snippets]."""
    weights: Float[Tensor, "clips snippets"] | None = None
    """Weight of each snippet in the losses; default: 1."""
    classes: Bool[Tensor, "clips snippets classes"] | None = None
    """For each class of ``class_logits`` whether the snippet has it: a snippet of CliffDiving is also one of Diving. None: it has the
    class of ``labels`` alone."""

    @property
    def all_labels(self) -> Int[Tensor, "clips snippets"] | Bool[Tensor, "clips snippets classes"]:
        """Every class of each snippet, in the form that :func:`nontarget.non_target_loss` takes from a softmax detector."""
        return self.labels if self.classes is None else self.classes


class Detector(nn.Module, ABC):
    """A detector with one class distribution a snippet, and some way to tell where an instance begins and ends.

    Learning rules work on ``class_logits``. All else is the detector's own: how annotations become targets, which losses train the
    localisation, and how an output becomes candidates. Subclass it in one file, and register it (:func:`nontarget.detectors.register`).
    It is built as ``detector(feature_dim, num_classes, config)``, with a config of the kind that its presets are.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """To be raised when a change of the code changes numbers: results of another version are stale."""
    presets: ClassVar[Mapping[str, Any]]
    """Its configs, frozen dataclasses of one class, by the names of an experiment's presets: ``small`` and ``full``."""
    training_changes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Preset -> fields of :class:`nontarget.config.TrainingConfig` in which its training differs from that preset's."""
    abilities: ClassVar[frozenset[str]] = frozenset()
    """What it can do beyond the common, for rules that need it: ``agreement``, ``consistency``, ``views`` and ``masks`` stand for the
    methods whose documentation names them, ``background`` for one softmax over the classes and background."""
    averages_weights: ClassVar[bool] = False
    """Whether the running average of the weights is the result of training."""
    num_classes: int
    embedding: nn.Module
    """What all losses share: its parameters are those on which their gradients are compared."""
    embed_dim: int
    """Width of ``output.embeddings``."""
    pretext: nn.Module | None
    """A head of the learning rule's own, during training."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.pretext = num_classes, None

    @abstractmethod
    def forward(self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> DetectorOutput: ...

    @abstractmethod
    def targets(self, clips: LabeledClips) -> Targets:
        """Targets of labelled clips."""

    def augmented(self, clips: LabeledClips) -> LabeledClips:
        """Labelled clips as a training step sees them: with a random augmentation where the detector's recipe has one."""
        return clips

    @abstractmethod
    def pseudo_targets(self, output: Any) -> Targets:
        """Pseudo targets from a prediction on unlabelled clips: the target class of each snippet, and a localisation."""

    def class_loss(self, output: Any, targets: Targets) -> Float[Tensor, ""]:
        """Loss of the class logits where the classes are known: cross-entropy (Eq. 2), averaged by ``targets.weights``."""
        loss = non_target_loss(output.class_logits, labels=targets.all_labels, valid=output.valid, terms=("target",), reduction="none")
        weights = output.valid.to(loss.dtype) if targets.weights is None else targets.weights * output.valid
        return (loss * weights).sum() / weights.sum().clamp(min=1e-6)

    @abstractmethod
    def localization_loss(self, output: Any, targets: Targets) -> Losses:
        """Loss of everything but the class logits."""

    def label_free_losses(
        self, output: Any, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"], pretraining: bool
    ) -> Losses:
        """Losses that need no labels, for labelled and unlabelled clips alike; the default has none."""
        return {}

    @abstractmethod
    def candidates(self, output: Any, valid: Bool[Tensor, "clips snippets"], config: InferenceConfig) -> Candidates:
        """Every candidate segment of an output, with its class and score."""

    def agreement(self, output: Any) -> Float[Tensor, "clips snippets"]:
        """Ability ``agreement``: how well classes and localisation agree on each snippet's instance, from 0 to 1."""
        raise self._cannot("agreement")

    def consistency_losses(self, output: Any, teacher: Any) -> Losses:
        """Ability ``consistency``: mean squared difference between the localisations of two outputs."""
        raise self._cannot("consistency")

    def resample(self, output: Any, source: Int[Tensor, "clips snippets"]) -> Any:
        """Ability ``views``: the output on clips whose snippet t is snippet ``source[t]``."""
        raise self._cannot("views")

    def mix(self, output: Any, order: Int[Tensor, " clips"], share: Float[Tensor, " clips"]) -> Any:
        """Ability ``views``: the output on clips that are ``share`` of themselves and the rest of clip ``order``."""
        raise self._cannot("views")

    def foreground_loss(self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> Losses:
        """Ability ``masks``: loss of finding the one segment of each clip that was not hidden, chosen at random."""
        raise self._cannot("masks")

    def _cannot(self, ability: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} lacks the ability {ability!r}")


def forward_batches(detector: Detector, clips: AnyClips, batch_size: int = 64) -> Iterator[tuple[AnyClips, DetectorOutput]]:
    """Batches of clips, on the detector's device, with the detector's output on each, computed as they are asked for.

    The detector is put into evaluation mode, and no gradient is kept. The batch size has no effect on the outputs.
    """
    detector.eval()
    device = next(detector.parameters()).device
    for first in range(0, len(clips), batch_size):
        batch = clips[slice(first, first + batch_size)].to(device)
        with torch.no_grad():
            output: DetectorOutput = detector(batch.features, batch.valid)
        yield batch, output


def taken_from(x: Float[Tensor, "clips snippets dim"], source: Int[Tensor, "clips snippets"]) -> Float[Tensor, "clips snippets dim"]:
    """Snippet t of the result is snippet ``source[t]`` of ``x``."""
    return x.gather(1, source[..., None].expand(-1, -1, x.shape[-1]))


def snippet_classes(clips: LabeledClips, num_classes: int) -> Bool[Tensor, "clips snippets classes_and_background"]:
    """For each class whether an instance of it covers the snippet; background, the last one, where none does."""
    label_space = torch.arange(num_classes, device=clips.labels.device)
    of_class = (clips.instance_labels[..., None] == label_space).float()  # [clips, instances, classes]
    actions = (clips.instance_snippets.float().transpose(1, 2) @ of_class) > 0
    return torch.cat((actions, ~actions.any(dim=-1, keepdim=True)), dim=-1)
