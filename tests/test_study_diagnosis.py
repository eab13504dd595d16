"""The diagnosis sees labelled videos alone."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import TINY_TRAINING, tiny_dataset
from test_study_when import bent, points

from nontarget.data import Annotations, Split, split_dataset, write_feature_folder
from nontarget.study.diagnosis import diagnose_rule
from nontarget.study.given import ExperimentOn
from nontarget.study.when import GainMap

SETTINGS = {
    "folds": 3,
    "device": "cpu",
    "progress": False,
    "num_bootstrap": 200,
    "training_settings": TINY_TRAINING,
    "detector_settings": {"embed_dim": 16, "mask_dim": 8},
}


@pytest.fixture(scope="module")
def dataset():
    return tiny_dataset()


def corrupted(dataset, ratio):
    """The same data set with other annotations of the unlabelled and of the test videos."""
    labeled = {v.video.video_id for v in split_dataset(dataset, ratio, 0).labeled}

    def other(v):
        wrong = Annotations((v.annotations.labels + 1) % dataset.num_classes, v.annotations.segments_s * 0.5)
        return v if v.video.video_id in labeled else replace(v, annotations=wrong)

    return replace(dataset, train=tuple(map(other, dataset.train)), test=tuple(map(other, dataset.test)))


def diagnosed(dataset, folder, **options):
    write_feature_folder(folder, dataset, dtype=np.float32)
    return diagnose_rule(folder, **(SETTINGS | options))


def test_hidden_annotations_change_nothing(dataset, monkeypatch):
    ids = {v.video.video_id for v in split_dataset(dataset, 0.5, 0).labeled}

    def same_split(whole, label_ratio, seed):  # the split itself is stratified by all classes: here it is given
        labeled = tuple(v for v in whole.train if v.video.video_id in ids)
        return Split(labeled, tuple(v.video for v in whole.train if v.video.video_id not in ids))

    monkeypatch.setattr("nontarget.study.diagnosis.split_dataset", same_split)
    wrong = replace(corrupted(dataset, 0.5), checksum="another")
    assert any((a.annotations.labels != b.annotations.labels).any() for a, b in zip(dataset.train, wrong.train, strict=True))
    a, b = (diagnose_rule(ExperimentOn(data=d, label_ratio=0.5), **SETTINGS) for d in (dataset, wrong))
    assert a.num_videos == len(ids)
    assert a.shares.equals(b.shares)
    assert a.temperature == b.temperature


def test_what_it_says(dataset, tmp_path):
    gain_map = GainMap.fit(points(bent, np.linspace(0, 0.5, 4)))
    found = diagnosed(dataset, tmp_path / "toy", label_ratio=0.5, gain_map=gain_map)
    assert found.num_videos == len(split_dataset(dataset, 0.5, 0).labeled)
    total = sum(len(v.video.features) for v in split_dataset(dataset, 0.5, 0).labeled)
    assert found.num_snippets + found.num_unseen == total, "each once"
    assert 0 < found.num_unseen < total / 2, "snippets of classes that the other folds do not show"
    assert f"{found.num_unseen} snippets of classes that these folds do not show are left out" in found.table.caption
    estimates = found.shares.dropna()
    assert ((estimates["low"] <= estimates["estimate"]) & (estimates["estimate"] <= estimates["high"])).all()
    inside = found.shares["estimate"].loc["as it is"][["positive", "negative", "ambiguous"]]
    assert inside.sum() == pytest.approx(1)
    assert found.shares.loc[("as it is", "errors"), "estimate"] == found.shares.loc[("calibrated", "errors"), "estimate"]
    for text in (repr(found), found._repr_markdown_()):
        assert "P(truth in positives | target wrong)" in text.replace(r"\|", "|")
        assert "predicted gain" in text
        assert "simulated" in text
    row = found.predicted.loc["as it is"]
    assert row["mean"] == pytest.approx(gain_map.predict(found.positive, found.negative)["mean"][0])
    assert row["high"] - row["low"] >= (lambda p: p["high"] - p["low"])(gain_map.predict(found.positive, found.negative).iloc[0])


def test_without_a_map_it_predicts_nothing(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("nontarget.study.diagnosis.current_map", lambda: None)
    found = diagnosed(dataset, tmp_path / "toy", label_ratio=0.5, folds=2)
    assert found.predicted is None
    assert "nothing is predicted" in found.findings


@pytest.mark.parametrize("folds", [1, 1000, 2.5])
def test_folds_that_cannot_be(dataset, tmp_path, folds):
    with pytest.raises(ValueError, match="number of labelled videos"):
        diagnosed(dataset, tmp_path / "toy", folds=folds)
