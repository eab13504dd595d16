import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nontarget import evaluate_detections


def cases(oracles):
    for path in sorted((oracles / "map" / "cases").glob("*.json")):
        yield json.loads(path.read_text())


@pytest.mark.filterwarnings("ignore:[0-9]+ of the [0-9]+")
def test_every_golden_case(oracles):
    """The hard cases and, with the documented order among ties, those where evaluators differ."""
    hard = 0
    for case in cases(oracles):
        blocked = case.get("blocked_videos") or ()
        scores = evaluate_detections(case["ground_truth"], case["detections"], case["tiou"], case["subset"], blocked_videos=blocked)
        expected = case["expected"]
        np.testing.assert_allclose(scores.mean_ap, expected["mAP"], atol=1e-9, rtol=0, err_msg=case["name"])
        assert scores.average_mean_ap == pytest.approx(expected["average_mAP"], abs=1e-9)
        assert set(scores.ap.index) == set(expected["ap_per_class"])
        for label, values in expected["ap_per_class"].items():
            np.testing.assert_allclose(scores.ap.loc[label], values, atol=1e-9, rtol=0, err_msg=f"{case['name']}: {label}")
        hard += case["all_trusted_agree"]
    assert hard > 15


def plain_average_precision(truth, found, threshold):
    """The definition, one detection at a time. truth: (video, start, end); found: (video, start, end, score)."""
    order = sorted(range(len(found)), key=lambda i: (-found[i][3], -i))
    taken, hits = set(), []
    for i in order:
        video, start, end, _ = found[i]
        options = []
        for j, (v, s, e) in enumerate(truth):
            if v == video:
                shared = max(0, min(end, e) - max(start, s))
                union = (e - s) + (end - start) - shared
                options.append((shared / union if union else np.inf, j))
        free = [(o, j) for o, j in options if j not in taken and o >= threshold]
        hits.append(bool(free))
        if free:
            taken.add(max(free)[1])
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return sum(max(precision[k:]) for k, hit in enumerate(hits) if hit) / len(truth)


segment = st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(0, 8)).map(lambda x: (x[0], x[1], x[1] + x[2]))


@pytest.mark.filterwarnings("ignore:[0-9]+ of the [0-9]+")
@given(
    st.lists(st.tuples(segment, st.sampled_from("XY")), min_size=1, max_size=8),
    st.lists(st.tuples(segment, st.sampled_from("XYZ"), st.integers(0, 4)), max_size=12),
)
def test_agrees_with_the_definition(truth, found):
    thresholds = (0.0, 0.3, 0.5, 1.0)
    truth_frame = pd.DataFrame([(v, c, s, e) for (v, s, e), c in truth], columns=["video_id", "label", "start_s", "end_s"])
    found_frame = pd.DataFrame([(v, c, s, e, x) for (v, s, e), c, x in found], columns=["video_id", "label", "start_s", "end_s", "score"])
    scores = evaluate_detections(truth_frame, found_frame, thresholds)
    for label in scores.ap.index:
        mine = [v for v, c in truth if c == label]
        theirs = [(*v, x) for v, c, x in found if c == label]
        for threshold in thresholds:
            expected = plain_average_precision(mine, theirs, threshold)
            assert scores.ap.loc[label, threshold] == pytest.approx(expected, abs=1e-12)
    assert scores.num_videos == truth_frame["video_id"].nunique()
    assert scores.num_instances == len(truth)
    assert scores.num_detections == sum(c in scores.ap.index for _, c, _ in found)


TRUTH = {
    "database": {
        "a": {"subset": "test", "annotations": [{"label": "Run", "segment": [0, 10]}]},
        "b": {"subset": "test", "annotations": [{"label": "Run", "segment": [5, 9]}]},
        "c": {"subset": "train", "annotations": []},
    }
}
FOUND = {"results": {"a": [{"label": "Run", "segment": [0, 10], "score": 0.9}]}}


def test_a_video_without_detections_is_all_misses(tmp_path):
    scores = evaluate_detections(TRUTH, FOUND, [0.5], "test")
    assert scores.average_mean_ap == 0.5
    assert (scores.num_videos, scores.num_instances, scores.num_detections) == (2, 2, 1)
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))
    (tmp_path / "found.json").write_text(json.dumps(FOUND))
    from_files = evaluate_detections(tmp_path / "truth.json", str(tmp_path / "found.json"), [0.5], "test")
    assert from_files.average_mean_ap == 0.5


def test_nothing_close_and_nothing_found():
    far = {"results": {"a": [{"label": "Run", "segment": [20, 30], "score": 0.9}], "x": []}}
    assert evaluate_detections(TRUTH, far, [0.5], "test").average_mean_ap == 0
    assert evaluate_detections(TRUTH, {"results": {}}, [0.5], "test").average_mean_ap == 0


@pytest.mark.parametrize(
    ("truth", "found", "thresholds", "subset", "message"),
    [
        (TRUTH, FOUND, [], "test", "tiou_thresholds"),
        (TRUTH, FOUND, [1.2], "test", "tiou_thresholds"),
        (TRUTH, FOUND, [0.5], "val", r"no video in subset 'val'; its subsets are \['test', 'train'\]"),
        (TRUTH, FOUND, [0.5], "train", "no instance in subset 'train'"),
        ({"data": {}}, FOUND, [0.5], None, "ground_truth: expected a mapping with the key 'database'"),
        (TRUTH, {"result": {}}, [0.5], None, "detections: expected a mapping with the key 'results'"),
        (TRUTH, {"results": {"a": [{"label": "Run", "segment": [0, float("nan")], "score": 1}]}}, [0.5], None, "must be finite"),
        (TRUTH, pd.DataFrame({"video_id": ["a"]}), [0.5], None, "detections needs each of the columns"),
        (TRUTH, {"results": {"a": [{"label": "Run", "segment": [0, 1]}]}}, [0.5], None, "score must be a number, got None"),
        (TRUTH, {"results": {"a": [{"label": "Run", "segment": [0, 1], "score": float("nan")}]}}, [0.5], None, "must be finite"),
        (TRUTH, {"results": {"a": [{"segment": [0, 1], "score": 1}]}}, [0.5], None, "detections, a: expected 'label' and 'segment'"),
        (TRUTH, {"results": {"a": [{"label": "Run", "segment": [0, 1, 2], "score": 1}]}}, [0.5], None, "detections, a: expected 'label'"),
        (TRUTH, {"results": {"a": [{"label": "Run", "segment": [0, 1], "score": "x"}]}}, [0.5], None, "score must be a number, got 'x'"),
        ({"database": {"a": {"annotations": [{"label": "Run"}]}}}, FOUND, [0.5], None, "ground_truth, a: expected 'label' and 'segment'"),
    ],
)
def test_bad_input(truth, found, thresholds, subset, message):
    with pytest.raises(ValueError, match=message):
        evaluate_detections(truth, found, thresholds, subset)


def test_a_detection_that_runs_backwards_finds_nothing():
    truth = {"database": {"a": {"annotations": [{"label": "Run", "segment": [1, 3]}]}}}
    found = {"results": {"a": [{"label": "Run", "segment": [3, 1], "score": 0.9}]}}
    assert evaluate_detections(truth, found, [0.5]).average_mean_ap == 0
    found["results"]["a"][0]["segment"] = [1, 3]
    assert evaluate_detections(truth, found, 0.5).average_mean_ap == 1
