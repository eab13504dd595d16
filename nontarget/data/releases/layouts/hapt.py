"""HAPT (UCI repository 341): raw accelerometer and gyroscope samples with labels, from which window features are computed here."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.assemble import release_of
from nontarget.data.releases.files import Files, lines_of
from nontarget.data.releases.records import AnnotationTable, Entry, FeatureSource, Instance, Options, Release, Seen
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import Published, clock_of

RAW = r"(?P<sensor>acc|gyro)_(?P<id>exp\d+_user(?P<user>\d+))\.txt"
SENSORS = ("acc", "gyro")
HZ = 50
HOP = 10
"""Samples from one row to the next: 5 rows a second."""
WINDOW = 64
"""Samples that a row sees, 1.28 s, centred on the middle of its hop; beyond the recording's ends the last sample is repeated."""
BANDS_HZ = ((0.5, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 20.0))
"""Sway and walking, steps and their harmonics, and two bands of vibration."""
SMALLEST_POWER = 1e-6
"""Added before the logarithm, so that silence is a number."""


def window_features(samples: NDArray[np.float64]) -> NDArray[np.float32]:
    """Features [T, 64] of 6 raw channels [samples, 6]: accelerometer x, y, z in g, gyroscope x, y, z in rad/s, at 50 Hz.

    Row i is centred on sample 10 i + 5. The channels are x, y, z and magnitude of each sensor; of each of the eight, one after the
    other: mean, standard deviation, minimum, maximum, and the logarithm of the power in the four bands of ``BANDS_HZ`` (Hann window).

    Raises:
        ValueError: the array is not [samples, 6], or shorter than a hop.
    """
    if samples.ndim != 2 or samples.shape[1] != 6 or len(samples) < HOP:
        raise ValueError(f"samples must be [at least {HOP}, 6], got {samples.shape}")
    magnitudes = [np.linalg.norm(samples[:, k : k + 3], axis=1) for k in (0, 3)]
    channels = np.column_stack([samples[:, :3], magnitudes[0], samples[:, 3:], magnitudes[1]])  # [samples, 8]
    rows = len(samples) // HOP
    before = WINDOW // 2 - HOP // 2
    padded = np.pad(channels, ((before, WINDOW), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)[: rows * HOP : HOP]  # [rows, 8, WINDOW]
    tapered = (windows - windows.mean(axis=2, keepdims=True)) * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(tapered, axis=2)) ** 2 / WINDOW
    frequencies = np.fft.rfftfreq(WINDOW, 1 / HZ)
    bands = [np.log(power[..., (frequencies >= low) & (frequencies < high)].sum(axis=2) + SMALLEST_POWER) for low, high in BANDS_HZ]
    statistics = [windows.mean(axis=2), windows.std(axis=2), windows.min(axis=2), windows.max(axis=2), *bands]
    return np.stack(statistics, axis=2).reshape(rows, -1).astype(np.float32)


def recognise(files: Files) -> str | None:
    """``acc_expXX_userYY.txt`` and ``gyro_...`` are called so in HAPT alone."""
    sensors = {m["sensor"] for _, m in files.matching(RAW)}
    return (
        "RawData/ holds acc_expXX_userYY.txt and gyro_expXX_userYY.txt, as HAPT (UCI 341) is published" if sensors == set(SENSORS) else None
    )


def read(files: Files, options: Options) -> Release:
    """t(i) = (10 i + 5) / 50; users are split as published, where Train/ and Test/ list them."""
    raw: dict[str, dict[str, Path]] = {s: {} for s in SENSORS}
    for path, match in files.matching(RAW):
        raw[match["sensor"]][match["id"]] = path
    names = sorted(set(raw["acc"]) | set(raw["gyro"]))
    lengths = {s: {v: sum(1 for _ in lines_of(p)) for v, p in paths.items()} for s, paths in raw.items()}
    problems = [f"{v}: lacks its {s} file" for v in names for s in SENSORS if v not in raw[s]]
    problems += [
        f"{v}: {lengths['acc'][v]} samples of acc, {lengths['gyro'][v]} of gyro"
        for v in names
        if all(v in lengths[s] for s in SENSORS) and lengths["acc"][v] != lengths["gyro"][v]
    ]
    raise_problems(files.root, problems, "expected one acc_ and one gyro_ file of equal length for each experiment")
    table = _table(files, {v: lengths["acc"][v] / HZ for v in names})
    sources = {
        v: FeatureSource(
            (lengths["acc"][v] // HOP, 8 * (4 + len(BANDS_HZ))),
            "float32",
            partial(_load, [raw[s][v] for s in SENSORS]),
            (raw["acc"][v],),
        )
        for v in names
    }
    clock, timing = clock_of(files.root, Published(HZ, HOP, offset=HOP / 2, says=f"{HZ} Hz, a row every {HOP} samples"), options)
    if any(value is not None for value in (options.fps, options.stride, options.window, options.offset)):
        raise DataError(f"{files.root}: the features are computed here, at 5 rows a second; fps, stride, window and offset cannot be given")
    release = release_of("hapt", files, Seen("none: statistics of windows, computed here", False), table, sources, clock, options)
    release.notes += [
        f"timing: {timing}",
        f"features: 64 statistics of windows of {WINDOW / HZ:g} s, see nontarget.data.releases.layouts.hapt",
    ]
    return release


def _load(paths: list[Path]) -> NDArray[np.generic]:
    try:
        return window_features(np.concatenate([np.loadtxt(p, ndmin=2, dtype=np.float64) for p in paths], axis=1))
    except ValueError as error:
        raise DataError(f"{paths[0]}: expected three numbers a line in it and in {paths[1].name} ({error})") from None


def _table(files: Files, durations_s: dict[str, float]) -> AnnotationTable:
    """``labels.txt``: experiment, user, activity, first and last sample, counted from 1."""
    named = {p.name: p for p in files.annotation_paths}
    for name in ("labels.txt", "activity_labels.txt"):
        if name not in named:
            raise DataError(
                f"{files.root}: no {name}; expected HAPT's folder with RawData/labels.txt and activity_labels.txt, or annotations=FOLDER"
            )
    classes = {}
    for line in lines_of(named["activity_labels.txt"]):
        index, label = line.split(maxsplit=1)
        classes[int(index)] = label.strip()
    subsets = _subsets(named)
    users = {v: int(v.rsplit("user", 1)[1]) for v in durations_s}
    entries = {v: Entry(subsets.get(users[v]), d) for v, d in durations_s.items()}
    by_number = {int(v[3:].split("_")[0]): v for v in durations_s}
    problems = []
    for number, line in enumerate(lines_of(named["labels.txt"]), start=1):
        try:
            experiment, user, activity, first, last = map(int, line.split())
            video = by_number[experiment]
            if users[video] != user:
                raise ValueError(f"user {user}, but the recording is {video}")
            entries[video].instances.append(Instance(classes[activity], (first - 1) / HZ, last / HZ))
        except KeyError as error:
            problems.append(f"line {number}: no recording or activity {error}")
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    raise_problems(named["labels.txt"], problems, "expected 'experiment user activity first last', samples at 50 Hz")
    notes = [] if subsets else ["no Train/subject_id_train.txt and Test/subject_id_test.txt: the split is not known; give subsets=FILE.csv"]
    return AnnotationTable("hapt", (named["labels.txt"],), entries, tuple(classes[k] for k in sorted(classes)), notes)


def _subsets(named: dict[str, Path]) -> dict[int, str]:
    """Users by subset, from the published split of the windows.

    Raises:
        DataError: a user is in both.
    """
    subsets: dict[int, str] = {}
    for part in ("train", "test"):
        path = named.get(f"subject_id_{part}.txt")
        for user in {int(line) for line in lines_of(path)} if path else ():
            if subsets.setdefault(user, part) != part:
                raise DataError(f"{path}: user {user} is in subject_id_train.txt too; the split is by user")
    return subsets


register(Layout("hapt", "RawData/{acc,gyro}_expXX_userYY.txt, labels.txt, activity_labels.txt", recognise, read))
