"""Annotations alone: official files and labelling tools, without features."""

from collections.abc import Callable
from pathlib import Path

from nontarget.data import DataError
from nontarget.data.releases.assemble import DATABASES, choose_file, label_tables, release_of, the_table
from nontarget.data.releases.files import Files, header_of
from nontarget.data.releases.labels import label_kind
from nontarget.data.releases.layouts.common import folders_of, has_json
from nontarget.data.releases.records import AnnotationTable, Options, Release, Seen
from nontarget.data.releases.registry import Layout, register
from nontarget.data.releases.tables import kind_of, read_annotation_table
from nontarget.data.releases.texts import EPIC_COLUMNS, THUMOS_FILE, is_class_file, read_epic_csv, read_multithumos_text, read_thumos_text

NONE = Seen("no features in this release", None)


def _thumos(files: Files) -> list[Path]:
    return [p for p in files.annotations_matching(THUMOS_FILE) if is_class_file(p)]


def _multithumos(files: Files) -> tuple[Path, list[Path]] | None:
    lists = files.annotations_matching(r"class_list\.txt")
    classes = [p for p in files.annotations_matching(r"[A-Za-z]\w*\.txt") if p.parent.name == "annotations" and is_class_file(p)]
    return (lists[0], classes) if lists and classes else None


def _epic(files: Files) -> list[Path]:
    tables = [p for p in files.annotation_paths if p.suffix == ".csv"]
    action_tables = [p for p in tables if set(header_of(p)) >= EPIC_COLUMNS]
    return action_tables + [p for p in tables if {"video_id", "duration"} <= set(header_of(p))] if action_tables else []


def _epic_table(files: Files, options: Options) -> AnnotationTable:
    return read_epic_csv(_epic(files), options.task)


def _multithumos_table(files: Files, _: Options) -> AnnotationTable:
    paths = _multithumos(files)
    if paths is None:
        raise DataError(f"{files.root}: no class_list.txt with annotations/<Class>.txt")
    return read_multithumos_text(*paths)


def _actions_table(files: Files, options: Options) -> AnnotationTable:
    paths = [p for p, content in files.jsons if kind_of(content) == "actions"]
    if len(paths) > 1:
        names = ", ".join(files.relative(p) for p in paths)
        raise DataError(f"{files.root}: several data sets ({names}); give the path of one of them, or annotations=FILE")
    table = read_annotation_table(paths[0], files.json(paths[0]))
    numbers = sorted({int(i.label) for e in table.entries.values() for i in e.instances})
    base = 0 if 0 in numbers else 1
    table.notes.append(f"classes have numbers and no names; they are kept as text and count from {base} ({numbers[0]} to {numbers[-1]})")
    far = [
        f"{v} by {i.end_s - e.duration_s:,.0f} s"
        for v, e in table.entries.items()
        for i in e.instances
        if e.duration_s and i.end_s - e.duration_s > 60
    ]
    if far:
        table.notes.append(f"instances end far beyond their video, which is a slip and no rounding: {', '.join(far[:5])}")
    return table


def _json_table(files: Files, options: Options) -> AnnotationTable:
    databases = [p for p, content in files.jsons if kind_of(content) in DATABASES]
    if not databases:
        raise DataError(f"{files.root}: no json with a 'database'")
    path = choose_file(files, databases, options)
    table = the_table(files, options, DATABASES) if len(databases) == 1 else read_annotation_table(path, files.json(path))
    assert table is not None
    return table


def _label_table(files: Files, options: Options) -> AnnotationTable:
    table = label_tables(files, options)
    if table is None:
        raise DataError(f"{files.root}: no file of a labelling tool")
    if all(e.duration_s is None for e in table.entries.values()):
        table.notes.append(
            "the file does not say how long the videos are (only BORIS's do): durations come from features, or from durations="
        )
    return table


def _has_labels(files: Files) -> str | None:
    suffixes = (".eaf", ".srt", ".boris", ".json", ".csv", ".tsv", ".txt")
    kinds = {kind for p in files.annotation_paths if p.suffix.lower() in suffixes and (kind := label_kind(p))}
    return f"holds annotations of {', '.join(sorted(kinds))}" if kinds else None


def _when(condition: Callable[[Files], object], reason: str) -> Callable[[Files], str | None]:
    return lambda files: reason if condition(files) and not folders_of(files) else None


def _add(name: str, describes: str, recognise: Callable[[Files], str | None], table: Callable[[Files, Options], AnnotationTable]) -> None:
    def read(files: Files, options: Options) -> Release:
        return release_of(name, files, NONE, table(files, options), {}, None, options)

    register(Layout(name, describes, recognise, read))


_add(
    "thumos14-text",
    "<Class>_val.txt and <Class>_test.txt: 'video start end'",
    _when(_thumos, "<Class>_{val,test}.txt hold lines 'video start end', as THUMOS14's official annotations"),
    lambda files, _: read_thumos_text(_thumos(files)),
)
_add(
    "multithumos-text",
    "class_list.txt and annotations/<Class>.txt: 'video start end'",
    _when(_multithumos, "class_list.txt and annotations/<Class>.txt with lines 'video start end', as MultiTHUMOS publishes them"),
    _multithumos_table,
)
_add(
    "epic-csv",
    "EPIC_100_{train,validation,test_timestamps,video_info}.csv",
    _when(_epic, "tables with video_id, start_timestamp and stop_timestamp, as EPIC-KITCHENS-100 publishes them"),
    _epic_table,
)
_add(
    "actions-json",
    "{video: {subset, duration, actions: [[class, start, end], ...]}}",
    _when(lambda files: has_json(files, "actions"), "entries with 'actions' of [class, start, end], as dense-labelling code reads them"),
    _actions_table,
)
_add(
    "annotation-json",
    "a json 'database' without features: ActivityNet, HACS, FineAction, ActionFormer, OpenTAD",
    _when(lambda files: has_json(files, *DATABASES), "a json with a 'database', and no features"),
    _json_table,
)
_add(
    "label-tools",
    "files of ELAN, VIA 3, BORIS, Audacity, subtitles, or a table",
    lambda f: None if folders_of(f) else _has_labels(f),
    _label_table,
)
