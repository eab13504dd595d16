"""The data behind a figure, as a file that a page carries inside itself."""

import base64
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class CsvLink:
    """A link to a table as csv, in notebooks and pages alike, without a file beside them."""

    frame: pd.DataFrame
    name: str
    """Of the file that a reader gets."""

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.frame.to_csv(index=False, lineterminator="\n").encode()).decode()
        rows = f"{len(self.frame)} row{'s' * (len(self.frame) != 1)}"
        return f'<p class="csv"><a download="{self.name}" href="data:text/csv;charset=utf-8;base64,{data}">{self.name}</a> ({rows})</p>'
