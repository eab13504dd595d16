"""The command line: exit codes, messages, every format of detections, and a run from training to scores."""

import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from helpers import TINY_TRAINING, tiny_dataset

from nontarget import evaluate_detections
from nontarget.cli import main
from nontarget.config import TRAINING_PRESETS
from nontarget.data import DataError, read_feature_folder, write_feature_folder
from nontarget.detection_files import read_detections, read_ground_truth, write_detections

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("inspect", "convert", "table", "train", "detect", "evaluate", "reproduce", "audit", "results", "completion")


@pytest.fixture
def run(tmp_path):
    def call(*arguments, code=0):
        result = CliRunner().invoke(main, [str(a) for a in arguments], prog_name="nontarget")
        assert result.exit_code == code, (result.output, result.exception)
        assert "Traceback" not in result.output
        return result.output

    return call


@pytest.fixture
def truth(tmp_path):
    labels = {"video_test_0000004": "Diving", "video_test_0000006": "CliffDiving", "video_test_0000007": "LongJump"}
    database = {
        v: {"subset": "test", "duration": 60.0, "annotations": [{"label": label, "segment": [10.0, 20.0]}]} for v, label in labels.items()
    }
    database["video_validation_1"] = {"subset": "validation", "duration": 9.0, "annotations": [{"label": "Diving", "segment": [1.0, 2.0]}]}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"database": database}))
    return path


ROWS = [
    ("video_test_0000004", "Diving", 10.5, 20.0, 0.9),
    ("video_test_0000006", "CliffDiving", 30.0, 40.0, 0.8),
    ("video_test_0000006", "CliffDiving", 10.0, 19.0, 0.7),
]


@pytest.fixture
def found():
    return pd.DataFrame(ROWS, columns=["video_id", "label", "start_s", "end_s", "score"])


# --- formats


def test_every_format_gives_the_same_scores(tmp_path, truth, found, run):
    for name in ("a.json", "a.csv", "a.txt"):
        write_detections(tmp_path / name, found)
    (tmp_path / "opentad.json").write_text(json.dumps({"results": {
        v: [{"segment": [s, e], "label": label, "score": p} for w, label, s, e, p in ROWS if w == v] for v in found.video_id.unique()
    }}))  # fmt: skip
    numbers = {"Diving": 26, "CliffDiving": 22}
    (tmp_path / "numbers.txt").write_text("".join(f"{v}.mp4\t{s}\t{e}\t{numbers[label]}\t{p}\n" for v, label, s, e, p in ROWS))
    (tmp_path / "names.csv").write_text(
        "video-id;t-start;t-end;label;score\n" + "".join(f"{v};{s};{e};{x};{p}\n" for v, x, s, e, p in ROWS)
    )
    outputs = set()
    for name in ("a.json", "a.csv", "a.txt", "opentad.json", "numbers.txt", "names.csv"):
        pd.testing.assert_frame_equal(read_detections(tmp_path / name), found, check_dtype=False)
        outputs.add(run("evaluate", truth, tmp_path / name))
    (output,) = outputs
    assert "3 detections, 3 instances in 3 videos" in output
    assert "subset test" in output
    expected = evaluate_detections(json.loads(truth.read_text()), found, [0.3, 0.4, 0.5, 0.6, 0.7], "test").average_mean_ap
    assert output.split()[-1] == f"{100 * expected:.1f}"


def test_class_numbers_that_are_not_thumos14s_need_their_names(tmp_path, truth, run):
    path = tmp_path / "d.txt"
    path.write_text("video_test_0000004 10 20 0 0.9\nvideo_test_0000006 10 20 1 0.9\n")
    assert "--classes" in run("evaluate", truth, path, code=2)
    names = tmp_path / "names.txt"
    names.write_text("Diving\nCliffDiving\nLongJump\n")
    assert run("evaluate", truth, path, "--classes", names).split()[-1] == "66.7"
    names.write_text("0 Diving\n")
    assert "does not name the number(s) 1" in run("evaluate", truth, path, "--classes", names, code=2)


def test_thumos14_text_as_ground_truth(tmp_path, found):
    folder = tmp_path / "annotation"
    folder.mkdir()
    (folder / "Diving_test.txt").write_text("video_test_0000004  10.0 20.0\n")
    (folder / "Ambiguous_test.txt").write_text("video_test_0000004  30.0 40.0\n")
    (folder / "Diving_val.txt").write_text("video_validation_1  1.0 2.0\n")
    database = read_ground_truth(folder)["database"]
    assert database["video_test_0000004"] == {
        "subset": "test", "annotations": [{"label": "Diving", "segment": [10.0, 20.0]}], "ambiguous": [[30.0, 40.0]]
    }  # fmt: skip
    assert database["video_validation_1"]["subset"] == "validation"
    with pytest.raises(DataError, match="neither a feature folder"):
        read_ground_truth(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.txt", "video 1 2 Diving\n", "line 1: expected 'video start end class score', got 'video 1 2 Diving'"),
        ("d.csv", "video,start,end,label,score\nv,1,x,a,0.5\n", "line 2: start_s and end_s and score must be numbers"),
        ("d.csv", "video,start,end,score\n", "needs one column label or class"),
        ("d.json", '{"v": []}', 'expected json {"results"'),
        ("d.json", '{"results": {"v": [{"label": "a"}]}}', "v: expected 'label', 'segment'"),
        ("d.pkl", "x", "a pickle can run code"),
    ],
)
def test_bad_detections_get_one_message(tmp_path, truth, run, name, text, message):
    (tmp_path / name).write_text(text)
    output = run("evaluate", truth, tmp_path / name, code=2)
    assert output.startswith("Error: ")
    assert message in output


# --- evaluate


def test_protocols_and_checks(tmp_path, truth, found, run):
    content = json.loads(truth.read_text())
    content["database"]["video_test_0001292"] = {"subset": "test", "duration": 30.0, "annotations": [], "ambiguous": [[0.0, 10.0]]}
    content["database"]["video_test_0000006"]["annotations"].append({"label": "Diving", "segment": [10.0, 20.0]})
    truth.write_text(json.dumps(content))
    path = tmp_path / "d.csv"
    write_detections(path, pd.concat([found, pd.DataFrame([("video_test_0001292", "Diving", 1.0, 5.0, 0.99)], columns=found.columns)]))

    def average(*options):
        return float(run("evaluate", truth, path, "--no-per-class", *options).split()[-1])

    plain = average()
    assert average("--protocol", "thumos14-212") > plain
    assert average("--protocol", "thumos14-213+ambiguous-ignored") > plain
    assert average("--protocol", "thumos14-213+diving-once") > plain
    assert "1292" not in run("evaluate", truth, path, "--protocol", "thumos14-213")
    assert "without video_test_0001292" in run("evaluate", truth, path, "--protocol", "thumos14-212")
    assert "check failed: average mAP" in run("evaluate", truth, path, "--at-least", 99, code=1)
    run("evaluate", truth, path, "--at-least", 5)
    assert "FIRST:LAST:STEP" in run("evaluate", truth, path, "--tiou", "half", code=2)
    blocked = tmp_path / "blocked.json"
    blocked.write_text('["video_test_0001292"]')
    assert average("--blocked", blocked) == average("--protocol", "thumos14-212")


def test_several_subsets_are_not_guessed(tmp_path, truth, run):
    path = tmp_path / "d.csv"
    path.write_text("video,start,end,label,score\nvideo_test_0000004,1,2,Diving,0.5\nvideo_validation_1,1,2,Diving,0.5\n")
    assert "name the one to score with --subset" in run("evaluate", truth, path, code=2)
    run("evaluate", truth, path, "--subset", "validation")


def test_diagnosis_and_all_numbers_in_a_file(tmp_path, truth, found, run):
    write_detections(tmp_path / "d.csv", found)
    output = run("evaluate", truth, tmp_path / "d.csv", "--diagnose", "--bins", "thumos14", "--out", tmp_path / "out.csv")
    assert "average-mAP_N" in output
    assert "localization" in output
    rows = pd.read_csv(tmp_path / "out.csv", dtype={"tiou": str}, keep_default_na=False)
    assert set(rows["part"]) == {"score", "detections", "gain", "instances", "missed", "map_n", "AP"}
    assert rows.query("part == 'AP' and name == 'Diving' and tiou == '0.5'")["value"].item() == 1.0


# --- the program


def test_help_has_examples_and_names_every_command(run):
    output = run("--help")
    for command in COMMANDS:
        assert f"\n  {command} " in output
        if command not in ("reproduce", "audit", "results"):
            assert "Examples:" in run(command, "--help")
    assert "no such option" in run("train", "--nonsense", code=2).lower()


@pytest.mark.parametrize(
    "arguments", [["-m", "nontarget", "--version"], ["-m", "nontarget.reproduce", "--help"], ["-m", "nontarget.audit", "--help"]]
)
def test_module_forms(arguments):
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)


def test_help_and_completion_load_nothing_heavy():
    script = """
import sys
from click.testing import CliRunner
from nontarget.cli import main
assert CliRunner().invoke(main, ["evaluate", "--help"]).exit_code == 0
print([m for m in ("torch", "pandas", "numpy", "matplotlib") if m in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"


def test_completion(run, monkeypatch):
    assert "_NONTARGET_COMPLETE=bash_complete" in run("completion", "bash")
    environment = {"COMP_WORDS": "nontarget eval", "COMP_CWORD": "1", "_NONTARGET_COMPLETE": "bash_complete"}
    result = CliRunner().invoke(main, env=environment, prog_name="nontarget")
    assert result.output.strip() == "plain,evaluate"


def test_reproduce_and_audit_take_their_own_options(run, monkeypatch):
    import nontarget.study.audit
    import nontarget.study.reproduce

    seen = []
    monkeypatch.setattr(nontarget.study.reproduce, "main", lambda arguments: seen.append(arguments))
    monkeypatch.setattr(nontarget.study.audit, "main", lambda arguments: seen.append(arguments))
    run("reproduce", "hapt", "--parts", "table1")
    run("audit", "--seeds", "2")
    assert seen == [("hapt", "--parts", "table1"), ("--seeds", "2")]


def test_errors_show_where_they_arose_on_request(tmp_path, truth):
    (tmp_path / "d.txt").write_text("nonsense\n")
    result = CliRunner().invoke(main, ["--traceback", "evaluate", str(truth), str(tmp_path / "d.txt")])
    assert isinstance(result.exception, DataError)


# --- releases: the package nontarget.data.releases is stood in for, so that only what the command hands over is tested


def test_what_inspect_and_convert_hand_over(tmp_path, run, monkeypatch):
    calls = []

    class Report(str):
        def text(self, converted_to):
            return f"{self} on {converted_to.name}"

    def stand_in(*arguments, **options):
        calls.append((arguments, options))
        return Report("a report")

    module = types.ModuleType("nontarget.data.releases")
    module.inspect_release = module.convert_release = stand_in
    monkeypatch.setitem(sys.modules, "nontarget.data.releases", module)
    assert run("inspect", tmp_path, "--fps", "29.97", "--stride", 4, "--subsets", "train=validation,test=test") == "a report\n"
    assert "a report on out\n\nwritten: " in run(
        "convert", tmp_path, tmp_path / "out", "--fps", "annotations", "--allow-pickle", "--dtype", "float32", "--fold", "3"
    )
    subsets = {"train": "validation", "test": "test"}
    assert calls[0] == ((tmp_path,), {"fps": 29.97, "stride": 4.0, "subsets": subsets})
    assert calls[1] == ((tmp_path, tmp_path / "out"), {"fps": "annotations", "allow_pickle": True, "dtype": "float32", "fold": "3"})
    assert "expected a number or 'annotations'" in run("inspect", tmp_path, "--fps", "fast", code=2)
    assert "expected train=NAME,test=NAME" in run("inspect", tmp_path, "--subsets", "train=a", code=2)


@pytest.fixture
def release(tmp_path):
    """Features as an extractor leaves them, with annotations beside them."""
    features, rng = tmp_path / "release" / "features", np.random.default_rng(0)
    features.mkdir(parents=True)
    database = {}
    for i in range(6):
        np.save(features / f"v{i}.npy", rng.normal(size=(40 + i, 8)).astype(np.float32))
        instance = {"label": "ab"[i % 2], "segment": [2.0, 5.0]}
        database[f"v{i}"] = {"subset": "training" if i < 4 else "validation", "duration": (40 + i) * 4 / 25, "annotations": [instance]}
    (features.parent / "labels.json").write_text(json.dumps({"database": database}))
    return features.parent


def test_from_a_release_to_a_data_set(tmp_path, release, run):
    asked = run("inspect", release, code=2)
    assert "--fps" in asked
    assert "fps=" not in asked
    times = ("--fps", 25, "--stride", 4, "--window", 16)
    assert "first centre 0.320000 s" in run("inspect", release, *times)
    assert "written" in run("convert", release, tmp_path / "mine", *times)
    first = read_feature_folder(tmp_path / "mine").train[0].video
    assert (first.fps, first.grid.to_seconds(0.5)) == pytest.approx((6.25, 0.32))
    assert "exists already" in run("convert", release, tmp_path / "mine", *times, code=2)


# --- runs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A feature folder on which the small preset trains in a second."""
    from dataclasses import replace

    small = TRAINING_PRESETS["small"]
    monkeypatch.setitem(TRAINING_PRESETS, "small", replace(small, **TINY_TRAINING))
    write_feature_folder(tmp_path / "mine", tiny_dataset())
    return tmp_path / "mine"


def test_from_training_to_scores(tmp_path, folder, run):
    model, trained = tmp_path / "model.safetensors", tmp_path / "trained.csv"
    output = run("train", "--features", folder, "--ratio", 0.5, "--device", "cpu", "--model", model, "--detections", trained)
    assert "12 labelled and 12 unlabelled training videos, rule non-target" in output
    run("detect", model, folder, "--device", "cpu", "--out", tmp_path / "again.csv")
    pd.testing.assert_frame_equal(pd.read_csv(trained), pd.read_csv(tmp_path / "again.csv"))
    scored = run("evaluate", folder, trained, "--no-per-class", "--tiou", "0.3:0.7:0.1")
    assert scored.split()[-1] == output.split("avg: ")[1].split()[0]

    videos = [v.video for v in read_feature_folder(folder).test]
    fps = videos[0].fps
    np.savez(tmp_path / "some.npz", **{v.video_id: v.features for v in videos[:2]})
    printed = run("detect", model, tmp_path / "some.npz", "--fps", fps, "--device", "cpu")
    assert printed.startswith("video_id,label,start_s,end_s,score\n")
    assert "give --fps" in run("detect", model, tmp_path / "some.npz", code=2)
    assert "leave out --fps" in run("detect", model, folder, "--fps", "2", code=2)
    np.save(tmp_path / "one.npy", videos[0].features)
    moved = run("detect", model, tmp_path / "one.npy", "--fps", fps, "--offset-s", 0.5 / fps + 1, "--device", "cpu")
    plain = run("detect", model, tmp_path / "one.npy", "--fps", fps, "--device", "cpu")
    assert moved != plain


def test_a_table_in_the_terminal(tmp_path, folder, run):
    options = ("--features", folder, "--ratio", 0.5, "--seeds", 1, "--systems", "supervised only", "--device", "cpu")
    output = run("table", "1", *options, "--out", tmp_path / "runs.csv")
    assert "mAP (%) on mine" in output
    assert "supervised only" in output
    assert "**" not in output
    assert set(pd.read_csv(tmp_path / "runs.csv")["system"]) == {"supervised only"}
    assert "unknown table 'tabel2'; did you mean 'table2'?" in run("table", "tabel2", code=2)
    assert "not both" in run("table", "1", "--dataset", "hapt", "--features", folder, code=2)
    assert "ends in .ipynb or .csv" in run("table", "1", "--out", "x.md", code=2)


def test_a_table_as_a_notebook(tmp_path, run, monkeypatch):
    import papermill

    calls = []
    monkeypatch.setattr(papermill, "execute_notebook", lambda *a, **o: calls.append((*a, o)))
    run("table", "1", "--dataset", "hapt", "--ratio", 0.2, "--out", tmp_path / "out.ipynb")
    run("table", "beyond", "--out", tmp_path / "out.ipynb")
    (first, out, parameters, _), (second, _, others, _) = calls
    assert Path(first) == ROOT / "notebooks" / "table1.ipynb"
    assert Path(out) == tmp_path / "out.ipynb"
    assert parameters == {"dataset": "hapt", "ratio": 0.2, "seeds": 3, "preset": "small", "device": "auto", "source": "auto"}
    assert Path(second).name == "tables.ipynb"
    assert others["table"] == "beyond"
    assert "--systems" in run("table", "1", "--systems", "baseline", "--out", tmp_path / "out.ipynb", code=2)
