"""Losses and partition are the same, and refuse the same, in a plain call, under torch.func and in a compiled graph."""

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from nontarget import non_target_loss, partition_label_space

pytestmark = pytest.mark.usefixtures("unchecked")  # shapes in signatures are not those that vmap and a compiler see

CALLS = {
    "teacher": lambda logits, probs, labels, valid: non_target_loss(logits, probs),
    "itself": lambda logits, probs, labels, valid: non_target_loss(logits),
    "labels": lambda logits, probs, labels, valid: non_target_loss(logits, labels=labels),
    "several labels": lambda logits, probs, labels, valid: non_target_loss(logits, labels=probs > 0.1),
    "padding": lambda logits, probs, labels, valid: non_target_loss(logits, probs, valid=valid),
    "labels, padding": lambda logits, probs, labels, valid: non_target_loss(logits, labels=labels, valid=valid),
    "sigmoid": lambda logits, probs, labels, valid: non_target_loss(logits, probs, activation="sigmoid"),
    "partition": lambda logits, probs, labels, valid: partition_label_space(probs).negative.float(),
}


@pytest.fixture
def arguments():
    valid = torch.ones(4, 6, dtype=torch.bool)
    valid[:, 4:] = False
    return torch.randn(4, 6, 9), torch.randn(4, 6, 9).softmax(-1), torch.randint(9, (4, 6)), valid


@pytest.mark.parametrize("call", CALLS)
def test_vmap_is_a_loop(call, arguments):
    function = CALLS[call]
    expected = torch.stack([function(*row) for row in zip(*arguments, strict=True)])
    torch.testing.assert_close(vmap(function)(*arguments), expected)
    along_second = vmap(function, in_dims=1)(*(a.movedim(0, 1) for a in arguments))
    torch.testing.assert_close(along_second, expected)
    nested = vmap(vmap(function))(*arguments)
    torch.testing.assert_close(nested.flatten(0, 1), torch.stack([function(*(a.flatten(0, 1)[i] for a in arguments)) for i in range(24)]))


@pytest.mark.parametrize("call", [name for name in CALLS if name != "partition"])
def test_gradients_of_torch_func(call, arguments):
    logits, *rest = arguments
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(CALLS[call](leaf, *rest), leaf)
    torch.testing.assert_close(grad(CALLS[call])(logits, *rest), expected)
    assert vmap(grad(CALLS[call]))(*arguments).isfinite().all()


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("call", CALLS)
def test_compiled(call, backend, arguments):
    torch.compiler.reset()
    compiled = torch.compile(CALLS[call], backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(*arguments), CALLS[call](*arguments))


WRONG = {
    "probability of 2": (lambda a: non_target_loss(a[0], 2 + a[1]), r"pseudo_probs must be in \[0, 1\]"),
    "label 11": (lambda a: non_target_loss(a[0], labels=a[2] + 11), "labels must be in"),
    "no class": (lambda a: non_target_loss(a[0], labels=a[1] > 1), "at least one class"),
    "classes first": (lambda a: non_target_loss(a[0].mT, a[1].mT), "classes must be the last axis"),
    "classes first, partition": (lambda a: partition_label_space(a[1].mT), "classes must be the last axis"),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_same_is_refused_everywhere(case, arguments):
    function, message = WRONG[case]
    for transformed in (function, vmap(lambda *a: function(a)), torch.compile(lambda *a: function(a), backend="eager")):
        torch.compiler.reset()
        given = (arguments,) if transformed is function else arguments
        with pytest.raises(ValueError, match=message):
            transformed(*given)


def test_rows_that_are_no_distributions(arguments):
    logits, probs, _, valid = arguments
    non_target_loss(logits, 0.5 * probs)  # scaled
    non_target_loss(logits, probs.masked_fill(~valid[..., None], 0.0))
    with pytest.raises(ValueError, match="classes must be the last axis"):
        non_target_loss(logits.mT, probs.masked_fill(~valid[..., None], 0.0).mT)
    with pytest.warns(UserWarning, match="24 of 24 rows of pseudo_probs sum to more than 1"):
        non_target_loss(logits, logits.sigmoid().clamp(min=0.5))
    with pytest.warns(UserWarning, match="16 of 16 rows"):
        non_target_loss(logits, logits.sigmoid().clamp(min=0.5), valid=valid)


@pytest.mark.parametrize("ratio", [np.float32(0.85), np.float16(0.85), np.int64(1)])
def test_a_ratio_of_numpy(ratio):
    probs = torch.tensor([0.4, 0.37, 0.2, 0.03])
    assert partition_label_space(probs, ratio).positive.tolist() == partition_label_space(probs, float(ratio)).positive.tolist()
