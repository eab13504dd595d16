"""Tables of text with a caption, for notebooks and pages; and differences with intervals: how they are judged and written."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nontarget.runtime.escaping import html_text, inline_markdown, label_text
from nontarget.statistics import LEVEL, Interval, TInterval, holm

BETTER, WORSE, UNSHOWN, SINGLE = VERDICTS = ("better", "worse", "not distinguishable with these seeds", "one seed, so no interval")
"""What a difference says: its 95 % interval lies above 0, below 0, contains 0, or cannot be computed."""
DETECTABLE = (
    "*Detectable* is the smallest true difference whose interval would exclude 0 with a probability of 80 %, given as many seeds with this "
    "spread."
)
"""What :func:`interval_text` writes behind an interval that contains 0."""


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


def verdict(difference: Interval) -> str:
    """Which of ``VERDICTS`` a difference with its interval says."""
    if np.isnan(difference.low):
        return SINGLE
    if not difference.excludes_zero:
        return UNSHOWN
    return BETTER if difference.mean > 0 else WORSE


def significant(differences: pd.DataFrame) -> int:
    """How many of these differences (columns low, high) have an interval that excludes 0."""
    return int((differences["low"] * differences["high"] > 0).sum())


def holm_text(differences: pd.DataFrame) -> str:
    """How many of these differences (column p_value) are significant after Holm's correction for their number, in a sentence."""
    return f"Significant after Holm's correction for all {len(differences)}: {(holm(differences['p_value']) < 1 - LEVEL).sum()}."


def difference_text(difference: TInterval, unit: str = "") -> str:
    """A difference as text, as :func:`interval_text` writes it."""
    return interval_text(difference.mean, difference.low, difference.high, difference.detectable, unit)


def interval_text(mean: float, low: float, high: float, detectable: float = float("nan"), unit: str = "") -> str:
    """A difference as text: with its interval if it has one, its unit, and what is detectable if the interval contains 0."""
    interval = "" if np.isnan(low) else f" [{signed(low)}, {signed(high)}]"
    return f"{signed(mean)}{interval}{unit and f' {unit}'}" + (detectable_text([detectable]) if low <= 0 <= high else "")


def detectable_text(values: Iterable[float]) -> str:
    """What is detectable (``DETECTABLE``), of several values from the smallest to the largest; empty if none is known or without spread."""
    positive = sorted(value for value in values if value > 0)
    ends = dict.fromkeys(f"{value:.1f}" for value in (*positive[:1], *positive[-1:]))
    return f" (detectable: {' to '.join(ends)})" if ends else ""


def signed(value: float) -> str:
    """A number with its sign and one decimal; one that rounds to zero has no sign."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def percent(share: float) -> str:
    """A share as "10 %"."""
    return f"{100 * share:g} %"
