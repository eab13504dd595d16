"""Official annotations in text: THUMOS14 and MultiTHUMOS, EPIC-KITCHENS-100, G-TAD's tables; and tables of durations and subsets."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nontarget.class_names import AMBIGUOUS, is_ambiguous
from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.files import header_of, lines_of, rows_of
from nontarget.data.releases.labels import clock
from nontarget.data.releases.records import AnnotationTable, Entry, Instance
from nontarget.data.releases.tables import seconds

THUMOS_FILE = r"(?P<label>[A-Za-z]\w*)_(?P<subset>val|test)\.txt"
EPIC_COLUMNS = {"video_id", "start_timestamp", "stop_timestamp"}
GTAD_COLUMNS = {"video", "type", "type_idx", "start", "end", "startFrame", "endFrame"}
INSTANCE_COLUMNS = {"video-name", "frame-rate", "video-duration", "video-frames"}
THUMOS_RATES = (30.0, 30000 / 1001, 25.0, 24.0)


def _class_file(path: Path) -> tuple[list[tuple[str, float, float]], list[str]]:
    """The lines ``video start end`` of a class's file, and those that are something else."""
    rows, problems = [], []
    for line in lines_of(path):
        parts = line.split()
        try:
            video, start, end = parts
            rows.append((video, *seconds((start, end))))
        except ValueError:
            problems.append(f"{path.name}: expected 'video start_s end_s', got {line!r}")
    return rows, problems


def is_class_file(path: Path) -> bool:
    """Whether the first line is ``video start end``; an empty file has no line that is not."""
    first = next(lines_of(path), "").split()
    return not first or (len(first) == 3 and all(re.fullmatch(r"-?\d+(\.\d+)?", x) for x in first[1:]))


def read_thumos_text(paths: Sequence[Path]) -> AnnotationTable:
    """``<Class>_val.txt`` and ``<Class>_test.txt``; a class may have no line, and ``Ambiguous`` is none.

    Raises:
        DataError: lines are not ``video start end``.
    """
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    classes, empty = set(), 0
    for path in paths:
        match = re.fullmatch(THUMOS_FILE, path.name)
        assert match
        classes.add(match["label"])
        rows, wrong = _class_file(path)
        problems += wrong
        empty += not rows
        for video, start, end in rows:
            entries.setdefault(video, Entry(subset=match["subset"])).instances.append(Instance(match["label"], start, end))
    raise_problems(paths[0].parent, problems)
    notes = ["durations are not in these files: they come from the features, or from durations="]
    notes += [f"{empty} class file(s) are empty, which is normal"] if empty else []
    return AnnotationTable("thumos14-text", tuple(paths), entries, tuple(sorted(c for c in classes if not is_ambiguous(c))), notes)


def read_multithumos_text(class_list: Path, paths: Sequence[Path]) -> AnnotationTable:
    """``class_list.txt`` (``number name``) and ``annotations/<Class>.txt``; a video's subset stands in its name.

    Raises:
        DataError: lines are wrong, a class has no file, or a video's name does not say its subset.
    """
    names = [line.split(maxsplit=1)[1].strip() for line in lines_of(class_list)]
    files = {p.stem: p for p in paths}
    problems = [f"{name}: no file {name}.txt in annotations/" for name in names if name not in files]
    entries: dict[str, Entry] = {}
    for name in names:
        rows, wrong = _class_file(files[name]) if name in files else ([], [])
        problems += wrong
        for video, start, end in rows:
            subset = next((s for s in ("validation", "test") if f"_{s}_" in video), None)
            if subset is None:
                problems.append(f"{video}: the name must contain _validation_ or _test_")
            entries.setdefault(video, Entry(subset=subset)).instances.append(Instance(name, start, end))
    raise_problems(class_list, problems)
    return AnnotationTable("multithumos-text", (class_list, *paths), entries, tuple(names), ["a video's subset is in its name"])


def read_epic_csv(paths: Sequence[Path], task: str | None) -> AnnotationTable:
    """``EPIC_100_{train,validation}.csv``, ``_test_timestamps.csv`` and ``_video_info.csv``; the labels are ``verb_<n>`` or ``noun_<n>``.

    Raises:
        DataError: the task is not given, or rows are wrong.
    """
    if task not in ("verb", "noun"):
        raise DataError(f"{paths[0].parent}: verb_class and noun_class are two tasks; give task='verb' or task='noun', got {task!r}")
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    notes = []
    info: dict[str, float] = {}
    for path in paths:
        columns = set(header_of(path))
        if "duration" in columns:
            info |= {row["video_id"]: float(row["duration"]) for row in rows_of(path)}
            continue
        labeled = f"{task}_class" in columns
        subset = next((s for s in ("train", "validation", "test") if f"_{s}" in path.stem), path.stem)
        rows = rows_of(path)
        for number, row in enumerate(rows, start=2):
            entry = entries.setdefault(row["video_id"], Entry(subset=subset))
            try:
                if labeled:
                    times = clock(row["start_timestamp"]), clock(row["stop_timestamp"])
                    entry.instances.append(Instance(f"{task}_{int(row[f'{task}_class'])}", *times))
            except ValueError as error:
                problems.append(f"{path.name}, line {number}, {row['video_id']}: {error}")
        if not labeled:
            notes.append(f"{path.name}: {len(rows)} rows with times but without labels")
    raise_problems(paths[0].parent, problems)
    for video, entry in entries.items():
        entry.duration_s = info.get(video)
    return AnnotationTable("epic-csv", tuple(paths), entries, notes=notes)


def read_gtad_tables(paths: Sequence[Path]) -> AnnotationTable:
    """``{val,test}_Annotation.csv``, where a video's rate is in endFrame / end alone, and ``*_groundtruth.csv``, which states it.

    Raises:
        DataError: rows are wrong, or no known frame rate fits a video's rows.
    """
    entries: dict[str, Entry] = {}
    times: dict[str, list[tuple[float, float]]] = {}
    stated: dict[str, tuple[float, float]] = {}
    for path in paths:
        if set(header_of(path)) >= INSTANCE_COLUMNS:
            stated |= {r["video-name"]: (float(r["frame-rate"]), float(r["video-duration"])) for r in rows_of(path)}
            continue
        subset = path.stem.removesuffix("_Annotation")
        for row in rows_of(path):
            start, end = seconds((row["start"], row["end"]))
            label = AMBIGUOUS if int(row["type_idx"]) <= 0 else row["type"]
            entries.setdefault(row["video"], Entry(subset=subset)).instances.append(Instance(label, start, end))
            times.setdefault(row["video"], []).extend([(start, float(row["startFrame"])), (end, float(row["endFrame"]))])
    problems, notes, unsure = [], ["the frame rates of videos without a row in *_groundtruth.csv are only in endFrame / end"], []
    for video, entry in entries.items():
        if video in stated:
            entry.fps, entry.duration_s = stated[video]
            continue
        fitting = [rate for rate in THUMOS_RATES if all(abs(t * rate - frame) <= 1.01 for t, frame in times[video])]
        entry.fps = fitting[0] if fitting else None
        if not fitting:
            problems.append(f"{video}: none of the rates {[round(r, 2) for r in THUMOS_RATES]} fits its start and end frames")
        elif len(fitting) > 1:
            unsure.append(f"{video} ({' or '.join(f'{r:.2f}' for r in fitting)})")
    raise_problems(paths[0].parent, problems, "give fps=, the frames per second of the videos")
    if unsure:
        notes.append(f"{len(unsure)} video(s) whose frames fit two rates, of which the first is taken: {', '.join(unsure[:3])}")
    return AnnotationTable("gtad-tables", tuple(paths), entries, notes=notes)


def read_column(path: Path, column: str) -> dict[str, str]:
    """One column of a table by the column ``video``.

    Raises:
        DataError: it has no such columns.
    """
    header = [c.strip().lower() for c in header_of(path)]
    if "video" not in header or column not in header:
        raise DataError(f"{path}: expected a table with the columns video,{column}, got the header {header}")
    where = header_of(path)[header.index("video")], header_of(path)[header.index(column)]
    return {row[where[0]]: row[where[1]] for row in rows_of(path)}


def read_durations(source: Mapping[str, float] | str | Path) -> dict[str, float]:
    """Durations in seconds by video: a mapping, or a table with the columns ``video,duration``.

    Raises:
        DataError: it is no such table, or a duration is no positive number.
    """
    raw = dict(source) if isinstance(source, Mapping) else read_column(Path(source), "duration")
    problems, durations = [], {}
    for video, value in raw.items():
        try:
            durations[video] = float(value)
        except ValueError:
            durations[video] = 0.0
        if not 0 < durations[video] < float("inf"):
            problems.append(f"{video}: duration must be a positive number of seconds, got {value!r}")
    raise_problems(Path("durations") if isinstance(source, Mapping) else Path(source), problems)
    return durations
