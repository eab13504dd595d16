"""Detections and ground truth as they lie on people's disks: ActivityNet's and OpenTAD's json, THUMOS14's text, csv.

Detections become a table (video_id, label, start_s, end_s, score), ground truth an ActivityNet-style dictionary.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nontarget.class_names import is_ambiguous
from nontarget.config import is_finite_number
from nontarget.data.annotations import raise_problems
from nontarget.protocols import THUMOS14_CLASSES
from nontarget.runtime.escaping import csv_cell_read, csv_text
from nontarget.runtime.files import atomic_write
from nontarget.runtime.readers import DataError, foreign_errors, quoted, read_json, read_text
from nontarget.scoring_input import DETECTIONS_LIMIT, likely_cause

COLUMNS = ("video_id", "label", "start_s", "end_s", "score")
_NAMES = {
    "video_id": ("video_id", "video", "video-id", "video_name", "videoid", "video-name"),
    "label": ("label", "class", "label_name", "category"),
    "start_s": ("start_s", "start", "t-start", "t_start", "xmin"),
    "end_s": ("end_s", "end", "t-end", "t_end", "xmax", "stop"),
    "score": ("score", "confidence", "prob"),
}
"""Names of columns in csv files that are taken."""
_MEDIA = (".mp4", ".avi", ".mkv", ".webm")
FORMATS = (
    'json {"results": {video: [{"label", "segment", "score"}]}} (ActivityNet, OpenTAD), csv with a header (video, label, start, end, '
    "score), or text with the five columns of THUMOS14 (video start end class score)"
)


def read_detections(path: str | Path, classes: str | Path | None = None) -> pd.DataFrame:
    """Detections of a file, in the order that they are listed in.

    Args:
        path: json, csv or text, see ``FORMATS``. In text a class is a name, or its number among THUMOS14's 101.
        classes: a file that names the classes of numbers: lines ``number name``, as THUMOS14's detclasslist.txt, or one name a line for
            the numbers 0, 1, 2, ...

    Returns:
        Rows (video_id, label, start_s, end_s, score).

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is none of these; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of detections")
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise DataError(f"{path}: a pickle can run code when it is read, and is refused; write the detections as {FORMATS}")
    names = None if classes is None else _class_file(Path(classes))
    if path.suffix.lower() == ".json":
        frame = _from_json(path)
    elif path.suffix.lower() in (".csv", ".tsv"):
        frame = _from_csv(path, COLUMNS)
    else:
        frame = _from_text(path)
    return frame.assign(label=_named(path, frame["label"], names))


def read_ground_truth(path: str | Path) -> dict[str, Any]:
    """Ground truth as an ActivityNet-style dictionary ``{"database": {video: {"subset", "duration", "annotations", "ambiguous"}}}``.

    Args:
        path: ActivityNet-style json; a feature folder; the folder of THUMOS14's text files ``<Class>_{val,test}.txt``, whose videos have
            no ``duration``; or csv with a header (video, label, start, end).

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is none of these.
    """
    path = Path(path)
    if path.is_dir() and (path / "annotations.json").is_file():
        path = path / "annotations.json"
    if path.is_dir():
        return _thumos_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such ground truth")
    if path.suffix.lower() in (".csv", ".tsv"):
        frame = _from_csv(path, COLUMNS[:4])
        database: dict[str, Any] = {}
        for video, label, start, end in frame.itertuples(index=False, name=None):
            database.setdefault(str(video), {"annotations": []})["annotations"].append({"label": label, "segment": [start, end]})
        return {"database": database}
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        raise DataError(f"{path}: expected ActivityNet-style json with the key 'database', a feature folder, THUMOS14's folder, or csv")
    return content


def subset_of(truth: Mapping[str, Any], detections: pd.DataFrame, where: str) -> str | None:
    """The one subset of a ground truth that holds every video with detections; None where no video has a subset.

    Raises:
        DataError: they lie in several subsets, or in none.
    """
    subsets = {video: entry.get("subset") for video, entry in truth["database"].items()}
    present = sorted({s for s in subsets.values() if isinstance(s, str)})
    if len(present) < 2:
        return present[0] if present else None
    used = sorted({s for v in detections["video_id"].unique() if isinstance(s := subsets.get(v), str)})
    if len(used) != 1:
        clause = f"are in {used}" if used else "are in none of them"
        cause = "" if used else likely_cause(list(detections["video_id"].unique()), subsets)
        raise DataError(
            f"{where}: has the subsets {present}, and the videos with detections {clause}; name the one to score with --subset{cause}"
        )
    return used[0]


def write_detections(path: str | Path, detections: pd.DataFrame) -> None:
    """Write detections, by the file's ending: ActivityNet's results ``.json``, ``.csv``, or THUMOS14's text ``.txt`` with class names.

    In csv, a name that a spreadsheet would take for a formula has an apostrophe before it, which :func:`read_detections` takes away.

    Raises:
        ValueError: another ending.
        OSError: it cannot be written.
    """
    path = Path(path)
    columns = list(COLUMNS)
    if path.suffix == ".json":
        results: dict[str, list[dict[str, Any]]] = {}
        for video, label, start, end, score in detections[columns].itertuples(index=False, name=None):
            results.setdefault(str(video), []).append({"label": label, "score": score, "segment": [start, end]})
        text = json.dumps({"version": "VERSION 1.3", "results": results, "external_data": {}})
    elif path.suffix == ".csv":
        text = csv_text(detections[columns])
    elif path.suffix == ".txt":
        if spaced := sorted({x for c in columns[:2] for x in detections[c] if " " in str(x)}):
            raise ValueError(f"{path}: text has blanks between its columns, and {spaced[0]!r} has one inside; write .json or .csv")
        text = detections[["video_id", "start_s", "end_s", "label", "score"]].to_csv(
            sep=" ", index=False, header=False, lineterminator="\n"
        )
    else:
        raise ValueError(f"{path}: detections are written as .json, .csv or .txt, got the ending {path.suffix!r}")
    with atomic_write(path) as file:
        file.write(text.encode())


def _from_json(path: Path) -> pd.DataFrame:
    content = read_json(path, DETECTIONS_LIMIT)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise DataError(f"{path}: expected {FORMATS}")
    rows, problems = [], []
    for video, entries in results.items():
        if not isinstance(entries, list):
            problems.append(f"{video}: expected a list of detections, got {quoted(entries, 60)}")
            continue
        for d in entries:
            try:
                (start, end), label, score = d["segment"], d["label"], d["score"]
                if isinstance(label, bool) or not (isinstance(label, (str, int)) and all(map(is_finite_number, (start, end, score)))):
                    raise TypeError
                rows.append((video, label, float(start), float(end), float(score)))
            except (KeyError, TypeError, ValueError):
                problems.append(f"{video}: expected 'label', 'segment' [start_s, end_s] and 'score', text and numbers, got {quoted(d, 80)}")
    raise_problems(path, problems)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _from_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    text = read_text(path, DETECTIONS_LIMIT)
    first = text.partition("\n")[0]
    separator = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    with foreign_errors(path, "not a readable csv table"):
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    header = [name.strip().lower() for name in rows[0]] if rows else []
    places = {}
    for column in columns:
        fitting = [i for i, name in enumerate(header) if name in _NAMES[column]]
        if len(fitting) != 1:
            raise DataError(f"{path}: needs one column {' or '.join(_NAMES[column][:3])}; its first line is {quoted(first.strip(), 120)}")
        places[column] = fitting[0]
    cells = [(n, [csv_cell_read(row[i]) if i < len(row) else "" for i in places.values()]) for n, row in enumerate(rows[1:], 2) if row]
    return _table(path, cells, columns)


def _from_text(path: Path) -> pd.DataFrame:
    rows, problems = [], []
    for number, line in enumerate(read_text(path, DETECTIONS_LIMIT).splitlines(), start=1):
        parts = line.split("\t") if line.count("\t") == 4 else line.replace(",", " ").split()
        if len(parts) == 5:
            rows.append((number, [parts[0], parts[3], parts[1], parts[2], parts[4]]))
        elif line.strip():
            problems.append(f"line {number}: expected 'video start end class score', got {quoted(line, 80)}")
    raise_problems(path, problems, f"accepted: {FORMATS}")
    frame = _table(path, rows, COLUMNS)
    videos = frame["video_id"].map(lambda v: v.rsplit(".", 1)[0] if v.lower().endswith(_MEDIA) else v)
    return frame.assign(video_id=videos)


def _table(path: Path, rows: Sequence[tuple[int, list[str]]], columns: Sequence[str]) -> pd.DataFrame:
    out, problems = [], []
    for number, row in rows:
        try:
            if any("_" in number for number in row[2:]):  # which Python would read
                raise ValueError
            out.append((row[0].strip(), row[1].strip(), *map(float, row[2:])))
            if not all(out[-1][:2]):
                problems.append(f"line {number}: video and label must not be empty, got {quoted(row)}")
        except ValueError:
            problems.append(f"line {number}: {' and '.join(columns[2:])} must be numbers, got {quoted(row)}")
    raise_problems(path, problems)
    return pd.DataFrame(out, columns=list(columns))


def _named(path: Path, labels: pd.Series, names: Mapping[str, str] | None) -> pd.Series:
    """Labels with numbers replaced by names; other labels as they are."""
    texts = {str(label) for label in labels.unique()}
    numbers = {label for label in texts if label.isdecimal()}
    if not numbers:
        return labels
    if names is None:
        names = {str(n): name for name, n in THUMOS14_CLASSES.items()}
        values = {int(n) for n in numbers}
        if len(numbers) < len(texts) or not values <= set(range(1, 102)) or (max(values) <= len(names) and not numbers <= set(names)):
            raise DataError(
                f"{path}: {len(numbers)} classes are numbers that are not THUMOS14's of 1 to 101 (its 20 are {', '.join(names)}): "
                f"{', '.join(sorted(numbers, key=int)[:10])}; give the file that names them (--classes)"
            )
    elif unknown := sorted(numbers - set(names), key=int):
        raise DataError(f"{path}: the file of classes does not name the number(s) {', '.join(unknown[:10])}")
    return labels.map(lambda label: names.get(str(label), str(label)))


def _class_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of classes")
    lines = [line.split(maxsplit=1) for line in read_text(path).splitlines() if line.strip()]
    if all(len(line) == 2 and line[0].isdecimal() for line in lines):
        return {str(int(number)): name.strip() for number, name in lines}
    return {str(i): " ".join(line).strip() for i, line in enumerate(lines)}


def _thumos_folder(folder: Path) -> dict[str, Any]:
    names = {"val": "validation", "test": "test"}
    files = sorted(f for s in names for f in folder.glob(f"*_{s}.txt"))
    if not files:
        raise DataError(f"{folder}: neither a feature folder (annotations.json) nor THUMOS14's text files <Class>_{{val,test}}.txt")
    database: dict[str, Any] = {}
    problems = []
    for file in files:
        label, _, subset = file.stem.rpartition("_")
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            if not line.strip():
                continue
            try:
                video, start, end = line.split()
                segment = [float(start), float(end)]
            except ValueError:
                problems.append(f"{file.name}, line {number}: expected 'video start_s end_s', got {quoted(line, 80)}")
                continue
            entry = database.setdefault(video, {"subset": names[subset], "annotations": [], "ambiguous": []})
            if is_ambiguous(label):
                entry["ambiguous"].append(segment)
            else:
                entry["annotations"].append({"label": label, "segment": segment})
    raise_problems(folder, problems)
    return {"database": database}
