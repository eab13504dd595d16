"""HACS: SlowFast as pickled dictionaries (``<subset>/<id>.pkl``), and the official I3D (``<subset>/<id>.npy``, two rows a second)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nontarget.data import DataError
from nontarget.data.releases.assemble import by_stem, release_of, the_table
from nontarget.data.releases.files import Files, npy
from nontarget.data.releases.layouts.common import I3D, has_json
from nontarget.data.releases.pickles import read_pickle
from nontarget.data.releases.records import FeatureSource, Options, Release, Seen
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import Published, clock_of

FILES = r"(?P<subset>training|validation|testing)/(?P<id>[^/]+)\.{}"
KEYS = ("slow_feature", "fast_feature")


def recognise_slowfast(files: Files) -> str | None:
    """Folders called as HACS's subsets that hold one pickle a video; what is in them is not read to find out."""
    matches = files.matching(FILES.format("pkl"))
    return f"{matches[0][1]['subset']}/<id>.pkl are pickles in folders by subset, as HACS SlowFast is published" if matches else None


def _slowfast(path: Path, allow_pickle: bool) -> tuple[FeatureSource, float | None]:
    content = read_pickle(path, allow_pickle=allow_pickle)
    if not isinstance(content, dict) or not set(KEYS) <= content.keys():
        raise DataError(f"{path}: expected a dictionary with {', '.join(KEYS)} and feature_frames, got {_shown(content)}")
    shapes = [np.shape(content[k]) for k in KEYS]
    if any(len(s) != 3 or s[0] != 1 for s in shapes) or shapes[0][2] != shapes[1][2]:
        raise DataError(f"{path}: slow_feature and fast_feature must be [1, D, T] with one T, got {shapes[0]} and {shapes[1]}")

    def load() -> NDArray[np.generic]:
        again = read_pickle(path, allow_pickle=True)
        return np.concatenate([again[k][0].T for k in KEYS], axis=1)

    dtype = str(np.result_type(*(content[k].dtype for k in KEYS)))
    source = FeatureSource((shapes[0][2], shapes[0][1] + shapes[1][1]), dtype, load, (path,))
    frames = content.get("feature_frames")
    return source, None if frames is None else float(np.asarray(frames).reshape(-1)[0])


def _shown(content: object) -> str:
    return f"the keys {sorted(map(str, content))}" if isinstance(content, dict) else type(content).__name__


def read_slowfast(files: Files, options: Options) -> Release:
    """t(i) = (i * 8 + 16) / 15."""
    matches = files.matching(FILES.format("pkl"))
    frames: dict[str, float | None] = {}

    def read(path: Path) -> FeatureSource:
        source, frames[path.stem] = _slowfast(path, options.allow_pickle)
        return source

    sources = by_stem(matches, files.root, read)
    subsets = {m["id"]: m["subset"] for _, m in matches}
    table = the_table(files, options) if files.separate_annotations or files.jsons else None
    clock, timing = clock_of(files.root, Published(15, 8, 32, says="15 fps, stride 8, window 32 of TriDet's and TCANet's loaders"), options)
    seen = Seen("SlowFast, tuned on HACS labels", True)
    release = release_of("hacs-slowfast", files, seen, table, sources, clock, options, subsets=subsets)
    for name, video in release.videos.items():
        count = frames.get(name)
        if video.duration_s is None and count and video.time:
            video.duration_s = float(count / video.time.fps)
    release.notes += [f"timing: {timing}", "arrays are [1, D, T], time last", "channels: slow, then fast"]
    return release


def recognise_i3d(files: Files) -> str | None:
    """HACS's json (durations are strings) beside ``<subset>/<id>.npy``."""
    if has_json(files, "hacs") and files.matching(FILES.format("npy")):
        return "a 'database' with durations as strings, as HACS publishes it, beside <subset>/<id>.npy"
    return None


def read_i3d(files: Files, options: Options) -> Release:
    """t(i) = (i + 0.5) / 2."""
    sources = by_stem(files.matching(FILES.format("npy")), files.root, npy)
    table = the_table(files, options, ("hacs",))
    clock, timing = clock_of(files.root, Published(2, 1, 1, says="two rows a second, as the official I3D features have"), options)
    release = release_of("hacs-i3d", files, replace(I3D, note="official HACS features"), table, sources, clock, options)
    release.notes.append(f"timing: {timing}")
    return release


register(Layout("hacs-slowfast", "<training|validation>/<id>.pkl: slow_feature, fast_feature (pickles)", recognise_slowfast, read_slowfast))
register(Layout("hacs-i3d", "HACS_segments json and <training|validation>/<id>.npy, two rows a second", recognise_i3d, read_i3d))
