"""ActionFormer's layout (also TriDet, DyFADet, TemporalMaxer, video-mamba-suite): one JSON with ``label_id``, one array a video."""

from nontarget.data import DataError
from nontarget.data.releases.arrays import joined, oriented
from nontarget.data.releases.assemble import release_of, the_table
from nontarget.data.releases.files import Files, npz_keys
from nontarget.data.releases.layouts.common import I3D, UNKNOWN, arrays_of, chosen_folders, folders_of, has_json
from nontarget.data.releases.records import AnnotationTable, Options, Release, Seen
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.timing import FROM_ANNOTATIONS, Published, clock_of

EGO4D = ("slowfast_features", "omnivore_features", "egovlp_features")
"""Folders of Ego4D's networks in the order in which the published configurations join them (configs/ego4d_*.yaml)."""
KINDS = ("actionformer",)


def recognise(files: Files) -> str | None:
    """A ``database`` whose entries have ``fps`` and whose annotations have ``label_id`` is what ActionFormer's loaders read."""
    path = has_json(files, *KINDS)
    if path is None or not folders_of(files):
        return None
    return (
        f"{files.relative(path)} has a 'database' with fps and label_id, as ActionFormer's loaders read it, and there is one array a video"
    )


def published(table: AnnotationTable, names: list[str], prefixed: bool, npz_feats: bool) -> tuple[Published, Seen]:
    """Time axis and network of the published releases, told by the names of folders, which ActionFormer's configurations prescribe."""
    subsets = {(e.subset or "").lower() for e in table.entries.values()}
    if set(names) <= set(EGO4D):
        window = 16 if names == ["egovlp_features"] else 32
        seen = Seen(", ".join(n.removesuffix("_features") for n in names), False, "Kinetics; EgoVLP: narrations of Ego4D; no labels of MQ")
        return Published(30, 16, window, says="30 fps, stride 16, window of configs/ego4d_*.yaml"), seen
    if npz_feats:
        seen = Seen("SlowFast, trained on EPIC-KITCHENS' classification labels", True)
        return Published(30, 16, 32, says="30 fps, stride 16, window 32 of configs/epic_slowfast_*.yaml"), seen
    if names == ["tsp_features"]:
        seen = Seen("TSP, R(2+1)D-34", True, "trained on ActivityNet's localisation labels of all training videos")
        return Published(15, 16, 16, says="15 fps, stride 16, window 16 of configs/anet_tsp.yaml, in no file"), seen
    if names == ["i3d_features"] and prefixed:
        return Published(25, 16, 16, says="25 fps, stride 16, window 16 of configs/anet_i3d.yaml, in no file"), I3D
    if names == ["i3d_features"] and subsets == {"validation", "test"}:
        says = "fps of each video in the json; stride 4, window 16 of configs/thumos_i3d.yaml"
        return Published(FROM_ANNOTATIONS, 4, 16, says=says), I3D
    return Published(says="ActionFormer reads feat_stride, num_frames and default_fps from its configuration"), UNKNOWN


def read(files: Files, options: Options) -> Release:
    """t(i) = (i * feat_stride + num_frames / 2) / fps, of the published configurations or as the user says."""
    table = the_table(files, options, KINDS)
    if table is None:
        raise DataError(f"{files.root}: no annotations in ActionFormer's layout; give annotations=FILE")
    members = folders_of(files)
    folders = chosen_folders(files, list(members), options, EGO4D)
    parts = [arrays_of(files, members[folder], options) for folder in folders]
    notes = []
    if len(parts) > 1:
        parts = [oriented(files.root, part, options.axes, "TD")[0] for part in parts]
        names = sorted({v for part in parts for v in part})
        whole = {v: [part[v] for part in parts] for v in names if all(v in part for part in parts)}
        sources = joined(files.root, whole, cut=1)
        order = ", then ".join(f.name for f in folders)
        notes.append(f"channels: {order} ({'as you said' if options.features else 'order of the published configurations'})")
        lacking = [v for v in names if v not in whole]
        notes += [f"{len(lacking)} video(s) lack one of the folders, such as {lacking[0]}"] if lacking else []
    else:
        sources = parts[0]
    first = members[folders[0]][0][0]
    prefixed = any(v.startswith("v_") for v in sources) and not any(v.startswith("v_") for v in table.entries)
    feats = first.suffix == ".npz" and npz_keys(first) == ["feats"]
    stated, seen = published(table, [f.name for f in folders], prefixed, feats)
    clock, timing = clock_of(files.root, stated, options)
    release = release_of("actionformer", files, seen, table, sources, clock, options)
    release.notes += [f"timing: {timing}", *notes]
    if stated.fps == FROM_ANNOTATIONS and len(parts) == 1:
        release.notes.append("channels: first half rgb, second half flow")
    rates = {e.fps for e in table.entries.values() if e.fps}
    if not isinstance(stated.fps, str) and stated.fps and rates != {stated.fps} and options.fps is None:
        some = ", ".join(f"{float(r):g}" for r in sorted(rates)[:4])
        release.notes.append(
            f"the fps in the json ({some}) is that of the videos; that of the features, {float(stated.fps):g}, is in no file"
        )
    return release


register(Layout("actionformer", "a json 'database' with fps and label_id, and <folder>/<id>.npy or .npz", recognise, read))
