from dataclasses import fields, replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from helpers import TINY, dataset_of, labeled

from nontarget import plotting
from nontarget.data import book_datasets
from nontarget.data.simulate import TWINS
from nontarget.experiment import Experiment
from nontarget.inference import COLUMNS
from nontarget.results import ResultStore
from nontarget.statistics import smallest_detectable
from nontarget.study.comparison import Comparison
from nontarget.study.pages import ALL, ratio_curve, table_page
from nontarget.study.systems import MAIN_SYSTEMS, ExperimentFields, reported_map
from nontarget.study.tables import compare, current_tables, table1
from nontarget.study.tabs import Tabs
from nontarget.study.texttable import DETECTABLE, TextTable, detectable_text, interval_text

SYSTEMS = {name: Experiment(**TINY, rule=name) for name in ("supervised only", "baseline", "non-target")}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    store = ResultStore(tmp_path_factory.mktemp("tables"))
    return compare(SYSTEMS, 2, store=store, device="cpu", workers=1, progress=False), store


def made_up(values, dataset="thumos14-sim", ratio=0.1):
    """A comparison with given average mAP: system -> one value a seed."""
    maps = pd.DataFrame({(s, i): {"0.5": v, "avg": v} for s, row in values.items() for i, v in enumerate(row)}).T
    maps.index.names = ["system", "seed"]
    record = {
        "scored": {"videos": 3, "instances": 7, "detections": 20, "labeled": 2, "unlabeled": 8},
        "provenance": {"device": "cpu", "torch": "2", "commit": "c0ffee", "date": "2026-01-01"},
    }
    return Comparison(dataset, True, ratio, maps, (record,))


def test_differences_are_paired_by_seed():
    comparison = made_up({"baseline": [10.0, 20.0, 30.0], "non-target": [12.0, 22.0, 32.0]})
    gain = comparison.differences().loc["non-target"]
    assert gain[["mean", "low", "high", "num_values"]].tolist() == pytest.approx([2, 2, 2, 3])
    assert "+2.0 [+2.0,\N{NO-BREAK SPACE}+2.0]" in comparison.markdown()
    assert comparison.mean.loc["baseline", "avg"] == 20
    assert comparison.std.loc["baseline", "avg"] == pytest.approx(10)


def test_table_shows_the_paper_and_what_was_scored():
    text = made_up({"baseline": [30.0], "non-target": [31.0]}).markdown("table1-x")
    assert "simulated data" in text
    assert "| *Ours (paper)* | *33.5* |  | *34.9* |" in text
    assert "all 3 test videos with 7 instances" in text
    assert "no external video scores" in text
    assert "code c0ffee" in text
    assert ":name: table1-x" in text
    assert "| non-target | 31.0 | +1.0 | 31.0 |" in text
    assert "thresholds" not in text
    many = made_up({"baseline": [30.0]}, "activitynet-sim")
    many = replace(many, maps=many.maps.assign(**{f"{t:.2f}".rstrip("0"): 1.0 for t in np.arange(0.5, 0.96, 0.05)}))
    assert list(many.cells().columns) == ["System", "Avg.", "Δ", "0.5", "0.75", "0.95"]
    assert "Avg.: over all 10 thresholds from 0.5 to 0.95." in many.caption
    assert "(paper)" not in made_up({"baseline": [30.0]}, dataset="hapt").markdown()


def test_reported_numbers():
    frame = reported_map("table1", "thumos14-sim", 0.1)
    assert list(frame.index) == ["SSP", "SSTAP", "SPOT", "NPL", "Baseline", "Ours"]
    assert list(frame.columns) == ["0.3", "0.4", "0.5", "0.6", "0.7", "avg"]
    assert frame.loc["Ours", "avg"] == 33.5
    assert reported_map("table1", "activitynet-sim", 0.6).loc["Baseline"].to_dict() == {"0.5": 52.9, "0.75": 34.9, "0.95": 7.9, "avg": 35.0}
    assert not len(reported_map("table1", "hapt", 0.1))


def test_computed_comparison(computed):
    comparison, store = computed
    assert comparison.num_seeds == 2
    assert list(comparison.mean.index) == list(SYSTEMS)
    assert comparison.simulated
    assert len(list(store.records())) == 6
    assert comparison.maps.index.unique("seed").tolist() == [100, 101], "seeds of results"
    again = compare(SYSTEMS, [101], store=store, device="cpu", progress=False)
    assert again.num_seeds == 1
    assert len(list(store.records())) == 6, "read, not run"
    assert "<table" in again._repr_html_()


def test_committed_rows_are_used_only_when_current(computed, monkeypatch):
    comparison, store = computed
    store.commit(comparison.records)
    read = compare(SYSTEMS, 2, source="committed", store=store)
    pd.testing.assert_frame_equal(read.maps, comparison.maps, atol=1e-4)
    assert read.scored == comparison.scored
    some = compare(SYSTEMS, 3, source="committed", store=store)
    assert some.unavailable == ()
    assert some.partial == tuple(f"{name}: 2 of 3 seeds" for name in SYSTEMS)
    missing = compare(SYSTEMS, [102, 103, 104], source="committed", store=store)
    assert missing.unavailable[0] == "supervised only: no current committed result (seeds 102 to 104 missing)"
    assert len(missing.unavailable) == 3
    assert missing.partial == ()
    import nontarget.rules.non_target

    monkeypatch.setattr(nontarget.rules.non_target.NonTarget, "version", 99)
    stale = compare(SYSTEMS, 2, source="committed", store=store)
    assert list(stale.mean.index) == ["supervised only", "baseline"]
    assert stale.unavailable == ("non-target: no current committed result (seeds 100 and 101 stale)",)
    assert "non-target: no current committed result" in stale.markdown()


def test_nothing_to_show_is_said(tmp_path):
    empty = compare(SYSTEMS, 2, source="stored", store=ResultStore(tmp_path))
    assert len(empty.unavailable) == 3
    assert "Nothing was scored." in empty.markdown()
    assert "non-target: no current stored result (seeds 100 and 101 missing)" in empty.markdown()
    with pytest.raises(ValueError, match="unknown source 'store'; did you mean 'stored'"):
        compare(SYSTEMS, 1, source="store", store=ResultStore(tmp_path))


def test_bad_requests():
    with pytest.raises(ValueError, match="nothing to compare"):
        table1(seeds=0)
    with pytest.raises(ValueError, match="unknown learning rule"):
        table1(systems=["our"], seeds=1)
    with pytest.raises(ValueError, match="unknown data set"):
        table1("thumos", seeds=1)
    assert set(MAIN_SYSTEMS) >= {"supervised only", "baseline", "non-target", "fully supervised", "whole-video"}


def test_options_that_cannot_matter_are_refused(tmp_path):
    """A run option where nothing is computed, and what does not go with ``all``; defaults, as a notebook passes them, are no request."""
    store = ResultStore(tmp_path)
    for options, name in (({"device": "cuda"}, "device='cuda'"), ({"workers": 2}, "workers=2"), ({"recompute": True}, "recompute=True")):
        for source in ("committed", "stored"):
            with pytest.raises(ValueError, match=f"{name} has no effect with source='{source}', which computes nothing"):
                compare(SYSTEMS, 1, source=source, store=store, **options)
    with pytest.raises(ValueError, match="unknown option 'devise'; did you mean 'device'"):
        compare(SYSTEMS, 1, source="committed", store=store, devise="cpu")
    assert compare(SYSTEMS, 1, source="committed", store=store, device="auto", workers=None).unavailable
    with pytest.raises(ValueError, match="source='auto' computes runs, for one data set and ratio at a time"):
        table_page("table2", ALL, ALL, store=store)
    with pytest.raises(ValueError, match="device='cuda' has no effect where dataset or ratio is 'all'"):
        table_page("table2", "hapt", ALL, source="committed", device="cuda", store=store)
    with pytest.raises(ValueError, match=r"ratio must be a share of labelled videos in \(0, 1\], or 'all'; got 'al'"):
        table_page("table2", "hapt", "al", store=store)
    with pytest.raises(ValueError, match="features='folder' has no effect"):
        table_page("table2", ALL, 0.1, source="committed", features="folder", store=store)


def test_a_page_is_one_comparison_or_tabs(tmp_path):
    store = ResultStore(tmp_path)
    every = [table_page(table, ALL, 0.2, source="committed", store=store).missing for table in ("table1", "table2", "external")]
    assert every[0] == tuple(f"{name} 20 %" for name in book_datasets())
    assert every[1] == tuple(f"{name} 20 %" for name in ("thumos14-sim", "activitynet-sim", "shrec21", "hapt")), "of which the book has it"
    assert every[2] == tuple(f"{name} 20 %" for name in TWINS)
    single = table_page("table2", source="committed", store=store)
    assert len(single.single.unavailable) == 3
    assert "its gates were not computed" in single._repr_markdown_()
    assert "tab-set" not in single._repr_markdown_()
    assert "not computed yet" in single.summary.cells.to_string()
    assert single.frame().empty
    plotting.map_figure(single).savefig(tmp_path / "nothing.png")
    tabs = table_page("table2", "hapt", ALL, source="committed", store=store)
    assert tabs.single is None
    plotting.map_figure(tabs).savefig(tmp_path / "no tabs.png")
    assert tabs.missing == ("hapt 10, 20, 40, 60 %",)
    assert ratio_curve(store=store) == []


def test_findings_open_with_one_bold_sentence():
    values = {"baseline": [10.0, 20.0, 30.0], "non-target": [12.0, 22.0, 32.0], "SPOT": [9.0, 20.0, 31.0], "whole-video": [1.0, 1.0, 1.0]}
    lines = made_up(values).findings.splitlines()
    bold = "**Against baseline, better: non-target; not distinguishable with these seeds: SPOT.**"
    assert lines[0] == f"{bold} Significant after Holm's correction for 2 differences: non-target. {DETECTABLE}"
    assert f"- SPOT: 0.0 [-2.5, +2.5] points of average mAP (detectable: {smallest_detectable(1.0, 3):.1f})." in lines
    assert "- non-target: +2.0 [+2.0, +2.0] points of average mAP." in lines
    assert lines[-1].startswith("- The data are simulated: nothing here is a result on thumos14")
    assert made_up({"non-target": [1.0]}).findings.startswith("**Nothing to compare with baseline.**")


def test_fields_of_a_row_are_those_of_an_experiment():
    assert {f.name for f in fields(Experiment)} == ExperimentFields.__annotations__.keys()


def test_figures(computed, tmp_path):
    comparison, _ = computed
    other = made_up({"supervised only": [20.0, 21.0], "baseline": [30.0, 33.0], "non-target": [31.0, 34.0]}, ratio=0.2)
    video_of = labeled("v", [(0, 1.0, 4.0)])
    truth = dataset_of([video_of]).instances([video_of])
    found = pd.DataFrame([("v", "a", 1.0, 3.0, 0.9), ("v", "b", 4.0, 5.0, 0.2), ("w", "b", 0.0, 1.0, 0.9)], columns=COLUMNS)
    curve = pd.DataFrame([(0.1, "0.5", 30.0, 32.8), (0.2, "0.5", 33.0, 34.2)], columns=["ratio", "tiou", "twin", "paper"])
    figures = {
        "tiou": plotting.map_by_tiou(other),
        "ratio": plotting.map_by_ratio([other, comparison]),
        "nothing": plotting.map_by_ratio([compare(SYSTEMS, 1, source="stored", store=ResultStore(tmp_path / "empty"))]),
        "curves": plotting.training_curves(comparison.records[-1]["curves"]),
        "timeline": plotting.timeline(truth, found, video_of.video),
        "distributions": plotting.distributions({"x": {"a": [1, 2], "b": [2, 3]}, "y": {"a": [1, 2]}}, log=["x"]),
        "difficulty": plotting.difficulty(curve),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 3000
    assert "".join(t.get_text() for t in figures["tiou"].axes[0].get_legend().get_texts()).count("non-target") == 2, (
        "non-target, and the paper's"
    )
    assert len(figures["timeline"].axes[0].patches) == 3, "one instance and two detections, of this video alone"
    assert "simulated" in figures["tiou"].axes[0].get_title()


def test_tables_with_external_scores_say_where_they_were_used():
    comparison = made_up({"baseline": [10.0], "non-target": [12.0]})
    assert "no external video scores" in comparison.scored
    helped = replace(comparison, helped=("non-target",))
    assert "external video scores (simulated) in non-target only" in helped.scored


def test_every_run_of_several_tables_as_one_frame():
    tabs = Tabs((made_up({"a": [1.0, 2.0]}), made_up({"a": [3.0]}, "activitynet-sim", 0.2)))
    frame = tabs.frame()
    assert frame[["dataset", "label_ratio", "system", "seed", "avg"]].values.tolist() == [
        ["thumos14-sim", 0.1, "a", 0, 1.0],
        ["thumos14-sim", 0.1, "a", 1, 2.0],
        ["activitynet-sim", 0.2, "a", 0, 3.0],
    ]


def test_an_interval_that_contains_0_says_what_is_detectable():
    assert interval_text(1.0, 0.5, 1.5, 0.7) == "+1.0 [+0.5, +1.5]"
    assert interval_text(0.2, -0.5, 0.9, 0.7) == "+0.2 [-0.5, +0.9] (detectable: 0.7)"
    assert interval_text(0.2, -0.5, 0.9) == "+0.2 [-0.5, +0.9]"
    assert interval_text(0.2, -0.5, 0.9, 0.7, "points") == "+0.2 [-0.5, +0.9] points (detectable: 0.7)"
    assert interval_text(0.2, np.nan, np.nan, np.nan, "points") == "+0.2 points"
    assert interval_text(0.0, 0.0, 0.0, 0.0) == "0.0 [0.0, 0.0]", "without any spread there is nothing to detect"
    assert detectable_text([2.0, np.nan, 0.5, 1.0]) == " (detectable: 0.5 to 2.0)"


def test_where_systems_differ_is_one_table():
    """From intervals by hand: +2 to all, -2 to all, and -1, 0, +1 (twice); a single seed has no interval."""
    base = [10.0, 20.0, 30.0]
    better, worse, unsure = ([b + g for b, g in zip(base, gain, strict=True)] for gain in ([2, 2, 2], [-2, -2, -2], [-1, 0, 1]))
    tabs = Tabs(
        (
            made_up({"whole-video": [0.0, 0.0, 0.0], "baseline": base, "non-target": better, "SPOT": unsure}),
            made_up({"baseline": base, "non-target": better, "SPOT": unsure}, ratio=0.2),
            replace(made_up({"baseline": base, "non-target": worse}, "hapt"), simulated=False),
        )
    )
    assert tabs.summary.cells.set_index("System").to_dict("index") == {
        "non-target": {"better": "thumos14-sim 10, 20", "worse": "hapt 10", "not distinguishable with these seeds": ""},
        "SPOT": {"better": "", "worse": "", "not distinguishable with these seeds": "thumos14-sim 10 (3.3), 20 (3.3)"},
    }
    assert tabs.findings.startswith("**Of 5 differences from the reference, 3 have a 95 % interval that excludes 0; ")
    assert "Significant after Holm's correction for all 5: 3." in tabs.findings
    assert DETECTABLE in tabs.summary.caption
    assert tabs.findings.endswith("Simulated data: thumos14-sim; nothing there is a result on the real data set.")
    alone = Tabs((made_up({"baseline": [1.0], "non-target": [2.0]}),))
    assert alone.summary.cells.to_dict("records") == [{"System": "non-target", "one seed, so no interval": "thumos14-sim 10"}]


def test_tables_of_two_systems_at_least_are_shown_and_the_others_named(tmp_path, monkeypatch):
    rows = {"thumos14-sim": {"non-target": [1.0], "SPOT": [2.0]}, "hapt": {"non-target": [1.0]}}
    monkeypatch.setattr("nontarget.study.tables.paper_table", lambda _, d, ratio, *__, **___: made_up(rows[d], d, ratio))
    found = current_tables("table1", product(rows, [0.1, 0.2]))
    assert [(c.dataset, c.label_ratio) for c in found.comparisons] == [("thumos14-sim", 0.1), ("thumos14-sim", 0.2)]
    assert found.missing == ("hapt 10, 20 %",)
    assert found.not_computed == "Not computed yet: hapt 10, 20 %."


def test_tables_without_results_say_so(tmp_path):
    found = current_tables("table2", [("thumos14-sim", 0.1)], store=ResultStore(tmp_path))
    assert found.comparisons == ()
    assert found.not_computed == "Not computed yet: thumos14-sim 10 %."
    assert found.findings == f"**{found.not_computed}**"
    assert "not computed yet" in found.summary.cells.to_string()


def test_a_panel_for_each_data_set_and_no_more():
    comparisons = [made_up({"baseline": [10.0, 11.0]}, d, r) for d in ("x", "y", "z") for r in (0.1, 0.2)]
    figure = plotting.maps_by_ratio(comparisons)
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == ["x (simulated)", "y (simulated)", "z (simulated)"]
    whole, part = made_up({"a": [1.0], "b": [2.0], "c": [3.0]}), made_up({"c": [3.0], "d": [4.0]}, "hapt")
    figure = plotting.maps_by_ratio([whole, part])
    colours = [{c.get_label(): c.lines[0].get_color() for c in axes.containers} for axes in figure.axes[:2]]
    assert colours[0]["c"] == colours[1]["c"], "a system has one colour in all panels"
    assert len(set((colours[0] | colours[1]).values())) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="nothing to draw"):
        plotting.maps_by_ratio([])


def test_a_bar_in_a_cell_does_not_begin_another():
    text = TextTable(pd.DataFrame([{"P(a | b)": "P(c | d)", "value": 0.5}]), "Caption")._repr_markdown_()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows == [r"| P(a \| b) | value |", "| :-- | :-- |", r"| P(c \| d) | 0.5 |"]
