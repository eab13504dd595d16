"""Progress bars, in a terminal and in a notebook, for what takes more than a few seconds."""

import io
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TextIO

from tqdm import tqdm as plain_tqdm
from tqdm.auto import tqdm

DISABLE_VARIABLE = "TQDM_DISABLE"
_SERVER_VARIABLE = "JPY_SESSION_NAME"  # set by Jupyter's server in the kernels of the notebooks that it shows


def progress_bar(over: Iterable[Any] | int, what: str, unit: str, show: bool = True) -> "plain_tqdm[Any]":
    """A bar over an iterable, or over a number of steps that are counted by ``update()``.

    It appears after two seconds, so that quick work shows none; the environment variable TQDM_DISABLE hides it. In a notebook that
    papermill runs it is drawn in papermill's terminal, since nobody sees the notebook yet.
    """
    steps: dict[str, Any] = {"total": over} if isinstance(over, int) else {"iterable": over}
    hidden = not show or os.environ.get(DISABLE_VARIABLE, "0") not in ("", "0")  # tqdm itself ignores the variable in a notebook
    options: dict[str, Any] = {"desc": what, "unit": unit, "leave": False, "delay": 2, "disable": hidden, **steps}
    terminal = None if hidden else terminal_behind_kernel()
    if terminal is not None:
        return plain_tqdm(file=terminal, dynamic_ncols=True, **options)
    return tqdm(**options)


@lru_cache(maxsize=1)
def terminal_behind_kernel() -> TextIO | None:
    """The terminal of the program that started this kernel, if no server shows its notebook; None outside of a kernel.

    A kernel reads its own standard error into the notebook, and keeps the one that it was started with.
    """
    if "ipykernel" not in sys.modules or _SERVER_VARIABLE in os.environ:
        return None
    inherited = getattr(sys.stderr, "_original_stdstream_copy", None)
    if not isinstance(inherited, int) or not os.isatty(inherited):
        return None
    return io.TextIOWrapper(io.FileIO(inherited, "w", closefd=False), encoding="utf-8", write_through=True)
