"""Instances that no snippet is assigned to, since shorter ones of other classes have all of theirs."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nontarget.config import Protocol
from nontarget.data.videos import LabeledVideo
from nontarget.segments import TimeGrid, covered_snippets, shortest_instance

_NAMED = 5


def starved_instances(labels: NDArray[np.int64], segments_s: NDArray[np.float64], grid: TimeGrid, steps: int) -> list[int]:
    """Class of every instance of a video that has no snippet, while instances of other classes have all that it covers.

    A snippet is assigned to the shortest instance that it belongs to, the first listed among equals
    (:func:`nontarget.segments.shortest_instance`).

    Args:
        labels: class of each instance.
        segments_s: [instances, 2], in seconds.
        grid: of the video's snippets.
        steps: how many snippets the video has.
    """
    start, end = np.clip(grid.to_snippets(segments_s), 0, steps).T
    near = (start[:, None] < end + 2) & (start < end[:, None] + 2)  # an instance reaches less than a snippet beyond its ends
    if not (near & (labels[:, None] != labels)).any():  # as in most videos, and a hundred times as fast
        return []
    segments = torch.from_numpy(grid.to_snippets(segments_s))
    covers = covered_snippets(segments, torch.ones(steps, dtype=torch.bool), True, True)
    owner = shortest_instance(segments, covers)
    owners = np.where(owner < 0, -1, labels[owner.numpy()])
    return [int(c) for c, covered in zip(labels, covers.numpy(), strict=True) if covered.any() and c not in owners[covered]]


def warn_of_starved(place: object, videos: Sequence[LabeledVideo], classes: Sequence[str], protocol: Protocol) -> None:
    """Warn, with counts, of the classes some of whose instances have no snippet of their own."""
    starved: Counter[int] = Counter()
    for v in videos:
        steps = protocol.num_snippets if protocol.windowing == "rescale" else v.video.num_snippets
        grid = TimeGrid(v.video.fps * steps / v.video.num_snippets, v.video.offset_s)
        starved.update(starved_instances(v.annotations.labels, v.annotations.segments_s, grid, steps))
    if starved:
        total = Counter(int(c) for v in videos for c in v.annotations.labels)
        warnings.warn(
            f"{place}: {starved_text((classes[c], n, total[c]) for c, n in starved.most_common())} no snippet of their own, since shorter "
            "or equal ones of other classes cover the same snippets, and masks and pseudo labels have one class for each snippet",
            stacklevel=3,
        )


def starved_text(counts: Iterable[tuple[str, int, int]]) -> str:
    """``(class, starved, all)`` as text."""
    parts = [f"{name!r} {starved} of {total}" for name, starved, total in counts]
    return f"instances of {len(parts)} class(es) ({', '.join(parts[:_NAMED])}{', ...' if len(parts) > _NAMED else ''}) have"
