"""Text from data (class names, ids, folder names, captions) on its way into Markdown, HTML, figures and csv files.

What a page shows is Markdown first: in it, :func:`escaped` makes data text that is shown as it is. Markdown of this project's own
tables and captions may have emphasis and code, and nothing else: :func:`inline_markdown`, which also stops what was not escaped before.
"""

import html
import re
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

_REFERENCE = r"&(?=#\d+;)"
_SPECIAL = re.compile(r"[&<>|$\\\[\]{}~*`]|(?<!\w)_|_(?!\w)")
_SPECIAL_INLINE = re.compile(rf"(?!{_REFERENCE})[&<>$\\{{}}~]|\](?=[(\[])")  # brackets are links only where these follow
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_IN_FIGURE = 72
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escaped(text: object) -> str:
    """Text as Markdown (and HTML) that shows it as it is, on one line: in a sentence, a table's cell or the argument of a directive.

    Each character that could begin markup, math, a MyST role or substitution becomes a numeric character reference: unlike a backslash,
    it holds in the argument of a directive and in HTML, too. Controls become blanks, and those that turn the direction of writing the
    replacement character. It is not meant for code spans, which show references as they are written.
    """
    return _SPECIAL.sub(_reference, _on_one_line(str(text)).strip())


def inline_markdown(text: str) -> str:
    """Markdown of one line in which ``*emphasis*``, ``**strong**`` and code count, and all other markup is text.

    What :func:`escaped` returned stays as it is.
    """
    parts = _by_code(_on_one_line(text))
    safe = "".join(part if part.startswith("`") else _SPECIAL_INLINE.sub(_reference, part) for part in parts)
    return safe.replace("|", "\\|")  # also in code, where Markdown's tables want it so


def html_text(text: str) -> str:
    """The same Markdown as HTML."""
    return "".join(
        f"<code>{html.escape(part[1:-1])}</code>" if part.startswith("`") else _emphasized(_SPECIAL_INLINE.sub(_reference, part))
        for part in _by_code(_on_one_line(text))
    )


def plain_text(text: str) -> str:
    """The same Markdown for a terminal: without emphasis, and with the characters that references stand for."""
    return html.unescape(re.sub(r"\*\*|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)", "", text))


def label_text(text: object) -> str:
    """Text as part of a label that pages refer to."""
    return re.sub(r"[^\w.-]+", "-", str(text))


def figure_text(text: object) -> str:
    """Text as matplotlib shows it as it is, on one line, and cut where it is longer than 72 characters.

    A ``$`` begins no formula, and an underscore in front does not hide an entry of a legend.
    """
    line = _on_one_line(str(text))
    if len(line) > _LONGEST_IN_FIGURE:
        line = line[: _LONGEST_IN_FIGURE - 1] + "…"
    return ("\N{ZERO WIDTH SPACE}" if line.startswith("_") else "") + line.replace("$", r"\$")


def csv_text(frame: pd.DataFrame, **options: Any) -> str:
    """A table as csv in which no text is a formula to a spreadsheet (:func:`csv_cell`).

    For files that people open. The committed tables are written as they are: each row has a digest of its text, and a program reads them.

    Args:
        frame: its index is left out.
        options: of ``DataFrame.to_csv``.

    Returns:
        The text. Lines end with a line feed, or as in RFC 4180 where a cell has a carriage return.
    """
    safe = frame.set_axis([csv_cell(name) for name in frame.columns], axis=1)
    for i in range(safe.shape[1]):
        if not is_numeric_dtype(safe.dtypes.iloc[i]):
            safe.isetitem(i, safe.iloc[:, i].map(csv_cell))
    text: str = safe.to_csv(index=False, lineterminator="\r\n", **options)  # so that a carriage return is quoted: it would begin a row
    return text.replace("\r\n", "\n") if text.count("\r") == len(frame) + 1 else text


def csv_cell(cell: object) -> object:
    """A cell; text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break gets an apostrophe before it, unless it is a number.

    OWASP's convention (*CSV Injection*). Apostrophes before such a beginning count as part of it, so that :func:`csv_cell_read` undoes it.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def csv_cell_read(cell: str) -> str:
    """The text that :func:`csv_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _on_one_line(text: str) -> str:
    return _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", _SPACES.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    """A no-break space stays."""
    return match[0] if match[0] == "\N{NO-BREAK SPACE}" else " "


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _by_code(text: str) -> list[str]:
    """Parts of Markdown; those that begin with a backtick are code. A backtick without another one is text."""
    parts = re.split(r"(`[^`]+`)", text)
    return [part if i % 2 else part.replace("`", "&#96;") for i, part in enumerate(parts)]


def _emphasized(text: str) -> str:
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text))
