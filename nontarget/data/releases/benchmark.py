"""Which protocol of the field a release calls for, where its ids and files say which benchmark it is."""

import re

from nontarget.class_names import is_ambiguous
from nontarget.data.releases.records import Release
from nontarget.data.releases.segments import only_ambiguous
from nontarget.protocols import ONLY_AMBIGUOUS, OUT_OF_RANGE, QUESTIONED, THUMOS14_CLASSES, THUMOS14_TEST_VIDEOS

_THUMOS14_ID = r"video_(?:test|validation)_\d{7}"
_ACTIVITYNET_ID = r"(?:v_)?[\w-]{11}"
_ACTIVITYNET_FILE = r"(?i)activity_?net|(?:^|[^a-z])anet"


def suggested_protocol(release: Release) -> tuple[str, str] | None:
    """Name of a protocol and the reason for it; None where nothing tells which benchmark it is."""
    if not release.videos:
        return None
    if {c for c in release.classes if not is_ambiguous(c)} <= set(THUMOS14_CLASSES) and all(
        re.fullmatch(_THUMOS14_ID, v) for v in release.videos
    ):
        # A video that a protocol counts must be there: of the sets that ask for nothing absent, the largest.
        usable = {v for v, record in release.videos.items() if record.source and not only_ambiguous(record.instances)}
        absent = {OUT_OF_RANGE, ONLY_AMBIGUOUS, QUESTIONED} - usable
        count = next(count for count, left_out in THUMOS14_TEST_VIDEOS.items() if absent <= set(left_out))
        lacking = f"; not among those with features and classes: {', '.join(sorted(absent))}" if absent else ""
        return f"thumos14-{count}", f"ids and classes are THUMOS14's{lacking}"
    names = [path.name for path in release.annotations]
    names += [file.name for record in release.videos.values() if record.source for file in record.source.files[:1]]
    named = next((name for name in names if re.search(_ACTIVITYNET_FILE, name)), None)
    if named and all(re.fullmatch(_ACTIVITYNET_ID, v) for v in release.videos):
        return "activitynet-100", f"ids are those of videos on YouTube, and {named} names ActivityNet"
    return None
