"""Released THUMOS14 detections: the committed table is what this code computes, and the page's tables come from it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from nontarget.plotting.released import errors_by_rank, misses_by_property
from nontarget.study import released

COMMITTED = Path(__file__).resolve().parents[1] / "results" / "detections.csv"


@pytest.fixture(scope="module")
def rows():
    return released.read_released(COMMITTED)


def test_committed_scores(rows):
    """Against the numbers that the official evaluator's definition gives for AutoLoc's release."""
    scores = rows[(rows.detector == "AutoLoc") & (rows.protocol == released.ALL) & (rows.part == "score") & (rows["name"] == "mAP")]
    by_tiou = (100 * scores.set_index("tiou")["value"]).round(1)
    assert by_tiou[["0.1", "0.3", "0.4", "0.5", "0.6", "0.7"]].tolist() == [46.8, 35.9, 29.0, 21.5, 13.3, 5.7]
    shares = rows[(rows.part == "detections") & (rows.tiou == "avg")]
    assert shares.groupby(["detector", "group"])["value"].sum().tolist() == pytest.approx(
        [1.0] * shares.groupby(["detector", "group"]).ngroups, abs=1e-4
    )
    assert not rows["commit"].str.contains("dirty").any()


@pytest.mark.slow
def test_the_committed_table_is_what_this_code_computes(rows, data_root):
    computed = released.released_rows(data_root)
    keys = ["detector", "protocol", "part", "name", "group", "tiou", "value", "published", "truth", "detections"]
    pd.testing.assert_frame_equal(rows[keys], computed[keys], check_dtype=False, atol=2e-6)


def test_tables_and_figures(rows):
    scores = released.score_table(rows).cells
    assert scores["Detections"].tolist()[:2] == ["AutoLoc", "*AutoLoc, published*"]
    protocols = released.protocol_table(rows).cells
    assert protocols["Protocol"].tolist() == [
        "213 videos", "212 videos", "211 videos", "210 videos", "ambiguous spans ignored", "cliff dives count once",
    ]  # fmt: skip
    assert len(released.class_table(rows).cells) == 20
    assert released.error_table(rows).cells["Kind"].tolist()[-1] == "background"
    assert released.instance_table(rows).cells.query("Property == 'length'")["Instances"].sum() == 3332
    assert len(errors_by_rank(rows, released.DIAGNOSED).axes) == 2
    assert [axes.get_title() for axes in misses_by_property(rows, released.DIAGNOSED).axes] == ["length", "coverage", "count"]
    assert "points of what was published" in released.findings(rows)
    assert all(name in released.sources(rows) for name in released.RELEASES)


def test_other_code_and_missing_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nontarget.study.released"):
        released.read_released(tmp_path / "detections.csv")
    monkeypatch.setattr(released, "VERSION", "released 99")
    with pytest.raises(ValueError, match="this is 'released 99'"):
        released.read_released(COMMITTED)
    monkeypatch.delenv("NONTARGET_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="set NONTARGET_DATA"):
        released.released_rows()


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    """On two made-up videos in the place of THUMOS14's."""
    folder = tmp_path / "thumos14" / "detections"
    folder.mkdir(parents=True)
    instances = [{"label": c, "segment": [10.0 * i, 10.0 * i + 8]} for i, c in enumerate(("Diving", "CliffDiving"))]
    database = {
        f"video_test_{i}": {"subset": "test", "duration": 60.0, "annotations": instances, "ambiguous": [[50.0, 55.0]]} for i in (1, 2)
    }
    (folder.parent / "thumos14.json").write_text(json.dumps({"database": database}))
    found = {v: [{"label": c, "segment": [0.0, 8.0], "score": 0.5} for c in ("Diving", "CliffDiving")] for v in database}
    for release in released.RELEASES.values():
        (folder / release.file).write_text(json.dumps({"results": found}))
    (folder / "published.csv").write_text("file,tiou,map_percent,source\nautoloc,0.5,49.0,made up\n")
    released.main(["--data", str(tmp_path)])
    assert "rows" in capsys.readouterr().out
    rows = released.read_released()
    assert rows["published"].dropna().tolist() == [0.49]
    assert "within 1.0 points" in released.findings(rows)
