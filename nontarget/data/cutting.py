"""Features of clips, cut from their videos: at once, or for each batch when it is taken."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nontarget.config import Protocol
from nontarget.data.videos import Video

IN_MEMORY = 2**30
"""Most bytes of clips that are kept in memory. Of a larger set the clips of each batch are cut when the batch is taken: to the same bits,
with memory for one batch and one video."""


class Cutter:
    """Cuts clips from videos: window ``start`` to ``start + num_snippets``, or the video rescaled to as many snippets."""

    def __init__(
        self,
        videos: Sequence[Video],
        protocol: Protocol,
        mean: Float[Tensor, " dim"],
        std: Float[Tensor, " dim"],
        video: Sequence[int],
        start: Sequence[int],
    ) -> None:
        """Args:
        videos: with their features in memory or on the disk.
        protocol: how they are cut.
        mean: of each dimension, which is subtracted.
        std: of each dimension, by which the difference is divided.
        video: of each clip, as an index into ``videos``.
        start: of each clip, in snippets.
        """
        self.videos, self.protocol, self.mean, self.std = videos, protocol, mean, std
        self.video, self.start = video, start

    @property
    def num_bytes(self) -> int:
        """Of all clips in memory."""
        return len(self.video) * self.protocol.num_snippets * len(self.mean) * 4  # float32

    def cut(self, clips: Sequence[int], device: torch.device | str = "cpu") -> Float[Tensor, "clips snippets dim"]:
        """The features of these clips, normalised, 0 in the padding. They are cut one by one, also where they go to another device."""
        features = torch.zeros(len(clips), self.protocol.num_snippets, len(self.mean), device=device)
        for row, clip in zip(features, clips, strict=True):
            cut = self._cut(self.videos[self.video[clip]], self.start[clip])
            row[: len(cut)] = cut
        return features

    def _cut(self, video: Video, start: int) -> Float[Tensor, "snippets dim"]:
        length = self.protocol.num_snippets
        if self.protocol.windowing == "sliding":
            return self._normal(video.snippets(start, start + length))
        x = self._normal(video.features)
        if len(x) == length:  # what interpolation gives, to the bit, and takes five times as long for
            return x
        return F.interpolate(x.T[None], size=length, mode="linear", align_corners=False)[0].T

    def _normal(self, features: NDArray[np.float32]) -> Float[Tensor, "snippets dim"]:
        # Torch warns of arrays that must not be written to, though nothing is.
        x = torch.from_numpy(features if features.flags.writeable else features.copy())
        return (x - self.mean) / self.std
