"""Tables of text with a caption, for notebooks and pages, and how intervals are written in them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TextTable:
    """Cells of text (Markdown); on a page of the book a numbered table, in a notebook a plain one."""

    cells: pd.DataFrame
    caption: str
    name: str = ""
    """By which a page refers to it; empty: by nothing."""

    def _repr_markdown_(self) -> str:
        rows = [list(map(str, self.cells.columns)), [":--"] * self.cells.shape[1], *self.cells.astype(str).to_numpy().tolist()]
        label = [f":name: {self.name}"] if self.name else []
        return "\n".join(["```{table} " + self.caption, *label, "", *("| " + " | ".join(row) + " |" for row in rows), "```"])

    def _repr_html_(self) -> str:
        return f"<p>{self.caption}</p>{self.cells.to_html(index=False, border=0, justify='left')}"


def interval_text(mean: float, low: float, high: float) -> str:
    """A difference with its interval, which one seed does not have."""
    return f"{mean:+.1f}" if np.isnan(low) else f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def percent(share: float) -> str:
    """A share as "10 %"."""
    return f"{100 * share:g} %"
