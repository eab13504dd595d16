"""Releases in HDF5: G-TAD's THUMOS14 (a row a frame, flow before rgb) and TSP's (``*-tsp_on_<set>-<subset>_features.h5``)."""

import re
from dataclasses import replace

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.arrays import joined
from nontarget.data.releases.assemble import release_of, the_table
from nontarget.data.releases.files import Files, h5_sources, header_of
from nontarget.data.releases.records import AnnotationTable, FeatureSource, Options, Release, Seen
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.texts import GTAD_COLUMNS, INSTANCE_COLUMNS, read_gtad_tables
from nontarget.data.releases.timing import FROM_ANNOTATIONS, Published, clock_of

GTAD = r"(?P<stream>rgb|flow)_(?P<part>val|test)\.h5"
TSP = r"(?P<id>[^/]*tsp_on_(?P<set>\w+)-(?P<part>train|valid|test)_features\.h5)"
STREAMS = ("flow", "rgb")
TSP_STRIDE = {"activitynet": 16, "thumos14": 1}
JOIN_CUT = 10
"""By how many frames flow and rgb may differ; they are cut to the shorter, as the published loader does."""


def recognise_gtad(files: Files) -> str | None:
    """``rgb_val.h5``, ``flow_val.h5``, ``rgb_test.h5`` and ``flow_test.h5`` are called so by G-TAD alone."""
    streams = {m["stream"] for _, m in files.matching(GTAD)}
    return "{rgb,flow}_{val,test}.h5 hold one row a frame by video id, as G-TAD's THUMOS14 release" if streams == set(STREAMS) else None


def _gtad_table(files: Files, options: Options) -> AnnotationTable | None:
    def of_gtad(columns: set[str]) -> bool:
        return columns >= GTAD_COLUMNS or columns >= INSTANCE_COLUMNS

    tables = [p for p in files.annotation_paths if p.suffix == ".csv" and of_gtad(set(header_of(p)))]
    return read_gtad_tables(tables) if tables else the_table(files, options)


def read_gtad(files: Files, options: Options) -> Release:
    """t(i) = i / fps, a row a frame."""
    parts: dict[str, dict[str, FeatureSource]] = {s: {} for s in STREAMS}
    subsets: dict[str, str] = {}
    for path, match in files.matching(GTAD):
        features = h5_sources(path)
        parts[match["stream"]] |= features
        subsets |= dict.fromkeys(features, match["part"])
    names = sorted(set(parts["flow"]) | set(parts["rgb"]))
    raise_problems(files.root, [f"{v}: has no {s}" for v in names for s in STREAMS if v not in parts[s]])
    whole = joined(files.root, {v: [parts[s][v] for s in STREAMS] for v in names}, cut=JOIN_CUT)
    stride = 1 if options.stride is None else options.stride
    if stride != int(stride) or stride < 1:
        raise DataError(f"stride must be a whole number of frames here, where there is a row for each, got {stride!r}")
    sources = {v: _every(s, int(stride)) for v, s in whole.items()}
    table = _gtad_table(files, options)
    published = Published(FROM_ANNOTATIONS if table else None, 1, offset=0, says="a row a frame, offset 0 (gtad_lib/dataset.py:225)")
    clock, timing = clock_of(files.root, published, options)
    seen = Seen("TSN, trained on Kinetics (gtad#31; not stated in the README)", False)
    release = release_of("gtad-h5", files, seen, table, sources, clock, options, subsets=subsets)
    for name, video in release.videos.items():
        if video.time and name in parts["rgb"]:
            frames = max(parts[s][name].shape[0] for s in STREAMS)
            video.duration_s = video.duration_s or float(frames / video.time.fps)
    shorter = sum(parts["flow"][v].shape[0] != parts["rgb"][v].shape[0] for v in names)
    release.notes += [f"timing: {timing}; the published loader takes every fifth row, which stride=5 does here", "channels: flow, then rgb"]
    release.notes += [f"flow and rgb differ in length in {shorter} video(s), and are cut to the shorter"] if shorter else []
    texts = [p.name for p, content in files.jsons if _has_text_segments(content)]
    release.notes += [f"segments in {', '.join(texts)} are strings; the csv tables are used"] if texts and table else []
    return release


def _every(source: FeatureSource, stride: int) -> FeatureSource:
    if stride == 1:
        return source
    return replace(source, shape=(-(-source.shape[0] // stride), *source.shape[1:]), load=lambda: source.load()[::stride])


def _has_text_segments(content: object) -> bool:
    database = content.get("database") if isinstance(content, dict) else None
    entries = database.values() if isinstance(database, dict) else ()
    return any(isinstance(a["segment"][0], str) for e in entries for a in e.get("annotations") or ())


def recognise_tsp(files: Files) -> str | None:
    """The name of a TSP file says the network, the data set and the subset."""
    matches = files.matching(TSP)
    return f"{matches[0][0].name} is named as TSP's releases are: network, data set, subset" if matches else None


def read_tsp(files: Files, options: Options) -> Release:
    """t(i) = (i * stride + 8) / 15; the stride is 16 for ActivityNet and 1 for THUMOS14."""
    sources: dict[str, FeatureSource] = {}
    subsets: dict[str, str] = {}
    sets = set()
    for path, match in files.matching(TSP):
        features = h5_sources(path)
        twice = sorted(set(features) & set(sources))
        raise_problems(path, [f"{v}: is in {sources[v].files[0].name} too" for v in twice])
        sources |= features
        subsets |= dict.fromkeys(features, match["part"])
        sets.add(match["set"])
    if len(sets) != 1:
        raise DataError(f"{files.root}: files of {len(sets)} data sets ({', '.join(sorted(sets))}); give the path of one")
    name = sets.pop()
    stride = TSP_STRIDE.get(name)
    published = Published(
        15, stride, 16, says=f"15 fps, window 16, stride {stride} of TSP's extractor; the last window that is not full is left out"
    )
    clock, timing = clock_of(files.root, published, options)
    seen = Seen("TSP, R(2+1)D-34", True, f"trained on the localisation labels of {name}")
    table = the_table(files, options) if files.separate_annotations or files.jsons else None
    release = release_of("tsp-h5", files, seen, table, sources, clock, options, subsets=subsets)
    if table and all(e.subset is None for e in table.entries.values()):
        for video in release.videos.values():
            video.subset = subsets.get(video.video_id) or subsets.get(f"v_{video.video_id}")
    release.notes.append(f"timing: {timing}")
    if any(re.search(r"\.", v) for v in sources):
        release.notes.append("ids with a dot: TSP cuts an id at its first dot")
    return release


register(Layout("gtad-h5", "{rgb,flow}_{val,test}.h5, a row a frame, and {val,test}_Annotation.csv", recognise_gtad, read_gtad))
register(Layout("tsp-h5", "<network>-tsp_on_<set>-<train|valid|test>_features.h5", recognise_tsp, read_tsp))
