"""SSP-style (after Ji et al. 2019): a mean teacher through warped and partly hidden time."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from nontarget.detectors.base import Detector, taken_from
from nontarget.rules.base import View
from nontarget.rules.mean_teacher import Consistency
from nontarget.rules.views import hide_span, warped_time


@dataclass(frozen=True, kw_only=True)
class Ssp(Consistency):
    """Mean teacher through time warping and time masking."""

    name: ClassVar[str] = "SSP-style"

    warp: float = 0.2
    """How far the middle of a clip may move, as a share of its length (assumed)."""
    hidden_share: float = 0.1
    """Share of a clip that the student does not see (assumed)."""

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        source = warped_time(valid, self.warp)
        shown = hide_span(taken_from(features, source), valid, self.hidden_share)
        return View(shown, lambda output: detector.resample(output, source))
