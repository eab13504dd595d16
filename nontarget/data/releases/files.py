"""The files of a release: listed once, JSON read once, arrays known by their headers."""

import csv
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nontarget.data import DataError
from nontarget.data.releases.pickles import check_allowed, read_pickle
from nontarget.data.releases.records import FeatureSource
from nontarget.runtime.readers import read_json


class Files:
    """All files of a release, and those of its annotations if they lie elsewhere."""

    def __init__(self, root: Path, annotations: Path | None = None):
        for path in filter(None, (root, annotations)):
            if not path.exists():
                raise FileNotFoundError(f"{path}: there is no such file or folder; expected a release's folder, or one of its files")
        self.root = root
        self.paths = _walk(root)
        self.annotation_paths = self.paths if annotations is None else _walk(annotations)
        self.separate_annotations = annotations is not None
        self._json: dict[Path, Any] = {}

    def matching(self, pattern: str) -> list[tuple[Path, re.Match[str]]]:
        """Files of the release whose path below its parent (with ``/``) ends in the pattern."""
        compiled = re.compile(rf"(?:^|/)(?:{pattern})$")
        matches = ((p, compiled.search(name)) for p, name in self._names)
        return [(p, m) for p, m in matches if m]

    @cached_property
    def _names(self) -> list[tuple[Path, str]]:
        """Paths with the release's folder as their first part, however it was given."""
        base = self.root if self.root.is_dir() else self.root.parent
        first = base.resolve().name
        return [(p, f"{first}/{os.path.relpath(p, base)}".replace(os.sep, "/")) for p in self.paths]

    def annotations_matching(self, pattern: str) -> list[Path]:
        """Annotation files whose name is the pattern."""
        compiled = re.compile(pattern)
        return [p for p in self.annotation_paths if compiled.fullmatch(p.name)]

    def named(self, pattern: str) -> list[Path]:
        """Files whose name is the pattern: in the release, among its annotations, or beside the one file that was given as these."""
        compiled = re.compile(pattern)
        beside = sorted(self.annotation_paths[0].parent.iterdir()) if self.separate_annotations and len(self.annotation_paths) == 1 else []
        return [p for p in dict.fromkeys((*self.paths, *self.annotation_paths, *beside)) if compiled.fullmatch(p.name)]

    @cached_property
    def jsons(self) -> list[tuple[Path, Any]]:
        """The JSON files among the annotations, with their content."""
        return [(p, self.json(p)) for p in self.annotation_paths if p.suffix.lower() == ".json"]

    def json(self, path: Path) -> Any:
        if path not in self._json:
            self._json[path] = read_json(path)
        return self._json[path]

    def relative(self, path: Path) -> str:
        """A path as the user would write it from the release's folder."""
        base = self.root if self.root.is_dir() else self.root.parent
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


def _walk(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    paths = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
        paths += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
    return paths


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """A table with a header row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table of text ({error})") from None


def header_of(path: Path, delimiter: str = ",") -> list[str]:
    """The first row of a table."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return next(csv.reader(file, delimiter=delimiter), [])


def npy_header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in numpy's format."""
    try:
        start = file.read(12)
        length = int.from_bytes(start[8:10] if start[6:7] == b"\x01" else start[8:12], "little")
        return _parsed_header(start + file.read(length))
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise DataError(f"{path}: not an array in numpy's format, perhaps an interrupted download ({error})") from None


@lru_cache(maxsize=4096)
def _parsed_header(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Files of one length have one header, so that it is parsed once."""
    file = BytesIO(header)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def npy(path: Path) -> FeatureSource:
    """An ``.npy`` file."""
    with path.open("rb") as file:
        shape, dtype = npy_header(file, path)
    if dtype.hasobject:
        check_allowed(path, False)
    return FeatureSource(shape, str(dtype), lambda: np.load(path, mmap_mode="r" if 0 not in shape else None, allow_pickle=False), (path,))


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in an ``.npz`` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a readable npz archive, perhaps an interrupted download ({error})") from None


def npz(path: Path, key: str) -> FeatureSource:
    """One array of an ``.npz`` file."""

    def load() -> NDArray[np.generic]:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[key])

    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            shape, dtype = npy_header(file, path)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(f"{path}: expected an npz archive with the key {key!r} ({error})") from None
    return FeatureSource(shape, str(dtype), load, (path,))


def npz_value(path: Path, key: str) -> Any:
    """A small value of an ``.npz`` file, such as a frame count."""
    return npz(path, key).load().item()


def csv100(path: Path, rows: int = 100) -> FeatureSource:
    """A csv file of numbers below one header row; the rows are counted when it is loaded."""
    columns = len(header_of(path))

    def load() -> NDArray[np.generic]:
        try:
            array = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, dtype=np.float64)
        except ValueError as error:
            raise DataError(f"{path}: expected {rows} rows of {columns} numbers below a header ({error})") from None
        if array.shape != (rows, columns):
            raise DataError(f"{path}: expected {rows} rows of {columns} numbers, got {array.shape[0]} of {array.shape[1]}")
        return array

    return FeatureSource((rows, columns), "text", load, (path,))


def h5_sources(path: Path) -> dict[str, FeatureSource]:
    """All arrays of an HDF5 file, by name."""
    import h5py

    def loader(name: str) -> NDArray[np.generic]:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name][()])

    sources = {}
    try:
        with h5py.File(path, "r") as file:
            for name, item in file.items():
                if isinstance(item, h5py.Dataset):
                    sources[name] = FeatureSource(tuple(item.shape), str(item.dtype), partial(loader, name), (path,))
    except OSError as error:
        raise DataError(f"{path}: not a readable HDF5 file, perhaps an interrupted download ({error})") from None
    return sources


def pickled(path: Path, allow_pickle: bool) -> FeatureSource:
    """A pickled array or a torch file that holds one tensor."""
    array = read_pickle(path, allow_pickle=allow_pickle)
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: expected one array or tensor, got {type(array).__name__}")
    return FeatureSource(array.shape, str(array.dtype), lambda: read_pickle(path, allow_pickle=True), (path,))


def tail_of(path: Path, size: int = 8192) -> str:
    """The end of a text file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode("ascii", errors="replace")


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a text file that are not blank, without their ends."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error})") from None
    return (line for line in text.splitlines() if line.strip())


def listed(items: Sequence[str], limit: int = 5) -> str:
    """Some of many names, for a message."""
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")
