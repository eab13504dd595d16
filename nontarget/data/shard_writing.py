"""Writing features that come one video at a time as shards: resumable, read back, and there only once all of them are whole."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nontarget.data.annotations import raise_problems, read_annotations
from nontarget.data.feature_checks import checked
from nontarget.data.folder import ANNOTATIONS, ARCHIVE, CHECKSUMS, EXTERNAL
from nontarget.data.shard_layout import NewShard, shard_layout
from nontarget.data.shards import DTYPES, FORMAT, INDEX, SHARD
from nontarget.runtime.digests import file_digest
from nontarget.runtime.files import atomic_write
from nontarget.runtime.progress import progress_bar
from nontarget.runtime.readers import DataError, check_inside, check_name

PARTIAL = ".partial"
"""Ending of the folder in which features are written until all are whole."""
SHARD_BYTES = 2**28
"""Most bytes of features in a shard, but for a single video that is larger. While one is written, the one before is read back."""
CLASSES = "classes.txt"
_PLAN, _DONE = "plan.txt", "done.txt"


@dataclass(frozen=True)
class NewFeatures:
    """Features of one video that are to be written."""

    video_id: str
    shape: tuple[int, int]
    load: Callable[[], NDArray[np.generic]]
    """At least as many rows as ``shape`` says; further ones are cut off."""
    stamp: str = ""
    """Changes when the files do from which the features come: what an interrupted run has written is kept where it did not."""


def write_folder(
    out: Path,
    content: Mapping[str, Any],
    videos: Sequence[NewFeatures],
    dtype: str = "float16",
    *,
    external_scores: Mapping[str, Any] | None = None,
    replacing: bool = False,
    resume: bool = True,
    progress: bool = True,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write a feature folder, one video after another, so that memory holds no more than one.

    Everything goes to ``OUT.partial`` first. A run that was killed goes on there: what it wrote is compared with its digests, and only
    what is missing, broken or of changed files is written again. Each shard is read back from the disk and compared while the next one
    is written, and only then does the folder take its name.

    Args:
        out: must not exist, or be empty, unless it is to be replaced.
        content: of ``annotations.json``, with the classes.
        videos: in the order of the folder.
        dtype: of the stored features, ``float16`` or ``float32``.
        external_scores: content of ``external_scores.json``; None: there is no such file.
        replacing: whether the files of a feature folder that is there give way; other files in it stay.
        resume: whether to go on with what an interrupted run left, and to leave something to go on with.
        progress: show a bar.
        shard_bytes: most bytes of features in a shard.

    Raises:
        DataError: the folder exists, an id is there twice or could be no file's name; or features are not finite, do not fit the type, or
            are not as their headers say, by video.
        OSError: the disk is full, or the folder cannot be written; what is done is kept for another try.
    """
    out = Path(os.path.abspath(out))
    if dtype not in DTYPES:
        raise DataError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not replacing and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; give a new folder, or remove it")
    check_ids(out, [v.video_id for v in videos])
    if replacing:
        files_of(out)
    partial = out.with_name(out.name + PARTIAL)
    shards = shard_layout([(v.video_id, v.shape) for v in videos], dtype, shard_bytes)
    _begin(partial, shards, resume)
    try:
        digests, wholes = _write(partial, shards, videos, dtype, progress, out)
        _write_json(partial / ANNOTATIONS, content)
        (partial / CLASSES).write_text("".join(f"{c}\n" for c in content["classes"]), encoding="utf-8")
        entries = {videos[n].video_id: {"shape": videos[n].shape, "shard": s.name, "sha256": digests[n]} for s in shards for n in s.starts}
        _write_json(partial / INDEX, {"format": FORMAT, "dtype": dtype, "shards": {s.name: s.size for s in shards}, "videos": entries})
        if external_scores is not None:
            _write_json(partial / EXTERNAL, external_scores)
        _check_annotations(partial, videos)
        small = [ANNOTATIONS, INDEX, CLASSES, *([EXTERNAL] if external_scores is not None else [])]
        sums = {name: file_digest(partial / name) for name in small} | wholes
        (partial / CHECKSUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), encoding="utf-8")
    except BaseException:
        if not resume:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    for name in (_PLAN, _DONE):
        (partial / name).unlink()
    _install(partial, out)
    return out


def check_ids(folder: Path, ids: Sequence[str]) -> None:
    """Refuse ids that a folder cannot hold.

    Raises:
        DataError: one is there twice, or could lead elsewhere as a file's name.
    """
    for video in ids:
        check_name(folder, video)
    twice = sorted(video for video, count in Counter(ids).items() if count > 1)
    if twice:
        raise DataError(f"{folder}: the video(s) {twice} would be written more than once")


def files_of(folder: Path) -> list[Path]:
    """The files of a feature folder that a new one would take the place of, whether they are there or not; none leads out of it.

    Raises:
        DataError: one is a link out of the folder.
    """
    named = [folder / name for name in (ANNOTATIONS, ARCHIVE, INDEX, EXTERNAL, CLASSES, CHECKSUMS)]
    paths = named + ([p for p in sorted(folder.iterdir()) if SHARD.fullmatch(p.name)] if folder.is_dir() else [])
    for path in paths:
        check_inside(path, folder)
    return paths


def _begin(partial: Path, shards: Sequence[NewShard], resume: bool) -> None:
    """Go on with what is there if it has the same layout; else begin anew."""
    plan, stated = hashlib.sha256(b"".join(s.header for s in shards)).hexdigest(), partial / _PLAN
    if partial.exists() and not (resume and stated.is_file() and stated.read_text() == plan):
        if not partial.is_dir() or (any(partial.iterdir()) and not stated.is_file()):
            raise DataError(f"{partial}: is in the way, and is not an interrupted conversion; remove it")
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    stated.write_text(plan)


def _write(
    partial: Path, shards: Sequence[NewShard], videos: Sequence[NewFeatures], dtype: str, progress: bool, out: Path
) -> tuple[dict[int, str], dict[str, str]]:
    """Write what is not there yet, and read all of it back. Returns the digest of each video's numbers, and that of each shard."""
    done = _done(partial / _DONE)
    digests: dict[int, str] = {}
    problems, checks = [], {}
    with (
        ThreadPoolExecutor(1) as reader,
        progress_bar(len(videos), f"writing {out.name}", "video", progress) as bar,
        (partial / _DONE).open("a") as record,
    ):
        for shard in shards:
            with _opened(partial / shard.name) as file:
                file.write(shard.header)
                for number, start in shard.starts.items():
                    video, stamp = videos[number], hashlib.sha256(videos[number].stamp.encode()).hexdigest()
                    file.seek(start)
                    numbers = _kept(file, video, dtype, *done.get(number, ("", "")), stamp)
                    if numbers is None:
                        try:
                            numbers = _loaded(video, dtype)
                        except DataError as error:
                            problems.append(f"{video.video_id}: {error}")
                            continue
                        file.seek(start)
                        file.write(numbers)
                        file.flush()
                        digests[number] = hashlib.sha256(numbers).hexdigest()
                        record.write(f"{number} {stamp} {digests[number]}\n")
                        record.flush()
                    else:
                        digests[number] = done[number][1]
                    bar.update()
                file.truncate(shard.size)
            if not problems:
                checks[shard.name] = reader.submit(_read_back, partial / shard.name, shard, videos, digests)
        raise_problems(out, problems, f"nothing was written; features must be finite numbers that fit {dtype}")
        wholes, wrong = {}, []
        for name, check in checks.items():
            wholes[name], differing = check.result()
            wrong += differing
    raise_problems(partial, wrong, "the disk may be faulty; nothing was left under the folder's name")
    return digests, wholes


def _done(path: Path) -> dict[int, tuple[str, str]]:
    """What an interrupted run recorded: stamp and digest by number of the video. A line that was cut short counts for nothing."""
    lines = (line.split() for line in path.read_text().splitlines()) if path.is_file() else ()
    return {int(parts[0]): (parts[1], parts[2]) for parts in lines if len(parts) == 3 and parts[0].isdecimal()}


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read and write, made if need be; what is in it stays."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b") as file:
        yield file


def _kept(file: BinaryIO, video: NewFeatures, dtype: str, stamp: str, digest: str, expected: str) -> bytes | None:
    """The numbers that an interrupted run wrote here, if they are whole and their files have not changed since."""
    if stamp != expected:
        return None
    numbers = file.read(np.dtype(dtype).itemsize * video.shape[0] * video.shape[1])
    return numbers if hashlib.sha256(numbers).hexdigest() == digest else None


def _loaded(video: NewFeatures, dtype: str) -> bytes:
    """The numbers of a video as they are stored."""
    array = np.asarray(video.load())
    if array.shape[1:] != video.shape[1:] or len(array) < video.shape[0]:
        raise DataError(f"the array is {array.shape}, its header said {video.shape}")
    numbers = checked(array[: video.shape[0]], dtype)
    return numbers.astype(np.dtype(dtype).newbyteorder("<"), order="C", copy=False).tobytes()


def _read_back(path: Path, shard: NewShard, videos: Sequence[NewFeatures], digests: Mapping[int, str]) -> tuple[str, list[str]]:
    """Put a shard on the disk, and compare what is there with what was to be written. Returns its digest, and which videos differ."""
    problems = []
    with _opened(path) as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):  # so that reading back reads the disk
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        header = file.read(len(shard.header))
        if header != shard.header:
            problems.append(f"{shard.name}: its header read back differs from the one that was written")
        whole = hashlib.sha256(header)
        ends = [*list(shard.starts.values())[1:], shard.size]
        for (number, start), end in zip(shard.starts.items(), ends, strict=True):
            numbers = file.read(end - start)
            whole.update(numbers)
            if hashlib.sha256(numbers).hexdigest() != digests[number]:
                problems.append(f"{videos[number].video_id}: its features read back differ from those that were written")
    return whole.hexdigest(), problems


def _check_annotations(partial: Path, videos: Sequence[NewFeatures]) -> None:
    """Read the annotations back."""
    annotations = read_annotations(partial / ANNOTATIONS)
    raise_problems(partial, [f"{v.video_id}: its annotation was lost" for v in videos if v.video_id not in annotations.videos])


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def _install(partial: Path, out: Path) -> None:
    """Give the folder its name. Where there is one already, its files give way; until the last has, SHA256SUMS tells."""
    if not out.exists() or not any(out.iterdir()):
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
        return
    for path in files_of(out):
        if not (partial / path.name).exists():
            path.unlink(missing_ok=True)
    for path in sorted(partial.iterdir()):
        os.replace(path, out / path.name)
    partial.rmdir()
