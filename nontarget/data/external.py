"""Class scores of whole videos, from a classifier outside of this library."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nontarget.data.annotations import raise_problems
from nontarget.runtime.readers import DataError, quoted, read_json


def read_external_scores(path: str | Path, videos: Sequence[str], classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Class scores of whole videos: ``{video: {class: score}}``, or ``{video: {"class": name, "score": score}}`` as SPOT publishes them, or
    ``{"results": {video: [scores]}, "class": [names]}`` as those of CUHK.

    Args:
        path: JSON file.
        videos: those that are wanted; others in the file are ignored.
        classes: of the data set; a class that a video does not name has the score 0.

    Raises:
        DataError: a video is missing, a class is unknown, or a score is no number in [0, 1].
    """
    content, index = read_json(path), {c: i for i, c in enumerate(classes)}
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, scores by video, got a {type(content).__name__}")
    listed = content.get("class")
    if content.keys() == {"results", "class"} and isinstance(listed, list) and isinstance(content["results"], dict):
        names = listed if all(isinstance(name, str) for name in listed) else None
        if names is None or len(set(names)) < len(names):
            raise DataError(f"{path}: 'class' must list class names, each once, got {quoted(listed)}")
        content = {v: dict(zip(names, s, strict=True)) if _scores_of(s, names) else s for v, s in content["results"].items()}
    problems, scores = [], {}
    for video in videos:
        entry = content.get(video)
        if isinstance(entry, dict) and entry.keys() == {"class", "score"} and isinstance(entry["class"], str):
            entry = {entry["class"]: entry["score"]}
        if not isinstance(entry, dict):
            problems.append(f"{video}: expected scores by class, got {quoted(entry)}")
            continue
        row = np.zeros(len(classes))
        for name, score in entry.items():
            if name not in index:
                problems.append(f"{video}: unknown class {name!r}")
            elif isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
                problems.append(f"{video}: the score of {name!r} must be in [0, 1], got {score!r}")
            else:
                row[index[name]] = score
        scores[video] = row
    raise_problems(Path(path), problems)
    return scores


def _scores_of(scores: Any, classes: Sequence[str]) -> bool:
    return isinstance(scores, list) and len(scores) == len(classes)
