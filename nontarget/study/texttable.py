"""Tables of text with a caption, for notebooks and pages; and differences with intervals: how they are computed, judged and written."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

BETTER, WORSE, UNSHOWN, SINGLE = VERDICTS = ("better", "worse", "no difference that these seeds can show", "one seed, so no interval")
"""What a difference says: its 95 % interval lies above 0, below 0, contains 0, or cannot be computed."""


@dataclass(frozen=True)
class TextTable:
    """Cells of text (Markdown) and numbers: on a page of the book a numbered table, in a notebook a plain one."""

    cells: pd.DataFrame
    caption: str
    name: str = ""
    """The label by which pages refer to it; empty if none does."""

    def _repr_markdown_(self) -> str:
        text = [list(map(str, self.cells.columns)), *self._text().to_numpy().tolist()]
        head, *body = [[cell.replace("|", "\\|") for cell in row] for row in text]  # an unescaped bar would begin another cell
        rows = [head, [":--"] * len(head), *body]
        label = [f":name: {self.name}"] if self.name else []
        return "\n".join(["```{table} " + self.caption, *label, "", *("| " + " | ".join(row) + " |" for row in rows), "```"])

    def _repr_html_(self) -> str:
        return f"<p>{self.caption}</p>{self._text().to_html(index=False, border=0, justify='left')}"

    def _text(self) -> pd.DataFrame:
        """Fractions have one decimal; a missing number is empty."""
        return self.cells.map(lambda cell: ("" if np.isnan(cell) else f"{cell:.1f}") if isinstance(cell, float) else str(cell))


def paired_interval(differences: Iterable[float]) -> dict[str, float]:
    """Mean of paired differences with its 95 % interval (Student's t, n - 1 degrees of freedom), which is NaN below two pairs."""
    values = pd.Series(list(differences)).dropna()
    mean, error = float(values.mean()), float(values.sem())
    if len(values) < 2:
        return {"mean": mean, "low": float("nan"), "high": float("nan")}
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def verdict(difference: pd.Series) -> str:
    """Which of ``VERDICTS`` a difference with its interval says."""
    if pd.isna(difference["low"]):
        return SINGLE
    if not difference["low"] * difference["high"] > 0:
        return UNSHOWN
    return BETTER if difference["mean"] > 0 else WORSE


def interval_text(mean: float, low: float, high: float) -> str:
    """A difference as text, with its interval if it has one."""
    return signed(mean) if np.isnan(low) else f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def signed(value: float) -> str:
    """A number with its sign and one decimal; one that rounds to zero has no sign."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def percent(share: float) -> str:
    """A share as "10 %"."""
    return f"{100 * share:g} %"
