"""Files of SHA-256 digests, in the forms that the usual programs write."""

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from nontarget.runtime.readers import DataError, read_text

_GNU = re.compile(r"\\?(?P<digest>[0-9A-Fa-f]{64}) [ *](?P<file>.+)|\\?(?P<digest2>[0-9A-Fa-f]{64})\s+\*?(?P<file2>\S.*)")
_BSD = re.compile(r"SHA(2-)?256 ?\((?P<file>.+)\) ?= ?(?P<digest>[0-9A-Fa-f]{64})", re.IGNORECASE)


def read_checksums(path: Path) -> dict[str, str]:
    """File name -> digest in lower case, of a file such as ``sha256sum`` (GNU), ``shasum`` and ``sha256`` (BSD) write.

    Digests may be in capitals, names may have a folder before them (``./``, ``dir/``, ``dir\\``), which is left out, or stand in
    quotation marks, and the file may begin with a byte order mark.

    Raises:
        DataError: a line is not understood, a name has two digests, or the file is no text in UTF-8; the message names file and line.
    """
    text = read_text(path, inside=path.parent)
    digests: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _BSD.fullmatch(line.strip()) or _GNU.fullmatch(line.strip())
        if match is None:
            raise DataError(
                f"{path}, line {number}: expected 64 hexadecimal digits and a file, or 'SHA256 (file) = digits', got {line.strip()[:100]!r}"
            )
        groups = match.groupdict()
        file, digest = groups["file"] or groups["file2"], (groups["digest"] or groups["digest2"]).lower()
        name = file.strip().strip("\"'").replace("\\", "/").rpartition("/")[2]
        if digests.setdefault(name, digest) != digest:
            raise DataError(f"{path}, line {number}: {name!r} has another digest in an earlier line")
    return digests


def warn_of_unverified(path: Path, digests: Mapping[str, str], files: Iterable[str]) -> None:
    """Warn of files that a file of digests does not name."""
    if unverified := [name for name in files if name not in digests]:
        named = ", ".join(list(digests)[:5]) or "no file"
        warnings.warn(f"{path}: does not name {' and '.join(unverified)}, so that nothing verifies them; it names {named}", stacklevel=4)
