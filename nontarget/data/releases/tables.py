"""Annotation files in JSON: told apart by their structure, read into one kind of table."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.records import AnnotationTable, Entry, Instance


def kind_of(content: Any) -> str | None:
    """What a JSON file is, from its keys alone; None: none of those known.

    ``har``: WEAR's family. ``opentad``, ``actionformer``, ``activitynet``, ``hacs``, ``database``: a ``database``, by its entries.
    ``bmn``, ``actions``, ``tadtr-info``: entries without a ``database``. ``ids``: a list of names. ``via``, ``boris``: labelling tools.
    """
    if isinstance(content, list):
        return "ids" if content and all(isinstance(item, str) for item in content) else None
    if not isinstance(content, dict):
        return None
    if {"metadata", "attribute", "view"} <= content.keys():
        return "via"
    if "observations" in content and "behaviors_conf" in content:
        return "boris"
    if isinstance(content.get("database"), dict):
        return _kind_of_database(content)
    entry = next(iter(content.values()), None)
    if not isinstance(entry, dict):
        return None
    keys = {"duration_second": "bmn", "actions": "actions", "feature_length": "tadtr-info"}
    return next((kind for key, kind in keys.items() if key in entry), None)


def _kind_of_database(content: dict[str, Any]) -> str:
    entries = [e for e in content["database"].values() if isinstance(e, dict)]
    if "feature_fps" in content and not any("fps" in e or "frame" in e for e in entries):
        return "feature-folder"
    if "label_dict" in content:
        return "har"
    if any("frame" in e for e in entries):
        return "opentad"
    if any("fps" in e for e in entries) and any(
        "label_id" in a for e in entries for a in e.get("annotations") or () if isinstance(a, dict)
    ):
        return "actionformer"
    if any(isinstance(e.get("duration"), str) for e in entries):
        return "hacs"
    if content.get("taxonomy") or any("url" in e for e in entries):
        return "activitynet"
    return "database"


def read_annotation_table(path: Path, content: Any) -> AnnotationTable:
    """An annotation file of a kind that holds instances.

    Raises:
        DataError: it is of no such kind, or places in it are wrong, which are listed.
    """
    kind = kind_of(content)
    if kind == "bmn":
        return _read(path, kind, content, _bmn_entry)
    if kind == "actions":
        return _read(path, kind, content, _actions_entry)
    if kind in ("har", "opentad", "actionformer", "hacs", "activitynet", "database"):
        return _read_database(path, kind, content)
    raise DataError(
        f"{path}: no annotations of a known kind; expected an object with a 'database', or entries with 'duration_second' or 'actions'"
    )


def _read(path: Path, kind: str, entries: dict[str, Any], read: Callable[[dict[str, Any]], Entry]) -> AnnotationTable:
    problems: list[str] = []
    parsed_entries = {}
    for video, raw in entries.items():
        try:
            parsed_entries[video] = read(raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"{video}: {f'lacks {error}' if isinstance(error, KeyError) else error}")
    raise_problems(path, problems, f"expected entries as in the layout {kind!r}")
    return AnnotationTable(kind, (path,), parsed_entries)


def _read_database(path: Path, kind: str, content: dict[str, Any]) -> AnnotationTable:
    table = _read(path, kind, content["database"], _database_entry)
    stated = content.get("label_dict") or content.get("classes")
    table.classes = tuple(stated) if stated else _taxonomy_leaves(content) or None
    numbers: dict[str, set[int]] = {}
    for entry in content["database"].values():
        for a in entry.get("annotations") or ():
            if "label_id" in a:
                numbers.setdefault(a["label"], set()).add(a["label_id"])
    raise_problems(path, [f"the class {c!r} has the numbers {sorted(n)}; expected one" for c, n in numbers.items() if len(n) > 1])
    used = {n for ns in numbers.values() for n in ns}
    unused = sorted(set(range(max(used, default=-1) + 1)) - used)
    if unused and kind != "har":
        some = ", ".join(map(str, unused[:5])) + (" ..." if len(unused) > 5 else "")
        table.notes.append(f"label_id {sorted(used)[0]} to {max(used)}: class(es) {some} have no instance")
    if any(isinstance(a["segment"][0], str) for e in content["database"].values() for a in e.get("annotations") or ()):
        table.notes.append(f"{path.name}: segments are strings")
    if any(isinstance(e.get("duration"), str) for e in content["database"].values()):
        table.notes.append(f"{path.name}: durations are strings")
    return table


def _taxonomy_leaves(content: dict[str, Any]) -> tuple[str, ...]:
    """ActivityNet's classes are the nodes of its taxonomy that have no children; only those in use are kept."""
    nodes = content.get("taxonomy") or []
    parents = {node.get("parentId") for node in nodes}
    leaves = {node["nodeName"] for node in nodes if node.get("nodeId") not in parents}
    used = {a["label"] for e in content["database"].values() for a in e.get("annotations") or ()}
    return tuple(sorted(leaves)) if used and used <= leaves else ()


def _database_entry(raw: dict[str, Any]) -> Entry:
    frames = raw.get("frame", raw.get("frames"))
    return Entry(
        subset=str(raw["subset"]),
        duration_s=_positive("duration", raw.get("duration")),
        instances=[Instance(str(a["label"]), *seconds(a["segment"])) for a in raw.get("annotations") or ()],
        fps=_positive("fps", raw.get("fps")),
        frames=_positive("frame", frames),
    )


def _bmn_entry(raw: dict[str, Any]) -> Entry:
    duration, frames = _positive("duration_second", raw["duration_second"]), _positive("duration_frame", raw["duration_frame"])
    covered = _positive("feature_frame", raw["feature_frame"])
    assert duration is not None
    assert frames is not None
    assert covered is not None
    instances = [Instance(str(a["label"]), *seconds(a["segment"])) for a in raw["annotations"]]
    details: dict[str, float | str] = {"corrected_duration_s": covered / frames * duration}
    return Entry(None, duration, instances, _positive("fps", raw.get("fps")), frames, covered, details)


def _actions_entry(raw: dict[str, Any]) -> Entry:
    instances = []
    for action in raw["actions"]:
        label, start, end = action
        instances.append(Instance(str(int(label)), *seconds([start, end])))
    return Entry(str(raw["subset"]), _positive("duration", raw["duration"]), instances)


def seconds(segment: Any) -> tuple[float, float]:
    """Start and end of a segment, which may be strings.

    Raises:
        ValueError: they are not two finite numbers.
    """
    try:
        start, end = (float(x) for x in segment)
    except (TypeError, ValueError):
        raise ValueError(f"segment must be [start_s, end_s], got {segment!r}") from None
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ValueError(f"segment must be finite, got {segment!r}")
    return start, end


def _positive(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not 0 < number < math.inf:
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return number
