"""Class names that are probably one class in two spellings, and THUMOS14's name for what is no class."""

import re
import unicodedata
from collections.abc import Collection, Iterable

AMBIGUOUS = "Ambiguous"
"""THUMOS14 marks spans with it on which a detection counts neither as right nor as wrong."""


def plain_name(name: str) -> str:
    """A name without what spellings differ in: capitals, blanks, ``_``, a hyphen within a word, and forms of one character."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(c for c in text if c != "_" and unicodedata.category(c)[0] not in "ZC")  # separators and control characters
    return re.sub(r"(?<=\w)-(?=\w)", "", text) or name


def is_ambiguous(name: object) -> bool:
    """Whether a label is :data:`AMBIGUOUS`, in any spelling."""
    return isinstance(name, str) and plain_name(name) == plain_name(AMBIGUOUS)


def doubtful_names(names: Iterable[str], distinct: Collection[str] = ()) -> list[str]:
    """What is doubtful about class names, a line each: names that are nearly equal, and ``Ambiguous``.

    Args:
        names: of the classes.
        distinct: names that are meant, although they look like another one, or like ``Ambiguous``.
    """
    first: dict[str, str] = {}
    problems = []
    for name in dict.fromkeys(names):
        other = first.setdefault(plain_name(name), name)
        if name in distinct:
            continue
        if is_ambiguous(name):
            problems.append(f"{name!r} is no class: THUMOS14 marks spans with it that are not scored")
        elif other != name and other not in distinct:
            problems.append(f"the classes {other!r} and {name!r} differ in capitals, blanks or hyphens alone")
    return problems
