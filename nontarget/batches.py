"""What training sees, and in which order: batches of labelled and of unlabelled clips."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nontarget.data import Clips, LabeledClips
from nontarget.detectors.base import DetectorOutput, Losses
from nontarget.rules.base import LearningRule


@dataclass(frozen=True)
class TrainingData:
    """Training clips of the labelled and of the unlabelled videos; the latter carry no labels."""

    labeled: LabeledClips
    unlabeled: Clips | None
    truth: LabeledClips | None = None
    """The unlabelled clips, in the same order, with their hidden labels: only for an oracle (``LearningRule.uses_truth``)."""

    def on_device_if_it_fits(self, device: torch.device) -> Self:
        """The clips in the device's memory, if they take less than half of what is free there; else batches are moved one by one."""
        size = sum(clips.num_bytes for clips in (self.labeled, self.unlabeled, self.truth) if clips is not None)
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        return type(self)(
            self.labeled.to(device),
            None if self.unlabeled is None else self.unlabeled.to(device),
            None if self.truth is None else self.truth.to(device),
        )


@dataclass(frozen=True)
class Batch:
    """The clips of one optimiser step."""

    labeled: LabeledClips
    unlabeled: Clips | None = None
    """With their labels for an oracle; None: the rule does not use unlabelled clips."""
    indices: Int[Tensor, " clips"] | None = None
    """Indices of the batch's clips among all unlabelled clips."""


@dataclass(frozen=True)
class Mixture:
    """Mixup of labelled clips (Zhang et al. 2018): each is shown as a weighted mean with another one, and trained towards both targets.

    The loss is the same weighted mean of the losses towards either target: for cross-entropy, that towards the mean of the targets. As
    in the authors' released code, one share is drawn for a whole batch.
    """

    share: Float[Tensor, ""]
    """Weight of a clip itself."""
    partner: Int[Tensor, " clips"]
    """Index of the clip that has the rest."""

    @classmethod
    def drawn(cls, clips: LabeledClips, parameter: float) -> Self:
        """A random partner for each clip, and a share from the distribution Beta(``parameter``, ``parameter``)."""
        device = clips.features.device
        share = torch.distributions.Beta(parameter, parameter).sample()
        return cls(share.to(device), torch.randperm(len(clips)).to(device))

    def features(self, clips: LabeledClips) -> Float[Tensor, "clips snippets dim"]:
        """The mixed features; where one of the two clips has ended, a clip's own."""
        both = (clips.valid & clips.valid[self.partner])[..., None]
        return torch.where(both, self.share * clips.features + (1 - self.share) * clips.features[self.partner], clips.features)

    def of_partner(self, output: DetectorOutput) -> DetectorOutput:
        """An output on mixed clips as it counts for the partners' targets: where both clips are."""
        return replace(output, valid=output.valid & output.valid[self.partner])

    def mean(self, own: Losses, others: Losses) -> Losses:
        """Losses towards a clip's own targets and towards its partner's, weighted."""
        return {name: self.share * loss + (1 - self.share) * others[name] for name, loss in own.items()}


def training_batches(data: TrainingData, rule: LearningRule, steps: int, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """The batches of one epoch, on the device: each set of clips in random order, from the start again when it is used up.

    Raises:
        ValueError: the rule is an oracle, and ``data`` has no truth.
    """
    unlabeled = _unlabeled_clips(data, rule)
    home = data.labeled.features.device
    order = _endless_order(len(data.labeled), steps * batch_size).to(home).split(batch_size)
    if unlabeled is None:
        yield from (Batch(data.labeled[indices].to(device)) for indices in order)
    else:
        unlabeled_order = _endless_order(len(unlabeled), steps * batch_size).to(home).split(batch_size)
        for indices, chosen in zip(order, unlabeled_order, strict=True):
            yield Batch(data.labeled[indices].to(device), unlabeled[chosen].to(device), chosen)


def _unlabeled_clips(data: TrainingData, rule: LearningRule) -> Clips | None:
    """What the rule sees of the unlabelled videos; their labels only where it says that it uses them."""
    if not rule.uses_unlabeled:
        return None
    if not rule.uses_truth:
        return data.unlabeled
    if data.truth is None:
        raise ValueError(f"learning rule {rule.name!r} uses the labels of unlabelled clips: data.truth must hold them, got None")
    return data.truth


def _endless_order(count: int, length: int) -> Int[Tensor, " length"]:
    return torch.cat([torch.randperm(count) for _ in range(math.ceil(length / count))])[:length]
