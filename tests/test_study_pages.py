"""Comparisons say where the instrument is not known to tell rules apart, and pages say what is not computed."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from test_study_gates import decompositions, made_up
from test_tables import made_up as comparison_of

from nontarget.results import ResultStore
from nontarget.study import choices, pages
from nontarget.study.readme import CAME_OUT, CHART, came_out, chart, rewritten
from nontarget.study.tabs import Tabs

BOTH = {"baseline": [10.0, 11.0, 12.0], "non-target": [12.0, 13.5, 14.0], "supervised only": [12.0, 13.0, 14.0]}


@pytest.fixture
def instrument(monkeypatch):
    """Gates on made-up records."""

    def with_records(**options):
        monkeypatch.setattr(pages, "anywhere", lambda store: made_up(**options))
        monkeypatch.setattr(pages, "decompositions", lambda store: decompositions())

    return with_records


def test_a_comparison_without_gates_says_so(tmp_path):
    marked = pages.marked(comparison_of(BOTH), ResultStore(tmp_path))
    assert "its gates were not computed" in marked.markdown()
    assert "its gates were not computed" in marked._repr_html_()
    assert "**" not in marked._repr_html_()


def test_a_failing_gate_stands_under_the_table(instrument, tmp_path):
    instrument(doubled=0.3)
    text = pages.marked(comparison_of(BOTH), ResultStore(tmp_path)).markdown()
    assert "gate e fails" in text
    assert text.index("gate e fails") > text.index("| non-target |")
    tabs = pages.marked_tabs(Tabs((comparison_of(BOTH), comparison_of(BOTH, ratio=0.2))), ResultStore(tmp_path))
    assert "On thumos14-sim 10 %, thumos14-sim 20 % a gate of the instrument fails" in tabs.findings


def test_where_all_gates_hold_there_is_no_mark(instrument, tmp_path):
    instrument()
    assert pages.marked(comparison_of(BOTH), ResultStore(tmp_path)).mark == ""
    (report,) = pages.gate_reports([("thumos14-sim", 0.1)], ResultStore(tmp_path)).values()
    assert "All gates hold in 1 of 1 cells" in pages.gates_findings([report])


def test_gates_are_those_of_the_detector(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(pages, "anywhere", lambda store: lambda experiment: asked.append(experiment.detector))
    pages.marked_tabs(Tabs((comparison_of(BOTH),)), ResultStore(tmp_path))
    assert set(asked) == {"spot"}
    asked.clear()
    pages.marked(replace(comparison_of({"ActionFormer": [1.0]}), table="table3"), ResultStore(tmp_path))
    assert set(asked) == {"actionformer"}


def test_tables_without_results_say_so():
    tabs = Tabs((), "table2-all", ("thumos14-sim 10, 20 %", "hapt 10 %"))
    assert "Not computed yet: thumos14-sim 10, 20 %; hapt 10 %." in tabs._repr_markdown_()
    assert "Not computed yet" in tabs.findings
    assert tabs.frame().empty
    assert "not computed yet" in tabs.summary._repr_markdown_()


# --- the README


def test_what_came_out_is_computed():
    text = came_out([comparison_of(BOTH)])
    assert "Against the pseudo-label *baseline*: better on thumos14-sim +2.2" in text
    assert "Against *supervised only*: not distinguishable with these seeds on thumos14-sim +0.2" in text
    assert "Not computed yet: activitynet-sim" in text
    assert came_out([]).startswith("Not computed yet")


def test_the_picture_is_computed():
    drawn = chart([comparison_of(BOTH)])
    assert "bar [11.0]" in drawn
    assert "line [13.2]" in drawn
    assert '"thumos14-sim 10 %"' in drawn
    assert "not computed yet" in chart([])


def test_only_what_lies_between_the_markers_changes():
    text = f"a {CHART[0]}stale{CHART[1]} b\n- {CAME_OUT[0]}stale\n  text{CAME_OUT[1]} c\n"
    new = rewritten(text, [comparison_of(BOTH)])
    assert new.startswith(f"a {CHART[0]}")
    assert new.endswith(f"{CAME_OUT[1]} c\n")
    assert "stale" not in new
    assert rewritten(new, [comparison_of(BOTH)]) == new
    with pytest.raises(ValueError, match="markers"):
        rewritten("nothing", [])


# --- the log of choices


def test_the_log_is_shown():
    row = dict.fromkeys(choices.COLUMNS, "") | {"question": "how long?", "dataset": "hapt", "label_ratio": 0.1, "system": "baseline"}
    row |= {"seeds": "0 1", "std": 0.5}
    table = pd.DataFrame(
        [row | {"setting": "50", "average_map": 40.0}, row | {"setting": "100", "average_map": 41.0, "chosen": "yes", "why": "flat after"}]
    )
    assert choices.summary(table).cells.iloc[0].to_dict() == {
        "Question": "how long?",
        "Tried": "50; 100",
        "On": "hapt 10 % (baseline)",
        "Chosen": "100",
        "Why": "flat after",
    }
    assert choices.trials(table, "how long?").cells.to_numpy().tolist() == [["50", "40.0 ± 0.5"], ["100", "**41.0 ± 0.5**"]]
    assert choices.trials(table, "how long?").caption.endswith("seeds 0 1. Bold: chosen.")
    assert "2 settings were tried for 1 questions, of which 1" in choices.choices_findings(table)
    many = pd.concat([table.assign(setting=table["setting"] + added) for added in ("", "0", "00")])
    assert choices.summary(many).cells["Tried"].tolist() == ["6 settings, listed below"]
    nothing = pd.DataFrame(columns=choices.COLUMNS)
    assert "No trial" in choices.choices_findings(nothing)
    assert choices.summary(nothing).cells.empty


def test_what_was_chosen_is_marked_by_data_set(tmp_path):
    path = tmp_path / "choices.csv"
    row = dict.fromkeys(choices.COLUMNS, "") | {"question": "how long?", "label_ratio": 0.1, "system": "baseline", "std": 0.5}
    trials = [(s, d, 40.0) for s in ("50", "100") for d in ("hapt", "nips4b")]
    table = pd.DataFrame([row | {"setting": s, "dataset": d, "average_map": average} for s, d, average in trials])
    table.loc[[0, 3], "chosen"], table.loc[[0, 3], "why"] = "yes", ["flat after", "still rises"]
    cells = choices.summary(table).cells.iloc[0]
    assert cells["Chosen"] == "hapt: 50; nips4b: 100"
    assert cells["Why"] == "hapt: flat after; nips4b: still rises"
    shown = choices.trials(table, "how long?").cells.to_numpy().tolist()
    assert shown == [["50", "**40.0 ± 0.5**", "40.0 ± 0.5"], ["100", "40.0 ± 0.5", "**40.0 ± 0.5**"]]
    choices.log(table, path)
    choices.choose("how long?", None, "30 are in use", path)
    cells = choices.summary(choices.read_choices(path)).cells.iloc[0]
    assert (cells["Chosen"], cells["Why"]) == ("none of these", "30 are in use")
    with pytest.raises(ValueError, match="no trial of '70'"):
        choices.choose("how long?", "70", "longest", path)
    with pytest.raises(ValueError, match="no trial of None for 'how wide"):
        choices.choose("how wide?", None, "any", path)


def test_limits_of_the_committed_log():
    """Which questions came late, and which were decided on one data set, is what the log says."""
    log = choices.read_choices(Path(__file__).parents[1] / "results" / "choices.csv")
    assert set(choices.AFTER_COMPARISONS) <= set(log["question"])
    late = choices.late_questions(log)
    assert all(f"*{question}*" in late for question in choices.AFTER_COMPARISONS)
    answers = log[(log["chosen"] == "yes") & log["question"].isin(choices.AFTER_COMPARISONS)]
    assert answers["why"].str.startswith("asked after the first comparisons").all()
    narrow = choices.narrow_questions(log)
    assert "; on `hapt` *first stage: embedding, label-free losses, rate, noise, budget*, *learning rate of the second" in narrow
    assert "score of a candidate" not in narrow, "decided on several"
    assert choices.narrow_questions(log[log["question"] == "score of a candidate"]).startswith("Trials on several")
