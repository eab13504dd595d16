"""Where the numbers of a time axis come from: the user, the published configuration, or the annotation file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nontarget.data import DataError
from nontarget.data.annotations import raise_problems
from nontarget.data.releases.records import Entry, Number, Options, TimeAxis

FROM_ANNOTATIONS = "annotations"


@dataclass(frozen=True)
class Published:
    """What the configuration of a release says of its time axis; None: it says nothing."""

    fps: Number | str | None = None
    """Of the frames that the extractor saw; ``annotations``: each video's, as the annotation file has it."""
    stride: Number | None = None
    window: Number | None = None
    offset: Number | None = None
    """Default: half the window."""
    says: str = ""
    """Where these numbers come from."""


Clock = Callable[[str, Entry | None], TimeAxis]


def clock_of(root: Path, published: Published, options: Options) -> tuple[Clock, str]:
    """The time axis of each video, from what the user says and, where the user says nothing, the published configuration.

    Returns:
        The axis by id and entry, and a line on where its numbers come from.

    Raises:
        DataError: a number is neither given nor published; the message names the options.
    """
    fps = published.fps if options.fps is None else options.fps
    if isinstance(fps, str) and fps != FROM_ANNOTATIONS:
        raise DataError(f"fps must be a number or {FROM_ANNOTATIONS!r}, got {fps!r}")
    stride = published.stride if options.stride is None else options.stride
    window = published.window if options.window is None else options.window
    offset = options.offset
    if offset is None and options.window is None:
        offset = published.offset  # type: ignore[assignment]
    if offset is None and window is not None:
        offset = window / 2  # type: ignore[assignment]
    missing = [
        text
        for value, text in (
            (fps, f"fps= (frames per second that the extractor saw, or fps={FROM_ANNOTATIONS!r} for each video's own in the annotations)"),
            (stride, "stride= (frames from one snippet to the next)"),
            (offset, "window= (frames that a snippet sees; or offset=, frames to the centre of the first)"),
        )
        if value is None
    ]
    if missing:
        why = f"; {published.says}" if published.says else ""
        raise DataError(f"{root}: the times of the snippets are not in these files and are not guessed{why}; give " + ", ".join(missing))
    assert fps is not None
    assert stride is not None
    assert offset is not None
    for name, value in (("fps", fps), ("stride", stride)):
        if not isinstance(value, str) and not value > 0:
            raise DataError(f"{name} must be positive, got {value!r}")
    lacking: list[str] = []

    def clock(video: str, entry: Entry | None) -> TimeAxis:
        if not isinstance(fps, str):
            return TimeAxis.of(fps, stride, offset)
        rate = entry.fps if entry else None
        if rate is None:
            lacking.append(video)
            raise_problems(root, [f"{video}: no fps in the annotations"], "give fps=, the frames per second that the extractor saw")
        assert rate is not None
        return TimeAxis.of(rate, stride, offset)

    overrides = [name for name in ("fps", "stride", "window", "offset") if getattr(options, name) is not None]
    sources = [f"{', '.join(overrides)} as you said"] if overrides else []
    if published.says and set(overrides) != {"fps", "stride", "window"}:
        sources.append(published.says)
    return clock, "; ".join(sources)
