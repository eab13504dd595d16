"""Protocols of the field by name: how published work cuts THUMOS14 and ActivityNet into clips, and what it scores.

Scores under different protocols are not comparable, and papers seldom say which one they used. A name is a set of test videos, and
further choices after a ``+``: ``thumos14-212``, ``thumos14-210+diving-once+ambiguous-ignored``, ``activitynet-100``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeAlias

import pandas as pd

from nontarget.config import ACTIVITYNET_PROTOCOL, THUMOS14_PROTOCOL, Protocol, check_choice, check_mapping, from_mapping
from nontarget.scoring_input import InstanceSource, database_of, detection_table

Truth: TypeAlias = dict[str, Any]
"""video -> ``{"duration", "annotations": [{"label", "segment": [start_s, end_s]}]}``"""

THUMOS14_CLASSES = {
    "BaseballPitch": 7,
    "BasketballDunk": 9,
    "Billiards": 12,
    "CleanAndJerk": 21,
    "CliffDiving": 22,
    "CricketBowling": 23,
    "CricketShot": 24,
    "Diving": 26,
    "FrisbeeCatch": 31,
    "GolfSwing": 33,
    "HammerThrow": 36,
    "HighJump": 40,
    "JavelinThrow": 45,
    "LongJump": 51,
    "PoleVault": 68,
    "Shotput": 79,
    "SoccerPenalty": 85,
    "TennisSwing": 92,
    "ThrowDiscus": 93,
    "VolleyballSpiking": 97,
}
"""Numbers of the 20 classes among THUMOS14's 101, as in its ``detclasslist.txt``."""

OUT_OF_RANGE, ONLY_AMBIGUOUS, QUESTIONED = "video_test_0000270", "video_test_0001292", "video_test_0001496"
"""Test videos of THUMOS14 that some protocols leave out: most instances lie beyond its end; it has ambiguous spans alone; its annotations
are questioned."""
THUMOS14_TEST_VIDEOS: dict[str, tuple[str, ...]] = {
    "213": (),
    "212": (ONLY_AMBIGUOUS,),
    "211": (OUT_OF_RANGE, ONLY_AMBIGUOUS),
    "210": (OUT_OF_RANGE, ONLY_AMBIGUOUS, QUESTIONED),
}
"""Sets of test videos in use -> those left out."""


@dataclass(frozen=True, kw_only=True)
class NamedProtocol(Protocol):
    """A protocol of the field: how a data set is cut into clips, and which videos, instances and detections are scored.

    Cutting, and thresholds, are those of :class:`nontarget.config.Protocol`. What is scored changes no training.
    """

    name: str
    benchmark: str
    """``thumos14``, ``activitynet``, or a data set of your own."""
    num_videos: int
    """Test videos that are scored where the data set is complete."""
    left_out: tuple[str, ...] = ()
    """Test videos that are not scored, and whose detections are not either."""
    cliff_diving: Literal["both", "once"] = "both"
    """THUMOS14 annotates each cliff dive a second time as Diving; ``once``: only the instance of CliffDiving counts."""
    ambiguous: Literal["dropped", "ignored"] = "dropped"
    """Detections on spans of THUMOS14's files Ambiguous: the spans are dropped, so that these are false positives; or, as by the official
    scorer, they are ignored where they touch such a span and no instance of their class."""


@dataclass(frozen=True)
class Choice:
    """One choice that can be added to the name of a protocol."""

    benchmark: str
    changes: Mapping[str, Any]
    source: str


_NAMED: dict[str, NamedProtocol] = {}
_SOURCES: dict[str, str] = {}


def register(protocol: NamedProtocol, source: str) -> NamedProtocol:
    """Give a protocol its name, for this process.

    Raises:
        TypeError: it is no :class:`NamedProtocol`.
        ValueError: the name is taken, or holds a ``+``.
    """
    if not isinstance(protocol, NamedProtocol):
        raise TypeError(f"a protocol is registered as register(NamedProtocol(name=..., ...), source), got {protocol!r}")
    if protocol.name in _NAMED or "+" in protocol.name:
        raise ValueError(f"the name {protocol.name!r} is taken, or holds a '+'; choose another one")
    _NAMED[protocol.name], _SOURCES[protocol.name] = protocol, source
    return protocol


_USED_BY = {
    "213": "the official test set, with the one video that has no instance",
    "212": "ActionFormer, W-TALC: video_test_0001292 has ambiguous spans alone",
    "211": "OpenTAD: also without video_test_0000270, most of whose instances lie beyond its end",
    "210": "G-TAD, WTAL-Uncertainty: also without video_test_0001496, whose annotations are questioned",
}
for _count, _left_out in THUMOS14_TEST_VIDEOS.items():
    register(
        NamedProtocol(
            **vars(THUMOS14_PROTOCOL), name=f"thumos14-{_count}", benchmark="thumos14", num_videos=int(_count), left_out=_left_out
        ),
        f"{_USED_BY[_count]}; windows of 256 snippets: Sec. 4.2",
    )
for _steps, _source in (
    (100, "Sec. 4.2, BMN, G-TAD, SPOT: each video in 100 steps; features of another length are resampled linearly"),
    (192, "ActionFormer: features resampled linearly to 192 steps a video"),
):
    register(
        NamedProtocol(
            **(vars(ACTIVITYNET_PROTOCOL) | {"num_snippets": _steps}),
            name=f"activitynet-{_steps}",
            benchmark="activitynet",
            num_videos=4926,
        ),
        _source,
    )

CHOICES = {
    "diving-once": Choice("thumos14", {"cliff_diving": "once"}, "a cliff dive is no instance of Diving as well"),
    "ambiguous-ignored": Choice("thumos14", {"ambiguous": "ignored"}, "the official scorer of THUMOS14"),
    "2304-steps": Choice(
        "thumos14",
        {"num_snippets": 2304, "stride": 1152},
        "ActionFormer's max_seq_len, which most videos fit into whole; that longer ones are cut half a window apart is assumed",
    ),
}
"""Choices that can follow the name of a protocol of their benchmark."""


def available() -> tuple[str, ...]:
    """Names that :func:`get_protocol` accepts, each also with one or more of :data:`CHOICES` of its benchmark after a ``+``."""
    return tuple(_NAMED)


def get_protocol(name: str) -> NamedProtocol:
    """The protocol of a name, such as ``thumos14-212+ambiguous-ignored``; the order of its choices does not matter.

    Raises:
        ValueError: an unknown name or choice, with the nearest known one; or a choice that does not belong to the benchmark.
    """
    base, *suffixes = str(name).split("+")
    check_choice("protocol", base, available())
    protocol = _NAMED[base]
    possible = {key: choice for key, choice in CHOICES.items() if choice.benchmark == protocol.benchmark}
    for key in suffixes:
        if not possible:
            raise ValueError(f"protocol {name!r}: {base!r} has no further choices, got {key!r}")
        check_choice(f"choice of the protocol {base!r}", key, possible)
    for key in (chosen := [key for key in possible if key in suffixes]):
        protocol = replace(protocol, **possible[key].changes)
    return replace(protocol, name="+".join([base, *chosen]))


def source_of(name: str) -> str:
    """Where a protocol comes from, in words. Errors as for :func:`get_protocol`."""
    base, *chosen = get_protocol(name).name.split("+")
    return "; ".join([_SOURCES[base], *(CHOICES[key].source for key in chosen)])


def protocol_of(settings: Mapping[str, Any], base: Protocol | None = None, where: str = "protocol") -> Protocol:
    """A protocol from settings as files and arguments have them: ``name``, one of the field's, and changed fields of ``Protocol``.

    Args:
        settings: may be empty.
        base: what is changed where no name is given; default: that of THUMOS14.
        where: starts messages.

    Raises:
        ValueError: an unknown name or setting, with the nearest known one, or a value that is refused.
    """
    check_mapping(where, settings)
    base = get_protocol(settings["name"]) if settings.get("name") is not None else base or Protocol()
    changes = {key: value for key, value in settings.items() if key != "name"}
    return replace(base, **vars(from_mapping(Protocol, _cutting(base) | changes, where)))


def named_settings(name: str | None) -> dict[str, Any]:
    """The settings that name a protocol; none for None. Errors as for :func:`get_protocol`."""
    return {} if name is None else {"name": get_protocol(name).name}


def settings_of(protocol: Protocol) -> dict[str, Any]:
    """The settings from which :func:`protocol_of` makes this protocol."""
    return ({"name": protocol.name} if isinstance(protocol, NamedProtocol) else {}) | _cutting(protocol)


def _cutting(protocol: Protocol) -> dict[str, Any]:
    return {field.name: getattr(protocol, field.name) for field in fields(Protocol)}


def describe(protocol: Protocol | Mapping[str, Any], *, cut: bool = True) -> str:
    """What a table's caption says of a protocol, or of its fields: its name, what is scored, and (``cut``) how videos are cut."""
    about = dict(protocol) if isinstance(protocol, Mapping) else asdict(protocol)
    if name := about.get("name"):
        parts = [f"{about['num_videos']:,} test videos if all are at hand"]
        parts[0] += f" (without {', '.join(about['left_out'])})" if about["left_out"] else ""
        if about["benchmark"] == "thumos14":
            parts.append("cliff dives " + ("count once" if about["cliff_diving"] == "once" else "count as Diving, too"))
            parts.append(f"ambiguous spans are {about['ambiguous']}")
    else:
        parts = ["every test video and instance counts"]
    scored = f"protocol {name or 'of the data set'}: {', '.join(parts)}"
    if not cut:
        return scored
    length = f"{about['num_snippets']} snippets" + (f" of {about['pool']} feature steps" if about["pool"] > 1 else "")
    return f"{scored}; " + (f"sliding windows of {length}" if about["windowing"] == "sliding" else f"each video rescaled to {length}")


def as_scored(
    protocol: str | Protocol, ground_truth: InstanceSource, detections: InstanceSource
) -> tuple[InstanceSource, InstanceSource, frozenset[str]]:
    """What a protocol scores of the arguments of :func:`nontarget.evaluate_detections`: the two, and the videos that are left out.

    Raises:
        ValueError: ambiguous spans are to be ignored, and there are none; or as for :func:`nontarget.evaluate_detections`.
    """
    protocol = get_protocol(protocol) if isinstance(protocol, str) else protocol
    if not isinstance(protocol, NamedProtocol):
        return ground_truth, detections, frozenset()
    if protocol.cliff_diving == "once":
        ground_truth = {"database": counted_once(database_of(ground_truth))}
    if protocol.ambiguous == "ignored":
        detections = outside_ambiguous(detection_table(detections), database_of(ground_truth))
    return ground_truth, detections, frozenset(protocol.left_out)


def counted_once(truth: Truth, label: str = "CliffDiving", other: str = "Diving") -> Truth:
    """Where a segment of a video is annotated as ``label`` and as ``other``, only ``label`` stays."""
    kept = {}
    for video, entry in truth.items():
        named = [a["segment"] for a in entry["annotations"] if a["label"] == label]
        kept[video] = entry | {"annotations": [a for a in entry["annotations"] if a["label"] != other or a["segment"] not in named]}
    return kept


def outside_ambiguous(detections: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Without detections that touch an ambiguous span of their video (key ``ambiguous``) and no instance of their class.

    Raises:
        ValueError: no video has such a span.
    """
    if not any(entry.get("ambiguous") for entry in truth.values()):
        raise ValueError("truth: no video has the key 'ambiguous', a list of [start_s, end_s]; expected some")

    def ignored(video: str, label: str, start_s: float, end_s: float) -> bool:
        entry: Mapping[str, Any] = truth.get(video, {"annotations": ()})
        of_class = [a["segment"] for a in entry["annotations"] if a["label"] == label]
        return _touches(entry.get("ambiguous", ()), start_s, end_s) and not _touches(of_class, start_s, end_s)

    rows = detections[["video_id", "label", "start_s", "end_s"]].itertuples(index=False, name=None)
    return detections[[not ignored(*row) for row in rows]]


def _touches(spans: Iterable[Iterable[float]], start_s: float, end_s: float) -> bool:
    return any(start < end_s and start_s < end for start, end in spans)
