"""Snippets of the training videos whose labels were hidden: what a detector makes of them, beside the truth that it never saw."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nontarget.data import make_labeled_clips
from nontarget.experiment import Training
from nontarget.runtime.devices import cpu_threads


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


@torch.no_grad()
def hidden_snippets(training: Training, batch_size: int = 64) -> Snippets:
    """Every snippet of the videos that were unlabelled in training, once: where windows overlap, as the first window sees it.

    Two trainings with one data set, label ratio and seed give the same snippets in the same order, whatever their rules.

    Args:
        training: of a detector with one prediction a snippet (``spot``).
        batch_size: clips at once.

    Raises:
        ValueError: no labels were hidden, or the detector has several points a snippet.
    """
    if not training.hidden:
        raise ValueError("training has no unlabelled videos with known truth; use a label ratio below 1")
    trained = training.trained
    detector = trained.detector.eval()
    device = next(detector.parameters()).device
    clips = make_labeled_clips(training.hidden, trained.protocol, trained.normalization, detector.num_classes)
    probs, embeddings = [], []
    with cpu_threads(1):
        for first in range(0, len(clips), batch_size):
            part = clips[slice(first, first + batch_size)].to(device)
            output: Any = detector(part.features, part.valid)
            if output.distribution.shape[:2] != part.valid.shape or not hasattr(output, "embeddings"):
                raise ValueError(f"hidden_snippets needs a detector with one embedding a snippet, such as 'spot'; got {trained.name!r}")
            probs.append(output.distribution[part.valid].double().cpu())
            embeddings.append(output.embeddings[part.valid].cpu())
    clip, step = clips.valid.nonzero(as_tuple=True)
    position = (clips.offset_s[clip] * clips.fps[clip]).round().long() + step
    longest = int(position.max()) + 1
    _, once = np.unique((clips.video[clip] * longest + position).numpy(), return_index=True)
    ids = np.array([v.video.video_id for v in training.hidden])
    return Snippets(
        ids[clips.video[clip].numpy()],
        position.numpy(),
        ((step + 0.5) / clips.fps[clip] + clips.offset_s[clip]).numpy(),
        clips.labels[clips.valid].numpy(),
        torch.cat(probs).numpy(),
        torch.cat(embeddings).numpy(),
    )[once]
