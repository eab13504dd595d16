"""Features of a folder in safetensors shards: an index says which video is where, and features are read when they are asked for.

What is checked when: on opening, the index, the name and size of every shard, and the shape of every video; when a shard is first looked
at, its header; when a video is first looked at in a process, the SHA-256 of its features, and that they are finite. ``verify`` does
all that for every video at once. So nothing is used unchecked, and opening reads no features.
"""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nontarget.data.annotations import raise_problems
from nontarget.data.feature_checks import check_numbers, converted
from nontarget.data.videos import StoredFeatures, mean_of_steps
from nontarget.runtime.readers import DataError, MappedTensors, check_name, open_file, quoted, read_json

INDEX = "features.index.json"
FORMAT = "nontarget features 1"
DTYPES = {"float16": "F16", "float32": "F32"}
"""Types of stored features, as numpy and as safetensors name them."""
SHARD = re.compile(r"features-\d{5,}-of-\d{5,}\.safetensors")
_DIGEST = re.compile("[0-9a-f]{64}")
_CHANGED = "an interrupted download, or a changed file"


@dataclass(frozen=True)
class Entry:
    """One video of the index."""

    shape: tuple[int, int]
    shard: str
    sha256: str
    """Of its numbers as they are stored."""


class Shards:
    """The features of a folder by video. A process that gets it from another opens the folder anew."""

    def __init__(self, folder: Path) -> None:
        """Read the index of a folder.

        Raises:
            FileNotFoundError: there is no index.
            DataError: it is not as it should be, or a shard is missing or of another size; the message lists all such places.
        """
        self.folder, self.path = folder, folder / INDEX
        content = read_json(self.path, inside=folder)
        if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("dtype") not in list(DTYPES):
            raise DataError(f"{self.path}: expected an object with 'format': {FORMAT!r} and 'dtype', which is {' or '.join(DTYPES)}")
        sizes, videos = content.get("shards"), content.get("videos")
        if not (isinstance(sizes, dict) and isinstance(videos, dict)):
            raise DataError(f"{self.path}: 'shards' must be the bytes of each shard by name, and 'videos' an object by video")
        raise_problems(self.path, _shard_problems(folder, sizes))
        raise_problems(self.path, _video_problems(self.path, videos, sizes))
        self.dtype: str = content["dtype"]
        self.sizes: dict[str, int] = sizes
        self.videos = {v: Entry((e["shape"][0], e["shape"][1]), e["shard"], e["sha256"]) for v, e in videos.items()}
        self._opened: dict[str, MappedTensors] = {}
        self._checked: set[str] = set()

    def __reduce__(self) -> tuple[type["Shards"], tuple[Path]]:
        return Shards, (self.folder,)

    def read(self, video: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Rows of a video's features, in memory of their own.

        Raises:
            DataError: a shard is not what the index says, the features are not those that were written, or are not finite.
        """
        tensors = self._tensors(self.videos[video].shard)
        view = tensors.view(video)
        if video not in self._checked:
            self._check(video, view)
        rows: NDArray[np.float32] = converted(view[start:stop], np.float32)
        tensors.release(video)
        return rows

    def verify(self, videos: Iterable[str] | None = None) -> None:
        """Read everything, or some videos, and compare it with the index; DataError lists all videos that are not what was written."""
        problems = []
        for video in self.videos if videos is None else videos:
            try:
                self._checked.discard(video)
                self.read(video, 0, 0)
            except DataError as error:
                problems.append(str(error))
        raise_problems(self.path, problems)

    def _check(self, video: str, view: NDArray[np.floating[Any]]) -> None:
        place = f"{self.folder / self.videos[video].shard}: {video}"
        if hashlib.sha256(view.data).hexdigest() != self.videos[video].sha256:
            raise DataError(f"{place}: its features are not those of which {INDEX} has the SHA-256: {_CHANGED}")
        try:
            check_numbers(view)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        self._checked.add(video)

    def _tensors(self, shard: str) -> MappedTensors:
        """A shard, mapped when it is first looked at; its header says what the index says."""
        if shard not in self._opened:
            tensors = MappedTensors(self.folder / shard, inside=self.folder)
            problems = []
            for video, entry in self.videos.items():
                if entry.shard == shard:
                    header = tensors.headers.get(video)
                    actual = header and (header.dtype, header.shape)
                    expected = (DTYPES[self.dtype], entry.shape)
                    problems += [] if actual == expected else [f"{video}: {INDEX} says {expected}, the shard has {actual}"]
            raise_problems(self.folder / shard, problems, _CHANGED)
            self._opened[shard] = tensors
        return self._opened[shard]


@dataclass(frozen=True)
class ShardFeatures(StoredFeatures):
    """Features of one video in the shards of a folder."""

    shards: Shards
    video: str
    pool: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        steps, dim = self.shards.videos[self.video].shape
        return -(-steps // self.pool), dim

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        last = None if stop is None else stop * self.pool
        return mean_of_steps(self.shards.read(self.video, start * self.pool, last), self.pool)

    def pooled(self, pool: int) -> "ShardFeatures":
        if self.pool != 1:
            raise ValueError(f"{self.video}: is averaged over {self.pool} steps already")
        return ShardFeatures(self.shards, self.video, pool)


def _shard_problems(folder: Path, sizes: dict[str, Any]) -> list[str]:
    problems = []
    for name, size in sizes.items():
        if not SHARD.fullmatch(name):
            problems.append(f"{quoted(name)}: a shard must be called features-00000-of-00001.safetensors, or likewise")
            continue
        try:
            with open_file(folder / name, inside=folder) as file:
                num_bytes = file.seek(0, 2)
        except FileNotFoundError:
            problems.append(f"{name}: is missing")
            continue
        if num_bytes != size:
            problems.append(f"{name}: has {num_bytes} bytes, {INDEX} says {quoted(size)}: {_CHANGED}")
    return problems


def _video_problems(path: Path, videos: dict[str, Any], sizes: dict[str, Any]) -> list[str]:
    problems = []
    for video, entry in videos.items():
        check_name(path, video)
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int and n > 0 for n in shape)):
            problems.append(f"{video}: features must be [T, D], got shape {quoted(shape)}")
        elif not isinstance(entry.get("shard"), str) or entry["shard"] not in sizes:
            problems.append(f"{video}: shard must be one of 'shards', got {quoted(entry.get('shard'))}")
        elif 2 * math.prod(shape) > sizes[entry["shard"]]:
            problems.append(f"{video}: shape {quoted(shape)} is more than {entry['shard']} can hold")
        elif not (isinstance(entry.get("sha256"), str) and _DIGEST.fullmatch(entry["sha256"])):
            problems.append(f"{video}: sha256 must be 64 hexadecimal digits, got {quoted(entry.get('sha256'))}")
    return problems
