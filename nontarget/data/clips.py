"""Clips: videos cut or rescaled to T snippets and padded, as the tensors that a detector trains on (Sec. 4.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nontarget.config import Protocol
from nontarget.data.videos import LabeledVideo, Video
from nontarget.segments import assign_instances

CLIPS_VERSION = 1
"""Of splits, clips and targets: to be raised when a change of the code changes them."""


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each feature dimension over the training videos, labelled or not."""

    mean: Float[Tensor, " dim"]
    std: Float[Tensor, " dim"]

    @classmethod
    def of(cls, videos: Sequence[Video]) -> Self:
        # Sums in float64: float32 would lose the small variances of a large set.
        count = sum(len(v.features) for v in videos)
        mean = sum(v.features.sum(axis=0, dtype=np.float64) for v in videos) / count
        variance = sum(np.square(v.features - mean).sum(axis=0, dtype=np.float64) for v in videos) / count
        # A constant dimension carries nothing; it is left at zero rather than blown up.
        std = np.where(variance > 1e-12, np.sqrt(variance), 1.0)
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(std).float())


@dataclass(frozen=True)
class Clips:
    """Clips of any videos, without annotations. ``clips[index]`` is a batch."""

    features: Float[Tensor, "clips snippets dim"]
    """Normalised; 0 in the padding."""
    valid: Bool[Tensor, "clips snippets"]
    """False in the padding, which follows the real snippets."""
    video: Int[Tensor, " clips"]
    """Index of the video in the sequence that the clips were made of."""
    fps: Float[Tensor, " clips"]
    """Snippets per second, as float64: times are computed from it."""
    offset_s: Float[Tensor, " clips"]
    """Where in its video a clip begins, as float64."""
    goes_on: Bool[Tensor, " clips"]
    """Whether the video goes on after the clip, in another one."""

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, index: Tensor | slice) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: torch.device | str) -> Self:
        return type(self)(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class LabeledClips(Clips):
    """Clips with the targets of their snippets (Eq. 2, Sec. 3.6)."""

    labels: Int[Tensor, "clips snippets"]
    """Class of the instance that a snippet belongs to; ``num_classes`` (background) where there is none, and in the padding."""
    segments: Float[Tensor, "clips snippets 2"]
    """Start and end of that instance, in snippets of the clip (it may begin before it or end after it); 0 for background."""


def make_clips(videos: Sequence[Video], protocol: Protocol, normalization: Normalization) -> Clips:
    """Cut (``sliding``) or rescale (``rescale``) videos to clips of ``protocol.num_snippets`` snippets.

    Sliding windows begin every ``protocol.stride`` snippets, up to the first that reaches the end of the video; it is padded. A
    rescaled video is interpolated linearly between snippet centres.

    Raises:
        ValueError: there is no video.
    """
    if not videos:
        raise ValueError("make_clips needs at least one video")
    length = protocol.num_snippets
    features, valid, video, fps, offset_s, goes_on = [], [], [], [], [], []
    for index, v in enumerate(videos):
        x = (torch.from_numpy(v.features) - normalization.mean) / normalization.std
        if protocol.windowing == "rescale":
            x = F.interpolate(x.T[None], size=length, mode="linear", align_corners=False)[0].T
            starts, rate = [0], v.fps * length / len(v.features)
        else:
            count = 1 + math.ceil(max(len(x) - length, 0) / protocol.stride)
            starts, rate = [protocol.stride * i for i in range(count)], v.fps
        for start in starts:
            window = x[start : start + length]
            features.append(F.pad(window, (0, 0, 0, length - len(window))))
            valid.append(torch.arange(length) < len(window))
            video.append(index)
            fps.append(rate)
            offset_s.append(start / rate)
            goes_on.append(start != starts[-1])
    return Clips(
        torch.stack(features),
        torch.stack(valid),
        torch.tensor(video),
        torch.tensor(fps, dtype=torch.float64),
        torch.tensor(offset_s, dtype=torch.float64),
        torch.tensor(goes_on),
    )


def make_labeled_clips(videos: Sequence[LabeledVideo], protocol: Protocol, normalization: Normalization, num_classes: int) -> LabeledClips:
    """Clips of labelled videos with their targets, see :func:`make_clips` and :func:`nontarget.segments.assign_instances`."""
    clips = make_clips([v.video for v in videos], protocol, normalization)
    labels = torch.full(clips.valid.shape, num_classes)
    segments = torch.zeros(*clips.valid.shape, 2)
    for i, (video, fps, offset_s) in enumerate(zip(clips.video.tolist(), clips.fps.tolist(), clips.offset_s.tolist(), strict=True)):
        annotations = videos[video].annotations
        in_clip = torch.from_numpy((annotations.segments_s - offset_s) * fps)
        snippets = int(clips.valid[i].sum())
        instance = assign_instances(in_clip, snippets)
        foreground = (instance >= 0).nonzero().squeeze(1)
        labels[i, foreground] = torch.from_numpy(annotations.labels)[instance[foreground]]
        segments[i, foreground] = in_clip[instance[foreground]].float()
    return LabeledClips(**{f.name: getattr(clips, f.name) for f in fields(Clips)}, labels=labels, segments=segments)
