"""What a detector's mAP is lost on: false positives by kind, misses by the nature of the instance (Alwassel et al., ECCV 2018, "DETAD").

The quantities are those of DETAD's released code: AP_N, average precision with the precision that a class would have if all classes had
the same number of instances; the kind of every false positive among the best ``10 G`` detections of a class of G instances; the share of
instances that are missed, and mAP_N, by length, coverage and number.

Deviation: where instances of several classes overlap a detection equally, one of its own class is preferred; DETAD takes the first, which
on THUMOS14 calls detections of cliff dives wrongly labelled, since each is annotated as Diving too. The mean number of instances per class
is not rounded down.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from nontarget.config import Protocol
from nontarget.metrics import DetectionScores, area_under_envelope, evaluate_detections, match_detections, rank_detections
from nontarget.protocols import as_scored
from nontarget.scoring_input import InstanceSource, detection_table, durations_of, ground_truth_table, names_of
from nontarget.segments import tiou

KINDS = ("true positive", "double detection", "wrong label", "localization", "confusion", "background")
"""In DETAD's order. With the instance of the video that a detection overlaps most: *double detection*, it is of the same class, reaches
the threshold and is taken; *wrong label*, it reaches the threshold and is of another class; *localization* and *confusion*, the same
below the threshold; *background*, there is none with a tIoU of ``min_tiou``."""
GROUPS = 10
"""The best detections that false positives are counted among, in multiples of a class's number of instances."""
MIN_PRECISION = 0.05
"""An instance counts as found only by a detection at which the normalised precision is above this."""


@dataclass(frozen=True)
class Bins:
    """Upper borders of the groups of instances: a value is in the first group whose border it does not exceed."""

    length_s: tuple[float, ...]
    """Length in seconds."""
    coverage: tuple[float, ...]
    """Length as a share of the video's duration."""
    count: tuple[float, ...]
    """Instances of the class in the video."""


THUMOS14_BINS = Bins((3, 6, 12, 18, np.inf), (0.02, 0.04, 0.06, 0.08, 1), (1, 40, 80, np.inf))
ACTIVITYNET_BINS = Bins((30, 60, 120, 180, np.inf), (0.2, 0.4, 0.6, 0.8, 1), (1, 4, 8, np.inf))
"""DETAD's."""


@dataclass(frozen=True)
class DetectionDiagnosis:
    """What :func:`diagnose_detections` counted. Shares and mAP are in [0, 1]; ``avg`` is the mean over tIoU thresholds."""

    scores: DetectionScores
    """Plain AP, of all detections."""
    map_n: pd.Series
    """mAP_N of all detections: one value for each threshold, and ``avg``, the average-mAP_N."""
    kinds: pd.DataFrame
    """Of the best ``GROUPS`` times G detections: share of each kind (rows, ``KINDS``) at each threshold and on average (columns)."""
    kinds_by_rank: pd.DataFrame
    """Share of each kind (rows), on average over thresholds, among the first G detections of each class, the next G, ... (columns)."""
    gains: pd.Series
    """What average-mAP_N would gain if all false positives of a kind were removed, and nothing else changed."""
    instances: pd.DataFrame
    """Rows (property, group), with the property ``length``, ``coverage`` or ``count``; columns: ``instances``, how many; ``missed``, the
    share that no detection finds; ``map_n``, average-mAP_N if there were only these instances."""

    def rows(self) -> pd.DataFrame:
        """All of it as rows (part, name, group, tiou, value)."""
        by_tiou = {f"{t:g}": v for t, v in zip(self.scores.tiou_thresholds, self.scores.mean_ap.tolist(), strict=True)}
        rows: list[tuple[str, str, str, str, float]] = []
        rows += [("score", "mAP", "", t, v) for t, v in (*by_tiou.items(), ("avg", self.scores.average_mean_ap))]
        rows += [("score", "mAP_N", "", str(t), v) for t, v in self.map_n.items()]
        rows += [("detections", str(kind), "", str(t), v) for t in self.kinds for kind, v in self.kinds[t].items()]
        rows += [("detections", str(kind), str(g), "avg", v) for g in self.kinds_by_rank for kind, v in self.kinds_by_rank[g].items()]
        rows += [("gain", str(kind), "", "avg", v) for kind, v in self.gains.items()]
        for (name, group), row in self.instances.iterrows():
            rows += [(str(column), name, group, "" if column == "instances" else "avg", float(row[column])) for column in row.index]
        return pd.DataFrame(rows, columns=["part", "name", "group", "tiou", "value"])

    def __str__(self) -> str:
        percent = "{:.1f}".format
        kinds = pd.DataFrame({"share of detections (%)": 100 * self.kinds["avg"], "gain if removed": 100 * self.gains}).loc[list(KINDS)]
        instances = self.instances.assign(missed=100 * self.instances["missed"], map_n=100 * self.instances["map_n"])
        instances = instances.rename(columns={"missed": "missed (%)", "map_n": "average-mAP_N (%)"}).astype({"instances": int})
        return "\n\n".join(
            (
                f"average-mAP_N: {100 * self.map_n['avg']:.1f} (precision as if every class had the same number of instances)",
                f"The best {GROUPS} G detections of each class, G its number of instances, mean over tIoU:\n"
                + kinds.to_string(float_format=percent, na_rep=""),
                "Instances, mean over tIoU:\n" + instances.to_string(float_format=percent, na_rep=""),
            )
        )


def diagnose_detections(
    ground_truth: InstanceSource,
    detections: InstanceSource,
    tiou_thresholds: Sequence[float] | None = None,
    subset: str | None = None,
    *,
    protocol: str | Protocol | None = None,
    bins: Bins | None = None,
    min_tiou: float = 0.1,
    blocked_videos: Iterable[str] = (),
) -> DetectionDiagnosis:
    """Sort a detector's errors by kind.

    Args:
        ground_truth: see :func:`nontarget.evaluate_detections`, as for all that is not explained here. Coverage needs each video's
            ``duration`` in it.
        detections: as there.
        tiou_thresholds: as there.
        subset: as there.
        protocol: as there.
        bins: groups of instances, such as ``THUMOS14_BINS`` and ``ACTIVITYNET_BINS``. Default: fifths of these instances.
        min_tiou: a false positive that overlaps no instance as much is one on the background.
        blocked_videos: as there.

    Raises:
        ValueError: as there; or ``min_tiou`` is above a threshold.
    """
    blocked = names_of("blocked_videos", blocked_videos)
    scores = evaluate_detections(ground_truth, detections, tiou_thresholds, subset, protocol=protocol, blocked_videos=blocked)
    if protocol is not None:
        ground_truth, detections, left_out = as_scored(protocol, ground_truth, detections)
        blocked |= left_out
    thresholds = scores.tiou_thresholds
    if not 0 <= min_tiou <= min(thresholds):
        raise ValueError(f"min_tiou must be at least 0 and at most the lowest tIoU threshold, {min(thresholds):g}; got {min_tiou!r}")
    truth, _, _ = ground_truth_table(ground_truth, subset, blocked)
    predictions = detection_table(detections)
    predictions = predictions[predictions["label"].isin(set(truth["label"])) & ~predictions["video_id"].isin(list(blocked))]
    ranked = rank_detections(predictions)
    matched = match_detections(truth, ranked, thresholds)
    columns = [f"{t:g}" for t in thresholds]
    classes = _Classes(truth, ranked)
    ap_n = classes.ap_n(matched >= 0)
    map_n = pd.Series([*ap_n.mean(axis=0), ap_n.mean()], index=[*columns, "avg"])

    rank = classes.rank_in_class
    top = np.flatnonzero(rank < GROUPS * classes.instances[classes.of_detection])
    of_top, of_matched = ranked.iloc[top].reset_index(drop=True), matched[top]
    kind = _kinds(truth, of_top, of_matched, thresholds, min_tiou)
    best = _Classes(truth, of_top)
    base = best.ap_n(of_matched >= 0).mean()
    gains = {name: best.ap_n(of_matched >= 0, kind != k).mean() - base for k, name in enumerate(KINDS) if k}
    shares = pd.DataFrame({c: _shares(kind[:, i]) for i, c in enumerate(columns)}, index=list(KINDS))
    group = rank[top] // classes.instances[classes.of_detection[top]]
    by_rank = {f"{g + 1} G": _shares(kind[group == g].ravel()) for g in range(GROUPS) if (group == g).any()}
    return DetectionDiagnosis(
        scores,
        map_n,
        shares.assign(avg=shares.mean(axis=1)),
        pd.DataFrame(by_rank, index=list(KINDS)),
        pd.Series(gains, dtype=np.float64),
        _by_property(truth, durations_of(ground_truth), classes, matched, bins),
    )


class _Classes:
    """The classes of a ground truth, and which of them each detection, best first, is of."""

    def __init__(self, truth: pd.DataFrame, ranked: pd.DataFrame) -> None:
        index = pd.Index(sorted(truth["label"].unique()))
        self.of_truth: NDArray[np.int64] = index.get_indexer(truth["label"])
        self.of_detection: NDArray[np.int64] = index.get_indexer(ranked["label"])
        self.instances = np.bincount(self.of_truth, minlength=len(index))
        self.rank_in_class = pd.Series(self.of_detection).groupby(self.of_detection).cumcount().to_numpy()

    def ap_n(
        self, hits: NDArray[np.bool_], kept: NDArray[np.bool_] | None = None, instances: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """AP_N of each class with instances at each threshold; of [detections, thresholds] whether each hits, and whether it counts.

        Args:
            hits: [detections, thresholds].
            kept: [detections, thresholds]; default: all.
            instances: how many there are to find, by class; default: all. Classes without any are left out.
        """
        instances = self.instances if instances is None else instances
        normal = float(self.instances.mean())
        out = []
        for c in np.flatnonzero(instances):
            of_class = self.of_detection == c
            use = np.ones_like(hits[of_class]) if kept is None else kept[of_class]
            out.append(_normalized_ap(hits[of_class] & use, ~hits[of_class] & use, int(instances[c]), normal))
        return np.stack(out)

    def sure(self, hits: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Hits at which the normalised precision of their class is above ``MIN_PRECISION``."""
        normal, sure = float(self.instances.mean()), np.zeros_like(hits)
        for c in range(len(self.instances)):
            of_class = self.of_detection == c
            sure[of_class] = hits[of_class] & (
                _normalized_precision(hits[of_class], ~hits[of_class], int(self.instances[c]), normal) > MIN_PRECISION
            )
        return sure


def _normalized_precision(hits: NDArray[np.bool_], misses: NDArray[np.bool_], instances: int, normal: float) -> NDArray[np.float64]:
    # DETAD, Eq. 1: N R(c) / (N R(c) + F(c)), with the same N for all classes.
    expected = hits.cumsum(axis=0) / instances * normal
    total = expected + misses.cumsum(axis=0)
    return np.divide(expected, total, out=np.zeros_like(expected), where=total > 0)


def _normalized_ap(hits: NDArray[np.bool_], misses: NDArray[np.bool_], instances: int, normal: float) -> NDArray[np.float64]:
    return area_under_envelope(hits, _normalized_precision(hits, misses, instances, normal), instances)


def _kinds(
    truth: pd.DataFrame, detections: pd.DataFrame, matched: NDArray[np.int64], thresholds: Sequence[float], min_tiou: float
) -> NDArray[np.int64]:
    """[detections, thresholds], index into ``KINDS``."""
    overlap, same = np.zeros(len(detections)), np.zeros(len(detections), dtype=bool)
    instances = dict(iter(truth.groupby("video_id", sort=False)))
    for video, part in detections.groupby("video_id", sort=False):
        if video not in instances:
            continue
        there = instances[video]
        a = torch.from_numpy(part[["start_s", "end_s"]].to_numpy(dtype=np.float64, copy=True))
        b = torch.from_numpy(there[["start_s", "end_s"]].to_numpy(dtype=np.float64, copy=True))
        each = tiou(a[:, None], b[None]).nan_to_num(nan=0.0).clamp(min=0.0).numpy()
        best = each.max(axis=1)
        own = part["label"].to_numpy()[:, None] == there["label"].to_numpy()[None]
        overlap[part.index], same[part.index] = best, (own & (each == best[:, None])).any(axis=1)
    close = overlap[:, None] >= np.asarray(thresholds)
    kind = np.where(same[:, None], np.where(close, 1, 3), np.where(close, 2, 4))
    kind = np.where((overlap < min_tiou)[:, None], 5, kind)
    return np.where(matched >= 0, 0, kind)


def _shares(kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.bincount(kinds, minlength=len(KINDS)) / max(len(kinds), 1)


def _by_property(
    truth: pd.DataFrame, durations_s: Mapping[str, float], classes: _Classes, matched: NDArray[np.int64], bins: Bins | None
) -> pd.DataFrame:
    hits = matched >= 0
    sure = np.where(classes.sure(hits), matched, -1)
    is_detected = np.stack([np.isin(np.arange(len(truth)), column) for column in sure.T], axis=1)  # [instances, thresholds]
    rows, index = [], []
    for name, group, members in _groups(truth, durations_s, bins):
        # As DETAD: detections that take another instance leave, all others stay.
        kept = ~hits | np.isin(matched, np.flatnonzero(members))
        counts = np.bincount(classes.of_truth[members], minlength=len(classes.instances))
        rows.append((int(members.sum()), 1 - is_detected[members].mean(), classes.ap_n(hits, kept, counts).mean()))
        index.append((name, group))
    names = pd.MultiIndex.from_tuples(index, names=["property", "group"])
    return pd.DataFrame(rows, index=names, columns=["instances", "missed", "map_n"])


def _groups(truth: pd.DataFrame, durations_s: Mapping[str, float], bins: Bins | None) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Property, text of the group, and which instances are in it; empty groups are left out."""
    length = (truth["end_s"] - truth["start_s"]).to_numpy()
    count = truth.groupby(["video_id", "label"])["start_s"].transform("size").to_numpy(dtype=np.float64)
    values = {"length": (length, bins and bins.length_s, " s"), "count": (count, bins and bins.count, "")}
    if set(truth["video_id"]) <= set(durations_s):
        coverage = length / truth["video_id"].map(durations_s).to_numpy(dtype=np.float64)
        values["coverage"] = (np.minimum(coverage, 1.0), bins and bins.coverage, "")
    for name in ("length", "coverage", "count"):
        if name not in values:
            continue
        value, edges, unit = values[name]
        borders = np.unique(np.quantile(value, (0.2, 0.4, 0.6, 0.8, 1.0), method="higher")) if edges is None else np.asarray(edges)
        group = np.searchsorted(borders, value, side="left")
        for k in np.unique(group):
            yield name, _text(borders, int(k), unit, whole=name == "count"), group == k


def _text(borders: NDArray[np.float64], group: int, unit: str, whole: bool) -> str:
    """What a group is called: above one border, up to the next."""
    low = borders[group - 1] if group else 0.0
    if group >= len(borders) or np.isinf(borders[group]):
        return f"over {low:.3g}{unit}"
    high = borders[group]
    if whole:
        return f"{low + 1:.0f} to {high:.0f}" if high > low + 1 else f"{high:.0f}"
    return f"{low:.3g} to {high:.3g}{unit}"
