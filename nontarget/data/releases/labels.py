"""What labelling tools export: ELAN, VIA, BORIS, Audacity, subtitles and a plain table, each told apart by its content."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.boris import read_boris_project, read_boris_table
from nontarget.data.releases.files import lines_of
from nontarget.data.releases.records import AnnotationTable, Entry, Instance
from nontarget.data.releases.tables import seconds
from nontarget.runtime.readers import read_json

Rows = Iterator[tuple[str, Instance]]
LABEL_KINDS = ("ELAN", "SubRip", "BORIS project", "BORIS table", "VIA project", "VIA table", "table", "Audacity")


def label_kind(path: Path) -> str | None:
    """Which tool wrote a file; None: none of those known."""
    suffix = path.suffix.lower()
    if suffix in (".eaf", ".srt", ".boris"):
        return {".eaf": "ELAN", ".srt": "SubRip", ".boris": "BORIS project"}[suffix]
    if suffix == ".json":
        content = read_json(path)
        if isinstance(content, dict) and {"metadata", "attribute", "view"} <= content.keys():
            return "VIA project"
        return "BORIS project" if isinstance(content, dict) and {"observations", "behaviors_conf"} <= content.keys() else None
    if suffix not in (".csv", ".tsv", ".txt"):
        return None
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(8192)
    if "# CSV_HEADER" in head:
        return "VIA table"
    if "Behavior" in head and ("Start (s)" in head or "Status" in head or "Behavior type" in head):
        return "BORIS table"
    first = next((line for line in head.splitlines() if line.strip()), "")
    if suffix == ".csv":
        return "table" if {"video", "start", "end", "label"} <= {c.strip().lower() for c in first.split(",")} else None
    return "Audacity" if re.fullmatch(r"-?\d+(\.\d+)?\t-?\d+(\.\d+)?\t.*", first) else None


def read_label_file(path: Path, task: str | None = None) -> AnnotationTable:
    """The instances that a labelling tool's file holds.

    Args:
        path: the file.
        task: the tier (ELAN) or attribute (VIA), where there are several.

    Raises:
        DataError: no such tool wrote it, there are several tiers or attributes, or lines in it are wrong, which are listed.
    """
    kind = label_kind(path)
    if kind is None:
        raise DataError(
            f"{path}: not recognised as annotations; expected a file of ELAN (.eaf), VIA 3 (.json, .csv), BORIS (.boris, .csv, .tsv), "
            "Audacity (.txt), a subtitle file (.srt), or a table with the columns video,start,end,label"
        )
    if kind == "BORIS project":
        return read_boris_project(path)
    if kind == "BORIS table":
        return read_boris_table(path)
    notes: list[str] = []
    readers: dict[str, Callable[[], Rows]] = {
        "ELAN": lambda: _elan(path, task, notes),
        "SubRip": lambda: _srt(path),
        "VIA project": lambda: _via_project(path, task, notes),
        "VIA table": lambda: _via_table(path, task, notes),
        "Audacity": lambda: _audacity(path, notes),
    }
    if kind == "table":
        return _table(path)
    entries: dict[str, Entry] = {}
    for video, instance in readers[kind]():
        entries.setdefault(video, Entry()).instances.append(instance)
    return AnnotationTable(kind, (path,), entries, notes=notes)


def video_of(name: str) -> str:
    """The id of a video from the name of its file."""
    return PurePosixPath(name.replace("\\", "/")).stem


def _table(path: Path) -> AnnotationTable:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [c.strip().lower() for c in reader.fieldnames or ()]
        entries: dict[str, Entry] = {}
        problems = []
        for number, row in enumerate(reader, start=2):
            try:
                entry = entries.setdefault(row["video"], Entry())
                entry.subset = row.get("subset") or entry.subset
                entry.duration_s = float(row["duration"]) if row.get("duration") else entry.duration_s
                entry.instances.append(Instance(row["label"], *seconds((row["start"], row["end"]))))
            except ValueError as error:
                problems.append(f"line {number}, {row['video']}: {error}")
    raise_problems(path, problems, "expected rows video,start,end,label with times in seconds")
    return AnnotationTable("table", (path,), entries)


def _audacity(path: Path, notes: list[str]) -> Rows:
    video, points = path.stem.removesuffix("_audacity").removesuffix("_labels"), 0
    for line in lines_of(path):
        if line.startswith("\\"):
            continue  # the frequency range of the label above
        parts = line.split("\t")
        if len(parts) != 3:
            raise DataError(f"{path}: expected 'start TAB end TAB label', got {line!r}")
        start, end = seconds(parts[:2])
        if start == end:
            points += 1
            continue
        yield video, Instance(parts[2], start, end)
    if points:
        notes.append(f"{path.name}: {points} point label(s) without length left out")


def _srt(path: Path) -> Rows:
    text = path.read_text(encoding="utf-8-sig")
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        lines = block.strip().splitlines()
        times = [k for k, line in enumerate(lines) if "-->" in line]
        if not times:
            raise DataError(f"{path}: expected 'HH:MM:SS,mmm --> HH:MM:SS,mmm' and a label, got {block!r}")
        start, end = (clock(part) for part in lines[times[0]].split("-->"))
        yield path.stem, Instance(" ".join(lines[times[0] + 1 :]).strip(), start, end)


def clock(text: str) -> float:
    """Seconds of ``HH:MM:SS.ss`` or ``HH:MM:SS,mmm``.

    Raises:
        ValueError: it is no such time.
    """
    match = re.match(r"\s*(\d+):(\d\d):(\d\d(?:[.,]\d+)?)", text)
    if not match:
        raise ValueError(f"time must be HH:MM:SS.ss, got {text!r}")
    hours, minutes, rest = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))


def _elan(path: Path, task: str | None, notes: list[str]) -> Rows:
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not an XML file ({error})") from None
    header = root.find("HEADER")
    units = header.get("TIME_UNITS", "milliseconds") if header is not None else "milliseconds"
    if units != "milliseconds":
        raise DataError(f"{path}: TIME_UNITS must be milliseconds, got {units!r}; save the file anew in ELAN")
    media = header.find("MEDIA_DESCRIPTOR") if header is not None else None
    video = video_of(media.get("MEDIA_URL") or path.stem) if media is not None else path.stem
    origin_ms = float(media.get("TIME_ORIGIN", 0)) if media is not None else 0.0
    times = _elan_slots(root)
    tiers: dict[str, dict[str, tuple[float, float, str]]] = {}
    for tier in root.iter("TIER"):
        for a in tier.iter("ALIGNABLE_ANNOTATION"):
            start, end = (times[a.attrib[f"TIME_SLOT_REF{k}"]] for k in (1, 2))
            tiers.setdefault(tier.attrib["TIER_ID"], {})[a.attrib["ANNOTATION_ID"]] = (start, end, a.findtext("ANNOTATION_VALUE") or "")
    chosen = (
        _elan_reference_tier(root, task, tiers) if task and task not in tiers else tiers.get(choose_task(path, "tier", tiers, task), {})
    )
    others = sorted(t.attrib["TIER_ID"] for t in root.iter("TIER") if t.attrib["TIER_ID"] not in tiers and t.attrib["TIER_ID"] != task)
    if others:
        notes.append(f"{path.name}: the tier(s) {', '.join(others)} refer to others and are left out")
    for start, end, label in chosen.values():
        yield video, Instance(label.strip(), (start + origin_ms) / 1000, (end + origin_ms) / 1000)


def _elan_slots(root: ElementTree.Element) -> dict[str, float]:
    """Time of each slot in ms; those without a time lie evenly between their neighbours, as ELAN shows them."""
    slots = [(s.attrib["TIME_SLOT_ID"], s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")]
    timed = [k for k, (_, value) in enumerate(slots) if value is not None]
    times = {}
    for k, (name, value) in enumerate(slots):
        before = max((j for j in timed if j <= k), default=None)
        after = min((j for j in timed if j >= k), default=before)
        before = after if before is None else before
        if before is None or after is None:
            continue  # no slot has a time
        low, high = float(slots[before][1] or 0), float(slots[after][1] or 0)
        times[name] = float(value) if value is not None else low + (high - low) * (k - before) / max(1, after - before)
    return times


def _elan_reference_tier(
    root: ElementTree.Element, task: str, tiers: dict[str, dict[str, tuple[float, float, str]]]
) -> dict[str, tuple[float, float, str]]:
    """A tier whose annotations have the times of those that they refer to."""
    times = {name: (start, end) for members in tiers.values() for name, (start, end, _) in members.items()}
    annotations = {}
    for tier in root.iter("TIER"):
        for a in tier.iter("REF_ANNOTATION"):
            reference = times.get(a.attrib["ANNOTATION_REF"])
            if reference:
                times[a.attrib["ANNOTATION_ID"]] = reference
                if tier.attrib["TIER_ID"] == task:
                    annotations[a.attrib["ANNOTATION_ID"]] = (*reference, a.findtext("ANNOTATION_VALUE") or "")
    if not annotations:
        raise DataError(f"task={task!r}: no such tier; the tiers are {sorted({t.attrib['TIER_ID'] for t in root.iter('TIER')})}")
    return annotations


def choose_task(path: Path, what: str, choices: Any, task: str | None) -> str:
    """The only one of several tiers or attributes, or the one that the user named.

    Raises:
        DataError: there are several and none was named, or there is none of that name.
    """
    names = list(choices)
    if task is not None and task in names:
        return task
    if task is None and len(names) <= 1:
        return names[0] if names else ""
    raise DataError(
        f"{path}: has the {what}s {names}; give task=NAME to say which one holds the labels" + (f", got {task!r}" if task else "")
    )


def _via_label(path: Path, attributes: dict[str, Any], values: dict[str, Any], task: str | None) -> str:
    """The label of one segment: an option's text, or free text."""
    names = {attributes.get(k, {}).get("aname", k): k for k in values}
    key = names.get(choose_task(path, "attribute", names, task), "")
    value = values.get(key, "")
    return str(attributes.get(key, {}).get("options", {}).get(value, value))


def _via_project(path: Path, task: str | None, notes: list[str]) -> Rows:
    content = read_json(path)
    files, views, left_out = content["file"], content["view"], 0
    for item in content["metadata"].values():
        z = item.get("z") or []
        if len(z) != 2:
            left_out += 1
            continue
        name = files[str(views[str(item["vid"])]["fid_list"][0])]["fname"]
        yield video_of(name), Instance(_via_label(path, content["attribute"], item.get("av") or {}, task), *seconds(z))
    if left_out:
        notes.append(f"{path.name}: {left_out} entr(y/ies) without a start and an end, such as boxes in still frames, left out")


def _via_table(path: Path, task: str | None, notes: list[str]) -> Rows:
    lines = list(lines_of(path))
    comments = {k.strip("# ").strip(): v.strip() for k, _, v in (line.partition("=") for line in lines if line.startswith("#"))}
    header = comments["CSV_HEADER"].split(",")
    attributes = json.loads(comments["ATTRIBUTE"]) if "ATTRIBUTE" in comments else {}
    left_out = 0
    for row in csv.DictReader(io.StringIO("\n".join(line for line in lines if not line.startswith("#"))), fieldnames=header):
        if "temporal_coordinates" in row:
            z = json.loads(row["temporal_coordinates"])
        else:
            z = [row[k] for k in ("temporal_segment_start", "temporal_segment_end") if row.get(k)]
        if len(z) != 2:
            left_out += 1
            continue
        yield (
            video_of(json.loads(row["file_list"])[0]),
            Instance(_via_label(path, attributes, json.loads(row["metadata"]), task), *seconds(z)),
        )
    if left_out:
        notes.append(f"{path.name}: {left_out} row(s) without a start and an end left out")
