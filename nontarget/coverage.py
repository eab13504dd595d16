"""Subspace coverage: how often the label that training did not see lies in each subspace of the label space (Fig. 5)."""

from collections.abc import Sequence

import torch

from nontarget.config import Protocol
from nontarget.data import LabeledVideo, Normalization, make_labeled_clips
from nontarget.detectors.base import Detector, forward_batches
from nontarget.partition import LabelPartition, Precedence, partition_label_space
from nontarget.results import COVERAGE_COLUMNS

Coverage = dict[str, float]
"""``truth_*``: share of the snippets whose true class is in that subspace; ``action_*``: the same among snippets of an action;
``size_*``: mean number of classes in it. The target is one class."""


def subspace_coverage(
    detector: Detector,
    videos: Sequence[LabeledVideo],
    protocol: Protocol,
    normalization: Normalization,
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
    temperature: float = 1.0,
    batch_size: int = 64,
) -> Coverage:
    """Partition a detector's predictions on videos, and look their true classes up in the subspaces; nothing is trained with it.

    A detector without a background class is partitioned on its scores with an explicit background. Where it has several points a
    snippet, points take the place of snippets.

    Args:
        detector: put into evaluation mode.
        videos: with their annotations: those that were hidden in training.
        protocol: how videos are cut.
        normalization: of features, as in training.
        positive_ratio: lambda of Eq. 10.
        precedence: see :func:`nontarget.partition_label_space`.
        temperature: what the class logits are divided by, as a teacher's.
        batch_size: clips at once.

    Raises:
        ValueError: there is no video.
    """
    clips = make_labeled_clips(videos, protocol, normalization, detector.num_classes)
    membership, sizes = [], []
    for batch, output in forward_batches(detector, clips, batch_size):
        probs = output.tempered(temperature).distribution
        sets = torch.stack(partition_label_space(probs, positive_ratio, precedence), dim=-2)[output.valid]
        labels = detector.targets(batch).labels[output.valid]
        truth = sets.gather(-1, labels[:, None, None].expand(-1, sets.shape[1], 1)).squeeze(-1)
        membership.append(torch.cat((truth, (labels != detector.num_classes)[:, None]), dim=1).cpu())
        sizes.append(sets.sum(dim=-1).cpu())
    inside, action = torch.cat(membership).double().split((len(LabelPartition._fields), 1), dim=1)
    shares = {
        "truth": inside.mean(dim=0),
        "action": (inside * action).sum(dim=0) / action.sum().clamp(min=1),
        "size": torch.cat(sizes).double().mean(dim=0),
    }
    return {
        f"{kind}_{name}": float(value)
        for kind, values in shares.items()
        for name, value in zip(LabelPartition._fields, values, strict=True)
        if f"{kind}_{name}" in COVERAGE_COLUMNS
    }
