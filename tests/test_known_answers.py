"""Problems whose answer is known before training: where the paper's rule must win, and where it must lose.

A snippet lies at one of four corners, which tells its class, and a linear softmax model can tell all classes apart. The teacher judges
snippets of the classes 1, 2 and 3 rightly. It judges those of class 0 in several ways, which nothing in the features announces, so that
the model has to strike a balance between them. Only the classes 0 and 1 matter for it, as the teacher takes 0 for 1.

What one judged snippet adds to the pull towards class 0 or towards class 1 (to push one of them away is to pull towards the other):

=============  =================================  =====  =====  =====
judgement      teacher's probabilities            l_tgt  l_neg  l_pos
=============  =================================  =====  =====  =====
right, sure    0: 0.70, 1: 0.10 (negative)        to 0   to 0
right, unsure  0: 0.40, 1: 0.32 (ambiguous)       to 0
right, torn    0: 0.40, 1: 0.38 (positive)        to 0          to 1
wrong, sure    1: 0.70, 0: 0.10 (negative)        to 1   to 1
wrong, unsure  1: 0.40, 0: 0.32 (ambiguous)       to 1
wrong, torn    1: 0.40, 0: 0.38 (positive)        to 1          to 0
=============  =================================  =====  =====  =====

A pull of a : b makes the probabilities of the two classes a / (a + b) and b / (a + b), whatever the features: the test sees which is more.
"""

import pytest
import torch

from nontarget import losses, non_target_loss, partition_label_space, rules

CLASSES = 4
ALL = ("target", "negative", "positive")
JUDGEMENTS = {
    "right, sure": [0.70, 0.10, 0.10, 0.10],
    "right, unsure": [0.40, 0.32, 0.14, 0.14],
    "right, torn": [0.40, 0.38, 0.11, 0.11],
    "wrong, sure": [0.10, 0.70, 0.10, 0.10],
    "wrong, unsure": [0.32, 0.40, 0.14, 0.14],
    "wrong, torn": [0.38, 0.40, 0.11, 0.11],
}
PROBLEMS = {
    # The truth lies among the positives wherever the teacher errs. Towards 0 : 1
    # l_tgt 40 : 60; l_tgt + l_pos 40 + 60 : 60; with all 40 + 60 + 40 : 60.
    "truth positive": {"right, sure": 40, "wrong, torn": 60},
    # The truth lies among the negatives wherever the teacher errs, and the teacher is unsure where it is right.
    # l_tgt 55 : 45; with l_neg 55 : 45 + 45; there are no positives.
    "truth negative": {"right, unsure": 55, "wrong, sure": 45},
    # l_tgt 42 : 58; with l_neg 42 : 58 + 28; l_tgt + l_pos 42 + 30 : 58; with all 42 + 30 : 58 + 28.
    "l_pos alone": {"right, unsure": 42, "wrong, torn": 30, "wrong, sure": 28},
    # l_tgt 46 : 54; with l_neg 46 + 20 : 54; l_tgt + l_pos 46 : 54 + 26; with all 46 + 20 : 54 + 26.
    "l_neg alone": {"right, sure": 20, "right, torn": 26, "wrong, unsure": 54},
    # The truth is ambiguous wherever the teacher errs. l_tgt 25 : 75; with l_neg 25 + 25 : 75; no positives. As candidates the two
    # classes of an unsure snippet are left open, and the sure ones decide.
    "truth ambiguous": {"right, sure": 25, "wrong, unsure": 75},
}


def teacher(problem):
    """Its probabilities for the snippets: class 0 as the problem has it, the others rightly and surely."""
    of_zero = [JUDGEMENTS[name] for name, count in PROBLEMS[problem].items() for _ in range(count)]
    assert len(of_zero) == 100
    right = torch.full((CLASSES - 1, CLASSES), 0.05)
    right[torch.arange(CLASSES - 1), torch.arange(1, CLASSES)] = 0.85
    return torch.cat((torch.tensor(of_zero), right.repeat_interleave(100, dim=0)))


def truth_named(problem, loss):
    """Train a linear softmax model on ``loss(logits, teacher's probabilities)``, and try it on fresh snippets of class 0.

    Returns:
        The share of them that it names right, and the mean probability that it gives to class 0, against class 1.
    """
    probs = teacher(problem)
    corners = torch.eye(CLASSES)
    model = torch.nn.Linear(CLASSES, CLASSES)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss(model(corners.repeat_interleave(100, dim=0)), probs).backward()
        optimizer.step()
    fresh = corners[0] + 0.01 * torch.randn(100, CLASSES, generator=torch.Generator().manual_seed(0))
    logits = model(fresh).detach()
    return float((logits.argmax(dim=-1) == 0).float().mean()), float(logits[:, :2].softmax(dim=-1)[:, 0].mean())


def of_terms(*terms):
    return lambda logits, probs: non_target_loss(logits, probs, terms=terms)


def of_rule(name):
    """The rule's own loss, as training calls it: one clip of all snippets."""
    rule = rules.get_rule(name)
    return lambda logits, probs: rule.unlabeled_loss(logits[None], probs[None], torch.ones(1, len(logits), dtype=torch.bool))


def wins(problem, loss):
    """Whether the truth is found, by a margin: at the border between the two the test says neither."""
    right, share = truth_named(problem, loss)
    print(f"{problem}: {right:.2f} of the snippets, {share:.3f} of the probability")
    assert abs(share - 0.5) > 0.02, "the problem is made so that no answer is close"
    assert (right > 0.95) if share > 0.5 else (right < 0.05)
    return share > 0.5


def test_the_problems_are_what_they_say():
    sets = partition_label_space(torch.tensor(list(JUDGEMENTS.values())))
    for i, name in enumerate(JUDGEMENTS):
        target, other = (0, 1) if name.startswith("right") else (1, 0)
        where = {"sure": sets.negative, "unsure": sets.ambiguous, "torn": sets.positive}[name.split(", ")[1]]
        assert sets.target[i, target], name
        assert where[i, other], name
        assert sets.negative[i, 2:].all(), name


@pytest.mark.parametrize(
    ("problem", "baseline", "non_target"), [("truth positive", False, True), ("truth negative", True, False)], ids=["must win", "must lose"]
)
def test_where_the_paper_s_rule_must_win_and_where_it_must_lose(problem, baseline, non_target):
    assert wins(problem, of_rule("baseline")) == baseline
    assert wins(problem, of_rule("non-target")) == non_target


@pytest.mark.parametrize(("problem", "winner"), [("l_pos alone", ("target", "positive")), ("l_neg alone", ("target", "negative"))])
def test_where_one_term_alone_must_win(problem, winner):
    for terms in (("target",), ("target", "negative"), ("target", "positive"), ALL):
        assert wins(problem, of_terms(*terms)) == (terms == winner), terms


def test_where_candidates_must_win():
    """Ambiguous truth is out of the paper's reach: neither pulled nor pushed, while the wrong target is pulled."""
    assert not wins("truth ambiguous", of_rule("baseline"))
    assert not wins("truth ambiguous", of_rule("non-target"))
    assert wins("truth ambiguous", of_rule("candidate labels"))


def test_a_sharper_teacher_turns_winning_into_losing():
    """The same teacher at a quarter of the temperature is as right and as wrong, but now the truth is negative where it errs.

    A torn snippet then has 0.55 for 1 and 0.45 for 0, and 40 + 40 + 60 : 60 becomes 40 + 40 : 60 + 60.
    """

    def sharpened(logits, probs):
        return of_rule("non-target")(logits, probs**4 / (probs**4).sum(dim=-1, keepdim=True))

    assert wins("truth positive", of_rule("non-target"))
    assert not wins("truth positive", sharpened)


ANSWERS = {
    ("truth negative", ("target",)): True,
    ("truth positive", ALL): True,
    ("truth negative", ALL): False,
    ("l_pos alone", ("target", "positive")): True,
    ("l_neg alone", ("target", "negative")): True,
    ("l_neg alone", ALL): False,
}
MUTANTS = {
    "l_neg pulls": lambda tgt, neg, pos: tgt - neg + pos,
    "l_pos pushes": lambda tgt, neg, pos: tgt + neg - pos,
    "no l_neg": lambda tgt, neg, pos: tgt + pos,
    "no l_pos": lambda tgt, neg, pos: tgt + neg,
    "no l_tgt": lambda tgt, neg, pos: neg + pos,
    "l_neg for l_pos": lambda tgt, neg, pos: tgt + 2 * neg,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_problems_notice_a_bug(mutant, monkeypatch):
    """A test that cannot fail is a defect: each of these bugs in the loss changes at least one answer."""
    true_loss = losses.loss_of_sets

    def wrong_loss(logits, sets, terms, activation):
        parts = [true_loss(logits, sets, (term,), activation) * (term in terms) for term in ALL]
        return MUTANTS[mutant](*parts)

    def answers():
        return [truth_named(problem, of_terms(*terms))[1] > 0.5 for problem, terms in ANSWERS]

    assert answers() == list(ANSWERS.values())
    monkeypatch.setattr(losses, "loss_of_sets", wrong_loss)
    assert answers() != list(ANSWERS.values())
