"""Videos as typed records: what a detector may see of a labelled and of an unlabelled video."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nontarget.config import Protocol
from nontarget.protocols import describe, protocol_of
from nontarget.runtime.readers import DataError as DataError
from nontarget.segments import TimeGrid

LABELS_SEEN = {
    True: "the network that made the features was trained with labels of this data set, also with those that are hidden here, so that "
    "the unlabelled videos are not unlabelled to it",
    False: "the network that made the features was trained without labels of this data set",
}
"""What :attr:`Dataset.labels_seen` means, in words."""
RATE_TOLERANCE = 0.02
"""Relative deviation of a feature rate, or of the length of a video's features, up to which there is no warning."""
LENGTH_TOLERANCE = 0.1
"""Share by which the length of a video's features may differ from its duration at all."""


class StoredFeatures(ABC):
    """Features of one video on the disk."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Snippets and dimensions."""

    @abstractmethod
    def read(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Snippets ``start`` to ``stop``, in memory of their own; DataError where they are not what was stored."""

    @abstractmethod
    def pooled(self, pool: int) -> "StoredFeatures":
        """The same, averaged over ``pool`` snippets on each reading."""


class _Features:
    """The attribute ``features`` of a video: an array as it was given; stored features are read anew each time."""

    def __init__(self, slot: Any) -> None:
        self.slot = slot

    def __get__(self, video: "Video", owner: type | None = None) -> NDArray[np.float32]:
        held: NDArray[np.float32] | StoredFeatures = self.slot.__get__(video, owner)
        return held.read() if isinstance(held, StoredFeatures) else held

    def __set__(self, video: "Video", features: NDArray[np.float32] | StoredFeatures) -> None:
        self.slot.__set__(video, features)


@dataclass(frozen=True, slots=True)
class Video:
    """An unlabelled video. It has no place for annotations: what is not there cannot leak into training."""

    video_id: str
    features: NDArray[np.float32]
    """[snippets, dim] of float32; snippet t is centred on ``(t + 0.5) / fps + offset_s`` seconds. They are in memory, or, if the video
    was given :class:`StoredFeatures`, read from the disk each time; ``num_snippets``, ``dim`` and ``snippets`` spare that."""
    fps: float
    """Snippets per second."""
    duration_s: float
    offset_s: float = 0.0
    """Where the first snippet begins, half a snippet before its centre; other than 0 where a window is wider than its stride."""

    @property
    def grid(self) -> TimeGrid:
        return TimeGrid(self.fps, self.offset_s)

    @property
    def stored(self) -> StoredFeatures | None:
        """Where the features are on the disk; None: they are in memory."""
        held = _HELD.slot.__get__(self)
        return held if isinstance(held, StoredFeatures) else None

    @property
    def num_snippets(self) -> int:
        return int(_HELD.slot.__get__(self).shape[0])

    @property
    def dim(self) -> int:
        return int(_HELD.slot.__get__(self).shape[1])

    def snippets(self, start: int, stop: int) -> NDArray[np.float32]:
        """Features of the snippets from ``start`` up to ``stop``, or to the end if that comes first."""
        return self.features[start:stop] if self.stored is None else self.stored.read(start, stop)


_HELD = _Features(Video.__dict__["features"])
setattr(Video, "features", _HELD)  # noqa: B010 - a descriptor around the slot, which has no place in the class itself


@dataclass(frozen=True, slots=True)
class Annotations:
    """The instances of one video."""

    labels: NDArray[np.int64]
    """[instances], index into the classes of the data set."""
    segments_s: NDArray[np.float64]
    """[instances, 2], start and end in seconds."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Which classes occur, in order."""
        return tuple(map(int, np.unique(self.labels)))


@dataclass(frozen=True, slots=True)
class LabeledVideo:
    """A video together with its annotations."""

    video: Video
    annotations: Annotations


@dataclass(frozen=True)
class Dataset:
    """Training and test videos of one problem, and the protocol under which it is run and scored."""

    name: str
    classes: tuple[str, ...]
    """Action classes without background; background is index ``len(classes)``."""
    train: tuple[LabeledVideo, ...]
    test: tuple[LabeledVideo, ...]
    protocol: Protocol
    checksum: str
    """Identifies the content: of the files, or of a generator's parameters."""
    simulated: bool = False
    unlabeled: tuple[Video, ...] = ()
    """Further training videos that nobody has labelled; they are in no split of ``train``."""
    external_scores: Mapping[str, NDArray[np.float64]] | None = None
    """Of test videos, by id: a score in [0, 1] for each class from a classifier of whole videos, trained elsewhere. None: not at hand."""
    ambiguous: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """By id of a test video: spans (start, end) in seconds that are annotated as ambiguous, which some protocols do not score."""
    class_lists: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By id: which classes a video shows, as an index into ``classes``. It is the one thing that a split is drawn from (see
    :mod:`nontarget.data.splits`), recorded when the data set is made; a video that is not given gets the classes of its annotations."""

    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where the features come from, as their folder says: ``release``, ``network``, ``labels_seen`` and what was changed; often empty."""

    def __post_init__(self) -> None:
        derived = {v.video.video_id: v.annotations.classes for v in (*self.train, *self.test) if v.video.video_id not in self.class_lists}
        object.__setattr__(self, "class_lists", {**self.class_lists, **derived})

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def labels_seen(self) -> bool | None:
        """Whether the network that made the features was trained with labels of this data set; None: not known."""
        return self.provenance.get("labels_seen")

    @property
    def feature_dim(self) -> int:
        return self.train[0].video.dim

    def with_protocol(self, **changes: Any) -> "Dataset":
        """The same videos under a changed protocol: ``name``, one of :mod:`nontarget.protocols`, and changed settings.

        Raises:
            ValueError: an unknown name or setting; or ``pool`` would change: the features have been pooled already.
        """
        protocol = protocol_of(changes, self.protocol, "protocol_settings")
        if protocol.pool != self.protocol.pool:
            raise ValueError(f"pool is {self.protocol.pool} in the features of {self.name} already, and cannot become {protocol.pool!r}")
        return replace(self, protocol=protocol)

    def summary(self) -> dict[str, str | int]:
        """Its size in a row of a table."""
        return {
            "data set": self.name,
            "kind": "simulated" if self.simulated else "real",
            "training videos": len(self.train),
            "test videos": len(self.test),
            "classes": self.num_classes,
            "training instances": sum(len(v.annotations.labels) for v in self.train),
            "feature dimension": self.feature_dim,
            **({} if self.labels_seen is None else {"network saw its labels": "yes" if self.labels_seen else "no"}),
            "protocol": describe(self.protocol).removeprefix("protocol "),
        }

    def instances(self, videos: Iterable[LabeledVideo]) -> pd.DataFrame:
        """Instances of the given videos: rows (video_id, label, start_s, end_s)."""
        rows = [
            (v.video.video_id, self.classes[label], start, end)
            for v in videos
            for label, (start, end) in zip(v.annotations.labels, v.annotations.segments_s.tolist(), strict=True)
        ]
        return pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s"])

    def ground_truth(self, videos: Iterable[LabeledVideo]) -> dict[str, dict[str, dict[str, object]]]:
        """ActivityNet-style dictionary of the given videos' annotations."""
        return {
            "database": {
                v.video.video_id: {
                    "duration": v.video.duration_s,
                    "annotations": [
                        {"label": self.classes[label], "segment": [float(start), float(end)]}
                        for label, (start, end) in zip(v.annotations.labels, v.annotations.segments_s, strict=True)
                    ],
                }
                | ({"ambiguous": spans} if (spans := list(map(list, self.ambiguous.get(v.video.video_id, ())))) else {})
                for v in videos
            }
        }


def video_of(video_id: str, features: NDArray[np.float32] | StoredFeatures, fps: float, duration_s: float, offset_s: float = 0.0) -> Video:
    """A video whose features are in memory or on the disk."""
    return Video(video_id, features, fps, duration_s, offset_s)  # type: ignore[arg-type]


def mean_of_steps(features: NDArray[np.float32], pool: int) -> NDArray[np.float32]:
    """Average ``pool`` consecutive feature steps; a remainder at the end is averaged over what there is."""
    if pool == 1 or not len(features):
        return features
    starts = np.arange(0, len(features), pool)
    sums = np.add.reduceat(features, starts, axis=0)
    counts = np.diff(starts, append=len(features))
    return (sums / counts[:, None]).astype(np.float32)


def is_off(steps: int, expected: float, tolerance: float) -> bool:
    """Whether a video has more or fewer feature steps than expected, by more than two steps and more than a share of them."""
    return abs(steps - expected) > max(2, tolerance * expected)
