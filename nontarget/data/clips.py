"""Clips: videos cut or rescaled to T snippets and padded, as the tensors that a detector trains on (Sec. 4.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nontarget.config import Protocol
from nontarget.data import cutting
from nontarget.data.cutting import Cutter
from nontarget.data.videos import LabeledVideo, Video
from nontarget.segments import TimeGrid, covered_snippets, shortest_instance

CLIPS_VERSION = 2
"""Of splits, clips and targets: to be raised when a change of the code changes them."""

LARGEST_FREE = 2**31
LARGEST_GROWTH = 32
"""Clips may take 2 GiB, or this many times the memory of the videos' features: with half a window as the stride they take about twice."""


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each feature dimension over the training videos, labelled or not."""

    mean: Float[Tensor, " dim"]
    std: Float[Tensor, " dim"]

    @classmethod
    def of(cls, videos: Sequence[Video]) -> Self:
        # Sums in float64: float32 would lose the small variances of a large set.
        count = sum(v.num_snippets for v in videos)
        mean = sum(v.features.sum(axis=0, dtype=np.float64) for v in videos) / count
        variance = sum(np.square(v.features - mean).sum(axis=0, dtype=np.float64) for v in videos) / count
        # A constant dimension carries nothing; it is left at zero rather than blown up.
        std = np.where(variance > 1e-12, np.sqrt(variance), 1.0)
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(std).float())


@dataclass(frozen=True)
class Clips:
    """Clips of any videos, without annotations. ``clips[index]`` is a batch."""

    features: Float[Tensor, "clips snippets dim"]
    """Normalised; 0 in the padding. Without a dimension, [clips, snippets, 0], while they are not cut, see ``cutter``."""
    valid: Bool[Tensor, "clips snippets"]
    """False in the padding, which follows the real snippets."""
    video: Int[Tensor, " clips"]
    """Index of the video in the sequence that the clips were made of."""
    fps: Float[Tensor, " clips"]
    """Snippets per second, as float64: times are computed from it."""
    offset_s: Float[Tensor, " clips"]
    """Where in its video a clip begins, as float64."""
    continues: Bool[Tensor, " clips"]
    """Whether the video continues after the clip, in another one."""
    begins: Bool[Tensor, " clips"]
    """Whether the clip is the video's first, and holds its first snippet."""
    cutter: Cutter | None = field(default=None, kw_only=True)
    """Of a set too large for the memory: ``clips[index]`` cuts the features of a batch with it. None: they are all in ``features``."""

    @property
    def num_bytes(self) -> int:
        """What the features of all clips take in memory, whether they are there or not."""
        return self.features.numel() * self.features.element_size() if self.cutter is None else self.cutter.num_bytes

    def grid(self, clip: Int[Tensor, " n"]) -> TimeGrid:
        """Time grids of the clips with these indices, each in a row: it broadcasts against segments [n, 2]."""
        return TimeGrid(self.fps[clip, None], self.offset_s[clip, None])

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, index: Tensor | slice) -> Self:
        parts = {name: part[index] for name, part in self._tensors.items()}
        if self.cutter is not None:
            parts["features"] = self.cutter.cut(torch.arange(len(self))[index].tolist())
        return type(self)(**parts)

    def to(self, device: torch.device | str) -> Self:
        """The clips in a device's memory. Those that are not cut yet are cut for it, but for the CPU, where they stay as they are."""
        parts = {name: part.to(device) for name, part in self._tensors.items()}
        if self.cutter is None or torch.device(device).type == "cpu":
            return type(self)(**parts, cutter=self.cutter)
        return type(self)(**parts | {"features": self.cutter.cut(range(len(self)), device)})

    @property
    def _tensors(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "cutter"}


@dataclass(frozen=True)
class LabeledClips(Clips):
    """Clips with their instances, and the one instance that each snippet is assigned to (Eq. 2, Sec. 3.6)."""

    labels: Int[Tensor, "clips snippets"]
    """Class of the shortest instance that a snippet belongs to (:func:`nontarget.segments.covered_snippets`); ``num_classes``
    (background) where there is none, and in the padding."""
    segments: Float[Tensor, "clips snippets 2"]
    """Start and end of that instance, in snippets of the clip (it may begin before it or end after it); 0 for background."""
    instance_labels: Int[Tensor, "clips instances"]
    """Class of every instance that overlaps the clip; ``num_classes`` in the padding, of which each clip has at least one slot at its
    end. Where the video begins or ends with the clip, what lies before its first or after its last snippet is among them."""
    instance_segments: Float[Tensor, "clips instances 2"]
    """Start and end of every instance, in snippets of the clip (it may begin before it or end after it); 0 in the padding."""

    @property
    def instance_snippets(self) -> Bool[Tensor, "clips instances snippets"]:
        """Which snippets belong to each instance, see :func:`nontarget.segments.covered_snippets`; none to the padding."""
        return _instance_snippets(self, self.instance_labels, self.instance_segments)


def make_clips(videos: Sequence[Video], protocol: Protocol, normalization: Normalization) -> Clips:
    """Cut (``sliding``) or rescale (``rescale``) videos to clips of ``protocol.num_snippets`` snippets.

    Sliding windows begin every ``protocol.stride`` snippets, up to the first that reaches the end of the video; it is padded. A
    rescaled video is interpolated linearly between snippet centres. Clips that take more than
    :data:`nontarget.data.cutting.IN_MEMORY` are cut batch by batch.

    Raises:
        ValueError: there is no video, or the clips would take many times the memory of the videos.
    """
    if not videos:
        raise ValueError("make_clips needs at least one video")
    length = protocol.num_snippets
    _check_size(videos, protocol)
    count, video, first, fps, offset_s, continues = [], [], [], [], [], []
    for index, v in enumerate(videos):
        if protocol.windowing == "rescale":
            snippets, starts, rate = length, [0], v.fps * length / v.num_snippets
        else:
            snippets, starts, rate = v.num_snippets, [protocol.stride * i for i in range(_num_windows(v.num_snippets, protocol))], v.fps
        for start in starts:
            count.append(min(length, snippets - start))
            video.append(index)
            first.append(start)
            fps.append(rate)
            offset_s.append(TimeGrid(rate, v.offset_s).to_seconds(float(start)))
            continues.append(start != starts[-1])
    cutter = Cutter(videos, protocol, normalization.mean, normalization.std, video, first)
    fits = cutter.num_bytes <= cutting.IN_MEMORY
    return Clips(
        cutter.cut(range(len(video))) if fits else torch.zeros(len(video), length, 0),
        torch.arange(length) < torch.tensor(count)[:, None],
        torch.tensor(video),
        torch.tensor(fps, dtype=torch.float64),
        torch.tensor(offset_s, dtype=torch.float64),
        torch.tensor(continues),
        torch.tensor(first) == 0,
        cutter=None if fits else cutter,
    )


def _num_windows(snippets: int, protocol: Protocol) -> int:
    return 1 + math.ceil(max(snippets - protocol.num_snippets, 0) / protocol.stride)


def _check_size(videos: Sequence[Video], protocol: Protocol) -> None:
    """Refuse clips that are mostly padding or copies, before any of them takes memory."""
    windows = len(videos) if protocol.windowing == "rescale" else sum(_num_windows(v.num_snippets, protocol) for v in videos)
    size = windows * protocol.num_snippets * videos[0].dim * 4  # float32
    source_size = sum(v.num_snippets * v.dim * 4 for v in videos)
    if size > max(LARGEST_FREE, LARGEST_GROWTH * source_size):
        raise ValueError(
            f"{windows} clips of num_snippets={protocol.num_snippets} (stride {protocol.stride}) would take {size / 2**30:.1f} GiB, more "
            f"than {LARGEST_GROWTH} times the features of the {len(videos)} videos: fewer snippets, or a longer stride, would do"
        )


def make_labeled_clips(videos: Sequence[LabeledVideo], protocol: Protocol, normalization: Normalization, num_classes: int) -> LabeledClips:
    """Clips of labelled videos with their instances, see :func:`make_clips` and :class:`LabeledClips`."""
    clips = make_clips([v.video for v in videos], protocol, normalization)
    labels, segments = [], []
    lengths, first, last = clips.valid.sum(dim=1).tolist(), clips.begins.tolist(), (~clips.continues).tolist()
    for i, (video, fps, offset_s) in enumerate(zip(clips.video.tolist(), clips.fps.tolist(), clips.offset_s.tolist(), strict=True)):
        annotations = videos[video].annotations
        in_clip = torch.from_numpy(TimeGrid(fps, offset_s).to_snippets(annotations.segments_s)).float()
        listed = ((in_clip[:, 1] > 0) | first[i]) & ((in_clip[:, 0] < lengths[i]) | last[i])
        labels.append(torch.from_numpy(annotations.labels)[listed])
        segments.append(in_clip[listed])
    slots = 1 + max(map(len, labels))
    return with_instances(
        clips,
        torch.stack([F.pad(x, (0, slots - len(x)), value=num_classes) for x in labels]),
        torch.stack([F.pad(x, (0, 0, 0, slots - len(x))) for x in segments]),
    )


def with_instances(
    clips: Clips, instance_labels: Int[Tensor, "clips instances"], instance_segments: Float[Tensor, "clips instances 2"]
) -> LabeledClips:
    """Clips with given instances, padded as in :class:`LabeledClips`; each snippet is assigned to the shortest one that it belongs to."""
    instance = shortest_instance(instance_segments, _instance_snippets(clips, instance_labels, instance_segments))
    instance = instance % instance_labels.shape[1]  # background, -1, is the last slot: padding
    return LabeledClips(
        **{f.name: getattr(clips, f.name) for f in fields(Clips)},
        labels=instance_labels.gather(1, instance),
        segments=instance_segments.gather(1, instance[..., None].expand(-1, -1, 2)),
        instance_labels=instance_labels,
        instance_segments=instance_segments,
    )


def _instance_snippets(
    clips: Clips, instance_labels: Int[Tensor, "clips instances"], instance_segments: Float[Tensor, "clips instances 2"]
) -> Bool[Tensor, "clips instances snippets"]:
    covers = covered_snippets(instance_segments, clips.valid, clips.begins, ~clips.continues)
    return covers & (instance_labels != instance_labels[:, -1:])[..., None]


def random_crop(clips: LabeledClips, shares: tuple[float, float] = (0.9, 1.0), kept: float = 0.5, trials: int = 20) -> LabeledClips:
    """Augmentation: of each clip a window at random, as clips of the same padded length (ActionFormer's released code).

    The window's length is a share of the clip's real snippets, drawn from ``shares``. It has at least ``kept`` of an instance, if one
    of ``trials`` windows has. Instances keep their true ends, also outside the window, as in any clip.

    Args:
        clips: clips to draw windows from.
        shares: shortest and longest window, as a share of the clip's real snippets.
        kept: share of an instance that makes a window worth its place.
        trials: windows that are drawn for each clip.
    """
    device, count = clips.valid.device, clips.valid.sum(dim=1, keepdim=True)
    low, high = ((share * count).round().clamp(min=1).long() for share in shares)
    length = low + (torch.rand(count.shape, device=device) * (high - low + 1)).long().clamp(max=high - low)  # [clips, 1]
    start = (torch.rand(len(clips), trials, device=device) * (count - length + 1)).long().clamp(max=count - length)  # [clips, trials]
    begin, end = clips.instance_segments[:, None].unbind(dim=-1)  # [clips, 1, instances]
    inside = torch.minimum(end, (start + length)[..., None]) - torch.maximum(begin, start[..., None])
    worth = ((inside >= kept * (end - begin)) & (end > begin)).any(dim=-1)  # [clips, trials]
    start = start.gather(1, worth.int().argmax(dim=1, keepdim=True))  # the first that is worth it; else the first
    steps = torch.arange(clips.valid.shape[1], device=device)
    valid = steps < length
    source = (start + steps).clamp(max=clips.valid.shape[1] - 1)
    features = clips.features.gather(1, source[..., None].expand_as(clips.features)).masked_fill(~valid[..., None], 0.0)
    window = Clips(
        features,
        valid,
        clips.video,
        clips.fps,
        TimeGrid(clips.fps, clips.offset_s).to_seconds(start[:, 0]),
        clips.continues | (start + length < count)[:, 0],
        clips.begins & (start[:, 0] == 0),
    )
    padding = clips.instance_labels == clips.instance_labels[:, -1:]
    segments = (clips.instance_segments - start[..., None]).masked_fill(padding[..., None], 0.0)
    return with_instances(window, clips.instance_labels, segments)
