"""Names of classes that are probably one class, names that are none, and classes whose instances others hide."""

import json

import numpy as np
import pytest
from test_trust_input import make_folder

from nontarget.class_names import plain_name
from nontarget.data import DataError, read_annotations, read_feature_folder, read_thumos14_text, write_feature_folder
from nontarget.data.releases import convert_release, inspect_release


def relabelled(name, listed):
    def change(content, features):
        content["database"]["vid0"]["annotations"] = [{"label": name, "segment": [2.0, 8.0]}]
        content["classes"].append(name)
        if not listed:
            del content["classes"]

    return change


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    "name", ["Run", "run ", "RUN", "ru-n", "run_", "r un", "run\u200b", "\uff52un", "Ambiguous", "ambiguous ", "AMBIGUOUS"]
)
def test_doubtful_names_are_refused_unless_asked_for(tmp_path, name, listed):
    folder = make_folder(tmp_path / "set", relabelled(name, listed))
    with pytest.raises(DataError, match="distinct_classes"):
        read_feature_folder(folder)
    path = folder / "annotations.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"distinct_classes": [name]}))
    dataset = read_feature_folder(folder)
    assert set(dataset.classes) == {"run", "jump", name}
    write_feature_folder(tmp_path / "written", dataset)
    assert read_feature_folder(tmp_path / "written").classes == dataset.classes


@pytest.mark.parametrize("pair", [("run 1", "run 12"), ("C", "C++"), ("1.5", "15"), ("-1", "1"), ("+", "-"), ("run", "running")])
def test_names_that_are_no_spellings_of_one(pair):
    assert plain_name(pair[0]) != plain_name(pair[1])


@pytest.mark.parametrize("wrong", ["run", [1], {"run": 1}])
def test_distinct_classes_must_be_a_list(tmp_path, wrong):
    folder = make_folder(tmp_path / "set", lambda content, features: content.update(distinct_classes=wrong))
    with pytest.raises(DataError, match="'distinct_classes' must be a list of names"):
        read_annotations(folder / "annotations.json")


def test_text_of_thumos14(tmp_path):
    for name in ("Diving_val", "ambiguous_val", "Ambiguous_val", "AmbiguousDive_val"):
        (tmp_path / f"{name}.txt").write_text("a 1 2\n")
    assert read_thumos14_text(tmp_path, {"a": 5.0}, ["val"])[0]["classes"] == ["AmbiguousDive", "Diving"]
    (tmp_path / "diving_val.txt").write_text("a 1 2\n")
    with pytest.raises(DataError, match="'Diving' and 'diving'"):
        read_thumos14_text(tmp_path, {"a": 5.0}, ["val"])


def with_instances(*instances):
    def change(content, features):
        for entry in content["database"].values():
            entry["annotations"] = [{"label": label, "segment": segment} for label, *segment in instances]

    return change


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([("run", 2.0, 8.0), ("jump", 2.0, 8.0)], "'jump' 6 of 6"),
        ([("run", 2.0, 8.0), ("jump", 2.0, 5.0), ("jump", 5.0, 8.0)], "'run' 6 of 6"),
        ([("run", 2.01, 2.03), ("jump", 2.04, 2.05)], "'run' 6 of 6"),
        ([("jump", 2.0, 8.0), ("run", 2.0, 8.0), ("run", 10.0, 12.0)], "'run' 6 of 12"),
    ],
)
def test_classes_that_others_hide_are_counted(tmp_path, instances, said):
    with pytest.warns(UserWarning, match=rf"instances of 1 class\(es\) \({said}\) have no snippet of their own"):
        read_feature_folder(make_folder(tmp_path / "set", with_instances(*instances)))


def test_what_overlaps_and_keeps_a_snippet_is_fine(tmp_path):
    read_feature_folder(make_folder(tmp_path / "set", with_instances(("run", 2.0, 8.0), ("jump", 2.0, 7.0), ("run", 2.0, 3.0))))


def release(folder, second, segment):
    (folder / "features").mkdir(parents=True)
    database = {}
    for i in range(4):
        np.save(folder / "features" / f"v{i}.npy", np.zeros((50, 4), dtype=np.float32))
        annotations = [{"label": "run", "segment": [2, 9]}, {"label": second, "segment": segment}]
        database[f"v{i}"] = {"subset": "training" if i < 2 else "validation", "duration": 50.0, "annotations": annotations}
    (folder / "annotations_of_set.json").write_text(json.dumps({"database": database}))
    return folder


def test_releases(tmp_path):
    times = {"fps": 1, "stride": 1, "window": 1, "axes": "TD"}
    folder = release(tmp_path / "a", "Run", [20, 29])
    assert "'Run' and 'run' differ" in str(inspect_release(folder, **times))
    with pytest.raises(DataError, match="'Run' and 'run' differ"):
        convert_release(folder, tmp_path / "out", progress=False, **times)
    convert_release(folder, tmp_path / "out", progress=False, distinct_classes=["Run"], **times)
    assert read_feature_folder(tmp_path / "out").classes == ("Run", "run")
    report = inspect_release(release(tmp_path / "b", "ambiguous", [20, 29]), **times)
    assert report.release.classes == ("run",)
    report = inspect_release(release(tmp_path / "c", "jump", [2, 9]), **times)
    assert "instances of 1 class(es) ('jump' 4 of 4) have no snippet of their own" in str(report)
