"""The small committed tables: produced from stored runs, read only while they are current, and what pages make of them."""

import numpy as np
import pandas as pd
import pytest
from helpers import TINY_TRAINING, TINY_TWIN

from nontarget.data import load_dataset
from nontarget.experiment import Experiment
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.provenance import provenance
from nontarget.runtime.tables import write_table
from nontarget.study import explained, report
from nontarget.study.comparison import Comparison
from nontarget.study.decomposition import AS_IS, ORACLES, TRIVIAL
from nontarget.study.reproduce import PARTS, part_experiments, report_ratios
from nontarget.study.shares import sets_by_temperature

TINY = {"twin_settings": TINY_TWIN, "training_settings": TINY_TRAINING}


def decomposition_rows(dataset="thumos14-sim", seeds=(0, 1), best="oracle ranking"):
    rows = []
    for e in (Experiment(dataset, rule, 0.1, s, held_out=True) for rule in ("supervised only", "fully supervised") for s in seeds):
        for variant in (AS_IS, *ORACLES, *TRIVIAL):
            value = 40.0 + e.seed + 20 * (variant == best) - 30 * (variant in TRIVIAL)
            row = pd.DataFrame([{"variant": variant, "tiou": t, "mean_ap": value} for t in ("0.5", "avg")])
            rows.append(report._with_run(row, e))
    return pd.concat(rows, ignore_index=True).assign(commit="c", date="2026-01-01", device="cpu")[report.DECOMPOSITION_COLUMNS]


def why_rows(dataset="hapt", seeds=(100, 101)):
    rows = []
    for seed in seeds:
        e = Experiment(dataset, "pre-trained only", 0.1, seed)
        probs = np.array([[0.45, 0.42, 0.13], [0.7, 0.2, 0.1], [0.45, 0.35, 0.2]])
        rows.append(report._with_run(report._sets(probs, np.array([1, 2, 0]), report.DETECTOR), e))
    gradients = [
        {"stage": "selftrain", "epoch": i, "subspace": s, "quantity": q, "value": (0.25 if q == "share" else 0.5) * i}
        for i in (1, 2)
        for s in ("target", "negative")
        for q in ("share", "l_tgt", "l_neg", "l_pos", "total")
    ]
    frame = pd.DataFrame(gradients).assign(kind="gradient", teacher=report.DETECTOR, temperature=1.0)
    rows.append(report._with_run(frame, Experiment(dataset, "non-target", 0.1, 100)))
    return pd.concat(rows, ignore_index=True).assign(commit="c", date="2026-01-01", device="cpu").reindex(columns=report.WHY_COLUMNS)


def written(tmp_path, name, rows):
    write_table(tmp_path / f"{name}.csv", rows)
    return ResultStore(tmp_path)


def test_what_was_written_is_read(tmp_path):
    rows = decomposition_rows()
    found = report.decompositions(written(tmp_path, "decomposition", rows))
    assert len(found) == len(rows)
    assert found["mean_ap"].tolist() == rows["mean_ap"].tolist()
    assert set(report.PROVENANCE) <= set(found)
    assert report.decompositions(ResultStore(tmp_path / "empty")).empty


def test_rows_of_older_code_are_left_out(tmp_path, monkeypatch):
    store = written(tmp_path, "decomposition", decomposition_rows())
    from nontarget.rules.supervised import SupervisedOnly

    monkeypatch.setattr(SupervisedOnly, "version", 99)
    kept = report.decompositions(store)
    assert set(kept["rule"]) == {"fully supervised"} or kept.empty
    unknown = decomposition_rows().assign(rule="a rule that is gone")
    assert report.decompositions(written(tmp_path, "decomposition", unknown)).empty


def test_rows_of_data_that_are_not_at_hand_are_taken_on_trust(tmp_path, monkeypatch, data_root):
    monkeypatch.setenv("NONTARGET_DATA", str(data_root))
    store = written(tmp_path, "why", why_rows())
    full = report.WHY.read(store)
    assert len(full) == len(why_rows())
    monkeypatch.delenv("NONTARGET_DATA")
    assert len(report.WHY.read(store)) == len(full)


@pytest.fixture
def tiny(monkeypatch):
    """Reports on runs of a second."""
    plain = {"label_ratio": 0.5, **TINY}

    def decomposed(dataset, label_ratio):
        return [Experiment(dataset, "supervised only", seed=s, held_out=True, **plain) for s in (0, 1)]

    def explained_by(dataset, label_ratio):
        return [Experiment(dataset, rule, seed=100, **plain) for rule in ("pre-trained only", "non-target")]

    # What a row is rebuilt from lacks settings of training, so that rows of these runs would never be current.
    monkeypatch.setattr(report, "current", lambda frame: frame)
    return {
        "decomposition": report.Report("decomposition", report.DECOMPOSITION_COLUMNS, decomposed, report._decomposition),
        "why": report.Report("why", report.WHY_COLUMNS, explained_by, report._why),
    }


def test_a_decomposition_is_added_once(tmp_path, tiny, monkeypatch):
    store = ResultStore(tmp_path)
    rows = tiny["decomposition"].update("thumos14-sim", [0.5], store, device="cpu")
    found = tiny["decomposition"].read(store)
    assert len(found) == rows == 2 * len([AS_IS, *ORACLES, *TRIVIAL]) * 6
    assert found["key"].nunique() == 2
    assert found["commit"].unique().tolist() == [provenance(report.resolve_device("cpu"), 1)["commit"]]
    monkeypatch.setattr(report, "decomposition_rows", lambda *_, **__: pytest.fail("it is there"))
    assert tiny["decomposition"].update("thumos14-sim", [0.5], store, device="cpu") == rows


def test_why_has_sets_and_gradients(tmp_path, tiny):
    tiny["why"].update("thumos14-sim", [0.5], ResultStore(tmp_path), device="cpu")
    found = tiny["why"].read(ResultStore(tmp_path))
    assert found["kind"].unique().tolist() == ["sets", "lowest log loss", "gradient"]
    shares = found[(found["kind"] == "gradient") & (found["quantity"] == "share")].groupby(["stage", "epoch"])["value"].sum()
    assert shares.tolist() == pytest.approx([1, 1, 1, 1], abs=1e-4)
    assert "l_neg" in set(explained.gradient_table(found).cells.columns)


def test_published_scores_are_real_video(data_root):
    scores = report.published_scores(load_dataset("salads50", root=data_root))
    for probs, labels in scores.values():
        assert probs.shape == (len(labels), 18)
        assert np.abs(probs.sum(axis=1) - 1).max() < 0.01
    row = sets_by_temperature(*scores["SVM scores"], [1.0]).iloc[0]
    assert (100 * row[["positive", "negative", "ambiguous"]]).tolist() == pytest.approx([4, 20, 76], abs=3), "issue 9"


def test_parts_of_reproduce():
    assert {"decomposition", "why", "map"} <= set(PARTS)
    assert len(set(PARTS)) == len(PARTS)
    gates = {identity_key(e.identity()) for e in part_experiments("gates", "thumos14-sim")}
    decomposition = part_experiments("decomposition", "thumos14-sim")
    assert {identity_key(e.identity()) for e in decomposition} <= gates, "no run beyond those of the gates"
    assert {e.rule for e in part_experiments("why", "nips4b")} >= {"oracle: truth positive", "candidate labels", "pre-trained only"}
    assert part_experiments("map", "hapt") == []
    assert {e.rule for e in part_experiments("map", "thumos14-sim")} == {"pre-trained only", "baseline", "non-target"}
    assert report_ratios("decomposition", "nips4b") == [0.2]
    assert report_ratios("why", "thumos14-sim") == [0.1]


def test_a_map_needs_cells(tmp_path):
    assert report.current_map(ResultStore(tmp_path)) is None
    cells = [cell.at(100) for cell in report.map_cells("thumos14-sim", 0.1)]
    points = []
    for i, cell in enumerate(cells):
        about = {"twin": str(i // 4), "temperature": cell.temperature, "positive": i / 50, "negative": 0.5 - i / 60, "gain": i / 10}
        points.append(report._with_run(pd.DataFrame([about]), cell.non_target))
    rows = pd.concat(points, ignore_index=True).reindex(columns=report.MAP_COLUMNS)
    assert report.current_map(written(tmp_path, "map", rows)).kind == "surface"
    assert report.current_map(written(tmp_path, "map", rows.iloc[:3])) is None
    assert report.current_map(written(tmp_path, "map", rows.assign(key="old"))) is None


# --- what pages show


def test_explained():
    rows = why_rows()
    frames, best = explained.sets_frames(rows)
    assert list(frames) == list(best) == ["hapt, 10 %"]
    assert frames["hapt, 10 %"].loc[1.0, "errors"] == pytest.approx(2 / 3)
    cells = explained.truth_table(rows).cells
    assert cells["positive"].tolist() == ["50 → 50"]
    assert explained.gradient_table(rows).cells["l_neg"].tolist() == ["+0.50 → +1.00"] * 2
    assert "negative in" in explained.explained_findings(rows)
    assert list(explained.teacher_places(rows).columns) == ["positive", "negative"]
    nothing = rows.iloc[:0]
    assert "Not computed yet" in explained.explained_findings(nothing)
    assert explained.sets_frames(nothing) == ({}, {})
    assert explained.teacher_places(nothing).empty
    assert explained.truth_table(nothing).cells.empty
    assert explained.gradient_table(nothing).cells.empty


def comparison_of(values, dataset="hapt"):
    """A comparison from system -> average mAP by seed."""
    rows = {(system, seed): value for system, scores in values.items() for seed, value in enumerate(scores)}
    maps = pd.DataFrame({"avg": pd.Series(rows)}).rename_axis(["system", "seed"])
    return Comparison(dataset, False, 0.1, maps, ())


def test_what_a_change_adds_to_the_method():
    values = {"baseline": [10.0, 12.0, 14.0], "non-target": [11.0, 12.0, 16.0], "oracle: truth positive": [13.0, 14.1, 18.2]}
    changes = explained.changes_of_method([comparison_of(values), comparison_of(values, "nips4b")])
    assert changes["system"].tolist() == ["oracle: truth positive"] * 2, "the baseline is no change of the method"
    assert changes["mean"].tolist() == pytest.approx([2.1, 2.1]), "against non-target, not the baseline"
    cells = explained.changes_table(changes).cells
    assert cells["Data"].tolist() == ["hapt, 10 %", "nips4b, 10 %"]
    assert cells["oracle: truth positive"].tolist() == ["+2.1 [+1.9, +2.3]"] * 2
    assert cells["oracle"].tolist() == ["", ""]
    text = explained.changes_findings(changes)
    assert "among the positives, +2.1 to +2.1 points (significant on 2 of 2 data sets)" in text
    assert text.endswith(" Significant after Holm's correction for all 2: 2.")
    assert "Not computed yet" in explained.changes_findings(explained.changes_of_method([]))
    assert "Not computed yet" in explained.changes_findings(explained.changes_of_method([comparison_of({"baseline": [1.0, 2.0]})]))


def test_predicted_beside_measured_gains():
    columns = {"positive": [0.05, 0.1], "negative": [0.9, 0.4], "mean": [0.5, -1.0], "low": [0.1, -2.0], "high": [0.9, 0.0]}
    places = pd.DataFrame({**columns, "inside": [True, False]}, index=["hapt, 10 %", "salads50, SVM scores"])
    cells = explained.places_table(places, [comparison_of({"baseline": [1.0, 2.0, 3.0], "non-target": [2.0, 3.0, 4.0]})]).cells
    assert cells["Predicted gain"].tolist() == ["+0.5 [+0.1, +0.9]", "-1.0 [-2.0, 0.0]"]
    assert cells["Measured gain"].tolist() == ["+1.0 [+1.0, +1.0]", ""]
    assert cells["Within the dots"].tolist() == ["yes", "no"]


def test_what_limits_a_detector():
    frames = explained.decomposition_frames(decomposition_rows(), "supervised only")
    assert frames["thumos14-sim, 10 %"].loc[AS_IS, "avg"] == 40.5
    text = explained.limits_findings(frames)
    assert "oracle ranking would add the most, 20.0 points" in text
    assert "earns 10.5" in text
    assert "oracle classes and masks together, 0.0" in text
    assert "Not computed yet" in explained.limits_findings({})
    assert list(explained.decomposition_frames(decomposition_rows(), "fully supervised")) == ["thumos14-sim, 100 %"]
    assert "Not computed yet" in explained.map_findings(None, None)
