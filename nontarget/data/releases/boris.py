"""Annotations made in BORIS: its project file, its aggregated events and its tabular export."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.files import lines_of
from nontarget.data.releases.records import AnnotationTable, Entry, Instance
from nontarget.runtime.readers import read_json

Event = tuple[float, str, str]
"""(time in seconds, subject, behaviour)."""


def read_boris_project(path: Path) -> AnnotationTable:
    """State events of a ``.boris`` file, in pairs of start and stop of equal subject and behaviour; point events have no length.

    Raises:
        DataError: a state event was started and not stopped, or an observation has several media files in a row.
    """
    content = read_json(path)
    states = {b["code"] for b in content["behaviors_conf"].values() if b["type"].lower().startswith("state")}
    entries: dict[str, Entry] = {}
    problems, notes, points = [], [], 0
    for name, observation in content["observations"].items():
        media = [f for files in observation["file"].values() for f in files]
        if len(media) != 1:
            problems.append(f"{name}: has {len(media)} media files; observations of one media file are read")
            continue
        events = [(float(e[0]), str(e[1]), str(e[2])) for e in observation["events"]]
        instances, odd = _pairs([e for e in events if e[2] in states])
        problems += [f"{name}: {line}" for line in odd]
        points += sum(e[2] not in states for e in events)
        if observation.get("time offset"):
            notes.append(f"{name}: the time offset of {observation['time offset']} s is not added to times in the video")
        length = observation.get("media_info", {}).get("length", {}).get(media[0])
        entry = entries.setdefault(_video(media[0]), Entry(duration_s=float(length) if length else None))
        entry.instances += instances
    raise_problems(path, problems)
    if points:
        notes.append(f"{path.name}: {points} point event(s) left out")
    return AnnotationTable("BORIS project", (path,), entries, notes=notes)


def _pairs(events: Sequence[Event]) -> tuple[list[Instance], list[str]]:
    """Starts with their stops, in the order of the starts, and those that have none."""
    opened: dict[tuple[str, str], float] = {}
    instances = []
    for time, subject, code in sorted(events, key=lambda e: e[0]):
        start = opened.pop((subject, code), None)
        if start is None:
            opened[subject, code] = time
        else:
            instances.append(Instance(code, start, time))
    odd = [f"{code!r} is started at {time:g} s and not stopped" for (_, code), time in opened.items()]
    return sorted(instances, key=lambda i: (i.start_s, i.end_s)), odd


def read_boris_table(path: Path) -> AnnotationTable:
    """Aggregated events (``Start (s)``, ``Stop (s)``) or the tabular export (``Time`` and ``START``/``STOP``), with a preamble or without.

    Raises:
        DataError: a column is missing, or a state event was started and not stopped.
    """
    lines = list(lines_of(path))
    delimiter = "\t" if any("\t" in line and "Behavior" in line for line in lines) else ","
    first = next((k for k, line in enumerate(lines) if {"Behavior", "Subject"} <= {c.strip('"') for c in line.split(delimiter)}), None)
    if first is None:
        raise DataError(f"{path}: no header with the columns 'Behavior' and 'Subject', as BORIS exports them")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines[first:])), delimiter=delimiter))
    columns = set(rows[0]) if rows else set()
    media = next((c for c in ("Media file name", "Media file", "Media file path") if c in columns), None)
    length = next((c for c in ("Media duration (s)", "Total length") if c in columns), None)
    aggregated = {"Start (s)", "Stop (s)"} <= columns
    status = next((c for c in ("Status", "Behavior type") if c in columns), None)
    if rows and (media is None or (status is None and not aggregated)):
        raise DataError(
            f"{path}: expected the columns 'Media file name', and 'Start (s)' and 'Stop (s)' or 'Time' and 'Status', got {sorted(columns)}"
        )
    entries: dict[str, Entry] = {}
    events: dict[str, list[Event]] = {}
    points = 0
    for row in rows:
        video = _video(row[media or ""].split(":", 1)[-1] if row[media or ""].startswith("player #") else row[media or ""])
        entry = entries.setdefault(video, Entry())
        if length and row[length]:
            entry.duration_s = float(row[length])
        kind = row[status or ""].upper() if status else "STATE"
        if kind == "POINT" or (aggregated and row["Start (s)"] == row["Stop (s)"]):
            points += 1
        elif aggregated:
            entry.instances.append(Instance(row["Behavior"], float(row["Start (s)"]), float(row["Stop (s)"])))
        else:
            events.setdefault(video, []).append((float(row["Time"]), row["Subject"], row["Behavior"]))
    problems = []
    for video, video_events in events.items():
        entries[video].instances, odd = _pairs(video_events)
        problems += [f"{video}: {line}" for line in odd]
    raise_problems(path, problems)
    return AnnotationTable("BORIS table", (path,), entries, notes=[f"{path.name}: {points} point event(s) left out"] if points else [])


def _video(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem
