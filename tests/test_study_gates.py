"""Gates on records that are made up to hold, to fail, and to be missing."""

import itertools

import pandas as pd
import pytest

from nontarget.data import available, split_dataset
from nontarget.experiment import Experiment
from nontarget.results import ResultStore, identity_key
from nontarget.study.decomposition import AS_IS, TRIVIAL
from nontarget.study.gates import QUESTIONS, gate_experiments, gate_seeds, gate_states, gates, records_in, summary

SEEDS = (0, 1, 2, 3, 4)
NOISE = (0.0, 0.4, -0.4, 0.2, -0.2)  # standard deviation 0.32
MAPS = {"pre-trained only": 40, "supervised only": 42, "baseline": 43, "oracle": 59, "fully supervised": 60}
SHARES = {
    "pretrain": {"labeled": 0.5, "mask": 0.4, "reconstruction": 0.1},
    "selftrain": {"labeled": 0.1, "unlabeled_class": 0.6, "mask": 0.3},
}


def made_up(maps=None, shares=SHARES, doubled=0.0, middle=50, absent=lambda experiment: False):
    def lookup(experiment):
        if absent(experiment):
            return None
        value = middle if experiment.label_ratio == 0.4 else (MAPS | (maps or {}))[experiment.rule]
        value += NOISE[experiment.seed] + (doubled if experiment.inference_settings else 0)
        return {"scores": {"0.5": value / 100, "avg": value / 100}, "gradient_share": shares}

    return lookup


def decompositions(value=10.0, variants=tuple(TRIVIAL)):
    rows = []
    for e in gate_experiments("thumos14-sim", 0.1, SEEDS):
        if e.rule == "supervised only" and e.label_ratio == 0.1 and not e.inference_settings:
            scores = {AS_IS: 42 + NOISE[e.seed]} | dict.fromkeys(variants, value)
            rows += [{"key": identity_key(e.identity()), "variant": v, "tiou": "avg", "mean_ap": m} for v, m in scores.items()]
    return pd.DataFrame(rows)


def report(rows=None, **options):
    return gates("thumos14-sim", 0.1, SEEDS, lookup=made_up(**options), decompositions=decompositions() if rows is None else rows)


def test_all_hold():
    found = report()
    assert [g.name for g in found.gates] == list(QUESTIONS)
    assert found.passed is True, found.table.cells.to_string()
    assert found.failing == found.missing == ()
    assert found.mark == ""
    assert found.gates[0].numbers["supervised only, 40 % - supervised only"] == pytest.approx(8)


@pytest.mark.parametrize(
    ("gate", "options"),
    [
        ("a", {"middle": 42.2}),
        ("a", {"middle": 61}),
        ("b", {"maps": {"oracle": 57.5}}),
        ("c", {"maps": {"baseline": 41.5}}),
        ("c", {"maps": {"pre-trained only": 43.5}}),
        ("d", {"shares": {"selftrain": {"labeled": 0.1, "refinement": 0.6, "unlabeled_class": 0.3}}}),
        ("e", {"doubled": 0.2}),
    ],
)
def test_one_fails(gate, options):
    found = report(**options)
    assert [g.name for g in found.failing] == [gate]
    assert found.passed is False
    assert f"gate {gate} fails" in found.mark
    assert "FAILS" in found.table.cells.to_string()


def test_a_trivial_detector_that_is_as_good_fails():
    assert [g.name for g in report(decompositions(value=45.0)).failing] == ["f"]


def test_noise_is_no_harm():
    def lookup(experiment):
        record = made_up()(experiment)
        if experiment.rule == "baseline":
            record["scores"]["avg"] = (42 + (3, -3, 1, -2, 0)[experiment.seed]) / 100
        return record

    found = gates("thumos14-sim", 0.1, SEEDS, lookup=lookup, decompositions=decompositions())
    assert found.passed is True, "not significantly below"


def test_what_is_missing_is_said():
    found = report(absent=lambda e: e.rule == "oracle" and e.seed == 3)
    assert [g.name for g in found.missing] == ["b"]
    assert "4 of 5 seeds of oracle" in found.missing[0].sentence
    assert "gate b was not computed" in found.mark
    assert found.passed is None
    nothing = gates("thumos14-sim", 0.1, SEEDS, lookup=lambda experiment: None)
    assert [g.passed for g in nothing.gates] == [None] * 6
    assert len(nothing.table.cells) == 6, "cells are never dropped"


def test_a_failure_outweighs_what_is_missing():
    found = report(maps={"baseline": 41.5}, absent=lambda e: e.rule == "pre-trained only")
    assert [g.name for g in found.failing] == ["c"]
    assert [g.name for g in report(decompositions(45.0, ["whole video"])).failing] == ["f"]
    assert [g.name for g in report(decompositions(10.0, ["whole video"])).missing] == ["f"]


def test_records_without_gradients_are_not_computed():
    assert [g.name for g in report(shares=None).missing] == ["d"]


def test_stale_decompositions_do_not_count():
    assert [g.name for g in report(decompositions().assign(key="another")).missing] == ["f"]


def test_experiments_are_held_out_and_complete():
    found = gate_experiments("thumos14-sim", 0.1, SEEDS)
    assert all(e.held_out for e in found)
    assert {e.seed for e in found} == set(SEEDS)
    assert not {"non-target"} & {e.rule for e in found}, "the gates never look at the paper's rule"
    assert len({identity_key(e.identity()) for e in found}) == len(found)
    assert {e.label_ratio for e in gate_experiments("thumos14-sim", 0.6, SEEDS)} == {0.6}


def test_five_seeds_at_least():
    with pytest.raises(ValueError, match="5 seeds"):
        gates("thumos14-sim", 0.1, (0, 1), lookup=lambda experiment: None)


def test_several_cells_in_one_table():
    reports = [report(), report(doubled=0.3), report(shares=None)]
    assert gate_states(reports[1:2]).loc[reports[1].title].tolist() == [True, True, True, True, False, True]
    assert "**FAILS**" in summary(reports[1:2])._repr_markdown_()
    assert "not computed" in summary(reports[2:])._repr_markdown_()


def test_a_store_without_records(tmp_path):
    for source in ("stored", "committed"):
        assert records_in(ResultStore(tmp_path), source)(Experiment()) is None
    with pytest.raises(ValueError, match="source"):
        records_in(ResultStore(tmp_path), "run")


@pytest.mark.parametrize(("dataset", "label_ratio"), [("shrec21", 0.1), ("nips4b", 0.2), ("hapt", 0.1), ("shrec21", 0.2)])
def test_gate_seeds_are_the_first_that_label_every_class(dataset, label_ratio):
    if dataset not in available():
        pytest.skip("a real data set, not at hand")
    data = Experiment(dataset, held_out=True).load()

    def labels_all(seed):
        try:
            split_dataset(data, label_ratio, seed)
        except ValueError:
            return False
        return True

    assert gate_seeds(dataset, label_ratio) == tuple(itertools.islice(filter(labels_all, itertools.count()), 5))
