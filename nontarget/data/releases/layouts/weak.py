"""Weakly supervised releases with split files: ACM-Net ({train,test}/<id>.npy) and WTAL-UM (features/{train,test}/{rgb,flow}/<id>.npy)."""

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.arrays import joined, oriented
from nontarget.data.releases.assemble import by_stem, release_of, the_table
from nontarget.data.releases.files import Files, lines_of, listed, npy
from nontarget.data.releases.layouts.common import I3D
from nontarget.data.releases.records import FeatureSource, Options, Release, Role
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import Published, clock_of

TIMING = Published(25, 16, 16, says="25 fps, stride 16, window 16, as these releases were cut")
JOINED = r"(?P<split>train|test)/(?P<id>[^/]+)\.npy"
STREAMS = r"(?P<split>train|test)/{stream}/(?P<id>[^/]+)\.npy"


def _splits(files: Files) -> dict[str, set[str]]:
    paths = {p.stem.removeprefix("split_"): p for p in files.annotations_matching(r"split_(train|test)\.txt")}
    return {name: {line.strip() for line in lines_of(path)} for name, path in paths.items()}


def recognise_joined(files: Files) -> str | None:
    """``split_train.txt`` and ``split_test.txt`` beside ``train/<id>.npy`` and ``test/<id>.npy``."""
    if len(_splits(files)) == 2 and files.matching(JOINED):
        return "split_train.txt and split_test.txt lie beside train/<id>.npy and test/<id>.npy, as in ACM-Net"
    return None


def recognise_streams(files: Files) -> str | None:
    """The same with rgb and flow apart, one folder each."""
    if len(_splits(files)) == 2 and all(files.matching(STREAMS.format(stream=s)) for s in ("rgb", "flow")):
        return "split_train.txt and split_test.txt lie beside features/{train,test}/{rgb,flow}/<id>.npy, as in WTAL-Uncertainty-Modeling"
    return None


def read_joined(files: Files, options: Options) -> Release:
    """t(i) = (16 i + 8) / 25."""
    return _read("acm-net", files, options, by_stem(files.matching(JOINED), files.root, npy))


def read_streams(files: Files, options: Options) -> Release:
    """t(i) = (16 i + 8) / 25; rgb and flow are joined."""
    streams = [by_stem(files.matching(STREAMS.format(stream=s)), files.root, npy) for s in ("rgb", "flow")]
    names = sorted(set(streams[0]) | set(streams[1]))
    lacking = [f"{v}: lacks its {s} file" for v in names for s, stream in zip(("rgb", "flow"), streams, strict=True) if v not in stream]
    raise_problems(files.root, lacking)
    turned = [oriented(files.root, stream, options.axes, "TD")[0] for stream in streams]
    return _read("wtal-um", files, options, joined(files.root, {v: [stream[v] for stream in turned] for v in names}, cut=1))


def _read(layout: str, files: Files, options: Options, sources: dict[str, FeatureSource]) -> Release:
    table = the_table(files, options)
    if table is None:
        raise DataError(f"{files.root}: no gt.json with a 'database'; give annotations=FILE")
    clock, timing = clock_of(files.root, TIMING, options)
    release = release_of(layout, files, I3D, table, sources, clock, options)
    roles: tuple[Role, Role] = ("train", "test")
    splits = _splits(files)
    for name, video in release.videos.items():
        video.role = next((role for role in roles if name in splits.get(role, ())), None)
    release.splits = {role: role for role in roles}
    unlisted = [v for v, record in release.videos.items() if record.role is None]
    without = [v for v in unlisted if release.videos[v].source is None]
    if unlisted:
        more = " and without features" if len(without) == len(unlisted) else ""
        release.notes.append(f"{len(unlisted)} annotated, but in no split file{more}: {listed(unlisted)}")
    absent = sorted(set().union(*splits.values()) - set(release.videos))
    if absent:
        release.notes.append(f"{len(absent)} in a split file, but not annotated: {listed(absent)}")
    release.notes += [f"timing: {timing}", "channels: rgb, then flow"]
    if any(e.frames for e in table.entries.values()):
        release.notes.append("'frames' counts the video's own frames, not those at 25 fps")
    if all(e.duration_s is None for e in table.entries.values()):
        release.notes.append("no durations in the annotations: a video lasts at least as long as its features, T * 16 / 25 s")
        for video in release.videos.values():
            if video.source and video.time:
                video.at_least_s = float(video.source.shape[0] * video.time.stride / video.time.fps)
    return release


register(Layout("wtal-um", "gt.json, split_{train,test}.txt, features/{train,test}/{rgb,flow}/<id>.npy", recognise_streams, read_streams))
register(Layout("acm-net", "gt.json, split_{train,test}.txt, {train,test}/<id>.npy", recognise_joined, read_joined))
