"""Readers of files that anybody may have made: each raises :class:`DataError` alone, and takes memory and time within stated bounds.

One reader for each format: JSON, npz, safetensors and csv. What a parser raises, and what the system says of a file, becomes a DataError
that names the file and the place. A file that is not there stays a FileNotFoundError.
"""

from nontarget.runtime.readers.files import (
    DataError,
    check_inside,
    check_name,
    foreign_errors,
    open_file,
    quoted,
    read_bytes,
    read_text,
    shortened,
)
from nontarget.runtime.readers.json_files import parse_json, read_json
from nontarget.runtime.readers.npz import ArrayHeader, NpzArchive, open_npz
from nontarget.runtime.readers.tables import parse_csv
from nontarget.runtime.readers.tensors import MappedTensors, TensorHeader, read_tensors

__all__ = [
    "ArrayHeader",
    "DataError",
    "MappedTensors",
    "NpzArchive",
    "TensorHeader",
    "check_inside",
    "check_name",
    "foreign_errors",
    "open_file",
    "open_npz",
    "parse_csv",
    "parse_json",
    "quoted",
    "read_bytes",
    "read_json",
    "read_tensors",
    "read_text",
    "shortened",
]
