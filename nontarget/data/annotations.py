"""Annotation files: ActivityNet-style JSON (also the feature folders' own) and the text files of THUMOS14."""

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nontarget.class_names import doubtful_names, is_ambiguous
from nontarget.config import check_choice, is_finite_number
from nontarget.data.videos import Annotations
from nontarget.runtime.readers import DataError, check_name, quoted, read_json, read_text, shortened

AnnotationJson = dict[str, Any]
UNLABELED = "unlabeled"
SUBSETS = ("training", "validation", "test", UNLABELED)
LEFT_OUT = ("testing", "background")
"""Subsets that are left out, as long as none of their videos is annotated: ActivityNet's, and the recordings of nips4b without a call."""
_KEYS = ("classes", "database", "distinct_classes", "feature_fps", "protocol", "subsets", "simulated", "video_classes", "provenance")
_ENTRY_KEYS = ("subset", "duration", "annotations", "feature_fps", "feature_offset_s", "feature_duration_s")
_SHOWN = 10
_ENOUGH = 1000
"""Problems after which a file is not searched for more: near names are looked for in each."""


@dataclass(frozen=True, slots=True)
class AnnotatedEntry:
    """One video of an annotation file."""

    subset: str
    duration_s: float
    annotations: Annotations


@dataclass(frozen=True)
class AnnotationFile:
    """A checked annotation file."""

    path: Path
    classes: tuple[str, ...]
    videos: dict[str, AnnotatedEntry]
    feature_fps: float | None
    """Feature steps per second, in a feature folder."""
    repaired: tuple[str, ...]
    """Instances that were cut or dropped, a line each."""
    raw: Mapping[str, Any]
    """The whole file, for its further keys (``protocol``, ``subsets``, ``simulated``)."""

    def subsets(self) -> tuple[str, str]:
        """Names of the training and the test subset.

        They are what the key ``subsets`` says (``{"train": ..., "test": ...}``), else training/validation, training/test, or, where there
        is no training subset, validation/test (THUMOS14, whose validation videos are the ones to train on: Sec. 4.1).

        Raises:
            DataError: they are not there, are one and the same or could be either of two; or a video would be left out that nobody meant
                to: it has another subset, and no key ``subsets`` says that those two are all.
        """
        named = self.raw.get("subsets")
        if named is not None and not _are_subsets(named):
            raise DataError(
                f'{self.path}: subsets must be {{"train": name, "test": name}}, two different names, neither {UNLABELED!r}, '
                f"got {quoted(named)}"
            )
        present = {entry.subset for entry in self.videos.values()}
        pairs = [(named["train"], named["test"])] if named else [("training", "validation"), ("training", "test"), ("validation", "test")]
        candidates = [pair for pair in pairs if set(pair) <= present]
        if not candidates:
            raise DataError(
                f"{self.path}: needs a training and a test subset, as one of {pairs}, or as the key 'subsets' says; "
                f"its subsets are {sorted(present)}"
            )
        if len(candidates) > 1:
            choices = " or ".join(json.dumps({"subsets": {"train": train, "test": test}})[1:-1] for train, test in candidates)
            raise DataError(f"{self.path}: has the subsets 'training', 'validation' and 'test'; say which to use: {choices}")
        problems = [
            f"{video}: {problem}"
            for video, entry in self.videos.items()
            if (problem := _misnamed(entry.subset, candidates[0]) if named else _unknown(entry))
        ]
        advice = "" if named else 'to leave videos out on purpose, say which to use: "subsets": {"train": name, "test": name}'
        raise_problems(self.path, problems, advice)
        return candidates[0]


def read_annotations(path: str | Path, *, invalid: Literal["error", "repair"] = "error", inside: Path | None = None) -> AnnotationFile:
    """Read and check an ActivityNet-style annotation file.

    ``{"classes": [...], "database": {video: {"subset", "duration", "annotations": [{"label", "segment": [start_s, end_s]}]}}}``;
    without ``classes`` they are the sorted labels. Names that differ in capitals, blanks or hyphens alone, and ``Ambiguous``, are
    refused unless the key ``distinct_classes``, a list of names, says that they are classes of their own. Annotations of the subset
    ``unlabeled`` are not looked at. An instance that ends after its video by less than half a feature step (key ``feature_fps`` of the
    video or the file; without it, 1 ms), which is rounding, is cut to the video's end.

    Args:
        path: JSON file.
        invalid: what to do with an instance that has no length or lies outside its video: ``"error"``, or ``"repair"``, which cuts it
            to the video, drops it if nothing is left, and lists it in ``repaired`` (ActivityNet's published file has such instances).
        inside: the folder that the file must lie in, also where it is a link.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is not such a file; or a key is mistyped, a video or class is listed twice, names of classes are nearly equal, a
            video has no subset, a label is not among the classes, or an instance has no length or lies outside its video; all are listed.
    """
    path = Path(path)
    raw = read_json(path, inside=inside)
    raise_problems(path, _mistyped(tuple(raw), _KEYS) if isinstance(raw, dict) else [])
    database = raw.get("database") if isinstance(raw, dict) else None
    if not isinstance(database, dict) or not database:
        raise DataError(f"{path}: expected a JSON object with a non-empty 'database' (ActivityNet style)")
    fps = raw.get("feature_fps")
    if fps is not None and not (_is_json_number(fps) and 0 < fps < math.inf):
        raise DataError(f"{path}: feature_fps must be a positive number of feature steps per second, got {quoted(fps)}")
    tolerance_of_all_s = 0.5 / fps if fps else 1e-3
    classes = raw.get("classes")
    if classes is None:
        classes = sorted({a["label"] for entry in database.values() for a in _instances(entry) or () if isinstance(a.get("label"), str)})
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise DataError(f"{path}: 'classes' must be a list of names, got {quoted(classes)}")
    check_class_names(path, classes, raw.get("distinct_classes", []))
    index = {name: i for i, name in enumerate(classes)}
    if len(index) != len(classes):
        raise DataError(f"{path}: 'classes' lists {shortened(sorted(c for c, n in Counter(classes).items() if n > 1))} more than once")

    problems: list[str] = []
    repaired: list[str] = []
    videos = {}
    for video, entry in database.items():
        if len(problems) > _ENOUGH:
            break
        check_name(path, video)
        instances = _instances(entry)
        if instances is None:
            problems.append(f"{video}: must be an object whose 'annotations', if any, are a list of objects")
            continue
        problems += [f"{video}: {problem}" for problem in _mistyped(tuple(entry), tuple(k for k in _ENTRY_KEYS if k not in entry))]
        subset = entry.get("subset")
        if not (isinstance(subset, str) and subset):
            problems.append(f"{video}: subset must be one of {', '.join(map(repr, SUBSETS))}, or a name in 'subsets', got {quoted(subset)}")
        duration = entry.get("duration")
        if not _is_json_number(duration) or not 0 < duration < math.inf:
            problems.append(f"{video}: duration must be a positive number of seconds, got {quoted(duration)}")
            continue
        rate = entry.get("feature_fps")
        tolerance_s = 0.5 / rate if _is_json_number(rate) and rate > 0 else tolerance_of_all_s
        labels, segments = [], []
        for a in instances:
            try:
                if not (isinstance(a["segment"], list) and len(a["segment"]) == 2 and all(map(_is_json_number, a["segment"]))):
                    raise ValueError(f"segment must be [start_s, end_s], got {quoted(a['segment'])}")
                start, end = (float(x) for x in a["segment"])
                check_choice("label", a["label"], index)
                problem = _segment_problem(start, end, duration, tolerance_s)
                if problem and invalid == "repair":
                    repaired.append(f"{video}: {problem}")
                    start = max(start, 0.0)
                elif problem:
                    raise ValueError(problem)
            except (KeyError, TypeError, ValueError) as error:
                problems.append(f"{video}: {f'lacks {error}' if isinstance(error, KeyError) else error}")
                continue
            if start < min(end, duration):
                labels.append(index[a["label"]])
                segments.append((start, min(end, duration)))
        video_annotations = Annotations(np.array(labels, dtype=np.int64), np.array(segments, dtype=np.float64).reshape(-1, 2))
        videos[video] = AnnotatedEntry(str(subset), float(duration), video_annotations)
    raise_problems(path, problems)
    return AnnotationFile(path, tuple(classes), videos, fps, tuple(repaired), raw)


def read_thumos14_text(
    folder: str | Path, durations_s: Mapping[str, float], subsets: Sequence[str] = ("val", "test")
) -> tuple[AnnotationJson, list[str]]:
    """The official THUMOS14 temporal annotations, ``<Class>_val.txt`` and ``<Class>_test.txt``, as an ActivityNet-style dictionary.

    The text files give no durations, and 30 of their instances lie beyond their video's end. Those are left out and reported, as is
    the file ``Ambiguous``, which is no class.

    Args:
        folder: holds the text files, both subsets in one folder.
        durations_s: duration of every video that is named.
        subsets: which files to read.

    Returns:
        The dictionary, ready for ``json.dump``, and one line for every instance that was left out.

    Raises:
        DataError: there is no such file, a line is not ``video start end``, or a video has no duration.
    """
    folder = Path(folder)
    names = {"val": "validation", "test": "test"}
    for subset in subsets:
        check_choice("subset", subset, names)
    database: dict[str, Any] = {}
    left_out, classes = [], set()
    files = [(s, f) for s in subsets for f in sorted(folder.glob(f"*_{s}.txt")) if not is_ambiguous(f.stem.removesuffix(f"_{s}"))]
    if not files:
        raise DataError(f"{folder}: no file <Class>_{subsets[0]}.txt; expected the folder with THUMOS14's temporal annotations")
    for subset, file in files:
        label = file.name.removesuffix(f"_{subset}.txt")
        classes.add(label)
        for number, line in enumerate(read_text(file, inside=folder).splitlines(), start=1):
            if not line.strip():
                continue
            try:
                video, start, end = line.split()
                segment = [float(start), float(end)]
                if not all(map(math.isfinite, segment)):
                    raise ValueError
            except ValueError:
                raise DataError(f"{file}, line {number}: expected 'video start_s end_s', got {quoted(line)}") from None
            if not is_finite_number(durations_s.get(video)):
                raise DataError(f"{file}, line {number}: no duration given for {shortened(video)}")
            entry = database.setdefault(video, {"subset": names[subset], "duration": float(durations_s[video]), "annotations": []})
            if segment[0] < 0 or segment[1] > entry["duration"] or segment[0] >= segment[1]:
                left_out.append(f"{video}: {label} {segment} in a video of {entry['duration']:g} s")
            else:
                entry["annotations"].append({"label": label, "segment": segment})
    check_class_names(folder, sorted(classes))
    return {"classes": sorted(classes), "database": database}, left_out


def check_class_names(place: Path, classes: Iterable[str], distinct: object = ()) -> None:
    """Raise DataError where names of classes are probably one class, or none; ``distinct`` lists those that are meant."""
    if not (isinstance(distinct, (list, tuple)) and all(isinstance(name, str) for name in distinct)):
        raise DataError(f"{place}: 'distinct_classes' must be a list of names, got {quoted(distinct)}")
    advice = 'correct the labels, or, if they are classes of their own: "distinct_classes": [name, ...]'
    raise_problems(place, doubtful_names(classes, distinct), advice)


def raise_problems(path: Path, problems: Sequence[str], advice: str = "") -> None:
    """Raise one DataError that lists what is wrong with a file, if anything is, with advice at its end."""
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        lines = [f"{path}: {len(problems)} problem(s):", *problems[:_SHOWN], *more, *([advice] if advice else [])]
        raise DataError("\n  ".join(lines))


@lru_cache(maxsize=256)  # the videos of a file have the same keys as a rule
def _mistyped(keys: tuple[str, ...], accepted: tuple[str, ...]) -> tuple[str, ...]:
    """One problem for every key that is nearly a known one; other keys are the file's own business."""
    close = {key: difflib.get_close_matches(key.lower(), accepted, n=1, cutoff=0.82) for key in keys if key not in accepted}
    return tuple(f"unknown key {key!r}; did you mean {near[0]!r}?" for key, near in close.items() if near)


def _are_subsets(named: object) -> bool:
    """Whether a file's key ``subsets`` is as it should be."""
    if not isinstance(named, dict) or named.keys() != {"train", "test"}:
        return False
    names = list(named.values())
    return all(isinstance(name, str) and name != UNLABELED for name in names) and names[0] != names[1]


def _misnamed(subset: str, pair: tuple[str, str]) -> str | None:
    """A subset that is nearly one of those in use, where others are left out; ``fold_10`` is no misspelt ``fold_1``."""
    if subset in (*pair, *SUBSETS, *LEFT_OUT):
        return None
    near = difflib.get_close_matches(subset, (*pair, UNLABELED), n=1, cutoff=0.85)
    if not near or re.sub(r"\d", "", near[0]) == re.sub(r"\d", "", subset):
        return None
    return f"subset {subset!r}; did you mean {near[0]!r}?"


def _unknown(entry: AnnotatedEntry) -> str | None:
    """A subset that has no meaning of its own, where no key ``subsets`` gives it one."""
    if entry.subset in LEFT_OUT:
        return f"the subset {entry.subset!r} is left out, but this video is annotated" if len(entry.annotations.labels) else None
    try:
        check_choice("subset", entry.subset, SUBSETS)
    except ValueError as error:
        return str(error)
    return None


def _instances(entry: Any) -> list[dict[str, Any]] | None:
    """The annotations of a video's entry, none of an unlabelled one; None if it is not made as it should be."""
    if isinstance(entry, dict) and entry.get("subset") == UNLABELED:
        return []
    instances = entry.get("annotations", []) if isinstance(entry, dict) else None
    return instances if isinstance(instances, list) and all(isinstance(a, dict) for a in instances) else None


def _is_json_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _segment_problem(start: float, end: float, duration: float, tolerance_s: float) -> str | None:
    if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
        return f"segment [{start:g}, {end:g}] must have end > start"
    if start < 0 or end > duration + tolerance_s:
        return f"segment [{start:g}, {end:g}] must lie within the video, [0, {duration:g}] s"
    return None
