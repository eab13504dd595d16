"""The script that renames rules in committed tables: keys are those of the present code, all other cells stay, nothing is lost."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from nontarget.experiment import Experiment
from nontarget.results import identity_key

PATH = Path(__file__).resolve().parents[1] / "scripts" / "rename_rules.py"
spec = importlib.util.spec_from_file_location("rename_rules", PATH)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

HEADER = ["dataset", "preset", "label_ratio", "detector", "rule", "settings", "seed", "tiou", "mean_ap", "dataset_checksum", "key"]


def rows_of(rule, seed=100, rule_settings=None):
    """Two rows of a run under the old name of its rule; the key is what the old name gives."""
    settings = {"rule_settings": rule_settings} if rule_settings else {}
    identity = Experiment("thumos14-sim", script.NAMES.get(rule, rule), seed=seed, **settings).identity()
    identity["rule"]["name"] = rule
    if "name" in identity["rule"]["training"]:
        identity["rule"]["training"]["name"] = rule
    about = ["thumos14-sim", "small", "0.1", "spot", rule, json.dumps(settings), str(seed)]
    return [[*about, tiou, "0.50", identity["dataset"]["checksum"], identity_key(identity)] for tiou in ("0.5", "avg")]


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_names_and_keys_are_replaced_and_nothing_else(tmp_path):
    path = tmp_path / "metrics.csv"
    before = [*rows_of("ours"), *rows_of("ours", rule_settings={"positive_ratio": 0.9}), *rows_of("ours + ambiguous"), *rows_of("baseline")]
    write(path, before)
    assert script.main([str(tmp_path)]) == 0
    after = read(path)
    assert [row["rule"] for row in after[::2]] == ["non-target", "non-target", "non-target + ambiguous", "baseline"]
    for old, new in zip(before, after, strict=True):
        assert [new[c] for c in HEADER if c not in ("rule", "key")] == [old[i] for i, c in enumerate(HEADER) if c not in ("rule", "key")]
        experiment = Experiment("thumos14-sim", new["rule"], seed=100, **json.loads(new["settings"]))
        assert new["key"] == identity_key(experiment.identity())
    text = path.read_bytes()
    assert script.main([str(tmp_path)]) == 0
    assert path.read_bytes() == text, "a second time changes nothing"


def test_runs_that_are_not_current_stop_it(tmp_path, capsys):
    path = tmp_path / "metrics.csv"
    stale = [[*row[:-1], "0123456789abcdef"] for row in rows_of("ours")]
    write(path, [*stale, *rows_of("ours", seed=101)])
    text = path.read_bytes()
    assert script.main([str(tmp_path)]) == 1
    assert path.read_bytes() == text
    assert "0123456789abcdef" in capsys.readouterr().err
    assert script.main([str(tmp_path), "--drop-stale"]) == 0
    assert [row["seed"] for row in read(path)] == ["101", "101"]


def test_old_names_lead_to_present_rules():
    for name in script.NAMES.values():
        assert Experiment(rule=name).identity()["rule"]["name"] == name
    with pytest.warns(UserWarning, match="'ours' is 'non-target' here"):
        assert Experiment(rule="ours").identity() == Experiment(rule="non-target").identity()
