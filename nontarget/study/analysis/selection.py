"""Rules by which the figures choose what they show, so that nobody picks it by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nontarget.data import LabeledVideo
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.study.analysis.snippets import Snippets


@dataclass(frozen=True)
class MisjudgedSnippet:
    """What :func:`misjudged_snippet` chose, and from how many."""

    index: int
    """Of the snippet."""
    truth_rank: int
    """Of the true class by probability; the target has rank 1."""
    num_eligible: int
    """Snippets that fulfil the rule; this is the one with the median confidence."""
    truth_positive: bool
    """Whether the true class of all of these is positive; if none is, they are those with the best rank that occurs."""
    num_wrong: int
    """Action snippets whose target is another action."""
    num_actions: int
    """Action snippets."""


def misjudged_snippet(snippets: Snippets, positive_ratio: float = 0.85) -> MisjudgedSnippet:
    """The example of Fig. 1: the truth lies among the non-target classes.

    Eligible are the action snippets whose target is another action and whose true class is positive; if there are none, those whose
    true class has the best rank that occurs. Of these it is the one with the median confidence ``max(p)`` (the lower of two), ties by
    video and snippet.

    Raises:
        ValueError: there is no action snippet whose target is another action.
    """
    sets = partition_label_space(torch.from_numpy(snippets.probs), positive_ratio)
    target = sets.target.numpy().argmax(axis=1)
    rows = np.arange(len(snippets))
    action = snippets.labels != snippets.background
    wrong = action & (target != snippets.background) & (target != snippets.labels)
    if not wrong.any():
        raise ValueError(f"none of the {action.sum()} action snippets has another action as its target: there is no example to show")
    own = snippets.probs[rows, snippets.labels]
    rank = 1 + (snippets.probs > own[:, None]).sum(axis=1)
    positive = wrong & sets.positive.numpy()[rows, snippets.labels]
    eligible = positive if positive.any() else wrong & (rank == rank[wrong].min())
    candidates = np.flatnonzero(eligible)
    order = np.lexsort((snippets.snippet[candidates], snippets.video_id[candidates], snippets.probs[candidates].max(axis=1)))
    chosen = int(candidates[order[(len(order) - 1) // 2]])
    counts = (int(x.sum()) for x in (wrong, action))
    return MisjudgedSnippet(chosen, int(rank[chosen]), len(candidates), bool(positive.any()), *counts)


def confusion_rates(snippets: Snippets) -> NDArray[np.float64]:
    """[actions, actions + 1]: of the snippets of an action (row), the share with each target class; 0 where there are none."""
    counts = np.zeros((snippets.background + 1, snippets.background + 1))
    np.add.at(counts, (snippets.labels, snippets.probs.argmax(axis=1)), 1)
    return counts[:-1] / np.maximum(counts[:-1].sum(axis=1, keepdims=True), 1)


def confusable_classes(rates: NDArray[np.float64], count: int = 4) -> list[int]:
    """The actions of Fig. 4: the two with the largest mutual confusion, then one after another that which is confused most with these.

    The mutual confusion of two actions is the share of the one's snippets that have the other as target, plus the reverse; ties go to
    the earlier class.

    Args:
        rates: see :func:`confusion_rates`.
        count: how many, from 2 to the number of actions.

    Raises:
        ValueError: ``count`` is out of range.
    """
    actions = len(rates)
    if not 2 <= count <= actions:
        raise ValueError(f"count must be from 2 to the number of actions ({actions}), got {count!r}")
    mutual = rates[:, :actions] + rates[:, :actions].T
    np.fill_diagonal(mutual, -1.0)
    chosen = [int(i) for i in np.unravel_index(mutual.argmax(), mutual.shape)]
    while len(chosen) < count:
        with_these = mutual[chosen].sum(axis=0)
        with_these[chosen] = -np.inf
        chosen.append(int(with_these.argmax()))
    return chosen


def videos_by_instances(videos: Sequence[LabeledVideo], count: int = 2, quantile: float = 0.9) -> list[LabeledVideo]:
    """The videos of Fig. 6: those whose number of instances is nearest to its quantile over the videos that have any, ties by id.

    Nothing that a system predicts is looked at.

    Raises:
        ValueError: there are fewer than ``count`` videos with an instance.
    """
    annotated = [v for v in videos if len(v.annotations.labels)]
    if len(annotated) < count:
        raise ValueError(f"count must be at most the number of videos with an instance ({len(annotated)}), got {count!r}")
    aim = float(np.quantile([len(v.annotations.labels) for v in annotated], quantile))
    return sorted(annotated, key=lambda v: (abs(len(v.annotations.labels) - aim), v.video.video_id))[:count]


def subspace_of_classes(probs: NDArray[np.float64], positive_ratio: float = 0.85) -> list[str]:
    """Name of the subspace of every class, for one distribution."""
    masks = torch.stack(partition_label_space(torch.from_numpy(probs), positive_ratio))
    return [LabelPartition._fields[i] for i in masks.int().argmax(dim=0)]
