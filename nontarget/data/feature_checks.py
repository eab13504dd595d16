"""What features must be: two axes, floating point, about as long as their video, finite, and within the range of their type."""

from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from nontarget.data.feature_times import FeatureTimes
from nontarget.data.videos import LENGTH_TOLERANCE, is_off
from nontarget.runtime.readers import DataError

HIGHEST_RATE = 1e6
"""Feature steps per second that are accepted, five times those of the densest audio; beyond, times overflow sooner or later."""
_TORCH_TYPES = {np.dtype(np.float16): torch.float16, np.dtype(np.float32): torch.float32}


def header_problem(shape: tuple[int, ...], dtype: DTypeLike, times: FeatureTimes) -> str | None:
    """What is wrong with an array, as far as its header tells: nothing that a wrong header promises is read."""
    if len(shape) != 2 or 0 in shape:
        return f"features must be [T, D], got shape {shape}"
    if not np.issubdtype(dtype, np.floating):
        return f"features must be floating point, got {dtype}"
    rate = times.rate(shape[0])
    if rate > HIGHEST_RATE:
        return f"{rate:g} feature steps per second; at most {HIGHEST_RATE:g} are accepted"
    expected = times.expected_steps(shape[0])
    if is_off(shape[0], expected, LENGTH_TOLERANCE):
        return f"{shape[0]} feature steps for {times.feature_duration_s:g} s; at feature_fps {rate:g} about {expected:.0f} are expected"
    return None


def checked(array: NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[np.floating[Any]]:
    """A copy of an array [T, D] as ``dtype``; errors as for :func:`check_numbers`."""
    check_numbers(array, dtype)
    return converted(array, dtype)


def check_numbers(array: NDArray[Any], dtype: DTypeLike = np.float32) -> None:
    """Check the numbers of an array [T, D].

    Raises:
        DataError: a number is not finite, or does not fit ``dtype``; the message says where, and names no file.
    """
    magnitude = _magnitude(array)
    if not np.isfinite(magnitude):
        step, dim = np.argwhere(~np.isfinite(array))[0]
        raise DataError(f"features must be finite, got {array[step, dim]} at step {step}, dimension {dim}")
    limits = np.finfo(dtype)
    largest, eps = float(limits.max), float(limits.eps)
    beyond = largest * (1 + eps / 2 / (2 - eps))  # from half a unit in the last place above the largest, rounding gives infinity
    if magnitude >= beyond:
        step, dim = np.argwhere(np.abs(array) >= beyond)[0]
        example = f"{array[step, dim]:g} at step {step}, dimension {dim}"
        raise DataError(f"features must fit {np.dtype(dtype).name}, at most {largest:.2g}, got {example}")


def _magnitude(array: NDArray[Any]) -> float:
    """The greatest absolute value; NaN if a number is NaN."""
    if array.dtype == np.float16:  # without its sign, float16 is ordered as its bits are, NaN above infinity; that is far quicker
        return float((array.view(np.uint16) & 0x7FFF).max().view(np.float16))
    return max(float(array.max()), -float(array.min()))


def converted(array: NDArray[Any], dtype: DTypeLike) -> NDArray[np.floating[Any]]:
    """A copy as ``dtype``. Between float16 and float32 torch converts, to the same bits as numpy and ten times as fast."""
    if {array.dtype, np.dtype(dtype)} <= _TORCH_TYPES.keys():
        copied: NDArray[np.floating[Any]] = torch.from_numpy(np.array(array)).to(_TORCH_TYPES[np.dtype(dtype)]).numpy()
        return copied
    return array.astype(dtype)
