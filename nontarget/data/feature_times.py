"""When the feature steps of each video are: one rate for a whole folder, or a rate and an offset for each video."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nontarget.config import is_finite_number
from nontarget.data.annotations import AnnotationFile, raise_problems
from nontarget.data.videos import RATE_TOLERANCE, Video, is_off
from nontarget.runtime.readers import quoted
from nontarget.segments import TimeGrid

KEYS = ("feature_fps", "feature_offset_s", "feature_duration_s")
"""Keys of a video in ``annotations.json``."""


@dataclass(frozen=True)
class FeatureTimes:
    """Times of one video's feature steps: step t is centred on ``feature_offset_s + t / feature_fps`` seconds."""

    feature_fps: float | None
    """Feature steps per second; None: rescaled features, whose rate is their number divided by ``feature_duration_s``."""
    feature_offset_s: float | None
    """Centre of the first step in seconds; None: half a step."""
    feature_duration_s: float
    """What the features cover: the video, or the part of it that rescaled features were made of."""

    def rate(self, steps: int) -> float:
        """Feature steps per second, where there are so many."""
        return steps / self.feature_duration_s if self.feature_fps is None else self.feature_fps

    def grid(self, steps: int) -> TimeGrid:
        """Time grid of so many feature steps."""
        fps = self.rate(steps)
        if self.feature_offset_s is None or math.isclose(self.feature_offset_s * fps, 0.5, rel_tol=1e-9):
            return TimeGrid(fps)
        return TimeGrid.centred(fps, self.feature_offset_s)

    def expected_steps(self, steps: int) -> float:
        """How many steps there should be: where windows are wider than their stride, as many as fit or as padding gives, what is nearer."""
        grid = self.grid(steps)
        padded = self.feature_duration_s * float(grid.fps)
        if not grid.offset_s:
            return padded
        whole = padded - 2 * float(grid.offset_s) * float(grid.fps)
        return float(np.clip(steps, min(padded, whole), max(padded, whole)))


def feature_times(annotations: AnnotationFile) -> dict[str, FeatureTimes]:
    """Times of the features of every video in a feature folder's annotation file.

    A video may have the keys ``feature_fps``, ``feature_offset_s`` and ``feature_duration_s``; the first has the file's value as its
    default, and may be missing where the third is there.

    Raises:
        DataError: a value is no number, or out of range, or a video has neither a rate nor a covered duration; by video.
    """
    problems: list[str] = []
    times = {}
    for video, entry in annotations.videos.items():
        raw: Mapping[str, Any] = annotations.raw["database"][video]
        fps, offset_s, covered_s = (raw.get(key) for key in KEYS)
        for key, value in (("feature_fps", fps), ("feature_duration_s", covered_s)):
            if value is not None and not (is_finite_number(value) and value > 0):
                problems.append(f"{video}: {key} must be a positive number, got {quoted(value)}")
        if offset_s is not None and not is_finite_number(offset_s):
            problems.append(f"{video}: feature_offset_s must be a number of seconds, got {quoted(offset_s)}")
        if fps is None and covered_s is None:
            fps = annotations.feature_fps
            if fps is None:
                problems.append(
                    f"{video}: lacks 'feature_fps', the number of feature steps per second, and the file has none for all videos"
                )
        times[video] = FeatureTimes(fps, offset_s, entry.duration_s if covered_s is None else covered_s)
    raise_problems(Path(annotations.path), problems, "rescaled features have 'feature_duration_s', the duration that they cover, instead")
    return times


def rate_text(times: Mapping[str, FeatureTimes]) -> str:
    """The rate that all videos have, or that they have several, for messages."""
    rates = {t.feature_fps for t in times.values() if t.feature_fps is not None}
    return f"feature_fps {rates.pop():g}" if len(rates) == 1 else "their feature_fps"


def warn_of_rates(path: Path, steps: Mapping[str, int], times: Mapping[str, FeatureTimes]) -> None:
    """Warn of videos whose number of steps is more than 2 % off: their feature rate is another one, and so are the times in them."""
    odd = {}
    for video, count in steps.items():
        expected = times[video].expected_steps(count)
        if is_off(count, expected, RATE_TOLERANCE):
            odd[video] = f"{video} ({count} steps, about {expected:.0f} are expected)"
    if odd:
        named = ", ".join(list(odd.values())[:5]) + (", ..." if len(odd) > 5 else "")
        warnings.warn(
            f"{path}: {len(odd)} of {len(steps)} videos do not last as long as their features at {rate_text(times)}, so that times in "
            f"them are shifted: {named}",
            stacklevel=4,
        )


def stated_times(video: Video) -> dict[str, float]:
    """What :func:`feature_times` reads for a video of its own rate or offset."""
    return {"feature_fps": video.fps, "feature_offset_s": float(video.grid.to_seconds(0.5))}
