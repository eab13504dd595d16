"""Which videos are trained on and which are tested on: by the subsets' names, by the user's word, or by a published split."""

import re
from collections.abc import Mapping
from pathlib import Path

from nontarget.data import DataError
from nontarget.data.releases.files import Files, rows_of
from nontarget.data.releases.records import Options, Release, Role
from nontarget.data.releases.texts import read_column

ROLES: tuple[Role, ...] = ("train", "test", "unlabeled")
_TRAIN = ("training", "train")
_HELD_OUT = ("validation", "val", "valid")
_TEST = ("testing", "test")
_UNLABELED = ("training_unlabel", "unlabeled", "unlabelled", "train_unlabel")
SPLIT_FILE = r"video_info_new(?:_(?P<share>[0-9.]+))?\.csv"


def assign_roles(release: Release, options: Options) -> None:
    """Give each video its role, in place.

    Raises:
        DataError: the names of the subsets leave it open, or the user's do not occur.
    """
    chosen = options.subsets
    if isinstance(chosen, str) and "=" in chosen:
        chosen = dict(part.split("=", 1) for part in chosen.split(","))
    if isinstance(chosen, (str, Path)):
        _subsets_from_table(release, Path(chosen))
        chosen = None
    present = {v.subset for v in release.videos.values() if v.subset is not None}
    if isinstance(chosen, Mapping):
        wrong = [f"{role}={name}" for role, name in chosen.items() if role not in ROLES or name not in present]
        if wrong:
            raise DataError(f"subsets={','.join(wrong)}: roles are {', '.join(ROLES)}; the subsets of this release are {sorted(present)}")
        release.splits = {role: chosen[role] for role in ROLES if role in chosen}
    elif release.splits:
        return  # the layout's split files say it
    else:
        release.splits = splits_of(release, present)
    by_name = {name: role for role, name in release.splits.items()}
    for video in release.videos.values():
        video.role = by_name.get(video.subset or "")


def splits_of(release: Release, present: set[str]) -> dict[Role, str]:
    """Roles by the usual names: ``validation`` is tested on where there is ``training``, and trained on where there is only ``test``.

    Raises:
        DataError: training, validation and test are all annotated, so that either of two may be meant.
    """

    def named(names: tuple[str, ...]) -> str | None:
        return next((s for s in sorted(present) if s.lower() in names), None)

    train, held_out, test, unlabeled = named(_TRAIN), named(_HELD_OUT), named(_TEST), named(_UNLABELED)
    annotated = {v.subset for v in release.videos.values() if v.instances}
    if train and held_out and test and {held_out, test} <= annotated:
        raise DataError(
            f"{release.root}: the subsets {train!r}, {held_out!r} and {test!r} are all annotated; say which to use, such as "
            f"subsets='train={train},test={held_out}' or subsets='train={train},test={test}'"
        )
    if train is None:
        train, held_out = held_out, None  # THUMOS14, whose validation videos are the ones to train on
    tested = held_out if held_out and (held_out in annotated or not test) else test
    pairs: tuple[tuple[Role, str | None], ...] = (("train", train), ("unlabeled", unlabeled), ("test", tested))
    return {role: name for role, name in pairs if name}


def _subsets_from_table(release: Release, path: Path) -> None:
    stated = read_column(path, "subset")
    for name, video in release.videos.items():
        video.subset = stated.get(name, video.subset)
    unknown = sorted(set(stated) - set(release.videos))
    if unknown:
        release.notes.append(f"{path.name}: {len(unknown)} video(s) that are not in the release, such as {unknown[0]}")


def apply_split(release: Release, files: Files, options: Options) -> None:
    """Take the subsets from a published ``video_info_new_<u>.csv`` (SSTAP, SPOT), in place; u is the share WITHOUT labels.

    Raises:
        DataError: there is no such file.
    """
    paths = {m["share"]: p for p in files.named(SPLIT_FILE) if (m := re.fullmatch(SPLIT_FILE, p.name))}
    shares = sorted(share for share in paths if share)
    if options.split is None:
        if shares:
            release.notes.append(
                f"published splits are there, split={' or '.join(shares)}: the number in the file's name is the share WITHOUT labels"
            )
        return
    path = _split_path(options.split, paths)
    rows = rows_of(path)
    if not rows or not {"video", "subset"} <= rows[0].keys():
        raise DataError(f"{path}: expected a table with the columns video and subset, as SSTAP publishes it")
    stated = {row["video"].removeprefix("v_"): row["subset"] for row in rows}
    absent = []
    for name, video in release.videos.items():
        subset = stated.get(name.removeprefix("v_"))
        if subset is None and video.subset is not None:
            absent.append(name)
        video.subset = subset
    share = re.fullmatch(SPLIT_FILE, path.name)
    kept, without = (sum(s == name for s in stated.values()) for name in ("training", "training_unlabel"))
    release.notes.append(
        f"subsets are those of {path.name}: {kept} training videos keep their labels, {without} do not"
        + (f"; {share['share']} in its name is the share WITHOUT labels" if share and share["share"] else "")
    )
    if absent:
        release.notes.append(f"{path.name}: {len(absent)} annotated video(s) are not in the split and are left out, such as {absent[0]}")
    release.splits = {}


def _split_path(split: str | float | Path, paths: Mapping[str | None, Path]) -> Path:
    if isinstance(split, Path) or str(split).endswith(".csv"):
        path = next((p for p in paths.values() if p.name == str(split)), Path(str(split)))
        if path.is_file():
            return path
    else:
        same = [p for share, p in paths.items() if share and float(share) == float(split)] if _reads_as_number(split) else []
        if same:
            return same[0]
    choices = ", ".join(sorted(share for share in paths if share)) or "none in these folders"
    raise DataError(
        f"split={split!r}: no such published split; give the share WITHOUT labels of a file video_info_new_<share>.csv "
        f"(there are: {choices}), or the path of one"
    )


def _reads_as_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return True
