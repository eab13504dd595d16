"""Looking at a release: read its headers, recognise its layout, and say what is in it."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nontarget.data import DataError, defaults_of
from nontarget.data.annotations import raise_problems
from nontarget.data.folder import is_feature_folder
from nontarget.data.releases.assemble import match_ids
from nontarget.data.releases.benchmark import suggested_protocol
from nontarget.data.releases.files import Files, listed
from nontarget.data.releases.layouts.common import float64_note
from nontarget.data.releases.layouts.plain import durations_beside
from nontarget.data.releases.records import Options, Release
from nontarget.data.releases.registry import recognise
from nontarget.data.releases.report import report_lines
from nontarget.data.releases.roles import apply_split, assign_roles
from nontarget.data.releases.segments import only_ambiguous, screen
from nontarget.data.releases.texts import read_durations
from nontarget.data.splits import TOO_FEW, least_ratio
from nontarget.protocols import available, describe, get_protocol, protocol_of, settings_of

PathLike = str | Path


@dataclass(frozen=True)
class ReleaseReport:
    """What :func:`inspect_release` found; ``str(report)`` is for a terminal."""

    release: Release
    options: Options

    @property
    def layout(self) -> str:
        return self.release.layout

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.release.notes)

    @property
    def missing(self) -> tuple[str, ...]:
        """Annotated videos without features."""
        return tuple(v for v, record in self.release.videos.items() if record.source is None)

    @property
    def extra(self) -> tuple[str, ...]:
        """Features without annotation."""
        return self.release.extra

    @property
    def subsets(self) -> dict[str, int]:
        """Videos by subset."""
        return dict(Counter(str(v.subset) for v in self.release.videos.values()))

    @property
    def protocol(self) -> str | None:
        """Name of a protocol of the field: the one given, else the one that the release calls for."""
        return self.options.protocol or (self._suggested or (None,))[0]

    @property
    def protocol_settings(self) -> dict[str, Any]:
        """What a conversion writes into its folder as ``protocol``: that name, or the settings of the known data set of this layout."""
        default = defaults_of(self.layout).protocol
        return {"name": self.protocol} if self.protocol else settings_of(default) if default else {}

    @property
    def _suggested(self) -> tuple[str, str] | None:
        return suggested_protocol(self.release)

    @property
    def protocol_text(self) -> str:
        """Which protocol it is, and why."""
        if self.options.protocol:
            return f"{describe(get_protocol(self.options.protocol)).removeprefix('protocol ')}; as you said"
        if self._suggested:
            name, reason = self._suggested
            about = describe(get_protocol(name)).removeprefix("protocol ")
            return f"{about}\n    {reason}; --protocol takes another one: {', '.join(available())}"
        about = describe(protocol_of(self.protocol_settings)).removeprefix("protocol of the data set: ")
        origin = f"that of the book's data set {self.layout}" if self.protocol_settings else "none of the field's"
        return f"{origin}: {about}; --protocol, or the key 'protocol' of annotations.json, changes that"

    def next_lines(self, out: PathLike | None = None) -> tuple[str, str]:
        """What to type next: the conversion to ``out``, and Table 1 on the result."""
        out = str(out or f"{self.release.root.resolve().name}_folder")
        words = ["nontarget", "convert", str(self.release.root), out]
        options = self.options.non_default() | ({"protocol": self.protocol} if self.protocol else {})
        for name, value in options.items():
            text = ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
            text = ",".join(value) if isinstance(value, tuple) else text
            words += [f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", text]
        if self.label_ratio is None:
            return shlex.join(words), TOO_FEW
        return shlex.join(words), f"papermill notebooks/table1.ipynb out.ipynb -p features {shlex.quote(out)} -p ratio {self.label_ratio}"

    @property
    def label_ratio(self) -> float | None:
        """The label ratio to begin with, see :func:`nontarget.data.splits.least_ratio`; None: there are too few training videos.

        With a published split it is 1: all its labelled videos keep their labels, and their share was chosen with the split.
        """
        if self.options.split is not None:
            return 1.0
        videos = [v for v in self.release.videos.values() if v.source and not only_ambiguous(v.instances)]
        number = {label: k for k, label in enumerate(self.release.classes)}
        lists = [sorted({number[i.label] for i in screen(v).instances}) for v in videos if v.role == "train"]
        return least_ratio(lists, len(number), any(v.role == "unlabeled" for v in videos))

    def __str__(self) -> str:
        return self.text()

    def text(self, converted_to: PathLike | None = None) -> str:
        """The report for a terminal; ``converted_to`` is the folder, if the release has been converted."""
        to_type = self.next_lines(converted_to)[0 if converted_to is None else 1 :]
        return "\n".join(report_lines(self.release, self.protocol_text, to_type, self.options.distinct_classes))


def inspect_release(
    path: PathLike,
    annotations: PathLike | None = None,
    *,
    fps: float | str | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    fold: str | int | None = None,
    task: str | None = None,
    split: str | float | Path | None = None,
    subsets: Mapping[str, str] | PathLike | None = None,
    features: str | None = None,
    axes: str | None = None,
    durations: Mapping[str, float] | PathLike | None = None,
    allow_pickle: bool = False,
    distinct_classes: Sequence[str] | str = (),
    protocol: str | None = None,
    layout: str | None = None,
) -> ReleaseReport:
    """Say what a feature release on disk is and holds. Only headers of arrays are read, except of pickles, which have none.

    Args:
        path: the release's folder, or one file of it.
        annotations: its annotations, a file or a folder, where they lie elsewhere or there are several.
        fps: frames per second that the extractor saw; ``"annotations"``: each video's own, as the annotation file has it.
        stride: frames from one snippet to the next.
        window: frames that a snippet sees; the first is centred on half of it.
        offset: frames to the centre of the first snippet, where that is not half the window.
        fold: which of several annotation files, for releases with one a fold.
        task: which of several annotation files (``verb``, ``noun``), tiers or attributes.
        split: a published split: the share WITHOUT labels of a ``video_info_new_<share>.csv``, or its path.
        subsets: names of the subsets to train and test on, as ``{"train": name, "test": name}`` or ``"train=name,test=name"``; or a
            table ``video,subset``.
        features: the feature folder, where there are several; several with commas are joined on channels in that order.
        axes: ``TD`` (time first) or ``DT`` (time last), where the files do not tell.
        durations: of the videos in seconds, a mapping or a table ``video,duration``, where the release has none.
        allow_pickle: read pickles, through an unpickler that admits numpy arrays and torch tensors and nothing else.
        distinct_classes: names of classes that are meant although they differ from another in capitals, blanks or hyphens alone; a
            list, or one text with commas.
        protocol: which of the field's the folder is cut and scored by (:mod:`nontarget.protocols`); default: the one that the ids and
            files call for, if they tell.
        layout: name of the layout, instead of recognising it.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: there is no layout or protocol of that name.
        DataError: the layout is not known; times, axis order, fold or task are unclear, and the message names the option to give; or
            places in the files are wrong, which are listed.
    """
    protocol = get_protocol(protocol).name if protocol is not None else None
    options = Options(
        Path(annotations) if annotations is not None else None,
        fps,
        stride,
        window,
        offset,
        fold,
        task,
        split,
        subsets,
        features,
        axes,
        durations,
        allow_pickle,
        tuple(distinct_classes.split(",") if isinstance(distinct_classes, str) else distinct_classes),
        protocol,
    )
    return ReleaseReport(read_release(Path(path), options, layout), options)


def read_release(path: Path, options: Options, layout: str | None = None) -> Release:
    """A release with its roles, before anything in it is changed. Errors as for :func:`inspect_release`."""
    for name in ("stride", "window", "offset"):
        value = getattr(options, name)
        if value is not None and not (isinstance(value, (int, float)) and np.isfinite(value) and value >= 0):
            raise DataError(f"{name} must be a number of frames, got {value!r}")
    files = Files(path, options.annotations)
    if is_feature_folder(path):
        raise DataError(f"{path}: is a feature folder of this project already; use it as it is, features={str(path)!r}")
    chosen_layout, reason = recognise(files, layout)
    release = chosen_layout.read(files, options)
    release.reason = reason
    _fill_durations(release, files, options)
    apply_split(release, files, options)
    assign_roles(release, options)
    release.notes += float64_note({v: r.source for v, r in release.videos.items() if r.source})
    return release


def _fill_durations(release: Release, files: Files, options: Options) -> None:
    """Durations that the user gives, or a table in the release, for videos that have none."""
    stated = read_durations(options.durations) if options.durations is not None else durations_beside(files)
    matched = match_ids(release.root, list(release.videos), list(stated)) if stated else {}
    for video, record in release.videos.items():
        if video in matched and (record.duration_s is None or options.durations is not None):
            record.duration_s = stated[matched[video]]
    if options.durations is not None:
        unknown = sorted(set(stated) - set(matched.values()))
        raise_problems(release.root, [f"{v}: durations= names it, but it is not in the release" for v in unknown if not matched])
        if unknown:
            release.notes.append(f"durations= names {len(unknown)} video(s) that are not in the release: {listed(unknown)}")
