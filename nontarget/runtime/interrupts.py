"""Interrupts in one line: what is kept, and how to go on."""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt, SystemExit):
    """SIGINT or SIGTERM: ends a program without a traceback, with the exit code of that signal; caught as KeyboardInterrupt too."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.code = 128 + signum


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Within, SIGINT (Ctrl-C) and SIGTERM end the program with one line on the standard error, and exit code 130 or 143.

    Where they are handled already (by a caller that is interruptible too, by a framework, in a thread or a worker process), nothing is
    changed. In an interactive session Ctrl-C stays a KeyboardInterrupt, after the same line.

    Args:
        kept: what is kept, and how to go on.
    """
    interactive = hasattr(sys, "ps1")
    non_target = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    plain: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    handled = [s for s, handler in plain.items() if non_target and not interactive and signal.getsignal(s) is handler]
    for s in handled:
        signal.signal(s, _interrupt)
    try:
        yield
    except KeyboardInterrupt as error:
        message = f"interrupted: {kept}"
        if handled or (interactive and non_target and not getattr(error, "reported", False)):
            error.reported = True  # type: ignore[attr-defined]  # an outer one need not report it again
            print(message, file=sys.stderr, flush=True)
        raise
    finally:
        for s in handled:
            signal.signal(s, plain[s])


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Interrupted(signum)
