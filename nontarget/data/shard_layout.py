"""Which features go to which shard, and where: nothing but their shapes decides, so that an interrupted conversion finds them again."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nontarget.data.shards import DTYPES, FORMAT


@dataclass(frozen=True)
class NewShard:
    """A shard that is to be written."""

    name: str
    header: bytes
    """In the format of safetensors."""
    starts: dict[int, int]
    """Where the numbers of each of its videos begin, by number of the video among all."""
    size: int
    """Of the file, in bytes."""


def shard_layout(videos: Sequence[tuple[str, tuple[int, int]]], dtype: str, shard_bytes: int) -> list[NewShard]:
    """The shards of videos, given as id and shape [T, D], in order; ``shard_bytes`` is the most that the numbers of one have."""
    sizes = [np.dtype(dtype).itemsize * math.prod(shape) for _, shape in videos]
    groups: list[list[int]] = [[]]
    room = shard_bytes
    for number, size in enumerate(sizes):
        if groups[-1] and size > room:
            groups.append([])
            room = shard_bytes
        groups[-1].append(number)
        room -= size
    shards = []
    for index, group in enumerate(groups):
        described: dict[str, Any] = {"__metadata__": {"format": FORMAT}}
        offsets, end = {}, 0
        for number in group:
            (video, shape), offsets[number] = videos[number], end
            end += sizes[number]
            described[video] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [offsets[number], end]}
        text = json.dumps(described, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # safetensors aligns the numbers to 8 bytes
        header = len(text).to_bytes(8, "little") + text
        starts = {number: len(header) + offset for number, offset in offsets.items()}
        shards.append(NewShard(f"features-{index:05d}-of-{len(groups):05d}.safetensors", header, starts, len(header) + end))
    return shards
