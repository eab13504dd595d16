"""Checks of the values of tensors that are the same in a plain call, under ``torch.func.vmap`` and ``grad``, and in a compiled graph.

Each is an operator of its own, which returns a copy of what it was given, so that no transformation can leave it out. On an accelerator
nothing is checked: a look at values would stop it at every step.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ROUNDING = 0.01
"""By how much probabilities and their sums may be off: they may have been computed in half precision."""


def can_be_inspected(values: Tensor) -> bool:
    """Whether there are values to look at, on a CPU."""
    return values.device.type == "cpu" and values.numel() > 0


@torch.library.custom_op("nontarget::in_unit_interval", mutates_args=())
def in_unit_interval(probs: Tensor, counts: Tensor) -> Tensor:
    """``probs`` [..., classes]; ValueError unless they are in [0, 1] in every row that ``counts`` [...]."""
    low, high = (float(x) for x in probs.aminmax())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN too
        low, high = (float(x) for x in probs.where(counts.unsqueeze(-1), 0.0).aminmax())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise ValueError(f"pseudo_probs must be in [0, 1] (after the softmax or sigmoid), got values from {low:g} to {high:g}")
    return probs.clone()


@torch.library.custom_op("nontarget::classes_last", mutates_args=())
def classes_last(probs: Tensor, counts: Tensor, warn: bool) -> Tensor:
    """``probs`` [..., classes]; ValueError for [B, classes, T] in place of [B, T, classes].

    That is told by rows that are no distributions where those along another axis are (or are padding, all 0). If ``warn``, a warning
    tells of rows that sum to more than 1. Rows that are scaled down are let through.
    """
    sums = probs.float().sum(dim=-1)
    if bool((_near(sums, 1.0) | ~counts).all()):
        return probs.clone()
    for axis in range(probs.ndim - 1):
        other = probs.float().sum(dim=axis)
        if bool((_near(other, 1.0) | _near(other, 0.0)).all()) and bool(_near(other, 1.0).any()):
            raise ValueError(
                f"classes must be the last axis: probabilities of shape {tuple(probs.shape)} add up to 1 along axis {axis}, and not "
                f"along the last; move it there with .movedim({axis}, -1), in logits too"
            )
    above = (sums > 1 + ROUNDING) & counts
    if warn and bool(above.any()):
        warnings.warn(
            f"{int(above.sum())} of {int(counts.sum())} rows of pseudo_probs sum to more than 1 (up to {float(sums[above].max()):g}): they "
            "are no distributions over the last axis; independent scores want activation='sigmoid'",
            stacklevel=2,
        )
    return probs.clone()


@torch.library.custom_op("nontarget::class_indices", mutates_args=())
def class_indices(labels: Tensor, num_classes: int) -> Tensor:
    """``labels``; ValueError unless each is in [0, num_classes)."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"labels must be in [0, {num_classes}), got values from {low} to {high}")
    return labels.clone()


@torch.library.custom_op("nontarget::some_class_each", mutates_args=())
def some_class_each(labels: Tensor) -> Tensor:
    """``labels`` [..., classes] of bool; ValueError unless every row has a class."""
    if not labels.any(dim=-1).all():
        raise ValueError("labels as bool must give every valid snippet at least one class (background is the last one)")
    return labels.clone()


def _near(values: Tensor, target: float) -> Tensor:
    return (values - target).abs() < ROUNDING


def make_transformable(operator: Any, empty_result: Callable[..., Tensor]) -> None:
    """Tell torch what a result looks like, for compilation, and what a batch is: one more axis in front."""

    def batched(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        front = [
            x if not isinstance(x, Tensor) else x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(args, in_dims, strict=True)
        ]
        return operator(*front), 0

    operator.register_fake(empty_result)
    operator.register_vmap(batched)


for _check in (in_unit_interval, classes_last, class_indices, some_class_each):
    make_transformable(_check, lambda values, *_: torch.empty_like(values))
