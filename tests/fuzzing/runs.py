"""Runs the readers on mutated inputs, within limits of time and memory, and counts what comes."""

import contextlib
import shutil
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import nontarget
from fuzzing.mutations import become_another_kind

try:
    import resource
except ImportError:  # not on Unix: there is no limit of memory
    resource = None

PACKAGE = Path(nontarget.__file__).parent
SECONDS = 5.0
MEMORY = 2**30
OTHER_KIND = 0.03
"""Share of inputs in which a file becomes something that is none."""


class TooSlow(BaseException):
    """An input took longer than its time."""


@dataclass
class Counts:
    """What came of the inputs of one reader."""

    reader: str
    inputs: int = 0
    own: int = 0
    accepted: int = 0
    foreign: Counter = field(default_factory=Counter)
    unnamed: int = 0
    slow: int = 0
    examples: dict = field(default_factory=dict)

    def row(self):
        kinds = ", ".join(f"{n} {name}" for name, n in self.foreign.most_common(6))
        foreign = sum(self.foreign.values())
        numbers = f"{self.inputs:8}{self.own:8}{self.accepted:10}{foreign:9}{self.unnamed:10}{self.slow:6}"
        return f"{self.reader:24}{numbers}  {kinds}"


HEADER = f"{'reader':24}{'inputs':>8}{'own':>8}{'accepted':>10}{'foreign':>9}{'unnamed':>10}{'slow':>6}  kinds of foreign errors"


def run(subject, count, seed=0):
    """Mutate the input of a reader ``count`` times, always the same for a seed."""
    counts = Counts(subject.name)
    with tempfile.TemporaryDirectory() as root, _limited_memory():
        folder = Path(root) / "files"
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            named = []
            if subject.arguments is not None and (not subject.files or rng.random() < 0.5):
                call = subject.arguments(rng)
            else:
                named = _write(subject, folder, rng)
                call = lambda: subject.read(folder)  # noqa: E731
            _count(counts, subject, number, call, named)
    return counts


def _write(subject, folder, rng):
    """The files of a reader, one of them mutated; returns what an error has to name one of."""
    shutil.rmtree(folder, ignore_errors=True)
    names = list(subject.files)
    chosen = names[int(rng.integers(len(names)))]
    for name, data in subject.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == chosen and rng.random() < OTHER_KIND:
            become_another_kind(path, rng)
        else:
            path.write_bytes(subject.mutate[name](data, rng) if name == chosen else data)
    return [Path(name).name for name in names]


def _count(counts, subject, number, call, named):
    from nontarget.data import DataError

    counts.inputs += 1
    message = None
    try:
        with warnings.catch_warnings(record=True) as caught, _limited_time():
            warnings.simplefilter("always")
            call()
        set_aside = [str(w.message) for w in caught if "computed again" in str(w.message)]
        if not set_aside:
            counts.accepted += 1
            return
        message = set_aside[0]
    except TooSlow:
        counts.slow += 1
        counts.examples.setdefault("slow", (number,))
        return
    except Exception as error:
        raised_here = PACKAGE in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parents
        missing = isinstance(error, FileNotFoundError) and raised_here
        if not (isinstance(error, DataError) or missing or (isinstance(error, subject.own) and raised_here)):
            counts.foreign[type(error).__name__] += 1
            counts.examples.setdefault(type(error).__name__, (number, str(error)[:200], traceback.format_exc()[-900:]))
            return
        message = str(error)
    counts.own += 1
    if named and not any(name in message for name in named):
        counts.unnamed += 1
        counts.examples.setdefault("unnamed", (number, message[:200], ""))


@contextlib.contextmanager
def _limited_time():
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number, frame):
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _limited_memory():
    """Address space of this process, a gigabyte above what it has now."""
    if resource is None or not Path("/proc/self/statm").exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = now + MEMORY if hard == resource.RLIM_INFINITY else min(now + MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
