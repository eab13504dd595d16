import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nontarget import soft_nms
from nontarget.segments import TimeGrid, assign_instances, covered_snippets, runs, tiou

METHODS = ("gaussian", "linear", "hard")


def nms_cases(oracles):
    for path in sorted((oracles / "softnms" / "cases").glob("*.json")):
        case = json.loads(path.read_text())
        voted = case["params"].get("voting_thresh")
        if case["params"]["method"] in METHODS and not voted and not case.get("informative"):
            yield case


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_soft_nms_oracle(oracles, device, dtype):
    cases = list(nms_cases(oracles))
    assert len(cases) == 22
    for case in cases:
        params, expected = case["params"], case["expected"]
        index, scores = soft_nms(
            torch.tensor(case["segments"], dtype=dtype, device=device).reshape(-1, 2),
            torch.tensor(case["scores"], dtype=dtype, device=device),
            torch.tensor(case["labels"], device=device) if params.get("multiclass") else None,
            method=params["method"],
            sigma=params["sigma"],
            iou_threshold=params["iou_threshold"],
            min_score=params["min_score"],
            max_detections=params["max_num"] or None,
        )
        np.testing.assert_allclose(np.sort(scores.cpu()), np.sort(expected["scores"]), atol=2e-5, err_msg=case["name"])
        assert sorted(index.tolist()) == sorted(expected["indices"]), case["name"]
        if (case["decision_margin"] or 1) > 1e-5:
            assert index.tolist() == expected["indices"], case["name"]


def test_soft_nms_voting_case_before_the_vote(oracles):
    """The case that replaces segments afterwards still fixes which are kept, and their scores."""
    case = json.loads((oracles / "softnms" / "cases" / "25_segment_voting.json").read_text())
    index, scores = soft_nms(torch.tensor(case["segments"]), torch.tensor(case["scores"]), sigma=0.75, max_detections=100)
    assert sorted(index.tolist()) == sorted(case["textbook_float64"]["indices"])
    np.testing.assert_allclose(scores, case["textbook_float64"]["scores"], atol=2e-5)


segment_lists = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 20), st.floats(0.01, 1), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=30
)


@given(segment_lists, st.sampled_from(METHODS), st.sampled_from([None, 1, 5]))
def test_all_videos_and_classes_in_one_call(rows, method, limit):
    """One call on everything gives what a call for each video gives, and that is what the textbook loop gives for each class."""
    start, length, score, label, video = (torch.tensor(column) for column in zip(*rows, strict=True))
    segments = torch.stack((start, start + length), dim=1).double()
    score = score.double() + torch.arange(len(score)) * 1e-6  # no ties
    options = {"method": method, "iou_threshold": 0.4, "max_detections": limit}
    index, scores = soft_nms(segments, score, label, videos=video, **options)
    expected_index, expected_scores = [], []
    for v in video.unique():
        mine = (video == v).nonzero().squeeze(1)
        found = []
        for c in label[mine].unique():
            members = mine[label[mine] == c]
            chosen, decayed = textbook(segments[members], score[members], method, 0.5, 0.4, 0.001)
            found += list(zip(decayed[:limit], members[chosen[:limit]].tolist(), strict=True))
        found.sort(key=lambda item: -item[0])
        expected_index += [i for _, i in found[:limit]]
        expected_scores += [s for s, _ in found[:limit]]
    assert index.tolist() == expected_index
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-9)


def textbook(segments, scores, method, sigma, threshold, min_score):
    """Bodla et al., as written: select the maximum, decay the rest, drop what is too low."""
    left, scores, chosen, decayed = list(range(len(scores))), scores.tolist(), [], []
    while left:
        best = max(left, key=lambda i: scores[i])
        left.remove(best)
        chosen.append(best)
        decayed.append(scores[best])
        for i in left:
            overlap = float(tiou(segments[best], segments[i]).nan_to_num(0))
            weight = {
                "gaussian": np.exp(-(overlap**2) / sigma),
                "linear": 1 - overlap if overlap >= threshold else 1,
                "hard": 0 if overlap >= threshold else 1,
            }
            scores[i] *= weight[method]
        left = [i for i in left if scores[i] >= min_score and scores[i] > 0]
    return chosen, decayed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"segments": torch.zeros(2, 3)}, r"segments must be \[N, 2\]"),
        ({"scores": torch.zeros(3)}, "scores must have shape"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, "labels must have shape"),
        ({"videos": torch.zeros(1, dtype=torch.long)}, "videos must have shape"),
        ({"method": "gauss"}, "'gauss'"),
        ({"sigma": 0.0}, "sigma"),
        ({"min_score": -1.0}, "min_score"),
        ({"max_detections": 0}, "max_detections"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_soft_nms_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        soft_nms(**{"segments": torch.zeros(2, 2), "scores": torch.ones(2), **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"segments": torch.tensor([[torch.nan, 2], [1, 3]])}, ValueError, r"finite with start <= end, got \[nan, 2.0\]"),
        ({"segments": torch.tensor([[3.0, 1.0], [1, 3]])}, ValueError, r"finite with start <= end, got \[3.0, 1.0\]"),
        ({"scores": torch.tensor([1.0, torch.nan])}, ValueError, "scores must not be NaN, got 1 such of 2"),
        ({"iou_threshold": -3}, ValueError, r"iou_threshold must be in \[0, 1\], got -3"),
        ({"scores": torch.ones(2, dtype=torch.long)}, TypeError, "scores must be a tensor of floats, got torch.int64"),
        ({"labels": torch.ones(2)}, TypeError, "labels must be a tensor of ints, got torch.float32"),
        ({"segments": [[0.0, 1.0], [1.0, 2.0]]}, TypeError, "segments must be a tensor of floats, got list"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_soft_nms_wrong_values(arguments, error, message):
    with pytest.raises(error, match=message):
        soft_nms(**{"segments": torch.zeros(2, 2), "scores": torch.ones(2), **arguments})


def test_negative_labels_stay_apart():
    segments, scores = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([0.9, 0.8])
    for labels, videos in (([0, -1], [0, 1]), ([-1, 0], [1, 0]), ([-5, 3], [0, 0])):
        kept, _ = soft_nms(segments, scores, torch.tensor(labels), videos=torch.tensor(videos), method="hard")
        assert len(kept) == 2


@given(st.floats(0.01, 1000), st.floats(0, 1e4), st.floats(0, 1e5))
def test_seconds_and_snippets_round_trip(fps, offset_s, seconds):
    grid = TimeGrid(fps, offset_s)
    assert grid.to_seconds(grid.to_snippets(seconds)) == pytest.approx(seconds, rel=1e-9, abs=1e-9)
    t = torch.tensor([seconds], dtype=torch.float64)
    torch.testing.assert_close(grid.to_snippets(grid.to_seconds(t)), t)


def test_time_grid_refuses_a_rate_that_is_none():
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="fps"):
            TimeGrid(fps)


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=4))
def test_runs(rows):
    expected = []
    for r, row in enumerate(rows):
        t = 0
        while t < len(row):
            end = t
            while end < len(row) and row[end]:
                end += 1
            if end > t:
                expected.append((r, t, end))
            t = max(end, t + 1)
    found = runs(torch.tensor(rows))
    assert list(zip(*(x.tolist() for x in found), strict=True)) == expected


def test_tiou():
    a = torch.tensor([[0.0, 2.0], [0.0, 1.0], [1.0, 1.0]])
    b = torch.tensor([[1.0, 3.0], [2.0, 3.0], [1.0, 1.0]])
    torch.testing.assert_close(tiou(a, b), torch.tensor([1 / 3, 0.0, torch.nan]), equal_nan=True)


def test_assign_instances():
    # Covers the centres of snippets 1 and 2; shorter instance inside a longer one wins; one too short for a centre claims the nearest.
    segments = torch.tensor([[0.6, 3.4], [5.0, 9.0], [6.0, 7.0], [10.1, 10.3]])
    assert assign_instances(segments, 12).tolist() == [-1, 0, 0, -1, -1, 1, 2, 1, 1, -1, 3, -1]
    assert assign_instances(torch.zeros(0, 2), 3).tolist() == [-1] * 3
    # A centre on the start belongs to the instance, one on the end does not.
    assert assign_instances(torch.tensor([[0.5, 1.5]]), 3).tolist() == [0, -1, -1]
    # Outside the window: not in it, however short.
    assert assign_instances(torch.tensor([[-0.4, -0.2], [3.1, 3.2]]), 3).tolist() == [-1] * 3
    # Of two equal instances the first listed wins.
    assert assign_instances(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), 2).tolist() == [0, 0]


@given(st.lists(st.tuples(st.floats(0, 19), st.floats(0.01, 5)), max_size=8))
def test_no_instance_inside_the_window_is_lost(rows):
    """Every instance claims a snippet, unless a shorter one has claimed all of its own."""
    segments = torch.tensor([(s, min(s + d, 20.0)) for s, d in rows], dtype=torch.float64).reshape(-1, 2)
    instance = assign_instances(segments, 20)
    for i, (start, end) in enumerate(segments.tolist()):
        covered = [t for t in range(20) if start <= t + 0.5 < end] or [min(int((start + end) / 2), 19)]
        length = end - start
        assert any(instance[t] == i for t in covered) or all(
            (segments[instance[t], 1] - segments[instance[t], 0]) <= length + 1e-9 for t in covered
        )


def test_covered_snippets():
    # Covering two centres; between two centres; around the first border; after the last snippet.
    segments = torch.tensor([[0.4, 2.0], [1.6, 2.4], [-0.6, 0.3], [3.1, 3.4]])
    valid = torch.tensor([True, True, True, False])
    alone = [[1, 1, 0, 0], [0, 0, 1, 0], [0] * 4, [0] * 4]
    assert covered_snippets(segments, valid).int().tolist() == alone, "what lies outside belongs to a neighbouring clip"
    first, last = [1, 0, 0, 0], [0, 0, 1, 0]
    assert covered_snippets(segments, valid, begins=True, ends=True).int().tolist() == [*alone[:2], first, last]
    batch = covered_snippets(segments.expand(2, -1, -1), valid.expand(2, -1), torch.tensor([True, False]), torch.tensor([False, True]))
    assert batch.int().tolist() == [[*alone[:2], first, [0] * 4], [*alone[:2], [0] * 4, last]]
    assert covered_snippets(torch.zeros(2, 0, 2), valid.expand(2, -1)).shape == (2, 0, 4)
