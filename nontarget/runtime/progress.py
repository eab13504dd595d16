"""Progress bars, in a terminal and in a notebook, for what takes more than a few seconds."""

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm

DISABLE_VARIABLE = "TQDM_DISABLE"


def progress_bar(over: Iterable[Any] | int, what: str, unit: str, show: bool = True) -> "tqdm[Any]":
    """A bar over an iterable, or over a number of steps that are counted by ``update()``.

    It appears after two seconds, so that quick work shows none; the environment variable TQDM_DISABLE hides it.
    """
    steps: dict[str, Any] = {"total": over} if isinstance(over, int) else {"iterable": over}
    hidden = not show or os.environ.get(DISABLE_VARIABLE, "0") not in ("", "0")  # tqdm itself ignores the variable in a notebook
    return tqdm(desc=what, unit=unit, leave=False, delay=2, disable=hidden, **steps)
