"""Normalised AP by hand, folds by volunteer, and a runner that goes on where it stopped."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import dataset_of, labeled

from nontarget.data import load_dataset
from nontarget.metrics import evaluate_detections
from nontarget.runtime.digests import with_digest
from nontarget.study.anchor import (
    leave_one_subject_out,
    mean_normalized_ap,
    normalized_ap,
    run_anchor,
    subject_of,
)


def test_normalized_ap_by_hand():
    # Hit, miss, hit of 2 instances; N = 4. Recall 1/2, 1/2, 1; R N = 2, 2, 4; false 0, 1, 1: precision 1, 2/3, 4/5.
    matched = np.array([[True], [False], [True]])
    assert normalized_ap(matched, 2, 4.0).tolist() == pytest.approx([(1 + 4 / 5) / 2])
    assert normalized_ap(matched, 2, 2.0).tolist() == pytest.approx([(1 + 2 / 3) / 2]), "AP, where N is the class's own number"
    assert normalized_ap(np.zeros((0, 3), dtype=bool), 2, 4.0).tolist() == [0, 0, 0]
    assert normalized_ap(np.zeros((2, 1), dtype=bool), 2, 4.0).tolist() == [0]


def frames(classes=("a", "b"), instances=(3, 3)):
    rng = np.random.default_rng(0)
    rows = [(f"v{i % 2}", c, 10.0 * i, 10.0 * i + 5) for c, n in zip(classes, instances, strict=True) for i in range(n)]
    truth = pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s"])
    guesses = pd.concat([truth] * 3, ignore_index=True)
    guesses[["start_s", "end_s"]] += rng.normal(size=(len(guesses), 2))
    elsewhere = pd.DataFrame({"video_id": ["v9"], "label": ["a"], "start_s": [0.0], "end_s": [1.0]})
    guesses = pd.concat([guesses, elsewhere], ignore_index=True)
    return truth, guesses.assign(score=rng.permutation(len(guesses)) / len(guesses))


@pytest.mark.filterwarnings("ignore:[0-9]+ of the [0-9]+")
def test_equal_classes_have_the_plain_map():
    truth, detections = frames()
    plain = evaluate_detections(truth, detections, (0.3, 0.5, 0.7)).mean_ap
    assert 0 < plain.min() < 1
    assert mean_normalized_ap(truth, detections, (0.3, 0.5, 0.7)) == pytest.approx(plain)


@pytest.mark.filterwarnings("ignore:[0-9]+ of the [0-9]+")
def test_a_rare_class_is_not_blamed_for_being_rare():
    truth, detections = frames(instances=(8, 2))
    plain = evaluate_detections(truth, detections, (0.5,))
    normal = mean_normalized_ap(truth, detections, (0.5,))
    rare, common = truth[truth["label"] == "b"], truth[truth["label"] == "a"]
    assert len(rare) < len(common)
    assert normal[0] != pytest.approx(plain.mean_ap[0])


def recordings(users=3):
    return dataset_of(
        [
            labeled(f"hapt_exp{2 * u + i:02d}_user{u:02d}", [(0, 0.5, 2), (1, 2.5, 4)], seed=2 * u + i)
            for u in range(1, users + 1)
            for i in (0, 1)
        ]
    )


def test_subjects():
    assert subject_of("hapt_exp14_user07") == "user07"
    with pytest.raises(ValueError, match="hapt_exp14"):
        subject_of("video_1")


def test_nobody_is_trained_and_tested_on():
    whole = recordings()
    folds = dict(leave_one_subject_out(whole))
    assert list(folds) == ["user01", "user02", "user03"]
    for subject, fold in folds.items():
        assert {subject_of(v.video.video_id) for v in fold.test} == {subject}
        assert subject not in {subject_of(v.video.video_id) for v in fold.train}
        assert len(fold.train) + len(fold.test) == len(whole.train)
    assert len({fold.checksum for fold in folds.values()}) == 3
    with pytest.raises(ValueError, match="two subjects"):
        list(leave_one_subject_out(recordings(users=1)))


def test_the_real_recordings(data_root, monkeypatch):
    if not (data_root / "hapt").is_dir():
        pytest.skip("hapt is not here")
    folds = dict(leave_one_subject_out(load_dataset("hapt", root=data_root)))
    assert len(folds) == 30
    assert sum(len(fold.test) for fold in folds.values()) == 61


SETTINGS = {
    "dataset": "thumos14-sim",  # names the budget; the data are the toy's
    "training_settings": {"pretrain_epochs": 1, "selftrain_epochs": 1, "batch_size": 4},
    "detector_settings": {"embed_dim": 16},
}


def test_a_fold_at_a_time(tmp_path):
    options = {"dataset": recordings(), "device": "cpu", "progress": False, "settings": SETTINGS}
    nothing = run_anchor(tmp_path, compute=False, **options)
    assert (nothing.missing, nothing.num_subjects) == (3, 3)
    assert "not computed" in nothing.table._repr_markdown_()
    one = run_anchor(tmp_path, subjects=["user02"], **options)
    assert one.scores.index.tolist() == ["user02"]
    assert "2 of 3 folds are not computed" in one.findings
    path = next(tmp_path.glob("user02-*.json"))
    record = json.loads(path.read_text())
    assert set(record["by_tiou"]) == {"0.3", "0.4", "0.5", "0.6", "0.7"}
    record["scores"]["mean_ap"] = 12.5
    path.write_text(json.dumps(record))
    with pytest.warns(UserWarning, match=f"{path.name}: not used"):
        assert run_anchor(tmp_path, compute=False, **options).missing == 3, "a score that was changed is not used"
    path.write_text(json.dumps(with_digest(record)))
    all_of_them = run_anchor(tmp_path, **options)
    assert all_of_them.missing == 0
    assert all_of_them.scores.loc["user02", "mean_ap"] == 12.5, "what is there is read"
    assert "published" in all_of_them.findings
    with pytest.raises(ValueError, match="no such subjects"):
        run_anchor(tmp_path, subjects=["user99"], **options)
