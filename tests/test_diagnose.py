"""False positives by kind, misses by property and AP_N, against a plain loop over detections, and on real THUMOS14 detections."""

import numpy as np
import pandas as pd
import pytest

from nontarget import diagnose_detections
from nontarget.detection_files import read_detections, read_ground_truth
from nontarget.diagnose import GROUPS, KINDS, MIN_PRECISION, THUMOS14_BINS, Bins
from nontarget.protocols import counted_once

TIOUS = (0.3, 0.5)


def problem(seed, videos=6, classes=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    database, rows = {}, []
    for v in range(videos):
        instances = []
        for _ in range(rng.integers(1, 5)):
            start, length = rng.uniform(0, 80), rng.uniform(1, 20)
            instances.append({"label": str(rng.choice(classes)), "segment": [start, min(start + length, 100)]})
        database[f"v{v}"] = {"subset": "test", "duration": 100.0, "annotations": instances}
        for _ in range(rng.integers(5, 30)):
            of = instances[rng.integers(len(instances))]
            start, end = np.array(of["segment"]) + rng.normal(0, 4, 2)
            label = of["label"] if rng.random() < 0.6 else str(rng.choice(classes))
            rows.append((f"v{v}", label, start, max(end, start + 0.1), rng.random()))
    return {"database": database}, pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s", "score"])


def overlap(a, b):
    inside = max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)
    return inside / ((a[1] - a[0]) + (b[1] - b[0]) - inside)


def envelope_ap(hits, count, normal):
    """Area under the interpolated curve of normalised precision, point by point."""
    precision, recall, tp, fp = [], [], 0, 0
    for hit in hits:
        tp, fp = tp + hit, fp + (not hit)
        recall.append(tp / count)
        precision.append(recall[-1] * normal / (recall[-1] * normal + fp) if tp else 0.0)
    area, before = 0.0, 0.0
    for i, r in enumerate(recall):
        area += (r - before) * max(precision[i:])
        before = r
    return area, precision


def by_hand(truth, found, tiou, limited):
    """Of one threshold: AP_N by class, kinds of detections, gain by kind, which instances are found, AP_N by group of lengths."""
    instances = [(v, a["label"], a["segment"]) for v, e in truth["database"].items() for a in e["annotations"]]
    classes = sorted({label for _, label, _ in instances})
    normal = len(instances) / len(classes)
    hits, kinds, taken_by = {}, {}, {}
    for c in classes:
        mine = found[found.label == c].sort_values("score", ascending=False)
        count = sum(label == c for _, label, _ in instances)
        mine = mine[: GROUPS * count] if limited else mine
        taken, hits[c], kinds[c], taken_by[c] = set(), [], [], []
        for d in mine.itertuples():
            tious = [overlap((d.start_s, d.end_s), s) if v == d.video_id else 0.0 for v, _, s in instances]
            free = [i for i, (_, label, _) in enumerate(instances) if label == c and i not in taken and tious[i] >= tiou]
            if free:
                best = max(free, key=lambda i: tious[i])
                taken.add(best)
                kind = "true positive"
            else:
                best, top = None, int(np.argmax(tious))
                own = instances[top][1] == c
                if tious[top] >= tiou:
                    kind = "double detection" if own else "wrong label"
                else:
                    kind = "background" if tious[top] < 0.1 else "localization" if own else "confusion"
            hits[c].append(best is not None)
            taken_by[c].append(best)
            kinds[c].append(kind)
    return instances, classes, normal, hits, kinds, taken_by


@pytest.mark.parametrize("seed", range(6))
def test_as_a_plain_loop(seed):
    truth, found = problem(seed)
    report = diagnose_detections(truth, found, TIOUS, bins=Bins((5, 10, np.inf), (0.1, 1), (1, np.inf)))
    ap_n, shares, gains, missed, grouped = [], [], [], [], []
    for tiou in TIOUS:
        instances, classes, normal, hits, _, taken_by = by_hand(truth, found, tiou, limited=False)
        counts = {c: sum(label == c for _, label, _ in instances) for c in classes}
        ap_n.append(np.mean([envelope_ap(hits[c], counts[c], normal)[0] for c in classes]))
        sure = {
            i
            for c in classes
            for i, p in zip(taken_by[c], envelope_ap(hits[c], counts[c], normal)[1], strict=True)
            if i is not None and p > MIN_PRECISION
        }
        short = [i for i, (_, _, s) in enumerate(instances) if s[1] - s[0] <= 5]
        if short:
            missed.append(np.mean([i not in sure for i in short]))
            grouped.append(
                np.mean(
                    [
                        envelope_ap([t is not None for t in taken_by[c] if t is None or t in short], n, normal)[0]
                        for c in classes
                        if (n := sum(instances[i][1] == c for i in short))
                    ]
                )
            )
        _, _, _, hits, kinds, _ = by_hand(truth, found, tiou, limited=True)
        every = [k for c in classes for k in kinds[c]]
        shares.append([every.count(k) / len(every) for k in KINDS])
        base = np.mean([envelope_ap(hits[c], counts[c], normal)[0] for c in classes])
        gains.append(
            [
                np.mean(
                    [envelope_ap([h for h, k in zip(hits[c], kinds[c], strict=True) if k != kind], counts[c], normal)[0] for c in classes]
                )
                - base
                for kind in KINDS[1:]
            ]
        )
    assert report.map_n.tolist() == pytest.approx([*ap_n, np.mean(ap_n)])
    np.testing.assert_allclose(report.kinds[["0.3", "0.5"]].to_numpy().T, shares)
    assert report.gains[list(KINDS[1:])].tolist() == pytest.approx(np.mean(gains, axis=0))
    if short:
        assert report.instances.loc[("length", "0 to 5 s"), ["missed", "map_n"]].tolist() == pytest.approx(
            [np.mean(missed), np.mean(grouped)]
        )
    lengths = report.instances.loc["length"]
    assert lengths["instances"].sum() == report.scores.num_instances


def test_each_kind_once():
    truth = {"database": {"v": {"duration": 50.0, "annotations": [
        {"label": "a", "segment": [0, 10]}, {"label": "b", "segment": [20, 30]},
    ]}}}  # fmt: skip
    rows = [
        ("v", "a", 0, 10, 0.9), ("v", "a", 0, 9, 0.8), ("v", "a", 20, 30, 0.7), ("v", "a", 0, 3, 0.6), ("v", "a", 27, 30, 0.5),
        ("v", "a", 40, 50, 0.4), ("elsewhere", "a", 0, 10, 0.3),
    ]  # fmt: skip
    found = pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s", "score"])
    with pytest.warns(UserWarning, match="elsewhere"):
        report = diagnose_detections(truth, found, [0.5])
    assert (report.kinds["avg"] * 7).tolist() == pytest.approx([1, 1, 1, 1, 1, 2])
    assert [report.kinds_by_rank[f"{g} G"].idxmax() for g in range(1, 8)] == [*KINDS, "background"]
    assert report.instances.loc["count", "instances"].to_dict() == {"1": 2}
    assert "background" in str(report)


def test_what_names_one_event_twice_is_no_wrong_label():
    truth = {"database": {"v": {"annotations": [{"label": c, "segment": [0, 10]} for c in ("Diving", "CliffDiving")]}}}
    rows = [("v", "CliffDiving", 0, 10, 0.9), ("v", "CliffDiving", 0, 9, 0.8)]
    found = pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s", "score"])
    report = diagnose_detections(truth, found, [0.5])
    assert report.kinds["avg"].to_dict() == {k: 0.5 if k in ("true positive", "double detection") else 0.0 for k in KINDS}
    assert "coverage" not in report.instances.index.get_level_values(0), "the videos have no duration"


def test_perfect_detections_lose_nothing():
    truth, _ = problem(0)
    rows = [(v, a["label"], *a["segment"], 1.0) for v, e in truth["database"].items() for a in e["annotations"]]
    report = diagnose_detections(truth, pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s", "score"]), TIOUS)
    assert report.map_n["avg"] == report.scores.average_mean_ap == 1.0
    assert (report.gains == 0).all()
    assert (report.instances["missed"] == 0).all()


def test_wrong_arguments():
    truth, found = problem(0)
    with pytest.raises(ValueError, match="min_tiou must be at least 0 and at most the lowest tIoU threshold, 0.3; got 0.4"):
        diagnose_detections(truth, found, TIOUS, min_tiou=0.4)
    truth["database"]["v0"]["duration"] = "long"
    with pytest.raises(ValueError, match="v0: duration must be a positive number of seconds, got 'long'"):
        diagnose_detections(truth, found, TIOUS)


def test_released_thumos14_detections(data_root):
    """AutoLoc's release, against the table that was published with it."""
    folder = data_root / "thumos14"
    truth, found = read_ground_truth(folder / "thumos14.json"), read_detections(folder / "detections" / "autoloc.json")
    report = diagnose_detections(truth, found, (0.1, 0.3, 0.4, 0.5, 0.6, 0.7), "test", bins=THUMOS14_BINS)
    assert (100 * report.scores.mean_ap).round(1).tolist() == [46.8, 35.9, 29.0, 21.5, 13.3, 5.7]
    published = pd.read_csv(folder / "detections" / "published.csv").query("file == 'autoloc'").set_index("tiou")["map_percent"]
    for tiou, value in zip(report.scores.tiou_thresholds, report.scores.mean_ap, strict=True):
        assert 100 * value == pytest.approx(published[tiou], abs=0.35)
    assert report.kinds["avg"].sum() == pytest.approx(1)
    assert report.instances.loc["length", "missed"].idxmax() == "over 18 s"
    once = counted_once(truth["database"])
    assert sum(len(e["annotations"]) for e in once.values()) < sum(len(e["annotations"]) for e in truth["database"].values())
