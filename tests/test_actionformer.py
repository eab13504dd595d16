import math
from dataclasses import replace

import pytest
import torch
from helpers import TINY_TRAINING, TINY_TWIN, clips_of, dataset_of, labeled, tiny_dataset
from torch.nn import functional as F

from nontarget import TrainedDetector, detectors, rules
from nontarget.config import InferenceConfig, Protocol, TrainingConfig
from nontarget.data import Normalization, make_clips, make_labeled_clips, split_dataset
from nontarget.detectors.actionformer import ActionFormer, ActionFormerConfig, ActionFormerOutput
from nontarget.detectors.actionformer.losses import diou_loss, focal_loss
from nontarget.experiment import Experiment, evaluate, run, train
from nontarget.inference import detect_videos
from nontarget.metrics import evaluate_detections
from nontarget.results import ResultStore
from nontarget.runtime.devices import cpu_threads
from nontarget.segments import tiou
from nontarget.training import TrainingData, train_stage

SMALL = ActionFormerConfig(embed_dim=16, num_heads=2, window=5, path_scale=1.0)  # so that every path counts
SETTINGS = {"embed_dim": 16, "num_heads": 2}


@pytest.fixture(autouse=True)
def _one_thread():
    """For tensors this small, a second thread costs more than it saves."""
    with cpu_threads(1):
        yield


@pytest.fixture
def detector(device):
    return ActionFormer(5, 3, SMALL).to(device).eval()


def batch(device, lengths=(41, 4, 33), snippets=41, dim=5):
    valid = torch.arange(snippets, device=device) < torch.tensor(lengths, device=device)[:, None]
    features = torch.randn(len(lengths), snippets, dim, generator=torch.Generator().manual_seed(1)).to(device)
    return features.masked_fill(~valid[..., None], 0.0), valid


def points_of(detector, snippets, device="cpu"):
    return detector._points(snippets, torch.device(device))


def perfect_output(detector, targets, snippets, valid=None):
    """What a detector would say that has learnt its targets."""
    centres, _, _ = points_of(detector, snippets)
    scores = F.one_hot(targets.labels, detector.num_classes + 1)[..., :-1] * 20.0 - 10
    valid = torch.ones(targets.labels.shape, dtype=torch.bool) if valid is None else valid
    return ActionFormerOutput(scores, valid, targets.localization, centres.expand(len(scores), -1))


@pytest.mark.parametrize("snippets", [1, 7, 32, 41, 64])
def test_points_and_shapes(detector, device, snippets):
    features, valid = batch(device, (snippets, 1), snippets)
    output = detector(features, valid)
    centres, strides, level = points_of(detector, snippets, device)
    counts = [math.ceil(snippets / 2**i) for i in range(6)]
    assert level.bincount().tolist() == counts
    assert (strides == 2.0**level).all()
    assert output.class_logits.shape == (2, sum(counts), 3)
    assert output.distances.shape == (2, sum(counts), 2)
    assert (output.distances >= 0).all()
    assert (output.valid == (centres < torch.tensor([[snippets], [1]], device=device))).all(), "a point is real where its snippet is"
    part = output[slice(1, 2)]
    assert torch.equal(part.class_logits, output.class_logits[1:2])
    assert torch.equal(part.centres, output.centres[1:2])


def test_first_scores_are_the_prior(detector, device):
    features, valid = batch(device)
    assert detector(features, valid).action_probs.median().item() == pytest.approx(0.01, rel=0.5)


def test_padding_has_no_effect_and_batched_is_single(detector, device):
    features, valid = batch(device)
    together, dirty = detector(features, valid), detector(features.masked_fill(~valid[..., None], 1e6), valid)
    for row, length in enumerate((41, 4, 33)):
        alone = detector(features[row : row + 1, :length], valid[row : row + 1, :length])
        real = together.valid[row]
        assert int(real.sum()) == alone.valid.numel()
        for name in ("class_logits", "distances", "centres"):
            a, b, c = getattr(together, name)[row][real], getattr(dirty, name)[row][real], getattr(alone, name)[0]
            torch.testing.assert_close(a, b, rtol=0, atol=0)
            torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-5)


def test_padding_has_no_effect_on_losses_and_gradients(detector, device):
    features, valid = batch(device, lengths=(20, 9), snippets=20)
    longer, longer_valid = F.pad(features, (0, 0, 0, 23)), F.pad(valid, (0, 23))
    instances = [[(0, 2.0, 15.0), (1, 5.0, 7.0)], [(2, 1.0, 6.5)]]

    def gradients(x, real):
        detector.zero_grad()
        output = detector(x, real)
        targets = detector.targets(clips_of(instances, x.shape[1], lengths=(20, 9), device=device))
        classes, places = detector.class_loss(output, targets), detector.localization_loss(output, targets)["regression"]
        (classes + places).backward()
        assert all(torch.isfinite(p.grad).all() for p in detector.parameters())
        return classes.item(), places.item(), detector.embedding.convolutions[0].weight.grad.clone()

    plain, padded = gradients(features, valid), gradients(longer, longer_valid)
    assert plain[1] > 0
    for a, b in zip(plain, padded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_attention_is_local(device):
    """A stem block sees its window and one snippet more on either side, through the convolutions before attention."""
    block = ActionFormer(5, 3, SMALL).to(device).eval().stem[0]
    x, valid = torch.randn(1, 20, 16, device=device), torch.ones(1, 20, dtype=torch.bool, device=device)
    other = x.clone()
    other[0, 10] += 1
    changed = (block(x, valid)[0] != block(other, valid)[0]).any(dim=-1)[0]
    assert changed.nonzero().squeeze(1).tolist() == list(range(7, 14))


def test_levels_do_not_touch_in_the_heads(detector, device, monkeypatch):
    """The heads' single pass over all levels is the same as one pass for each."""
    levels = []
    features, valid = batch(device)
    for norm in detector.level_norms:
        norm.register_forward_hook(lambda _, __, output: levels.append(output))
    output = detector(features, valid)
    reals = [valid[:, :: 2**i] for i in range(6)]
    alone = []
    for x, real in zip(levels, reals, strict=True):
        x = detector.class_tower(x.masked_fill(~real[..., None], 0.0), real)
        alone.append(detector.class_head(x.transpose(1, 2)).transpose(1, 2))
    alone, real = torch.cat(alone, dim=1), torch.cat(reals, dim=1)
    torch.testing.assert_close(output.class_logits[real], alone[real])


def test_level_ranges_by_hand(detector):
    """The farther end, in snippets, tells the level: [0, 4), [4, 8), [8, 16), [16, 32), [32, 64), and all beyond."""
    for length, expected in ((6.0, {0, 1}), (20.0, {2, 3}), (40.0, {3, 4}), (100.0, {4, 5}), (300.0, {5})):
        targets = detector.targets(clips_of([[(1, 0.0, length)]], 300))
        centres, strides, level = points_of(detector, 300)
        positive = (targets.labels[0] == 1).nonzero().squeeze(1)
        assert set(level[positive].tolist()) == expected, length
        for p in positive.tolist():
            far = max(centres[p].item(), length - centres[p].item())
            low, high = (0, 4, 8, 16, 32, 64)[level[p]], (4, 8, 16, 32, 64, math.inf)[level[p]]
            assert low <= far < high
            assert abs(centres[p] - length / 2) < 1.5 * strides[p], "centre sampling"
            assert targets.localization[0, p].tolist() == pytest.approx([centres[p].item(), length - centres[p].item()])


def test_targets_by_hand(detector):
    # Of an instance from 2 to 8, points are central between 3.5 and 6.5, and no end is 4 or more away between 4 and 6.
    targets = detector.targets(clips_of([[(2, 2.0, 8.0)]], 12))
    centres, strides, _ = points_of(detector, 12)
    found = [(s, c) for s, c, y in zip(strides.tolist(), centres.tolist(), targets.labels[0].tolist(), strict=True) if y == 2]
    # Stride 2: points at 2.5, 4.5, 6.5; central between 2 and 8; the farther end is 5.5, 3.5 and 4.5 away.
    assert found == [(1.0, 4.5), (1.0, 5.5), (2.0, 2.5), (2.0, 6.5)]
    assert (targets.localization[0][targets.labels[0] == 3] == 0).all()


def test_the_shortest_instance_wins(detector):
    """On the level that takes both, where both are central."""
    targets = detector.targets(clips_of([[(0, 0.0, 7.0), (1, 2.0, 5.0)]], 8))
    _, strides, _ = points_of(detector, 8)
    first = targets.labels[0, :8].tolist()  # of the longer one, 3.5 alone is less than 4 from both ends
    assert first == [3, 3, 1, 1, 1, 3, 3, 3]
    assert targets.localization[0, 3].tolist() == [1.5, 1.5]
    assert 0 in targets.labels[0][strides == 2].tolist(), "the longer one has points on its own level"


def released_targets(points, segments, labels, num_classes):
    """label_points_single_video of the released code, without its division by the stride, in its own words.

    points: rows (centre, low, high, stride); ranges are half open here, as in this library.
    """
    lens = (segments[:, 1] - segments[:, 0])[None].repeat(len(points), 1)
    left, right = points[:, :1] - segments[None, :, 0], segments[None, :, 1] - points[:, :1]
    reg_targets = torch.stack((left, right), dim=-1)
    center_pts = 0.5 * (segments[None, :, 0] + segments[None, :, 1])
    t_mins, t_maxs = center_pts - points[:, 3:] * 1.5, center_pts + points[:, 3:] * 1.5
    cb_dist_left = points[:, :1] - torch.maximum(t_mins, segments[None, :, 0])
    cb_dist_right = torch.minimum(t_maxs, segments[None, :, 1]) - points[:, :1]
    inside = torch.stack((cb_dist_left, cb_dist_right), -1).min(-1)[0] > 0
    farthest = reg_targets.max(-1)[0]
    in_range = (farthest >= points[:, 1:2]) & (farthest < points[:, 2:3])
    lens = lens.masked_fill(~inside | ~in_range, float("inf"))
    min_len, min_len_inds = lens.min(dim=1)
    min_len_mask = ((lens <= min_len[:, None] + 1e-3) & (lens < float("inf"))).float()
    classes = (min_len_mask @ F.one_hot(labels, num_classes).float()).clamp(0, 1)
    return classes, reg_targets[range(len(points)), min_len_inds]


@pytest.mark.parametrize("seed", range(8))
def test_targets_are_those_of_the_released_code(detector, seed):
    """With instances that share their ends, as CliffDiving and Diving do, overlap and cross the borders of the clip."""
    rng = torch.Generator().manual_seed(seed)
    start = torch.rand(12, generator=rng) * 70 - 10
    instances = torch.stack((start, start + 1 + 40 * torch.rand(12, generator=rng) ** 3), dim=1)
    instances[6:9] = instances[:3]
    instances[3:5] = torch.tensor([[-20.0, 10.0], [50.0, 90.0]])  # cut to less than half
    labels = torch.randint(3, (12,), generator=rng)
    window = torch.stack((instances[:, 0].clamp(min=0), instances[:, 1].clamp(max=60)), dim=1)
    kept = (window.diff(dim=1) / instances.diff(dim=1))[:, 0] >= 0.5
    assert not kept[3:5].any()
    clips = clips_of([[(int(c), *s.tolist()) for c, s in zip(labels, instances, strict=True)]], 60, offset_s=5.0, continues=True)
    targets = detector.targets(clips)
    centres, strides, level = points_of(detector, 60)
    low = torch.where(level > 0, 2 * strides, 0.0)
    points = torch.stack((centres, low, torch.where(level < 5, 4 * strides, torch.inf), strides), dim=1)
    classes, distances = released_targets(points, window[kept], labels[kept], 3)
    positive = classes.any(dim=1)
    assert positive.any()
    assert (classes.sum(dim=1) > 1).any() or seed > 0
    assert torch.equal(targets.classes[0], classes.bool())
    assert torch.equal(targets.labels[0] != 3, positive)
    assert targets.classes[0][positive].gather(1, targets.labels[0][positive][:, None]).all()
    torch.testing.assert_close(targets.localization[0][positive], distances[positive])


def test_an_instance_between_two_points_has_the_snippet_that_it_claims(detector):
    targets = detector.targets(clips_of([[(1, 2.6, 3.4), (0, 0.0, 8.0)], [(2, 7.9, 8.2)]], 8))
    _, strides, _ = points_of(detector, 8)
    assert targets.labels[0][strides == 1].tolist()[3] == 1
    assert (targets.labels[0] == 1).sum() == 1
    assert targets.localization[0, 3].tolist() == pytest.approx([0.9, 0.0])
    assert (targets.labels[1] == 2).nonzero().squeeze(1).tolist() == [7], "after the last snippet of its video"
    elsewhere = detector.targets(clips_of([[(2, 7.9, 8.2)]], 8, continues=True))
    assert (elsewhere.labels == 3).all(), "the neighbouring clip has it"


def test_points_of_two_classes(detector):
    targets = detector.targets(clips_of([[(0, 2.0, 8.0), (2, 2.0, 8.0005), (1, 0.0, 12.0)]], 12))
    positive = targets.labels[0] != 3
    assert set(targets.labels[0][positive].tolist()) == {0, 1}, "the shortest that its level takes"
    shortest = targets.labels[0] == 0
    assert (targets.classes[0][shortest] == torch.tensor([True, False, True])).all()
    logits = torch.randn(1, len(positive), 3)
    output = ActionFormerOutput(logits, torch.ones(1, len(positive)).bool(), targets.localization, targets.localization[..., 0])
    entropy = F.binary_cross_entropy_with_logits(logits, targets.classes.float(), reduction="none")
    missing = torch.where(targets.classes, 1 - logits.sigmoid(), logits.sigmoid())
    expected = (torch.where(targets.classes, 0.25, 0.75) * missing**2 * entropy).sum() / positive.sum()
    torch.testing.assert_close(detector.class_loss(output, targets), expected)


def test_clips_without_instances(detector):
    targets = detector.targets(clips_of([[]], 16))
    assert (targets.labels == 3).all()
    output = perfect_output(detector, targets, 16)
    output = replace(output, distances=output.distances.clone().requires_grad_(), class_logits=output.class_logits.requires_grad_())
    loss = detector.localization_loss(output, targets)["regression"]
    assert loss == 0
    (loss + detector.class_loss(output, targets)).backward()
    assert torch.isfinite(output.class_logits.grad).all()
    assert (output.distances.grad == 0).all()


def test_focal_loss_by_hand():
    logits = torch.tensor([[2.0, -1.0], [0.5, -3.0]], dtype=torch.float64)
    labels = torch.tensor([0, 2])  # 2 is background

    def right(z):
        p = 1 / (1 + math.exp(-z))
        return -0.25 * (1 - p) ** 2 * math.log(p)

    def wrong(z):
        p = 1 / (1 + math.exp(-z))
        return -0.75 * p**2 * math.log(1 - p)

    expected = [right(2.0) + wrong(-1.0), wrong(0.5) + wrong(-3.0)]
    assert focal_loss(logits, labels, 0.25, 2.0).tolist() == pytest.approx(expected)
    torch.testing.assert_close(
        focal_loss(logits, labels, 0.5, 0.0),
        0.5 * F.binary_cross_entropy_with_logits(logits, torch.tensor([[1.0, 0], [0, 0]]).double(), reduction="none").sum(1),
    )
    for scale in (1e2, 1e4):
        x = (torch.tensor([[1.0, -1.0, 0.0]]) * scale).requires_grad_()
        loss = focal_loss(x, torch.tensor([1]), 0.25, 2.0)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(x.grad).all()


def test_diou_loss_by_hand():
    # Around a point at 0: [-1, 3] against [-2, 1]. Intersection 2, union 5, hull 5, middles 1 and -0.5.
    loss = diou_loss(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 1.0]))
    assert loss.item() == pytest.approx(1 - 2 / 5 + (1.5 / 5) ** 2)
    a, b = torch.rand(50, 2) * 5 + 0.01, torch.rand(50, 2) * 5 + 0.01
    first, second = (torch.stack((-x[:, 0], x[:, 1]), dim=1) for x in (a, b))
    hull = torch.maximum(first[:, 1], second[:, 1]) - torch.minimum(first[:, 0], second[:, 0])
    expected = 1 - tiou(first, second) + ((first.mean(1) - second.mean(1)) / hull) ** 2
    torch.testing.assert_close(diou_loss(a, b), expected)
    assert diou_loss(a, a).abs().max() < 1e-6
    empty = torch.zeros(1, 2, requires_grad=True)
    for target in (torch.zeros(1, 2), torch.ones(1, 2)):
        diou_loss(empty, target).sum().backward()
        assert torch.isfinite(empty.grad).all()


def test_losses_count_positive_points_and_weights(detector):
    targets = detector.targets(clips_of([[(2, 2.0, 8.0)]], 12))  # four positive points
    points = targets.labels.shape[1]
    logits, distances = torch.randn(1, points, 3), torch.rand(1, points, 2) * 5
    valid = torch.ones(1, points, dtype=torch.bool)
    valid[0, 5] = False  # at 5.5, a positive one
    output = ActionFormerOutput(logits, valid, distances, torch.zeros(1, points))
    positive = valid & (targets.labels == 2)
    assert int(positive.sum()) == 3
    expected = focal_loss(logits, targets.labels, 0.25, 2.0)[valid].sum() / 3
    torch.testing.assert_close(detector.class_loss(output, targets), expected)
    regression = diou_loss(distances[positive], targets.localization[positive])
    torch.testing.assert_close(detector.localization_loss(output, targets)["regression"], regression.mean())
    # A weight of 0 is as good as padding.
    weighted = replace(targets, weights=valid.float())
    everywhere = replace(output, valid=torch.ones_like(valid))
    torch.testing.assert_close(detector.class_loss(everywhere, weighted), detector.class_loss(output, targets))
    torch.testing.assert_close(detector.localization_loss(everywhere, weighted), detector.localization_loss(output, targets))


def test_pseudo_targets(detector):
    """A class above 1/2 beats the background; nothing else does, so that first predictions give no instances."""
    scores = torch.tensor([[[0.6, 0.2, 0.1], [0.45, 0.44, 0.43], [0.01, 0.02, 0.01], [0.9, 0.95, 0.2]]])
    distances = torch.rand(1, 4, 2)
    pseudo = detector.pseudo_targets(ActionFormerOutput(scores.logit(), torch.ones(1, 4, dtype=torch.bool), distances, torch.zeros(1, 4)))
    assert pseudo.labels.tolist() == [[0, 3, 3, 1]]
    assert torch.equal(pseudo.localization, distances)
    features, valid = batch("cpu")
    assert (detector.cpu().pseudo_targets(detector.cpu()(features, valid)).labels == 3).all()


def test_targets_give_the_instances_back(detector):
    """Annotations to point targets to a perfect output to candidates."""
    instances = [[(0, 1.0, 5.5), (2, 9.0, 30.0)], [(1, 0.0, 40.0), (0, 12.0, 15.0)]]
    output = perfect_output(detector, detector.targets(clips_of(instances, 40)), 40)
    found = detector.candidates(output, torch.ones(2, 40, dtype=torch.bool), InferenceConfig(min_score=0.5))
    rows = zip(found.clip.tolist(), found.labels.tolist(), *found.segments.round(decimals=4).T.tolist(), strict=True)
    assert set(rows) == {(i, *instance) for i, clip in enumerate(instances) for instance in clip}


def test_candidates_by_hand(detector):
    centres = torch.tensor([[0.5, 1.5, 2.5, 3.5]])
    scores = torch.tensor([[[0.9, 0.001, 0.2], [0.3, 0.3, 0.0], [0.8, 0.8, 0.8], [0.95, 0.95, 0.95]]])
    distances = torch.tensor([[[2.0, 1.0], [0.0, 0.0], [1.0, 9.0], [1.0, 1.0]]])
    output = ActionFormerOutput(scores.logit(eps=1e-6), torch.tensor([[True, True, True, False]]), distances, centres)
    valid = torch.tensor([[True, True, True, False]])
    found = detector.candidates(output, valid, InferenceConfig(min_score=0.01))
    rows = set(zip(found.labels.tolist(), *found.segments.T.tolist(), found.scores.round(decimals=4).tolist(), strict=True))
    # Cut at both ends of the clip, exactly; the second is empty, the fourth padding.
    assert {(label, start, end) for label, start, end, _ in rows} == {
        (0, 0.0, 1.5),
        (2, 0.0, 1.5),
        (0, 1.5, 3.0),
        (1, 1.5, 3.0),
        (2, 1.5, 3.0),
    }
    assert max(found.scores) == pytest.approx(0.9)
    few = detector.candidates(output, valid, InferenceConfig(min_score=0.01, max_candidates=2))
    assert len(few.clip) == 2
    assert few.scores.tolist() == pytest.approx([0.9, 0.8])
    none = detector.candidates(output, valid, InferenceConfig(min_score=0.99))
    assert len(none.clip) == len(none.labels) == len(none.segments) == len(none.scores) == 0


def test_agreement_by_hand(detector):
    centres = torch.tensor([[0.5, 1.5, 2.5, 3.5]])
    scores = torch.tensor([[[0.8, 0, 0], [0.9, 0, 0], [0, 0.7, 0], [0, 0, 0.1]]])
    distances = torch.tensor([[[0.5, 1.5], [0.5, 2.5], [1.0, 1.0], [0.5, 0.5]]])  # 0 to 2, 1 to 4, alone, background
    output = ActionFormerOutput(scores.logit(eps=1e-6), torch.ones(1, 4, dtype=torch.bool), distances, centres)
    # The second is inside the first and shares 1 of 4 snippets with it; the first is not inside the second.
    assert detector.agreement(output)[0].tolist() == pytest.approx([0.25, 0.0, 0.0, 1.0])
    padded = replace(output, valid=torch.tensor([[True, False, True, True]]))
    assert detector.agreement(padded)[0, 0] == 0
    features, valid = batch("cpu")
    agreement = detector.cpu().agreement(detector.cpu()(features, valid))
    assert ((agreement >= 0) & (agreement <= 1)).all()


def test_permutation_of_classes_permutes_the_result(detector):
    order = torch.tensor([2, 0, 1])
    instances = [(0, 1.0, 9.0), (2, 3.0, 6.0)]
    names = torch.cat((order.argsort(), torch.tensor([3])))  # old class -> new
    again = [(int(names[label]), start, end) for label, start, end in instances]
    targets, renamed = detector.targets(clips_of([instances], 12)), detector.targets(clips_of([again], 12))
    assert torch.equal(names[targets.labels], renamed.labels)
    logits = torch.randn(*targets.labels.shape, 3)
    output = ActionFormerOutput(logits, torch.ones_like(targets.labels).bool(), targets.localization, targets.localization[..., 0])
    torch.testing.assert_close(
        detector.class_loss(output, targets), detector.class_loss(replace(output, class_logits=logits[..., order]), renamed)
    )


def toy():
    """Two classes that differ plainly."""

    def make(i):
        v = labeled(f"v{i}", [(i % 2, 1.0, 4.0)], snippets=16, fps=2.0, seed=i, dim=4)
        v.video.features[2:8, i % 2] += 6
        return v

    return dataset_of([make(i) for i in range(16)], [make(i) for i in range(16, 24)], protocol=Protocol(num_snippets=16, stride=16))


def prepare(dataset, ratio=0.5):
    split = split_dataset(dataset, ratio, 0)
    normalization = Normalization.of([v.video for v in dataset.train])
    labeled_clips = make_labeled_clips(split.labeled, dataset.protocol, normalization, dataset.num_classes)
    return TrainingData(labeled_clips, make_clips(split.unlabeled, dataset.protocol, normalization)), normalization


def fresh(dataset, **changes):
    torch.manual_seed(3)
    settings = detectors.detector_settings("actionformer", "small", **(SETTINGS | changes))
    return detectors.build_detector("actionformer", dataset.feature_dim, dataset.num_classes, settings)


@pytest.mark.parametrize("rule", ["supervised only", "non-target"])
def test_training_learns(rule):
    dataset = toy()
    data, normalization = prepare(dataset)
    detector = fresh(dataset, tower_dropout=0.0)
    config = TrainingConfig(pretrain_epochs=15, selftrain_epochs=15, batch_size=8, pretrain_learning_rate=1e-2, learning_rate=5e-3)
    for stage in ("pretrain", "selftrain"):
        train_stage(stage, detector, rules.get_rule(rule), data, config, seed=0)
    test = [v.video for v in dataset.test]
    trained = TrainedDetector(detector, "actionformer", {}, dataset.classes, normalization, dataset.protocol, InferenceConfig())
    detections = detect_videos(trained, test)
    scores = evaluate_detections(dataset.ground_truth(dataset.test), detections, (0.5, 0.7))
    assert scores.average_mean_ap > 0.9


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("rule", ["supervised only", "baseline", "non-target"])
@pytest.mark.parametrize("interrupted_at", [4, 10])
def test_interrupted_training_ends_as_if_it_had_not_been(tmp_path, rule, interrupted_at):
    dataset = tiny_dataset()
    data, _ = prepare(dataset, 0.25)
    steps = 0

    def stop():
        nonlocal steps
        steps += 1
        if steps == interrupted_at:
            raise Interrupt

    def train_both(folder=None, **options):
        detector, stages = fresh(dataset, dropout=0.1, path_dropout=0.1, tower_dropout=0.1), []
        for name in ("pretrain", "selftrain"):
            weights = folder / f"{name}.safetensors" if folder else None
            config = TrainingConfig(**TINY_TRAINING)
            stages.append(train_stage(name, detector, rules.get_rule(rule), data, config, seed=5, weights=weights, **options))
        return detector, [stage.curve for stage in stages]

    plain, curves = train_both()
    with pytest.raises(Interrupt):
        train_both(tmp_path, on_step=stop)
    resumed, resumed_curves = train_both(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), resumed.parameters(), strict=True))
    assert curves == resumed_curves
    assert set(curves[0][0]) == {"learning_rate", "labeled", "regression", "share of labeled", "share of regression"}


def test_the_averaged_weights_are_the_result():
    """A running average whose momentum rises: 1/10, 2/11, 3/12, as the released code of many detectors has it."""
    dataset = tiny_dataset()
    data, _ = prepare(dataset, 0.25)
    detector, visited = fresh(dataset), []
    start = detector.class_head.weight.detach().clone()
    config = TrainingConfig(**TINY_TRAINING | {"pretrain_epochs": 1})
    train_stage("pretrain", detector, rules.get_rule("baseline"), data, config, seed=5, on_step=lambda: visited.append(snapshot(detector)))
    assert len(visited) == 3
    mean = start
    for momentum, weights in zip((1 / 10, 2 / 11, 3 / 12), visited, strict=True):
        mean = momentum * mean + (1 - momentum) * weights
    torch.testing.assert_close(detector.class_head.weight, mean)
    assert not torch.allclose(detector.class_head.weight, visited[-1])


def test_training_crops_labelled_clips(monkeypatch):
    """The recipe's random windows reach training: of a share of 1 every clip is whole, of less some are not."""
    dataset = tiny_dataset()
    data, _ = prepare(dataset, 0.25)
    config = TrainingConfig(**TINY_TRAINING | {"pretrain_epochs": 1})
    whole, original = int(data.labeled.valid.sum(dim=1).min()), ActionFormer.forward
    shown = {}
    for share in (1.0, 0.5):
        seen = shown[share] = []
        monkeypatch.setattr(ActionFormer, "forward", lambda self, x, valid, seen=seen: seen.append(valid) or original(self, x, valid))
        train_stage("pretrain", fresh(dataset, shortest_crop=share), rules.get_rule("supervised only"), data, config, seed=5)
    lengths = {share: torch.cat([valid.sum(dim=1) for valid in seen]) for share, seen in shown.items()}
    assert lengths[1.0].min() >= whole
    assert lengths[0.5].min() < whole
    assert lengths[0.5].float().mean() == pytest.approx(0.75 * lengths[1.0].float().mean().item(), rel=0.15)


def snapshot(detector):
    return detector.class_head.weight.detach().clone()


def test_no_forward_pass_in_vain(monkeypatch):
    """In pre-training, unlabelled clips have nothing to teach: they are not even looked at."""
    seen = []
    original = ActionFormer.forward
    monkeypatch.setattr(ActionFormer, "forward", lambda self, x, valid: seen.append(len(x)) or original(self, x, valid))
    dataset = tiny_dataset()
    data, _ = prepare(dataset, 0.25)
    config = TrainingConfig(**TINY_TRAINING)
    train_stage("pretrain", fresh(dataset), rules.get_rule("non-target"), data, config, seed=5)
    assert seen == [8] * 6, "labelled clips alone"


@pytest.mark.parametrize("rule", ["supervised only", "whole-video", "fully supervised", "baseline", "non-target"])
def test_one_run_end_to_end(tmp_path, rule):
    options = {"label_ratio": 0.25, "twin_settings": TINY_TWIN, "training_settings": TINY_TRAINING, "detector_settings": SETTINGS}
    experiment = Experiment(**options, detector="actionformer", rule=rule)
    record = run(experiment, ResultStore(tmp_path), device="cpu")
    assert 0 <= record["scores"]["avg"] <= 1
    assert record["scored"]["detections"] > 0
    assert all(math.isfinite(x) for curve in record["curves"].values() for epoch in curve for x in epoch.values())
    if rule == "whole-video":
        _, frame = evaluate(train(experiment, ResultStore(tmp_path), device="cpu"))
        assert len(frame) == 8
        assert ((frame["score"] > 0) & (frame["score"] < 1)).all()


def test_a_rule_that_needs_more_is_refused(monkeypatch):
    message = r"needs the abilities \['masks'\], and detector 'actionformer' lacks \['masks'\]; it runs on \['spot'\]"
    with pytest.raises(ValueError, match=message):
        detectors.check_abilities("actionformer", frozenset({"masks"}), "SPOT's rule")
    monkeypatch.setattr(type(rules.get_rule("baseline")), "needs", frozenset({"views"}))
    with pytest.raises(ValueError, match="learning rule 'baseline' needs the abilities"):
        Experiment(rule="baseline", detector="actionformer").identity()
    detectors.check_abilities("actionformer", frozenset({"agreement"}), "a rule that filters")
    with pytest.raises(NotImplementedError, match="ActionFormer lacks the ability 'views'"):
        ActionFormer(5, 3, SMALL).resample(None, torch.zeros(1, 1, dtype=torch.long))
