"""What several layouts share: folders of one array a video, and the notes that follow from their names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nontarget.data import DataError
from nontarget.data.releases.assemble import by_stem
from nontarget.data.releases.files import Files, npy, npz, npz_keys, pickled
from nontarget.data.releases.records import FeatureSource, Options, Seen
from nontarget.data.releases.tables import kind_of

ARRAY = r"(?P<folder>[^/]+)/(?P<id>[^/]+)\.(?P<ext>npy|npz|pt|pth|pkl)"
KEYS = ("feats", "features", "feature", "arr_0")

I3D = Seen("I3D, trained on Kinetics", False)
UNKNOWN = Seen("the network is not recorded in these files", None, "ask whoever made them")


def has_json(files: Files, *kinds: str) -> Path | None:
    """The first annotation file of one of the kinds."""
    return next((path for path, content in files.jsons if kind_of(content) in kinds), None)


def folders_of(files: Files, pattern: str = ARRAY) -> dict[Path, list[tuple[Path, re.Match[str]]]]:
    """Files that match, by the folder in which they lie."""
    folders: dict[Path, list[tuple[Path, re.Match[str]]]] = {}
    for path, match in files.matching(pattern):
        folders.setdefault(path.parent, []).append((path, match))
    return folders


def chosen_folders(files: Files, folders: Sequence[Path], options: Options, order: Sequence[str] = ()) -> list[Path]:
    """The feature folder, or several that are joined on channels in a known order.

    Args:
        files: of the release.
        folders: those that hold arrays.
        options: the user's ``features`` names them, with commas between.
        order: published order of folders that are joined.

    Raises:
        DataError: there are several and their order is not known, or there is none of a name.
    """
    names = {files.relative(f): f for f in folders}
    if options.features:
        chosen = []
        for wanted in options.features.split(","):
            hits = [f for name, f in names.items() if name == wanted or name.endswith(f"/{wanted}") or f.name == wanted]
            if len(hits) != 1:
                raise DataError(f"{files.root}: features={wanted!r} is {len(hits)} of the folders {', '.join(names)}; name one of them")
            chosen += hits
        return chosen
    if len(folders) > 1 and order and {f.name for f in folders} <= set(order):
        return sorted(folders, key=lambda f: order.index(f.name))
    if len(folders) != 1:
        raise DataError(
            f"{files.root}: {len(folders)} folders of features ({', '.join(names)}); give features=FOLDER, or "
            "features=FOLDER,FOLDER to join them on channels in that order"
        )
    return list(folders)


def arrays_of(files: Files, members: Sequence[tuple[Path, re.Match[str]]], options: Options) -> dict[str, FeatureSource]:
    """One array a video."""

    def read(path: Path) -> FeatureSource:
        if path.suffix == ".npy":
            return npy(path)
        if path.suffix == ".npz":
            return npz(path, npz_key(path))
        return pickled(path, options.allow_pickle)

    return by_stem(members, files.root, read)


def npz_key(path: Path) -> str:
    """The array that holds the features.

    Raises:
        DataError: there are several and none has a usual name.
    """
    keys = npz_keys(path)
    preferred_keys = [key for key in KEYS if key in keys]
    if len(keys) != 1 and not preferred_keys:
        raise DataError(f"{path}: holds the arrays {keys}; expected one, or one of the names {', '.join(KEYS)}")
    return preferred_keys[0] if preferred_keys else keys[0]


def float64_note(sources: Mapping[str, FeatureSource]) -> list[str]:
    """Said of features that are not float32 on disk."""
    odd: dict[str, list[str]] = {}
    for video, source in sources.items():
        if source.dtype not in ("float32", "text"):
            odd.setdefault(source.dtype, []).append(video)
    return [f"{dtype} on disk: {len(v)} of {len(sources)} videos, such as {v[0]}" for dtype, v in odd.items()]
