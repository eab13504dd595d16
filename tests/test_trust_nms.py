"""Soft-NMS is what its definition says, in every data type that a user's columns come in."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nontarget import soft_nms

INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def by_definition(segments, scores, labels, videos, method, sigma=0.5, iou_threshold=0.1, min_score=0.001):
    """One group at a time, one segment at a time, in Python's own numbers: {index: decayed score}."""
    kept = {}
    for group in sorted(set(zip(videos, labels, strict=True))):
        live = {i: scores[i] for i in range(len(scores)) if (videos[i], labels[i]) == group and scores[i] >= min_score}
        while live:
            best = max(live, key=lambda i: (live[i], -i))
            kept[best] = live.pop(best)
            for i in list(live):
                (a, b), (c, d) = segments[best], segments[i]
                shared = max(0.0, min(b, d) - max(a, c))
                union = (b - a) + (d - c) - shared
                overlap = shared / union if union else 0.0
                if method == "gaussian":
                    live[i] *= 2.718281828459045 ** (-(overlap**2) / sigma)
                elif overlap >= iou_threshold:
                    live[i] *= 1 - overlap if method == "linear" else -1.0
                if live[i] < min_score:
                    del live[i]
    return kept


rows = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 64), st.integers(0, 127), st.integers(0, 127)), min_size=1, max_size=14
)


@settings(max_examples=150)
@given(
    rows,
    st.sampled_from(INTEGERS),
    st.sampled_from(INTEGERS),
    st.sampled_from(FLOATS),
    st.sampled_from(FLOATS),
    st.sampled_from(["gaussian", "linear", "hard"]),
    st.sampled_from([1, 1000]),
)
def test_equal_to_the_definition_in_every_data_type(rows, label_type, video_type, segment_type, score_type, method, unit):
    """Scores are distinct multiples of 1/64 before decay, exact in every type; long spans exceed what half precision can add."""
    start, length, score, label, video = (torch.tensor(column) for column in zip(*rows, strict=True))
    segments = (torch.stack((start, start + length), dim=1) * unit).to(segment_type)
    segments = segments.clamp(max=60000) if segment_type == torch.float16 else segments
    scores = (score / 64).to(score_type)
    labels, videos = (label % 3 * 60).to(label_type), (video % 3 * 60).to(video_type)
    index, decayed = soft_nms(segments, scores, labels, videos=videos, method=method, max_detections=None)
    expected = by_definition(segments.tolist(), scores.tolist(), labels.tolist(), videos.tolist(), method)
    near = {i for i, s in expected.items() if abs(s - 0.001) > 1e-5}
    assert near <= set(index.tolist())
    assert decayed.dtype == (torch.float64 if score_type == torch.float64 else torch.float32)
    for i, s in zip(index.tolist(), decayed.tolist(), strict=True):
        assert s == pytest.approx(expected.get(i, 0.001), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("large", [2**31, 2**53, 2**62, -(2**62)])
def test_ids_may_be_as_large_as_an_id_can_be(large):
    segments, scores = torch.tensor([[0.0, 9.0]] * 3), torch.tensor([0.9, 0.8, 0.7])
    ids = torch.tensor([large, large + 1, large])
    for labels, videos in ((ids, ids), (ids, None), (None, ids)):
        assert soft_nms(segments, scores, labels, videos=videos, method="hard")[0].sort().values.tolist() == [0, 1]


def test_half_precision_spans():
    segments, scores = torch.tensor([[0.0, 40000.0]] * 2), torch.tensor([0.9, 0.8])
    assert soft_nms(segments.half(), scores.half(), method="hard")[0].tolist() == [0]
    decayed = soft_nms(segments.half(), scores)[1]
    assert decayed[1].item() == pytest.approx(0.8 * 2.718281828**-2, rel=1e-5)


@pytest.mark.parametrize("bound", [torch.finfo(torch.float32).max, 1e38, float("inf")])
def test_a_span_that_cannot_be_added_is_refused(bound):
    with pytest.raises(ValueError, match="segments must be finite"):
        soft_nms(torch.tensor([[0.0, bound]] * 2), torch.tensor([0.9, 0.8]))


def test_gradients_of_decayed_scores_are_their_decay():
    segments, scores = torch.tensor([[0.0, 10.0], [1.0, 9.0], [2.0, 12.0]]), torch.tensor([0.9, 0.8, 0.7], requires_grad=True)
    index, decayed = soft_nms(segments, scores)
    (gradient,) = torch.autograd.grad(decayed.sum(), scores)
    torch.testing.assert_close(gradient[index], (decayed / scores[index]).detach())


@pytest.mark.parametrize("options", [{"method": "linear"}, {"sigma": 1e-5}])
def test_an_infinite_score_does_not_come_back_as_nan(options):
    """Infinity times a decay of 0: what is the same segment as the best is dropped, and the other stays."""
    segments, scores = torch.tensor([[0.0, 9.0], [0.0, 9.0], [20.0, 29.0]]), torch.tensor([torch.inf, torch.inf, 0.5])
    index, decayed = soft_nms(segments, scores, **options)
    assert index.tolist() == [0, 2]
    assert decayed.tolist() == [torch.inf, 0.5]
