"""Who gives the pseudo labels in self-training."""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from nontarget.data import Clips
from nontarget.detectors.base import Detector, DetectorOutput

_CACHE_BYTES = 2**30  # of a frozen teacher's outputs on all unlabelled clips; where they take more, they are computed step by step


class Teacher:
    """Who gives the pseudo labels: a model in evaluation mode, without gradient; or the student itself, if there is none."""

    def __init__(self, model: Detector | None, clips: Clips, batch_size: int, device: torch.device, cached: bool) -> None:
        """Args:
        model: the teacher; None: the student.
        clips: all unlabelled clips.
        batch_size: of a forward pass over all of them.
        device: of the model.
        cached: whether the model stays as it is, so that its outputs on all clips can be kept.
        """
        self.model, self.clips, self.batch_size, self.device = model, clips, batch_size, device
        first = None if model is None or not cached else next(self._parts(model))
        fits = first is not None and first.nbytes / len(first.valid) * len(clips) <= _CACHE_BYTES
        self.cache = DetectorOutput.concatenated(list(self._parts(model))) if model is not None and fits else None

    def __call__(self, clips: Clips, indices: Int[Tensor, " clips"]) -> DetectorOutput | None:
        """Output on a batch; None: the student's own is to be taken."""
        if self.model is None:
            return None
        if self.cache is not None:
            return self.cache[indices]
        with torch.no_grad():
            return self.model(clips.features, clips.valid)

    def outputs(self, student: Detector) -> Iterator[DetectorOutput]:
        """On all unlabelled clips, batch by batch, as they are asked for."""
        if self.cache is not None:
            for first in range(0, len(self.clips), self.batch_size):
                yield self.cache[slice(first, first + self.batch_size)]
        else:
            yield from self._parts(self.model or student)

    def _parts(self, model: Detector) -> Iterator[DetectorOutput]:
        for first in range(0, len(self.clips), self.batch_size):
            part = self.clips[slice(first, first + self.batch_size)].to(self.device)
            with torch.no_grad():
                yield model(part.features, part.valid)
