"""Feature folders: the layout of users' own data, read with every check, and written."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nontarget.class_names import doubtful_names
from nontarget.config import Protocol
from nontarget.data.annotations import UNLABELED, raise_problems, read_annotations
from nontarget.data.checksums import read_checksums, warn_of_unverified
from nontarget.data.class_lists import stated_ambiguous, stated_class_lists
from nontarget.data.external import read_external_scores
from nontarget.data.feature_times import FeatureTimes, feature_times, rate_text, stated_times, warn_of_rates
from nontarget.data.starved import warn_of_starved
from nontarget.data.videos import LENGTH_TOLERANCE, RATE_TOLERANCE, Dataset, LabeledVideo, Video, is_off
from nontarget.protocols import protocol_of, settings_of
from nontarget.runtime.digests import file_digest
from nontarget.runtime.files import atomic_write
from nontarget.runtime.readers import DataError, check_inside, check_name, foreign_errors, open_file, open_npz, quoted, read_json

FILES = ("annotations.json", "features.npz")
EXTERNAL = "external_scores.json"


def read_feature_folder(folder: str | Path, name: str | None = None, protocol: Protocol | None = None) -> Dataset:
    """Read a feature folder, and check it.

    ``annotations.json`` (see :func:`nontarget.data.read_annotations`) with the further key ``feature_fps``; ``features.npz``, one array
    [T, D] a video, whose step t is centred on ``(t + 0.5) / feature_fps`` seconds, unless the video has times of its own: the keys
    ``feature_fps`` and ``feature_offset_s``, the centre of the first step, or ``feature_duration_s``, the duration that the rows of
    rescaled features cover (:func:`nontarget.data.feature_times.feature_times`). Optional: ``SHA256SUMS``, which is verified; the key
    ``protocol`` of ``annotations.json``, a name of :mod:`nontarget.protocols` or settings of :class:`nontarget.config.Protocol`; the
    keys ``subsets`` and ``simulated``; ``ambiguous`` of a video, spans that such a protocol may leave out of the scores;
    ``video_classes``, ``{video: [class, ...]}``, from which splits are drawn instead of from the classes of a video's annotations;
    ``external_scores.json``, class scores of the test videos from a classifier of whole videos, ``{video: {class: score}}``, 0 for what
    is not named. Videos of the subset ``unlabeled`` are trained on without labels at every label ratio; their annotations, if any, are
    not read. Whether videos of a further subset are left out or refused, :meth:`nontarget.data.AnnotationFile.subsets` says.

    Args:
        folder: the folder.
        name: of the data set. Default: the folder's.
        protocol: default: what the folder says, on top of the THUMOS14 protocol.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        DataError: something in it is wrong. The message lists the places.
    """
    folder = Path(folder)
    checksum = folder_checksum(folder)
    path = folder / FILES[0]
    annotations = read_annotations(path, inside=folder)
    times = feature_times(annotations)
    stated, simulated = _settings(path, annotations.raw)
    protocol = protocol or stated
    train, test = annotations.subsets()
    for subset in (train, test):
        if not any(len(entry.annotations.labels) for entry in annotations.videos.values() if entry.subset == subset):
            raise DataError(f"{path}: no video of the subset {subset!r} has an instance")
    wanted = [video for video, entry in annotations.videos.items() if entry.subset in (train, test, UNLABELED)]
    features = _read_features(folder / FILES[1], wanted, times)

    def videos(subset: str) -> tuple[LabeledVideo, ...]:
        return tuple(
            LabeledVideo(pooled(_video(v, features[v], e.duration_s, times[v]), protocol.pool), e.annotations)
            for v, e in annotations.videos.items()
            if e.subset == subset
        )

    unlabeled, trained = tuple(v.video for v in videos(UNLABELED)), videos(train)
    name = name or folder.resolve().name
    tested = videos(test)
    if not simulated:
        warn_of_starved(path, (*trained, *tested), annotations.classes, protocol)
    path = folder / EXTERNAL
    external = read_external_scores(path, [v.video.video_id for v in tested], annotations.classes) if path.exists() else None
    return Dataset(
        name,
        annotations.classes,
        trained,
        tested,
        protocol,
        checksum,
        simulated=simulated,
        unlabeled=unlabeled,
        external_scores=external,
        ambiguous=stated_ambiguous(folder / FILES[0], annotations.raw, [v.video.video_id for v in tested]),
        class_lists=stated_class_lists(folder / FILES[0], annotations.raw, annotations.classes),
    )


def folder_settings(folder: str | Path, default: Protocol | None = None) -> tuple[Protocol, bool]:
    """The protocol that a feature folder states, else the default, else that of THUMOS14; and whether its data are simulated.

    Raises:
        DataError: one of the two is not as it should be.
    """
    path = Path(folder) / FILES[0]
    content = read_json(path, inside=Path(folder))
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, got a {type(content).__name__}")
    return _settings(path, content, default)


def _settings(path: Path, content: Mapping[str, Any], default: Protocol | None = None) -> tuple[Protocol, bool]:
    """:func:`folder_settings` of what has been read from ``path``."""
    stated, simulated = content.get("protocol"), content.get("simulated", False)
    if not isinstance(simulated, bool):
        raise DataError(f"{path}: 'simulated' must be true or false, got {quoted(simulated)}")
    if stated is None:
        return default or Protocol(), simulated
    stated = {"name": stated} if isinstance(stated, str) else stated
    if not isinstance(stated, dict):
        raise DataError(f"{path}: 'protocol' must be a name or an object, got {quoted(stated)}")
    with foreign_errors(path, "the protocol is not one"):
        return protocol_of(stated), simulated


def write_feature_folder(folder: str | Path, dataset: Dataset, dtype: DTypeLike = np.float16) -> None:
    """Write a data set as a feature folder, with its protocol and checksums; each file appears whole or not at all.

    Args:
        folder: made if it does not exist.
        dataset: to write. Where its videos differ in rate, or begin elsewhere, each has times of its own.
        dtype: of the stored features.

    Raises:
        DataError: a video is in it twice; an id holds ``/``, ``\\`` or ``..``; a file of the folder is a link out of it; or features
            do not fit ``dtype``.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    videos = [*(v.video for v in dataset.train), *(v.video for v in dataset.test), *dataset.unlabeled]
    ids = [v.video_id for v in videos]
    if len(set(ids)) != len(ids):
        raise DataError(f"{folder}: the video(s) {sorted({v for v in ids if ids.count(v) > 1})} would be written more than once")
    for name in (*FILES, EXTERNAL, "classes.txt", "SHA256SUMS"):
        check_inside(folder / name, folder)
    for v in videos:
        check_name(folder, v.video_id)
        with np.errstate(over="ignore"):
            fits = bool(np.isfinite(v.features.astype(dtype)).all())
        if not fits:
            raise DataError(f"{folder}: features of {v.video_id} up to {np.abs(v.features).max():g} do not fit {np.dtype(dtype)}")
    database = dataset.ground_truth(dataset.train)["database"] | dataset.ground_truth(dataset.test)["database"]
    for subset, members in (("training", dataset.train), ("validation", dataset.test)):
        for member in members:
            database[member.video.video_id]["subset"] = subset
    database |= {v.video_id: {"subset": UNLABELED, "duration": v.duration_s, "annotations": []} for v in dataset.unlabeled}
    protocol = settings_of(dataset.protocol) | {"pool": 1}  # pooled already
    content: dict[str, Any] = {"classes": dataset.classes}
    if len({v.grid for v in videos}) == 1 and videos[0].offset_s == 0:
        content["feature_fps"] = videos[0].fps
    else:
        for v in videos:
            database[v.video_id] |= stated_times(v)
    content |= {"distinct_classes": dataset.classes} if doubtful_names(dataset.classes) else {}
    content |= {"protocol": protocol, "database": database}
    content |= {"simulated": True} if dataset.simulated else {}
    differing = {
        v.video.video_id: [dataset.classes[c] for c in dataset.class_lists[v.video.video_id]]
        for v in (*dataset.train, *dataset.test)
        if dataset.class_lists[v.video.video_id] != v.annotations.classes
    }
    content |= {"video_classes": differing} if differing else {}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FILES[0]) as file:
        file.write(json.dumps(content, indent=1).encode())
    # As numpy.savez_compressed, which has no room for an id such as "file".
    with atomic_write(folder / FILES[1]) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for v in videos:
            with archive.open(f"{v.video_id}.npy", "w", force_zip64=True) as array:
                np.lib.format.write_array(array, v.features.astype(dtype), allow_pickle=False)
    with atomic_write(folder / "classes.txt") as file:
        file.write("".join(f"{c}\n" for c in dataset.classes).encode())
    written = [*FILES, "classes.txt"]
    if dataset.external_scores is not None:
        external = {v: dict(zip(dataset.classes, map(float, row), strict=True)) for v, row in dataset.external_scores.items()}
        with atomic_write(folder / EXTERNAL) as file:
            file.write(json.dumps(external, indent=1).encode())
        written.append(EXTERNAL)
    with atomic_write(folder / "SHA256SUMS") as file:
        file.write("".join(f"{_sha256(folder / f)}  {f}\n" for f in written).encode())


def pooled(video: Video, pool: int) -> Video:
    """Average ``pool`` consecutive feature steps; a remainder at the end is averaged over what there is."""
    if pool == 1:
        return video
    starts = np.arange(0, len(video.features), pool)
    sums = np.add.reduceat(video.features, starts, axis=0)
    counts = np.diff(starts, append=len(video.features))
    means = (sums / counts[:, None]).astype(np.float32)
    return Video(video.video_id, means, video.fps / pool, video.duration_s, video.offset_s)


def _video(video_id: str, features: NDArray[np.float32], duration_s: float, times: FeatureTimes) -> Video:
    grid = times.grid(len(features))
    return Video(video_id, features, float(grid.fps), duration_s, float(grid.offset_s))


def _read_features(path: Path, wanted: list[str], times: Mapping[str, FeatureTimes]) -> dict[str, NDArray[np.float32]]:
    problems: list[str] = []
    features: dict[str, NDArray[np.float32]] = {}
    dims: dict[int, str] = {}
    with open_npz(path, inside=path.parent) as archive:
        for video in wanted:
            try:
                problem: str | None = "no features in the archive"
                if video in archive:
                    header = archive.header(video)
                    problem = _header_problem(header.shape, header.dtype, times[video])
                    problem = problem or _value_problem(array := archive.array(video))
            except DataError as error:
                problem = str(error).removeprefix(f"{path}: {video}: ")
            if problem:
                problems.append(f"{video}: {problem}")
                continue
            dims.setdefault(array.shape[1], video)
            features[video] = array.astype(np.float32)
    ratios = [len(x) / times[v].expected_steps(len(x)) for v, x in features.items() if len(x) >= 50]
    if len(ratios) >= 5 and abs(float(np.median(ratios)) - 1) > RATE_TOLERANCE:
        problems.append(f"the features of most videos last {np.median(ratios):.3f} times as long as the videos at {rate_text(times)}")
    if len(dims) > 1:
        problems.append(f"all videos need one feature dimension, got {', '.join(f'{d} ({v})' for d, v in dims.items())}")
    raise_problems(path, problems)
    warn_of_rates(path, {v: len(x) for v, x in features.items()}, times)
    return features


def _header_problem(shape: tuple[int, ...], dtype: np.dtype[Any], times: FeatureTimes) -> str | None:
    """What is wrong with an array, as far as its header tells: nothing that a wrong header promises is read."""
    if len(shape) != 2 or 0 in shape:
        return f"features must be [T, D], got shape {shape}"
    if not np.issubdtype(dtype, np.floating):
        return f"features must be floating point, got {dtype}"
    expected = times.expected_steps(shape[0])
    if is_off(shape[0], expected, LENGTH_TOLERANCE):
        fps, duration_s = times.grid(shape[0]).fps, times.feature_duration_s
        return f"{shape[0]} feature steps for {duration_s:g} s; at feature_fps {fps:g} about {expected:.0f} are expected"
    return None


def _value_problem(array: NDArray[np.floating[Any]]) -> str | None:
    finite = np.isfinite(array)
    if not finite.all():
        step, dim = np.argwhere(~finite)[0]
        return f"features must be finite, got {array[step, dim]} at step {step}, dimension {dim}"
    with np.errstate(over="ignore"):
        fits = np.isfinite(array.astype(np.float32, copy=False))
    if not fits.all():
        step, dim = np.argwhere(~fits)[0]
        largest = np.finfo(np.float32).max
        return f"features must fit float32, at most {largest:.2g}, got {array[step, dim]:g} at step {step}, dimension {dim}"
    return None


def folder_checksum(folder: str | Path) -> str:
    """Digest over a feature folder's two files.

    Raises:
        FileNotFoundError: one of them is missing.
        DataError: a file is not what SHA256SUMS, if there is one, says.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: does not exist, or is no folder; a feature folder holds {' and '.join(FILES)}")
    missing = [f for f in FILES if not (folder / f).exists()]
    if missing:
        raise FileNotFoundError(f"{folder}: lacks {' and '.join(missing)}; a feature folder holds {' and '.join(FILES)}")
    digests = {f: _sha256(folder / f) for f in (*FILES, EXTERNAL) if (folder / f).exists()}
    sums = folder / "SHA256SUMS"
    if sums.exists():
        stated = read_checksums(sums)
        warn_of_unverified(sums, stated, digests)
        for file, digest in digests.items():
            if stated.get(file, digest) != digest:
                raise DataError(
                    f"{folder / file}: its SHA-256 is {digest}, SHA256SUMS says {stated[file]}: an interrupted download, or a changed file"
                )
    return hashlib.sha256("".join(digests.values()).encode()).hexdigest()


def _sha256(path: Path) -> str:
    check_inside(path, path.parent)
    with open_file(path):
        status = path.stat()
    return _sha256_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256_of(path: Path, size: int, modified_ns: int) -> str:
    return file_digest(path)
