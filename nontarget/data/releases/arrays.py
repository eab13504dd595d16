"""Axis order, decided over a whole folder, and arrays that are joined from several files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.records import FeatureSource

AXES = ("TD", "DT")


def oriented(
    root: Path, sources: Mapping[str, FeatureSource], axes: str | None, published: str | None = None, option: str = "axes"
) -> tuple[dict[str, FeatureSource], list[str]]:
    """All features as [T, D].

    The axis whose size is equal in all files is D. Axes of size 1 in all files are dropped.

    Args:
        root: named in errors.
        sources: by video; empty ones must have been taken out.
        axes: what the user says, ``TD`` or ``DT``.
        published: the order that the layout prescribes, for when the files do not tell; a folder that contradicts it is believed.
        option: named in errors.

    Returns:
        The sources, and notes on what was found.

    Raises:
        DataError: the files do not agree on an order, do not tell it, or hold no floating-point numbers.
    """
    if axes is not None and axes not in AXES:
        raise DataError(f"{option} must be 'TD' ([T, D], time first) or 'DT' ([D, T], time last), got {axes!r}")
    raise_problems(root, [f"{v}: features must be floating point, got {s.dtype}" for v, s in sources.items() if not _is_float(s.dtype)])
    ranks = {len(s.shape) for s in sources.values()}
    if not sources:
        return {}, []
    if len(ranks) > 1:
        raise DataError(f"{root}: the arrays have {sorted(ranks)} axes; all files of a release need the same, [T, D] or [D, T]")
    rank, example = ranks.pop(), next(iter(sources.values()))
    kept = [k for k in range(rank) if rank == 2 or not all(s.shape[k] == 1 for s in sources.values())]
    if len(kept) != 2:
        raise DataError(f"{root}: expected arrays [T, D] or [D, T], got the shape {example.shape} (crops, or one number a snippet?)")
    sizes = [{s.shape[k] for s in sources.values()} for k in kept]
    constant = [len(size) == 1 for size in sizes]
    inferred_axes = {(False, True): "TD", (True, False): "DT"}.get((constant[0], constant[1]))
    if inferred_axes is None and constant == [False, False]:
        wrong = _odd_ones(sources, kept, axes or published)
        raise_problems(root, wrong, "one axis, the feature dimension, must have one size in all files of a release")
    order = axes or inferred_axes or published
    if order is None:
        shapes = f"{len(sources)} array(s) of shape {example.shape}"
        raise DataError(f"{root}: {shapes} do not tell which axis is time; give {option}='TD' (time first) or {option}='DT' (time last)")
    notes = []
    if inferred_axes and order != inferred_axes:
        raise DataError(
            f"{root}: {option}={order!r} contradicts the files: it is axis {kept['TD'.index(inferred_axes[1])]} that has one size in all"
        )
    if order == "DT":
        dim = min(sizes[0])
        square = [v for v, s in sources.items() if s.shape[kept[0]] == s.shape[kept[1]]]
        by_others = f"; {', '.join(square[:3])} of {dim} x {dim}: only the other files tell which axis is time" if square else ""
        notes.append(f"time is the last axis, [D, T]: D = {dim} is what all files share{by_others}")
    if len(example.shape) > 2:
        notes.append(f"arrays of shape {example.shape}: axes of size 1 are dropped")
    return {v: _turned(s, kept, order) for v, s in sources.items()}, notes


def _is_float(dtype: str) -> bool:
    return dtype == "text" or dtype in ("float16", "float32", "float64", ">f4", ">f8", ">f2")


def _odd_ones(sources: Mapping[str, FeatureSource], kept: Sequence[int], order: str | None) -> list[str]:
    """Files whose feature dimension is not the most frequent one."""
    axis = kept[0] if order == "DT" else kept[1]
    sizes = [s.shape[axis] for s in sources.values()]
    usual = max(set(sizes), key=sizes.count)
    return [f"{v}: shape {s.shape}; most files have {usual} on axis {axis}" for v, s in sources.items() if s.shape[axis] != usual]


def _turned(source: FeatureSource, kept: Sequence[int], order: str) -> FeatureSource:
    rows, columns = (source.shape[k] for k in kept)

    def load() -> NDArray[np.generic]:
        array = source.load().reshape(rows, columns)
        return array if order == "TD" else array.T

    return replace(source, shape=(rows, columns) if order == "TD" else (columns, rows), load=load)


def joined(root: Path, parts: Mapping[str, Sequence[FeatureSource]], *, cut: int = 0) -> dict[str, FeatureSource]:
    """Several arrays [T, D_k] a video, side by side.

    Args:
        root: named in errors.
        parts: by video, in the order in which they are joined.
        cut: by how many snippets they may differ in length; they are cut to the shortest.

    Raises:
        DataError: the lengths differ by more.
    """
    problems = [
        f"{video}: the arrays that are to be joined have {', '.join(str(p.shape[0]) for p in sources)} snippets"
        for video, sources in parts.items()
        if max(p.shape[0] for p in sources) - min(p.shape[0] for p in sources) > cut
    ]
    raise_problems(root, problems, f"they may differ by {cut} at most")
    return {video: _side_by_side(list(sources)) for video, sources in parts.items()}


def _side_by_side(parts: list[FeatureSource]) -> FeatureSource:
    length = min(p.shape[0] for p in parts)

    def load() -> NDArray[np.generic]:
        return np.concatenate([p.load()[:length] for p in parts], axis=1)

    dtypes = sorted({p.dtype for p in parts})
    dtype = dtypes[0] if len(dtypes) == 1 else str(np.result_type(*(np.dtype(d) for d in dtypes)))
    return FeatureSource((length, sum(p.shape[1] for p in parts)), dtype, load, tuple(f for p in parts for f in p.files))
