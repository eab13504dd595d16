"""What a number was computed with: code version, libraries, device, time."""

import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]


def _peak_memory_mib() -> int | None:
    """Of this process, since it began; None where the system does not say."""
    return None if resource is None else round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def commit_and_date() -> dict[str, str]:
    """The code version, and today's date in UTC."""
    return {"commit": code_version(), "date": datetime.now(UTC).strftime("%Y-%m-%d")}


def provenance(device: torch.device, threads: int) -> dict[str, Any]:
    """Code version, library versions, device, date and peak memory of this process."""
    gpu = device.type == "cuda"
    made = commit_and_date()
    return {
        "commit": made["commit"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if gpu else f"{device.type}: {_processor()}, {threads} thread(s)",
        "date": made["date"],
        "peak_memory_mib": _peak_memory_mib(),
        "peak_device_memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20) if gpu else None,
    }


def run_provenance(device: torch.device, threads: int, trained_by: Iterable[str], seconds: Mapping[str, float]) -> dict[str, Any]:
    """:func:`provenance` and the time of each part; where another code version trained the weights, that version is named too."""
    about = provenance(device, threads)
    versions = {*trained_by, about["commit"]}
    return about | {"commit": "+".join(sorted(versions)), "seconds": {name: round(s, 2) for name, s in seconds.items()}}


@lru_cache
def code_version() -> str:
    """Git commit of the checkout that the package lies in, with ``-dirty`` if its code was changed; else the installed version.

    ``unknown`` in a checkout of which git says nothing: it is not installed, or refuses a folder of another owner (safe.directory).
    """
    package = Path(__file__).resolve().parents[1]
    if (package.parent / ".git").exists():
        try:
            commit = _git(package, "rev-parse", "--short=12", "HEAD")
            return commit + ("-dirty" if _git(package, "status", "--porcelain", "--", ".") else "")
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
    try:
        return version("nontarget")
    except PackageNotFoundError:
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True).stdout.strip()


@lru_cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
