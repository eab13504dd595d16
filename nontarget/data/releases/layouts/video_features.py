"""video_features (v-iashin), with which users extract their own: ``<video>_<key>.npy``, ``_fps.npy``, ``_timestamps_ms.npy``."""

import re
from typing import Any

import numpy as np

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.arrays import joined, oriented
from nontarget.data.releases.assemble import by_stem, release_of, the_table
from nontarget.data.releases.files import Files, listed, npy
from nontarget.data.releases.records import Entry, FeatureSource, Options, Release, Seen, TimeAxis
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import Published, clock_of

WITHOUT_TIMES = ("r21d", "s3d", "vggish")
FRAMEWISE = ("clip", "resnet", "timm")
NETWORKS = {
    "i3d": "I3D, trained on Kinetics",
    "r21d": "R(2+1)D, trained on Kinetics or IG-65M",
    "s3d": "S3D, trained on Kinetics",
    "vggish": "VGGish, trained on audio",
    "clip": "CLIP, trained on pairs of images and texts",
    "resnet": "ResNet, trained on ImageNet",
    "timm": "a network of timm, trained on images",
}
FILE = r"(?P<id>[^/]+)_{}\.npy"


def _network(files: Files) -> str | None:
    """``i3d`` where there are rgb and flow, else the key in the files' names."""
    if files.matching(FILE.format("timestamps_ms")):
        if files.matching(FILE.format("(?:rgb|flow)")):
            return "i3d"
        stem = files.matching(FILE.format("timestamps_ms"))[0]
        keys = {m["key"] for _, m in files.matching(rf"{re.escape(stem[1]['id'])}_(?P<key>[A-Za-z0-9]+)\.npy")} - {"fps", "ms"}
        return next(iter(sorted(keys)), None)
    return next((key for key in WITHOUT_TIMES if files.matching(FILE.format(key))), None)


def recognise(files: Files) -> str | None:
    """``_timestamps_ms.npy`` beside the features is what video_features writes; r21d, s3d and vggish come without, told by their key."""
    network = _network(files)
    if network is None:
        return None
    times = "with" if files.matching(FILE.format("timestamps_ms")) else "without"
    return f"files are called <video>_<key>.npy, {times} _timestamps_ms.npy, as video_features writes them for {network}"


def read(files: Files, options: Options) -> Release:
    """t(i) from the timestamps, which are ends of stacks (I3D) or begins of frames (the others), or as the user says."""
    network = _network(files)
    if network is None:
        raise DataError(f"{files.root}: no <video>_timestamps_ms.npy, _r21d.npy, _s3d.npy or _vggish.npy")
    keys = ("rgb", "flow") if network == "i3d" else (network,)
    streams = [by_stem(files.matching(FILE.format(key)), files.root, npy) for key in keys]
    streams = [s for s in streams if s]
    names = sorted({v for s in streams for v in s})
    raise_problems(files.root, [f"{v}: lacks one of its files _{', _'.join(keys)}" for v in names if not all(v in s for s in streams)])
    hollow = {v for v in names if any(0 in s[v].shape for s in streams)}
    turned = [oriented(files.root, {v: x for v, x in s.items() if v not in hollow}, options.axes, "TD")[0] for s in streams]
    sources = joined(files.root, {v: [s[v] for s in turned] for v in names if v not in hollow}, cut=0)
    table = the_table(files, options)
    seen = Seen(NETWORKS.get(network, network), False if network in NETWORKS else None, "made with video_features")
    notes: list[str] = []
    ends: dict[str, float] = {}
    if network in WITHOUT_TIMES:
        says = f"{network} writes neither fps nor times"
        clock, timing = clock_of(files.root, _published(network, says), options)
        axes = {v: clock(v, Entry()) for v in sources}
    else:
        axes, ends, timing, notes = _stamped(files, sources, network, options)
    hollow_sources = {v: FeatureSource((0,), streams[0][v].dtype, streams[0][v].load, streams[0][v].files) for v in hollow}
    release = release_of("video-features", files, seen, table, sources | hollow_sources, None, options)
    for name, video in release.videos.items():
        stored = next((v for v in (name, f"v_{name}", name.removeprefix("v_")) if v in axes), None)
        if video.source and stored:
            video.time = axes[stored]
            video.at_least_s = ends.get(stored, float(video.time.covered_s(video.source.shape[0])))
    release.notes += [f"timing: {timing}", *notes]
    release.notes += [f"{len(hollow)} file(s) are empty, the video was too short: {listed(sorted(hollow))}"] if hollow else []
    release.notes += ["channels: rgb, then flow"] if len(streams) > 1 else []
    spaced = [v for v in names if " " in v]
    release.notes += [f"ids with a space: {listed(spaced)}"] if spaced else []
    if all(v.duration_s is None for v in release.videos.values()):
        release.notes.append("durations are nowhere: a video lasts at least until the end of its last snippet")
    return release


def _published(network: str, says: str) -> Published:
    # VGGish sees 0.96 s of sound, one after the other.
    return Published(1 / 0.96, 1, 1, says="0.96 s a row") if network == "vggish" else Published(says=says)


def _stamped(
    files: Files, sources: dict[str, FeatureSource], network: str, options: Options
) -> tuple[dict[str, TimeAxis], dict[str, float], str, list[str]]:
    """Time axes from ``_fps`` and ``_timestamps_ms``: where a frame begins, or, for stacks of frames (I3D), where a stack ENDS."""
    times = {m["id"]: p for p, m in files.matching(FILE.format("timestamps_ms"))}
    rates = {m["id"]: p for p, m in files.matching(FILE.format("fps"))}
    stamps: dict[str, Any] = {}
    problems = []
    for video, source in sources.items():
        if video not in times or video not in rates:
            problems.append(f"{video}: lacks _fps.npy or _timestamps_ms.npy")
            continue
        stamps[video] = np.load(times[video], allow_pickle=False).astype(np.float64).reshape(-1)
        if len(stamps[video]) != source.shape[0]:
            problems.append(f"{video}: {len(stamps[video])} timestamps for {source.shape[0]} rows")
    raise_problems(files.root, problems)
    stacked = network not in FRAMEWISE
    time_axes, single = {}, []
    ends = {}
    for video, ms in stamps.items():
        fps = float(options.fps) if options.fps is not None else float(np.load(rates[video], allow_pickle=False))
        steps = np.diff(ms) / 1000 * fps
        step = round(float(np.median(steps))) if len(steps) else None
        if step is not None and float(np.abs(steps - step).max()) > 1.01:
            problems.append(f"{video}: timestamps are not evenly spaced, by {steps.min():.2f} to {steps.max():.2f} frames")
            continue
        if step is None:
            single.append(video)
        first = round(float(ms[0]) / 1000 * fps)
        stride = options.stride if options.stride is not None else step or (first if stacked else 1)
        window = options.window if options.window is not None else (first if stacked else 1)
        offset = options.offset if options.offset is not None else (first - window / 2 if stacked else first + window / 2)
        time_axes[video] = TimeAxis.of(fps, max(1, stride), offset)
        if stacked:
            ends[video] = float(ms[-1]) / 1000
    raise_problems(files.root, problems)
    notes = [f"one timestamp only, the step cannot be told from the video and does not matter: {listed(single)}"] if single else []
    if stacked:
        return time_axes, ends, "timestamps are where a stack ENDS: centre = timestamp - stack / 2; stack and step are told by them", notes
    return time_axes, ends, "timestamps are where a frame begins: centre = timestamp + half a frame", notes


register(
    Layout("video-features", "<video>_<key>.npy with _fps.npy and _timestamps_ms.npy, or _r21d / _s3d / _vggish alone", recognise, read)
)
