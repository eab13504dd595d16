"""Writing a feature folder from features that come one video at a time: resumable, checked, and there only once it is whole."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from nontarget.data import DataError, read_annotations
from nontarget.data.annotations import raise_problems
from nontarget.runtime.digests import file_digest

PARTIAL = ".partial"
"""Ending of the folder in which a conversion works until it is whole."""
DTYPES = ("float16", "float32")


@dataclass(frozen=True)
class WrittenVideo:
    """One video of the folder that is to be written."""

    video_id: str
    subset: str
    duration_s: float
    instances: Sequence[tuple[str, float, float]]
    """(label, start, end) in seconds, within the video."""
    feature_fps: float
    feature_offset_s: float
    """Centre of the first snippet in seconds."""
    shape: tuple[int, int]
    stamp: str
    """Changes when the files do from which the features come."""
    load: Callable[[], NDArray[np.generic]]
    feature_duration_s: float | None = None
    """Of rescaled features: the duration that all rows cover."""
    ambiguous: Sequence[tuple[float, float]] = ()
    """Spans (start, end) in seconds whose labels are not known."""


def write_folder(
    out: Path,
    videos: Sequence[WrittenVideo],
    classes: Sequence[str],
    subsets: Mapping[str, str],
    provenance: Mapping[str, Any],
    dtype: str = "float16",
    *,
    progress: bool = True,
    further: Mapping[str, Any] | None = None,
) -> Path:
    """Write a feature folder.

    Each video's array goes to ``OUT.partial`` first; a run that was killed goes on from there. Only when everything is written and has
    been read back and compared does the folder take its name.

    Where all videos have one rate and are centred on ``(t + 0.5) / feature_fps``, that rate is the folder's ``feature_fps``. Else it is
    left out, so that no reader applies one rate to all, and each video has its own ``feature_fps`` and ``feature_offset_s``.

    Args:
        out: must not exist, or be empty.
        videos: in the order of the folder.
        classes: names, in the order of their index.
        subsets: the names under which it is trained and tested, ``{"train": ..., "test": ...}``; empty if there are no such videos.
        provenance: written into ``annotations.json`` as it is.
        dtype: of the stored features, ``float16`` or ``float32``.
        progress: show a bar.
        further: keys of ``annotations.json``, such as ``protocol`` and ``distinct_classes``.

    Raises:
        DataError: the folder exists; or features are not finite, do not fit the type, or are not as their headers say, by video.
        OSError: the disk is full, or the folder cannot be written; what is done is kept for another try.
    """
    if dtype not in DTYPES:
        raise DataError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; give a new folder, or remove it")
    partial = out.with_name(out.name + PARTIAL)
    plan = _plan(videos, dtype)
    _begin(partial, plan)
    digests, problems = {}, []
    for number, video in enumerate(
        tqdm(videos, desc=f"converting to {out.name}", unit="video", delay=2, leave=False, disable=not progress or None)
    ):
        path = partial / f"{number:06d}.npy"
        try:
            digests[video.video_id] = _digest(path, video, dtype) or _store(path, video, dtype)
        except DataError as error:
            problems.append(f"{video.video_id}: {error}")
    raise_problems(out, problems, f"nothing was written; features must be finite numbers that fit {dtype}")
    _text(partial / "annotations.json", json.dumps(_content(videos, classes, subsets, further or {}, provenance), indent=1))
    _text(partial / "classes.txt", "".join(f"{c}\n" for c in classes))
    _pack(partial, videos)
    _check(partial, digests, {v.video_id: v.shape for v in videos})
    names = ("annotations.json", "features.npz", "classes.txt")
    _text(partial / "SHA256SUMS", "".join(f"{file_digest(partial / n)}  {n}\n" for n in names))
    for path in partial.iterdir():
        if path.name not in (*names, "SHA256SUMS"):
            path.unlink()
    if out.exists():
        out.rmdir()
    os.replace(partial, out)
    return out


def _plan(videos: Sequence[WrittenVideo], dtype: str) -> str:
    lines = [f"{v.video_id}\t{v.shape}\t{v.stamp}" for v in videos]
    return hashlib.sha256("\n".join([dtype, *lines]).encode()).hexdigest()


def _begin(partial: Path, plan: str) -> None:
    """Go on with what is there if it is of the same plan; else begin anew."""
    stated = partial / "plan.txt"
    if partial.exists() and not (stated.is_file() and stated.read_text() == plan):
        if partial.is_dir() and any(partial.iterdir()) and not stated.is_file():
            raise DataError(f"{partial}: is in the way, and is not an interrupted conversion; remove it")
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    _text(stated, plan)


def _store(path: Path, video: WrittenVideo, dtype: str) -> str:
    """Write the features of one video; the file takes its name when it is complete. Returns its digest."""
    array = np.asarray(video.load())
    if array.shape[1:] != video.shape[1:] or len(array) < video.shape[0]:
        raise DataError(f"the array is {array.shape}, its header said {video.shape}")
    array = array[: video.shape[0]]
    finite = np.isfinite(array)
    if not finite.all():
        step, dim = np.argwhere(~finite)[0]
        raise DataError(f"features must be finite, got {array[step, dim]} at step {step}, dimension {dim}")
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(array, dtype=dtype)
    if not np.isfinite(stored).all():
        raise DataError(f"features up to {np.abs(array).max():g} do not fit {dtype}; give dtype='float32'")
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.lib.format.write_array(file, stored, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    _text(path.with_suffix(".sha256"), digest)
    os.replace(temporary, path)
    return digest


def _digest(path: Path, video: WrittenVideo, dtype: str) -> str | None:
    """Digest of an array of an earlier run, if it is whole."""
    if not path.is_file():
        return None
    try:
        array = np.load(path, allow_pickle=False)
        stated = path.with_suffix(".sha256").read_text()
    except (ValueError, OSError, EOFError):
        return None
    whole = array.shape == video.shape and array.dtype == np.dtype(dtype) and hashlib.sha256(array.tobytes()).hexdigest() == stated
    return stated if whole else None


def _content(
    videos: Sequence[WrittenVideo],
    classes: Sequence[str],
    subsets: Mapping[str, str],
    further: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    rates = {v.feature_fps for v in videos}
    same = len(rates) == 1 and all(v.feature_duration_s is None and abs(v.feature_offset_s * v.feature_fps - 0.5) < 1e-9 for v in videos)
    database = {}
    for v in videos:
        entry: dict[str, Any] = {"subset": v.subset, "duration": v.duration_s}
        entry["annotations"] = [{"label": label, "segment": [start, end]} for label, start, end in v.instances]
        entry |= {"feature_fps": v.feature_fps, "feature_offset_s": v.feature_offset_s}
        entry |= {"feature_duration_s": v.feature_duration_s} if v.feature_duration_s is not None else {}
        entry |= {"ambiguous": [list(span) for span in v.ambiguous]} if v.ambiguous else {}
        database[v.video_id] = entry
    content: dict[str, Any] = {"classes": list(classes)}
    content |= {"feature_fps": rates.pop()} if same else {}
    content |= {"subsets": dict(subsets)} if subsets else {}
    return content | dict(further) | {"provenance": dict(provenance), "database": database}


def _pack(partial: Path, videos: Sequence[WrittenVideo]) -> None:
    """All arrays in one archive, not compressed: features of a network hardly shrink."""
    with zipfile.ZipFile(partial / "features.npz", "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for number, video in enumerate(videos):
            archive.write(partial / f"{number:06d}.npy", f"{video.video_id}.npy")


def _check(partial: Path, digests: Mapping[str, str], shapes: Mapping[str, tuple[int, int]]) -> None:
    """Read everything back and compare."""
    annotations = read_annotations(partial / "annotations.json")
    problems = [f"{v}: its annotation was lost" for v in digests if v not in annotations.videos]
    with np.load(partial / "features.npz", allow_pickle=False) as archive:
        for video, digest in digests.items():
            array = archive[video]
            if array.shape != shapes[video] or hashlib.sha256(array.tobytes()).hexdigest() != digest:
                problems.append(f"{video}: its features read back differ from those that were written")
    raise_problems(partial, problems, "the disk may be faulty; nothing was left under the folder's name")


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
