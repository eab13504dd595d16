"""Pools of worker processes that end with their parent, whatever ends it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context

from tqdm.auto import tqdm

from nontarget.runtime.progress import DISABLE_VARIABLE


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose workers are started afresh (a fork of a process with threads can hang), and show no bars.

    After an error in the block nothing more is begun. An interrupt ends the workers and what they started at once; so does the end of
    this process, be it by SIGKILL. Whatever they wrote by then is whole (:func:`nontarget.runtime.files.atomic_write`).
    """
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, get_context("spawn"), _prepare) as pool:
        try:
            yield pool
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):
                for worker in set(multiprocessing.active_children()) - before:
                    end_with_children(worker.pid)
            raise


def end_with_children(pid: int | None) -> None:
    """Kill what a process has started, such as the kernel of a notebook, and the process itself (this one may be meant)."""
    import psutil  # needs Unix modules of its own, and is needed only here

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for child in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                child.kill()


def _prepare() -> None:
    """The bar is the parent's, and so is Ctrl-C, which a terminal sends to the workers as well."""
    os.environ[DISABLE_VARIABLE] = "1"
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed worker would leave behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the parent, which the operating system tells by closing a pipe, and follow it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        end_with_children(os.getpid())
