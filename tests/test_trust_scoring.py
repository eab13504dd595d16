"""Scoring: what truth and detections do not know of each other is said, and odd input gets an error that names the place."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from nontarget import evaluate_detections
from nontarget.cli import main
from nontarget.detection_files import read_detections, subset_of

VIDEOS = ["abc", "def"]


def truth(labels=("Run", "Long Jump"), videos=VIDEOS):
    annotations = [{"label": label, "segment": [10.0 * i, 10.0 * i + 5]} for i, label in enumerate(labels)]
    return {"database": {video: {"subset": "validation", "annotations": annotations} for video in videos}}


def results(labels=("Run", "Long Jump"), videos=VIDEOS):
    found = [{"label": label, "segment": [10.0 * i, 10.0 * i + 5], "score": 0.9} for i, label in enumerate(labels)]
    return {"results": dict.fromkeys(videos, found)}


def score(a, b, **options):
    return evaluate_detections(a, b, [0.5], **options).average_mean_ap


def test_what_fits_is_scored_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(truth(), results()) == 1.0
        assert score(truth(), {"results": {}}) == 0.0
        assert score(truth(labels=("Run",)), results(), known_labels=["Run", "Long Jump"]) == 1.0


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        (("run", "Long Jump"), "capitals"),
        (("Run ", "Long Jump"), "blanks around"),
        (("Run", "LongJump"), "blanks, '_' or '-' within"),
        (("Run", "Long_Jump"), "blanks, '_' or '-' within"),
        (("Rum", "Long Jumps"), "Long Jump"),
        (("Other", "Long Jump"), "'Other'"),
    ],
)
def test_labels_that_the_truth_does_not_know_are_named(labels, cause):
    with pytest.warns(UserWarning, match="labels of detections") as seen:
        assert score(truth(), results(labels)) < 1
    assert cause in str(seen[0].message)
    assert any(repr(label) in str(seen[0].message) for label in labels)


def test_numbers_in_place_of_names_are_an_error():
    with pytest.raises(ValueError, match="label holds names in ground_truth .* and numbers in detections"):
        score(truth(), results(labels=(0, 1)))


@pytest.mark.parametrize("videos", [["v_abc", "v_def"], ["abc.mp4", "def.mp4"], ["ABC", "DEF"], ["abc", "v_def"], ["x", "y"]])
def test_videos_that_the_truth_does_not_know_are_named(videos):
    with pytest.warns(UserWarning, match="videos of detections") as seen:
        score(truth(), results(videos=videos))
    text = str(seen[0].message)
    assert repr(videos[1]) in text
    if videos[0].startswith("v_"):
        assert "the prefix 'v_' is on one side alone" in text


def test_blocked_videos():
    with pytest.raises(ValueError, match=r"blocked_videos must be a list of names, such as \['abc'\]"):
        score(truth(), results(), blocked_videos="abc")
    with pytest.warns(UserWarning, match="none of the 1 blocked_videos, such as 'v_abc', is known"):
        score(truth(), results(), blocked_videos=["v_abc"])
    assert evaluate_detections(truth(), results(), [0.5], blocked_videos=["abc"]).num_videos == 1


def test_a_video_twice_in_a_file_is_an_error(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"results": {"abc": [], "abc": []}}')
    with pytest.raises(ValueError, match=r"results\.json.*\['abc'\] are listed more than once"):
        score(truth(), path)
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(results()).encode())
    assert score(truth(), path) == 1.0, "a byte order mark is no part of the file"


TABLE = pd.DataFrame([("abc", "Run", 0.0, 5.0, 0.9)], columns=["video_id", "label", "start_s", "end_s", "score"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop(columns="video_id"), "video_id"),
        (lambda t: t.rename(columns={"score": "Score"}), "rename 'Score' to 'score'"),
        (lambda t: t.assign(score="0.9"), "score must be a number, got '0.9'"),
        (lambda t: t.assign(score=None), "score must be a number, got None"),
        (lambda t: t.assign(label=[["Run"]]), r"label must be a name or a whole number, got \['Run'\]"),
        (lambda t: t.assign(label=np.nan), "label must be a name"),
        (lambda t: t.assign(start_s=np.inf), "start_s must be finite"),
        (lambda t: t.assign(end_s=True), "end_s must be a number"),
        (lambda t: pd.concat([t, t[["label"]]], axis=1), "once"),
        (lambda t: t.assign(start_s=1j), "start_s must be a number"),
    ],
)
def test_odd_tables_get_one_kind_of_error(change, match):
    with pytest.raises(ValueError, match=match):
        score(truth(), change(TABLE))


@pytest.mark.parametrize(
    "wrong", [None, 3, [], {"results": []}, {"results": {"abc": None}}, {"results": {"abc": [3]}}, {"results": {"abc": "x"}}]
)
def test_odd_dictionaries_get_one_kind_of_error(wrong):
    with pytest.raises(ValueError, match="detections"):
        score(truth(), wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {"database": {"abc": 3}},
        {"database": {"abc": {"annotations": 3}}},
        {"database": {"abc": {"annotations": [{"label": "Run", "segment": [1]}]}}},
    ],
)
def test_odd_truth_gets_one_kind_of_error(wrong):
    with pytest.raises(ValueError, match="ground_truth"):
        score(wrong, results())


@pytest.mark.parametrize("wrong", [[], ["0.5"], [1.5], [float("nan")], [True], None])
def test_odd_thresholds(wrong):
    with pytest.raises(ValueError, match="tiou_thresholds"):
        evaluate_detections(truth(), results(), wrong)


@pytest.mark.parametrize(
    ("change", "cause"),
    [(lambda v: f"clips/{v}", "a folder before the name"), (lambda v: v.replace("e", "\uff45"), "characters that look alike")],
)
def test_further_causes(change, cause):
    with pytest.warns(UserWarning, match=f"Likely cause: {cause}"):
        score(truth(), results(videos=[change(v) for v in VIDEOS]))


def test_blocked_videos_in_another_spelling():
    with pytest.warns(UserWarning, match="1 of the 2 blocked_videos are not known, such as 'v_def'.*prefix 'v_'"):
        score(truth(), results(), blocked_videos=["abc", "v_def"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(truth(), results(), blocked_videos=["abc", "of another subset"])


@pytest.mark.parametrize("label", ["run ", "RUN", "Ambiguous"])
def test_doubtful_classes_of_the_truth_are_said(label):
    with pytest.warns(UserWarning, match="is scored as a class of its own"):
        score(truth(("Run", label)), results(("Run", label)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(truth(("Run", label)), results(("Run", label)), known_labels=["Run", label])


GOOD = {"label": "Run", "segment": [0, 5], "score": 0.5}


@pytest.mark.parametrize(
    "wrong",
    [{"score": "0.5"}, {"score": True}, {"score": None}, {"segment": ["0", "5"]}, {"label": None}, {"label": ["Run"]}, {"label": 1.5}],
)
def test_files_of_detections_are_read_strictly(tmp_path, wrong):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"results": {"abc": [GOOD | wrong]}}))
    with pytest.raises(ValueError, match=r"found\.json.*\n  abc: expected 'label', 'segment'"):
        read_detections(path)


@pytest.mark.parametrize("row", ["abc,,0,5,.5", ",Run,0,5,.5", "abc,Run,0,1_0,.5"])
def test_tables_of_detections_are_read_strictly(tmp_path, row):
    path = tmp_path / "found.csv"
    path.write_text(f"video,label,start,end,score\n{row}\n")
    with pytest.raises(ValueError, match=r"found\.csv.*\n  line 2:"):
        read_detections(path)


def test_the_command_names_a_likely_cause(tmp_path):
    content = {"database": truth(videos=["v_abc"])["database"] | {"v_def": {"subset": "training", "annotations": []}}}
    with pytest.raises(ValueError, match="Likely cause: the prefix 'v_'"):
        subset_of(content, pd.DataFrame({"video_id": ["abc"]}), "truth.json")
    for name, value in (("truth", truth()), ("found", results()), ("blocked", ["abc", 3])):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    command = ["evaluate", str(tmp_path / "truth.json"), str(tmp_path / "found.json"), "--blocked", str(tmp_path / "blocked.json")]
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, "blocked videos must be a list of ids, got 3" in result.output) == (2, True)
