from dataclasses import dataclass

import pytest
import torch
from helpers import clips_of
from torch.nn import functional as F

from nontarget import non_target_loss, partition_label_space, rules
from nontarget.config import TrainingConfig
from nontarget.detectors import build_detector, check_abilities, detector_settings
from nontarget.detectors.base import DetectorOutput, Targets
from nontarget.detectors.spot import SpotOutput
from nontarget.losses import candidate_loss
from nontarget.rules.base import LearningRule
from nontarget.rules.views import hide_span, reversed_time, shift_channels, warped_time

LOGITS = torch.tensor([[[2.0, 1.9, -1.0], [0.0, 3.0, 0.5]]])
VALID = torch.ones(1, 2, dtype=torch.bool)


def test_baseline_is_cross_entropy_with_the_argmax_of_the_teacher():
    teacher = torch.tensor([[[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]])
    loss = rules.get_rule("baseline").unlabeled_loss(LOGITS, teacher, VALID)
    torch.testing.assert_close(loss, F.cross_entropy(LOGITS[0], torch.tensor([2, 0])))


def test_ours_by_hand():
    """The teacher is torn between 0 and 1 on the first snippet, and sure of 1 on the second."""
    teacher = torch.tensor([[[0.46, 0.44, 0.10], [0.05, 0.9, 0.05]]])
    p = LOGITS.softmax(-1)[0]
    first = -p[0, 0].log() - p[0, 1].log() - (1 - p[0, 2]).log()
    second = -p[1, 1].log() - (1 - p[1, 0]).log() - (1 - p[1, 2]).log()
    loss = rules.get_rule("non-target").unlabeled_loss(LOGITS, teacher, VALID)
    torch.testing.assert_close(loss, (first + second) / 2)
    # lambda decides whether 1 is positive: 0.44 / 0.46 = 0.957.
    strict = rules.get_rule("non-target", positive_ratio=0.96).unlabeled_loss(LOGITS, teacher, VALID)
    torch.testing.assert_close(strict, (first + p[0, 1].log() + second) / 2)


def test_precedence_reaches_the_loss():
    teacher = torch.tensor([[[0.51, 0.44, 0.05], [0.51, 0.44, 0.05]]])
    losses = [rules.get_rule("non-target", precedence=p).unlabeled_loss(LOGITS, teacher, VALID) for p in ("negative", "positive")]
    assert losses[0] != losses[1]


def test_labelled_loss_has_the_rule_s_terms():
    labels = torch.tensor([[0, 1]])
    for name, terms in (("baseline", ("target",)), ("supervised only", ("target",)), ("non-target", ("target", "negative"))):
        expected = non_target_loss(LOGITS, labels=labels, valid=VALID, terms=terms)
        output = DetectorOutput(LOGITS, VALID)
        spot = build_detector("spot", 3, 2, detector_settings("spot", "small"))
        torch.testing.assert_close(rules.get_rule(name).labeled_loss(spot, output, Targets(labels, None)), expected)


def test_rules_by_name():
    assert set(rules.available()) >= {"whole-video", "supervised only", "baseline", "non-target", "fully supervised", "NPL-style", "SSTAP"}
    with pytest.raises(ValueError, match="unknown learning rule 'non-targe'; did you mean 'non-target'"):
        rules.get_rule("non-targe")
    with pytest.warns(UserWarning, match="'ours' is 'non-target' here"):
        assert rules.get_rule("ours", positive_ratio=0.9) == rules.get_rule("non-target", positive_ratio=0.9)
    with pytest.raises(ValueError, match="unknown setting 'positive_ration'; did you mean 'positive_ratio'"):
        rules.get_rule("non-target", positive_ration=0.9)
    with pytest.raises(ValueError, match="positive_ratio"):
        rules.get_rule("non-target", positive_ratio=-1)
    with pytest.raises(RuntimeError, match="does not learn from unlabelled videos"):
        rules.get_rule("supervised only").unlabeled_loss(LOGITS, LOGITS, VALID)


def test_what_rules_share():
    settings = {name: rules.get_rule(name) for name in rules.available()}
    assert settings["whole-video"].training_settings() == settings["supervised only"].training_settings()
    assert settings["non-target"].training_settings() != rules.get_rule("non-target", positive_ratio=0.9).training_settings()
    assert settings["non-target"].pretraining_settings() == rules.get_rule("non-target", positive_ratio=0.9).pretraining_settings()
    assert settings["non-target"].pretraining_settings() != settings["baseline"].pretraining_settings()
    assert settings["baseline"].pretraining_settings() != settings["supervised only"].pretraining_settings()


def test_a_rule_is_one_small_class():
    class Own(LearningRule):
        name = "own"

        def unlabeled_loss(self, logits, pseudo_probs, valid, activation="softmax"):
            return (logits.softmax(-1) - pseudo_probs).square().sum(-1)[valid].mean()

    assert Own().unlabeled_loss(LOGITS, LOGITS.softmax(-1), VALID) == 0


def test_a_rule_of_one_s_own_is_registered_for_this_process():
    @dataclass(frozen=True, kw_only=True)
    class Own(LearningRule):
        name = "own"

        def unlabeled_loss(self, logits, pseudo_probs, valid, activation="softmax"):
            return logits.sum() * 0

    @dataclass(frozen=True, kw_only=True)
    class Clash(Own):
        name = "non-target"

    known = rules.available()
    try:
        assert rules.register(Own) is Own
        assert rules.register(Own) is Own, "a cell may be run again"
        assert rules.available() == (*known, "own")
        assert isinstance(rules.get_rule("own", teacher="online"), Own)
        with pytest.raises(ValueError, match="there is a learning rule 'non-target' already"):
            rules.register(Clash)
    finally:
        rules._RULES.remove(Own)


def some_rule(rule_name="own", base=LearningRule, decorated=True, complete=True, uses_truth=False):
    """A rule of one's own, or something that falls short of one."""
    body = {"__annotations__": {"threshold": float}, "threshold": 0.5}
    if uses_truth:
        body["uses_truth"] = True
    if rule_name is not None:
        body["name"] = rule_name
    if complete:
        body["unlabeled_loss"] = lambda self, logits, pseudo_probs, valid, activation="softmax": logits.sum() * 0
    made = type("Mine", (base,), body)
    return dataclass(frozen=True, kw_only=True)(made) if decorated else made


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda logits, pseudo_probs, valid: 0, "<lambda>: that is no such class"),
        (some_rule(base=object), "Mine: that is no such class"),
        (some_rule()(), "Mine"),
        (some_rule(rule_name=None), "Mine: it has no name"),
        (some_rule(rule_name=3), "Mine: it has no name"),
        (some_rule(complete=False), "Mine: it does not define unlabeled_loss"),
        (some_rule(decorated=False), "Mine: Mine is not decorated with @dataclass, and a result's name would not hold its settings"),
        (some_rule("sly", uses_truth=True), "Mine: it uses the truth, so its name must begin with 'oracle', got 'sly'"),
        (dataclass(frozen=True)(type("Above", (some_rule(decorated=False),), {})), "Above: Mine is not decorated with @dataclass"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_rule_is_not_registered(wrong, message):
    known = rules.available()
    needed = r"a learning rule is a subclass of LearningRule with a name .* unlabeled_loss, decorated with .*@dataclass\(.*\); got .*"
    with pytest.raises(TypeError, match=needed + message):
        rules.register(wrong)
    assert rules.available() == known


def test_every_rule_of_the_library_could_be_registered():
    for rule in rules._RULES:
        rules._check_rule(rule)


def test_training_config():
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0"):
        TrainingConfig(batch_size=0)
    with pytest.raises(ValueError, match="epochs must be >= 0"):
        TrainingConfig(pretrain_epochs=0, selftrain_epochs=0)


def spot_output(logits, masks, valid=None):
    """An output with given masks (probabilities)."""
    logits, masks = torch.as_tensor(logits), torch.as_tensor(masks)
    valid = torch.ones(logits.shape[:2], dtype=torch.bool) if valid is None else valid
    return SpotOutput(logits, valid, masks.logit(), torch.zeros(*logits.shape[:2], 4))


@pytest.fixture
def spot():
    return build_detector("spot", 3, 2, detector_settings("spot", "small", embed_dim=8, mask_dim=4))


def sure(labels, scale=4.0, num_classes=3):
    """Logits of a teacher that is sure of these labels."""
    return F.one_hot(torch.tensor(labels), num_classes).float() * scale


# One clip of five snippets: an instance of class 0 on the first three, then background (class 2).
LABELS = [[0, 0, 0, 2, 2]]
MASKS = torch.tensor([[[0.9, 0.9, 0.9, 0.1, 0.1]] * 3 + [[0.2] * 5] * 2])


def test_agreement_by_hand(spot):
    found = spot.agreement(spot_output(sure(LABELS), MASKS))[0]
    overlap = 2.7 / (3 + 2.9 - 2.7)
    torch.testing.assert_close(found, torch.tensor([overlap] * 3 + [0.8] * 2))


def test_npl_ranks_keeps_and_weights(spot):
    rule = rules.get_rule("NPL-style", kept_share=0.5)
    scores, predicted = torch.tensor([0.1, 0.9, 0.3, 0.5, 0.4]), torch.tensor([0, 0, 0, 0, 2])
    assert rule.thresholds(scores, predicted, 3).tolist() == pytest.approx([0.5, float("inf"), 0.4])
    student, teacher = spot_output(torch.randn(1, 5, 3), torch.rand(1, 5, 5)), spot_output(sure(LABELS), MASKS)
    agreement = spot.agreement(teacher)
    threshold = torch.tensor([rule.scores(spot, teacher)[0, 0], 0.0, torch.inf])
    loss = rule.unlabeled_losses(spot, student, teacher, threshold)["class"]
    each = F.cross_entropy(student.class_logits[0], torch.tensor(LABELS[0]), reduction="none")
    torch.testing.assert_close(loss, (each[:3] * agreement[0, :3]).sum() / agreement[0, :3].sum())
    statistics = rule.epoch_statistics(spot, torch.tensor([0]), [teacher])
    confidence = float(teacher.class_probs.max())
    assert statistics.tolist() == pytest.approx([confidence * float(agreement[0, 0]), float("inf"), confidence * 0.8])


def test_spot_cuts_masks_and_finds_a_random_foreground(spot):
    rule = rules.get_rule("SPOT")
    student, teacher = spot_output(torch.randn(1, 5, 3), torch.rand(1, 5, 5)), spot_output(sure(LABELS), MASKS)
    soft = spot.pseudo_targets(teacher)
    hard = Targets(soft.labels, torch.tensor([[[True] * 3 + [False] * 2] * 3 + [[False] * 5] * 2]))
    losses = rule.unlabeled_losses(spot, student, teacher, None)
    torch.testing.assert_close(losses["mask"], spot.localization_loss(student, hard)["mask"])
    assert losses["mask"] != spot.localization_loss(student, soft)["mask"]
    features, valid = torch.randn(2, 6, 3), torch.ones(2, 6, dtype=torch.bool)
    assert rule.pretext_losses(spot, features, valid, True)["foreground"] > 0
    assert rule.pretext_losses(spot, features, valid, False) == {}


def test_confidence_thresholds():
    fix, flex = rules.get_rule("FixMatch-style"), rules.get_rule("FlexMatch-style")
    # Class 0: four confident; class 1: two confident, one not; background: one.
    scores = torch.tensor([0.99, 0.99, 0.99, 0.99, 0.97, 0.97, 0.5, 0.99])
    predicted = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    assert fix.thresholds(scores, predicted, 3).tolist() == pytest.approx([0.95] * 3)
    assert flex.thresholds(scores, predicted, 3).tolist() == pytest.approx([0.95, 0.95 * 0.5 / 1.5, 0.95])


def test_fixmatch_learns_from_confident_snippets_alone(spot):
    rule = rules.get_rule("FixMatch-style", confidence=0.9)
    logits = sure(LABELS)
    logits[0, 1] *= 0.1  # unsure
    student, teacher = spot_output(torch.randn(1, 5, 3), torch.rand(1, 5, 5)), spot_output(logits, MASKS)
    loss = rule.unlabeled_losses(spot, student, teacher, torch.full((3,), 0.9))["class"]
    torch.testing.assert_close(loss, F.cross_entropy(student.class_logits[0, [0, 2, 3, 4]], torch.tensor([0, 0, 2, 2])))


@pytest.mark.parametrize("name", ["SSTAP", "SSP-style"])
def test_consistency_by_hand(spot, name):
    rule = rules.get_rule(name)
    assert rule.teacher == "average"
    student, teacher = spot_output([[[0.0, 0.0, 0.0]]], [[[0.5]]]), spot_output([[[0.0, 0.0, -1e4]]], [[[0.25]]])
    losses = rule.unlabeled_losses(spot, student, teacher, None)
    torch.testing.assert_close(losses["class"], torch.tensor(2 / 36 + 1 / 9))
    torch.testing.assert_close(losses["mask"], torch.tensor(0.0625))


@pytest.mark.parametrize("name", ["SSTAP", "SSP-style", "soft pseudo label", "FixMatch-style"])
def test_views_keep_the_padding(spot, name):
    features, valid = torch.randn(4, 12, 3), torch.arange(12) < torch.tensor([[12], [7], [1], [4]])
    features = features.masked_fill(~valid[..., None], 0.0)
    view = rules.get_rule(name).view(spot, features, valid)
    assert (view.features[~valid] == 0).all()
    assert not torch.equal(view.features, features)
    assert view.follow(spot(features, valid)).valid is not None


def test_reversed_time_and_resampling(spot):
    valid = torch.arange(5) < torch.tensor([[5], [3]])
    source = reversed_time(valid, torch.tensor([True, True]))
    assert source.tolist() == [[4, 3, 2, 1, 0], [2, 1, 0, 3, 4]]
    assert reversed_time(valid, torch.tensor([False, False])).tolist() == [[0, 1, 2, 3, 4]] * 2
    output = spot_output(torch.randn(2, 5, 3), torch.rand(2, 5, 5), valid)
    moved = spot.resample(output, source)
    torch.testing.assert_close(moved.class_logits[0], output.class_logits[0].flip(0))
    torch.testing.assert_close(moved.mask_logits[0], output.mask_logits[0].flip(0, 1))
    twice = spot.resample(moved, source)
    torch.testing.assert_close(twice.mask_logits, output.mask_logits)


def test_warped_time_is_monotone_and_stays_inside():
    valid = torch.arange(30) < torch.tensor([[30], [11], [1]])
    for _ in range(20):
        source = warped_time(valid, 0.2)
        for clip, real in zip(source, valid, strict=True):
            inside = clip[real]
            assert (inside.diff() >= 0).all()
            assert inside.min() >= 0
            assert inside.max() < real.sum()
    assert not torch.equal(warped_time(valid, 0.2)[0], torch.arange(30))
    assert torch.equal(warped_time(valid, 0.0)[0], torch.arange(30))


def test_hidden_spans_and_shifted_channels():
    features, valid = torch.ones(50, 20, 8), torch.ones(50, 20, dtype=torch.bool)
    hidden = (hide_span(features, valid, 0.25) == 0).all(dim=-1)
    assert set(hidden.sum(dim=1).tolist()) <= {4, 5, 6}
    assert ((hidden.int().diff(dim=1) == 1).sum(dim=1) <= 1).all(), "one span"
    steps = torch.arange(20.0)[None, :, None].expand(1, 20, 8)
    moved = (shift_channels(steps, valid[:1], 1 / 8) - steps)[0, 1:-1]
    assert sorted(moved.mean(dim=0).tolist()) == [-1, 0, 0, 0, 0, 0, 0, 1]


def test_sstap_tells_the_order_of_halves(spot):
    rule = rules.get_rule("SSTAP")
    spot.pretext = rule.pretext_head(spot.embed_dim)
    steps = torch.linspace(-1, 1, 8)[None, :, None].expand(64, 8, 3)
    optimizer = torch.optim.Adam(spot.parameters(), lr=0.01)
    for _ in range(60):
        loss = rule.pretext_losses(spot.train(), steps, torch.ones(64, 8, dtype=torch.bool), True)["order"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss / rule.order_weight < 0.1, "0.69 is a guess"


def test_soft_pseudo_label_by_hand(spot):
    rule = rules.get_rule("soft pseudo label")
    student = spot_output([[[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]], [[[0.5, 0.5], [0.5, 0.5]]])
    teacher = spot_output([[[0.5, 0.2, 0.1], [0.0, 0.0, 0.0]]], [[[0.5, 0.5], [0.5, 0.5]]])
    log_p, p = student.class_logits[0].log_softmax(-1), student.class_probs[0]
    prior = rule.epoch_statistics(spot, torch.tensor([0, 2, 2, 2]), [])
    assert prior.tolist() == [0.25, 0, 0.75]
    losses = rule.unlabeled_losses(spot, student, teacher, prior)
    torch.testing.assert_close(losses["class"], -(teacher.class_probs[0] * log_p).sum(-1).mean())
    torch.testing.assert_close(losses["entropy"], -0.4 * (p * log_p).sum(-1).mean())
    mean = p.mean(0)
    torch.testing.assert_close(losses["prior"], 0.8 * (0.25 * (0.25 / mean[0]).log() + 0.75 * (0.75 / mean[2]).log()))


def test_mixing(spot):
    a = spot_output(sure([[0, 0], [1, 1]]), torch.full((2, 2, 2), 0.5), torch.tensor([[True, True], [True, False]]))
    mixed = spot.mix(a, torch.tensor([1, 0]), torch.tensor([0.75, 0.75]))
    p = a.class_probs
    torch.testing.assert_close(mixed.class_probs[0, 0], 0.75 * p[0, 0] + 0.25 * p[1, 0])
    torch.testing.assert_close(mixed.class_probs[0, 1], p[0, 1]), "the other clip has ended"


def test_complementary_label_by_hand():
    teacher = torch.tensor([[[0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]])
    p = LOGITS.softmax(-1)[0]
    target = -(p[0, 0].log() + p[1, 1].log()) / 2
    possible = [target - (torch.log1p(-p[0, i]) + torch.log1p(-p[1, j])) / 2 for i in (1, 2) for j in (0, 2)]
    drawn = torch.stack([rules.get_rule("complementary label").unlabeled_loss(LOGITS, teacher, VALID) for _ in range(400)])
    nearest = (drawn[:, None] - torch.stack(possible)).abs().min(dim=1)
    assert nearest.values.max() < 1e-5, "one non-target class"
    assert nearest.indices.bincount(minlength=4).min() > 60, "each as often"
    alone = rules.get_rule("complementary label", with_target=False).unlabeled_loss(LOGITS, teacher, VALID)
    assert (alone + target - torch.stack(possible)).abs().min() < 1e-5


def test_ambiguous_classes_share_the_mass():
    teacher = torch.tensor([[[0.34, 0.28, 0.26, 0.12]]])  # target, ambiguous, ambiguous, negative
    logits = torch.tensor([[[0.3, -0.2, 0.1, 0.9]]])
    valid = torch.ones(1, 1, dtype=torch.bool)
    non_target = rules.get_rule("non-target").unlabeled_loss(logits, teacher, valid)
    found = rules.get_rule("non-target + ambiguous").unlabeled_loss(logits, teacher, valid)
    torch.testing.assert_close(found, non_target - logits.softmax(-1)[0, 0, :3].sum().log())


def test_mean_teacher_ours_is_ours_with_another_teacher():
    teacher = torch.tensor([[[0.46, 0.44, 0.10], [0.05, 0.9, 0.05]]])
    both = [rules.get_rule(name).unlabeled_loss(LOGITS, teacher, VALID) for name in ("non-target", "mean teacher + non-target")]
    assert both[0] == both[1]
    assert rules.get_rule("mean teacher + non-target").teacher == "average"


def test_a_detector_that_cannot_is_named():
    with pytest.raises(ValueError, match=r"learning rule 'X' needs the abilities \['telepathy'\], and detector 'spot' lacks"):
        check_abilities("spot", frozenset({"telepathy"}), "learning rule 'X'")


def truth_of(*labels):
    return Targets(torch.tensor([labels]), None)


def test_oracle_learns_the_truth(spot):
    student = spot_output(torch.randn(1, 5, 3), torch.rand(1, 5, 5))
    teacher = spot_output(sure([[1, 1, 1, 1, 1]]), torch.rand(1, 5, 5))
    truth = spot.targets(clips_of([[(0, 0.0, 3.0)]], 5, background=2))
    losses = rules.get_rule("oracle").unlabeled_losses(spot, student, teacher, None, truth=truth)
    torch.testing.assert_close(losses["class"], F.cross_entropy(student.class_logits[0], torch.tensor(LABELS[0])))
    assert losses["mask"] == spot.localization_loss(student, truth)["mask"]


def test_oracles_of_the_sets_by_hand(spot):
    """On the first snippet the truth is negative, on the second the target, on the third ambiguous."""
    pseudo = torch.tensor([[[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.4, 0.3, 0.3]]])
    student = spot_output(torch.tensor([[[2.0, 1.9, -1.0], [0.0, 3.0, 0.5], [0.1, 0.2, 0.3]]]), torch.rand(1, 3, 3))
    teacher = spot_output(pseudo.log(), torch.rand(1, 3, 3))
    truth = truth_of(1, 0, 2)
    p = student.class_logits[0].softmax(-1)

    def loss(name):
        return rules.get_rule(name).unlabeled_losses(spot, student, teacher, None, truth=truth)["class"]

    push, pull = -torch.log1p(-p), -p.log()
    same = pull[0, 0] + push[0, 2] + pull[1, 0] + push[1, 1] + push[1, 2] + pull[2, 0] + push[2, 1]
    torch.testing.assert_close(
        rules.get_rule("non-target").unlabeled_loss(student.class_logits, pseudo, VALID[:, [0, 0, 0]]), (same + push[0, 1]) / 3
    )
    torch.testing.assert_close(loss("oracle: truth not negative"), same / 3)
    torch.testing.assert_close(loss("oracle: truth positive"), (same + pull[0, 1] + pull[2, 2]) / 3)


@pytest.mark.parametrize("name", ["oracle: truth not negative", "oracle: truth positive"])
def test_corrected_sets_stay_a_partition(name):
    sets = partition_label_space(torch.rand(200, 7).softmax(-1))
    truth = F.one_hot(torch.randint(7, (200,)), 7).bool()
    found = rules.get_rule(name).corrected(sets, truth)
    assert (torch.stack(found).sum(dim=0) == 1).all()
    assert not (found.negative & truth).any()
    assert torch.equal(found.target, sets.target)


def test_an_oracle_without_truth_says_so(spot):
    output = spot_output(torch.randn(1, 5, 3), torch.rand(1, 5, 5))
    for name in (n for n in rules.available() if rules.get_rule(n).uses_truth):
        with pytest.raises(ValueError, match=f"'{name}' is an oracle and needs the truth"):
            rules.get_rule(name).unlabeled_losses(spot, output, output, None)


def test_candidates_by_hand():
    """Sure: l_tgt and the paper's l_neg. Unsure: the two classes that are not negative share what they get."""
    teacher = torch.tensor([[[0.05, 0.9, 0.05], [0.46, 0.44, 0.10]]])
    p = LOGITS.softmax(-1)[0]
    first = -p[0, 1].log() - (1 - p[0, 0]).log() - (1 - p[0, 2]).log()
    second = -(p[1, 0] + p[1, 1]).log() - (1 - p[1, 2]).log()
    loss = rules.get_rule("candidate labels").unlabeled_loss(LOGITS, teacher, VALID)
    torch.testing.assert_close(loss, (first + second) / 2)
    half = rules.get_rule("candidate labels").unlabeled_loss(LOGITS, teacher, torch.tensor([[True, False]]))
    torch.testing.assert_close(half, first)


def test_the_gradient_of_candidates_is_that_of_proden():
    """Lv et al. (2020): cross-entropy with candidates weighted by the model's own probabilities."""
    logits = torch.randn(50, 6, dtype=torch.float64, requires_grad=True)
    candidates = torch.rand(50, 6) < 0.5
    candidates[:, 0] = True
    p = logits.detach().softmax(-1)
    weights = (p * candidates) / (p * candidates).sum(-1, keepdim=True)
    (found,) = torch.autograd.grad(candidate_loss(logits, candidates).sum(), logits)
    (expected,) = torch.autograd.grad(-(weights * logits.log_softmax(-1)).sum(), logits)
    torch.testing.assert_close(found, expected)
    one = F.one_hot(torch.arange(50) % 6, 6).bool()
    torch.testing.assert_close(candidate_loss(logits, one), F.cross_entropy(logits, torch.arange(50) % 6, reduction="none"))
