"""Feature folders: the layout of users' own data, read with every check."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nontarget.config import Protocol
from nontarget.data.annotations import UNLABELED, raise_problems, read_annotations
from nontarget.data.checksums import read_checksums, warn_of_unverified
from nontarget.data.class_lists import stated_ambiguous, stated_class_lists
from nontarget.data.external import read_external_scores
from nontarget.data.feature_checks import checked, header_problem
from nontarget.data.feature_times import FeatureTimes, feature_times, rate_text, warn_of_rates
from nontarget.data.shards import INDEX, ShardFeatures, Shards
from nontarget.data.starved import warn_of_starved
from nontarget.data.videos import RATE_TOLERANCE, Dataset, LabeledVideo, StoredFeatures, Video, mean_of_steps, video_of
from nontarget.protocols import protocol_of
from nontarget.runtime.digests import file_digest
from nontarget.runtime.readers import DataError, check_inside, foreign_errors, open_file, open_npz, quoted, read_json

ANNOTATIONS = "annotations.json"
ARCHIVE = "features.npz"
EXTERNAL = "external_scores.json"
CHECKSUMS = "SHA256SUMS"
_HOLDS = f"a feature folder holds {ANNOTATIONS}, and {INDEX} with its shards or {ARCHIVE}"

Features = NDArray[np.float32] | StoredFeatures


def is_feature_folder(path: Path) -> bool:
    """Whether a folder has the files of a feature folder; what is in them is not looked at."""
    return (path / ANNOTATIONS).is_file() and any((path / name).is_file() for name in (INDEX, ARCHIVE))


def read_feature_folder(
    folder: str | Path,
    name: str | None = None,
    protocol: Protocol | None = None,
    *,
    default: Protocol | None = None,
    protocol_settings: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read a feature folder, and check it.

    ``annotations.json`` (see :func:`nontarget.data.read_annotations`) with the further key ``feature_fps``; and features, one array
    [T, D] a video, whose step t is centred on ``(t + 0.5) / feature_fps`` seconds, unless the video has times of its own: the keys
    ``feature_fps`` and ``feature_offset_s``, the centre of the first step, or ``feature_duration_s``, the duration that the rows of
    rescaled features cover (:func:`nontarget.data.feature_times.feature_times`). The features are in ``features.npz``, which is read into
    memory; or in safetensors shards with the index ``features.index.json``, which are mapped, so that a data set may be larger than the
    memory: a video's features are read, and compared with the index, when they are asked for (:mod:`nontarget.data.shards`).

    Optional: ``SHA256SUMS``, with which ``annotations.json``, the index or archive, and the external scores are compared; the key
    ``protocol`` of ``annotations.json``, a name of :mod:`nontarget.protocols` or settings of :class:`nontarget.config.Protocol`; the
    keys ``subsets`` and ``simulated``; ``ambiguous`` of a video, spans that such a protocol may leave out of the scores;
    ``provenance``, an object that says where the features come from, among it ``labels_seen``, whether their network was trained with
    labels of this data set; ``video_classes``, ``{video: [class, ...]}``, from which splits are drawn instead of from the classes of a
    video's annotations; ``external_scores.json``, class scores of the test videos from a classifier of whole videos,
    ``{video: {class: score}}``, 0 for what is not named. Videos of the subset ``unlabeled`` are trained on without labels at every label
    ratio; their annotations, if any, are not read. Whether videos of a further subset are left out or refused,
    :meth:`nontarget.data.AnnotationFile.subsets` says.

    Args:
        folder: the folder.
        name: of the data set. Default: the folder's.
        protocol: default: what the folder says, else ``default``.
        default: the protocol of a folder that states none. Default: that of THUMOS14.
        protocol_settings: ``name``, one of :mod:`nontarget.protocols`, and changed fields of the protocol.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: an unknown name or setting in ``protocol_settings``.
        DataError: something in it is wrong. The message lists the places.
    """
    folder = Path(folder)
    checksum = folder_checksum(folder)
    path = folder / ANNOTATIONS
    annotations = read_annotations(path, inside=folder)
    times = feature_times(annotations)
    stated, simulated = _settings(path, annotations.raw, default)
    protocol = protocol_of(protocol_settings or {}, protocol or stated, "protocol_settings")
    train, test = annotations.subsets()
    for subset in (train, test):
        if not any(len(entry.annotations.labels) for entry in annotations.videos.values() if entry.subset == subset):
            raise DataError(f"{path}: no video of the subset {subset!r} has an instance")
    wanted = [video for video, entry in annotations.videos.items() if entry.subset in (train, test, UNLABELED)]
    features = _features(folder, wanted, times)

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
    scores = folder / EXTERNAL
    external = read_external_scores(scores, [v.video.video_id for v in tested], annotations.classes) if scores.exists() else None
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
        ambiguous=stated_ambiguous(path, annotations.raw, [v.video.video_id for v in tested]),
        class_lists=stated_class_lists(path, annotations.raw, annotations.classes),
        provenance=stated_provenance(path, annotations.raw),
    )


def folder_settings(folder: str | Path, default: Protocol | None = None) -> tuple[Protocol, bool]:
    """The protocol that a feature folder states, else the default, else that of THUMOS14; and whether its data are simulated.

    Raises:
        DataError: one of the two is not as it should be.
    """
    path = Path(folder) / ANNOTATIONS
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


def stated_provenance(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an annotation file says of where its features come from; empty if it says nothing.

    Raises:
        DataError: it is no object, or its ``labels_seen`` is neither true, false nor null, or its ``network`` is no text.
    """
    stated = content.get("provenance", {})
    if not isinstance(stated, dict):
        raise DataError(f"{path}: 'provenance' must be an object, got {quoted(stated)}")
    if not isinstance(stated.get("labels_seen"), bool | None):
        raise DataError(f"{path}: 'labels_seen' must be true, false, or null where it is not known, got {quoted(stated['labels_seen'])}")
    if not isinstance(stated.get("network", ""), str):
        raise DataError(f"{path}: 'network' must be the name of the network that made the features, got {quoted(stated['network'])}")
    return stated


def pooled(video: Video, pool: int) -> Video:
    """Average ``pool`` consecutive feature steps; a remainder at the end is averaged over what there is."""
    if pool == 1:
        return video
    features = mean_of_steps(video.features, pool) if video.stored is None else video.stored.pooled(pool)
    return video_of(video.video_id, features, video.fps / pool, video.duration_s, video.offset_s)


def _video(video_id: str, features: Features, duration_s: float, times: FeatureTimes) -> Video:
    grid = times.grid(features.shape[0])
    return video_of(video_id, features, float(grid.fps), duration_s, float(grid.offset_s))


def _features(folder: Path, wanted: list[str], times: Mapping[str, FeatureTimes]) -> Mapping[str, Features]:
    """The features of a folder, of the length and dimension that they should have: in memory from an archive, else where they are."""
    path = folder / INDEX if (folder / INDEX).exists() else folder / ARCHIVE
    problems: list[str] = []
    features = _stored(Shards(folder), wanted, times, problems) if path.name == INDEX else _read(path, wanted, times, problems)
    ratios = [x.shape[0] / times[v].expected_steps(x.shape[0]) for v, x in features.items() if x.shape[0] >= 50]
    if len(ratios) >= 5 and abs(float(np.median(ratios)) - 1) > RATE_TOLERANCE:
        problems.append(f"the features of most videos last {np.median(ratios):.3f} times as long as the videos at {rate_text(times)}")
    dims: dict[int, str] = {}
    for video, x in features.items():
        dims.setdefault(x.shape[1], video)
    if len(dims) > 1:
        problems.append(f"all videos need one feature dimension, got {', '.join(f'{d} ({v})' for d, v in dims.items())}")
    raise_problems(path, problems)
    warn_of_rates(path, {v: x.shape[0] for v, x in features.items()}, times)
    return features


def _stored(shards: Shards, wanted: list[str], times: Mapping[str, FeatureTimes], problems: list[str]) -> dict[str, Features]:
    features: dict[str, Features] = {}
    for video in wanted:
        entry = shards.videos.get(video)
        problem = "no features in the index" if entry is None else header_problem(entry.shape, np.dtype(shards.dtype), times[video])
        if problem:
            problems.append(f"{video}: {problem}")
        else:
            features[video] = ShardFeatures(shards, video)
    return features


def _read(path: Path, wanted: list[str], times: Mapping[str, FeatureTimes], problems: list[str]) -> dict[str, Features]:
    features: dict[str, Features] = {}
    with open_npz(path, inside=path.parent) as archive:
        for video in wanted:
            try:
                problem: str | None = "no features in the archive"
                if video in archive:
                    header = archive.header(video)
                    problem = header_problem(header.shape, header.dtype, times[video])
                    if problem is None:
                        features[video] = checked(archive.array(video))
            except DataError as error:
                problem = str(error).removeprefix(f"{path}: {video}: ")
            if problem:
                problems.append(f"{video}: {problem}")
    return features


def folder_checksum(folder: str | Path) -> str:
    """Digest over a feature folder's files: the annotations, the archive of features or the index of their shards, external scores.

    The index holds the digest of every video's features, which are compared with it when they are read.

    Raises:
        FileNotFoundError: one of them is missing.
        DataError: a file is not what SHA256SUMS, if there is one, says; or there are features in both forms.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: does not exist, or is no folder; {_HOLDS}")
    features = [name for name in (INDEX, ARCHIVE) if (folder / name).exists()]
    missing = [name for name, there in ((ANNOTATIONS, (folder / ANNOTATIONS).exists()), (f"{INDEX} or {ARCHIVE}", features)) if not there]
    if missing:
        raise FileNotFoundError(f"{folder}: lacks {' and '.join(missing)}; {_HOLDS}")
    if len(features) > 1:
        raise DataError(f"{folder}: has features twice, by {INDEX} and in {ARCHIVE}; remove the file that is not meant")
    digests = {f: _digest(folder / f) for f in (ANNOTATIONS, *features, EXTERNAL) if (folder / f).exists()}
    sums = folder / CHECKSUMS
    if sums.exists():
        stated = read_checksums(sums)
        warn_of_unverified(sums, stated, digests)
        for file, digest in digests.items():
            if stated.get(file, digest) != digest:
                raise DataError(
                    f"{folder / file}: its SHA-256 is {digest}, SHA256SUMS says {stated[file]}: an interrupted download, or a changed file"
                )
    return hashlib.sha256("".join(digests.values()).encode()).hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of a file that lies in its folder; computed anew when its size or time changes."""
    check_inside(path, path.parent)
    with open_file(path):
        status = path.stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest_of(path: Path, size: int, modified_ns: int) -> str:
    return file_digest(path)
