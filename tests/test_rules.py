import pytest
import torch
from torch.nn import functional as F

from nontarget import non_target_loss, rules
from nontarget.config import TrainingConfig
from nontarget.detectors import build_detector, detector_settings
from nontarget.detectors.base import DetectorOutput, Targets
from nontarget.rules.base import LearningRule

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
    loss = rules.get_rule("ours").unlabeled_loss(LOGITS, teacher, VALID)
    torch.testing.assert_close(loss, (first + second) / 2)
    # lambda decides whether 1 is positive: 0.44 / 0.46 = 0.957.
    strict = rules.get_rule("ours", positive_ratio=0.96).unlabeled_loss(LOGITS, teacher, VALID)
    torch.testing.assert_close(strict, (first + p[0, 1].log() + second) / 2)


def test_precedence_reaches_the_loss():
    teacher = torch.tensor([[[0.51, 0.44, 0.05], [0.51, 0.44, 0.05]]])
    losses = [rules.get_rule("ours", precedence=p).unlabeled_loss(LOGITS, teacher, VALID) for p in ("negative", "positive")]
    assert losses[0] != losses[1]


def test_labelled_loss_has_the_rule_s_terms():
    labels = torch.tensor([[0, 1]])
    for name, terms in (("baseline", ("target",)), ("supervised only", ("target",)), ("ours", ("target", "negative"))):
        expected = non_target_loss(LOGITS, labels=labels, valid=VALID, terms=terms)
        output = DetectorOutput(LOGITS, VALID)
        spot = build_detector("spot", 3, 2, detector_settings("spot", "tiny"))
        torch.testing.assert_close(rules.get_rule(name).labeled_loss(spot, output, Targets(labels, None)), expected)


def test_rules_by_name():
    assert rules.available() == ("whole-video", "supervised only", "baseline", "ours", "fully supervised")
    with pytest.raises(ValueError, match="unknown learning rule 'our'; did you mean 'ours'"):
        rules.get_rule("our")
    with pytest.raises(ValueError, match="unknown setting 'positive_ration'; did you mean 'positive_ratio'"):
        rules.get_rule("ours", positive_ration=0.9)
    with pytest.raises(ValueError, match="positive_ratio"):
        rules.get_rule("ours", positive_ratio=-1)
    with pytest.raises(RuntimeError, match="does not learn from unlabelled videos"):
        rules.get_rule("supervised only").unlabeled_loss(LOGITS, LOGITS, VALID)


def test_what_rules_share():
    settings = {name: rules.get_rule(name) for name in rules.available()}
    assert settings["whole-video"].training_settings() == settings["supervised only"].training_settings()
    assert settings["ours"].training_settings() != rules.get_rule("ours", positive_ratio=0.9).training_settings()
    assert settings["ours"].pretraining_settings() == rules.get_rule("ours", positive_ratio=0.9).pretraining_settings()
    assert settings["ours"].pretraining_settings() != settings["baseline"].pretraining_settings()
    assert settings["baseline"].pretraining_settings() != settings["supervised only"].pretraining_settings()


def test_a_rule_is_one_small_class():
    class Own(LearningRule):
        name = "own"

        def unlabeled_loss(self, logits, pseudo_probs, valid, activation="softmax"):
            return (logits.softmax(-1) - pseudo_probs).square().sum(-1)[valid].mean()

    assert Own().unlabeled_loss(LOGITS, LOGITS.softmax(-1), VALID) == 0


def test_training_config():
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0"):
        TrainingConfig(batch_size=0)
    with pytest.raises(ValueError, match="epochs must be >= 0"):
        TrainingConfig(pretrain_epochs=0, selftrain_epochs=0)
