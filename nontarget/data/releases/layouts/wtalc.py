"""W-TALC and 3C-Net: ``<name>-JOINTFeatures.npy``, a pickled array of arrays, beside ``<name>-Annotations/*.npy``, one row a video."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.assemble import release_of
from nontarget.data.releases.files import Files, listed, npy_header
from nontarget.data.releases.layouts.common import I3D
from nontarget.data.releases.pickles import read_object_array
from nontarget.data.releases.records import AnnotationTable, Entry, FeatureSource, Instance, Options, Release
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.tables import seconds
from nontarget.data.releases.timing import Published, clock_of

FEATURES = r"(?P<id>[^/]+)-JOINTFeatures\.npy"
TIMING = Published(25, 16, 16, says="25 fps, 16 frames a snippet, as the code has it (detectionMAP.py:41-44)")


def recognise(files: Files) -> str | None:
    """``*-JOINTFeatures.npy`` is how W-TALC and 3C-Net call the file of all features."""
    matches = files.matching(FEATURES)
    return f"{matches[0][0].name} is one array of all videos' features, as W-TALC and 3C-Net publish it" if matches else None


def _column(path: Path, allow_pickle: bool) -> list[Any]:
    with path.open("rb") as file:
        _, dtype = npy_header(file, path)
    array = read_object_array(path, allow_pickle=allow_pickle) if dtype.hasobject else np.load(path, allow_pickle=False)
    return [_text(x) for x in array.reshape(-1).tolist()] if not dtype.hasobject else list(array)


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def read(files: Files, options: Options) -> Release:
    """t(i) = (16 i + 8) / 25; extracted_fps.npy is wrong and not used."""
    matches = files.matching(FEATURES)
    if len(matches) != 1:
        raise DataError(f"{files.root}: {len(matches)} files *-JOINTFeatures.npy; give the folder that holds one and its Annotations")
    path = matches[0][0]
    columns = {p.stem: p for p in files.annotation_paths if p.suffix == ".npy" and p.parent.name.endswith("Annotations")}
    needed = ("videoname", "subset", "segments", "labels", "duration")
    lacking = [f"{name}.npy" for name in needed if name not in columns]
    if lacking:
        raise DataError(f"{path}: no {', '.join(lacking)} in a folder *-Annotations beside it; give annotations=FOLDER")
    features = list(read_object_array(path, allow_pickle=options.allow_pickle))
    table, notes = _table(columns, len(features), options.allow_pickle)
    sources = {
        video: FeatureSource(np.shape(x), str(np.asarray(x).dtype), partial(np.asarray, x), (path,))
        for video, x in zip(table.entries, features, strict=True)
    }
    clock, timing = clock_of(files.root, TIMING, options)
    release = release_of("wtalc", files, I3D, table, sources, clock, options)
    release.notes += [f"timing: {timing}", "channels: rgb, then flow", *notes]
    return release


def _table(columns: dict[str, Path], count: int, allow_pickle: bool) -> tuple[AnnotationTable, list[str]]:
    read_columns = {
        k: _column(p, allow_pickle)
        for k, p in columns.items()
        if k in ("videoname", "subset", "segments", "labels", "labels_all", "duration", "url", "extracted_fps")
    }
    folder = columns["videoname"].parent
    lengths = {k: len(v) for k, v in read_columns.items()}
    if set(lengths.values()) != {count}:
        raise DataError(f"{folder}: all arrays need one row for each of the {count} videos, got {lengths}")
    names = read_columns.get("url") or read_columns["videoname"]
    entries, problems = {}, []
    for row, video in enumerate(map(str, names)):
        labels, segments = _flat(read_columns["labels"][row]), list(read_columns["segments"][row])
        if len(labels) != len(segments):
            problems.append(f"{video}: {len(labels)} labels for {len(segments)} segments")
            continue
        instances = [Instance(c, *seconds(s)) for c, s in zip(labels, segments, strict=True)]
        entries[video] = Entry(str(read_columns["subset"][row]), float(read_columns["duration"][row]), instances)
    raise_problems(folder, problems)
    if len(entries) != count:
        raise DataError(f"{folder}: the ids are not all different: {len(entries)} for {count} rows")
    notes = ["videoname, subset and classlist are bytes; duration is [videos, 1]"]
    weak = read_columns.get("labels_all")
    hollow = [v for row, v in enumerate(entries) if weak and not len(_flat(weak[row])) and entries[v].instances]
    if hollow:
        notes.append(f"labels_all is empty although the video has instances: {listed(hollow)}")
    if "extracted_fps" in read_columns and set(read_columns["extracted_fps"]) != {25}:
        notes.append(f"extracted_fps.npy says {read_columns['extracted_fps'][0]:g}, which is wrong and not used")
    if "url" in read_columns:
        notes.append("ids are those of url.npy")
    classes = tuple(map(str, _column(columns["classlist"], allow_pickle))) if "classlist" in columns else None
    return AnnotationTable("wtalc", tuple(columns.values()), entries, classes), notes


def _flat(labels: Sequence[Any]) -> list[str]:
    return [str(_text(x)) for x in labels]


register(Layout("wtalc", "<name>-JOINTFeatures.npy and <name>-Annotations/*.npy (pickles)", recognise, read))
