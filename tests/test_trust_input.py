"""Input that real users of such software met: the right value, or an error or warning that says what is wrong."""

import hashlib
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from nontarget import detect, non_target_loss
from nontarget.data import DataError, load_dataset, read_annotations, read_external_scores, read_feature_folder
from nontarget.data.checksums import read_checksums
from nontarget.experiment import Experiment, train
from nontarget.results import ResultStore
from nontarget.study.systems import MAIN_SYSTEMS, chosen_systems


def make_folder(where, change=lambda content, features: None, videos=6, rate=5.0, seconds=40.0):
    """A feature folder, changed before it is written."""
    rng = np.random.default_rng(0)
    annotations = [{"label": "run", "segment": [2.0, 8.0]}, {"label": "jump", "segment": [10.0, 18.0]}]
    database = {
        f"vid{i}": {"subset": "training" if i < videos - 2 else "validation", "duration": seconds, "annotations": annotations}
        for i in range(videos)
    }
    content = {"classes": ["run", "jump"], "feature_fps": rate, "database": database}
    features = {video: rng.normal(size=(int(seconds * rate), 8)).astype("float32") for video in database}
    change(content, features)
    where.mkdir(parents=True)
    (where / "annotations.json").write_text(json.dumps(content))
    np.savez(where / "features.npz", **features)
    return where


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


FORMS = {
    "sha256sum": "{d}  {f}\n",
    "binary": "{d} *{f}\n",
    "here": "{d}  ./{f}\n",
    "folder": "{d}  data/set/{f}\n",
    "Windows folder": "{d}  .\\data\\{f}\r\n",
    "BSD": "SHA256 ({f}) = {d}\n",
    "openssl": "SHA2-256({f})= {d}\n",
    "one blank": "{d} {f}\n",
    "tab": "{d}\t{f}\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("change", "encoding"), [(str, "utf-8"), (str.upper, "utf-8"), (str, "utf-8-sig")])
def test_checksums_in_every_common_form(tmp_path, form, change, encoding):
    folder = make_folder(tmp_path / "set")
    names = ("annotations.json", "features.npz")

    def write(**wrong):
        text = "".join(FORMS[form].format(d=change(wrong.get(n[:3], digest(folder / n))), f=n) for n in names)
        (folder / "SHA256SUMS").write_bytes(text.encode(encoding))

    write()
    assert len(read_feature_folder(folder).train) == 4
    write(fea="0" * 64)
    with pytest.raises(DataError, match=r"features\.npz: its SHA-256 is"):
        read_feature_folder(folder)


@pytest.mark.parametrize(
    "text", [b"nonsense\n", b"12ab  features.npz\n", b"d41d8cd98f00b204e9800998ecf8427e  features.npz\n", "x".encode("utf-16")]
)
def test_checksum_lines_that_are_not_understood(tmp_path, text):
    path = tmp_path / "SHA256SUMS"
    path.write_bytes(text)
    with pytest.raises(DataError, match="SHA256SUMS"):
        read_checksums(path)
    path.write_text(f"{'0' * 64}  a\n{'1' * 64}  ./a\n")
    with pytest.raises(DataError, match="line 2: 'a' has another digest"):
        read_checksums(path)


def test_videos_at_another_frame_rate_are_named(tmp_path):
    def two_slow(content, features):
        for video in ("vid1", "vid5"):
            features[video] = features[video][:192]  # 4 % short

    with pytest.warns(UserWarning, match=r"2 of 6 videos do not last as long .* vid1 \(192 steps, about 200 are expected\), vid5"):
        read_feature_folder(make_folder(tmp_path / "slow", two_slow))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_feature_folder(make_folder(tmp_path / "plain"))


def test_byte_order_marks_and_broken_json(tmp_path):
    folder = make_folder(tmp_path / "set")
    path = folder / "annotations.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_annotations(path).videos) == 6
    assert len(read_feature_folder(folder).train) == 4
    for text in ("[" * 100_000, '{"a": ' + "1" * 10_000 + "}", '{"a": 1', "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(DataError, match=r"annotations\.json"):
            read_annotations(path)


def test_features_that_are_no_folder(tmp_path):
    for empty in ("", "  "):
        with pytest.raises(ValueError, match="features must be the path of a feature folder"):
            Experiment(features=empty).identity()
        with pytest.raises(ValueError, match="features must be the path of a feature folder"):
            load_dataset("thumos14-sim", features=empty)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_dataset(features=tmp_path / "nowhere")


@pytest.mark.parametrize("seed", [np.int64(3), np.int8(3), np.uint16(3)])
@pytest.mark.parametrize("ratio", [np.float32(0.1), np.float64(0.1), 0.1])
def test_numpy_numbers_are_numbers(seed, ratio):
    assert Experiment(seed=seed, label_ratio=ratio) == Experiment(seed=3, label_ratio=0.1)
    assert Experiment(seed=seed, label_ratio=ratio).identity() == Experiment(seed=3, label_ratio=0.1).identity()
    for wrong in (np.float64(1.5), np.bool_(True), "3"):
        with pytest.raises(ValueError, match="seed must be a whole number"):
            Experiment(seed=wrong).identity()


def test_classes_must_be_the_last_axis():
    torch.manual_seed(0)
    logits, teacher = torch.randn(4, 6, 9), torch.randn(4, 6, 9).softmax(-1)
    non_target_loss(logits, teacher)
    non_target_loss(logits, 0.5 * teacher)  # scaled, not another axis
    for axis in (0, 1):
        moved = logits.movedim(-1, axis), teacher.movedim(-1, axis)
        with pytest.raises(ValueError, match=f"classes must be the last axis: .* along axis {axis}"):
            non_target_loss(*moved)
    valid = torch.ones(4, 6, dtype=torch.bool)
    valid[:, 4:] = False
    padded = teacher.masked_fill(~valid[..., None], 0.0)
    torch.testing.assert_close(non_target_loss(logits, padded, valid=valid), non_target_loss(logits[:, :4], teacher[:, :4]))


def test_external_scores_of_cuhk(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"results": {"a": [0.2, 0.8], "b": [1, 0]}, "class": ["jump", "run"]}))
    assert read_external_scores(path, ["a"], ["run", "jump"])["a"].tolist() == [0.8, 0.2]
    for content in (
        [1],
        {"results": {"a": [0.2]}, "class": ["jump", "run"]},
        {"results": {"a": [1, 0]}, "class": "x"},
        {"a": {"class": ["run"], "score": 1}},
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=r"scores\.json"):
            read_external_scores(path, ["a"], ["run", "jump"])


def test_detection_at_another_rate_or_duration(tmp_path):
    folder = make_folder(tmp_path / "set", videos=10)
    few = {"pretrain_epochs": 1, "selftrain_epochs": 1, "steps_per_epoch": 2}
    experiment = Experiment(features=str(folder), label_ratio=0.5, rule="baseline", training_settings=few)
    trained = train(experiment, ResultStore(tmp_path / "store"), device="cpu", progress=False).trained
    trained.save(tmp_path / "m.safetensors")
    features = {"a": np.random.default_rng(0).normal(size=(200, 8)).astype("float32")}
    for model in (trained, tmp_path / "m.safetensors"):
        detect(model, features, 5.0, {"a": 40.0})
        with pytest.raises(ValueError, match="feature_fps 30: the detector was trained on 5"):
            detect(model, features, 30.0)
        with pytest.warns(UserWarning, match="feature_fps 6: the detector was trained on 5"):
            detect(model, features, 6.0)
        with pytest.warns(UserWarning, match=r"1 of 1 videos do not last as long .* a \(200 steps, about 209 are expected\)"):
            detect(model, features, 5.0, {"a": 41.8})
        for wrong in (4.0, 1200.0):
            with pytest.raises(DataError, match=f"a: 200 feature steps at feature_fps 5 last 40 s, and durations_s says {wrong:g} s"):
                detect(model, features, 5.0, {"a": wrong})


def test_the_systems_of_a_notebook():
    assert chosen_systems("main") == MAIN_SYSTEMS
    assert chosen_systems("all") is None
    assert chosen_systems("non-target") == chosen_systems("ours") == ("baseline", "non-target")
    assert chosen_systems("baseline, SPOT") == ("SPOT", "baseline")
    assert chosen_systems(["SPOT"]) == ("SPOT", "baseline")
    for wrong, near in (("Main", "main"), ("non-targe", "non-target"), ("baseline,SPOTT", "SPOT")):
        with pytest.raises(ValueError, match=f"did you mean '{near}'"):
            chosen_systems(wrong)


def test_import_without_unix():
    hidden = "import sys; sys.modules.update(resource=None, fcntl=None, pwd=None, termios=None)\n"
    modules = "nontarget, nontarget.study.tables, nontarget.experiment, nontarget.study.reproduce, nontarget.plotting"
    code = f"{hidden}import {modules}; print('imported')"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "imported" in out.stdout, out.stderr
