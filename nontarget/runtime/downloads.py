"""The data behind a figure, as a file that a page carries inside itself."""

import base64
from dataclasses import dataclass
from html import escape

import pandas as pd

from nontarget.runtime.escaping import csv_text


@dataclass(frozen=True)
class CsvLink:
    """A link to a table as csv, in notebooks and pages alike, without a file beside them."""

    frame: pd.DataFrame
    name: str
    """Of the file that a reader gets."""

    def _repr_html_(self) -> str:
        data = base64.b64encode(csv_text(self.frame).encode()).decode()
        rows = f"{len(self.frame)} row{'s' * (len(self.frame) != 1)}"
        name = escape(self.name)
        return f'<p class="csv"><a download="{name}" href="data:text/csv;charset=utf-8;base64,{data}">{name}</a> ({rows})</p>'
