"""The map of when the rule helps, on gains that are known functions of the two shares."""

import json

import numpy as np
import pandas as pd
import pytest

from nontarget.study.shares import ErrorShares
from nontarget.study.when import POINT_COLUMNS, GainMap, map_cells, map_experiments, map_points, place


def points(gain, grid, seeds=3, noise=0.3):
    rng = np.random.default_rng(0)
    rows = [
        {"twin": str(i), "temperature": j, "seed": s, "positive": p, "negative": n, "gain": gain(p, n) + noise * rng.normal()}
        for i, p in enumerate(grid)
        for j, n in enumerate(grid)
        for s in range(seeds)
    ]
    return pd.DataFrame(rows)


def bent(p, n):
    return 6 * p - 4 * n**2 + 1


def test_a_surface_is_found_and_covers_the_truth():
    found = GainMap.fit(points(bent, np.linspace(0, 0.5, 5)))
    assert found.kind == "surface"
    p, n = np.meshgrid([0.08, 0.2, 0.42], [0.08, 0.2, 0.42])
    predicted = found.predict(p.ravel(), n.ravel())
    true = bent(p.ravel(), n.ravel())
    assert np.abs(predicted["mean"] - true).max() < 0.4
    assert ((predicted["low"] < true) & (true < predicted["high"])).mean() > 0.8
    assert predicted["inside"].all()
    assert found.left_out_error < 1


def test_it_is_unsure_where_no_twin_is():
    found = GainMap.fit(points(bent, np.linspace(0, 0.3, 4)))
    near, far = (found.predict(*at).iloc[0] for at in ((0.15, 0.15), (0.1, 0.9)))
    assert (bool(near["inside"]), bool(far["inside"])) == (True, False)
    assert far["high"] - far["low"] > 2 * (near["high"] - near["low"])


def test_a_few_cells_give_a_plane_with_the_intervals_of_regression():
    found = GainMap.fit(points(lambda p, n: 2 * p - 3 * n, (0.1, 0.3, 0.5), noise=0.0))
    assert found.kind == "plane"
    row = found.predict(0.2, 0.4).iloc[0]
    assert [row["mean"], row["low"], row["high"]] == pytest.approx([-0.8] * 3, abs=1e-6)


def test_noise_alone_predicts_no_gain():
    row = GainMap.fit(points(lambda p, n: 0.0, np.linspace(0, 0.5, 5), noise=1.0)).predict(0.2, 0.2).iloc[0]
    assert row["low"] < 0 < row["high"]


def test_too_few_cells():
    with pytest.raises(ValueError, match="4 cells"):
        GainMap.fit(points(bent, (0.2,)))


def test_sets_are_placed_by_name():
    found = place(
        GainMap.fit(points(bent, np.linspace(0, 0.5, 4))), pd.DataFrame({"positive": [0.1, 0.9], "negative": [0.2, 0.9]}, ["a", "b"])
    )
    assert list(found.index) == ["a", "b"]
    assert found["inside"].tolist() == [True, False]
    assert found.loc["a", "mean"] == pytest.approx(bent(0.1, 0.2), abs=0.5)


TWINS = ({"similarity": 0.5}, {"similarity": 0.9})


def test_cells_share_what_they_can():
    cells = map_cells(twins=TWINS, temperatures=(1.0, 4.0))
    assert len(cells) == 4
    assert len(map_experiments(cells, (0, 1))) == 2 * (2 + 2 + 4), "teacher and baseline are those of every temperature"
    assert cells[0].non_target.rule_settings == {}
    assert cells[1].non_target.rule_settings == {"teacher_temperature": 4.0}
    assert cells[1].baseline.rule_settings == {}


def test_points_are_paired_by_seed_and_missing_runs_left_out():
    def lookup(experiment):
        if experiment.seed == 1 and experiment.rule == "non-target":
            return None
        return {"key": f"{experiment.rule} {experiment.seed}", "scores": {"avg": 0.4 + (0.02 if experiment.rule == "non-target" else 0)}}

    asked = []

    def shares_of(teacher, temperature):
        asked.append((teacher.rule, temperature))
        return ErrorShares(0.4, 0.1, 0.6, 0.3, 0.8, 1.2)

    found = map_points(map_cells(twins=TWINS, temperatures=(1.0, 4.0)), (0, 1), lookup, shares_of)
    assert list(found.columns) == POINT_COLUMNS
    assert found["seed"].tolist() == [0] * 4
    assert found["gain"].tolist() == pytest.approx([2.0] * 4)
    assert found["key"].tolist() == ["non-target 0"] * 4
    assert asked == [("pre-trained only", 1.0), ("pre-trained only", 4.0)] * 2
    assert json.loads(found["twin"][0]) == TWINS[0]
