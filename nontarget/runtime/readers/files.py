"""What all readers share: the error, which files are opened at all, which names are safe, and how much is read."""

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

MIB = 2**20
TEXT_LIMIT = 64 * MIB
"""Bytes of a text file (JSON, csv, THUMOS14's lists) that are read unless the caller allows more: ten times ActivityNet's annotations."""

_KINDS = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class DataError(ValueError):
    """Something is wrong with a file of the user; the message names the file, the value and what would be accepted."""


@contextmanager
def foreign_errors(place: object, problem: str) -> Iterator[None]:
    """Turn whatever a parser raises on foreign bytes into a DataError that names the place; a missing file stays FileNotFoundError.

    Args:
        place: file, and where in it.
        problem: what is wrong, where the parser fails; its own message follows.
    """
    try:
        yield
    except (DataError, FileNotFoundError):
        raise
    except Exception as error:
        raise DataError(f"{place}: {problem} ({type(error).__name__}: {shortened(error)})") from None


def shortened(value: object, length: int = 200) -> str:
    """The text of a value on one line, no longer than ``length``, in characters that can be printed anywhere."""
    text = str(value)[: length + 1].encode("utf-8", "backslashreplace").decode().replace("\n", " ")
    return text if len(text) <= length else f"{text[: length - 3]}..."


def quoted(value: object, length: int = 200) -> str:
    """How a value is written in Python, no longer than ``length``: for messages."""
    return shortened(repr(value), length)


def check_name(place: object, name: object) -> None:
    """Refuse an id that could lead out of its folder or archive when it becomes part of a file name.

    Raises:
        DataError: it is no text, empty, or holds ``/``, ``\\``, ``..`` or a control character.
    """
    if not isinstance(name, str) or not name or any(part in name for part in ("/", "\\", "..")) or any(ord(c) < 32 for c in name):
        text = quoted(name)
        raise DataError(f"{place}: an id must be a name without '/', '\\', '..' and control characters, got {text}")


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a file of a folder that is a link to somewhere else; the folder itself may be a link.

    Raises:
        DataError: it leads out of the folder, or in a circle.
    """
    with foreign_errors(path, "where it leads cannot be told"):
        target, home = path.resolve(), folder.resolve()
    if not target.is_relative_to(home):
        raise DataError(f"{path}: is a link to {target}, which lies outside of its folder; put the file itself there")


def open_file(path: str | PathLike[str], inside: Path | None = None) -> BinaryIO:
    """Open a regular file to read its bytes. Anything else is refused before it is opened: a FIFO would block.

    Args:
        path: of the file.
        inside: the folder that the file must lie in, also where it is a link.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no regular file, leads out of ``inside``, or the system does not let it be read.
    """
    path = Path(path)
    with foreign_errors(path, "cannot be read"):
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path)) from None
        kind = next((name for test, name in _KINDS.items() if test(status.st_mode)), None)
        if kind is not None:
            raise DataError(f"{path}: expected a file, got {kind}")
        if inside is not None:
            check_inside(path, inside)
        return path.open("rb")


def read_bytes(path: str | PathLike[str], limit: int = TEXT_LIMIT, inside: Path | None = None) -> bytes:
    """All bytes of a regular file that is no larger than ``limit``. Errors as for :func:`open_file`."""
    with open_file(path, inside) as file, foreign_errors(path, "cannot be read"):
        data = file.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"{path}: larger than {limit / MIB:.0f} MiB, which is more than a file of this kind may have")
    return data


def decoded(data: bytes, place: object) -> str:
    """UTF-8 text, with or without a byte order mark.

    Raises:
        DataError: it has another encoding; the message says at which byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "; it looks like the UTF-16 of Windows" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise DataError(f"{place}: expected text in UTF-8, got another encoding at byte {error.start} ({error.reason}){hint}") from None


def read_text(path: str | PathLike[str], limit: int = TEXT_LIMIT, inside: Path | None = None) -> str:
    """The text of a file: :func:`read_bytes`, then :func:`decoded`."""
    return decoded(read_bytes(path, limit, inside), path)


def position(text: str, offset: int) -> str:
    """Line and column of an offset, as people count them."""
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - text.rfind(chr(10), 0, offset)}"
