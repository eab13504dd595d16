"""Any folder of one array a video, whatever made it: everything about time has to be said."""

from nontarget.data import DataError
from nontarget.data.releases.assemble import release_of, the_table
from nontarget.data.releases.files import Files, header_of
from nontarget.data.releases.layouts.common import UNKNOWN, arrays_of, chosen_folders, folders_of
from nontarget.data.releases.records import Options, Release
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.texts import read_durations
from nontarget.data.releases.timing import Published, clock_of


def recognise(files: Files) -> str | None:
    """What is left: arrays, one a video, that nothing in the folder says more about."""
    folders = folders_of(files)
    count = sum(map(len, folders.values()))
    return f"{count} array(s), one a video, and nothing that tells which release they are of" if folders else None


def read(files: Files, options: Options) -> Release:
    """t(i) = (i * stride + offset) / fps, all of them as the user says."""
    members = folders_of(files)
    if not members:
        raise DataError(f"{files.root}: no array of features (.npy, .npz, .pt or .pkl)")
    subset_folders = {f.name for f in members} <= {"train", "training", "val", "validation", "test", "testing"} and options.features is None
    if subset_folders:
        chosen = [member for group in members.values() for member in group]
        subsets = {m["id"]: m["folder"] for _, m in chosen}
    else:
        (folder,) = chosen_folders(files, list(members), options)[:1]
        chosen, subsets = members[folder], {}
    sources = arrays_of(files, chosen, options)
    table = the_table(files, options)
    clock, timing = clock_of(files.root, Published(), options)
    release = release_of("plain", files, UNKNOWN, table, sources, clock, options, axes=None, subsets=subsets)
    release.notes.append(f"timing: {timing}")
    return release


def durations_beside(files: Files) -> dict[str, float]:
    """Durations from a table ``video,duration`` that lies in the release."""
    durations: dict[str, float] = {}
    for path in files.annotation_paths + (files.paths if files.separate_annotations else []):
        if path.suffix == ".csv" and [c.strip().lower() for c in header_of(path)[:2]] == ["video", "duration"]:
            durations |= read_durations(path)
    return durations


register(Layout("plain", "<id>.npy, .npz, .pt or .pkl, one array a video; the times have to be given", recognise, read))
