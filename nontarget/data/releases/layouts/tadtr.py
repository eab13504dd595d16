"""TadTR's THUMOS14: ``*_ft_info.json`` with the length and rate of each video's features, which are torch files called by their id."""

from fractions import Fraction

from nontarget.data.releases.assemble import by_stem, release_of, the_table
from nontarget.data.releases.files import Files, pickled
from nontarget.data.releases.layouts.common import has_json
from nontarget.data.releases.records import Options, Release, Seen, TimeAxis
from nontarget.data.releases.registry import Layout, register

TORCH = r"(?P<folder>[^/]+)/(?P<id>[^/.]+)(?:\.pth?)?"


def recognise(files: Files) -> str | None:
    """A second json gives feature_length and feature_fps of each video."""
    path = has_json(files, "tadtr-info")
    return f"{files.relative(path)} gives feature_length and feature_fps of each video, as TadTR's loaders read them" if path else None


def read(files: Files, options: Options) -> Release:
    """t(i) = (i + 0.5) / feature_fps of the second file."""
    path = has_json(files, "tadtr-info")
    assert path is not None
    info = files.json(path)
    table = the_table(files, options)
    matches = [(p, m) for p, m in files.matching(TORCH) if m["id"] in info]
    sources = by_stem(matches, files.root, lambda p: pickled(p, options.allow_pickle))
    release = release_of("tadtr", files, Seen("I3D of P-GCN, trained on Kinetics", False), table, sources, None, options)
    for name, video in release.videos.items():
        if name not in info:
            video.without = f"missing: no entry in {path.name}"
            continue
        stated = info[name]
        video.details |= {
            "num_snippets": stated["feature_length"],
            "feature_fps": stated["feature_fps"],
            "feature_second": stated["feature_second"],
        }
        video.time = TimeAxis.of(Fraction(stated["feature_fps"]), 1, Fraction(1, 2))
        if video.source and video.source.shape[0] != stated["feature_length"]:
            release.notes.append(f"{name}: {video.source.shape[0]} rows, {path.name} says {stated['feature_length']}")
    release.notes += [
        f"timing: (i + 0.5) / feature_fps of {path.name}, without an offset, as TadTR has it, although half a window is 32 frames",
        f"a video without an entry in {path.name} has no features, and TadTR's loader skips it",
    ]
    return release


register(Layout("tadtr", "annotations json, *_ft_info.json with feature_length and feature_fps, torch files called <id>", recognise, read))
