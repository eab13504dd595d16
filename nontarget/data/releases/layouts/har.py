"""Inertial releases whose snippets are windows: WEAR and tal_for_har, one annotation file a fold over shared features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nontarget.data import DataError
from nontarget.data.releases.assemble import by_stem, choose_file, release_of
from nontarget.data.releases.files import Files, listed, npy, rows_of
from nontarget.data.releases.layouts.common import I3D, chosen_folders, folders_of, has_json
from nontarget.data.releases.records import FeatureSource, Instance, Options, Release, Seen
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.tables import kind_of, read_annotation_table
from nontarget.data.releases.timing import FROM_ANNOTATIONS, Published, clock_of

WEAR = r"(?P<window>\d+)_frames_(?P<stride>\d+)_stride/(?P<id>[^/]+)\.npy"
TAL_FOR_HAR = r"(?P<window>\d+)_samples_(?P<overlap>\d+)_overlap/(?P<id>[^/]+)\.npy"
WEAR_FPS = 60
"""Windows are named in frames of the 60 fps annotations."""
NULL = ("", "null", "nan", "None")
RAW_HZ = 50


@dataclass(frozen=True)
class Family:
    """What differs between the two."""

    name: str
    pattern: str
    fps: int | str


FAMILIES = (Family("wear", WEAR, WEAR_FPS), Family("tal-for-har", TAL_FOR_HAR, FROM_ANNOTATIONS))


def _recognise(family: Family, files: Files) -> str | None:
    path = has_json(files, "har")
    members = files.matching(family.pattern)
    if path is None or not members:
        return None
    return f"{files.relative(path)} has a 'label_dict', and the windows are in {members[0][0].parent.name}/, as in {family.name}"


def _read(family: Family, files: Files, options: Options) -> Release:
    members = folders_of(files, family.pattern)
    if not members:
        raise DataError(f"{files.root}: no features in a folder named after its windows, such as {family.pattern}")
    (folder,) = chosen_folders(files, list(members), options)[:1]
    match = members[folder][0][1]
    window = int(match["window"])
    stride = int(match["stride"]) if family.name == "wear" else window * (100 - int(match["overlap"])) / 100
    annotation_files = [p for p, content in files.jsons if kind_of(content) == "har"]
    at_rate = [p for p in annotation_files if p.parent.name == f"{WEAR_FPS}fps"]
    path = choose_file(files, at_rate or annotation_files, options, "fold")
    table = read_annotation_table(path, files.json(path))
    says = f"window {window} and stride {stride:g} of the folder's name"
    clock, timing = clock_of(files.root, Published(family.fps, stride, window, says=says), options)
    sources = by_stem(members[folder], files.root, npy)
    kind = folder.parent.parent.name if family.name == "wear" else folder.parent.name
    seen = Seen("none: raw inertial windows", False) if kind.startswith("inertial") else I3D
    release = release_of(family.name, files, seen, table, sources, clock, options)
    folds = len(at_rate or annotation_files)
    release.notes += [f"timing: {timing}", f"{folds} folds for one set of features; this is {path.name}"]
    if kind.startswith("combined"):
        release.notes.append("channels: inertial (axis by axis), then i3d")
    release.notes += _shorter(files, folder, sources) + _raw_labels(files, release)
    return release


def _shorter(files: Files, folder: Path, sources: dict[str, FeatureSource]) -> list[str]:
    """Videos whose features of another kind have another length: combined features are cut to I3D's."""
    notes = []
    for other in folders_of(files, WEAR):
        if other.name != folder.name or other == folder:
            continue
        for name, source in sources.items():
            path = other / f"{name}.npy"
            if path.is_file() and (length := npy(path).shape[0]) != source.shape[0]:
                notes.append(f"{name}: {other.parent.parent.name} has {length} windows, {folder.parent.parent.name} {source.shape[0]}")
    return notes


def raw_segments(labels: Sequence[str], rate: float = RAW_HZ) -> list[Instance]:
    """Runs of equal labels of samples, with an end for the last one."""
    segments, start = [], 0
    for k in range(1, len(labels) + 1):
        if k == len(labels) or labels[k] != labels[start]:
            if labels[start] not in NULL:
                segments.append(Instance(labels[start], start / rate, k / rate))
            start = k
    return segments


def _raw_labels(files: Files, release: Release) -> list[str]:
    """How the published segments differ from the labels of the raw samples, where those are there."""
    lost, late = [], 0
    for path, match in files.matching(r"raw/inertial/50hz/(?P<id>[^/]+)\.csv"):
        video = release.videos.get(match["id"])
        rows = rows_of(path)
        if video is None or not rows or "label" not in rows[0]:
            continue
        truth = raw_segments([row["label"] for row in rows])
        if len(truth) > len(video.instances):
            lost.append(f"{video.video_id} ({', '.join(i.label for i in truth[len(video.instances) :])})")
        late += sum(i.start_s - t.start_s > 1e-6 for i, t in zip(video.instances, truth, strict=False))
    notes = [f"an activity that runs to the end of the recording is missing from the json: {listed(lost)}"] if lost else []
    return notes + ([f"{late} segment(s) start {1000 / RAW_HZ:g} ms later than the labels of the raw samples"] if late else [])


for _family in FAMILIES:
    register(
        Layout(
            _family.name,
            "folds as json with label_dict, windows in " + re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", _family.pattern).replace("\\", ""),
            lambda files, family=_family: _recognise(family, files),  # type: ignore[misc]
            lambda files, options, family=_family: _read(family, files, options),  # type: ignore[misc]
        )
    )
