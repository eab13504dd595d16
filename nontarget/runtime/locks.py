"""One writer at a time for a file that several processes add to, on one machine or over a network file system."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

LOCK_TIMEOUT_S = 120.0
"""Seconds to wait for another writer: far more than a read and a write of a table take, little beside a run."""
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def locked(path: str | Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Keep other writers of ``path`` out while its content is read, changed and written.

    The lock is a hidden file beside ``path``. Where the file system knows locks (local disks, NFS with its lock service, SMB), the
    operating system holds it and frees it when its process ends, however that ends. Where it knows none, the file's existence is the
    lock: one that a dead process of this machine left is broken; one that another machine left has to be deleted by hand, which the
    error says.

    Raises:
        TimeoutError: another process held the lock all the time.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    lock = _acquired(path, timeout_s)
    try:
        yield
    finally:
        lock.release()


def _acquired(path: Path, timeout_s: float) -> BaseFileLock:
    lock: BaseFileLock = FileLock(path.with_name(f".{path.name}.lock"), timeout=timeout_s)
    try:
        try:
            lock.acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            lock = SoftFileLock(path.with_name(f".{path.name}.softlock"), timeout=timeout_s)
            lock.acquire()
    except Timeout:
        raise TimeoutError(
            errno.ETIMEDOUT,
            f"another process has been writing for {timeout_s:g} s; if there is none any more, on any machine, delete {lock.lock_file}",
            str(path),
        ) from None
    except OSError as error:
        raise OSError(error.errno, f"cannot be locked for writing ({error.strerror})", str(path)) from error
    return lock
