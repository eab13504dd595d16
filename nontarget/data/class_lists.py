"""What a feature folder states of videos beside their annotations: class lists, which splits are drawn from, and ambiguous spans."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nontarget.config import check_choice
from nontarget.data.annotations import raise_problems
from nontarget.runtime.readers import DataError, quoted

KEY = "video_classes"


def stated_class_lists(path: Path, content: Mapping[str, Any], classes: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The key ``video_classes`` of an annotation file, ``{video: [class, ...]}``; empty where there is none.

    Args:
        path: of the file, for messages.
        content: the whole file.
        classes: of the data set.

    Raises:
        DataError: it is no such object, or names a video or a class that there is not.
    """
    stated = content.get(KEY, {})
    if not isinstance(stated, dict):
        raise DataError(f"{path}: {KEY!r} must be an object {{video: [class, ...]}}, got {quoted(stated)}")
    problems, class_lists, index = [], {}, {name: i for i, name in enumerate(classes)}
    for video, names in stated.items():
        if video not in content["database"]:
            problems.append(f"{KEY}: no video {video!r} in the database")
        elif not isinstance(names, list):
            problems.append(f"{video}: {KEY} must be a list of classes, got {quoted(names)}")
        else:
            try:
                for name in names:
                    check_choice(f"class in {KEY}", name, index)
                class_lists[video] = tuple(sorted({index[name] for name in names}))
            except (ValueError, TypeError) as error:
                problems.append(f"{video}: {error}")
    raise_problems(path, problems)
    return class_lists


def stated_ambiguous(path: Path, content: Mapping[str, Any], videos: Iterable[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    """The key ``ambiguous`` of videos of an annotation file, lists of [start_s, end_s]; videos without one are left out.

    Raises:
        DataError: it is no such list.
    """
    problems, ambiguous = [], {}
    for video in videos:
        spans = content["database"][video].get("ambiguous", [])
        try:
            ambiguous[video] = tuple((float(start), float(end)) for start, end in spans)
        except (TypeError, ValueError):
            problems.append(f"{video}: 'ambiguous' must be a list of [start_s, end_s], got {quoted(spans)}")
    raise_problems(path, problems)
    return {video: spans for video, spans in ambiguous.items() if spans}
