"""Comparing learning rules over seeds and test videos: intervals, tests, and the smallest difference that could be detected.

All take differences that are paired: of two rules on the same seed (the same label split and initial weights) or the same test video.
Training varies from seed to seed, so that one run of each rule shows nothing (Bouthillier et al., "Accounting for variance in machine
learning benchmarks", MLSys 2021).

A record, and a row of the committed table, holds the mAP of a run and neither its detections nor anything by video. The intervals of the
book are therefore over seeds, with the test videos as they are: they cover other label splits and initial weights, not other videos.
:func:`hierarchical_bootstrap` and :func:`map_difference` cover the choice of test videos too. They need quantities by video, or detections,
which :func:`nontarget.experiment.evaluate` computes where a run's weights are kept.
"""

from nontarget.statistics.paired import (
    LEVEL,
    MOST_PAIRS,
    POWER,
    Interval,
    TInterval,
    holm,
    holm_significant,
    pairs_to_exclude_zero,
    smallest_detectable,
    t_interval,
    wilcoxon,
)
from nontarget.statistics.resampling import bootstrap_interval, draw_counts, hierarchical_bootstrap, map_difference, percentile_interval

__all__ = [
    "LEVEL",
    "MOST_PAIRS",
    "POWER",
    "Interval",
    "TInterval",
    "bootstrap_interval",
    "draw_counts",
    "hierarchical_bootstrap",
    "holm",
    "holm_significant",
    "map_difference",
    "pairs_to_exclude_zero",
    "percentile_interval",
    "smallest_detectable",
    "t_interval",
    "wilcoxon",
]
