"""Where the pseudo labels of self-training come from."""

from collections.abc import Iterator

import torch

from nontarget.batches import Batch
from nontarget.data import Clips
from nontarget.detectors.base import Detector, DetectorOutput, forward_batches

_CACHE_BYTES = 2**30  # of a frozen teacher's outputs on all unlabelled clips; where they take more, they are computed step by step


class Teacher:
    """The source of the pseudo labels: a model in evaluation mode, without gradient; or the student itself, if there is none."""

    def __init__(self, model: Detector | None, clips: Clips, batch_size: int, cached: bool) -> None:
        """Args:
        model: the teacher; None: the student.
        clips: all unlabelled clips.
        batch_size: of a forward pass over all of them.
        cached: whether the model stays as it is, so that its outputs on all clips can be kept.
        """
        self.model, self.clips, self.batch_size = model, clips, batch_size
        self.cache: DetectorOutput | None = None
        if model is not None and cached:
            first = next(self._computed(model))
            if first.nbytes / len(first.valid) * len(clips) <= _CACHE_BYTES:
                self.cache = DetectorOutput.concatenated(list(self._computed(model)))

    def __call__(self, batch: Batch) -> DetectorOutput | None:
        """Output on the unlabelled clips of a batch; None: the student's own is to be taken."""
        if self.model is None or batch.unlabeled is None:
            return None
        if self.cache is not None and batch.indices is not None:
            return self.cache[batch.indices]
        with torch.no_grad():
            output: DetectorOutput = self.model(batch.unlabeled.features, batch.unlabeled.valid)
        return output

    def outputs(self, student: Detector) -> Iterator[DetectorOutput]:
        """On all unlabelled clips, batch by batch, as they are asked for."""
        if self.cache is None:
            return self._computed(self.model or student)
        cache, size = self.cache, self.batch_size
        return (cache[slice(first, first + size)] for first in range(0, len(self.clips), size))

    def _computed(self, model: Detector) -> Iterator[DetectorOutput]:
        return (output for _, output in forward_batches(model, self.clips, self.batch_size))
