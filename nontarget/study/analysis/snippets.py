"""Snippets of the training videos whose labels were hidden: what a detector makes of them, beside the truth that it never saw."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nontarget.data import LabeledVideo, make_labeled_clips
from nontarget.detectors.base import forward_batches
from nontarget.experiment import Training
from nontarget.runtime.devices import cpu_threads
from nontarget.segments import TimeGrid
from nontarget.trained import TrainedDetector


@dataclass(frozen=True)
class Snippets:
    """Snippets by video and time. ``snippets[index]`` selects some of them."""

    video_id: NDArray[np.str_]
    """[n]"""
    snippet: NDArray[np.int64]
    """[n], position in its video."""
    time_s: NDArray[np.float64]
    """[n], its centre."""
    labels: NDArray[np.int64]
    """[n], true class; background last."""
    probs: NDArray[np.float64]
    """[n, classes + 1], class distribution; background last."""
    embeddings: NDArray[np.float32]
    """[n, dim]"""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def background(self) -> int:
        """Index of the background class."""
        return self.probs.shape[1] - 1


def hidden_snippets(training: Training, batch_size: int = 64) -> Snippets:
    """Every snippet of the videos that were unlabelled in training, see :func:`snippets_of`.

    Two trainings with one data set, label ratio and seed give the same snippets in the same order, whatever their rules.

    Raises:
        ValueError: no labels were hidden, or the detector has several points a snippet.
    """
    if not training.hidden:
        raise ValueError("training has no unlabelled videos with known truth; use a label ratio below 1")
    return snippets_of(training.trained, training.hidden, batch_size)


def snippets_of(trained: TrainedDetector, videos: Sequence[LabeledVideo], batch_size: int = 64) -> Snippets:
    """Every snippet of videos once: where windows overlap, as the first window sees it.

    Args:
        trained: a detector with one prediction a snippet (``spot``).
        videos: with annotations.
        batch_size: clips at once.

    Raises:
        ValueError: the detector has several points a snippet.
    """
    clips = make_labeled_clips(videos, trained.protocol, trained.normalization, trained.detector.num_classes)
    probs, embeddings = [], []
    with cpu_threads(1):
        for batch, output in forward_batches(trained.detector, clips, batch_size):
            vectors: Tensor | None = getattr(output, "embeddings", None)
            if vectors is None or output.valid.shape != batch.valid.shape:
                raise ValueError(f"snippets_of needs a detector with one embedding a snippet, such as 'spot'; got {trained.name!r}")
            probs.append(output.distribution[batch.valid].double().cpu())
            embeddings.append(vectors[batch.valid].cpu())
    clip, step = clips.valid.nonzero(as_tuple=True)
    origin_s = torch.tensor([v.video.offset_s for v in videos], dtype=torch.float64)[clips.video[clip]]
    position = TimeGrid(clips.fps[clip], origin_s).to_snippets(clips.offset_s[clip]).round().long() + step
    longest = int(position.max()) + 1
    _, once = np.unique((clips.video[clip] * longest + position).numpy(), return_index=True)
    ids = np.array([v.video.video_id for v in videos])
    return Snippets(
        ids[clips.video[clip].numpy()],
        position.numpy(),
        TimeGrid(clips.fps[clip], clips.offset_s[clip]).to_seconds(step + 0.5).numpy(),
        clips.labels[clips.valid].numpy(),
        torch.cat(probs).numpy(),
        torch.cat(embeddings).numpy(),
    )[once]
