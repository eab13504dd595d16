"""Student's t, Wilcoxon's test and Holm's correction of paired differences, and the smallest difference that they could detect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

Name = TypeVar("Name")

LEVEL = 0.95
"""Of every interval in the book; a result is significant where a test's p value is below 1 - ``LEVEL``."""
POWER = 0.8
"""Probability with which a detectable difference is detected: Cohen's convention."""
MOST_PAIRS = 1000
"""The largest number of pairs that :func:`pairs_to_exclude_zero` considers."""


@dataclass(frozen=True)
class Interval:
    """A mean difference with its interval, in the units of the differences; NaN where it cannot be computed."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference is significant; False where there is no interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class TInterval(Interval):
    """The result of :func:`t_interval`."""

    p_value: float = float("nan")
    """Of the two-sided paired t test that the mean is 0; below 1 - level exactly where the interval excludes 0."""
    detectable: float = float("nan")
    """The smallest mean that as many values with this spread would detect, see :func:`smallest_detectable`."""
    num_values: int = 0


def t_interval(differences: Iterable[float], level: float = LEVEL, power: float = POWER) -> TInterval:
    """Student's t interval and test of the mean of paired differences (the paired t test).

    Args:
        differences: one for each pair, such as average mAP of one rule minus that of another on the same seed. NaN: one of the pair is
            missing, and the pair is left out.
        level: of the interval, in (0, 1).
        power: with which the smallest detectable difference would be detected, in (0, 1).

    Returns:
        All but ``mean`` is NaN below two pairs. Without any spread the interval is the mean itself.

    Raises:
        ValueError: the differences are not one-dimensional or infinite, or ``level`` or ``power`` is out of range.
    """
    values = paired_values(differences)
    check_share("level", level)
    count, mean = len(values), float(values.mean()) if len(values) else float("nan")
    if count < 2:
        return TInterval(mean, float("nan"), float("nan"), num_values=count)
    deviation = float(values.std(ddof=1))
    detectable = smallest_detectable(deviation, count, level, power)
    if deviation == 0:
        return TInterval(mean, mean, mean, float(mean == 0), detectable, count)
    error = deviation / count**0.5
    low, high = stats.t.interval(level, count - 1, loc=mean, scale=error)
    return TInterval(mean, float(low), float(high), float(2 * stats.t.sf(abs(mean) / error, count - 1)), detectable, count)


def smallest_detectable(deviation: float, num_pairs: int, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest true mean difference whose t interval would lie on its side of 0 with probability ``power``.

    By the noncentral t distribution: the mean, in standard errors, at which the test exceeds its critical value with that probability
    (Cohen, "Statistical power analysis for the behavioral sciences", 1988). The standard deviation is taken as known; that of a few seeds
    is uncertain, and so is the result.

    Args:
        deviation: standard deviation of the differences; the result has its unit.
        num_pairs: two or more.
        level: of the interval, in (0, 1).
        power: probability of detection, in (0, 1).

    Raises:
        ValueError: an argument is out of range.
    """
    check_share("level", level)
    check_share("power", power)
    if num_pairs < 2 or not 0 <= deviation < float("inf"):
        raise ValueError(f"expected two or more pairs and a finite deviation of at least 0, got {num_pairs!r} and {deviation!r}")
    critical = stats.t.ppf((1 + level) / 2, num_pairs - 1)
    noncentrality = float(special.nctdtrinc(num_pairs - 1, 1 - power, critical))
    return noncentrality * deviation / num_pairs**0.5


def pairs_to_exclude_zero(differences: Iterable[float], level: float = LEVEL) -> int | None:
    """The number of pairs with which the t interval of this mean and spread would exclude 0; None: above ``MOST_PAIRS``, or unknown.

    Arguments and errors as for :func:`t_interval`.
    """
    values = paired_values(differences)
    check_share("level", level)
    if len(values) < 2:
        return None
    n = np.arange(2, MOST_PAIRS + 1)
    reach = stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    enough = n[reach < abs(values.mean())]
    return int(enough[0]) if len(enough) else None


def wilcoxon(differences: Iterable[float]) -> float:
    """p value of Wilcoxon's signed-rank test (two-sided), which needs no normal distribution; 1 where no difference is other than 0.

    It is at least 2 / 2^n with n pairs, so that fewer than six pairs are never significant at 95 %. Arguments and errors as for
    :func:`t_interval`.
    """
    values = paired_values(differences)
    values = values[values != 0]
    return float(stats.wilcoxon(values).pvalue) if len(values) else 1.0


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p values after Holm's correction for their number.

    If those below 0.05 are called significant, the probability that any of them is so by chance alone is at most 5 %: Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Args:
        p_values: [n], of tests that may depend on each other.

    Raises:
        ValueError: they are not one-dimensional, or not in [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values must be one-dimensional and in [0, 1], got {p_values!r}")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def holm_significant(differences: Mapping[Name, TInterval], level: float = LEVEL) -> list[Name]:
    """The names of the differences that are significant after Holm's correction for their number.

    Args:
        differences: by name; one without a p value (below two pairs) is not counted.
        level: as for :func:`t_interval`.
    """
    tested = {name: difference.p_value for name, difference in differences.items() if not np.isnan(difference.p_value)}
    return [name for name, p in zip(tested, holm(list(tested.values())), strict=True) if p < 1 - level]


def paired_values(differences: Iterable[float]) -> NDArray[np.float64]:
    """Differences as an array without NaN; ValueError as :func:`t_interval` says."""
    values = np.asarray(list(differences), dtype=np.float64)
    if values.ndim != 1 or np.isinf(values).any():
        raise ValueError(f"differences must be one-dimensional and finite, or NaN where one of a pair is missing; got {differences!r}")
    return values[~np.isnan(values)]


def check_share(name: str, value: float) -> None:
    """ValueError unless a level or power lies in (0, 1)."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie in (0, 1), got {value!r}")
