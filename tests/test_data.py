import hashlib
import json
import re
import shutil
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import dataset_of, labeled, tiny_dataset, video
from hypothesis import given, settings
from hypothesis import strategies as st

from nontarget.config import Protocol
from nontarget.data import (
    Annotations,
    DataError,
    LabeledVideo,
    Normalization,
    Video,
    available,
    balanced_order,
    dataset_identity,
    defaults,
    load_dataset,
    make_clips,
    make_labeled_clips,
    random_crop,
    read_annotations,
    read_external_scores,
    read_feature_folder,
    read_thumos14_text,
    split_dataset,
    write_feature_folder,
)
from nontarget.data.defaults import DatasetDefaults
from nontarget.data.feature_times import FeatureTimes

# --- feature folders: good ones


def write_folder(folder, change=None, features=None):
    """A feature folder with two classes, two training and one test video; ``change`` edits the annotations first."""
    content = {
        "classes": ["run", "jump"],
        "feature_fps": 2.0,
        "database": {
            name: {"subset": subset, "duration": 10.0, "annotations": [{"label": "run", "segment": [1.0, 3.0]}]}
            for name, subset in (("t1", "training"), ("t2", "training"), ("v1", "validation"))
        },
    }
    content["database"]["t2"]["annotations"].append({"label": "jump", "segment": [4.0, 10.0]})
    if change:
        change(content)
    folder.mkdir(exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(content))
    arrays = {name: np.zeros((20, 4), dtype=np.float16) for name in ("t1", "t2", "v1")} | (features or {})
    np.savez(folder / "features.npz", **{k: v for k, v in arrays.items() if v is not None})
    return folder


def test_read_feature_folder(tmp_path):
    dataset = read_feature_folder(write_folder(tmp_path / "mine"))
    assert (dataset.name, dataset.classes, dataset.feature_dim) == ("mine", ("run", "jump"), 4)
    assert [v.video.video_id for v in dataset.train] == ["t1", "t2"]
    assert [v.video.video_id for v in dataset.test] == ["v1"]
    np.testing.assert_array_equal(dataset.train[1].annotations.labels, [0, 1])
    np.testing.assert_array_equal(dataset.train[1].annotations.segments_s, [[1, 3], [4, 10]])
    assert dataset.train[0].video.features.dtype == np.float32
    assert dataset.protocol == Protocol()
    assert not dataset.simulated


def test_folder_states_its_protocol_and_subsets(tmp_path):
    def change(content):
        content["protocol"] = {"windowing": "rescale", "num_snippets": 5, "tiou_thresholds": [0.5, 0.75], "pool": 2}
        content["subsets"] = {"train": "validation", "test": "training"}

    dataset = read_feature_folder(write_folder(tmp_path / "mine", change))
    assert dataset.protocol == Protocol(windowing="rescale", num_snippets=5, tiou_thresholds=(0.5, 0.75), pool=2)
    assert [v.video.video_id for v in dataset.train] == ["v1"]
    assert dataset.train[0].video.fps == 1.0
    assert len(dataset.train[0].video.features) == 10


def test_write_then_read_gives_the_same(tmp_path):
    dataset = tiny_dataset()
    write_feature_folder(tmp_path / "twin", dataset, dtype=np.float32)
    again = read_feature_folder(tmp_path / "twin", "thumos14-sim")
    assert again.classes == dataset.classes
    assert again.protocol == dataset.protocol
    assert again.simulated
    assert again.summary()["kind"] == "simulated"
    assert dataset_identity("ignored", features=tmp_path / "twin")[0]["simulated"] is True
    for subset in ("train", "test"):
        for a, b in zip(getattr(dataset, subset), getattr(again, subset), strict=True):
            assert a.video.video_id == b.video.video_id
            np.testing.assert_array_equal(a.video.features, b.video.features)
            np.testing.assert_array_equal(a.annotations.labels, b.annotations.labels)
            np.testing.assert_array_equal(a.annotations.segments_s, b.annotations.segments_s)
    for video_id, scores in dataset.external_scores.items():
        np.testing.assert_array_equal(again.external_scores[video_id], scores)
    written = ["SHA256SUMS", "annotations.json", "classes.txt", "external_scores.json"]
    written += ["features-00000-of-00001.safetensors", "features.index.json"]
    assert sorted(p.name for p in (tmp_path / "twin").iterdir()) == written


def test_real_data_stay_real(tmp_path):
    write_feature_folder(tmp_path / "copy", read_feature_folder(write_folder(tmp_path / "mine")))
    assert "simulated" not in json.loads((tmp_path / "copy" / "annotations.json").read_text())
    assert not read_feature_folder(tmp_path / "copy").simulated
    assert dataset_identity("ignored", features=tmp_path / "copy")[0]["simulated"] is False


def test_the_example_of_the_book_loads(tmp_path):
    """Its two blocks of JSON, taken literally."""
    page = (Path(__file__).parents[1] / "book" / "own_features.md").read_text(encoding="utf-8")
    whole, protocol = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    content, rng = json.loads(whole), np.random.default_rng(0)
    steps = {video: round(entry["duration"] * content["feature_fps"]) for video, entry in content["database"].items()}
    np.savez(tmp_path / "features.npz", **{video: rng.normal(size=(n, 8)) for video, n in steps.items()})
    for more in ({}, json.loads(f"{{{protocol}}}")):
        (tmp_path / "annotations.json").write_text(json.dumps(content | more))
        dataset = read_feature_folder(tmp_path)
        assert (len(dataset.train), len(dataset.test), dataset.feature_dim) == (1, 1, 8)
        assert dataset.protocol == Protocol(**{k: tuple(v) if isinstance(v, list) else v for k, v in more.get("protocol", {}).items()})


def add(content, **subsets):
    """Further videos, annotated unless the subset is one of those that nobody annotates."""
    for name, subset in subsets.items():
        annotations = [] if subset in ("testing", "background", "unlabeled") else content["database"]["t1"]["annotations"]
        content["database"][name] = {"subset": subset, "duration": 10.0, "annotations": annotations}


def test_subsets_that_are_left_out(tmp_path):
    """Unannotated ones of the published files, and with the key ``subsets`` all that it does not name, but not the unlabelled videos."""
    features = {"u1": np.ones((20, 4), np.float16)}
    dataset = read_feature_folder(
        write_folder(tmp_path / "mine", lambda c: add(c, u1="unlabeled", a="testing", b="background"), features)  # a and b have no features
    )
    assert ([v.video.video_id for v in dataset.train], [v.video_id for v in dataset.unlabeled]) == (["t1", "t2"], ["u1"])

    def change(content):
        add(content, u1="unlabeled", x1="fold_1", x2="fold_2", x3="fold_10")
        content["subsets"] = {"train": "fold_1", "test": "fold_2"}

    dataset = read_feature_folder(write_folder(tmp_path / "mine", change, features | {v: np.ones((20, 4)) for v in ("x1", "x2")}))
    assert [v.video.video_id for v in (*dataset.train, *dataset.test)] == ["x1", "x2"]
    assert [v.video_id for v in dataset.unlabeled] == ["u1"]


def test_the_key_subsets_chooses_between_validation_and_test(tmp_path):
    for test, expected in (("validation", ["v1"]), ("test", ["x1"])):

        def change(content, test=test):
            add(content, x1="test")
            content["subsets"] = {"train": "training", "test": test}

        dataset = read_feature_folder(write_folder(tmp_path / "mine", change, {"x1": np.ones((20, 4))}))
        assert [v.video.video_id for v in dataset.test] == expected


def test_other_keys_are_ignored(tmp_path):
    more = {"taxonomy": [], "version": "1.3", "merge_gap_s": 1, "dataset": "birds", "num_classes": 2}
    assert read_feature_folder(write_folder(tmp_path / "mine", lambda c: c.update(more) or edit("t1", url="x", fps=3)(c))).num_classes == 2


def test_external_scores(tmp_path):
    path, classes = tmp_path / "external_scores.json", ("run", "jump")
    path.write_text(json.dumps({"a": {"jump": 0.25}, "b": {"class": "run", "score": 1}, "other": {"x": 7}}))
    found = read_external_scores(path, ["a", "b"], classes)
    assert {video: row.tolist() for video, row in found.items()} == {"a": [0, 0.25], "b": [1, 0]}
    path.write_text(json.dumps({"a": {"sit": 0.5, "run": 1.5}, "b": 0.3}))
    with pytest.raises(DataError) as error:
        read_external_scores(path, ["a", "b", "c"], classes)
    for problem in (
        "a: unknown class 'sit'",
        "a: the score of 'run' must be in [0, 1], got 1.5",
        "b: expected scores by class, got 0.3",
        "c: ",
    ):
        assert problem in str(error.value)


def test_changed_external_scores_are_noticed(tmp_path):
    write_feature_folder(tmp_path, tiny_dataset())
    before = read_feature_folder(tmp_path).checksum
    path = tmp_path / "external_scores.json"
    path.write_text(path.read_text().replace("0.0", "0.5", 1))
    with pytest.raises(DataError, match="external_scores.json: its SHA-256 is"):
        read_feature_folder(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    assert read_feature_folder(tmp_path).checksum != before


def test_external_scores_of_a_twin_are_as_good_as_the_published_ones():
    dataset = tiny_dataset(num_train=4, num_test=400, num_classes=8)
    rows = np.stack([dataset.external_scores[v.video.video_id] for v in dataset.test])
    assert ((rows > 0).sum(axis=1) == 1).all()
    right = [row.argmax() in v.annotations.labels for row, v in zip(rows, dataset.test, strict=True)]
    assert np.mean(right) == pytest.approx(0.886, abs=0.05)


def test_pooling_averages_and_keeps_a_remainder():
    from nontarget.data.folder import pooled

    v = video(snippets=5, dim=1)
    p = pooled(v, 2)
    expected = [v.features[:2].mean(), v.features[2:4].mean(), v.features[4].item()]
    np.testing.assert_allclose(p.features[:, 0], expected, rtol=1e-6)
    assert p.fps == v.fps / 2
    assert p.duration_s == v.duration_s


@pytest.mark.parametrize(("name", "counts"), [("hapt", (42, 19, 12, 64)), ("nips4b", (233, 100, 43, 128)), ("precog16", (46, 24, 8, 120))])
def test_real_folders(data_root, name, counts):
    dataset = load_dataset(name, root=data_root)
    assert (len(dataset.train), len(dataset.test), dataset.num_classes, dataset.feature_dim) == counts
    assert name in available(data_root)


# --- feature folders: bad ones


def edit(video_id, **changes):
    return lambda content: content["database"][video_id].update(changes)


def instance(label="run", start=0.0, end=1.0):
    return {"annotations": [{"label": label, "segment": [start, end]}]}


@pytest.mark.parametrize(
    ("change", "features", "message"),
    [
        (None, {"t2": None}, r"features.npz: 1 problem\(s\):\s+t2: no features in the archive"),
        (None, {"t2": np.zeros((20, 5), np.float16)}, r"one feature dimension, got 4 \(t1\), 5 \(t2\)"),
        (None, {"t2": np.zeros(20, np.float16)}, r"t2: features must be \[T, D\], got shape \(20,\)"),
        (None, {"t2": np.zeros((20, 4), np.int64)}, "t2: features must be floating point, got int64"),
        (None, {"t2": np.full((20, 4), np.nan, np.float16)}, "t2: features must be finite, got nan at step 0, dimension 0"),
        (None, {"v1": np.pad([[np.inf]], ((3, 16), (2, 1)))}, "v1: features must be finite, got inf at step 3, dimension 2"),
        (None, {"t1": np.zeros((10, 4), np.float16)}, "t1: 10 feature steps for 10 s; at feature_fps 2 about 20 are expected"),
        (edit("t1", **instance(end=11.0)), None, r"t1: segment \[0, 11\] must lie within the video, \[0, 10\] s"),
        (edit("t1", **instance(start=-1.0)), None, r"segment \[-1, 1\] must lie within the video"),
        (edit("t1", **instance(start=2.0, end=2.0)), None, r"t1: segment \[2, 2\] must have end > start"),
        (edit("t1", **instance(start=3.0, end=2.0)), None, "must have end > start"),
        (edit("t1", **instance(end=float("nan"))), None, "numbers must be finite and fit 64 bits, got NaN"),
        (edit("t1", **instance(label="rum")), None, r"t1: unknown label 'rum'; did you mean 'run'\? \(known: 'run', 'jump'\)"),
        (edit("t1", annotations=[{"label": "run"}]), None, "t1: lacks 'segment'"),
        (edit("t1", duration=0), None, "t1: duration must be a positive number of seconds, got 0"),
        (lambda c: c.pop("feature_fps"), None, "lacks 'feature_fps'"),
        (lambda c: c.update(feature_fps=-5), None, "feature_fps must be a positive number of feature steps per second, got -5"),
        (lambda c: c.update(feature_fps=1e308), None, r"t1: 1e\+308 feature steps per second; at most 1e\+06 are accepted"),
        (lambda c: c.update(classes=["run", "jump", "run"]), None, r"'classes' lists \['run'\] more than once"),
        (lambda c: c.update(database={}), None, "non-empty 'database'"),
        (lambda c: c["database"].pop("v1"), None, "needs a training and a test subset"),
        (lambda c: c.update(protocol={"num_snipets": 4}), None, "unknown setting 'num_snipets'; did you mean 'num_snippets'"),
        (lambda c: c.update(protocol={"num_snippets": 0}), None, "num_snippets must be a whole number of at least 1, got 0"),
        (lambda c: c.update(protocol={"num_snippets": 64}), None, r"stride must be at most num_snippets \(64\)"),
        (lambda c: c.update(protocol=[4]), None, r"'protocol' must be a name or an object, got \[4\]"),
        (lambda c: c.update(feature_fps=True), None, "feature_fps must be a positive number"),
        (lambda c: c.update(classes="run"), None, "'classes' must be a list of names, got 'run'"),
        (lambda c: c.update(subsets=["training"]), None, r"subsets must be .*, got \['training'\]"),
        (lambda c: c.update(subsets={"train": "training"}), None, "subsets must be"),
        (lambda c: c["database"].update(t1=[1]), None, "t1: must be an object whose 'annotations', if any, are a list of objects"),
        (edit("t1", annotations=None), None, "t1: must be an object whose 'annotations'"),
        (
            edit("t1", annotations=[{"label": "run", "segment": [1, 2, 3]}]),
            None,
            r"t1: segment must be \[start_s, end_s\], got \[1, 2, 3\]",
        ),
        (edit("t1", annotations=[{"label": "run", "segment": [True, 2]}]), None, "t1: segment must be"),
        (edit("t1", subset="trainnig"), None, "subset 'trainnig'; did you mean 'training'"),
        (
            edit("t1", subset="foo"),
            None,
            r"t1: unknown subset 'foo' \(known: 'training', .*\)\s+to leave videos out .*\"subsets\": {\"train\": name",
        ),
        (
            edit("t1", subset=None),
            None,
            "t1: subset must be one of 'training', 'validation', 'test', 'unlabeled', or a name in 'subsets', got None",
        ),
        (lambda c: c["database"]["t1"].pop("subset"), None, "t1: subset must be one of .*, got None"),
        (edit("t1", subset=["training"]), None, r"t1: subset must be one of .*, got \['training'\]"),
        (edit("t1", subset="testing"), None, "t1: the subset 'testing' is left out, but this video is annotated"),
        (edit("t1", subset="unlabelled"), None, "t1: unknown subset 'unlabelled'; did you mean 'unlabeled'"),
        (
            edit("t1", subset="test"),
            None,
            r"has the subsets 'training', 'validation' and 'test'; say which to use: "
            r'"subsets": {"train": "training", "test": "validation"} or "subsets": {"train": "training", "test": "test"} or ',
        ),
        (
            lambda c: c.update(subsets={"train": "training", "test": "training"}),
            None,
            "subsets must be .*, two different names, neither 'unlabeled', got {'train': 'training', 'test': 'training'}",
        ),
        (lambda c: c.update(subsets={"train": "unlabeled", "test": "validation"}), None, "subsets must be .*, neither 'unlabeled'"),
        (lambda c: c.update(subsets={"train": ["training"], "test": "validation"}), None, r"subsets must be .*, got {'train': \['training"),
        (lambda c: c.update(subsets={"train": "training", "test": "validation", "more": "x"}), None, "subsets must be .*'more': 'x'"),
        (
            lambda c: c.update(subsets={"train": "training", "test": "vali"}),
            None,
            r"one of \[\('training', 'vali'\)\], or as the key 'subsets'",
        ),
        (
            lambda c: edit("t1", subset="trainnig")(c) or c.update(subsets={"train": "training", "test": "validation"}),
            None,
            r"t1: subset 'trainnig'; did you mean 'training'\?$",
        ),
        (lambda c: c.update(protcol={"pool": 2}), None, r"unknown key 'protcol'; did you mean 'protocol'\?"),
        (lambda c: c.update(databse=c.pop("database")), None, r"unknown key 'databse'; did you mean 'database'\?"),
        (lambda c: c.update(Subset={}, protocols={}), None, r"2 problem\(s\):\s+unknown key 'Subset'; .*\s+unknown key 'protocols'"),
        (lambda c: c["database"]["t1"].update(anotations=c["database"]["t1"].pop("annotations")), None, "t1: unknown key 'anotations'"),
        (lambda c: c.update(simulated="yes"), None, "'simulated' must be true or false, got 'yes'"),
        (
            None,
            {"v1": np.pad([[-1e300]], ((3, 16), (2, 1)))},
            r"v1: features must fit float32, at most 3.4e\+38, got -1e\+300 at step 3, dimension 2",
        ),
        (edit("v1", annotations=[]), None, "no video of the subset 'validation' has an instance"),
        (None, {"t1": np.array([{}], dtype=object)}, "t1: Object arrays cannot be loaded"),
    ],
)
def test_bad_folders(tmp_path, change, features, message):
    folder = write_folder(tmp_path / "bad", change, features)
    with pytest.raises(ValueError, match=message) as caught:
        read_feature_folder(folder)
    assert str(folder) in str(caught.value), "the message names the file"


def test_a_slightly_wrong_feature_rate(tmp_path):
    """5.4 for 5.0 passes for every video alone, but not for all of them."""
    videos = {name: np.zeros((500, 4), np.float16) for name in ("t1", "t2", "v1", "x1", "x2")}

    def change(content, fps):
        content["feature_fps"] = fps
        for name in videos:
            content["database"].setdefault(name, {"subset": "training"})["duration"] = 100.0

    read_feature_folder(write_folder(tmp_path / "right", lambda c: change(c, 5.0), videos))
    with pytest.raises(DataError, match="the features of most videos last 0.926 times as long as the videos at feature_fps 5.4"):
        read_feature_folder(write_folder(tmp_path / "wrong", lambda c: change(c, 5.4), videos))


def test_an_id_twice_in_the_archive(tmp_path):
    folder = write_folder(tmp_path / "bad")
    with zipfile.ZipFile(folder / "features.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("t1.npy", b"")
    with pytest.raises(DataError, match=r"the id\(s\) \['t1'\] are in the archive more than once"):
        read_feature_folder(folder)


def test_a_broken_list_of_checksums(tmp_path):
    folder = write_folder(tmp_path / "bad")
    (folder / "SHA256SUMS").write_text("abc\n")
    with pytest.raises(DataError, match="SHA256SUMS, line 1: expected 64 hexadecimal digits and a file, .* got 'abc'"):
        read_feature_folder(folder)


def test_videos_that_nobody_has_labelled(tmp_path):
    """They are unlabelled at every ratio, their annotations are not read, and they survive writing."""

    def change(content):
        content["database"]["u1"] = {"subset": "unlabeled", "duration": 10.0}

    dataset = read_feature_folder(write_folder(tmp_path / "mine", change, {"u1": np.ones((20, 4), np.float16)}))
    assert [v.video_id for v in dataset.unlabeled] == ["u1"]
    assert type(dataset.unlabeled[0]) is Video
    for ratio, hidden in ((1.0, ["u1"]), (0.5, ["t1", "u1"])):
        split = split_dataset(dataset, ratio, 0)
        assert [v.video_id for v in split.unlabeled] == hidden
    write_feature_folder(tmp_path / "copy", dataset)
    again = read_feature_folder(tmp_path / "copy")
    assert [v.video_id for v in again.unlabeled] == ["u1"]
    assert (again.unlabeled[0].features == 1).all()


def test_a_folder_s_own_protocol_comes_first(tmp_path, monkeypatch):
    monkeypatch.setitem(defaults._REGISTERED, "own", DatasetDefaults(protocol=Protocol(pool=4, num_snippets=64, stride=32)))
    stated = write_folder(tmp_path / "own", lambda c: c.update(protocol={"pool": 3}))
    monkeypatch.setenv("NONTARGET_DATA", str(tmp_path))
    assert load_dataset("own").protocol.pool == load_dataset(features=stated).protocol.pool == 3
    write_folder(stated)
    assert load_dataset("own").protocol.pool == load_dataset(features=stated).protocol.pool == 4
    assert dataset_identity("own")[1] == dataset_identity("x", features=stated)[1]


def test_all_problems_are_listed(tmp_path):
    def change(content):
        for name in ("t1", "t2", "v1"):
            content["database"][name]["annotations"] = [{"label": "fly", "segment": [0, 1]}] * 5

    with pytest.raises(DataError, match=r"15 problem\(s\)") as caught:
        read_feature_folder(write_folder(tmp_path / "bad", change))
    assert "... and 5 more" in str(caught.value)


def test_duplicate_ids(tmp_path):
    folder = write_folder(tmp_path / "bad")
    text = (folder / "annotations.json").read_text()
    (folder / "annotations.json").write_text(text.replace('"t2"', '"t1"'))
    with pytest.raises(DataError, match=r"annotations.json: the id\(s\) \['t1'\] are listed more than once"):
        read_feature_folder(folder)


def test_not_json_and_missing_files(tmp_path):
    folder = write_folder(tmp_path / "bad")
    (folder / "annotations.json").write_text("{")
    with pytest.raises(DataError, match="annotations.json: not a JSON file"):
        read_feature_folder(folder)
    (folder / "features.npz").unlink()
    with pytest.raises(FileNotFoundError, match="lacks features.index.json or features.npz; a feature folder holds annotations.json, and"):
        read_feature_folder(folder)


def test_truncated_archive(tmp_path):
    folder = write_folder(tmp_path / "bad", features={"t1": np.random.default_rng(0).normal(size=(20, 4)).astype(np.float16)})
    whole = (folder / "features.npz").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        (folder / "features.npz").write_bytes(whole[:size])
        with pytest.raises(DataError, match="features.npz: not a readable npz archive"):
            read_feature_folder(folder)


def test_interrupted_download_is_told_by_the_checksums(tmp_path):
    folder = write_folder(tmp_path / "mine")
    sums = {f: hashlib.sha256((folder / f).read_bytes()).hexdigest() for f in ("annotations.json", "features.npz")}
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {f}\n" for f, digest in sums.items()))
    read_feature_folder(folder)
    # Still a good archive, but not the one that was published.
    np.savez(folder / "features.npz", **{name: np.ones((20, 4)) for name in ("t1", "t2", "v1")})
    with pytest.raises(DataError, match=r"features.npz: its SHA-256 is .* SHA256SUMS says .*: an interrupted download"):
        read_feature_folder(folder)


def test_pickles_are_never_loaded(tmp_path):
    folder = write_folder(tmp_path / "bad", features={"t1": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(DataError, match="t1: Object arrays cannot be loaded"):
        read_feature_folder(folder)


def test_writing_loses_nothing(tmp_path):
    dataset = read_feature_folder(write_folder(tmp_path / "mine"))
    dataset.train[0].video.features[0, 0] = 1e5
    with pytest.raises(DataError, match=r"t1: features must fit float16, at most 6.6e\+04, got 100000 at step 0, dimension 0"):
        write_feature_folder(tmp_path / "copy", dataset)
    write_feature_folder(tmp_path / "copy", dataset, np.float32)
    assert read_feature_folder(tmp_path / "copy").train[0].video.features[0, 0] == 1e5
    with pytest.raises(DataError, match=r"the video\(s\) \['v1'\] would be written more than once"):
        write_feature_folder(tmp_path / "copy", replace(dataset, train=(*dataset.train, *dataset.test)))


def test_an_id_may_be_any_word(tmp_path):
    videos = {name: labeled(name, [(0, 0.0, 1.0)]) for name in ("file", "a b")}
    write_feature_folder(tmp_path / "copy", dataset_of([videos["file"]], [videos["a b"]], classes=("run",)))
    assert read_feature_folder(tmp_path / "copy").train[0].video.video_id == "file"


def test_each_video_may_have_its_own_rate_and_offset(tmp_path):
    """As THUMOS14's features, of four frame rates and windows that are wider than their stride."""
    videos = [labeled("x", [(0, 0, 1)], fps=7.5), labeled("y", [(1, 0, 1)], fps=6.25)]
    videos = [replace(v, video=replace(v.video, offset_s=0.2, duration_s=v.video.duration_s + 0.4)) for v in videos]
    dataset = dataset_of(videos[:1], videos[1:])
    write_feature_folder(tmp_path / "f", dataset, np.float32)
    content = json.loads((tmp_path / "f" / "annotations.json").read_text())
    assert "feature_fps" not in content
    assert content["database"]["x"]["feature_offset_s"] == pytest.approx(0.2 + 0.5 / 7.5)
    again = read_feature_folder(tmp_path / "f")
    for before, after in ((videos[0], again.train[0]), (videos[1], again.test[0])):
        assert after.video.fps == before.video.fps
        assert after.video.offset_s == pytest.approx(0.2)
        np.testing.assert_array_equal(after.video.features, before.video.features)
    clips = make_clips([v.video for v in again.train], again.protocol, Normalization.of([v.video for v in again.train]))
    assert clips.offset_s.tolist() == pytest.approx([0.2 + s / 7.5 for s in (0, 4)])
    assert clips.begins.tolist() == [True, False]


def test_rescaled_features_need_no_rate(tmp_path):
    dataset = dataset_of([labeled("x", [(0, 0, 1)], fps=2.0)], [labeled("y", [(1, 0, 1)], fps=2.0)])
    write_feature_folder(tmp_path, dataset)
    path = tmp_path / "annotations.json"
    content = json.loads(path.read_text())
    del content["feature_fps"]
    (tmp_path / "SHA256SUMS").unlink()
    content["database"]["x"]["feature_duration_s"] = 4.0
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="y: lacks 'feature_fps'"):
        read_feature_folder(tmp_path)
    content["database"]["y"]["feature_duration_s"] = 5.0
    path.write_text(json.dumps(content))
    x = read_feature_folder(tmp_path).train[0].video
    assert (x.fps, x.offset_s) == (2.5, 0.0)
    for key, value, message in (
        ("feature_fps", 0, "x: feature_fps must be a positive number, got 0"),
        ("feature_offset_s", "0.2", "x: feature_offset_s must be a number of seconds, got '0.2'"),
        ("feature_duration_s", -1, "x: feature_duration_s must be a positive number, got -1"),
    ):
        wrong = json.loads(json.dumps(content))
        wrong["database"]["x"][key] = value
        path.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=message):
            read_feature_folder(tmp_path)


@given(st.floats(0.1, 100), st.floats(-5, 5), st.lists(st.floats(0, 1e4), min_size=1, max_size=5), st.integers(1, 5000))
def test_times_of_features_are_exact_inverses(fps, offset_s, seconds, steps):
    grid = FeatureTimes(fps, offset_s, 100.0).grid(steps)
    assert grid.to_seconds(0.5) == pytest.approx(offset_s, abs=1e-9)
    assert grid.to_seconds(1.5) - grid.to_seconds(0.5) == pytest.approx(1 / fps, rel=1e-6, abs=1e-9)
    for t in seconds:
        assert grid.to_seconds(grid.to_snippets(t)) == pytest.approx(t, rel=1e-12, abs=1e-9)
    rescaled = FeatureTimes(None, None, 100.0).grid(steps)
    assert rescaled.to_seconds(float(steps)) == pytest.approx(100.0)


# --- annotation files


def test_real_annotation_files(data_root):
    thumos = read_annotations(data_root / "thumos14" / "thumos14.json")
    assert thumos.subsets() == ("validation", "test")
    counts = {s: sum(len(e.annotations.labels) for e in thumos.videos.values() if e.subset == s) for s in thumos.subsets()}
    assert counts == {"validation": 3003, "test": 3332}
    with pytest.raises(DataError, match="115 problem"):
        read_annotations(data_root / "activitynet" / "activitynet_v1-3.json")
    activitynet = read_annotations(data_root / "activitynet" / "activitynet_v1-3.json", invalid="repair")
    assert activitynet.subsets() == ("training", "validation")
    assert len(activitynet.repaired) == 115
    assert len(activitynet.classes) == 200


def test_thumos14_text_files(tmp_path):
    (tmp_path / "BaseballPitch_val.txt").write_text("video_validation_0000266  72.8 76.4\nvideo_validation_0000266 90.0 130.0\n\n")
    (tmp_path / "Diving_test.txt").write_text("video_test_0000001 1.5 2.5\n")
    (tmp_path / "Ambiguous_val.txt").write_text("video_validation_0000266 0 1\n")
    durations = {"video_validation_0000266": 120.0, "video_test_0000001": 10.0}
    content, left_out = read_thumos14_text(tmp_path, durations)
    assert content["classes"] == ["BaseballPitch", "Diving"]
    assert content["database"]["video_validation_0000266"] == {
        "subset": "validation",
        "duration": 120.0,
        "annotations": [{"label": "BaseballPitch", "segment": [72.8, 76.4]}],
    }
    assert left_out == ["video_validation_0000266: BaseballPitch [90.0, 130.0] in a video of 120 s"]
    (tmp_path / "thumos.json").write_text(json.dumps(content))
    assert read_annotations(tmp_path / "thumos.json").subsets() == ("validation", "test")
    with pytest.raises(DataError, match=r"BaseballPitch_val.txt, line 1: no duration given for video_validation_0000266"):
        read_thumos14_text(tmp_path, {})
    (tmp_path / "Diving_test.txt").write_text("video_test_0000001 1.5\n")
    with pytest.raises(DataError, match="Diving_test.txt, line 1: expected 'video start_s end_s'"):
        read_thumos14_text(tmp_path, durations)
    with pytest.raises(DataError, match="no file <Class>_val.txt"):
        read_thumos14_text(tmp_path / "nowhere", durations)


# --- registry


def test_unknown_data_sets(tmp_path, monkeypatch):
    monkeypatch.delenv("NONTARGET_DATA", raising=False)
    with pytest.raises(ValueError, match=r"unknown data set 'thumos-sim'; did you mean 'thumos14-sim'\?.*NONTARGET_DATA"):
        load_dataset("thumos-sim")
    write_folder(tmp_path / "birds")
    monkeypatch.setenv("NONTARGET_DATA", str(tmp_path))
    assert "birds" in available()
    with pytest.raises(ValueError, match=r"did you mean 'birds'\?.*were looked for in"):
        load_dataset("bird")
    assert load_dataset("birds").name == "birds"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_dataset("birds", root=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="unknown preset 'smal'; did you mean 'small'"):
        load_dataset("thumos14-sim", "smal")
    with pytest.raises(ValueError, match="unknown setting 'nois'; did you mean 'noise'"):
        load_dataset("thumos14-sim", twin_settings={"nois": 1.0})


def test_a_folder_with_the_name_of_a_twin(tmp_path, monkeypatch):
    monkeypatch.setenv("NONTARGET_DATA", str(tmp_path))
    (tmp_path / "thumos14-sim").mkdir()  # no feature folder yet
    dataset_identity("thumos14-sim")
    write_folder(tmp_path / "thumos14-sim")
    assert available() == ("thumos14-sim", "activitynet-sim")
    for function in (load_dataset, dataset_identity):
        with pytest.raises(DataError, match=r"thumos14-sim: a feature folder must not have the name of a twin .*; rename it"):
            function("thumos14-sim")
    assert not read_feature_folder(tmp_path / "thumos14-sim").simulated
    dataset_identity("activitynet-sim")


def test_identity_without_loading(tmp_path, monkeypatch):
    monkeypatch.delenv("NONTARGET_DATA", raising=False)
    about, protocol = dataset_identity("hapt")
    assert about == {"name": "hapt", "checksum": None, "simulated": False}
    assert protocol.pool == 4
    with pytest.raises(ValueError, match="unknown data set 'nothing'"):
        dataset_identity("nothing")
    folder = write_folder(tmp_path / "birds")
    about, _ = dataset_identity("ignored", features=folder)
    assert about["name"] == "birds"
    assert about["checksum"] == read_feature_folder(folder).checksum
    # Every ingredient of a twin changes its checksum.
    plain, _ = dataset_identity("thumos14-sim")
    changed, _ = dataset_identity("thumos14-sim", twin_settings={"noise": 3.0})
    assert plain["checksum"] != changed["checksum"]


def test_checksum_follows_the_files(tmp_path):
    folder = write_folder(tmp_path / "birds")
    before = read_feature_folder(folder).checksum
    copied = shutil.copytree(folder, tmp_path / "copy")
    assert read_feature_folder(copied).checksum == before
    write_folder(folder, features={"t1": np.ones((20, 4), np.float16)})
    assert read_feature_folder(folder).checksum != before


# --- splits


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_splits_are_nested_balanced_and_seeded(seed):
    dataset = tiny_dataset()
    previous = set()
    for ratio in (0.2, 0.4, 0.6, 1.0):
        split = split_dataset(dataset, ratio, seed)
        labeled_ids = {v.video.video_id for v in split.labeled}
        unlabeled_ids = {v.video_id for v in split.unlabeled}
        assert previous <= labeled_ids
        assert len(labeled_ids) == round(ratio * len(dataset.train))
        assert labeled_ids | unlabeled_ids == {v.video.video_id for v in dataset.train}
        assert not labeled_ids & unlabeled_ids
        shown = {c for v in split.labeled for c in v.annotations.labels}
        assert shown == set(range(dataset.num_classes))
        previous = labeled_ids


def test_split_seeds_differ_and_repeat():
    dataset = tiny_dataset()
    ids = [tuple(v.video.video_id for v in split_dataset(dataset, 0.2, s).labeled) for s in (0, 0, 1, 2)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_every_prefix_keeps_the_classes_balanced():
    annotations = [Annotations(np.array([i % 3]), np.zeros((1, 2))) for i in range(30)] + [
        Annotations(np.array([], np.int64), np.zeros((0, 2)))
    ]
    order = balanced_order(annotations, 3, seed=4)
    assert sorted(order) == list(range(31))
    assert order[-1] == 30, "a video without an instance comes last"
    for n in range(1, 31):
        counts = np.bincount(order[:n] % 3, minlength=3)
        assert counts.max() - counts.min() <= 1


def test_ratio_that_leaves_a_class_without_labels():
    dataset = tiny_dataset()
    with pytest.raises(ValueError, match=r"label_ratio 0.05 labels 1 of the 24 .* leaves 3 of 4 classes without a label .*at least 0.1\d*"):
        split_dataset(dataset, 0.05, 0)
    for ratio in (0, -0.1, 1.1):
        with pytest.raises(ValueError, match=r"label_ratio must be in \(0, 1\]"):
            split_dataset(dataset, ratio, 0)


def test_the_ratio_that_the_message_names_works():
    import re

    dataset = tiny_dataset()
    for seed in range(5):
        with pytest.raises(ValueError, match="at least") as caught:
            split_dataset(dataset, 0.05, seed)
        ratio = float(re.search(r"at least ([0-9.]+)", str(caught.value)).group(1))
        split_dataset(dataset, ratio, seed)


def test_unlabelled_videos_have_no_place_for_annotations():
    unlabeled = split_dataset(tiny_dataset(), 0.2, 0).unlabeled[0]
    assert not hasattr(unlabeled, "annotations")
    assert not hasattr(unlabeled, "__dict__")
    with pytest.raises((AttributeError, TypeError)):
        unlabeled.annotations = None


# --- clips


def test_sliding_windows():
    protocol = Protocol(num_snippets=8, stride=4)
    videos = [video("short", snippets=5), video("long", snippets=17)]
    normalization = Normalization.of(videos)
    clips = make_clips(videos, protocol, normalization)
    assert clips.video.tolist() == [0, 1, 1, 1, 1]
    assert clips.offset_s.tolist() == [0, 0, 2, 4, 6]
    assert clips.valid.sum(dim=1).tolist() == [5, 8, 8, 8, 5]
    assert clips.continues.tolist() == [False, True, True, True, False]
    assert (clips.features[0, 5:] == 0).all()
    stacked = np.concatenate([v.features for v in videos])
    expected = (videos[1].features[12:17] - stacked.mean(0)) / stacked.std(0)
    np.testing.assert_allclose(clips.features[4, :5], expected, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12))
def test_windows_cover_the_video_and_none_is_superfluous(snippets, length, stride):
    stride = min(stride, length)
    v = video(snippets=snippets)
    clips = make_clips([v], Protocol(num_snippets=length, stride=stride), Normalization.of([v]))
    starts = (clips.offset_s * v.fps).round().int().tolist()
    covered = set()
    for start, valid in zip(starts, clips.valid.sum(dim=1).tolist(), strict=True):
        covered |= set(range(start, start + valid))
    assert covered == set(range(snippets))
    assert len(starts) == 1 or starts[-2] + length < snippets


def test_rescaling_keeps_time():
    v = video(snippets=10, fps=2.0)
    clips = make_clips([v], Protocol(windowing="rescale", num_snippets=5), Normalization.of([v]))
    assert clips.features.shape == (1, 5, 3)
    assert clips.fps.item() * 5.0 == 5  # 5 s in 5 snippets
    assert clips.valid.all()
    # Halving the rate puts each new centre midway between two old ones.
    normal = (v.features - v.features.mean(0)) / v.features.std(0)
    np.testing.assert_allclose(clips.features[0], (normal[0::2] + normal[1::2]) / 2, rtol=1e-4, atol=1e-5)


def test_normalization_leaves_a_constant_dimension_at_zero():
    v = video(snippets=4)
    v.features[:, 1] = 7.0
    clips = make_clips([v], Protocol(num_snippets=4, stride=4), Normalization.of([v]))
    assert (clips.features[0, :, 1] == 0).all()
    with pytest.raises(ValueError, match="at least one video"):
        make_clips([], Protocol(), Normalization.of([v]))


def test_targets_of_windows():
    v = labeled("x", [(1, 1.0, 4.0)], snippets=10, fps=2.0)  # snippets 2 to 8
    clips = make_labeled_clips([v], Protocol(num_snippets=6, stride=3), Normalization.of([v.video]), num_classes=2)
    assert clips.labels.tolist() == [[2, 2, 1, 1, 1, 1], [1, 1, 1, 1, 1, 2], [1, 1, 2, 2, 2, 2]]
    assert clips.segments[0, 2].tolist() == [2, 8]
    assert clips.segments[1, 0].tolist() == [-1, 5]
    assert clips.segments[2, 5].tolist() == [0, 0]
    batch = clips[torch.tensor([2, 0])]
    assert batch.labels.tolist() == [clips.labels[2].tolist(), clips.labels[0].tolist()]


def test_clips_carry_all_their_instances():
    # In snippets: one of two classes, one inside it, one across a border of windows, one between two centres.
    v = labeled("x", [(0, 1.0, 3.5), (1, 1.0, 3.5), (0, 1.5, 2.0), (1, 2.8, 3.4), (0, 4.3, 4.45)], snippets=10, fps=2.0)
    protocol = Protocol(num_snippets=6, stride=4)
    clips = make_labeled_clips([v, labeled("none", [], snippets=3)], protocol, Normalization.of([v.video]), num_classes=2)
    assert clips.instance_labels.tolist() == [[0, 1, 0, 1, 2], [0, 1, 1, 0, 2], [2] * 5]
    assert clips.instance_segments[0, :, 0].tolist() == pytest.approx([2, 2, 3, 5.6, 0])
    assert clips.instance_segments[1, :, 1].tolist() == pytest.approx([3, 3, 2.8, 4.9, 0]), "true ends, also outside the clip"
    assert clips.labels.tolist() == [[2, 2, 0, 0, 0, 0], [0, 0, 1, 2, 0, 2], [2] * 6]
    covers = clips.instance_snippets
    assert covers[0].int().tolist() == [[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 0, 0], [0] * 6, [0] * 6]
    assert covers[1, 3].nonzero().squeeze(1).tolist() == [4], "the snippet nearest to its centre"
    assert not covers[2].any()

    assert torch.equal(clips[torch.tensor([1, 0])].instance_snippets, covers[[1, 0]])


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.floats(1e-4, 1), st.floats(0.0, 1.0))
def test_no_instance_of_a_video_is_lost_at_any_rate(snippets, length, stride, where, share, tail):
    """Also one that lies after the last snippet: features often end before their video does."""
    plain = video(snippets=snippets, fps=2.0)
    v = Video("v", plain.features, plain.fps, (snippets + tail) / plain.fps)
    end = v.duration_s * min(1.0, where + share)
    start = min(v.duration_s * where, end - 1e-4 * v.duration_s)
    instances = LabeledVideo(v, Annotations(np.array([1]), np.array([[start, end]])))
    clips = make_labeled_clips([instances], Protocol(num_snippets=length, stride=min(stride, length)), Normalization.of([v]), num_classes=2)
    assert clips.instance_snippets.any()
    assert (clips.labels == 1).any()
    assert torch.equal(clips.labels == 1, clips.instance_snippets.any(dim=1))
    whole = make_labeled_clips([instances], Protocol(windowing="rescale", num_snippets=length), Normalization.of([v]), num_classes=2)
    assert (whole.labels == 1).any()


def test_random_crop():
    videos = [
        labeled("a", [(0, 1.0, 3.0), (1, 5.0, 5.2)], snippets=10, fps=1.0),
        labeled("b", [], snippets=4),
        labeled("c", [(1, 0.0, 9.0)]),
    ]
    protocol, normalization = Protocol(num_snippets=12, stride=12), Normalization.of([v.video for v in videos])
    clips = make_labeled_clips(videos, protocol, normalization, num_classes=2)
    assert all(
        torch.equal(getattr(random_crop(clips, (1.0, 1.0)), f.name), getattr(clips, f.name)) for f in fields(clips) if f.name != "cutter"
    )

    lengths, starts = set(), set()
    torch.manual_seed(0)
    for _ in range(60):
        window = random_crop(clips, (0.5, 1.0))
        start = ((window.offset_s - clips.offset_s) * clips.fps).round().long()
        for i, (s, n) in enumerate(zip(start.tolist(), window.valid.sum(dim=1).tolist(), strict=True)):
            lengths.add((i, n))
            starts.add((i, s))
            assert torch.equal(window.features[i, :n], clips.features[i, s : s + n])
            assert (window.features[i, n:] == 0).all()
            assert bool(window.continues[i]) == (s + n < int(clips.valid[i].sum()))
            covers = clips.instance_snippets[i, :, s : s + n]
            assert torch.equal(window.instance_snippets[i, :, :n], covers)
            assert torch.equal(window.labels[i, :n], clips.labels[i, s : s + n])
        assert torch.equal(window.instance_labels, clips.instance_labels)
        inside = window.instance_segments.clamp(min=0).minimum(window.valid.sum(dim=1)[:, None, None]).diff(dim=-1)[..., 0]
        kept = inside >= 0.5 * clips.instance_segments.diff(dim=-1)[..., 0]
        assert kept[0, :2].any(), "at least half of an instance is in it"
    assert {n for i, n in lengths if i == 0} == set(range(5, 11))
    assert {s for i, s in starts if i == 1} == {0, 1, 2}
