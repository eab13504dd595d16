"""Writing files so that a reader, or a crash, never meets half of one."""

import errno
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = ".part"
"""Ending of a file that is being written."""
_ABANDONED_S = 24 * 3600.0
"""Seconds without a change after which an unfinished file has no writer, where the file system cannot say whether it has one."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its name only once it is complete and on disk; on any error the old content stays.

    Until then it is a hidden file beside ``path``, locked for as long as its writer lives. What writers of the same file that were
    killed left behind is removed.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the message names ``path``.
    """
    path = Path(path)
    temporary = None
    try:
        remove_abandoned(path.parent, f".{glob.escape(path.name)}.*{PART}")
        with _new_part(path) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no open file; elsewhere it is locked until it has its name
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{error.strerror}; nothing was changed", str(path)) from error
        raise


def check_writable(folder: str | Path) -> Path:
    """Make a folder if need be, and fail now rather than after hours of work if nothing can be written there.

    Unfinished files of writers that were killed are removed.

    Raises:
        OSError: it cannot be made or written; the message names it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        remove_abandoned(folder)
    except OSError as error:
        raise OSError(error.errno, f"cannot write results there ({error.strerror})", str(folder)) from error
    return folder


def check_replaceable(path: str | Path) -> None:
    """Fail now rather than after hours of work if a file cannot be written whole in the place of ``path``.

    Raises:
        OSError: its folder cannot be made or written, or a folder has its name; the message names it.
    """
    path = Path(path)
    check_writable(path.parent)
    if path.exists() and not path.is_file():
        raise IsADirectoryError(errno.EISDIR, "cannot write results there (no file, but something else, has this name)", str(path))


def remove_abandoned(folder: Path, pattern: str = f".*{PART}") -> None:
    """Remove unfinished files whose writers are dead; those of live writers, on any machine, stay."""
    for part in folder.glob(pattern):
        try:
            if not part.is_file():
                continue
            if fcntl is None:
                free = None
            else:
                with part.open("r+b") as file:
                    free = _take(file)
                    if free:
                        part.unlink()  # while it is locked, so that a writer that has just made it notices
            if free is None and time.time() - part.stat().st_mtime > _ABANDONED_S:
                part.unlink()
        except OSError:  # it has been renamed or removed by now, or belongs to somebody else
            continue


def _new_part(path: Path) -> IO[bytes]:
    """A file to write to, locked; one that was taken for abandoned before it could be locked is made again."""
    while True:
        file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=PART, delete=False)  # noqa: SIM115
        if fcntl is None or (_take(file) is not False and os.fstat(file.fileno()).st_nlink):
            return file
        file.close()


def _take(file: IO[bytes]) -> bool | None:
    """Lock an open file; False: somebody else has it locked; None: the file system knows no locks."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
