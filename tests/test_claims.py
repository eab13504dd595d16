from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from nontarget.experiment import Experiment
from nontarget.plotting.claims import differences
from nontarget.results import ResultStore, identity_key
from nontarget.statistics import holm, pairs_to_exclude_zero, smallest_detectable
from nontarget.study.claims import RULE, ledger
from nontarget.study.claims.ledger import paper_cell
from nontarget.study.claims.quantities import CommittedRuns, Fading, Gap, LargerSpace, NoGain, RarelyTrue, TruthShare
from nontarget.study.claims.stated import SMALLER_SPACE, Claim, Group, stated_claims
from nontarget.study.claims.verdicts import judge
from nontarget.study.systems import FIRST_SEED, TABLES, reported_map

THUMOS, ACTIVITYNET = "thumos14-sim", "activitynet-sim"
OCCUPANCY = {
    "truth_target": 0.7, "truth_positive": 0.10, "truth_negative": 0.05, "truth_ambiguous": 0.15,
    "action_target": 0.5, "action_positive": 0.02, "action_negative": 0.30, "action_ambiguous": 0.18,
    "size_positive": 1.0, "size_negative": 17.0, "size_ambiguous": 2.0,
}  # fmt: skip


def made_up(experiment, average, occupancy=None):
    """The record of a run that was never run."""
    identity = experiment.identity()
    tious = [f"{t:g}" for t in identity["protocol"]["tiou_thresholds"]]
    return {
        "key": identity_key(identity),
        "identity": identity,
        "scores": dict.fromkeys([*tious, "avg"], average / 100),
        "scored": {"videos": 3, "instances": 7, "detections": 20, "labeled": 2, "unlabeled": 8},
        "provenance": {"device": "cpu", "torch": "2", "commit": "c0ffee", "date": "2026-01-01", "seconds": {"all": 1.0}},
        "occupancy": OCCUPANCY if occupancy is None else occupancy,
        "gradient_share": {},
        "curves": {},
    }


@pytest.fixture
def store(tmp_path):
    store = ResultStore(tmp_path)
    store.prepare()
    return store


def commit(store, averages, dataset=THUMOS, table="table1", ratio=0.1, **options):
    """Average mAP of a table's systems: system -> one value a seed, from the first seed of results on."""
    rows = TABLES[table].experiments(Experiment(dataset, label_ratio=ratio))
    seeds = [(replace(rows[s], seed=i), v) for s, row in averages.items() for i, v in enumerate(row, FIRST_SEED)]
    records = [made_up(experiment, v, **options) for experiment, v in seeds]
    store.commit(records)


def finding(store, *quantities, dataset=THUMOS, seeds=3):
    return judge(Group("g", "Group", "", ()), Claim("claim", quantities), dataset, CommittedRuns(seeds, store))


BASELINE = [30.0, 33.0, 31.0]


@pytest.mark.parametrize(
    ("non_target", "verdict", "cell"),
    [
        ([32.0, 35.0, 33.5], "reproduced", "✓ reproduced: +2.2 [+1.4, +2.9]"),
        ([28.0, 31.0, 28.5], "not reproduced", "✗ not reproduced: -2.2 [-2.9, -1.4]"),
        ([28.0, 35.0, 32.5], "undetermined", "? undetermined: +0.5 [-4.9, +5.9] (detectable: 7.1)"),
    ],
)
def test_a_difference_forces_each_verdict(store, non_target, verdict, cell):
    commit(store, {"baseline": BASELINE, "non-target": non_target})
    found = finding(store, Gap("non-target", "baseline"))
    assert found.verdict == verdict
    assert found.cell == cell
    interval = stats.ttest_1samp(np.subtract(non_target, BASELINE), 0).confidence_interval(0.95)
    assert (found.evidence[0].value.low, found.evidence[0].value.high) == pytest.approx(tuple(interval), abs=1e-3)


def test_a_missing_run_leaves_a_claim_open(store):
    commit(store, {"baseline": BASELINE, "non-target": [40.0, 43.0]})
    found = finding(store, Gap("non-target", "baseline"))
    assert found.verdict == "undetermined"
    assert found.cell == "? undetermined: no current run"
    assert found.evidence[0].missing == "thumos14-sim, 10 % labelled: non-target: 2 of 3 seeds"
    assert finding(store, Gap("non-target", "baseline"), seeds=2).verdict == "reproduced"
    assert finding(store, Gap("non-target", "baseline"), seeds=1).verdict == "undetermined", "one seed has no interval"


def test_a_stale_run_is_no_evidence(store, monkeypatch):
    import nontarget.rules.non_target

    commit(store, {"baseline": BASELINE, "non-target": [40.0, 43.0, 41.5]})
    assert finding(store, Gap("non-target", "baseline")).verdict == "reproduced"
    monkeypatch.setattr(nontarget.rules.non_target.NonTarget, "version", 99)
    found = finding(store, Gap("non-target", "baseline"))
    assert found.verdict == "undetermined"
    assert "non-target: no current committed result (seeds 100 to 102 stale)" in found.evidence[0].missing


def test_an_ordering_needs_every_pair(store):
    order = (Gap("non-target", "NPL-style"), Gap("NPL-style", "SPOT"))
    commit(store, {"SPOT": BASELINE, "NPL-style": [32.0, 35.1, 33.0], "non-target": [34.0, 37.1, 35.1]})
    assert finding(store, *order).cell == "✓ reproduced: 2 of 2 above 0, 0 below"
    commit(store, {"non-target": [34.0, 34.0, 35.1]})
    assert finding(store, *order).cell == "? undetermined: 1 of 2 above 0, 0 below (detectable: 5.9)"
    commit(store, {"non-target": [30.0, 33.1, 31.1]})
    assert finding(store, *order).cell == "✗ not reproduced: 1 of 2 above 0, 1 below"
    wrong_and_missing = finding(store, *order, Gap("SPOT", "SSTAP"))
    expected = "✗ not reproduced: 1 of 3 above 0, 1 below, 1 without a run"
    assert wrong_and_missing.cell == expected, "one pair the wrong way round is enough"


def test_a_fading_gain(store):
    """Gains of 4, 3, 1, -1 (and a little, by seed) lie on a line that falls by 5 from 10 to 60 %."""
    for ratio, gain in ((0.1, 4.0), (0.2, 3.0), (0.4, 1.0), (0.6, -1.0)):
        commit(store, {"baseline": BASELINE, "non-target": [30.0 + gain, 33.0 + gain * 1.1, 31.0 + gain * 0.9]}, ratio=ratio)
    found = finding(store, Fading("non-target", "baseline"))
    assert found.verdict == "reproduced"
    assert found.evidence[0].value.mean == pytest.approx(5.0, abs=1e-3)
    assert finding(store, Fading("baseline", "non-target")).verdict == "not reproduced"
    assert finding(store, Fading("non-target", "baseline"), dataset=ACTIVITYNET).missing


def test_a_larger_label_space(store):
    quantity = LargerSpace(Gap("non-target", "baseline"), SMALLER_SPACE)
    commit(store, {"baseline": BASELINE, "non-target": [31.0, 34.1, 32.0]})
    commit(store, {"baseline": BASELINE, "non-target": [35.0, 38.0, 36.2]}, dataset=ACTIVITYNET)
    found = finding(store, quantity, dataset=ACTIVITYNET)
    assert found.verdict == "reproduced"
    assert found.evidence[0].value.mean == pytest.approx((4.0 + 3.9 + 4.2) / 3, abs=1e-3)
    nothing = finding(store, quantity)
    assert nothing.cell == "–", "the smaller set is what the larger is compared with"
    assert nothing.evidence == ()


def test_no_gain_on_a_small_set(store):
    """The bar is the paper's smallest gain; a twin stands for the small set here."""
    quantity = NoGain(Gap("non-target", "baseline"), (THUMOS,))
    reported = [reported_map("table1", d, r)["avg"] for d in ("thumos14", "activitynet") for r in (0.1, 0.2, 0.4, 0.6)]
    assert quantity.margin == pytest.approx(min(row["Ours"] - row["Baseline"] for row in reported))
    for gain, verdict in ((0.0, "reproduced"), (2.0, "not reproduced"), (quantity.margin, "undetermined")):
        commit(store, {"baseline": BASELINE, "non-target": [30.1 + gain, 32.9 + gain, 31.0 + gain]})
        assert finding(store, quantity).verdict == verdict
    assert finding(store, quantity, dataset=ACTIVITYNET).evidence == ()


def test_where_the_truth_lies_against_chance(store):
    """21 classes: chance is 1 / 21 for the positive set, and 17 / 21 for the negative one."""
    commit(store, {"non-target": [30.0]})
    runs = CommittedRuns(1, store)
    for quantity, expected in (
        (TruthShare("positive"), 10 - 100 / 21),
        (TruthShare("negative"), 1700 / 21 - 5),
        (TruthShare("positive", "action"), 2 - 100 / 21),
        (TruthShare("negative", "action"), 1700 / 21 - 30),
        (RarelyTrue(), 10 - 5),
        (RarelyTrue("action"), 10 - 30),
    ):
        assert quantity.values(runs, THUMOS).tolist() == pytest.approx([expected])
    assert finding(store, TruthShare("positive"), seeds=1).verdict == "undetermined"
    commit(store, {"non-target": [30.0, 31.0, 32.0]})
    assert finding(store, TruthShare("positive")).verdict == "reproduced"
    assert finding(store, TruthShare("positive", "action")).verdict == "not reproduced"


def test_the_paper_s_numbers_are_read():
    assert Gap("non-target", "NPL-style", ratio=0.6).paper("activitynet") == pytest.approx(35.9 - 35.7)
    assert Gap("non-target", "NPL-style").paper("hapt") is None
    assert Gap("SSTAP", "SSP-style", ratio=0.2).paper("thumos14") is None, "Table 1 has no such row"
    gains = [Gap("non-target", "baseline", ratio=r).paper("activitynet") for r in (0.1, 0.2, 0.4, 0.6)]
    slope = np.polyfit([0.1, 0.2, 0.4, 0.6], gains, 1)[0]
    assert Fading("non-target", "baseline").paper("activitynet") == pytest.approx(-slope * 0.5)
    assert LargerSpace(Gap("non-target", "baseline"), {}).paper("activitynet") == pytest.approx(2.4 - 2.1)
    assert paper_cell(Claim("", (Gap("non-target", "baseline"),))) == "+2.1 / +2.4"
    assert paper_cell(Claim("", (Gap("non-target", "soft pseudo label", "table5"),))) == "+1.8 / –"


def test_every_claim_can_be_looked_up():
    """Systems are rows of their table, and what the paper has numbers for bears its claim where it makes it."""
    groups = stated_claims()
    assert [g.name for g in groups] == ["table1", "labels", "table2", "table3", "table4", "table5", "figure5"]
    for group in groups:
        for claim in group.claims:
            for quantity in claim.quantities:
                if isinstance(quantity, Gap):
                    assert {quantity.better, quantity.worse} <= set(TABLES[quantity.table].systems)
                    assert quantity.paper("thumos14") > 0, claim.text
    ordering = next(c for c in groups[0].claims if c.text.startswith("10 %: Ours >"))
    named = [TABLES["table1"].paper[q.better] for q in ordering.quantities] + [TABLES["table1"].paper[ordering.quantities[-1].worse]]
    assert named == ["Ours", "NPL", "SPOT", "SSTAP", "SSP"]


def test_the_ledger(store):
    commit(store, {"baseline": BASELINE, "non-target": [32.0, 35.0, 33.5], "NPL-style": [33.0, 35.0, 33.4]})
    commit(store, {"baseline": BASELINE, "non-target": [28.0, 31.0, 28.5]}, dataset=ACTIVITYNET)
    book = ledger((THUMOS, ACTIVITYNET), 3, store=store, groups=stated_claims()[:2])
    tables = {group.name: table for group, table in book.tables()}
    first = tables["table1"].cells.iloc[0]
    assert first["Paper: THUMOS14 / ActivityNet"] == "+2.1 / +2.4"
    assert first["thumos14-sim (simulated)"].startswith("✓ reproduced: +2.2")
    assert first["activitynet-sim (simulated)"].startswith("✗ not reproduced: -2.2")
    assert "```{table} Verdicts on simulated data, Table 1: against" in tables["table1"]._repr_markdown_()
    assert "<td>✓ reproduced" in tables["table1"]._repr_html_()

    counts = book.counts().set_index("Data set")
    thumos = counts.loc["thumos14-sim (simulated)"]
    assert thumos["✓ reproduced"] == 1
    assert thumos["Claims"] == thumos["✓ reproduced"] + thumos["✗ not reproduced"] + thumos["? undetermined"]
    assert thumos["of these without a current run"] == thumos["? undetermined"] - 1, "non-target and NPL were run, and are too close"
    assert counts.loc["activitynet-sim (simulated)", "✗ not reproduced"] == 2, "the gain, and that it is larger with more classes"

    needed = pairs_to_exclude_zero(pd.Series([-1.0, 0.0, 0.1]))
    detectable = smallest_detectable(float(np.std([-1.0, 0.0, 0.1], ddof=1)), 3)
    outlook = f"1 for lack of seeds (detectable: {detectable:.1f}); if means and spreads stay the same, "
    assert f"{outlook}{needed} to {needed} seeds would settle 1 of these" in book.outlook()
    assert book.conclusion.startswith(
        "**The paper says that 4 measured quantities are above 0: the interval lies above 0 for 1 and below for 2; "
    )
    directions = book.directions.cells.set_index("Quantity")
    assert directions.loc["non-target over baseline"].tolist() == [1, 1, 2]
    assert directions.loc["non-target over NPL-style"].tolist() == [0, 0, 1]
    details = book.details()
    assert set(details["verdict"]) == {"reproduced", "not reproduced", "undetermined"}
    row = details.iloc[0]
    assert (row["quantity"], row["paper"], row["missing"]) == ("non-target over baseline, 10 %", pytest.approx(2.1), "")
    figure = differences(book.chart())
    assert isinstance(figure, Figure)
    assert [axes.get_title() for axes in figure.axes] == ["thumos14-sim\n(simulated)", "activitynet-sim\n(simulated)"]


def test_claims_against_chance_stand_apart(store):
    """They are easily met, and neither their number nor their p values mix with those of the others."""
    commit(store, {"non-target": [30.0, 31.0, 32.0], "baseline": [30.0, 31.1, 31.8]})
    groups = stated_claims()
    book = ledger((THUMOS,), 3, store=store, groups=[groups[0], groups[-1]])
    counts = book.counts().set_index("Criterion")["Claims"]
    assert counts.to_dict() == {"more than chance": len(groups[0].claims) + 2, "chance alone": 4}
    details = book.details()
    assert set(details.loc[details["weak"], "about"]) == {f"truth in {kind} classes against chance" for kind in ("positive", "negative")}
    tested = details.dropna(subset=["p_value"])
    assert tested.groupby("weak").size().to_dict() == {False: 3, True: 4}
    for _, part in tested.groupby("weak"):
        assert part["p_holm"].tolist() == pytest.approx(holm(part["p_value"]))
    assert (
        "Counted apart: 4 quantities against chance, a weak criterion; the interval lies above 0 for 3 and below for 1." in book.conclusion
    )


def test_a_ledger_without_runs(store):
    book = ledger((THUMOS,), 3, store=store)
    assert book.conclusion.startswith("**The paper says that 0 measured quantities are above 0")
    assert book.details()["p_holm"].isna().all()
    assert "0 for lack of seeds." in book.outlook()


def test_the_rule_is_printed_in_full():
    for verdict in ("✓ reproduced", "✗ not reproduced", "? undetermined"):
        assert f"**{verdict}**" in RULE


def test_differences_draws_what_there_is():
    frame = pd.DataFrame(
        [("a (real)", "x", 1.0, 0.5, 1.5), ("a (real)", "y", 0.2, -1.0, 1.4), ("b (real)", "x", np.nan, np.nan, np.nan)],
        columns=["panel", "row", "mean", "low", "high"],
    )
    first, second = differences(frame).axes
    filled, hollow = [line for line in first.lines if line.get_marker() == "o"]
    assert (filled.get_xdata().tolist(), filled.get_markerfacecolor()) == ([1.0], "black")
    assert (hollow.get_xdata().tolist(), hollow.get_markerfacecolor()) == ([0.2], "white")
    assert [text.get_text() for text in second.texts] == ["no result"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["x", "y"]
    with pytest.raises(ValueError, match="at least one row"):
        differences(frame[:0])
