import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_partition import groups, same_ratio
from torch.nn import functional as F

from nontarget import non_target_loss
from nontarget.losses import log_probabilities

TERMS = {"target": "tgt", "negative": "neg", "positive": "pos"}


@pytest.mark.parametrize(("dtype", "safe", "tolerance"), [(torch.float64, "safe_float64", 1e-9), (torch.float32, "safe_float32", 1e-4)])
@pytest.mark.parametrize("term", TERMS)
def test_losses_and_gradients_of_the_oracle(oracles, device, dtype, safe, tolerance, term):
    checked = 0
    for name, fields in groups(oracles):
        if "logits" not in fields:
            continue
        for ratio, rows in same_ratio(fields, safe):
            logits = torch.from_numpy(fields["logits"][rows]).to(device, dtype).requires_grad_()
            probs = torch.from_numpy(fields["p"][rows]).to(device, dtype)
            loss = non_target_loss(logits, probs, positive_ratio=ratio, precedence="positive", terms=(term,), reduction="none")
            loss.sum().backward()
            expected = fields[f"loss_{TERMS[term]}"][rows]
            np.testing.assert_allclose(loss.detach().cpu(), expected, rtol=tolerance, err_msg=name)
            gradient = fields[f"grad_logits_{TERMS[term]}"][rows]
            np.testing.assert_allclose(logits.grad.cpu(), gradient, rtol=tolerance, atol=tolerance * 1e-2, err_msg=name)
            checked += len(rows)
    assert checked > 800


@pytest.mark.parametrize("precedence", ["negative", "positive"])
def test_terms_add_up_over_the_oracle(oracles, precedence):
    """The default form, from logits alone, is the sum of the oracle's terms (l_neg without precedence where negatives go first)."""
    for name, fields in groups(oracles):
        if "logits" not in fields:
            continue
        for ratio, rows in same_ratio(fields, "safe_float64"):
            logits = torch.from_numpy(fields["logits"][rows])
            loss = non_target_loss(logits, positive_ratio=ratio, precedence=precedence, reduction="none").numpy()
            positive, negative = fields["loss_pos"][rows], fields["loss_neg"][rows]
            if precedence == "negative":
                kept = fields["eq10_literal"][rows] & ~fields["mask_tgt"][rows] & ~fields["neg_no_precedence"][rows]
                positive = -np.where(kept, np.log(np.where(kept, fields["p"][rows], 1)), 0).sum(axis=1)
                negative = fields["loss_neg_no_precedence"][rows]
            np.testing.assert_allclose(loss, fields["loss_tgt"][rows] + positive + negative, rtol=1e-9, err_msg=name)


def test_labelled_form_of_the_oracle(oracles):
    archive = np.load(oracles / "partition" / "supervised.npz")
    for group in ("softmax2", "softmax21", "softmax201", "uniform21"):
        logits = torch.from_numpy(np.log(archive[f"{group}/p"]))
        labels = torch.from_numpy(archive[f"{group}/y"])
        for term, short in (("target", "tgt"), ("negative", "neg")):
            loss = non_target_loss(logits, labels=labels, terms=(term,), reduction="none")
            np.testing.assert_allclose(loss, archive[f"{group}/loss_{short}"], rtol=1e-9, err_msg=group)
        assert non_target_loss(logits, labels=labels, terms=("positive",)) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 3, 21, 201])  # C = 1 is two classes
@pytest.mark.parametrize("scale", [1e4, 1e3, 88, 20, 1])
def test_finite_for_every_finite_logit(device, dtype, classes, scale):
    logits = ((torch.rand(60, classes) * 2 - 1) * scale).to(dtype)
    logits[:2] = 0
    logits[2:6] = -scale
    logits[2:6, 1] = scale  # one-hot
    logits = logits.to(device)
    labels = torch.arange(60, device=device) % classes
    for options in ({}, {"precedence": "positive"}, {"labels": labels}):
        x = logits.clone().requires_grad_()
        loss = non_target_loss(x, **options)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(x.grad).all()
        assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert x.grad.dtype == dtype


def test_one_hot_distributions_and_a_single_class():
    one_hot = torch.eye(4)
    loss = non_target_loss(torch.zeros(4, 4), one_hot)
    assert loss == pytest.approx(np.log(4) - 3 * np.log(0.75))
    alone = torch.zeros(3, 1, requires_grad=True)
    for options in ({}, {"labels": torch.zeros(3, dtype=torch.long)}):
        loss = non_target_loss(alone, **options)
        loss.backward()
        assert loss == 0
        assert (alone.grad == 0).all()


def test_gradient_among_equal_logits():
    """At a tie the gradient is that of the formula, not of whichever class the maximum happens to pick."""
    for values in ([1.0, 1.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]):
        for label in range(len(values)):
            x, y = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for _ in range(2))
            non_target_loss(x, labels=torch.tensor(label)).backward()
            p = y.softmax(-1)
            (-p[label].log() - sum((1 - p[c]).log() for c in range(len(values)) if c != label)).backward()
            torch.testing.assert_close(x.grad, y.grad)


def test_log_probabilities_keep_small_losses():
    log_p, log_1m_p = log_probabilities(torch.tensor([[20.0, 0.0, 0.0]]))
    assert -log_p[0, 0] == pytest.approx(2 * np.exp(-20), rel=1e-6)  # log_softmax gives 0 here, in float32
    assert log_1m_p[0, 0] == pytest.approx(np.log(2) - 20, rel=1e-6)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(2, 8), st.integers(0, 2**31))
def test_reductions_and_padding(batch, snippets, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, snippets, classes, generator=generator, dtype=torch.float64)
    valid = torch.rand(batch, snippets, generator=generator) < 0.6
    garbage = logits.clone()
    garbage[~valid] = torch.tensor([torch.nan, torch.inf] + [1e30] * (classes - 2), dtype=torch.float64)
    labels = torch.randint(classes, (batch, snippets), generator=generator)
    wrong = labels.masked_fill(~valid, -100)
    for options, dirty in (({}, {}), ({"labels": labels}, {"labels": wrong})):
        each = non_target_loss(logits, valid=valid, reduction="none", **options)
        assert each.shape == (batch, snippets)
        assert (each[~valid] == 0).all()
        total = non_target_loss(logits, valid=valid, reduction="sum", **options)
        mean = non_target_loss(logits, valid=valid, **options)
        torch.testing.assert_close(total, each.sum())
        torch.testing.assert_close(mean, total / max(int(valid.sum()), 1))
        leaf = garbage.clone().requires_grad_()
        with_garbage = non_target_loss(leaf, valid=valid, **dirty)
        with_garbage.backward()
        assert with_garbage == mean
        assert (leaf.grad[~valid] == 0).all()
        plain = non_target_loss(logits[valid], **({"labels": labels[valid]} if options else {}), reduction="sum")
        torch.testing.assert_close(total, plain)


@given(st.integers(2, 8), st.integers(0, 2**31))
def test_target_term_is_cross_entropy(classes, seed):
    logits = torch.randn(5, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    cross_entropy = torch.nn.functional.cross_entropy
    torch.testing.assert_close(non_target_loss(logits, terms=("target",)), cross_entropy(logits, logits.argmax(-1)))
    labels = torch.arange(5) % classes
    torch.testing.assert_close(non_target_loss(logits, labels=labels, terms=("target",)), cross_entropy(logits, labels))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (5,), (2, 3), (2, 0, 3), (2, 3, 2, 2)])
def test_any_leading_shape(shape):
    logits, labels = torch.randn(*shape, 4), torch.randint(4, shape)
    for options in ({}, {"pseudo_probs": torch.randn(*shape, 4).softmax(-1)}, {"labels": labels}):
        each = non_target_loss(logits, **options, reduction="none")
        flat = {name: value.reshape(-1, *value.shape[len(shape) :]) for name, value in options.items()}
        torch.testing.assert_close(each.flatten(), non_target_loss(logits.reshape(-1, 4), **flat, reduction="none"))
        assert each.shape == shape


def test_mean_of_nothing_is_zero():
    assert non_target_loss(torch.randn(0, 3)) == 0
    assert non_target_loss(torch.randn(2, 3), valid=torch.zeros(2, dtype=torch.bool)) == 0


def test_nan_is_not_hidden():
    assert non_target_loss(torch.tensor([[0.0, torch.nan, 1.0]])).isnan()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_pseudo_probs_that_are_accepted(dtype, activation):
    """Half precision, rows of another sum, gradients and padding with anything in it; and NaN logits give NaN, not an error."""
    logits = torch.randn(4, 6, 5, requires_grad=True)
    probs = (torch.randn(4, 6, 5) * 50).softmax(-1).to(dtype).requires_grad_()
    valid = torch.arange(6) < torch.tensor([[6], [3], [1], [0]])
    dirty = torch.where(valid[..., None], probs, torch.tensor([torch.nan, torch.inf, -1, 2, 0], dtype=dtype))
    loss = non_target_loss(logits, probs, valid=valid, activation=activation)
    assert loss == non_target_loss(logits, dirty, valid=valid, activation=activation)
    assert non_target_loss(logits, probs / 2, activation=activation).isfinite()
    assert non_target_loss(torch.full((2, 3), torch.nan), torch.full((2, 3), torch.nan), activation=activation).isnan()


def test_gradcheck():
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    pseudo = torch.rand(4, 5, dtype=torch.float64).softmax(-1)
    assert torch.autograd.gradcheck(lambda x: non_target_loss(x, pseudo, reduction="none"), (logits,))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiles_without_a_graph_break(device):
    torch._dynamo.reset()

    def losses(x, p, y, v):
        return non_target_loss(x, valid=v), non_target_loss(x, p, valid=v), non_target_loss(x, labels=y, valid=v)

    logits, labels = torch.randn(8, 6, 5, device=device, requires_grad=True), torch.randint(5, (8, 6), device=device)
    probs, valid = torch.randn(8, 6, 5, device=device).softmax(-1), torch.rand(8, 6, device=device) < 0.8
    arguments = (logits, probs, labels, valid)
    for non_target, plain in zip(torch.compile(losses, fullgraph=True)(*arguments), losses(*arguments), strict=True):
        torch.testing.assert_close(non_target, plain)
        (gradient,) = torch.autograd.grad(non_target, logits, retain_graph=True)
        (expected,) = torch.autograd.grad(plain, logits, retain_graph=True)
        torch.testing.assert_close(gradient, expected)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_sigmoid_form_by_hand():
    """Independent classes, and background with the score 1 - max as the last class of the partition."""
    # Background, 0.9, is the target. Divided by their sum, the scores are 0.10, 0.05 and 0.86: both actions are negative.
    z = np.log([0.1 / 0.9, 0.25 / 0.75])
    scores = np.array([[0.1, 0.05]])
    loss = non_target_loss(torch.from_numpy(z)[None], torch.tensor(scores), activation="sigmoid").item()
    # The student's own background score is 1 - max = 1 - 0.25.
    assert loss == pytest.approx(-np.log(0.75) - np.log(0.9) - np.log(0.75))

    # The first action, 0.9, is the target; background, 0.1, and the second action are negative.
    z, scores = np.array([1.0, -2.0]), np.array([[0.9, 0.02]])
    loss = non_target_loss(torch.from_numpy(z)[None], torch.tensor(scores), activation="sigmoid").item()
    background = 1 - sigmoid(1.0)
    assert loss == pytest.approx(-np.log(sigmoid(1.0)) - np.log(1 - sigmoid(-2.0)) - np.log(1 - background))

    # Background, 0.49, is positive: near the target's 0.51, and too much to be negative beside the second action, 0.05 + 0.49 > 0.51.
    z, scores = np.array([0.3, -0.7]), np.array([[0.51, 0.05]])
    values = {
        term: non_target_loss(torch.from_numpy(z)[None], torch.tensor(scores), activation="sigmoid", terms=(term,)).item()
        for term in ("target", "negative", "positive")
    }
    assert values["target"] == pytest.approx(-np.log(sigmoid(0.3)))
    assert values["negative"] == pytest.approx(-np.log(1 - sigmoid(-0.7)))
    assert values["positive"] == pytest.approx(-np.log(1 - sigmoid(0.3)))  # background scores 1 - sigmoid(0.3)


def test_sigmoid_form_with_labels():
    """An action pulls itself and pushes the others and background; background (index C) pushes every action."""
    z = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
    s = z.sigmoid().numpy()
    loss = [non_target_loss(z, labels=torch.tensor(y), activation="sigmoid", terms=("target", "negative")).item() for y in (1, 3)]
    assert loss[0] == pytest.approx(-np.log(s[1]) - np.log(1 - s[0]) - np.log(1 - s[2]) - np.log(s[0]))  # background: 1 - s[0]
    assert loss[1] == pytest.approx(-np.log(1 - s[0]) - np.log(1 - s).sum())
    assert non_target_loss(z, labels=torch.tensor(3), activation="sigmoid", terms=("positive",)) == 0


@pytest.mark.usefixtures("unchecked")
def test_sigmoid_form_knows_its_labels():
    with pytest.raises(ValueError, match=r"labels must be in \[0, 4\), got values from 4 to 4"):
        non_target_loss(torch.zeros(2, 3), labels=torch.tensor([4, 4]), activation="sigmoid")
    with pytest.raises(ValueError, match="activation must be one of"):
        non_target_loss(torch.zeros(2, 3), activation="tanh")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [1, 2, 20])
@pytest.mark.parametrize("scale", [1e4, 88, 1])
def test_sigmoid_form_is_finite_for_every_finite_logit(device, dtype, classes, scale):
    logits = ((torch.rand(60, classes) * 2 - 1) * scale).to(dtype)
    logits[0], logits[1], logits[2] = 0, -scale, scale
    labels = torch.arange(60, device=device) % (classes + 1)
    for options in ({}, {"precedence": "positive"}, {"labels": labels}):
        x = logits.to(device).requires_grad_()
        loss = non_target_loss(x, activation="sigmoid", **options)
        (gradient,) = torch.autograd.grad(loss, x)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert gradient.dtype == dtype


def test_sigmoid_form_takes_its_own_scores_by_default():
    logits = torch.randn(4, 7, 5, dtype=torch.float64)
    own = non_target_loss(logits, logits.sigmoid(), activation="sigmoid", reduction="none")
    torch.testing.assert_close(non_target_loss(logits, activation="sigmoid", reduction="none"), own)


@given(st.integers(2, 8), st.integers(0, 2**31))
def test_sigmoid_form_follows_a_permutation_of_classes(classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits, teacher = (torch.randn(6, classes, generator=generator, dtype=torch.float64) for _ in range(2))
    order = torch.randperm(classes, generator=generator)

    def gradient(z, p):
        z = z.clone().requires_grad_()
        loss = non_target_loss(z, p, activation="sigmoid", reduction="sum")
        return loss.detach(), torch.autograd.grad(loss, z)[0]

    loss, plain = gradient(logits, teacher.sigmoid())
    permuted_loss, permuted = gradient(logits[:, order], teacher[:, order].sigmoid())
    torch.testing.assert_close(loss, permuted_loss)
    torch.testing.assert_close(plain[:, order], permuted)


LOGITS = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"logits": torch.zeros(2, 3, dtype=torch.long)}, TypeError, "logits must be a floating-point"),
        ({"logits": torch.zeros(())}, ValueError, "at least one class"),
        ({"pseudo_probs": torch.rand(2, 4)}, ValueError, r"pseudo_probs must have the shape of logits, \(2, 3\), got \(2, 4\)"),
        ({"pseudo_probs": torch.ones(2, 3, dtype=torch.long)}, TypeError, "pseudo_probs must be a floating-point tensor, got torch.int64"),
        (
            {"pseudo_probs": torch.tensor([[0.5, 0.5, 0], [0, torch.nan, 1]])},
            ValueError,
            r"pseudo_probs must be in \[0, 1\] .* from nan to nan",
        ),
        ({"pseudo_probs": torch.tensor([[0.5, 0.5, 0], [0, torch.inf, 1]])}, ValueError, r"pseudo_probs .* got values from 0 to inf"),
        ({"pseudo_probs": torch.tensor([[2.0, -1, 0], [0, 1, 0]])}, ValueError, r"pseudo_probs .* got values from -1 to 2"),
        ({"pseudo_probs": torch.full((2, 3), -0.5), "activation": "sigmoid"}, ValueError, r"pseudo_probs must be in \[0, 1\]"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, ValueError, r"labels must have shape \(2,\), got \(3,\)"),
        ({"labels": torch.zeros(2)}, TypeError, "labels must be integers"),
        ({"labels": torch.tensor([0, 3])}, ValueError, r"labels must be in \[0, 3\), got values from 0 to 3"),
        ({"labels": torch.tensor([0, 1]), "pseudo_probs": torch.rand(2, 3)}, ValueError, "not both"),
        ({"valid": torch.ones(2)}, TypeError, "valid must be bool"),
        ({"valid": torch.ones(3, dtype=torch.bool)}, ValueError, "valid must have shape"),
        ({"terms": "target"}, ValueError, "terms must be"),
        ({"terms": ()}, ValueError, "terms must be"),
        ({"terms": ("targets",)}, ValueError, "terms must be"),
        ({"reduction": "average"}, ValueError, "'average'"),
        ({"positive_ratio": -1.0}, ValueError, "positive_ratio"),
        ({"precedence": "first"}, ValueError, "precedence"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        non_target_loss(**{"logits": LOGITS, **arguments})


@pytest.mark.usefixtures("unchecked")
def test_several_classes_a_snippet():
    """Each of its classes is a target, at an equal share; none is negative."""
    logits = torch.randn(4, 5, dtype=torch.float64)
    labels = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], dtype=torch.bool)
    valid = torch.tensor([True, True, True, False])
    p = logits.softmax(-1)
    both = -(p[0, 0].log() + p[0, 1].log()) / 2 - (1 - p[0, 2:]).log().sum()
    one = -p[1, 4].log() - (1 - p[1, :4]).log().sum()
    loss = non_target_loss(logits, labels=labels, valid=valid, reduction="none")
    torch.testing.assert_close(loss, torch.stack((both, one, -p[2].log().mean(), torch.zeros(()).double())))
    uniform = labels[:3].double() / labels[:3].sum(-1, keepdim=True)
    entropy = non_target_loss(logits[:3], labels=labels[:3], terms=("target",), reduction="none")
    torch.testing.assert_close(entropy, F.cross_entropy(logits[:3], uniform, reduction="none"))
    with pytest.raises(ValueError, match="at least one class"):
        non_target_loss(logits, labels=labels)
    with pytest.raises(ValueError, match=r"labels must have shape \(4, 6\), got \(4, 5\)"):
        non_target_loss(logits, labels=labels, activation="sigmoid")
    s = logits[0].sigmoid()
    loss = non_target_loss(logits[0], labels=F.pad(labels[0], (0, 1)), activation="sigmoid")
    torch.testing.assert_close(loss, -(s[0].log() + s[1].log()) / 2 - (1 - s[2:]).log().sum() - s.amax().log())


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_one_class_a_snippet_is_the_same_in_both_forms(device, activation):
    logits = torch.randn(6, 9, 5, device=device)
    classes = 5 + (activation == "sigmoid")
    labels, valid = torch.randint(classes, (6, 9), device=device), torch.rand(6, 9, device=device) < 0.8
    for terms in (("target",), ("target", "negative", "positive")):
        x, y = (logits.clone().requires_grad_() for _ in range(2))
        index = non_target_loss(x, labels=labels, valid=valid, terms=terms, activation=activation)
        several = non_target_loss(y, labels=F.one_hot(labels, classes).bool(), valid=valid, terms=terms, activation=activation)
        assert torch.equal(index, several)
        (index + several).backward()
        assert torch.equal(x.grad, y.grad)
