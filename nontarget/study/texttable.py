"""Tables of text with a caption, for notebooks and pages, and how intervals are written in them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TextTable:
    """Cells of text (Markdown) and numbers; on a page of the book a numbered table, in a notebook a plain one."""

    cells: pd.DataFrame
    caption: str
    name: str = ""
    """By which a page refers to it; empty: by nothing."""

    def _repr_markdown_(self) -> str:
        text = [list(map(str, self.cells.columns)), *self._text().to_numpy().tolist()]
        head, *body = [[cell.replace("|", "\\|") for cell in row] for row in text]  # a bare one would begin another cell
        rows = [head, [":--"] * len(head), *body]
        label = [f":name: {self.name}"] if self.name else []
        return "\n".join(["```{table} " + self.caption, *label, "", *("| " + " | ".join(row) + " |" for row in rows), "```"])

    def _repr_html_(self) -> str:
        return f"<p>{self.caption}</p>{self._text().to_html(index=False, border=0, justify='left')}"

    def _text(self) -> pd.DataFrame:
        """Fractions with one decimal; nothing where there is no number."""
        return self.cells.map(lambda cell: ("" if np.isnan(cell) else f"{cell:.1f}") if isinstance(cell, float) else str(cell))


def interval_text(mean: float, low: float, high: float) -> str:
    """A difference with its interval, which one seed does not have."""
    return signed(mean) if np.isnan(low) else f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def signed(value: float) -> str:
    """With sign and one decimal; what rounds to zero has no sign."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def percent(share: float) -> str:
    """A share as "10 %"."""
    return f"{100 * share:g} %"
