"""Which detections of a video are right, which are wrong, and which instances are missed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nontarget.metrics import match_detections, rank_detections

_SEGMENT = ["start_s", "end_s"]


@dataclass(frozen=True)
class VideoMatches:
    """Instances and best detections of one video, matched."""

    instances: pd.DataFrame
    """(label, start_s, end_s, found): ``found`` by a detection that is kept."""
    detections: pd.DataFrame
    """(label, start_s, end_s, score, right), those kept, best first."""
    found_by_any: int
    """Instances that some detection of the video finds, kept or not."""

    def counts(self) -> dict[str, int]:
        """Hits, misses and false positives."""
        hits, right = int(self.instances["found"].sum()), int(self.detections["right"].sum())
        return {
            "instances": len(self.instances),
            "found": hits,
            "missed": len(self.instances) - hits,
            "false positives": len(self.detections) - right,
            "found at any score": self.found_by_any,
        }


def match_video(
    truth: pd.DataFrame, detections: pd.DataFrame, video_id: str, min_tiou: float = 0.5, keep: int | None = None
) -> VideoMatches:
    """Match the detections of one video to its instances as :func:`nontarget.evaluate_detections` does at one threshold.

    A detection cannot take an instance from a better one (:func:`nontarget.metrics.match_detections`), so the weaker ones do not change
    what happens to those that are kept.

    Args:
        truth: rows (video_id, label, start_s, end_s); those of other videos are left out.
        detections: rows (video_id, label, start_s, end_s, score), likewise.
        video_id: of the video.
        min_tiou: threshold.
        keep: how many detections, best first. Default: as many as there are instances.
    """
    instances = truth.loc[truth["video_id"] == video_id].reset_index(drop=True)
    ranked = rank_detections(detections.loc[detections["video_id"] == video_id])
    keep = len(instances) if keep is None else keep
    taken = match_detections(instances, ranked, [min_tiou])[:, 0]
    matched = taken >= 0
    return VideoMatches(
        instances[["label", *_SEGMENT]].assign(found=np.isin(np.arange(len(instances)), taken[:keep])),
        ranked[["label", *_SEGMENT, "score"]].assign(right=matched).head(keep),
        int(matched.sum()),
    )


def outcomes(matches: Mapping[str, Mapping[str, VideoMatches]]) -> pd.DataFrame:
    """Every found, missed and false segment in a row (video_id, system, outcome, label, start_s, end_s, score).

    Args:
        matches: video -> system -> what was matched.
    """
    parts = []
    for video_id, systems in matches.items():
        for system, m in systems.items():
            kept = m.detections.assign(outcome=np.where(m.detections["right"], "found", "false"))
            missed = m.instances[~m.instances["found"]].assign(outcome="missed", score=np.nan)
            parts += [part.assign(video_id=video_id, system=system) for part in (kept, missed) if len(part)]
    return pd.concat(parts, ignore_index=True)[["video_id", "system", "outcome", "label", *_SEGMENT, "score"]]
