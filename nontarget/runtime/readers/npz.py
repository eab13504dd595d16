"""The one reader for npz archives: headers first, then the arrays that the caller has found to be as they should be."""

import io
import math
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nontarget.runtime.readers.files import MIB, DataError, check_name, foreign_errors, open_file

LARGEST_HEADER = 10_000
"""Bytes of an array's header, as in numpy."""
UNPACKED = 64 * MIB
GROWTH = 100
"""Arrays may unpack to :data:`UNPACKED` bytes, or to this many times what they take in the archive. Features shrink 1.1 to 3 times."""
_SUFFIX = ".npy"
_BROKEN = "not a readable npz archive, perhaps an interrupted download"


@dataclass(frozen=True)
class ArrayHeader:
    """What an array says of itself before its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    length: int
    """Bytes of the header."""

    @property
    def num_bytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzArchive:
    """An open archive of arrays by id. Errors of all methods are DataErrors that name the file and the id."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        counts = Counter(info.filename.removesuffix(_SUFFIX) for info in archive.infolist())
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise DataError(f"{path}: the id(s) {twice[:10]} are in the archive more than once")
        for info in archive.infolist():
            name = info.filename.removesuffix(_SUFFIX)
            check_name(path, name)
            self._members[name] = info
        self._left = max(UNPACKED, GROWTH * sum(info.compress_size for info in archive.infolist()))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def header(self, name: str) -> ArrayHeader:
        """Shape and type of an array, without its numbers. Arrays of objects, which are pickles, are refused."""
        info, place = self._members[name], f"{self.path}: {name}"
        self._check_member(info, place)
        with foreign_errors(place, "not an array in numpy's format"), self._archive.open(info) as file:
            return self._header(file, info, place)

    def array(self, name: str) -> NDArray[Any]:
        """An array; what it takes is in its header, see :meth:`header`."""
        info, place = self._members[name], f"{self.path}: {name}"
        header = self.header(name)
        self._left -= header.num_bytes
        if self._left < 0:
            raise DataError(
                f"{place}: the arrays unpack to more than {GROWTH} times what they take in the archive, which no features do: "
                f"this one has shape {header.shape} and type {header.dtype}"
            )
        with foreign_errors(place, "cannot be unpacked"), self._archive.open(info) as file:
            file.read(header.length)
            data = file.read(header.num_bytes)
            if len(data) != header.num_bytes or file.read(1):  # reading on to the end also verifies the checksum
                raise DataError(f"{place}: its header says {header.num_bytes} bytes of numbers, and it has others")
            flat = np.frombuffer(data, dtype=header.dtype)
            return flat.reshape(header.shape, order="F" if header.fortran_order else "C")

    def _header(self, file: IO[bytes], info: zipfile.ZipInfo, place: str) -> ArrayHeader:
        start = file.read(8)
        if start[:6] != np.lib.format.MAGIC_PREFIX or start[6:] not in (b"\x01\x00", b"\x02\x00"):
            raise DataError(f"{place}: not an array in numpy's format")
        sized = file.read(2 if start[6] == 1 else 4)
        size = int.from_bytes(sized, "little")
        if size > LARGEST_HEADER:
            raise DataError(f"{place}: its header has {size} bytes, at most {LARGEST_HEADER} are read")
        text = io.BytesIO(sized + file.read(size))
        read = np.lib.format.read_array_header_1_0 if start[6] == 1 else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(text, max_header_size=LARGEST_HEADER)
        if dtype.hasobject:
            raise DataError(f"{place}: Object arrays cannot be loaded, since they are pickles, which can run code")
        if dtype.names is not None or dtype.subdtype is not None or dtype.itemsize == 0 or any(n < 0 for n in shape):
            raise DataError(f"{place}: expected plain numbers, got shape {shape} of type {dtype}")
        header = ArrayHeader(shape, dtype, fortran_order, len(start) + len(sized) + size)
        if header.length + header.num_bytes != info.file_size:
            raise DataError(
                f"{place}: shape {shape} of type {dtype} takes {header.num_bytes} bytes, and the archive holds "
                f"{info.file_size - header.length}"
            )
        return header

    def _check_member(self, info: zipfile.ZipInfo, place: str) -> None:
        if info.flag_bits & 0x1:
            raise DataError(f"{place}: is encrypted; save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{place}: is packed by method {info.compress_type}; numpy stores (0) or deflates (8)")
        if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"{place}: is a folder or a link, not an array")


@contextmanager
def open_npz(path: str | PathLike[str], inside: Path | None = None) -> Iterator[NpzArchive]:
    """Open an archive of arrays as :func:`numpy.savez` writes it.

    Args:
        path: of the file.
        inside: the folder that it must lie in, also where it is a link.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no such archive, is cut off, holds an id twice, or a name that leads out of a folder.
    """
    path = Path(path)
    with open_file(path, inside) as file:
        with foreign_errors(path, _BROKEN):
            archive = NpzArchive(path, zipfile.ZipFile(file))
        yield archive
