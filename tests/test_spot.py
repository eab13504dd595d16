import math
from dataclasses import replace

import pytest
import torch
from helpers import clips_of
from torch.nn import functional as F

from nontarget import detectors, rules
from nontarget.config import InferenceConfig
from nontarget.detectors.spot import MaskHead, Spot, SpotConfig, spot_candidates
from nontarget.detectors.spot.losses import mask_loss, reconstruction_loss, refinement_loss

SMALL = SpotConfig(embed_dim=16, num_heads=2, mask_dim=8, mask_reach=6)


@pytest.fixture
def spot(device):
    return Spot(5, 3, SMALL).to(device).eval()


def batch(device, lengths=(9, 4, 7), snippets=9, dim=5):
    valid = torch.arange(snippets, device=device) < torch.tensor(lengths, device=device)[:, None]
    features = torch.randn(len(lengths), snippets, dim, generator=torch.Generator().manual_seed(1)).to(device)
    return features.masked_fill(~valid[..., None], 0.0), valid


def real_part(output, row, length):
    return output.class_logits[row, :length], output.mask_logits[row, :length, :length], output.embeddings[row, :length]


def test_padding_has_no_effect_and_batched_is_single(spot, device):
    features, valid = batch(device)
    garbage = features.masked_fill(~valid[..., None], 1e6)
    together, dirty = spot(features, valid), spot(garbage, valid)
    for row, length in enumerate((9, 4, 7)):
        alone = spot(features[row : row + 1, :length], valid[row : row + 1, :length])
        for a, b, c in zip(real_part(together, row, length), real_part(dirty, row, length), real_part(alone, 0, length), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
            torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-5)


def test_padding_has_no_effect_on_losses_and_gradients(spot, device):
    features, valid = batch(device, lengths=(6, 3))
    longer, longer_valid = F.pad(features, (0, 0, 0, 4)), F.pad(valid, (0, 4))
    instances = [[(0, 0.0, 2.0), (1, 3.0, 5.5)], [(2, 1.0, 3.0)]]

    def gradients(x, real):
        spot.zero_grad()
        output = spot(x, real)
        losses = spot.localization_loss(output, spot.targets(clips_of(instances, x.shape[1], lengths=(6, 3), device=device)))
        background = output.class_logits.detach().softmax(-1)[..., -1]
        refinement = refinement_loss(spot.contrast(output.embeddings), background, real, 1, 2, 0.07)
        (losses["mask"] + refinement).backward()
        return losses["mask"].item(), refinement.item(), spot.embedding.project.weight.grad.clone()

    plain, padded = gradients(features, valid), gradients(longer, longer_valid)
    for a, b in zip(plain, padded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_mask_head_is_equivariant_in_time(device):
    """The same snippets later in the clip give the same masks there: nothing is tied to an absolute position."""
    head = MaskHead(SMALL).to(device).eval()
    embeddings = torch.zeros(1, 20, 16, device=device)
    embeddings[0, 5:9] = torch.randn(4, 16, device=device)
    valid = torch.ones(1, 20, dtype=torch.bool, device=device)
    masks, shifted = head(embeddings, valid), head(embeddings.roll(3, dims=1), valid)
    torch.testing.assert_close(masks[0, 3:14, 3:14], shifted[0, 6:17, 6:17])


def test_targets(spot, device):
    # One instance covers snippets 1 and 2; another is too short for any centre and claims snippet 4.
    targets = spot.targets(clips_of([[(0, 0.8, 2.9), (1, 4.1, 4.3)]], 5, device=device))
    assert targets.labels.tolist() == [[3, 0, 0, 3, 1]]
    masks = targets.localization[0]
    assert masks.int().tolist() == [[0] * 5, [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0] * 5, [0, 0, 0, 0, 1]]


def test_a_snippet_has_the_classes_of_all_its_instances(spot, device):
    instances = [[(0, 0.0, 3.0), (1, 0.0, 3.0), (2, 1.0, 2.0), (1, 4.1, 4.3)], [(2, 2.0, 4.0)]]
    targets = spot.targets(clips_of(instances, 5, lengths=[5, 3], device=device))
    assert targets.labels.tolist() == [[0, 2, 0, 3, 1], [3, 3, 2, 3, 3]], "that of the shortest"
    expected = [[{0, 1}, {0, 1, 2}, {0, 1}, {3}, {1}], [{3}, {3}, {2}, {3}, {3}]]
    assert [[set(row.nonzero().squeeze(1).tolist()) for row in clip] for clip in targets.classes] == expected
    features, valid = batch(device, (5, 3), 5)
    output = spot(features, valid)
    log_p = output.class_logits.log_softmax(-1)
    losses = [-sum(log_p[i, t, c] for c in classes) / len(classes) for i, t, classes in ((0, 0, {0, 1}), (0, 1, {0, 1, 2}), (0, 2, {0, 1}))]
    losses += [-log_p[i, t, c] for i, t, c in ((0, 3, 3), (0, 4, 1), (1, 0, 3), (1, 1, 3), (1, 2, 2))]
    torch.testing.assert_close(spot.class_loss(output, targets), torch.stack(losses).mean())
    rest = torch.log1p(-output.class_probs)
    negative = -sum(rest[i, t][~targets.classes[i, t]].sum() for i, t in valid.nonzero().tolist()) / 8
    for rule in ("non-target", "non-target, other interpretations"):
        loss = rules.get_rule(rule).labeled_loss(spot, output, targets)
        torch.testing.assert_close(loss, torch.stack(losses).mean() + negative)


def test_pseudo_targets_keep_probabilities_and_clear_background(spot, device):
    features, valid = batch(device)
    output = spot(features, valid)
    pseudo = spot.pseudo_targets(output)
    foreground = pseudo.labels != 3
    torch.testing.assert_close(pseudo.localization[foreground], output.mask_logits.sigmoid()[foreground])
    assert (pseudo.localization[~foreground] == 0).all()


def test_mask_loss_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [2.0, -1.0]]])
    masks = torch.tensor([[[True, False], [False, False]]])
    p = torch.tensor([2.0, -1.0]).sigmoid()
    first = 0.4 * math.log(2) + 0.6 * (1 - (2 * 0.5 + 1) / (0.25 * 2 + 1 + 1))
    second = 0.4 * float(-(1 - p).log().mean()) + 0.6 * (1 - 1 / (float((p**2).sum()) + 1))
    weights = torch.tensor([[1.0, 0.25]])
    valid = torch.ones(1, 2, dtype=torch.bool)
    assert mask_loss(logits, masks, weights, valid).item() == pytest.approx((first + 0.25 * second) / 1.25, rel=1e-6)
    only_first = torch.tensor([[True, False]])
    alone = 0.4 * math.log(2) + 0.6 * (1 - (2 * 0.5 + 1) / (0.25 + 1 + 1))
    assert mask_loss(logits, masks, weights, only_first).item() == pytest.approx(alone, rel=1e-6)


def test_mask_loss_is_least_at_a_soft_target():
    """A mask of probabilities pulls the prediction to itself, not to 0 or 1."""
    target = torch.rand(2, 5, 5, dtype=torch.float64) * 0.8 + 0.1
    logits = target.logit().requires_grad_()
    mask_loss(logits, target, torch.ones(2, 5, dtype=torch.float64), torch.ones(2, 5, dtype=torch.bool)).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-12, rtol=0)


def test_reconstruction_loss_looks_at_hidden_snippets_alone():
    features, rebuilt = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 1.0], [3.0, 1.0], [9.0, 9.0]]])
    hidden = torch.tensor([[True, True, False]])
    assert reconstruction_loss(rebuilt, features, hidden) == (1 + 5) / 2
    assert reconstruction_loss(rebuilt, features, torch.zeros(1, 3, dtype=torch.bool)) == 0


def test_refinement_loss_by_hand():
    # Background, outer border, inner border, core, inner border, outer border, background.
    background = torch.tensor([[0.9, 0.6, 0.4, 0.1, 0.3, 0.7, 0.8]])
    z = F.normalize(torch.randn(1, 7, 4, dtype=torch.float64), dim=-1)
    similarity = (z[0] @ z[0].T) / 0.5
    easy_foreground, easy_background = [3], [0, 6]
    pairs = []
    for hard, same, other in (([2, 4], easy_foreground, easy_background), ([1, 5], easy_background, easy_foreground)):
        for h in hard:
            for s in same:
                negatives = sum(math.exp(similarity[h, o]) for o in other)
                positive = math.exp(similarity[h, s])
                pairs.append(-math.log(positive / (positive + negatives)))
    valid = torch.ones(1, 7, dtype=torch.bool)
    assert refinement_loss(z, background, valid, 1, 4, 0.5).item() == pytest.approx(sum(pairs) / len(pairs))
    # With room for one easy snippet of each kind, the surest is taken: 0 rather than 6.
    assert refinement_loss(z, background, valid, 1, 1, 0.5) != refinement_loss(z, background, valid, 1, 4, 0.5)


def test_refinement_loss_without_pairs_is_zero():
    z = torch.randn(2, 6, 4, requires_grad=True)
    valid = torch.ones(2, 6, dtype=torch.bool)
    for background in (torch.zeros(2, 6), torch.ones(2, 6)):
        loss = refinement_loss(z, background, valid, 1, 3, 0.07)
        loss.backward()
        assert loss == 0
        assert torch.isfinite(z.grad).all()


def test_candidates_by_hand():
    """Two runs of a class above the threshold, and the masks of their snippets."""
    probs = torch.zeros(1, 8, 3)
    probs[0, :, 2] = 0.4  # background is no candidate
    probs[0, 1:3, 0] = 0.6
    probs[0, 5, 0] = 0.6
    masks = torch.zeros(1, 8, 8)
    masks[0, 1:3, 0:4] = 0.8  # the first run's instance is 0 to 4
    masks[0, 5, 5] = 0.8
    masks[0, 5, 7] = 0.8  # all runs of a mask, not one span
    config = InferenceConfig(class_thresholds=(0.5,), mask_thresholds=(0.5,))
    found = spot_candidates(probs, masks, torch.ones(1, 8, dtype=torch.bool), config)
    rows = sorted(zip(found.labels.tolist(), found.segments.tolist(), [round(s, 5) for s in found.scores.tolist()], strict=True))

    def score(class_prob, inside, mask_total, length):
        return round(class_prob * inside / (mask_total + length - inside), 5)

    assert rows == sorted(
        [
            (0, [1.0, 3.0], score(0.6, 1.6, 3.2, 2)),  # the run itself
            (0, [0.0, 4.0], score(0.3, 3.2, 3.2, 4)),  # its mask
            (0, [5.0, 6.0], score(0.6, 0.8, 1.6, 1)),
            (0, [5.0, 6.0], score(0.6, 0.8, 1.6, 1)),
            (0, [7.0, 8.0], score(0.0, 0.8, 1.6, 1)),
        ]
    )


def test_candidates_ignore_padding_and_may_be_none():
    probs, masks = torch.full((1, 4, 2), 0.9), torch.full((1, 4, 4), 0.9)
    valid = torch.tensor([[True, True, False, False]])
    found = spot_candidates(probs, masks, valid, InferenceConfig())
    assert found.segments.max() <= 2
    nothing = spot_candidates(torch.zeros(2, 4, 3), torch.zeros(2, 4, 4), torch.ones(2, 4, dtype=torch.bool), InferenceConfig())
    assert len(nothing.clip) == len(nothing.labels) == len(nothing.segments) == len(nothing.scores) == 0


def test_no_forward_pass_in_vain(spot, device, monkeypatch):
    """Pre-training embeds a clip once, and once more with snippets hidden; nothing else runs."""
    calls = []
    original = type(spot.embedding).forward
    monkeypatch.setattr(type(spot.embedding), "forward", lambda self, *a: calls.append(1) or original(self, *a))
    features, valid = batch(device)
    output = spot(features, valid)
    losses = spot.label_free_losses(output, features, valid, pretraining=True)
    assert len(calls) == 2
    assert set(losses) == {"reconstruction"}, "L_ref is off"


def test_weights_of_the_losses_without_labels(device):
    """As the equations have them, and times a weight; at weight 0 a loss is not computed at all."""
    features, valid = batch(device)

    def losses(pretraining=True, **changes):
        torch.manual_seed(0)
        spot = Spot(5, 3, replace(SMALL, **changes)).to(device).eval()
        return spot.label_free_losses(spot(features, valid), features, valid, pretraining=pretraining)

    literal = losses(refinement_weight=1.0)
    assert set(literal) == {"reconstruction", "refinement"}
    weighted = losses(refinement_weight=0.05, reconstruction_weight=3.0)
    torch.testing.assert_close(weighted["refinement"], 0.05 * literal["refinement"])
    torch.testing.assert_close(weighted["reconstruction"], 3 * literal["reconstruction"])
    assert losses(reconstruction_weight=0.0) == {}
    assert set(losses(refinement_weight=1.0, pretrains_refinement=False)) == {"reconstruction"}, "to the letter of Sec. 4.2"
    assert set(losses(False, refinement_weight=1.0, pretrains_refinement=False)) == {"reconstruction", "refinement"}


def test_hidden_snippets_have_reconstructions_of_their_own(device):
    """What L_rec can learn: with local context, hidden snippets of a clip differ; without it they are all the same."""
    features, valid = batch(device, lengths=(9,), snippets=9)
    hidden = torch.tensor([2, 5], device=device)
    shown = features.index_fill(1, hidden, 0.0)
    for layers in (0, 1):
        torch.manual_seed(0)
        spot = Spot(5, 3, replace(SMALL, context_layers=layers)).to(device).eval()
        first, second = spot.decoder(spot.embedding(shown, valid))[0, hidden]
        assert torch.allclose(first, second, atol=1e-6) == (layers == 0)


def test_detectors_by_name():
    assert "spot" in detectors.available()
    assert detectors.detector_settings("spot", "small", embed_dim=8)["embed_dim"] == 8
    assert detectors.detector_settings("spot", "full")["embed_dim"] == SpotConfig().embed_dim
    with pytest.raises(ValueError, match="unknown detector 'spott'; did you mean 'spot'"):
        detectors.detector_settings("spott", "small")
    with pytest.raises(ValueError, match="unknown preset of spot 'smal'; did you mean 'small'"):
        detectors.detector_settings("spot", "smal")
    with pytest.raises(ValueError, match="unknown setting 'embed_dims'; did you mean 'embed_dim'"):
        detectors.detector_settings("spot", "small", embed_dims=8)


def test_the_mask_loss_keeps_three_maps_for_its_gradient():
    """Of the size [clips, snippets, snippets], to which a long clip's memory goes: the logits, the target and the probabilities."""
    features, valid = torch.randn(2, 40, 16), torch.arange(40) < torch.tensor([[40], [25]])
    head, maps = MaskHead(SMALL), set()

    def keep(tensor):
        if tensor.shape == (2, 40, 40):
            maps.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = mask_loss(head(features, valid), torch.rand(2, 40, 40) > 0.5, torch.ones(2, 40), valid)
    assert loss.requires_grad
    assert len(maps) == 3
