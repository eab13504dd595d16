"""What CONTRIBUTING.md shows runs: its blocks are executed, and what they add is trained by its name."""

import json
import re
from pathlib import Path

import pytest
from helpers import TINY_TRAINING, TINY_TWIN, tiny_dataset

from nontarget import data, detectors, rules
from nontarget.config import Protocol
from nontarget.data import DatasetDefaults, defaults_of, write_feature_folder
from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _forgotten_afterwards(monkeypatch):
    monkeypatch.setattr(rules, "_RULES", list(rules._RULES))
    monkeypatch.setattr(detectors, "_DETECTORS", dict(detectors._DETECTORS))
    monkeypatch.setattr(data.defaults, "_REGISTERED", {})


@pytest.fixture
def added():
    """The names in the blocks of the page, executed in order."""
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    names = {"__name__": "contributing"}
    for block in blocks:
        exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    return names


@pytest.mark.usefixtures("added")
def test_a_rule_and_a_detector_are_trained_by_their_names(tmp_path):
    assert "negatives only" in rules.available()
    assert "linear" in detectors.available()
    plain = Experiment(label_ratio=0.25, twin_settings=TINY_TWIN, training_settings=TINY_TRAINING, rule="negatives only", detector="linear")
    assert plain.identity()["training"]["pretrain_learning_rate"] == 1e-2
    record = run(plain, ResultStore(tmp_path), device="cpu", progress=False)
    assert record["curves"]["selftrain"][-1]["unlabeled_class"] > 0
    with pytest.raises(ValueError, match="did you mean 'negatives only'"):
        rules.get_rule("negative only")
    with pytest.raises(ValueError, match="did you mean 'linear'"):
        detectors.detector_class("liner")


@pytest.mark.usefixtures("added")
def test_a_data_set_is_trained_on_by_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "kitchen"
    write_feature_folder(folder, tiny_dataset())
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    del content["protocol"]
    path.write_text(json.dumps(content))
    (folder / "SHA256SUMS").unlink()
    monkeypatch.setenv("NONTARGET_DATA", str(folder.parent))
    assert "kitchen" in data.available()
    experiment = Experiment("kitchen", "baseline", 0.25, training_settings={"pretrain_epochs": 1, "selftrain_epochs": 1})
    identity = experiment.identity()
    assert (identity["protocol"]["num_snippets"], identity["training"]["steps_per_epoch"]) == (64, 25)
    assert run(experiment, ResultStore(tmp_path), device="cpu", progress=False)["scored"]["videos"] > 0
    with pytest.raises(ValueError, match="did you mean 'kitchen'"):
        data.load_dataset("kitchens")


@pytest.mark.usefixtures("unchecked")
def test_defaults_are_checked_and_names_are_taken_once():
    own = DatasetDefaults(protocol=Protocol(pool=2))
    assert data.register("own", own) is own
    assert data.register("own", DatasetDefaults(label_ratio=0.3)).label_ratio == defaults_of("own").label_ratio
    assert defaults_of("never heard of") == DatasetDefaults()
    for taken in ("hapt", "thumos14-sim"):
        with pytest.raises(ValueError, match=f"there is a data set '{taken}' already"):
            data.register(taken, own)
    with pytest.raises(TypeError, match="registered as register"):
        data.register("own", Protocol())
    for wrong in ({"label_ratio": 0}, {"steps_per_epoch": 0}, {"book_tables": "some"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DatasetDefaults(**wrong)
