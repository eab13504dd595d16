"""Tables of text with a caption, for notebooks and pages; and differences with intervals: how they are computed, judged and written."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from nontarget.runtime.escaping import html_text, inline_markdown, label_text

BETTER, WORSE, UNSHOWN, SINGLE = VERDICTS = ("better", "worse", "no difference that these seeds can show", "one seed, so no interval")
"""What a difference says: its 95 % interval lies above 0, below 0, contains 0, or cannot be computed."""


@dataclass(frozen=True)
class TextTable:
    """Cells of text and numbers: on a page of the book a numbered table, in a notebook a plain one.

    Text is Markdown, of which emphasis and code count (``nontarget.runtime.escaping.inline_markdown``).
    """

    cells: pd.DataFrame
    caption: str
    name: str = ""
    """The label by which pages refer to it; empty if none does."""

    def _repr_markdown_(self) -> str:
        return markdown_table(self._text(), self.caption, self.name, ":--")

    def _repr_html_(self) -> str:
        return html_table(self._text(), self.caption)

    def _text(self) -> pd.DataFrame:
        """Fractions have one decimal; a missing number is empty."""
        return self.cells.map(lambda cell: ("" if np.isnan(cell) else f"{cell:.1f}") if isinstance(cell, float) else str(cell))


def markdown_table(cells: pd.DataFrame, caption: str, name: str = "", others: str = "--:") -> str:
    """A numbered MyST table; ``others`` aligns all columns but the first."""
    head, *body = [list(map(inline_markdown, row)) for row in ([str(name) for name in cells.columns], *cells.to_numpy().tolist())]
    rows = [head, [":--"] + [others] * (len(head) - 1), *body]
    label = [f":name: {label_text(name)}"] if name else []
    argument = inline_markdown(caption.replace("`", "&#96;"))  # a backtick would end the line's directive
    return "\n".join(["```{table} " + argument, *label, "", *("| " + " | ".join(row) + " |" for row in rows), "```"])


def html_table(cells: pd.DataFrame, caption: str, notes: Iterable[str] = ()) -> str:
    """The same table for a notebook, with notes below it."""
    text = cells.map(html_text).rename(columns=lambda name: html_text(str(name)))
    with pd.option_context("display.max_colwidth", None):  # else what is cut may be half a tag
        table = text.to_html(index=False, border=0, justify="left", escape=False)
    below = "".join(f"<p>{html_text(note)}</p>" for note in notes)
    return f'<div class="tex2jax_ignore mathjax_ignore"><p>{html_text(caption)}</p>{table}{below}</div>'


def paired_interval(differences: Iterable[float]) -> dict[str, float]:
    """Mean of paired differences with its 95 % interval (Student's t, n - 1 degrees of freedom), which is NaN below two pairs."""
    values = pd.Series(list(differences)).dropna()
    mean, error = float(values.mean()), float(values.sem())
    if len(values) < 2:
        return {"mean": mean, "low": float("nan"), "high": float("nan")}
    reach = float(special.stdtrit(len(values) - 1, 0.975)) * error
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def verdict(difference: pd.Series) -> str:
    """Which of ``VERDICTS`` a difference with its interval says."""
    if pd.isna(difference["low"]):
        return SINGLE
    if not difference["low"] * difference["high"] > 0:
        return UNSHOWN
    return BETTER if difference["mean"] > 0 else WORSE


def significant(differences: pd.DataFrame) -> int:
    """How many of these differences (columns low, high) have an interval that excludes 0."""
    return int((differences["low"] * differences["high"] > 0).sum())


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
