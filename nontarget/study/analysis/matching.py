"""Which detections of a video are right, which are wrong, and which instances are missed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from nontarget.segments import tiou

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
        found, right = int(self.instances["found"].sum()), int(self.detections["right"].sum())
        return {
            "instances": len(self.instances),
            "found": found,
            "missed": len(self.instances) - found,
            "false positives": len(self.detections) - right,
            "found at any score": self.found_by_any,
        }


def match_video(
    truth: pd.DataFrame, detections: pd.DataFrame, video_id: str, min_tiou: float = 0.5, keep: int | None = None
) -> VideoMatches:
    """Match the detections of one video to its instances as :func:`nontarget.evaluate_detections` does at one threshold.

    By falling score, each detection takes the free instance of its class with the highest tIoU, if that reaches ``min_tiou``; among
    equal scores and equal tIoU the later listed goes first. A detection cannot take from a better one, so the weaker ones do not
    change what happens to those that are kept.

    Args:
        truth: rows (video_id, label, start_s, end_s); those of other videos are left out.
        detections: rows (video_id, label, start_s, end_s, score), likewise.
        video_id: of the video.
        min_tiou: threshold.
        keep: how many detections, best first. Default: as many as there are instances.
    """
    instances = truth.loc[truth["video_id"] == video_id, ["label", *_SEGMENT]].reset_index(drop=True)
    ranked = detections.loc[detections["video_id"] == video_id, ["label", *_SEGMENT, "score"]].iloc[::-1]
    ranked = ranked.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    keep = len(instances) if keep is None else keep
    # Two equal moments, 0 / 0, match.
    overlap = tiou(_segments(ranked)[:, None], _segments(instances)[None]).nan_to_num(nan=torch.inf).numpy()
    overlap[ranked["label"].to_numpy()[:, None] != instances["label"].to_numpy()[None]] = 0.0
    finder = np.full(len(instances), len(ranked))  # rank of the detection that takes the instance
    right = np.zeros(len(ranked), dtype=bool)
    for rank, row in enumerate(overlap):
        able = np.flatnonzero((row >= min_tiou) & (finder == len(ranked)))
        if len(able):
            best = able[row[able] == row[able].max()][-1]
            finder[best], right[rank] = rank, True
    return VideoMatches(
        instances.assign(found=finder < min(keep, len(ranked))),
        ranked.assign(right=right).head(keep),
        int((finder < len(ranked)).sum()),
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


def _segments(frame: pd.DataFrame) -> torch.Tensor:
    return torch.from_numpy(frame[_SEGMENT].to_numpy(dtype=np.float64, copy=True))
