"""Annotations and features put together: ids matched, what is missing on either side named."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nontarget.class_names import is_ambiguous
from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.arrays import oriented
from nontarget.data.releases.files import Files, lines_of, listed
from nontarget.data.releases.labels import LABEL_KINDS, label_kind, read_label_file
from nontarget.data.releases.records import ANNOTATIONS_ALONE, AnnotationTable, Entry, FeatureSource, Options, Release, ReleaseVideo, Seen
from nontarget.data.releases.tables import kind_of, read_annotation_table
from nontarget.data.releases.texts import THUMOS_FILE, is_class_file, read_thumos_text
from nontarget.data.releases.timing import Clock

DATABASES = ("actionformer", "opentad", "activitynet", "hacs", "database", "har", "bmn", "actions")


def release_of(
    layout: str,
    files: Files,
    seen: Seen,
    table: AnnotationTable | None,
    sources: Mapping[str, FeatureSource],
    clock: Clock | None,
    options: Options,
    *,
    axes: str | None = "TD",
    empty: str = "empty: shape (0,)",
    subsets: Mapping[str, str] | None = None,
) -> Release:
    """A release from its annotations and its features.

    Args:
        layout: its name.
        files: of the release.
        seen: what the network saw.
        table: annotations; None: there are none, and the videos are those that have features.
        sources: features by the id that their file has, ``v_`` or not.
        clock: time axis by id and entry.
        options: the user's.
        axes: order that the layout prescribes; None: the files have to tell.
        empty: said of videos whose arrays hold no snippet.
        subsets: of features, by id, where the folders say them and there is no table.

    Raises:
        DataError: two feature files belong to one video, or see :func:`nontarget.data.releases.arrays.oriented`.
    """
    hollow = {v for v, s in sources.items() if 0 in s.shape}
    full, notes = oriented(files.root, {v: s for v, s in sources.items() if v not in hollow}, options.axes, axes)
    entries = table.entries if table else {v: Entry(subset=(subsets or {}).get(v)) for v in sources}
    matched = match_ids(files.root, list(entries), list(sources))
    bare = sorted(set(sources) - set(matched.values())) if table and table.kind in LABEL_KINDS else []
    if bare:  # a tool's file names the videos with instances alone
        notes.append(f"{len(bare)} video(s) have features and no row in the annotations: {listed(bare)}")
        entries, matched = entries | {v: Entry() for v in bare}, matched | {v: v for v in bare}
    videos = {}
    for video, entry in entries.items():
        name = matched.get(video)
        source = full.get(name) if name else None
        without = None if source else (empty if name in hollow else "no feature file" if sources else ANNOTATIONS_ALONE)
        details = dict(entry.details)
        record = ReleaseVideo(video, entry.subset, entry.duration_s, tuple(entry.instances), source, without=without, details=details)
        if source and clock:
            record.time = clock(video, entry)
        videos[video] = record
    extra = tuple(sorted(set(sources) - set(matched.values())))
    if table:
        notes += table.notes
    on_features = sum(name == f"v_{video}" for video, name in matched.items())
    on_annotations = sum(video == f"v_{name}" for video, name in matched.items())
    for count, side in ((on_features, "the feature files"), (on_annotations, "the annotations")):
        if count:
            notes.append(f"v_ is on one side only: ids of {side} begin with it ({count} of {len(matched)} videos); matched without it")
    notes += _other_case(videos, extra)
    return Release(
        layout, "", files.root, videos, seen, _classes(table, videos), annotations=table.paths if table else (), extra=extra, notes=notes
    )


def _classes(table: AnnotationTable | None, videos: Mapping[str, ReleaseVideo]) -> tuple[str, ...]:
    used = {i.label for v in videos.values() for i in v.instances if not is_ambiguous(i.label)}
    if table and table.classes and used <= {*table.classes}:
        return tuple(name for name in table.classes if not is_ambiguous(name))
    return tuple(sorted(used, key=_by_number))


def _by_number(name: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"(.*?)(\d+)", name)
    return (match[1], int(match[2]), name) if match else (name, -1, name)


def match_ids(root: Path, annotated: Sequence[str], stored: Sequence[str]) -> dict[str, str]:
    """The feature id of each annotated one that has features; one of the two may begin with ``v_``.

    Raises:
        DataError: a video's id fits two feature files.
    """
    stored_ids, annotated_ids = set(stored), set(annotated)
    matched, problems = {}, []
    for video in annotated:
        other = video.removeprefix("v_") if video.startswith("v_") else f"v_{video}"
        if video in stored_ids or (other in stored_ids and other not in annotated_ids):
            matched[video] = video if video in stored_ids else other
        if video in stored_ids and other in stored_ids and other not in annotated_ids:
            problems.append(f"{video}: has features under {video!r} and under {other!r}")
    raise_problems(root, problems, "keep one of the two")
    return matched


def _other_case(videos: Mapping[str, ReleaseVideo], extra: Sequence[str]) -> list[str]:
    """Ids that differ in case alone are two videos (YouTube's do), and often a slip."""
    lower = {v.lower(): v for v, record in videos.items() if record.source is None}
    near = [f"{x} / {lower[x.lower()]}" for x in extra if x.lower() in lower]
    return [f"ids that differ in case alone, and are not matched: {listed(near)}"] if near else []


def mark_listed(release: Release, files: Files, name: str, text: str) -> None:
    """Say of the videos without features that a list beside them names them."""
    for path in files.annotations_matching(re.escape(name)) + [p for p, _ in files.matching(re.escape(name))]:
        names = set(files.json(path)) if path.suffix == ".json" else {line.strip() for line in lines_of(path)}
        hit = [v for v, record in release.videos.items() if v in names or f"v_{v}" in names]
        for video in hit:
            record = release.videos[video]
            record.without = text if record.source is None else None
        if hit:
            release.notes.append(f"{text}: {listed(hit)}")
            return


def the_table(files: Files, options: Options, kinds: Sequence[str] = DATABASES) -> AnnotationTable | None:
    """The annotations of a release: the JSON file of one of the given kinds, or what the user's ``annotations`` hold.

    Raises:
        DataError: there are several, and neither ``task`` nor ``fold`` nor ``annotations`` says which; or none has that name.
    """
    databases = [p for p, content in files.jsons if kind_of(content) in kinds]
    if not databases:
        return other_table(files, options) if files.separate_annotations or not files.jsons else None
    path = choose_file(files, databases, options)
    table = read_annotation_table(path, files.json(path))
    if len(databases) > 1:
        table.notes.append(f"{len(databases)} annotation files for one set of features; {path.name} is the one used")
    return table


def choose_file(files: Files, candidates: Sequence[Path], options: Options, option: str | None = None) -> Path:
    """One of several annotation files, by the part of their names in which they differ.

    Raises:
        DataError: none was named, or the name does not fit exactly one.
    """
    if len(candidates) == 1 and options.fold is None and options.task is None:
        return candidates[0]
    parts = _differing([p.stem for p in candidates]) if len(candidates) > 1 else [candidates[0].stem]
    option = option or ("fold" if all(re.search(r"\d+$", p) for p in parts) else "task")
    wanted = options.fold if option == "fold" or options.task is None else options.task
    if wanted is not None:
        hits = [
            p for p, part in zip(candidates, parts, strict=True) if str(wanted) in (part, p.stem, p.name) or _ends_with(p.stem, str(wanted))
        ]
        if len(hits) == 1:
            return hits[0]
        if len(candidates) == 1:
            return candidates[0]
    names = ", ".join(p.name for p in candidates[:20])
    raise DataError(
        f"{files.root}: {len(candidates)} annotation files for one set of features ({names}); give {option}= one of "
        f"{', '.join(map(repr, parts[:20]))}, or annotations=FILE" + (f"; got {option}={wanted!r}" if wanted is not None else "")
    )


def _ends_with(stem: str, part: str) -> bool:
    return stem.endswith(f"_{part}")


def _differing(stems: Sequence[str]) -> list[str]:
    """What is left of names when the words that all share at their begin and end are taken away."""
    words = [stem.split("_") for stem in stems]
    shortest = min(map(len, words))
    begin = next((k for k in range(shortest) if len({w[k] for w in words}) > 1), shortest - 1)
    end = next((k for k in range(shortest - begin) if len({w[-1 - k] for w in words}) > 1), 0)
    return ["_".join(w[begin : len(w) - end]) or "_".join(w) for w in words]


def other_table(files: Files, options: Options) -> AnnotationTable | None:
    """Annotations in text beside features: THUMOS14's, or a labelling tool's.

    Raises:
        DataError: files of several tools are there, which are not mixed.
    """
    classes = [p for p in files.annotations_matching(THUMOS_FILE) if is_class_file(p)]
    if classes:
        return read_thumos_text(classes)
    return label_tables(files, options)


def label_tables(files: Files, options: Options) -> AnnotationTable | None:
    """What a labelling tool exported: one file, or many files of one tool."""
    kinds: dict[str, list[Path]] = {}
    for path in files.annotation_paths:
        if path.suffix.lower() in (".eaf", ".srt", ".boris", ".json", ".csv", ".tsv", ".txt") and (kind := label_kind(path)):
            kinds.setdefault(kind, []).append(path)
    if not kinds:
        return None
    if len(kinds) > 1:
        names = "; ".join(f"{kind}: {listed([files.relative(p) for p in paths], 3)}" for kind, paths in kinds.items())
        raise DataError(f"{files.root}: annotations of several tools ({names}); give annotations=FILE to say which to use")
    kind, paths = next(iter(kinds.items()))
    entries: dict[str, Entry] = {}
    notes: list[str] = []
    for path in paths:
        table = read_label_file(path, options.task)
        notes += table.notes
        for video, entry in table.entries.items():
            merged = entries.setdefault(video, Entry(entry.subset, entry.duration_s))
            merged.instances += entry.instances
    return AnnotationTable(kind, tuple(paths), entries, notes=notes)


def by_stem(matches: Sequence[tuple[Path, "re.Match[str]"]], root: Path, read: Callable[[Path], FeatureSource]) -> dict[str, FeatureSource]:
    """Sources by the id that a path's match has in its group ``id``.

    Raises:
        DataError: an id has two files.
    """
    sources: dict[str, FeatureSource] = {}
    problems = []
    for path, match in matches:
        if match["id"] in sources:
            problems.append(f"{match['id']}: has features in {sources[match['id']].files[0]} and in {path}")
            continue
        sources[match["id"]] = read(path)
    raise_problems(root, problems, "give features=FOLDER to say which to use, or keep one of the two")
    return sources
