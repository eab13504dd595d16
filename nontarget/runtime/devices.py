"""Where tensors live and how many cores compute."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def resolve_device(name: str) -> torch.device:
    """The device that a name means; ``auto`` is the first CUDA device, or the CPU. MPS is left out: it has no float64 for times.

    Raises:
        ValueError: it is unknown or not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {name!r} (known: 'auto', 'cpu', 'cuda', 'cuda:1', ...)")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} cannot be used here ({str(error).splitlines()[0]}); try 'auto' or 'cpu'") from None


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Use this many CPU threads, and as many as before afterwards; ValueError if there is none."""
    if count < 1:
        raise ValueError(f"threads must be at least 1, got {count!r}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_count() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
