"""Protocols of the field by name: what they score, and that every way in reads them alike."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from helpers import TINY, dataset_of, labeled

from nontarget import evaluate_detections, protocols
from nontarget.config import THUMOS14_PROTOCOL, Protocol
from nontarget.data import read_feature_folder, write_feature_folder
from nontarget.experiment import Experiment
from nontarget.experiment.specification import stage_identities
from nontarget.protocols import NamedProtocol, available, describe, get_protocol, protocol_of, settings_of, source_of
from nontarget.study.tables import paper_table

DIVE = [{"label": label, "segment": [10.0, 20.0]} for label in ("CliffDiving", "Diving")]
TRUTH = {
    "database": {
        "video_test_0000004": {"duration": 60.0, "annotations": DIVE, "ambiguous": [[30.0, 40.0]]},
        "video_test_0000270": {"duration": 60.0, "annotations": [{"label": "Diving", "segment": [1.0, 2.0]}]},
        "video_test_0001292": {"duration": 60.0, "annotations": [], "ambiguous": [[0.0, 60.0]]},
    }
}
FOUND = pd.DataFrame(
    [
        ("video_test_0000004", "CliffDiving", 10.0, 20.0, 0.9),
        ("video_test_0000004", "Diving", 10.0, 20.0, 0.8),
        ("video_test_0000004", "Diving", 31.0, 39.0, 0.7),
        ("video_test_0001292", "Diving", 1.0, 9.0, 0.95),
    ],
    columns=["video_id", "label", "start_s", "end_s", "score"],
)


@pytest.mark.parametrize(
    ("name", "videos", "instances", "detections", "diving"),
    [
        ("thumos14-213", 3, 3, 4, 0.25),  # the second of three detections is right, one of two instances
        ("thumos14-212", 2, 3, 3, 0.5),
        ("thumos14-211", 1, 2, 3, 1.0),
        ("thumos14-212+ambiguous-ignored", 2, 3, 2, 0.5),
        ("thumos14-213+ambiguous-ignored", 3, 3, 2, 0.5),
        ("thumos14-213+diving-once", 3, 2, 4, 0.0),
    ],
)
@pytest.mark.filterwarnings("ignore:1 of the 2 videos")
def test_what_each_protocol_scores(tmp_path, name, videos, instances, detections, diving):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(TRUTH))
    for truth in (TRUTH, path):
        scores = evaluate_detections(truth, FOUND, protocol=name)
        assert (scores.num_videos, scores.num_instances, scores.num_detections) == (videos, instances, detections)
        assert scores.ap.loc["Diving"].to_numpy() == pytest.approx(diving)
        assert scores.tiou_thresholds == THUMOS14_PROTOCOL.tiou_thresholds
        assert scores.protocol == name
    assert evaluate_detections(TRUTH, FOUND, [0.5], protocol=name).tiou_thresholds == (0.5,)


def test_tables_of_instances_and_missing_spans():
    truth = pd.DataFrame([("v", a["label"], *a["segment"]) for a in DIVE], columns=["video_id", "label", "start_s", "end_s"])
    found = FOUND.iloc[:1].assign(video_id="v")
    assert evaluate_detections(truth, found, protocol="thumos14-213+diving-once").num_instances == 1
    with pytest.raises(ValueError, match="no video has the key 'ambiguous'"):
        evaluate_detections(truth, found, protocol="thumos14-213+ambiguous-ignored")
    with pytest.raises(ValueError, match="give tiou_thresholds, or protocol=NAME"):
        evaluate_detections(truth, found)


def test_names():
    assert len(available()) == len(set(available())) == 6
    assert get_protocol("thumos14-211+ambiguous-ignored+diving-once").name == "thumos14-211+diving-once+ambiguous-ignored"
    assert [get_protocol(f"thumos14-{n}").num_videos for n in (210, 211, 212, 213)] == [210, 211, 212, 213]
    for name in (n for n in available() if n.startswith("thumos14")):
        protocol = get_protocol(name)
        assert protocol.num_videos + len(protocol.left_out) == 213
    assert get_protocol("thumos14-212+2304-steps").num_snippets == 2304
    assert (get_protocol("activitynet-192").windowing, get_protocol("activitynet-192").num_snippets) == ("rescale", 192)
    assert "ActionFormer" in source_of("thumos14-212+2304-steps")
    for name, message in {
        "thumos14-21": "did you mean 'thumos14-21",
        "thumos14-212+diving": "did you mean 'diving-once'",
        "activitynet-100+diving-once": "has no further choices",
    }.items():
        with pytest.raises(ValueError, match=message.replace("+", r"\+")):
            get_protocol(name)


def test_settings_round_trip_and_say_what_they_are():
    for protocol in (Protocol(pool=2), get_protocol("thumos14-210+diving-once"), replace(get_protocol("activitynet-100"), nms_sigma=0.5)):
        assert protocol_of(json.loads(json.dumps(settings_of(protocol)))) == protocol
    assert "without video_test_0001292" in describe(get_protocol("thumos14-212"))
    assert describe(Protocol(pool=2)).endswith("sliding windows of 256 snippets of 2 feature steps")
    with pytest.raises(ValueError, match="unknown setting 'left_out'"):
        protocol_of({"name": "thumos14-212", "left_out": []})


def test_a_protocol_of_ones_own(monkeypatch):
    monkeypatch.setattr(protocols, "_NAMED", dict(protocols._NAMED))
    own = NamedProtocol(name="kitchen", benchmark="kitchen", num_videos=1, left_out=("w",))
    protocols.register(own, "our paper")
    assert (get_protocol("kitchen"), source_of("kitchen")) == (own, "our paper")
    with pytest.raises(ValueError, match="is taken"):
        protocols.register(own, "again")
    with pytest.raises(TypeError, match="NamedProtocol"):
        protocols.register(Protocol(), "no name")


def test_folders_state_a_protocol_and_ambiguous_spans(tmp_path):
    train, test = [labeled("a", [(0, 1, 2)]), labeled("b", [(1, 1, 2)])], [labeled("c", [(0, 1, 2)])]
    data = replace(dataset_of(train, test), ambiguous={"c": ((3.0, 4.0),)}).with_protocol(name="thumos14-212+ambiguous-ignored")
    write_feature_folder(tmp_path / "own", data)
    back = read_feature_folder(tmp_path / "own")
    assert (back.protocol, back.ambiguous) == (data.protocol, data.ambiguous)
    path = tmp_path / "own" / "annotations.json"
    content = json.loads(path.read_text())
    (tmp_path / "own" / "SHA256SUMS").unlink()
    path.write_text(json.dumps(content | {"protocol": "activitynet-100"}))
    assert read_feature_folder(tmp_path / "own").protocol == get_protocol("activitynet-100")
    content["database"]["c"]["ambiguous"] = [3.0]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"c: 'ambiguous' must be a list of \[start_s, end_s\]"):
        read_feature_folder(tmp_path / "own")


def test_experiments_under_protocols_train_once():
    """What is scored is part of the result's identity, and of no trained weights'."""
    plain, first, second = (
        Experiment(**TINY, protocol_settings=settings).identity()
        for settings in ({}, {"name": "thumos14-213"}, {"name": "thumos14-213+diving-once"})
    )
    assert set(plain["protocol"]) == set(Protocol.__dataclass_fields__)
    assert first["protocol"]["name"] == "thumos14-213"
    assert first != second
    rule = Experiment(**TINY).learning_rule()
    assert stage_identities(first, rule) == stage_identities(second, rule)


def test_a_table_says_which_protocol_scored_it():
    own = paper_table(systems=["baseline"], seeds=1, source="committed")
    named = paper_table(systems=["baseline"], seeds=1, source="committed", protocol="thumos14-212")
    assert "Protocol of the data set: every test video and instance counts; sliding windows of " in own.caption
    assert "Protocol thumos14-212: 212 test videos if all are at hand (without video_test_0001292)" in named.caption
