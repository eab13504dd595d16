"""Committed tables: csv files to which several processes add rows, each row with the digest of its content.

A row's digest covers the header, the row's own text and, where the table has a column ``key``, how many rows that key has: a cell that
was changed, and a row that was lost or doubled, are noticed. Rows of a key are used together or not at all.
"""

import csv
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nontarget.runtime.digests import DIGEST, REMEDY, digest_of, name_aside
from nontarget.runtime.files import atomic_write
from nontarget.runtime.readers import parse_csv, read_bytes

GROUP = "key"
_LENGTH = 16
_NAMED = 5


@dataclass(frozen=True)
class Lines:
    """The text of a table, sorted by whether it is what was written; a line does not hold its digest."""

    header: str
    intact: tuple[str, ...]
    damaged: tuple[tuple[int, str], ...]
    """Number and text of lines that must not be used, among them the intact ones of a key that has another damaged line."""
    unsigned: int
    """How many of the damaged lines have no digest at all: an earlier version wrote them."""


def read_table(path: Path, columns: Sequence[str], ranges: Mapping[str, tuple[float, float]] | None = None, **options: Any) -> pd.DataFrame:
    """The intact rows of a table; the others are named in a warning and left out.

    Args:
        path: of the csv file.
        columns: of the result; those that the file does not have are empty.
        ranges: column -> lowest and highest number that it may hold.
        options: of :func:`pandas.read_csv`.

    Raises:
        DataError: it cannot be read, is no table, lacks a column of ``ranges``, or has a number outside of them.
    """
    lines = table_lines(path)
    if lines.damaged:
        named = "; ".join(f"line {number}: {text[:160]}" for number, text in lines.damaged[:_NAMED])
        more = f"; and {len(lines.damaged) - _NAMED} more" if len(lines.damaged) > _NAMED else ""
        remedy = f" {lines.unsigned} of them have no digest; {REMEDY}." if lines.unsigned else ""
        warnings.warn(
            f"{path}: {len(lines.damaged)} row(s) are not what was written, and are not used until computed again.{remedy} {named}{more}",
            stacklevel=3,
        )
    if not lines.intact:
        return pd.DataFrame(columns=list(columns))
    frame = parse_csv("\n".join([lines.header, *lines.intact]), path, list(ranges or ()), ranges, **options)
    return frame.reindex(columns=list(columns))


def read_versioned_table(path: Path, columns: Sequence[str], version: str, command: str, source: str, **options: Any) -> pd.DataFrame:
    """A table that one command writes, each row with the version of the code behind it in the column ``version``.

    Args:
        path: of the csv file.
        columns: of the result.
        version: of this code.
        command: computes the table; ``source`` says from what.
        options: of :func:`read_table`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another version of the code wrote it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not here; `{command}` computes it from {source}")
    rows = read_table(path, columns, **options)
    if set(rows["version"]) != {version}:
        raise ValueError(f"{path}: rows of {sorted(set(rows['version']))}, this is {version!r}; `{command}` computes them anew")
    return rows


def write_table(path: Path, frame: pd.DataFrame, **options: Any) -> None:
    """Write a table whole, with digests. Damaged rows of the file that it replaces are kept beside it.

    The caller holds the lock of ``path`` (:func:`nontarget.runtime.locks.locked`) since it read the file.

    Args:
        path: of the csv file.
        frame: all rows that the table is to have.
        options: of ``DataFrame.to_csv``.

    Raises:
        ValueError: a cell holds a line break; or the file has rows without digests, which an earlier version wrote.
        OSError: it cannot be written; the message names it.
    """
    old = table_lines(path) if path.is_file() else None
    check_signed(path, old)
    header, *rows = frame.to_csv(index=False, lineterminator="\n", **options).removesuffix("\n").split("\n")
    if len(rows) != len(frame):
        raise ValueError(f"{path}: a cell of a committed table must not hold a line break")
    if old is not None and old.damaged:
        with atomic_write(name_aside(path)) as file:
            file.write(_encoded([old.header, *(text for _, text in old.damaged)]))
    with atomic_write(path) as file:
        file.write(_encoded(signed_lines(header, rows)))


def check_signed(path: Path, lines: Lines | None = None) -> None:
    """Refuse to write over a table with rows that have no digests: they may be good, and would be taken for damaged.

    Raises:
        ValueError: it has such rows.
    """
    lines = lines or (table_lines(path) if path.is_file() else None)
    if lines is not None and lines.unsigned:
        raise ValueError(f"{path}: {lines.unsigned} row(s) have no digest, and nothing was changed; {REMEDY}")


def signed_lines(header: str, rows: Sequence[str]) -> list[str]:
    """Header and rows with their digests as the last column."""
    sizes, keys = _group_sizes(header, rows)
    signed = [f"{row},{_digest(header, row, sizes[key])}" for row, key in zip(rows, keys, strict=True)]
    return [f"{header},{DIGEST}", *signed]


def table_lines(path: Path) -> Lines:
    """The lines of a table, by whether they are what was written. Bytes that are no UTF-8 make their line a damaged one."""
    header, parts = _parts(path)
    sizes, keys = _group_sizes(header, [row for row, _ in parts])
    right = [digest == _digest(header, row, sizes[key]) for (row, digest), key in zip(parts, keys, strict=True)]
    broken = {key for key, ok in zip(keys, right, strict=True) if key is not None and not ok}
    intact, damaged, unsigned = [], [], 0
    for number, ((row, digest), key, ok) in enumerate(zip(parts, keys, right, strict=True), start=2):
        if ok and key not in broken:
            intact.append(row)
        else:
            damaged.append((number, row))
            unsigned += not digest
    return Lines(header, tuple(intact), tuple(damaged), unsigned)


def unsigned_rows(path: Path, renew: bool = False) -> tuple[str, list[tuple[str, bool]], list[tuple[int, str]]]:
    """What the script that adds digests needs: the header, each row with whether it has a digest, and the rows whose digest is wrong.

    A digest counts the rows of its key, and rows without one may have been added to a key: a digest of the count without them is right.
    With ``renew`` no digest is wrong.
    """
    header, parts = _parts(path)
    signed = [(row, digest) for row, digest in parts if digest]
    sizes, keys = _group_sizes(header, [row for row, _ in signed])
    right = iter([digest == _digest(header, row, sizes[key]) for (row, digest), key in zip(signed, keys, strict=True)])
    wrong = [(n, row) for n, (row, digest) in enumerate(parts, start=2) if digest and not next(right) and not renew]
    return header, [(row, bool(digest)) for row, digest in parts], wrong


def _parts(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """Header, and each row with its digest, which is empty where it has none."""
    text = read_bytes(path, inside=path.parent).decode("utf-8-sig", "surrogateescape")
    header, *rows = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if header.rpartition(",")[2] != DIGEST:
        return header, [(row, "") for row in rows]
    header = header.rpartition(",")[0]
    width = len(_cells(header))  # a row that was appended without a digest has as many cells
    return header, [(row, "") if len(_cells(row)) == width else (row.rpartition(",")[0], row.rpartition(",")[2]) for row in rows]


def _group_sizes(header: str, rows: Sequence[str]) -> tuple[Counter[str | None], list[str | None]]:
    """How many rows each key has, and the key of each row; None, and 0 rows, where the table has no keys."""
    names = _cells(header)
    if GROUP not in names:
        return Counter(), [None] * len(rows)
    index = names.index(GROUP)
    keys = [cells[index] if len(cells := _cells(row)) > index else "" for row in rows]
    return Counter(keys), list(keys)


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _digest(header: str, row: str, rows_of_key: int) -> str:
    return digest_of(header, row, str(rows_of_key))[:_LENGTH]


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
