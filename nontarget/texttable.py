"""A table of text with a caption, for notebooks and pages."""

from dataclasses import dataclass

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
