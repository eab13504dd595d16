"""The one reader for csv tables that this library wrote."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nontarget.runtime.readers.files import DataError, foreign_errors, quoted, shortened


def parse_csv(
    text: str, path: Path, needed: Sequence[str] = (), ranges: Mapping[str, tuple[float, float]] | None = None, **options: Any
) -> pd.DataFrame:
    """A table from the text of a csv file.

    Args:
        text: of the file; :func:`nontarget.runtime.readers.read_text` reads it within bounds.
        path: of the file, for messages.
        needed: columns that must be there.
        ranges: column -> lowest and highest number that it may hold; such a column has a number in every row.
        options: of :func:`pandas.read_csv`.

    Raises:
        DataError: it is no such table, lacks a column, or a cell is not what it may be; the message names the column and the value.
    """
    with foreign_errors(path, "not a readable csv table"):
        table = pd.read_csv(io.StringIO(text), **options)
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise DataError(f"{path}: lacks the column(s) {missing}; it has {shortened(list(table.columns))}")
    for column, (low, high) in (ranges or {}).items():
        with foreign_errors(f"{path}: {column}", "must hold numbers"):
            numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = ~((numbers >= low) & (numbers <= high))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = quoted(table[column].iloc[row], 60)
            raise DataError(f"{path}, row {row + 1}: {column} must be a number in [{low:g}, {high:g}], got {value}")
    return table
