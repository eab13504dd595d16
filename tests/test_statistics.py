"""Intervals, tests and bootstraps against closed forms, published examples and simulated data."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nontarget import evaluate_detections
from nontarget.statistics import (
    Interval,
    bootstrap_interval,
    draw_counts,
    hierarchical_bootstrap,
    holm,
    map_difference,
    pairs_to_exclude_zero,
    percentile_interval,
    smallest_detectable,
    t_interval,
    wilcoxon,
)


def test_the_paired_t_test_by_hand():
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(2) at 97.5 % = 4.3027, p = 1 - t / sqrt(t^2 + 2) with t = 2 sqrt(3)."""
    found = t_interval([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-6)
    assert found.p_value == pytest.approx(1 - 12**0.5 / 14**0.5)
    assert not found.excludes_zero
    assert found.num_values == 3


def test_the_paired_t_test_is_scipy_s():
    one, other = [31.0, 30.2, 33.5, 29.9], [30.0, 30.4, 31.1, 28.0]
    expected = stats.ttest_rel(one, other)
    found = t_interval(np.subtract(one, other))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert t_interval([*np.subtract(one, other), np.nan]) == found, "a pair of which one is missing is left out"


def test_an_interval_excludes_zero_where_the_test_is_significant():
    rng = np.random.default_rng(0)
    found = [t_interval(rng.normal(1, 1, 5)) for _ in range(200)]
    assert {d.excludes_zero for d in found} == {True, False}
    assert all(d.excludes_zero == (d.p_value < 0.05) for d in found)


def test_too_few_pairs_and_no_spread():
    alone = t_interval([3.0])
    assert (alone.mean, alone.num_values, alone.excludes_zero) == (3.0, 1, False)
    assert np.isnan([alone.low, alone.high, alone.p_value, alone.detectable]).all()
    assert np.isnan(t_interval([]).mean)
    same = t_interval([2.0, 2.0])
    assert (same.low, same.high, same.p_value, same.detectable, same.excludes_zero) == (2.0, 2.0, 0.0, 0.0, True)
    assert t_interval([0.0, 0.0]).p_value == 1.0


def test_coverage_of_the_t_interval():
    """Of 4,000 intervals from 4 normal values, 95 % hold the mean (within 3 standard errors of 0.34 %)."""
    samples = np.random.default_rng(1).normal(1.0, 2.0, size=(4000, 4))
    inside = [found.low <= 1 <= found.high for found in map(t_interval, samples)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.0103)


@pytest.mark.parametrize(
    ("pairs", "level", "power", "effect"),
    [
        (34, 0.95, 0.8077775, 0.5),  # G*Power's manual: one sample
        (60, 0.90, 0.4555818, 0.2),  # Cohen 1988, exercise 2.5 (p. 47), as R's pwr computes it
    ],
)
def test_detectable_effects_of_published_tables(pairs, level, power, effect):
    assert smallest_detectable(1.0, pairs, level, power) == pytest.approx(effect, rel=2e-3)


def test_detectable_effect_of_a_published_sample_size():
    """Dalgaard, Introductory Statistics with R, 2002, p. 145: delta 10, sd 10 sqrt(2), power 0.85, paired, needs n = 19.97."""
    assert smallest_detectable(200**0.5, 20, power=0.85) < 10 < smallest_detectable(200**0.5, 19, power=0.85)


def test_what_is_detectable_is_detected_in_four_of_five_trials():
    effect = smallest_detectable(2.0, 5)
    trials = np.random.default_rng(2).normal(effect, 2.0, size=(3000, 5))
    assert np.mean([t_interval(values).low > 0 for values in trials]) == pytest.approx(0.8, abs=0.022), "3 standard errors"
    assert t_interval([-1.0, 1.0, 0.0]).detectable == smallest_detectable(1.0, 3)


def test_pairs_to_exclude_zero():
    values = pd.Series([1.0, -1.0, 2.0, 0.5])
    n = pairs_to_exclude_zero(values)
    reach = [stats.t.ppf(0.975, k - 1) * values.std() / np.sqrt(k) for k in (n - 1, n)]
    assert reach[0] >= values.mean() > reach[1]
    assert pairs_to_exclude_zero([1.0, -1.0]) is None, "a mean of 0 never excludes 0"
    assert pairs_to_exclude_zero([1.0]) is None


def test_wilcoxon_by_counting_signs():
    """Of the 2^n assignments of signs to the ranks, how many are at least as extreme."""
    assert wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx(2 / 64)
    assert wilcoxon([-1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(4 / 32)
    assert wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0]) > 0.05
    assert wilcoxon([0.0, 0.0]) == 1.0
    assert wilcoxon([0.0, 3.0, np.nan]) == 1.0


def test_holm_on_a_worked_example():
    """p = 0.01, 0.04, 0.03, 0.005 (Wikipedia, "Holm-Bonferroni method"): the first and the last are rejected at 5 %."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []


def test_holm_is_the_sequential_procedure():
    """Holm 1979: reject by rising p as long as p_(k) <= alpha / (n - k + 1), and nothing after the first that fails."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        p = rng.random(6) ** 3
        rejected = np.zeros(6, dtype=bool)
        for k, i in enumerate(np.argsort(p)):
            if p[i] > 0.05 / (6 - k):
                break
            rejected[i] = True
        assert ((holm(p) <= 0.05) == rejected).all()


def test_bca_over_seeds():
    values = np.random.default_rng(4).exponential(1.0, 40)
    found, t = bootstrap_interval(values), t_interval(values)
    assert found.mean == t.mean
    assert found.low < found.mean < found.high
    assert found.low > t.low, "the values are skewed to the right, and so is the interval"
    assert found.high > t.high
    assert found == bootstrap_interval(values)
    assert bootstrap_interval([2.0, 2.0, 2.0]) == Interval(2.0, 2.0, 2.0)
    assert np.isnan(bootstrap_interval([2.0]).low)


def test_the_variance_of_the_hierarchical_bootstrap_by_hand():
    """Without an effect of videos, it is the bootstrap over seeds: the variance of the mean is that of [1, 2, 6] (14 / 3) / 3."""
    values = np.repeat([[1.0], [2.0], [6.0]], 50, axis=1)
    found = hierarchical_bootstrap(values, level=0.6826895, resamples=40_000)
    assert found.mean == 3.0
    assert found == Interval(3.0, *percentile_interval(draw_counts(3, 40_000, np.random.default_rng(0)) @ [1, 2, 6] / 3, 0.6826895))
    by_video = hierarchical_bootstrap(values.T, level=0.6826895, resamples=40_000)
    assert (by_video.high - by_video.low) / 2 == pytest.approx((14 / 9) ** 0.5, rel=0.1)


def test_coverage_of_the_hierarchical_bootstrap():
    """Seeds and videos both vary the truth; a bootstrap of one of the two alone, or of videos anew for each seed, is too sure."""
    rng = np.random.default_rng(5)
    whole, seeds_alone = [], []
    for _ in range(300):
        values = 1 + rng.normal(0, 1, (12, 1)) + rng.normal(0, 2, (1, 40)) + rng.normal(0, 1, (12, 40))
        found = hierarchical_bootstrap(values, resamples=500)
        whole.append(found.low <= 1 <= found.high)
        alone = t_interval(values.mean(axis=1))
        seeds_alone.append(alone.low <= 1 <= alone.high)
    assert 0.90 <= np.mean(whole) <= 0.98
    assert np.mean(seeds_alone) < 0.85


def toy(seed, noise):
    """Six videos of two classes, and detections of their instances with jitter and equal scores."""
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame(
        [(f"v{v}", "ab"[(v + i) % 2], 10.0 * i, 10.0 * i + 5) for v in range(6) for i in range(3)],
        columns=["video_id", "label", "start_s", "end_s"],
    )
    found = truth.assign(score=rng.integers(1, 4, len(truth)) / 4)
    found[["start_s", "end_s"]] += rng.normal(0, noise, (len(truth), 2))
    return truth, found


def test_the_bootstrap_of_map_scores_as_the_evaluator_does(monkeypatch):
    """One drawn sample, written out: videos drawn twice become two videos."""
    truth, good = toy(0, 0.5)
    _, bad = toy(1, 2.0)
    times = np.array([2, 0, 1, 3, 0, 0])
    monkeypatch.setattr("nontarget.statistics.resampling._draw", lambda *_: [np.array([[1]]), times[None]])
    found = map_difference(truth, [good], [bad], [0.5, 0.7], resamples=1)

    def drawn(table):
        repeated = table.loc[table.index.repeat(table["video_id"].map(lambda name: times[int(name[1])]))]
        copy = repeated.groupby(level=0).cumcount()
        return repeated.assign(video_id=repeated["video_id"] + "#" + copy.astype(str))

    expected = [evaluate_detections(drawn(truth), drawn(table), [0.5, 0.7]).average_mean_ap for table in (good, bad)]
    assert found.low == found.high == pytest.approx(expected[0] - expected[1])
    whole = [evaluate_detections(truth, table, [0.5, 0.7]).average_mean_ap for table in (good, bad)]
    assert found.mean == pytest.approx(whole[0] - whole[1])


def test_the_bootstrap_of_map_tells_good_from_bad():
    truth, _ = toy(0, 0.0)
    good, bad = ([toy(seed, noise)[1] for seed in range(3)] for noise in (0.3, 2.5))
    assert map_difference(truth, good, bad, [0.5], resamples=200).low > 0
    assert map_difference(truth, good, good, [0.5], resamples=50) == Interval(0.0, 0.0, 0.0)
    database = {"database": {f"v{v}": {"subset": "test", "annotations": []} for v in range(40)}}
    for video, label, start_s, end_s in truth.itertuples(index=False):
        database["database"][video]["annotations"].append({"label": label, "segment": [start_s, end_s]})
    assert map_difference(database, good, bad, [0.5], subset="test", resamples=50).mean > 0, "videos without an instance are drawn too"


def test_the_bootstrap_of_map_scores_under_a_protocol():
    """thumos14-212 leaves a video out: its instances and detections are not drawn either."""
    truth, good = toy(0, 0.3)
    _, bad = toy(1, 2.5)
    left_out = "video_test_0001292"
    names = {"v5": left_out}
    known, first, second = (table.replace({"video_id": names}) for table in (truth, good, bad))
    found = map_difference(known, [first], [second], protocol="thumos14-212", resamples=50)
    tious = [0.3, 0.4, 0.5, 0.6, 0.7]
    kept = [table[table["video_id"] != left_out] for table in (known, first, second)]
    assert found == map_difference(kept[0], [kept[1]], [kept[2]], tious, resamples=50)
    assert found != map_difference(known, [first], [second], tious, resamples=50)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t_interval([[1.0]]), "one-dimensional and finite"),
        (lambda: t_interval([1.0, np.inf]), "one-dimensional and finite"),
        (lambda: t_interval([1.0, 2.0], level=95), r"level must lie in \(0, 1\), got 95"),
        (lambda: smallest_detectable(1.0, 1), "two or more pairs"),
        (lambda: smallest_detectable(-1.0, 3), "deviation of at least 0"),
        (lambda: smallest_detectable(1.0, 3, power=1.0), r"power must lie in \(0, 1\)"),
        (lambda: holm([0.1, np.nan]), r"in \[0, 1\]"),
        (lambda: hierarchical_bootstrap([1.0, 2.0]), r"\[seeds, videos\].*\(2,\)"),
        (lambda: hierarchical_bootstrap([[1.0, np.nan]]), "finite numbers"),
        (lambda: hierarchical_bootstrap([[1.0]], resamples=0), "resamples must be at least 1"),
        (lambda: map_difference(toy(0, 1)[0], [toy(0, 1)[1]], [], [0.5]), "got 1 and 0 runs"),
    ],
)
def test_errors_say_what_is_accepted(call, message):
    with pytest.raises(ValueError, match=message):
        call()
