import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nontarget import partition_label_space
from nontarget.partition import _negative, subspaces

NAMES = {"target": "tgt", "positive": "pos", "negative": "neg", "ambiguous": "amb"}


def groups(oracles):
    """(name, fields) of every group of the exact-arithmetic oracle."""
    archive = np.load(oracles / "partition" / "partition.npz")
    for group in json.loads((oracles / "partition" / "index.json").read_text())["groups"]:
        prefix = group["group"] + "/"
        yield group["group"], {key.removeprefix(prefix): archive[key] for key in archive.files if key.startswith(prefix)}


def same_ratio(fields, safe):
    """Index of the safe rows for each value of lambda."""
    for ratio in np.unique(fields["lam"]):
        rows = np.flatnonzero(fields[safe] & (fields["lam"] == ratio))
        if len(rows):
            yield float(ratio), rows


@pytest.mark.parametrize(("dtype", "safe"), [(torch.float64, "safe_float64"), (torch.float32, "safe_float32")])
def test_exact_on_every_safe_row(oracles, device, dtype, safe):
    checked = 0
    for name, fields in groups(oracles):
        for ratio, rows in same_ratio(fields, safe):
            probs = torch.from_numpy(fields["p"][rows]).to(device, dtype)
            sets = partition_label_space(probs, ratio, "positive")
            for field, short in NAMES.items():
                np.testing.assert_array_equal(getattr(sets, field).cpu(), fields[f"mask_{short}"][rows], err_msg=f"{name}: {field}")
            negative_first = partition_label_space(probs, ratio, "negative")
            claimed = fields["neg_no_precedence"][rows]
            np.testing.assert_array_equal(negative_first.negative.cpu(), claimed, err_msg=f"{name}: negative first")
            literal_positive = fields["eq10_literal"][rows] & ~fields["mask_tgt"][rows]
            np.testing.assert_array_equal(negative_first.positive.cpu(), literal_positive & ~claimed, err_msg=f"{name}: negative first")
            checked += len(rows)
    assert checked > 2500


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("special", [None, torch.nan, torch.inf, -1.0, 0.0])
@pytest.mark.parametrize("steps", [3, 1000])
def test_sorted_values_give_the_same_sets_as_sorted_classes(dtype, special, steps):
    """The CPU's short cut beside the definition: with many equals and with none, and in rows that are no distributions."""
    values = torch.randint(1, steps, (300, 21), generator=torch.Generator().manual_seed(steps)).to(dtype)
    probs = values / values.sum(dim=-1, keepdim=True)
    if special is not None:
        probs = probs.where(torch.rand(probs.shape, generator=torch.Generator().manual_seed(0)) > 0.02, special)
    for rows in (probs, probs.T.contiguous().T, probs.flip(-1)):
        sets, top = subspaces(rows, 0.85, "negative"), rows.max(dim=-1, keepdim=True).values
        assert torch.equal(sets.negative, _negative(rows, top, sets.target))
        assert torch.equal(sets.negative, torch.func.vmap(lambda row: subspaces(row, 0.85, "negative").negative)(rows))


distributions = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 12)), elements=st.floats(0, 1)).map(
    lambda x: (x + 1e-3 * (x.sum(-1, keepdims=True) == 0)) / (x + 1e-3 * (x.sum(-1, keepdims=True) == 0)).sum(-1, keepdims=True)
)
precedences = st.sampled_from(["negative", "positive"])


@given(distributions, st.floats(0, 1.5), precedences)
def test_disjoint_and_exhaustive(probs, ratio, precedence):
    sets = partition_label_space(torch.from_numpy(probs), ratio, precedence)
    assert (torch.stack(sets).sum(dim=0) == 1).all()
    assert (sets.target.sum(dim=-1) == 1).all()
    assert (sets.target.int().argmax(dim=-1) == torch.from_numpy(probs).argmax(dim=-1)).all()


@given(distributions, st.floats(0.01, 1), precedences)
def test_facts_of_the_equations(probs, ratio, precedence):
    probs = torch.from_numpy(probs)
    sets, top = partition_label_space(probs, ratio, precedence), probs.max(dim=-1).values
    sure = top > 0.5 + 1e-9
    negative_or_positive = sets.negative | sets.positive
    assert (negative_or_positive | sets.target)[sure].all(), "max(p) >= 1/2 leaves nothing ambiguous"
    assert not sets.positive[top > 1 / (1 + ratio) + 1e-9].any(), "positives need max(p) <= 1 / (1 + lambda)"
    if precedence == "negative":
        others = ~sets.target
        assert (sets.negative == others)[sure].all(), "max(p) >= 1/2 makes every other class negative"
        assert sets.negative.any(dim=-1).all(), "Eq. 8 is never empty: the least probable class is at most max(p)"


@given(distributions, st.floats(0, 1.5), precedences, st.randoms(use_true_random=False))
def test_permutation_of_classes_permutes_the_sets(probs, ratio, precedence, random):
    if any(len(np.unique(row)) < len(row) for row in probs):
        return  # among equal classes the first wins, by convention
    order = list(range(probs.shape[1]))
    random.shuffle(order)
    plain, shuffled = (partition_label_space(torch.from_numpy(p), ratio, precedence) for p in (probs, probs[:, order]))
    # Sums in another order round differently: leave out rows that are decided by the last bit.
    ascending = np.sort(probs, axis=1).cumsum(axis=1)
    clear = torch.from_numpy((np.abs(ascending - probs.max(axis=1, keepdims=True)) > 1e-12)[:, :-1].all(axis=1))
    for a, b in zip(plain, shuffled, strict=True):
        assert (a[:, order] == b)[clear].all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0,)])
def test_any_leading_shape_and_dtype(device, dtype, shape):
    probs = torch.rand(*shape, 7).softmax(dim=-1).to(device, dtype)
    sets = partition_label_space(probs)
    assert all(mask.shape == probs.shape and mask.dtype == torch.bool and mask.device == probs.device for mask in sets)
    assert (torch.stack(sets).sum(dim=0) == 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    # 256 classes of 1/512 beside one of 1/2: in half precision the sum would stop growing, or overshoot.
    probs = torch.tensor([[1 / 512] * 256 + [0.5]], dtype=dtype)
    assert partition_label_space(probs).negative.sum() == 256


def test_no_gradient_and_no_surprise_on_nan():
    probs = torch.rand(2, 4, requires_grad=True)
    assert not any(mask.requires_grad for mask in partition_label_space(probs))
    sets = partition_label_space(torch.full((1, 3), torch.nan))
    assert not sets.positive.any()
    assert not sets.negative.any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"probs": torch.zeros(2, 3, dtype=torch.long)}, TypeError, "floating-point"),
        ({"probs": torch.zeros(())}, ValueError, "at least one class"),
        ({"probs": torch.zeros(2, 0)}, ValueError, "at least one class"),
        ({"positive_ratio": -0.1}, ValueError, "positive_ratio"),
        ({"positive_ratio": float("nan")}, ValueError, "positive_ratio"),
        ({"precedence": "neither"}, ValueError, "'neither'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        partition_label_space(**{"probs": torch.rand(2, 3), **arguments})


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(1, 40))
def test_uniform(classes, rows):
    sets = partition_label_space(torch.full((rows, classes), 1 / classes, dtype=torch.float64), 0.85, "positive")
    assert sets.positive.sum() == rows * (classes - 1)
