"""Label space partition: which non-target classes a snippet can learn from (Secs. 3.2-3.5)."""

from numbers import Real
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nontarget.value_checks import can_be_inspected, classes_last, make_transformable

Precedence = Literal["negative", "positive"]


class LabelPartition(NamedTuple):
    """The four subspaces of Eq. 4, as boolean masks that are disjoint and cover every class."""

    target: Bool[Tensor, "*snippets classes"]
    """The most probable class."""
    positive: Bool[Tensor, "*snippets classes"]
    """Nearly as probable."""
    negative: Bool[Tensor, "*snippets classes"]
    """Surely wrong."""
    ambiguous: Bool[Tensor, "*snippets classes"]
    """The rest."""


def partition_label_space(
    probs: Float[Tensor, "*snippets classes"],
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
) -> LabelPartition:
    """Split every snippet's label space into target, positive, negative and ambiguous classes (Eq. 4).

    * target (Eq. 5): the most probable class, the first one on a tie;
    * negative (Eqs. 7, 8): in ascending order of probability, the longest prefix whose cumulative sum is at most ``max(p)``;
    * positive (Eq. 10): every class with ``p >= positive_ratio * max(p)``;
    * ambiguous: the rest.

    No gradient flows through the choice. Half-precision input is summed in float32. Each row should be a distribution; of the values
    only the order of the axes is checked, and on the CPU alone. A row with NaN has no positive and no negative class.

    Deviation: read literally, Eq. 10 contains the target, and so does Eq. 8 when ``max(p) = 1``; the target is taken out of both.
    Eqs. 8 and 10 can claim the same class, which Eq. 4 forbids; ``precedence`` says which of them keeps it.

    Args:
        probs: class probabilities, background included, any leading shape, dtype and device.
        positive_ratio: lambda of Eq. 10, 0.85 in the paper (Table 4). At 0 every non-target class qualifies as positive; above 1, none.
        precedence: ``"negative"`` (Sec. 3.5 picks positives among the classes that are left once the negatives are taken out) or
            ``"positive"``.

    Raises:
        TypeError: ``probs`` is not a floating-point tensor.
        ValueError: ``probs`` has no class axis, or adds up to 1 along another axis and not along the last; or another argument is out
            of range.
    """
    check_partition_arguments(positive_ratio, precedence)
    if not isinstance(probs, Tensor) or not probs.is_floating_point():
        raise TypeError(f"probs must be a floating-point tensor [..., classes], got {_describe(probs)}")
    if probs.ndim == 0 or probs.shape[-1] == 0:
        raise ValueError(f"probs must be [..., classes] with at least one class, got shape {tuple(probs.shape)}")
    if probs.ndim > 1 and can_be_inspected(probs):
        probs = classes_last(probs.detach(), probs.new_ones(probs.shape[:-1], dtype=torch.bool), False)
    return subspaces(probs, positive_ratio, precedence)


def subspaces(probs: Float[Tensor, "*snippets classes"], positive_ratio: float, precedence: Precedence) -> LabelPartition:
    """:func:`partition_label_space` of arguments that have been checked."""
    probs = probs.detach()
    if probs.dtype in (torch.float16, torch.bfloat16):
        probs = probs.float()

    top, top_index = probs.max(dim=-1, keepdim=True)
    target = torch.zeros_like(probs, dtype=torch.bool).scatter(-1, top_index, True)  # Eq. 5: argmax p

    negative = (_negative_on_cpu if probs.device.type == "cpu" else _negative)(probs, top, target)  # Eqs. 7, 8
    positive = (probs >= float(positive_ratio) * top) & ~target  # Eq. 10: p >= lambda max(p)

    if precedence == "negative":
        positive = positive & ~negative
    else:
        negative = negative & ~positive
    return LabelPartition(target, positive, negative, ~(target | positive | negative))  # Eq. 4


def _negative(
    probs: Float[Tensor, "*snippets classes"], top: Float[Tensor, "*snippets 1"], target: Bool[Tensor, "*snippets classes"]
) -> Bool[Tensor, "*snippets classes"]:
    """The longest prefix of classes, in ascending order of probability, that adds up to at most ``max(p)`` (Eqs. 7, 8)."""
    # The target ranks last, also among equals, so that no prefix of a finite sum contains it.
    ascending, classes = probs.masked_fill(target, torch.inf).sort(dim=-1, stable=True)
    return torch.zeros_like(target).scatter(-1, classes, ascending.cumsum(dim=-1) <= top)


@torch.library.custom_op("nontarget::negative_classes", mutates_args=())
def _negative_on_cpu(probs: Tensor, top: Tensor, target: Tensor) -> Tensor:
    """``_negative`` from the sorted values alone: numpy sorts these 5 to 20 times faster than torch sorts values and classes."""
    ascending = torch.from_numpy(np.sort(probs.numpy(force=True), axis=-1))
    odd = ~(ascending[..., :1] >= 0) | (ascending[..., -1:] == torch.inf)
    ascending[..., -1] = torch.inf  # the target
    above = (ascending.cumsum(dim=-1) > top).numpy().argmax(axis=-1, keepdims=True)  # the first one: partial sums rise
    after = torch.from_numpy(above)
    first_left = ascending.gather(-1, after)
    negative = (probs < first_left) & ~target
    # Among equals, the first listed are negative: where only some of them are, their values do not tell which.
    odd |= (after > 0) & (ascending.gather(-1, (after - 1).clamp(min=0)) == first_left)
    if odd.any():
        rows = odd.squeeze(-1)
        negative[rows] = _negative(probs[rows], top[rows], target[rows])
    return negative


make_transformable(_negative_on_cpu, lambda probs, top, target: torch.empty_like(target))


def check_partition_arguments(positive_ratio: float, precedence: str) -> None:
    """Raise ValueError unless both arguments of :func:`partition_label_space` are acceptable."""
    if not isinstance(positive_ratio, Real) or isinstance(positive_ratio, bool) or not 0 <= positive_ratio < float("inf"):
        raise ValueError(f"positive_ratio (lambda of Eq. 10) must be a finite number >= 0, got {positive_ratio!r}")
    if precedence not in get_args(Precedence):
        raise ValueError(f"precedence must be one of {get_args(Precedence)}, got {precedence!r}")


def _describe(value: object) -> str:
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
