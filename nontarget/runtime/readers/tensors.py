"""The one reader for safetensors: its header is checked before anything that it describes takes memory."""

import math
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from nontarget.runtime.readers.files import MIB, DataError, foreign_errors, open_file, quoted
from nontarget.runtime.readers.json_files import parse_json

LARGEST_HEADER = 16 * MIB
ITEM_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Types that weights may have, and bytes of one number."""
_METADATA = "__metadata__"


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, on the CPU, and the text in its header.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no such file or cut off, or its header is larger than 16 MiB, or a tensor has a type that weights do not have or
            a shape that does not fit its bytes. The message names the file and the tensor.
    """
    path = Path(path)
    with open_file(path) as file, foreign_errors(path, "not a readable safetensors file"):
        size = file.seek(0, 2)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LARGEST_HEADER):
            raise DataError(f"{path}: not a readable safetensors file (its header says {length} bytes, and the file has {size} in all)")
        header = parse_json(file.read(length), f"{path}: header")
    if not isinstance(header, dict):
        raise DataError(f"{path}: not a readable safetensors file (its header is no JSON object)")
    about = header.pop(_METADATA, {})
    if not (isinstance(about, dict) and all(isinstance(text, str) for text in about.values())):
        raise DataError(f"{path}: {_METADATA} must be texts by name, got {type(about).__name__}")
    for name, entry in header.items():
        _check_entry(f"{path}: not a readable safetensors file: tensor {quoted(name)}", entry, size - 8 - length)
    with foreign_errors(path, "not a readable safetensors file"), safe_open(path, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in list(opened.keys())}, about


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
