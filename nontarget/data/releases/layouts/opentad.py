"""OpenTAD's layout: ``annotations/*.json`` with ``frame``, or the official ActivityNet json, and ``features/<release>/<id>.npy``."""

import re
from dataclasses import dataclass
from fractions import Fraction

from nontarget.data import DataError
from nontarget.data.releases.assemble import mark_listed, release_of, the_table
from nontarget.data.releases.files import Files
from nontarget.data.releases.layouts.common import I3D, UNKNOWN, arrays_of, chosen_folders, folders_of, has_json
from nontarget.data.releases.records import Entry, Options, Release, Seen, TimeAxis
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import FROM_ANNOTATIONS, Published, clock_of

KINDS = ("opentad", "activitynet", "hacs")
KINETICS = Seen("trained on Kinetics and the like", False)
TSN = Seen("TSN of CUHK's ActivityNet 2016 entry", True, "trained on all ActivityNet-1.3 training labels, at video level")


@dataclass(frozen=True)
class Config:
    """What a configuration of OpenTAD says of one feature folder."""

    published: Published
    seen: Seen
    rescaled: bool = False


def _config(fps: float | str | None, stride: float | None, offset: float | None, seen: Seen) -> Config:
    return Config(Published(fps, stride, offset=offset, says="OpenTAD's configuration for this feature folder"), seen)


CONFIGS: dict[str, Config] = {
    r"i3d_actionformer_stride4_thumos": _config(FROM_ANNOTATIONS, 4, 8, I3D),
    r"tsn_gtad\w*": _config(FROM_ANNOTATIONS, 5, 0, Seen("TSN, trained on Kinetics (gtad#31)", False)),
    r"thumos14_6b": _config(FROM_ANNOTATIONS, 4, 8, KINETICS),
    r"anet_tsp_npy_unresize": _config(15, 16, 8, Seen("TSP", True, "trained on ActivityNet's localisation labels")),
    r"tsn_unresize": Config(Published(), TSN, rescaled=True),
    r"(slowfast_r(50|101)|videomae_[bl])\w*": Config(Published(), KINETICS, rescaled=True),
    r"activitynet_6b": Config(Published(30, offset=8, says="OpenTAD says stride 8, video-mamba-suite 16"), KINETICS),
    r"slowfast101_15fps_stride8_len32_hacs": _config(15, 8, 16, Seen("SlowFast-101, tuned on HACS labels", True)),
    r"hacs_6b": _config(30, 8, 8, KINETICS),
    r"intervideo_mae_huge_k700_stride16_len16": _config(30, 16, 8, KINETICS),
    r"fineaction_1b": _config(30, 4, 8, KINETICS),
    r"i3d_charades_finetuned_stride8": _config(24, 8, 0, Seen("I3D, tuned on Charades labels", True)),
    r"slowfast_fps30_stride16_clip32": _config(30, 16, 16, Seen("SlowFast, trained on EPIC-KITCHENS' classification labels", True)),
    r"mq_slowfast\w*": _config(FROM_ANNOTATIONS, 16, 16, Seen("SlowFast, trained on Kinetics", False)),
}
"""By the name of the feature folder, which OpenTAD's configurations prescribe."""


def recognise(files: Files) -> str | None:
    """Entries with ``frame`` are OpenTAD's; the official ActivityNet json is its too where ``features/<release>/`` lies beside it."""
    path = has_json(files, *KINDS)
    folders = folders_of(files)
    if path is None or not folders:
        return None
    release_folder = next((f.name for f in folders if _config_of(f.name)), None)
    if has_json(files, "opentad"):
        return f"{files.relative(path)} has a 'database' whose entries have 'frame', as OpenTAD's loaders read it, beside one array a video"
    if release_folder or files.matching(r"features/[^/]+/[^/]+\.\w+"):
        return f"{files.relative(path)} is an official 'database', and features/<release>/ lies beside it, as OpenTAD keeps them"
    return None


def _config_of(name: str) -> Config | None:
    return next((config for pattern, config in CONFIGS.items() if re.fullmatch(pattern, name)), None)


def read(files: Files, options: Options) -> Release:
    """t(i) = (i * feature_stride * sample_stride + window_start + offset_frames) / fps, by the feature folder's name."""
    table = the_table(files, options, KINDS)
    if table is None:
        raise DataError(f"{files.root}: no annotations in OpenTAD's layout; give annotations=FILE")
    members = folders_of(files)
    (folder,) = chosen_folders(files, list(members), options)[:1]
    sources = arrays_of(files, members[folder], options)
    for entry in table.entries.values():
        if entry.frames and entry.duration_s:
            entry.fps = Fraction(entry.frames) / Fraction(entry.duration_s)
    framed = any(e.frames for e in table.entries.values())
    says = f"OpenTAD's name {folder.name!r} does not tell them, and releases of one stride have offsets of 2 and 8 frames"
    config = _config_of(folder.name) or Config(Published(FROM_ANNOTATIONS if framed else None, says=says), UNKNOWN)
    notes = []
    if config.rescaled and options.stride is None:
        release = release_of("opentad", files, config.seen, table, sources, None, options)
        for video in release.videos.values():
            if video.source and video.duration_s:
                video.time, video.covered_s = TimeAxis.rescaled(video.source.shape[0], video.duration_s), video.duration_s
        notes.append("timing: rescaled, row i of T covers [i, i + 1) / T of the duration")
    else:
        clock, timing = clock_of(files.root, config.published, options)
        release = release_of("opentad", files, config.seen, table, sources, clock, options)
        rate = "; fps = frame / duration" if framed and options.fps is None and config.published.fps == FROM_ANNOTATIONS else ""
        notes.append(f"timing: {timing}{rate}")
    release.notes += notes + _notes(table.entries)
    mark_listed(release, files, "blocked.json", "in blocked.json, left out of the evaluation")
    mark_listed(release, files, "missing_files.txt", "listed in missing_files.txt")
    return release


def _notes(entries: dict[str, Entry]) -> list[str]:
    """THUMOS14's subsets are renamed; ActivityNet's testing videos have no annotations."""
    notes = []
    official = {("validation", "training"), ("test", "validation")}
    named = {(m[1], e.subset) for v, e in entries.items() if (m := re.fullmatch(r"video_(validation|test)_\d+", v))}
    if named and named <= official:
        notes.append("subset 'validation' is THUMOS14's test set, 'training' its validation set")
    return notes


register(
    Layout("opentad", "a json 'database' with frame and duration (or the official one), and features/<release>/<id>.npy", recognise, read)
)
