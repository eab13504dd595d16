"""The one reader for safetensors: its header is checked before anything that it describes takes memory."""

import math
import mmap
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from nontarget.runtime.readers.files import MIB, DataError, foreign_errors, open_file, quoted
from nontarget.runtime.readers.json_files import parse_json

LARGEST_HEADER = 16 * MIB
ITEM_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Types that weights may have, and bytes of one number."""
NUMPY_TYPES = {"F16": "<f2", "F32": "<f4"}
"""Types that can be mapped, and their names in numpy."""
_METADATA = "__metadata__"
_BROKEN = "not a readable safetensors file"


@dataclass(frozen=True)
class TensorHeader:
    """What a file says of one tensor."""

    dtype: str
    """As safetensors names it: F16, F32 and so on."""
    shape: tuple[int, ...]
    start: int
    """Offset of its first byte in the file."""


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, on the CPU, and the text in its header.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no such file or cut off, or its header is larger than 16 MiB, or a tensor has a type that weights do not have or
            a shape that does not fit its bytes. The message names the file and the tensor.
    """
    path = Path(path)
    with open_file(path) as file, foreign_errors(path, _BROKEN):
        _, about = _header(file, path)
    with foreign_errors(path, _BROKEN), safe_open(path, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in list(opened.keys())}, about


class MappedTensors:
    """A safetensors file in memory that the system reads, page by page, when a tensor is looked at.

    Once it is open, it must not be cut short: the system ends a process that looks at pages which are gone.
    """

    def __init__(self, path: str | PathLike[str], inside: Path | None = None) -> None:
        """Errors as for :func:`read_tensors`; nothing but the header is read.

        Args:
            path: of the file.
            inside: the folder that it must lie in, also where it is a link.
        """
        self.path = Path(path)
        with open_file(self.path, inside) as file, foreign_errors(self.path, _BROKEN):
            self.headers, self.about = _header(file, self.path)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def view(self, name: str) -> NDArray[np.floating[Any]]:
        """A tensor as a read-only array over the mapped file.

        Raises:
            DataError: there is no tensor of that name, or it is neither float16 nor float32.
        """
        header = self.headers.get(name)
        if header is None or header.dtype not in NUMPY_TYPES:
            got = "nothing" if header is None else header.dtype
            raise DataError(f"{self.path}: expected a tensor {quoted(name)} of type {' or '.join(NUMPY_TYPES)}, got {got}")
        count = math.prod(header.shape)
        flat = np.frombuffer(self._map, NUMPY_TYPES[header.dtype], count, header.start if count else 0)
        return flat.reshape(header.shape)

    def release(self, name: str) -> None:
        """Give the memory of a tensor back to the system; what looks at it again is read again, as a rule from the system's cache."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            header = self.headers[name]
            first = header.start - header.start % mmap.PAGESIZE
            length = header.start - first + math.prod(header.shape) * ITEM_SIZES[header.dtype]
            self._map.madvise(mmap.MADV_DONTNEED, first, length)


def _header(file: BinaryIO, path: Path) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    """The tensors of an open file, and its text; every tensor lies within the file."""
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LARGEST_HEADER):
        raise DataError(f"{path}: {_BROKEN} (its header says {length} bytes, and the file has {size} in all)")
    header = parse_json(file.read(length), f"{path}: header")
    if not isinstance(header, dict):
        raise DataError(f"{path}: {_BROKEN} (its header is no JSON object)")
    about = header.pop(_METADATA, {})
    if not (isinstance(about, dict) and all(isinstance(text, str) for text in about.values())):
        raise DataError(f"{path}: {_METADATA} must be texts by name, got {type(about).__name__}")
    for name, entry in header.items():
        _check_entry(f"{path}: {_BROKEN}: tensor {quoted(name)}", entry, size - 8 - length)
    tensors = {
        name: TensorHeader(entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0]) for name, entry in header.items()
    }
    return tensors, about


def _check_entry(place: str, entry: Any, available: int) -> None:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise DataError(f"{place}: expected dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise DataError(f"{place}: the type must be one of {', '.join(ITEM_SIZES)}, got {dtype!r}")
    if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1] <= available):
        raise DataError(f"{place}: shape {shape!r} and data_offsets {offsets!r} must be whole numbers within the file")
    if math.prod(shape) * ITEM_SIZES[dtype] != offsets[1] - offsets[0]:
        raise DataError(f"{place}: shape {shape} of type {dtype} does not fit its {offsets[1] - offsets[0]} bytes")


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)
