"""Instances that cannot be used as they are: which, why, and what becomes of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nontarget.class_names import AMBIGUOUS, is_ambiguous
from nontarget.data.releases.records import Instance, ReleaseVideo

SAME_S = 1e-3
"""Instances of a class whose ends differ by at most this are one and the same (ActionFormer, libs/utils/metrics.py:13-31)."""
TOLERANCE = 0.1
"""Share of a video's snippets by which features may be shorter or longer than the video, and 2 snippets beside (as a feature folder)."""

DROPPED = {
    "no_length": "end at or before their start",
    "outside": "lie outside their video",
    "duplicate": "repeat another one of the class (both ends within 1 ms)",
    "ambiguous": f"of the class {AMBIGUOUS}, which is no class",
    "without_features": "lie where the features have ended",
}
CLIPPED = {
    "beyond_end": "end after their video",
    "before_start": "start before their video",
    "beyond_features": "end where the features have ended",
}


def flags_of(instances: Sequence[Instance], duration_s: float | None) -> list[tuple[str, ...]]:
    """What is wrong with each instance of one video: names of ``DROPPED`` and ``CLIPPED``."""
    all_flags = []
    for number, instance in enumerate(instances):
        flags = []
        if instance.end_s <= instance.start_s:
            flags.append("no_length")
        if (duration_s is not None and instance.start_s >= duration_s) or instance.end_s < 0:
            flags.append("outside")
        elif duration_s is not None and instance.end_s > duration_s:
            flags.append("beyond_end")
        if instance.start_s < 0 <= instance.end_s:
            flags.append("before_start")
        if is_ambiguous(instance.label):
            flags.append("ambiguous")
        if any(_same(instance, other) for other in instances[:number]):
            flags.append("duplicate")
        all_flags.append(tuple(flags))
    return all_flags


def _same(one: Instance, other: Instance) -> bool:
    return one.label == other.label and abs(one.start_s - other.start_s) <= SAME_S and abs(one.end_s - other.end_s) <= SAME_S


@dataclass
class Screened:
    """The instances of a video that remain, and what became of the others."""

    duration_s: float
    rows: int
    """Snippets that are kept."""
    instances: list[Instance] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    """(reason, what it was), of clipped and dropped ones."""
    notes: list[str] = field(default_factory=list)


def screen(video: ReleaseVideo) -> Screened:
    """Cut a video and its instances to what can be used: instances within the video, and a video within its features.

    A video of which the features cover less than nine tenths is cut to what they cover, and instances beyond are dropped; where they
    go on for a tenth longer than the video, the rows beyond its end are.
    """
    assert video.source is not None
    assert video.time is not None
    rows = video.source.shape[0]
    covered = float(video.covered_s or video.time.covered_s(rows))
    duration, notes = video.duration_s, []
    feature_fps = float(video.time.feature_fps)
    end = duration
    if duration is None:
        end = max(covered, video.at_least_s or 0.0)
    expected = end * feature_fps  # type: ignore[operator]
    slack = max(2.0, TOLERANCE * expected)
    if rows < expected - slack:
        notes.append(f"cut from {end:g} s to the {covered:g} s that its features cover")
        end = covered
    elif rows > expected + slack:
        kept = max(1, int(expected + 0.5))
        notes.append(f"{rows - kept} of {rows} snippets beyond the video's end of {end:g} s left out")
        rows = kept
    assert end is not None
    screened = Screened(end, rows, notes=notes)
    for instance, flags in zip(video.instances, flags_of(video.instances, duration), strict=True):
        start, stop = max(instance.start_s, 0.0), min(instance.end_s, end)
        description = f"{instance.label} [{instance.start_s:g}, {instance.end_s:g}]"
        reason = next((f for f in flags if f in DROPPED), None)
        if reason is None and start >= stop:
            reason = "without_features"
        if reason:
            screened.changed.append((reason, description))
            continue
        clips = [f for f in flags if f in CLIPPED]
        if stop < instance.end_s and "beyond_end" not in clips:
            clips.append("beyond_features")
        screened.changed += [(c, description) for c in clips]
        screened.instances.append(Instance(instance.label, start, stop))
    return screened


def only_ambiguous(instances: Sequence[Instance]) -> bool:
    """Whether a video has nothing but the class that is none: its labels are not known."""
    return bool(instances) and all(is_ambiguous(i.label) for i in instances)


def counted(reasons: Iterable[str]) -> list[str]:
    """One line a reason: ``3 dropped: end at or before their start``."""
    counts = Counter(reasons)
    lines = [f"{counts[r]} dropped: {text}" for r, text in DROPPED.items() if counts[r]]
    return lines + [f"{counts[r]} clipped: {text}" for r, text in CLIPPED.items() if counts[r]]


def shared_segments(instances: Sequence[Instance]) -> list[tuple[str, str]]:
    """Pairs of classes that share a segment, one for each segment, which are two instances and no duplicate."""
    by_segment: dict[tuple[float, float], set[str]] = {}
    for instance in instances:
        by_segment.setdefault((instance.start_s, instance.end_s), set()).add(instance.label)
    groups = (sorted(label for label in labels if not is_ambiguous(label)) for labels in by_segment.values())
    return [(a, b) for labels in groups for i, a in enumerate(labels) for b in labels[i + 1 :]]
