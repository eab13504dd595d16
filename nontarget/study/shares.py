"""Where the truth lies when the teacher errs, as a function of how sure the teacher is."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from nontarget.calibration import calibrate_temperature
from nontarget.coverage import Coverage
from nontarget.partition import Precedence, partition_label_space

TEMPERATURES = (0.25, 0.5, 0.71, 1.0, 1.41, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class ErrorShares:
    """What the non-target classes of the wrong snippets hold; NaN where no snippet is wrong."""

    errors: float
    """Share of the snippets whose target class is not the true class."""
    positive: float
    """P(truth in positives | target wrong)."""
    negative: float
    """P(truth in negatives | target wrong)."""
    ambiguous: float
    """P(truth among the ambiguous | target wrong)."""
    sure: float
    """Share of the snippets with p_max >= 1/2, whose every non-target class meets Eq. 8."""
    log_loss: float
    """Mean -log p of the true class, in nats."""

    @classmethod
    def of(cls, counts: ArrayLike) -> Self:
        """From sums over snippets, in the order of :func:`error_counts`."""
        n, errors, positive, negative, ambiguous, sure, log_loss = np.asarray(counts, dtype=np.float64)
        wrong = errors if errors > 0 else np.nan
        return cls(*map(float, (errors / n, positive / wrong, negative / wrong, ambiguous / wrong, sure / n, log_loss / n)))


def shares_among_errors(
    probs: ArrayLike,
    labels: ArrayLike,
    temperature: float = 1.0,
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
) -> ErrorShares:
    """Where the true class lies in the partition of the snippets whose target class is wrong.

    Args:
        probs: [snippets, classes], class distributions of the teacher, background included.
        labels: [snippets], true classes.
        temperature: the teacher's logits are divided by it; above 1 it is less sure.
        positive_ratio: lambda of Eq. 10.
        precedence: see :func:`nontarget.partition_label_space`.

    Raises:
        ValueError: shapes do not agree, there is no snippet, or an argument is out of range.
    """
    return ErrorShares.of(error_counts(probs, labels, temperature, positive_ratio, precedence).sum(axis=0))


def error_counts(
    probs: ArrayLike,
    labels: ArrayLike,
    temperature: float = 1.0,
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
) -> NDArray[np.float64]:
    """[snippets, 7]: 1, wrong, wrong with the truth positive, negative, ambiguous, p_max >= 1/2, -log p of the truth.

    Its sums over any set of snippets are what :meth:`ErrorShares.of` takes. Arguments and errors as for :func:`shares_among_errors`.
    """
    log_probs, truth = _checked(probs, labels)
    tempered = _tempered(log_probs, temperature)
    p = tempered.exp()
    sets = partition_label_space(p, positive_ratio, precedence)
    target, positive, negative, ambiguous = (s.gather(1, truth).squeeze(1) for s in sets)
    columns = (torch.ones_like(target), ~target, positive, negative, ambiguous, p.amax(dim=1) >= 0.5, -tempered.gather(1, truth).squeeze(1))
    return torch.stack([column.double() for column in columns], dim=1).numpy()


def best_temperature(probs: ArrayLike, labels: ArrayLike) -> float:
    """The temperature of lowest log loss (Guo et al. 2017); arguments and errors as for :func:`shares_among_errors`."""
    log_probs, truth = _checked(probs, labels)
    return calibrate_temperature(log_probs, truth[:, 0])


def sets_by_temperature(
    probs: ArrayLike,
    labels: ArrayLike,
    temperatures: Iterable[float] = TEMPERATURES,
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
) -> pd.DataFrame:
    """:class:`ErrorShares` at each temperature: a row each, the temperature as index."""
    rows = {t: asdict(shares_among_errors(probs, labels, t, positive_ratio, precedence)) for t in temperatures}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("temperature")


def shares_of_coverage(coverage: Coverage) -> dict[str, float]:
    """Share of errors and where the truth lies among them, from the coverage in a record; empty if it has none."""
    if not coverage:
        return {}
    errors = 1 - coverage["truth_target"]
    inside = {name: coverage[f"truth_{name}"] / errors if errors > 0 else np.nan for name in ("positive", "negative", "ambiguous")}
    return {"errors": errors, **inside}


def _checked(probs: ArrayLike, labels: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
    p = torch.from_numpy(np.array(probs, dtype=np.float64))
    truth = torch.from_numpy(np.array(labels, dtype=np.int64))
    if p.ndim != 2 or truth.shape != p.shape[:1] or not len(p):
        raise ValueError(f"expected probs [snippets, classes] and labels [snippets], got shapes {tuple(p.shape)} and {tuple(truth.shape)}")
    # A probability that float32 rounds to 0 must not make the log loss infinite.
    return p.clamp(min=torch.finfo(torch.float32).tiny).log(), truth[:, None]


def _tempered(log_probs: torch.Tensor, temperature: float) -> torch.Tensor:
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be a positive number, got {temperature!r}")
    return (log_probs / temperature).log_softmax(dim=1)
