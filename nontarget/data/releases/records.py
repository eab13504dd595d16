"""What a release holds, as typed records: the time axis of a video, its instances, its features, and the whole release."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["train", "test", "unlabeled"]
Number = int | float | Fraction
ANNOTATIONS_ALONE = "no features in this release"


@dataclass(frozen=True)
class TimeAxis:
    """Centre of snippet i: ``(i * stride + offset) / fps`` seconds, in exact arithmetic.

    It is what a release states, in frames; :class:`nontarget.segments.TimeGrid` is what is made of it, in snippets and in floats.

    Frame k lasts from k / fps to (k + 1) / fps, so that a window of w frames that begins at frame 0 is centred on w / 2.
    """

    fps: Fraction
    """Frames per second that the extractor saw, which need not be the video's."""
    stride: Fraction
    """Frames from one snippet to the next."""
    offset: Fraction
    """Frames from the video's begin to the centre of snippet 0."""

    @classmethod
    def of(cls, fps: Number, stride: Number, offset: Number) -> "TimeAxis":
        return cls(_exact(fps), _exact(stride), _exact(offset))

    @classmethod
    def rescaled(cls, rows: int, covered_s: Number) -> "TimeAxis":
        """Row i of n covers ``[i, i + 1) / n`` of the covered duration."""
        return cls(rows / _exact(covered_s), Fraction(1), Fraction(1, 2))

    def centre_s(self, snippet: Number) -> Fraction:
        return (_exact(snippet) * self.stride + self.offset) / self.fps

    def snippet_at(self, time_s: Number) -> Fraction:
        """The inverse of :meth:`centre_s`."""
        return (_exact(time_s) * self.fps - self.offset) / self.stride

    @property
    def feature_fps(self) -> Fraction:
        """Snippets per second."""
        return self.fps / self.stride

    @property
    def feature_offset_s(self) -> Fraction:
        """Seconds from the video's begin to the centre of snippet 0."""
        return self.offset / self.fps

    def covered_s(self, snippets: int) -> Fraction:
        """Where the last snippet ends: half a stride after its centre, or half its first window after it if that is more."""
        return self.centre_s(snippets - 1) + max(self.stride / 2, self.offset) / self.fps

    def __str__(self) -> str:
        return f"t(i) = (i * {float(self.stride):g} + {float(self.offset):g}) / {float(self.fps):.10g} s"


def _exact(value: Number) -> Fraction:
    return value if isinstance(value, Fraction) else Fraction(value)


@dataclass(frozen=True)
class Instance:
    """An annotated instance, as the file has it."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class FeatureSource:
    """Features of one video, of which only the header has been read."""

    shape: tuple[int, ...]
    dtype: str
    """On disk: a numpy name, or ``text``."""
    load: Callable[[], NDArray[np.generic]]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Seen:
    """What the network that made the features has seen of the labels of this data set."""

    network: str
    labels: bool | None
    """None: not known, or there are no features."""
    note: str = ""

    def __str__(self) -> str:
        answer = {True: "YES", False: "no", None: "not known"}[self.labels]
        return f"{answer} ({'; '.join(filter(None, (self.network, self.note)))})"


@dataclass
class Entry:
    """One video of an annotation file."""

    subset: str | None = None
    duration_s: float | None = None
    instances: list[Instance] = field(default_factory=list)
    fps: Number | None = None
    frames: float | None = None
    """Frames of the video."""
    feature_frames: float | None = None
    """Frames that 100-row features cover."""
    details: dict[str, float | str] = field(default_factory=dict)


@dataclass
class AnnotationTable:
    """What one annotation file, or one group of them, says."""

    kind: str
    paths: tuple[Path, ...]
    entries: dict[str, Entry]
    classes: tuple[str, ...] | None = None
    """As a list in the release states them; None: the labels in use."""
    notes: list[str] = field(default_factory=list)


@dataclass
class ReleaseVideo:
    """One video of a release: its annotation and its features, where there are any."""

    video_id: str
    subset: str | None
    """As published."""
    duration_s: float | None
    """As published; None where the release does not say."""
    instances: tuple[Instance, ...]
    source: FeatureSource | None = None
    """[T, D] when loaded."""
    time: TimeAxis | None = None
    without: str | None = None
    """Why there are no features."""
    covered_s: float | None = None
    """Of rescaled features: the duration that all rows cover."""
    at_least_s: float | None = None
    """A duration that follows from the features where none is published."""
    role: Role | None = None
    details: dict[str, float | str] = field(default_factory=dict)

    @property
    def num_snippets(self) -> int | None:
        return self.source.shape[0] if self.source else None

    @property
    def dim(self) -> int | None:
        return self.source.shape[1] if self.source else None


@dataclass
class Release:
    """A release as read: nothing in it has been cut, dropped or renamed yet."""

    layout: str
    reason: str
    """Why it was recognised as this layout."""
    root: Path
    videos: dict[str, ReleaseVideo]
    seen: Seen
    classes: tuple[str, ...] = ()
    splits: dict[Role, str] = field(default_factory=dict)
    """Name of the subset that plays each role."""
    annotations: tuple[Path, ...] = ()
    extra: tuple[str, ...] = ()
    """Ids of features without annotation."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Options:
    """What a user can say about a release that its files do not say. See :func:`nontarget.data.releases.inspect_release`."""

    annotations: Path | None = None
    fps: float | str | None = None
    stride: float | None = None
    window: float | None = None
    offset: float | None = None
    fold: str | int | None = None
    task: str | None = None
    split: str | float | Path | None = None
    subsets: Mapping[str, str] | str | Path | None = None
    features: str | None = None
    axes: str | None = None
    durations: Mapping[str, float] | str | Path | None = None
    allow_pickle: bool = False
    """Lets numpy and torch pickles be read, through an unpickler that admits nothing else."""
    distinct_classes: tuple[str, ...] = ()
    """Names of classes that are meant although they are nearly equal."""
    protocol: str | None = None

    def non_default(self) -> dict[str, object]:
        """Those that were given, as they are written into a command or a record."""
        options = {k: v for k, v in vars(self).items() if v is not None and v is not False and v != ()}
        return {k: (str(v) if isinstance(v, Path) else dict(v) if isinstance(v, Mapping) else v) for k, v in options.items()}
