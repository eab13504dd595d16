"""Intervals in time: seconds and snippets, tIoU, runs of snippets, and which snippets belong to an instance."""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

T = TypeVar("T", float, NDArray[np.float64], Tensor)


@dataclass(frozen=True)
class TimeGrid:
    """Where the snippets of a sequence lie: snippet t covers ``[t, t + 1) / fps + offset_s`` seconds of the video.

    A real number in snippets is a position on that grid: t is where snippet t begins, t + 0.5 is its centre. The two methods are
    each other's inverse, for floats, arrays and tensors alike. Segments of clips and detections change units nowhere else.
    """

    fps: float | Tensor
    """Snippets per second; as a tensor, that of many sequences, which broadcasts against the times."""
    offset_s: float | Tensor = 0.0
    """Where in its video the sequence begins, in seconds."""

    def __post_init__(self) -> None:
        if not isinstance(self.fps, Tensor) and not 0 < self.fps < float("inf"):
            raise ValueError(f"fps must be a positive number of snippets per second, got {self.fps!r}")

    @classmethod
    def centred(cls, fps: float, first_centre_s: float) -> Self:
        """The grid whose first snippet is centred on ``first_centre_s`` seconds."""
        return cls(fps, first_centre_s - 0.5 / fps)

    def to_seconds(self, snippets: T) -> T:
        """Positions on the grid, in snippets, as times of the video in seconds."""
        return snippets / self.fps + self.offset_s  # type: ignore[return-value]  # a grid of tensors takes tensors

    def to_snippets(self, seconds: T) -> T:
        """Times of the video, in seconds, as positions on the grid in snippets."""
        return (seconds - self.offset_s) * self.fps  # type: ignore[return-value]


def tiou(a: Float[Tensor, "*#n 2"], b: Float[Tensor, "*#n 2"]) -> Float[Tensor, "*n"]:
    """Temporal intersection over union of segments (start, end), broadcast; NaN for two segments without length."""
    intersection = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    # In the order of the official evaluator, so that both round alike.
    return intersection / ((a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - intersection)


def runs(mask: Bool[Tensor, "rows snippets"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Every connected run of True: its row, first snippet, and the snippet after its last; in row-major order."""
    edges = F.pad(mask.to(torch.int8), (1, 1)).diff(dim=-1)
    row, start = (edges == 1).nonzero(as_tuple=True)
    end = (edges == -1).nonzero(as_tuple=True)[1]
    return row, start, end


def runs_above(
    curves: Float[Tensor, "rows snippets"], thresholds: tuple[float, ...]
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Runs of every row above every threshold: row, start, end, in this order; a run that several thresholds give is listed once."""
    levels = torch.tensor(thresholds, device=curves.device, dtype=curves.dtype)
    row, start, end = runs((curves[:, None] > levels[:, None]).flatten(0, 1))
    base = curves.shape[1] + 1
    distinct = ((row // len(levels) * base + start) * base + end).unique()  # one number a run: unique(dim=0) is far slower
    return distinct // base**2, distinct // base % base, distinct % base


def sum_over(
    curves: Float[Tensor, "rows snippets"], row: Int[Tensor, " n"], start: Int[Tensor, " n"], end: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Sum of a row's values over [start, end)."""
    total = F.pad(curves.cumsum(dim=-1), (1, 0))
    return total[row, end] - total[row, start]


def covered_snippets(
    segments: Float[Tensor, "*clips instances 2"],
    valid: Bool[Tensor, "*clips snippets"],
    begins: Bool[Tensor, "*clips"] | bool = False,
    ends: Bool[Tensor, "*clips"] | bool = False,
) -> Bool[Tensor, "*clips instances snippets"]:
    """Which snippets of a clip belong to each instance.

    A snippet belongs to every instance that covers its centre. An instance that covers no centre claims the snippet nearest to its own
    centre, unless its own centre lies outside the clip: then a neighbouring clip has it. Where the video begins or ends with the
    clip there is no neighbour, and the first or last snippet is claimed, so that no instance of a video is lost at any rate.

    Args:
        segments: start and end in snippets of the clip.
        valid: the real snippets, which padding follows.
        begins: whether the video begins with the clip.
        ends: whether the video ends with the clip.
    """
    steps = torch.arange(valid.shape[-1], device=valid.device)
    start, end = segments.split(1, dim=-1)  # [*clips, instances, 1]
    covers = (start <= steps + 0.5) & (steps + 0.5 < end) & valid[..., None, :]
    count = valid.sum(dim=-1)[..., None]  # [*clips, 1]
    middle = segments.mean(dim=-1)
    begins, ends = (torch.as_tensor(x, device=valid.device)[..., None] for x in (begins, ends))
    claims = ~covers.any(dim=-1) & ((middle >= 0) | begins) & ((middle <= count) | ends)
    nearest = torch.minimum(middle.long().clamp(min=0), count - 1)
    return covers | (claims[..., None] & (steps == nearest[..., None]) & valid[..., None, :])


def shortest_instance(
    segments: Float[Tensor, "*clips instances 2"], covers: Bool[Tensor, "*clips instances snippets"]
) -> Int[Tensor, "*clips snippets"]:
    """Index of the shortest instance that each snippet belongs to, the first listed among equals; -1 for background."""
    if segments.shape[-2] == 0:
        return torch.full_like(covers.sum(dim=-2), -1)
    length = torch.where(covers, (segments[..., 1] - segments[..., 0])[..., None], torch.inf)
    shortest, instance = length.min(dim=-2)
    return instance.masked_fill(shortest.isinf(), -1)


def assign_instances(segments: Float[Tensor, "instances 2"], num_snippets: int) -> Int[Tensor, " snippets"]:
    """Index of the instance that each snippet of a clip is assigned to, -1 for background.

    Of the instances that it belongs to (:func:`covered_snippets`) a snippet is assigned to the shortest one, so that a long instance
    cannot hide a short one.

    Deviation: the paper does not say which of two overlapping instances a snippet is assigned to (assumed, as in ActionFormer).

    Args:
        segments: start and end in snippets.
        num_snippets: length of the clip; the video goes on before and after it.
    """
    valid = torch.ones(num_snippets, dtype=torch.bool, device=segments.device)
    return shortest_instance(segments, covered_snippets(segments, valid))
