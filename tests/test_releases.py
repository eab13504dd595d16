"""Releases on disk: every sample against its expected values, then small folders made here."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nontarget.data import DataError, read_annotations
from nontarget.data.feature_times import feature_times
from nontarget.data.releases import convert_release, inspect_release
from nontarget.data.releases.files import rows_of
from nontarget.data.releases.layouts.har import raw_segments
from nontarget.data.releases.segments import flags_of
from nontarget.data.shards import Shards

# What the files do not say: an option of the user for each sample that needs one.
GIVEN = {
    "actionformer_epic": {"task": "verb"},
    "dt_order": {"fps": 10, "stride": 1, "window": 1},
    "cmcs_npz": {"fps": 30},
    "bmn_csv100": {"split": 0.5},
    "wtalc_thumos14reduced": {"allow_pickle": True},
    "hacs_slowfast_pickle": {"allow_pickle": True},
    "video_features_r21d": {"fps": 30, "stride": 16, "window": 16},
    "wear": {"fold": 1, "features": "combined_features/60fps/60_frames_30_stride"},
    "tal_for_har": {"fold": 0},
    "epic_csv": {"task": "verb"},
}
ONE_BY_ONE = ("actions_json",)
"""Samples that hold two data sets, of which one is read at a time."""
SAMPLES = (
    "acmnet_thumos",
    "actionformer_anet_tsp",
    "actionformer_ego4d",
    "actionformer_epic",
    "actionformer_thumos",
    "actions_json",
    "bmn_csv100",
    "cmcs_npz",
    "dt_order",
    "epic_csv",
    "gtad_thumos_h5",
    "hacs_json",
    "hacs_slowfast_pickle",
    "label_tools",
    "mmaction_anet_json",
    "multithumos_text",
    "opentad_anet",
    "opentad_thumos",
    "tadtr_json",
    "tal_for_har",
    "thumos14_text",
    "tsp_anet_h5",
    "video_features_clip",
    "video_features_i3d",
    "video_features_r21d",
    "wear",
    "wtal_streams",
    "wtalc_thumos14reduced",
)
SAID = {
    "actionformer_thumos": ["video_test_0000006", "video_test_0001292",
                            "CliffDiving and Diving", "one feature_fps for all videos would be wrong"],
    "actionformer_anet_tsp": ["v_ is on one side", "the fps in the json (30)", "1 dropped: repeat",
                              "1 dropped: end at or before", "missing_012",
                              "k0LmN1oP2qR (features cover 42.7 of 120 s", "k0LmN1oP2qR Sailing [100, 110]", "float64 on disk"],
    "actionformer_epic": ["2 annotation files for one set of features"],
    "actionformer_ego4d": ["slowfast_features, then egovlp_features"],
    "opentad_thumos": ["subset 'validation' is THUMOS14's test set", "nothing but Ambiguous, which is no class: video_test_0000293",
                       "1 dropped: repeat", "CliffDiving and Diving", "listed in missing_files.txt: video_test_0000007"],
    "opentad_anet": ["in blocked.json, left out of the evaluation: blockedVid1", "have no instance"],
    "dt_order": ["clip_square of 24 x 24: only the other files tell", "float16 on disk"],
    "cmcs_npz": ["video_name in the files is a 0-d array of text", "frame_cnt / fps"],
    "acmnet_thumos": ["in no split file and without features: video_test_0001496", "'frames' counts the video's own frames"],
    "wtal_streams": ["segments are strings", "T * 16 / 25 s"],
    "bmn_csv100": ["0.5 in its name is the share WITHOUT labels", "v_oNeSnIpPeT1: one snippet of 16 frames",
                   "v_QaWsEdRfTgY (rows 97 to 99)",
                   "1 clipped: end after their video", "v_-hUjMiKoLpZ Dodgeball [12.6, 92.5]", "YES (TSN"],
    "mmaction_anet_json": ["the subset of a video is the file that it is in"],
    "gtad_thumos_h5": ["only in endFrame / end", "segments in thumos_gt.json are strings", "flow, then rgb"],
    "tsp_anet_h5": ["YES (TSP", "the last window that is not full is left out"],
    "wtalc_thumos14reduced": ["are bytes", "[videos, 1]", "labels_all is empty although the video has instances: video_validation_0000364",
                              "CliffDiving and Diving"],
    "hacs_slowfast_pickle": ["YES (SlowFast", "slow, then fast"],
    "video_features_i3d": ["one timestamp only", "one_stack", "too short: too_short", "ids with a space: match 01-final", "goal, near miss",
                           "durations are nowhere", "float64 on disk"],
    "video_features_clip": ["where a frame begins"],
    "video_features_r21d": ["as you said"],
    "wear": ["3 folds for one set of features", "sbj_1: inertial_features has", "missing from the json: sbj_2 (jogging)", "20 ms later",
             "float64 on disk", "'Validation'"],
    "tal_for_har": ["2 folds for one set of features"],
    "thumos14_text": ["durations are not in these files", "nothing but Ambiguous, which is no class: video_test_0001292",
                      "are empty, which is normal"],
    "multithumos_text": ["a video's subset is in its name", "1 dropped: end at or before"],
    "tadtr_json": ["TadTR's loader skips it", "no entry in th14_i3d2s_ft_info.json"],
    "hacs_json": ["durations are strings", "1 clipped"],
    "epic_csv": ["with times but without labels", "3725.25"],
}  # fmt: skip
"""What a report must say of each sample, beside its numbers: the lines of ``reports`` in expected.json, in the words of the report."""


@pytest.fixture(scope="session")
def formats():
    """Folder of samples in the published layouts, and their expected values."""
    folder = Path(os.environ.get("NONTARGET_FORMATS", Path(__file__).resolve().parents[2] / "shared" / "formats"))
    if not (folder / "expected.json").is_file():
        pytest.skip(f"{folder} is not here; set NONTARGET_FORMATS to the folder that holds expected.json")
    return folder


@pytest.fixture(scope="session")
def reseeded(formats, tmp_path_factory):
    """The same layouts with other numbers."""
    folder = tmp_path_factory.mktemp("reseeded")
    text = (formats / "make_samples.py").read_text()
    seed = next(line for line in text.splitlines() if line.startswith("SEED = "))
    (folder / "make_samples.py").write_text(text.replace(seed, "SEED = 7"))
    subprocess.run([sys.executable, "make_samples.py", "."], cwd=folder, check=True, capture_output=True)
    return folder


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").tobytes()).hexdigest()


def rows(instances):
    return sorted((i["label"], *i["segment_s"]) for i in instances)


def expected_of(folder, name):
    samples = json.loads((folder / "expected.json").read_text())["samples"]
    if name not in samples:
        pytest.skip(f"{name} was not made (HDF5 needs h5py)")
    return samples[name]


def compare(report, videos, timeless=False):
    """A release as read, against expected values; every key of the expectation is looked at."""
    found = report.release.videos
    assert set(videos) == set(found)
    for name, expected in videos.items():
        video, left = found[name], dict(expected)
        left.pop("file", None)
        left.pop("segments_from_raw_labels", None)
        assert video.subset == left.pop("subset"), name
        duration = left.pop("duration_s")
        assert video.duration_s == (None if duration is None else pytest.approx(duration, abs=1e-9)), name
        flagged = left.pop("instances")
        assert rows(flagged) == sorted((i.label, i.start_s, i.end_s) for i in video.instances), name
        assert_flags(video, flagged, duration)
        if "features" in left:
            assert video.source is None, name
            assert video.without
            assert left.pop("features").startswith(("missing", "empty"))
        if "sha256_f32" in left:
            assert video.source.shape == (left.pop("num_snippets"), left.pop("dim")), name
            assert video.source.dtype == left.pop("dtype_on_disk"), name
            array = video.source.load()
            assert sha(array) == left.pop("sha256_f32"), name
            assert float(np.asarray(array, dtype=np.float32).astype(np.float64).sum()) == pytest.approx(left.pop("sum"), abs=1e-3)
            centres = [float(video.time.centre_s(i)) for i in (0, len(array) - 1)]
            assert centres == pytest.approx([left.pop("first_centre_s"), left.pop("last_centre_s")], abs=1e-6), name
            formula = left.pop("centre_formula")
            assert float(video.time.feature_fps) == pytest.approx(formula["fps"] / formula["stride_frames"], rel=1e-9)
            assert float(video.time.feature_offset_s) == pytest.approx(formula["offset_frames"] / formula["fps"], abs=1e-9)
        for key in ("corrected_duration_s", "num_snippets", "feature_fps", "feature_second"):
            if key in left:
                assert video.details[key] == pytest.approx(left.pop(key), abs=1e-6), (name, key)
        if "end_of_last_stack_s" in left:
            assert video.at_least_s == pytest.approx(left.pop("end_of_last_stack_s"), abs=1e-6)
        if "listed" in left:
            assert left.pop("listed") is (video.role is not None)
        assert not left, f"{name}: {left} was not compared"


def assert_flags(video, expected, duration):
    flags = flags_of(video.instances, duration)
    found = sorted((i.label, i.start_s, i.end_s, tuple(sorted(f))) for i, f in zip(video.instances, flags, strict=True))
    assert found == sorted((i["label"], *i["segment_s"], tuple(sorted(i.get("flags", ())))) for i in expected)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("made", ["formats", "reseeded"])
def test_samples_are_read_as_expected(name, made, request):
    folder = request.getfixturevalue(made)
    expected = expected_of(folder, name)
    root = folder / expected["root"]
    if name == "label_tools":
        for file, meant in expected["files"].items():
            report = inspect_release(root / file)
            assert {v: rows(meant["instances"]) for v in [meant["video"]]} == {
                v: sorted((i.label, i.start_s, i.end_s) for i in r.instances) for v, r in report.release.videos.items()
            }, file
            lasting = report.release.videos[meant["video"]].duration_s
            assert lasting == (10.0 if "boris" in file else None)
            assert "boris" in file or "only BORIS's do" in str(report)
        return
    options = dict(GIVEN.get(name, {}))
    if "durations_given" in expected:
        options["durations"] = expected["durations_given"]
    if name == "tsp_anet_h5":  # HDF5 of features does not say how long the videos are
        options["durations"] = {v: e["duration_s"] for v, e in expected["videos"].items()}
    if name in ONE_BY_ONE:
        for file in {e["file"] for e in expected["videos"].values()}:
            report = inspect_release(root / file, **options)
            compare(report, {v: e for v, e in expected["videos"].items() if e["file"] == file})
            said = "slip and no rounding: video_test_0000950 by 1,810 s" if "multi" in file else "1 dropped: end at or before"
            assert said in str(report)
        return
    report = inspect_release(root, **options)
    compare(report, expected["videos"])
    if "splits" in expected:
        assert {k: v for k, v in report.release.splits.items() if k in expected["splits"]} == expected["splits"]
    if "classes" in expected:
        assert list(report.release.classes) == expected["classes"]
    text = str(report)
    for said in SAID[name]:
        assert said in text or any(
            said in i.label or said == f"{i.end_s:g}" for v in report.release.videos.values() for i in v.instances
        ), said


WITHOUT_FEATURES = {
    "actions_json",
    "epic_csv",
    "hacs_json",
    "label_tools",
    "mmaction_anet_json",
    "multithumos_text",
    "tadtr_json",
    "thumos14_text",
}


@pytest.mark.parametrize("name", [n for n in SAMPLES if n not in WITHOUT_FEATURES])
def test_samples_are_converted_without_a_change_to_their_features(name, reseeded, tmp_path):
    expected = expected_of(reseeded, name)
    report = convert_release(reseeded / expected["root"], tmp_path / "out", dtype="float32", **GIVEN.get(name, {}))
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert {"release", "network", "labels_seen", "instances_changed", "videos_left_out"} <= content["provenance"].keys()
    stored = Shards(tmp_path / "out")
    wanted = {v: e for v, e in expected["videos"].items() if "sha256_f32" in e and v in stored.videos}
    assert set(stored.videos) == set(wanted)
    assert len(wanted) >= len([e for e in expected["videos"].values() if "sha256_f32" in e]) - 1
    folder = read_annotations(tmp_path / "out" / "annotations.json")
    times = feature_times(folder)
    for video, e in wanted.items():
        features = stored.read(video)
        assert sha(features) == e["sha256_f32"]
        snippets, grid, axis = np.arange(len(features)), times[video].grid(len(features)), report.release.videos[video].time
        centres = grid.to_seconds(snippets + 0.5)
        assert [centres[0], centres[-1]] == pytest.approx([e["first_centre_s"], e["last_centre_s"]], abs=1e-6)
        assert centres == pytest.approx([float(axis.centre_s(int(i))) for i in snippets], abs=1e-9)
        assert grid.to_snippets(centres) == pytest.approx(snippets + 0.5, abs=1e-9)
        assert all(axis.snippet_at(axis.centre_s(int(i))) == i for i in snippets)
    kept = {(v, i["label"]) for v, e in expected["videos"].items() for i in e["instances"] if not i.get("flags")}
    stored = {(v, folder.classes[k]) for v, r in folder.videos.items() for k in r.annotations.labels.tolist()}
    roles = content.get("subsets", {}).values()
    assert all(
        video not in folder.videos or folder.videos[video].subset not in roles or (video, c) in stored or is_cut(content, c)
        for video, c in kept
    )


def is_cut(content, label):
    """Whether an instance of the class lay where its features had ended."""
    return any(f" {label} " in f" {line} " for line in content["provenance"]["instances_changed_list"].get("without_features", []))


def test_folders_get_the_protocol_that_ids_and_files_call_for(formats, tmp_path):
    """A protocol that is given is kept, and a test video that it counts is, too, if nothing but ambiguous spans is known of it."""
    thumos = formats / expected_of(formats, "opentad_thumos")["root"]
    convert_release(thumos, tmp_path / "thumos")
    convert_release(thumos, tmp_path / "all", protocol="thumos14-213+ambiguous-ignored")
    convert_release(formats / expected_of(formats, "bmn_csv100")["root"], tmp_path / "bmn")
    contents = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.glob("*/annotations.json")}
    names = {name: content["protocol"]["name"] for name, content in contents.items()}
    assert names == {"thumos": "thumos14-210", "all": "thumos14-213+ambiguous-ignored", "bmn": "activitynet-100"}
    assert "video_test_0000293" in contents["all"]["database"].keys() - contents["thumos"]["database"].keys()
    assert contents["thumos"]["database"]["video_validation_0000051"]["ambiguous"] == [[100.0, 101.0]]
    report = inspect_release(thumos)
    assert report.next_lines()[0].endswith("opentad_thumos_folder --protocol thumos14-210")
    assert "ids and classes are THUMOS14's" in str(report)
    other = inspect_release(formats / expected_of(formats, "actionformer_ego4d")["root"])
    assert other.protocol is None
    assert "none of the field's: every test video and instance counts" in str(other)
    with pytest.raises(ValueError, match="did you mean 'thumos14-212'"):
        inspect_release(thumos, protocol="thumos-212")


@pytest.mark.parametrize("name", ["actionformer_epic", "wear", "tal_for_har", "dt_order", "cmcs_npz", "video_features_r21d", "epic_csv"])
def test_samples_that_leave_something_open_are_asked_about(name, formats):
    option = {"dt_order": "fps=", "cmcs_npz": "fps=", "video_features_r21d": "window=", "tal_for_har": "fold="}.get(name, "task=")
    given = {"features": GIVEN["wear"]["features"]} if name == "wear" else {}
    with pytest.raises(DataError, match="fold=" if name == "wear" else option):
        inspect_release(formats / expected_of(formats, name)["root"], **given)


def test_segments_of_raw_samples_have_an_end_and_begin_on_time(reseeded):
    expected = expected_of(reseeded, "wear")
    for video, e in expected["videos"].items():
        labels = [row["label"] for row in rows_of(reseeded / expected["root"] / "raw" / "inertial" / "50hz" / f"{video}.csv")]
        assert rows(e["segments_from_raw_labels"]) == sorted((i.label, i.start_s, i.end_s) for i in raw_segments(labels))


@pytest.mark.parametrize("name", ["wtalc_thumos14reduced", "hacs_slowfast_pickle"])
def test_samples_in_pickles_are_refused_with_advice(name, formats):
    with pytest.raises(DataError, match="allow_pickle=True"):
        inspect_release(formats / expected_of(formats, name)["root"])
