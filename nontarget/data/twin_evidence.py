"""What the snippets of a simulated twin show of an instance, and the noise over it."""

import numpy as np
from numpy.typing import NDArray


def without_gap(start: float, end: float, snippets: int, share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """1, and less in the snippets that a gap within the segment covers."""
    length = 2 * share * rng.random() * (end - start)
    begin = start + rng.random() * (end - start - length)
    left = np.arange(snippets)
    return 1 - np.clip(np.minimum(left + 1, begin + length) - np.maximum(left, begin), 0, 1)


def evidence(start: float, end: float, snippets: int, at_border: float) -> NDArray[np.float64]:
    """Evidence of an instance in each snippet: the part of the snippet that it covers, times how clear it is there."""
    left, right = np.arange(snippets), np.arange(1, snippets + 1)
    covered = np.clip(np.minimum(right, end) - np.maximum(left, start), 0, 1)
    inside = np.minimum(left + 0.5 - start, end - left - 0.5) / (0.25 * (end - start))
    return covered * np.clip(at_border + (1 - at_border) * inside, at_border, 1)


def correlated_noise(snippets: int, dim: int, correlation: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """First-order autoregressive noise with unit variance."""
    noise = rng.normal(size=(snippets, dim))
    noise[1:] *= np.sqrt(1 - correlation**2)
    for t in range(1, snippets):
        noise[t] += correlation * noise[t - 1]
    return noise
