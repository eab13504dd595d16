"""CMCS (Finspire13) and Charades as TriDet has it: ``<id>-rgb.npz`` and ``<id>-flow.npz`` with the key ``feature``, [crops, T, D]."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.arrays import joined
from nontarget.data.releases.assemble import by_stem, release_of, the_table
from nontarget.data.releases.files import Files, npz, npz_keys, npz_value
from nontarget.data.releases.layouts.common import I3D
from nontarget.data.releases.records import FeatureSource, Options, Release
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import FROM_ANNOTATIONS, Published, clock_of

STREAMS = ("rgb", "flow")
CENTRE_CROP = {1: 0, 10: 2}
"""Of ten crops, 2 is the centre and 7 its mirror image."""
STRIDES = (4, 16, 15)
WINDOW = 16


def recognise(files: Files) -> str | None:
    """Two npz files a video, called -rgb and -flow, with an array ``feature`` of three axes, are CMCS's alone."""
    matches = files.matching(r"(?P<id>[^/]+)-(rgb|flow)\.npz")
    if matches and "feature" in npz_keys(matches[0][0]):
        return f"{matches[0][0].name} and its like are <id>-rgb.npz / <id>-flow.npz with the key 'feature', [crops, T, D]"
    return None


def _crop(path: Path) -> FeatureSource:
    source = npz(path, "feature")
    if len(source.shape) != 3 or source.shape[0] not in CENTRE_CROP:
        raise DataError(f"{path}: 'feature' must be [1 or 10 crops, T, D], got {source.shape}")
    crop = CENTRE_CROP[source.shape[0]]

    def load() -> NDArray[np.generic]:
        return source.load()[crop]

    return replace(source, shape=source.shape[1:], load=load)


def read(files: Files, options: Options) -> Release:
    """t(i) = (i * stride + 8) / fps; the stride is the one of those published that fits frame_cnt and T of all files."""
    streams = {s: by_stem(files.matching(rf"(?P<id>[^/]+)-{s}\.npz"), files.root, _crop) for s in STREAMS}
    streams = {s: stream for s, stream in streams.items() if stream}
    if not streams:
        raise DataError(f"{files.root}: no <id>-rgb.npz or <id>-flow.npz")
    names = sorted({v for stream in streams.values() for v in stream})
    raise_problems(files.root, [f"{v}: lacks its {s} file" for v in names for s, stream in streams.items() if v not in stream])
    sources = joined(files.root, {v: [stream[v] for stream in streams.values()] for v in names}, cut=1)
    first = next(iter(streams.values()))
    counts = {v: npz_value(s.files[0], "frame_cnt") for v, s in first.items() if "frame_cnt" in npz_keys(s.files[0])}
    table = the_table(files, options)
    rated = table is not None and any(e.fps for e in table.entries.values())
    fitting = [s for s in STRIDES if counts and all(_fits(counts[v], sources[v].shape[0], s) for v in counts)]
    stride = 4 if not counts else fitting[0] if len(fitting) == 1 else None
    says = (
        f"stride {stride} and window {WINDOW} fit frame_cnt and T of all files; THUMOS14 was cut at its videos' own fps, ActivityNet at 25"
    )
    published = Published(FROM_ANNOTATIONS if rated else None, stride, WINDOW, says=says)
    clock, timing = clock_of(files.root, published, options)
    release = release_of("cmcs", files, I3D, table, sources, clock, options)
    for name, video in release.videos.items():
        count = counts.get(name) or counts.get(f"v_{name}") or counts.get(name.removeprefix("v_"))
        if video.time and count:
            video.at_least_s = float(count / video.time.fps)
    crops = sorted({npz(s.files[0], "feature").shape[0] for s in first.values()})
    release.notes += [
        f"timing: {timing}",
        f"channels: {', then '.join(streams)}",
        f"crops: {' or '.join(map(str, crops))} a file; of 10 the centre one (index 2) is taken",
    ]
    if counts and not table:
        release.notes.append("no durations: frame_cnt / fps is used")
    release.notes.append("video_name in the files is a 0-d array of text and is not needed")
    return release


def _fits(frames: int, snippets: int, stride: int) -> bool:
    """Whole windows of rgb, or of flow, which has a frame less."""
    return any((n - WINDOW) // stride + 1 == snippets for n in (frames, frames - 1))


register(Layout("cmcs", "<id>-rgb.npz and <id>-flow.npz, key feature, [crops, T, D]", recognise, read))
