"""Turning a release into a feature folder: instances are screened, videos get their roles' names, and what was changed is recorded."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nontarget.class_names import AMBIGUOUS, doubtful_names, is_ambiguous
from nontarget.data import DataError
from nontarget.data.annotations import UNLABELED, raise_problems
from nontarget.data.releases.inspection import PathLike, ReleaseReport, inspect_release
from nontarget.data.releases.records import Release, ReleaseVideo
from nontarget.data.releases.segments import Screened, only_ambiguous, screen
from nontarget.data.shard_writing import NewFeatures, write_folder
from nontarget.protocols import get_protocol

LISTED = 200
"""Instances that the record of a folder lists one by one, of each reason; the counts are of all."""


def convert_release(
    path: PathLike,
    out: PathLike,
    annotations: PathLike | None = None,
    *,
    dtype: str = "float16",
    progress: bool = True,
    layout: str | None = None,
    **options: Any,
) -> ReleaseReport:
    """Convert a release to a feature folder (see :func:`nontarget.data.read_feature_folder`), one video at a time.

    Each video has its own ``feature_fps`` and ``feature_offset_s`` in ``annotations.json``, and rescaled features the duration that
    they cover. Instances are clipped to their video; those without length, outside, repeated or of no class are dropped. Training
    videos that a published split calls unlabelled, and videos of which nothing says a subset, become ``unlabeled``. A conversion that
    was killed goes on where it was.

    Args:
        path: the release.
        out: the folder to write; must not exist, or be empty.
        annotations: see :func:`inspect_release`.
        dtype: of the stored features, ``float16`` or ``float32``.
        progress: show a bar.
        layout: see :func:`inspect_release`.
        options: the others of :func:`inspect_release`.

    Returns:
        The report of the release.

    Raises:
        FileNotFoundError, ValueError, DataError: as for :func:`inspect_release`; and there are no features, names of classes are
            nearly equal, or
            :func:`nontarget.data.shard_writing.write_folder` finds something wrong with them.
    """
    report = inspect_release(path, annotations, layout=layout, **options)
    release = report.release
    chosen = _chosen(release, report.options.protocol)
    distinct = report.options.distinct_classes
    raise_problems(release.root, doubtful_names(release.classes, distinct), "correct the labels, or give distinct_classes=")
    screened = {name: screen(video) for name, video in chosen.items()}
    subsets: dict[str, str] = {role: name for role, name in release.splits.items() if role != "unlabeled"}
    names = subsets | {"unlabeled": UNLABELED}
    database = {name: _entry(video, screened[name], names[video.role or UNLABELED]) for name, video in chosen.items()}
    content: dict[str, Any] = {"classes": list(release.classes)} | _common_rate(database.values())
    if len(set(subsets.values())) == 2:
        content["subsets"] = subsets
    content |= {"protocol": report.protocol_settings} if report.protocol_settings else {}
    content |= {"distinct_classes": list(distinct)} if distinct else {}
    content |= {"provenance": _provenance(report, screened, dtype), "database": database}
    features = [_features(release, name, video, screened[name]) for name, video in chosen.items()]
    write_folder(Path(out), content, features, dtype, progress=progress)
    return report


def _chosen(release: Release, protocol: str | None) -> dict[str, ReleaseVideo]:
    """Videos with features and a role; where nothing says any, all of them, unlabelled.

    Videos with nothing but the class that is none are left out, except test videos that the protocol that was asked for counts.
    """
    usable = {name: v for name, v in release.videos.items() if v.source}
    if not usable:
        raise DataError(
            f"{release.root}: {release.layout} holds no features to convert; give the folder of features, and these as annotations="
        )
    raise_problems(
        release.root,
        [f"{name}: its time axis is not known" for name, v in usable.items() if v.time is None],
        "give fps=, stride= and window=",
    )
    if not any(v.role for v in usable.values()):
        return usable
    left_out = get_protocol(protocol).left_out if protocol else tuple(usable)
    kept = {name for name, v in usable.items() if not only_ambiguous(v.instances) or (v.role == "test" and name not in left_out)}
    return {name: v for name, v in usable.items() if v.role and name in kept}


def _entry(video: ReleaseVideo, screened: Screened, subset: str) -> dict[str, Any]:
    """A video in ``annotations.json``, with the times of its features."""
    assert video.time is not None
    kept = [] if subset == UNLABELED else screened.instances
    entry: dict[str, Any] = {"subset": subset, "duration": screened.duration_s}
    entry["annotations"] = [{"label": i.label, "segment": [i.start_s, i.end_s]} for i in kept]
    ambiguous = [[i.start_s, i.end_s] for i in video.instances if is_ambiguous(i.label)]
    entry |= {"ambiguous": ambiguous} if ambiguous else {}
    entry |= {"feature_fps": float(video.time.feature_fps), "feature_offset_s": float(video.time.feature_offset_s)}
    return entry | ({} if video.covered_s is None else {"feature_duration_s": video.covered_s})


def _common_rate(entries: Collection[Mapping[str, Any]]) -> dict[str, float]:
    """The rate of all videos, if they have one and are centred on ``(t + 0.5) / feature_fps``; else nothing, so that none is applied."""
    rates = {e["feature_fps"] for e in entries}
    usual = all("feature_duration_s" not in e and abs(e["feature_offset_s"] * e["feature_fps"] - 0.5) < 1e-9 for e in entries)
    return {"feature_fps": rates.pop()} if usual and len(rates) == 1 else {}


def _features(release: Release, name: str, video: ReleaseVideo, screened: Screened) -> NewFeatures:
    assert video.source is not None
    stamp = "; ".join(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in video.source.files)
    return NewFeatures(name, (screened.rows, video.source.shape[1]), video.source.load, f"{release.layout}; {stamp}")


def _provenance(report: ReleaseReport, screened: Mapping[str, Screened], dtype: str) -> dict[str, Any]:
    """Where a folder comes from and what was changed."""
    release = report.release
    counts: Counter[str] = Counter()
    changed: dict[str, list[str]] = {}
    for name, one in screened.items():
        for reason, segment in one.changed:
            counts[reason] += 1
            if counts[reason] <= LISTED:
                changed.setdefault(reason, []).append(f"{name}: {segment}")
    left_out = {}
    for name, video in release.videos.items():
        if name not in screened:
            left_out[name] = video.without or (f"nothing but {AMBIGUOUS}" if only_ambiguous(video.instances) else "no role")
    return {
        "release": release.layout,
        "recognised": release.reason,
        "folder": release.root.resolve().name,
        "annotations": [p.name for p in release.annotations],
        "options": {k: v for k, v in report.options.non_default().items() if k not in ("annotations", "durations", "protocol")},
        "network": release.seen.network,
        "labels_seen": release.seen.labels,
        "labels_seen_note": release.seen.note,
        "dtype": dtype,
        "instances_changed": dict(counts),
        "instances_changed_list": changed,
        "videos_cut": [f"{name}: {note}" for name, one in screened.items() for note in one.notes],
        "videos_left_out": dict(Counter(left_out.values())),
        "features_without_annotation": len(release.extra),
        "notes": list(dict.fromkeys(release.notes)),
    }
