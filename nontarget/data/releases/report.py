"""The text of a report: what a release is, what it holds, what is wrong, and what to type next."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nontarget.class_names import AMBIGUOUS, doubtful_names, is_ambiguous
from nontarget.data.releases.files import listed
from nontarget.data.releases.records import ANNOTATIONS_ALONE, Release, ReleaseVideo
from nontarget.data.releases.segments import DROPPED, counted, flags_of, only_ambiguous, screen, shared_segments
from nontarget.data.starved import starved_instances, starved_text
from nontarget.segments import TimeGrid

LENGTH_OFF = 0.05
"""Share by which T may differ from duration x fps / stride before it is said."""


def report_lines(release: Release, protocol: str, next_lines: Sequence[str], distinct: Sequence[str] = ()) -> list[str]:
    """The report, a line each; ``protocol`` says which one it calls for, and the last of ``next_lines`` is about a converted folder."""
    lines = [f"{release.root}", f"  layout     {release.layout}: {release.reason}"]
    lines += [f"  network    has it seen labels of this data set? {release.seen}"]
    lines += _contents(release) + _arrays(release) + _time(release) + _missing(release) + _segments(release)
    if release.notes:
        lines += ["  notes", *(f"    - {note}" for note in dict.fromkeys(release.notes))]
    if any(v.source for v in release.videos.values()):
        problem = cannot_convert(release, distinct)
        lines += [f"  conversion {problem}"] if problem else []
        lines += [f"  protocol   {protocol}"]
        to_type = next_lines[:-1] if problem else next_lines
        lines += ["  next", *(f"    {line}" for line in to_type)] if to_type else []
    else:
        lines += ["  next       give these annotations to the features: nontarget convert FEATURES OUT --annotations " + str(release.root)]
    return lines


def cannot_convert(release: Release, distinct: Sequence[str] = ()) -> str | None:
    """What a conversion would still lack."""
    usable = [v for v in release.videos.values() if v.source]
    if not any(v.role for v in usable):
        return (
            "all videos would be unlabeled: nothing says which are trained and tested on; give --annotations with subsets, or "
            "--subsets FILE.csv (video,subset)"
        )
    if doubtful := doubtful_names(release.classes, distinct):
        return f"{'; '.join(doubtful[:3])}{'; ...' if len(doubtful) > 3 else ''}; correct the labels, or give --distinct-classes"
    lacking = [role for role in ("train", "test") if not any(v.role == role and v.instances for v in usable)]
    option = "--subsets" if any(v.instances for v in usable) else "--annotations"
    return f"no video with features and instances has the role {' or '.join(lacking)}; give {option}" if lacking else None


def _contents(release: Release) -> list[str]:
    videos = release.videos.values()
    with_features, instances = Counter(str(v.subset) for v in videos if v.source), Counter[str]()
    classes: dict[str, set[str]] = {}
    for video in videos:
        instances[str(video.subset)] += len(video.instances)
        classes.setdefault(str(video.subset), set()).update(i.label for i in video.instances if not is_ambiguous(i.label))
    roles = {name: role for role, name in release.splits.items()}
    lines = [
        f"  contents   {len(release.videos)} videos, {len(release.classes)} classes, {sum(instances.values())} instances",
    ]
    for subset, count in Counter(str(v.subset) for v in videos).items():
        name = "no subset stated" if subset == "None" else f"subset {subset!r}"
        role = f", used as {roles[subset]}" if subset in roles else ""
        annotated = f"{instances[subset]} instances of {len(classes[subset])} classes"
        lines.append(f"    {name}: {count} videos, {with_features[subset]} with features, {annotated}{role}")
    return lines


def _arrays(release: Release) -> list[str]:
    sources = [v.source for v in release.videos.values() if v.source]
    if not sources:
        return ["  features   none"]
    lengths, dims = [s.shape[0] for s in sources], sorted({s.shape[1] for s in sources})
    dtypes = Counter(s.dtype for s in sources)
    kinds = ", ".join(f"{dtype} ({count})" if len(dtypes) > 1 else dtype for dtype, count in dtypes.most_common())
    size = f"{min(lengths)} to {max(lengths)}, median {np.median(lengths):g}" if len(set(lengths)) > 1 else f"{lengths[0]}"
    return [f"  features   [T, D]: T {size}; D {', '.join(map(str, dims))}; {kinds} on disk"]


def _time(release: Release) -> list[str]:
    timed = [(name, v) for name, v in release.videos.items() if v.source and v.time]
    if not timed:
        return []
    name, video = timed[0]
    assert video.time
    assert video.num_snippets
    first, last = (float(video.time.centre_s(i)) for i in (0, video.num_snippets - 1))
    lines = [f"  time       {video.time}, i = 0 ... T - 1"]
    lines.append(f"    of {name}: first centre {first:.6f} s, last centre {last:.6f} s (T = {video.num_snippets})")
    rates = Counter((float(v.time.feature_fps), float(v.time.feature_offset_s)) for _, v in timed if v.time)
    if len(rates) > 1:
        some = ", ".join(f"{fps:.6g} ({count})" for (fps, _), count in rates.most_common(4))
        lines.append(f"    {len(rates)} time axes; one feature_fps for all videos would be wrong: snippets a second {some}")
    return lines + _lengths([(n, v) for n, v in timed if v.covered_s is None])


def expected_snippets(video: ReleaseVideo) -> float | None:
    """Duration x fps / stride."""
    return video.duration_s * float(video.time.feature_fps) if video.time and video.duration_s else None


def _lengths(timed: list[tuple[str, ReleaseVideo]]) -> list[str]:
    """T against duration x fps / stride, the median and the videos that are off."""
    ratios = {name: (v.num_snippets or 0, e) for name, v in timed if (e := expected_snippets(v))}
    if not ratios:
        return ["    T cannot be compared with the durations: none is stated"] if timed else []
    median = float(np.median([t / e for t, e in ratios.values()]))
    off = {name: (t, e) for name, (t, e) in ratios.items() if abs(t / e - 1) > LENGTH_OFF and abs(t - e) > 2}
    lines = [f"    T against duration x fps / stride: median {median:.3f}"]
    if abs(median - 1) > LENGTH_OFF:
        short = float(np.median([t / max(1.0, _whole_windows(v)) for _, v in timed if v.duration_s and (t := v.num_snippets)]))
        why = "as short videos without padding give" if abs(short - 1) <= LENGTH_OFF else "fps, stride, window or durations may be wrong"
        lines.append(f"    !! T is off by {abs(median - 1):.0%} in the median; against whole windows it is {short:.3f}: {why}")
    if off:
        some = [f"{name} ({_covers(dict(timed)[name])}, T {t} for {e:.0f})" for name, (t, e) in off.items()]
        lines.append(f"    {len(off)} video(s) are off by more than {LENGTH_OFF:.0%}: {listed(some, 3)}")
    return lines


def _whole_windows(video: ReleaseVideo) -> float:
    """How many windows fit, where the first is centred on half of itself and none is padded."""
    assert video.time
    assert video.duration_s
    return float((video.duration_s * float(video.time.fps) - 2 * float(video.time.offset)) // float(video.time.stride)) + 1


def _covers(video: ReleaseVideo) -> str:
    assert video.time
    assert video.num_snippets
    return f"features cover {float(video.time.covered_s(video.num_snippets)):.1f} of {video.duration_s:g} s"


def _missing(release: Release) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, video in release.videos.items():
        if video.source is None and video.without != ANNOTATIONS_ALONE:
            by_reason.setdefault(video.without or "missing", []).append(name)
    lines = [f"  missing    {len(names)} annotated, {reason}: {listed(names)}" for reason, names in by_reason.items()]
    if release.extra:
        lines.append(f"  extra      {len(release.extra)} with features, not annotated: {listed(list(release.extra))}")
    return lines


def _segments(release: Release) -> list[str]:
    """What a conversion would clip and drop, by reason, with the first of each."""
    reasons: list[str] = []
    first: dict[str, str] = {}
    shared: Counter[tuple[str, str]] = Counter()
    without_class, unlabeled, notes = [], 0, []
    for name, video in release.videos.items():
        changed = screen(video).changed if video.source and video.time else _flagged(video)
        notes += [f"{name}: {note}" for note in screen(video).notes] if video.source and video.time else []
        for reason, segment in changed:
            reasons.append(reason)
            first.setdefault(reason, f"{name} {segment}" + (f" of {video.duration_s:g} s" if video.duration_s else ""))
        shared.update(shared_segments(video.instances))
        if only_ambiguous(video.instances):
            without_class.append(name)
        unlabeled += not video.instances
    lines = [f"  instances  {line}" for line in counted(reasons)]
    lines += [f"    {reason}: first {text}" for reason, text in first.items()]
    if shared:
        pairs = ", ".join(f"{a} and {b} ({n})" for (a, b), n in shared.most_common(3))
        lines.append(f"    classes that share a segment: {pairs}: two instances each, not duplicates")
    if starved := _starved(release):
        lines.append(f"    {starved} no snippet of their own: shorter or equal ones of other classes cover the same snippets")
    if without_class:
        lines.append(f"    nothing but {AMBIGUOUS}, which is no class: {listed(without_class)}; left out")
    if unlabeled and release.classes:
        lines.append(f"    {unlabeled} video(s) have no instance")
    if notes:
        lines.append(f"    videos that would be cut: {listed(notes, 3)}")
    return lines


def _starved(release: Release) -> str:
    """The classes some of whose instances no snippet would be assigned to, with counts; empty if there are none."""
    starved, total = Counter[str](), Counter[str]()
    for video in release.videos.values():
        if video.source and video.time:
            one = screen(video)
            names = sorted({i.label for i in one.instances})
            labels = np.array([names.index(i.label) for i in one.instances], dtype=np.int64)
            segments_s = np.array([(i.start_s, i.end_s) for i in one.instances], dtype=np.float64).reshape(-1, 2)
            grid = TimeGrid.centred(float(video.time.feature_fps), float(video.time.feature_offset_s))
            starved.update(names[c] for c in starved_instances(labels, segments_s, grid, one.rows))
            total.update(i.label for i in one.instances)
    return starved_text((name, n, total[name]) for name, n in starved.most_common()) if starved else ""


def _flagged(video: ReleaseVideo) -> list[tuple[str, str]]:
    flagged_segments = []
    for instance, flags in zip(video.instances, flags_of(video.instances, video.duration_s), strict=True):
        dropped = [f for f in flags if f in DROPPED]
        flagged_segments += [(f, f"{instance.label} [{instance.start_s:g}, {instance.end_s:g}]") for f in dropped[:1] or flags]
    return flagged_segments
