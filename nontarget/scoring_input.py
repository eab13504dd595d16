"""What :func:`nontarget.evaluate_detections` is given, as checked tables; and warnings where truth and detections do not fit."""

import difflib
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from numbers import Integral, Real
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from nontarget.class_names import doubtful_names, plain_name
from nontarget.runtime.readers import quoted, read_json

InstanceSource: TypeAlias = Mapping[Any, Any] | str | PathLike[str] | pd.DataFrame

TRUTH_COLUMNS = ("video_id", "label", "start_s", "end_s")
DETECTIONS_LIMIT = 2**29
"""Bytes of a file: a thousand detections in each of ActivityNet's 4,700 validation videos take 420 MB."""
_EXAMPLES = 5
_NAMES, _TRUTHS = (str, Integral), (bool, np.bool_)
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "the prefix 'v_' is on one side alone": lambda text: text.removeprefix("v_"),
    "blanks around a name": str.strip,
    "capitals": str.casefold,
    "a file suffix on one side": lambda text: text.rsplit(".", 1)[0],
    "a folder before the name": lambda text: text.replace("\\", "/").rpartition("/")[2],
    "blanks, '_' or '-' within a name": lambda text: "".join(c for c in text if c not in " _-"),
    "characters that look alike": lambda text: unicodedata.normalize("NFKC", text),
    "their spelling": lambda text: "".join(c for c in plain_name(text.removeprefix("v_")) if c.isalnum()),
}
"""What names may differ in -> what is left of a name without that."""


def ground_truth_table(source: InstanceSource, subset: str | None, blocked: Collection[Any]) -> tuple[pd.DataFrame, int, set[Any]]:
    """Instances that are scored, the number of videos that they are scored in, and every video that the source names.

    Raises:
        ValueError: the source is not as :func:`nontarget.evaluate_detections` says; the message names the place.
    """
    if isinstance(source, pd.DataFrame):
        if subset is not None:
            raise ValueError("subset can be chosen only where ground_truth is an ActivityNet-style dictionary or file")
        every = _checked(source, "ground_truth", TRUTH_COLUMNS)
        scored = every[~every["video_id"].isin(list(blocked))].reset_index(drop=True)
        return scored, scored["video_id"].nunique(), set(every["video_id"])
    name, database = _mapping(source, "ground_truth", "database")
    rows, videos = [], 0
    for video, entry in database.items():
        if not isinstance(entry, Mapping):
            raise ValueError(f"{name}, {video}: expected an object with 'annotations', got {_short(entry)}")
        if video in blocked or (subset is not None and entry.get("subset") != subset):
            continue
        videos += 1
        rows += [(video, *_instance(a, f"{name}, {video}")) for a in _entries(entry.get("annotations"), f"{name}, {video}: annotations")]
    if subset is not None and not videos:
        subsets = sorted({str(entry.get("subset")) for entry in database.values()})
        raise ValueError(f"{name} has no video in subset {subset!r}; its subsets are {subsets}")
    return _checked(pd.DataFrame(rows, columns=list(TRUTH_COLUMNS), dtype=object), name, TRUTH_COLUMNS), videos, set(database)


def database_of(source: InstanceSource) -> dict[Any, Any]:
    """Ground truth as video -> ``{"annotations": [{"label", "segment"}], ...}``. Errors as for :func:`ground_truth_table`."""
    truth, _, _ = ground_truth_table(source, None, ())
    if not isinstance(source, pd.DataFrame):
        return {
            video: {**entry, "annotations": entry.get("annotations") or []}
            for video, entry in _mapping(source, "ground_truth", "database")[1].items()
        }
    database: dict[Any, Any] = {}
    for video, label, start_s, end_s in truth.itertuples(index=False, name=None):
        database.setdefault(video, {"annotations": []})["annotations"].append({"label": label, "segment": [start_s, end_s]})
    return database


def detection_table(source: InstanceSource) -> pd.DataFrame:
    """Detections with their scores, in the order that they are listed in.

    Raises:
        ValueError: the source is not as :func:`nontarget.evaluate_detections` says; the message names the place.
    """
    columns = (*TRUTH_COLUMNS, "score")
    if isinstance(source, pd.DataFrame):
        return _checked(source, "detections", columns)
    name, results = _mapping(source, "detections", "results")
    rows: list[tuple[Any, ...]] = []
    for video, entries in results.items():
        if not isinstance(entries, (list, tuple)):
            raise ValueError(f"{name}, {video}: expected a list of detections, got {_short(entries)}")
        for d in _entries(entries, f"{name}, {video}"):
            rows.append((video, *_instance(d, f"{name}, {video}"), d.get("score")))
    return _checked(pd.DataFrame(rows, columns=list(columns), dtype=object), name, columns)


def argument_name(argument: str, source: InstanceSource) -> str:
    """What messages call an argument: with the path, where it is a file."""
    return f"{argument} ({source})" if isinstance(source, (str, PathLike)) else argument


def durations_of(ground_truth: InstanceSource) -> dict[Any, float]:
    """Duration in seconds of every video that has one; none where the ground truth is a DataFrame.

    Raises:
        ValueError: it is no positive number. A number as text, as HACS has it, is taken.
    """
    if isinstance(ground_truth, pd.DataFrame):
        return {}
    name, database = _mapping(ground_truth, "ground_truth", "database")
    durations = {}
    for video, entry in database.items():
        if not isinstance(entry, Mapping) or entry.get("duration") is None:
            continue
        try:
            durations[video] = float(entry["duration"])
        except (TypeError, ValueError):
            durations[video] = np.nan
        if not 0 < durations[video] < np.inf:
            raise ValueError(f"{name}, {video}: duration must be a positive number of seconds, got {_short(entry['duration'])}")
    return durations


def names_of(argument: str, names: Iterable[Any]) -> frozenset[Any]:
    """A list of ids or labels; a bare string, whose letters would be taken for ids, is refused."""
    if isinstance(names, (str, bytes, Mapping)) or not isinstance(names, Iterable):
        raise ValueError(f"{argument} must be a list of names, such as [{str(names)!r}], got {_short(names)}")
    name_list = list(names)
    odd = [n for n in name_list if not _is_name(n)]
    if odd:
        raise ValueError(f"{argument} must hold names or whole numbers, got {_short(odd[0])}")
    return frozenset(name_list)


def check_they_match(
    truth: pd.DataFrame, detections: pd.DataFrame, known_videos: set[Any], known_labels: Collection[Any], sources: tuple[str, str]
) -> None:
    """Warn about labels and videos of detections that the ground truth does not know: often another spelling, which scores 0.

    ``sources`` is what messages call the two.

    Raises:
        ValueError: one side has names where the other has numbers.
    """
    if not len(detections):
        return
    for column in ("video_id", "label"):
        kinds = [_kind(table[column]) for table in (truth, detections)]
        if kinds[0] != kinds[1]:
            examples = [table[column].iloc[0] for table in (truth, detections)]
            raise ValueError(
                f"{column} holds {kinds[0]} in {sources[0]} (such as {examples[0]!r}) and {kinds[1]} in {sources[1]} (such as "
                f"{examples[1]!r}); they must be of one kind to be the same"
            )
    labels = set(truth["label"])
    if doubtful := doubtful_names(sorted(name for name in labels if isinstance(name, str)), known_labels):
        warnings.warn(f"{sources[0]}: {'; '.join(doubtful[:_EXAMPLES])}; each is scored as a class of its own", stacklevel=4)
    _warn_unknown(detections["label"], labels | set(known_labels), "label", "they are not scored (known_labels names those that are meant)")
    _warn_unknown(detections["video_id"], known_videos, "video", "they count as false positives")
    scored = detections["video_id"].isin(set(truth["video_id"]))
    if not scored.any() and detections["video_id"].isin(known_videos).any():
        warnings.warn(
            f"none of the {detections['video_id'].nunique()} videos of detections has an instance among those of ground_truth that are "
            f"scored, such as {truth['video_id'].iloc[0]!r}: another subset?",
            stacklevel=4,
        )


def warn_of_blocked(blocked: Collection[Any], videos: set[Any]) -> None:
    """Warn if a list of blocked videos blocks nothing, or names videos in another spelling; it may name videos of other subsets."""
    unknown = [video for video in blocked if video not in videos]
    if blocked and len(unknown) == len(blocked):
        example = unknown[0]
        warnings.warn(
            f"none of the {len(blocked)} blocked_videos, such as {example!r}, is known{likely_cause([example], videos)}", stacklevel=4
        )
    elif "Likely cause" in (cause := likely_cause(unknown, videos)):
        warnings.warn(f"{len(unknown)} of the {len(blocked)} blocked_videos are not known, such as {unknown[0]!r}{cause}", stacklevel=4)


def _warn_unknown(names: pd.Series, accepted: set[Any], what: str, consequence: str) -> None:
    counts = names[~names.isin(accepted)].value_counts(sort=False)
    if not len(counts):
        return
    unknown = list(counts.index)
    named = ", ".join(map(repr, unknown[:_EXAMPLES])) + (", ..." if len(unknown) > _EXAMPLES else "")
    warnings.warn(
        f"{len(unknown)} of the {names.nunique()} {what}s of detections ({int(counts.sum())} of {len(names)} detections) are not in "
        f"ground_truth, which has such as {sorted(accepted, key=str)[0]!r}: {named}; {consequence}{likely_cause(unknown, accepted)}",
        stacklevel=5,
    )


def likely_cause(unknown: list[Any], accepted: Collection[Any]) -> str:
    """What the unknown names differ in from known ones, where that can be told."""
    texts = {str(name): name for name in accepted}
    for cause, plain in _SPELLINGS.items():
        plainer = {plain(text): name for text, name in texts.items()}
        for name in unknown:
            if plain(str(name)) in plainer:
                return f". Likely cause: {cause} ({name!r} and {plainer[plain(str(name))]!r})"
    for name in unknown[:_EXAMPLES]:
        if near := difflib.get_close_matches(str(name), list(texts)[:5000], n=1, cutoff=0.8):
            return f". Did {name!r} mean {texts[near[0]]!r}?"
    return ""


def _instance(entry: Any, where: str) -> tuple[Any, Any, Any]:
    try:
        start_s, end_s = entry["segment"]
        return entry["label"], start_s, end_s
    except (KeyError, TypeError, ValueError, IndexError):
        raise ValueError(f"{where}: expected 'label' and 'segment' [start_s, end_s], got {_short(entry)}") from None


def _entries(value: Any, where: str) -> list[Mapping[str, Any]]:
    """A list of objects; None, as where a video has no annotations, is an empty one."""
    entries = [] if value is None else value
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f"{where}: expected a list of objects, got {_short(value)}")
    return list(entries)


def _mapping(source: Any, argument: str, key: str) -> tuple[str, Mapping[Any, Any]]:
    """The mapping under ``key``, and the name of its source for messages."""
    name = argument_name(argument, source)
    if isinstance(source, (str, PathLike)):
        source = read_json(source, DETECTIONS_LIMIT)
    if not isinstance(source, Mapping) or not isinstance(source.get(key), Mapping):
        raise ValueError(f"{name}: expected a mapping with the key {key!r} (ActivityNet style), or a DataFrame, got {_short(source)}")
    return name, source[key]


def _checked(frame: pd.DataFrame, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The wanted columns: names as they are, numbers as float64; each value is what it may be."""
    have = list(frame.columns)
    missing = [c for c in columns if have.count(c) != 1]
    if missing:
        near = {c: n for c in missing if (n := difflib.get_close_matches(c, list(map(str, have)), n=1, cutoff=0.6))}
        hint = "".join(f"; rename {n[0]!r} to {c!r}" for c, n in near.items() if n[0] not in columns)
        raise ValueError(f"{name} needs each of the columns {list(columns)} once, and has {have}{hint}")
    out = frame[list(columns)].reset_index(drop=True)
    for column in ("video_id", "label"):
        values = out[column].astype(object)
        kinds = values.map(type)  # few, whatever the number of rows
        wrong = ~kinds.isin([kind for kind in kinds.unique() if issubclass(kind, _NAMES) and not issubclass(kind, _TRUTHS)])
        if wrong.any():
            _refuse(out, name, column, wrong.to_numpy(), "a name or a whole number")
        numbers = ~kinds.isin([kind for kind in kinds.unique() if issubclass(kind, str)])
        if numbers.nunique() > 1:
            _refuse(out, name, column, numbers.to_numpy(), "of one kind, all names or all whole numbers")
        out[column] = values
    for column in columns[2:]:
        if out[column].dtype == object or not pd.api.types.is_numeric_dtype(out[column]) or pd.api.types.is_bool_dtype(out[column]):
            wrong = ~out[column].map(_is_real_number).to_numpy(dtype=bool)
            if wrong.any():
                _refuse(out, name, column, wrong, "a number")
        elif pd.api.types.is_complex_dtype(out[column]):
            _refuse(out, name, column, np.ones(len(out), dtype=bool), "a number")
        try:
            out[column] = out[column].astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{name}: start_s, end_s and score must be numbers that fit float64 ({error})") from None
        wrong = ~np.isfinite(out[column].to_numpy())
        if wrong.any():
            _refuse(out, name, column, wrong, "finite")
    return out


def _refuse(frame: pd.DataFrame, name: str, column: str, wrong: np.ndarray[Any, Any], accepted: str) -> None:
    row = int(np.flatnonzero(wrong)[0])
    others = f" ({int(wrong.sum())} such rows)" if wrong.sum() > 1 else ""
    video = "" if column == "video_id" else f", video {_short(frame['video_id'].iloc[row])}"
    raise ValueError(f"{name}, row {row}{video}: {column} must be {accepted}, got {_short(frame[column].iloc[row])}{others}")


def _kind(values: pd.Series) -> str:
    return "names" if isinstance(values.iloc[0], str) else "numbers"


def _is_name(value: Any) -> bool:
    return isinstance(value, _NAMES) and not isinstance(value, _TRUTHS)


def _is_real_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, _TRUTHS)


def _short(value: Any) -> str:
    return quoted(value, 120)
