import pandas as pd
import pytest
from helpers import TINY_TRAINING, TINY_TWIN

from nontarget.results import ResultStore
from nontarget.study import calibration
from nontarget.study.calibration import Calibration, calibration_curve, calibration_experiments
from nontarget.study.systems import reported_map


def curve_of(**differences):
    rows = [(0.1, tiou, 30.0 + d, 30.0, d) for tiou, d in differences.items()]
    return Calibration(pd.DataFrame(rows, columns=["ratio", "tiou", "twin", "paper", "difference"]))


def test_bounds():
    assert curve_of(avg=-3.0, low=6.0).passed
    assert not curve_of(avg=3.1, low=0.0).passed
    assert not curve_of(avg=0.0, low=-6.1).passed
    assert not curve_of(avg=float("nan")).passed


def test_only_the_baseline_on_development_worlds():
    experiments = calibration_experiments("thumos14-sim", seeds=(1000, 1007), twin_settings={"noise": 0.7})
    assert {e.rule for e in experiments} == {"baseline"}
    assert len(experiments) == 8
    assert all(e.twin_settings == {"noise": 0.7, "seed": e.seed} for e in experiments)
    with pytest.raises(ValueError, match="development worlds"):
        calibration_experiments("thumos14-sim", seeds=(0,))
    with pytest.raises(ValueError, match="unknown twin"):
        calibration_experiments("hapt")
    with pytest.raises(ValueError, match="one of Table 1"):
        calibration_experiments("thumos14-sim", (0.5,))


def test_curve_stands_beside_the_papers_baseline(tmp_path):
    store = ResultStore(tmp_path)
    arguments = ("thumos14-sim", (0.4,), (1000, 1001), TINY_TWIN)
    settings = {"training_settings": TINY_TRAINING}
    found = calibration_curve(*arguments, settings=settings, store=store, workers=1, progress=False).curve.set_index("tiou")
    paper = reported_map("table1", "thumos14-sim", 0.4).loc["Baseline"]
    assert found["paper"].to_dict() == paper.to_dict()
    assert found["twin"].between(0, 100).all()
    pd.testing.assert_series_equal(found["difference"], found["twin"] - found["paper"], check_names=False)
    again = calibration_curve(*arguments, settings=settings, store=store, source="stored").curve.set_index("tiou")
    pd.testing.assert_frame_equal(found, again)
    with pytest.raises(ValueError, match="calibration of thumos14-sim"):
        calibration_curve("thumos14-sim", seeds=(1002,), store=store, source="stored")


def test_command_line(monkeypatch, capsys):
    asked = {}

    def recorded(*arguments, **options):
        asked.update(arguments=arguments, options=options)
        return curve_of(avg=4.0)

    monkeypatch.setattr(calibration, "calibration_curve", recorded)
    calibration.main(["thumos14-sim", "--set", "noise=1.2", "dropouts=0.1", "--ratios", "0.1", "--seeds", "1003"])
    assert asked["arguments"] == ("thumos14-sim", [0.1], [1003], {"noise": 1.2, "dropouts": 0.1})
    assert "not passed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        calibration.main(["thumos14-sim", "--set", "noise"])
