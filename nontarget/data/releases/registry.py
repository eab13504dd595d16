"""The one registry of layouts, and how a release is recognised as one of them."""

from collections.abc import Callable
from dataclasses import dataclass

from nontarget.config import check_choice
from nontarget.data import DataError
from nontarget.data.releases.files import Files
from nontarget.data.releases.records import Options, Release

Recognise = Callable[[Files], str | None]
"""Why the files are of this layout; None: they are not."""
Read = Callable[[Files, Options], Release]


@dataclass(frozen=True)
class Layout:
    """One layout of releases."""

    name: str
    describes: str
    """In a line: which files."""
    recognise: Recognise
    read: Read


_LAYOUTS: dict[str, Layout] = {}


def register(layout: Layout) -> Layout:
    """Add a layout; the first one that recognises a release reads it, so that special ones come before general ones.

    Raises:
        ValueError: there is one of that name.
    """
    if layout.name in _LAYOUTS:
        raise ValueError(f"a layout {layout.name!r} is registered already")
    _LAYOUTS[layout.name] = layout
    return layout


def available() -> tuple[str, ...]:
    """Names of all layouts, in the order in which they are tried."""
    return tuple(_LAYOUTS)


def get_layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    check_choice("layout", name, _LAYOUTS)
    return _LAYOUTS[name]


def recognise(files: Files, name: str | None = None) -> tuple[Layout, str]:
    """The layout of a release, and why.

    Args:
        files: of the release.
        name: of the layout, if the user says it.

    Raises:
        ValueError: there is no layout of that name.
        DataError: the files are of no known layout.
    """
    if name is not None:
        return get_layout(name), f"you said layout={name!r}"
    for layout in _LAYOUTS.values():
        reason = layout.recognise(files)
        if reason:
            return layout, reason
    some = ", ".join(files.relative(p) for p in files.paths[:5]) or "none"
    layouts = "\n  ".join(f"{x.name}: {x.describes}" for x in _LAYOUTS.values())
    raise DataError(f"{files.root}: of no known layout; its {len(files.paths)} file(s) begin with {some}. Known layouts:\n  {layouts}")
