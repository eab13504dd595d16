"""Digests of content: what was changed after it was written, by a person, a program or a disk, is noticed and never served."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from nontarget.runtime.files import atomic_write
from nontarget.runtime.readers import read_json

T = TypeVar("T")

DIGEST = "digest"
"""Key, column or metadata entry that holds the digest of all else."""
REMEDY = "`python scripts/add_digests.py` gives files of earlier versions their digests"


def digest_of(*parts: str | bytes) -> str:
    """SHA-256 over the parts and their lengths: ("a", "bc") and ("ab", "c") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_digest(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of JSON values together with the digest of all that it holds.

    Raises:
        ValueError: a number is not finite.
    """
    content = {name: value for name, value in record.items() if name != DIGEST}
    return {**content, DIGEST: digest_of(_canonical(content))}


def without_digest(record: Any) -> dict[str, Any]:
    """What :func:`with_digest` was given.

    Raises:
        ValueError: it is no such record, or another than the one whose digest it carries.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    if DIGEST not in record:
        raise ValueError(f"it has no {DIGEST!r}; {REMEDY}")
    content = {name: value for name, value in record.items() if name != DIGEST}
    if record[DIGEST] != digest_of(_canonical(content)):
        raise ValueError("its content is not that of its digest: it was changed after it was written")
    return content


def tensors_digest(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    """Digest of named tensors (names, types, shapes and every bit) and of the text that is saved with them, a digest left out."""
    parts: list[str | bytes] = [_canonical({name: text for name, text in about.items() if name != DIGEST})]
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        parts += [name, f"{tensor.dtype} {tuple(tensor.shape)}", tensor.reshape(-1).view(torch.uint8).numpy().tobytes()]
    return digest_of(*parts)


def check_tensors(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Compare tensors with the digest in the text that was saved with them.

    Raises:
        ValueError: there is no digest, or another.
    """
    if DIGEST not in about:
        raise ValueError(f"it has no {DIGEST!r}; {REMEDY}")
    if about[DIGEST] != tensors_digest(tensors, about):
        raise ValueError("its content is not that of its digest: it was changed after it was written")


def intact(path: Path, read: Callable[[Path], T]) -> T | None:
    """What a file holds; None if there is no such file, or it is not what was written and has been set aside.

    Args:
        path: of the file.
        read: returns the content, or raises ValueError, KeyError or TypeError where it is not what was written.
    """
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        set_aside(path, error)
        return None


def set_aside(path: Path, reason: object) -> None:
    """Give a file that must not be used another name, and warn of it; nothing is deleted.

    Where the folder cannot be written, the file keeps its name and is left unused all the same.
    """
    aside = name_aside(path)
    try:
        os.rename(path, aside)
        where = f"it is kept as {aside.name}"
    except FileNotFoundError:
        where = "another process has set it aside"
    except OSError as error:
        where = f"it could not be renamed ({error.strerror})"
    warnings.warn(f"{path}: not used, and computed again where it is needed: {reason}; {where}", stacklevel=4)


def name_aside(path: Path) -> Path:
    """A free name beside a file, for what must not be used and is kept."""
    number = 1
    while (aside := path.with_name(f"{path.name}.set-aside-{number}")).exists():
        number += 1
    return aside


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON with its digest: whole, or on an error (OSError, or ValueError for a number that is not finite) not at all."""
    text = json.dumps(with_digest(record), indent=1, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text.encode())


def read_record(path: Path, inside: Path | None = None) -> dict[str, Any]:
    """Read what :func:`write_record` wrote.

    Raises:
        ValueError: it is no record, see :func:`nontarget.runtime.readers.read_json` and :func:`without_digest`.
    """
    return without_digest(read_json(path, inside=inside))


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
