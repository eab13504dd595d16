"""BSN's and BMN's release for ActivityNet (also mmaction2's): ``v_<id>.csv`` of 100 rows, flat annotations with ``feature_frame``."""

import re
from fractions import Fraction
from pathlib import Path

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.assemble import by_stem, release_of
from nontarget.data.releases.files import Files, csv100, header_of, listed, rows_of, tail_of
from nontarget.data.releases.layouts.common import has_json
from nontarget.data.releases.records import AnnotationTable, Options, Release, ReleaseVideo, Seen, TimeAxis
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.tables import kind_of, read_annotation_table

ROWS = 100
SEEN = Seen(
    "TSN of CUHK's ActivityNet 2016 entry, class scores",
    True,
    "trained on all labels of ActivityNet's training set, so that at 10 % labels the other 90 % are not unlabelled to it",
)
SUBSET_FILE = r".*_(?P<subset>train|val|test)\.json"


def _csv_files(files: Files) -> list[tuple[Path, re.Match[str]]]:
    matches = files.matching(r"(?P<folder>[^/]+)/(?P<id>[^/]+)\.csv")
    wide = next((p.parent for p, m in matches if not m["id"].startswith("video_info") and len(header_of(p)) >= 100), None)
    return [(p, m) for p, m in matches if p.parent == wide]


def recognise(files: Files) -> str | None:
    """Entries with ``duration_second`` and ``feature_frame`` are BMN's; tables of 100 columns or more, one a video, its features."""
    path, tables = has_json(files, "bmn"), _csv_files(files)
    if path is None and not tables:
        return None
    if tables:
        beside = f", and {files.relative(path)} has their feature_frame" if path else ""
        return f"{tables[0][0].parent.name}/ holds one csv of {len(header_of(tables[0][0]))} columns a video, as BSN published them{beside}"
    assert path is not None
    return f"{files.relative(path)} has entries with duration_second and feature_frame, as BMN's and mmaction2's loaders read them"


def _annotations(files: Files) -> AnnotationTable:
    """One flat file, or mmaction2's several, where the subset is the file."""
    tables = [read_annotation_table(p, content) for p, content in files.jsons if kind_of(content) == "bmn"]
    if not tables:
        raise DataError(
            f"{files.root}: no annotations with duration_second and feature_frame; give annotations=FILE (anet_anno_action.json)"
        )
    parts = {m["subset"]: t for t in tables if (m := re.fullmatch(SUBSET_FILE, t.paths[0].name))}
    whole = [t for t in tables if not re.fullmatch(SUBSET_FILE, t.paths[0].name)]
    if len(whole) > 1:
        raise DataError(
            f"{files.root}: {len(whole)} files hold whole annotations ({listed([t.paths[0].name for t in whole])}); give annotations=FILE"
        )
    merged = whole[0] if whole else AnnotationTable("bmn", (), {})
    twice = [v for k, (_, t) in enumerate(parts.items()) for v in t.entries if any(v in o.entries for o in list(parts.values())[:k])]
    raise_problems(files.root, [f"{v}: is in two of the files {', '.join(sorted(parts))}" for v in twice])
    for subset, table in parts.items():
        for video, entry in table.entries.items():
            merged.entries.setdefault(video, entry).subset = subset
    merged.paths = tuple(p for t in (*whole, *parts.values()) for p in t.paths)
    if parts:
        merged.notes.append(f"the subset of a video is the file that it is in: {', '.join(sorted(parts))}")
    for path in files.named(r"video_info_new\.csv"):
        for row in rows_of(path):
            if row["video"] in merged.entries and merged.entries[row["video"]].subset is None:
                merged.entries[row["video"]].subset = row["subset"]
    return merged


def read(files: Files, options: Options) -> Release:
    """t(i) = (i + 0.5) / 100 * feature_frame / duration_frame * duration_second."""
    table = _annotations(files)
    sources = by_stem(_csv_files(files), files.root, csv100)
    seen = SEEN if sources else Seen("no features in this release", None)
    release = release_of("bmn-csv", files, seen, table, sources, None, options)
    for name, video in release.videos.items():
        entry = table.entries[name]
        if video.source:
            assert entry.feature_frames
            assert entry.frames
            assert entry.duration_s
            covered = Fraction(entry.feature_frames) / Fraction(entry.frames) * Fraction(entry.duration_s)
            video.time, video.covered_s = TimeAxis.rescaled(ROWS, covered), float(covered)
    release.notes.append(f"timing: row i of {ROWS} is centred on (i + 0.5) / {ROWS} * feature_frame / duration_frame * duration_second")
    release.notes += _rows(release, table)
    return release


def _rows(release: Release, table: AnnotationTable) -> list[str]:
    """One-snippet videos, and rows that are zero because there was no snippet."""
    notes = []
    single = [v for v, r in release.videos.items() if r.source and table.entries[v].feature_frames == 16]
    if single:
        notes.append(f"{listed(single)}: one snippet of 16 frames, so that all {ROWS} rows are equal")
    zero = {v: count for v, r in release.videos.items() if r.source and (count := _zero_rows(r))}
    if zero:
        some = ", ".join(f"{v} (rows {ROWS - n} to {ROWS - 1})" for v, n in list(zero.items())[:5])
        notes.append(f"rows beyond the last snippet are zero in {len(zero)} video(s): {some}")
    return notes


def _zero_rows(video: ReleaseVideo) -> int:
    """How many rows at the end are zero, of those in the last 8 kB of the file."""
    assert video.source is not None
    lines = tail_of(video.source.files[0]).strip().splitlines()[1:]
    count = 0
    for line in reversed(lines):
        if re.search(r"[1-9]", line):
            break
        count += 1
    return count


register(
    Layout(
        "bmn-csv",
        "v_<id>.csv of 100 rows, or flat json with duration_second and feature_frame (BSN, BMN, SPOT, mmaction2)",
        recognise,
        read,
    )
)
