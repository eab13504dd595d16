"""The audit: each protocol on cases small enough to do by hand, and the committed rows against a plain computation from the files."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nontarget import protocols as field
from nontarget.data.annotations import read_annotations
from nontarget.metrics import evaluate_detections
from nontarget.plotting.audit import map_by_protocol
from nontarget.runtime.tables import write_table
from nontarget.study import audit_protocols as protocols
from nontarget.study.audit import (
    FILES,
    REFERENCE,
    activitynet_protocols,
    audit,
    audit_table,
    get_audit,
    main,
    protocol_effects,
    read_audit,
    sources,
    thumos14_protocols,
)

COMMITTED = Path(__file__).parents[1] / "results" / "audit.csv"


def entry(*instances, duration=10.0, **more):
    return {"duration": duration, "annotations": [{"label": label, "segment": [s, e]} for label, s, e in instances]} | more


def segments(truth):
    return {video: [(a["label"], *a["segment"]) for a in e["annotations"]] for video, e in truth.items()}


TRUTH = {
    "a": entry(("Run", 0, 10)),
    "b": entry(("Run", 0, 2), ("Run", 4, 10)),
    "c": entry(("Run", 0, 1)),
    "e": entry(),
}
# "d" is not in the ground truth, nothing is said about "c" and "e".
FOUND = protocols.one_segment(TRUTH, [("a", "Run", 0.8), ("b", "Run", 0.9), ("d", "Run", 0.95)])


def test_one_segment():
    assert FOUND["end_s"].tolist() == [10, 10, 1]
    middle = protocols.one_segment(TRUTH, [("a", "Run", 0.8)], (0.25, 0.5))
    assert middle[["start_s", "end_s"]].to_numpy().tolist() == [[2.5, 5.0]]


@pytest.mark.filterwarnings("ignore:[0-9]+ of the [0-9]+")
def test_protocols_on_activitynet_by_hand():
    """At tIoU 0.5 the segment of a finds its instance, that of b the second of its two (6 of 10 s)."""
    ap, counts = {}, {}
    for name, setting, truth, found in activitynet_protocols(TRUTH, FOUND):
        scores = evaluate_detections({"database": truth}, found, [0.5])
        ap[name, setting] = scores.average_mean_ap
        counts[name, setting] = (scores.num_videos, scores.num_instances, scores.num_detections)
    expected = {
        (REFERENCE, ""): 2 / 4,
        ("every published score", ""): (2 / 3 + 2 / 3) / 4,  # false, right, right
        ("predicted videos", ""): 2 / 3,  # the instance of c is no miss
        ("last instance", ""): 2 / 3,  # a, b and c have one each
        ("last instance, predicted videos", ""): 1.0,
        ("long last instance", "0"): 2 / 3,
        ("long last instance, its predicted videos", "0"): 1.0,
        ("long last instance", "0.3"): 1.0,  # c spans 0.1
        ("long last instance", "0.7"): 1 / 2,  # b spans 0.6: its detection, the best one, is false
        ("long last instance, its videos", "0.7"): 1.0,
    }
    for key, value in expected.items():
        assert ap[key] == pytest.approx(value), key
    assert counts[REFERENCE, ""] == (4, 4, 2)
    assert counts["every published score", ""] == (4, 4, 3)
    assert counts["predicted videos", ""] == (2, 3, 2)
    assert counts["last instance", ""] == (4, 3, 2)
    assert counts["long last instance", "0"] == (3, 3, 2)
    assert counts["long last instance", "0.7"] == (1, 1, 2)
    assert counts["long last instance, its videos", "0.7"] == (1, 1, 1)


def test_protocols_leave_their_input_alone():
    before = json.dumps(TRUTH)
    list(activitynet_protocols(TRUTH, FOUND))
    protocols.with_out_of_range(TRUTH, {"a": ("Run", 2)})
    protocols.long_instances(TRUTH, 3)
    field.counted_once(TRUTH, "Run", "Jump")
    assert json.dumps(TRUTH) == before


def test_instances_that_are_left_out_or_added():
    assert segments(protocols.long_instances(TRUTH, 2))["b"] == [("Run", 0, 2), ("Run", 4, 10)]
    assert segments(protocols.long_instances(TRUTH, 2))["c"] == []
    twice = {"v": entry(("Cliff", 1, 2), ("Dive", 1, 2), ("Dive", 5, 6)), "w": entry(("Dive", 1, 2))}
    assert segments(field.counted_once(twice, "Cliff", "Dive")) == {"v": [("Cliff", 1, 2), ("Dive", 5, 6)], "w": [("Dive", 1, 2)]}
    beyond = protocols.with_out_of_range(TRUTH, {"c": ("Run", 2)})
    assert segments(beyond)["c"] == [("Run", 0, 1), ("Run", 11, 12), ("Run", 12, 13)]
    # Two more misses: the right detections are two of six.
    assert evaluate_detections({"database": beyond}, protocols.of_videos(FOUND, TRUTH), [0.5]).average_mean_ap == pytest.approx(2 / 6)


def test_ambiguous_spans():
    truth = {"v": entry(("Run", 0, 4), ambiguous=[[3, 6]])}
    rows = [("v", "Run", 2, 5), ("v", "Run", 5, 8), ("v", "Jump", 2, 5), ("v", "Run", 6, 8), ("w", "Run", 5, 8)]
    found = pd.DataFrame([(*row, 0.5) for row in rows], columns=["video_id", "label", "start_s", "end_s", "score"])
    kept = field.outside_ambiguous(found, truth)
    assert kept.index.tolist() == [0, 3, 4]  # touches its instance; ends meet; another video
    with pytest.raises(ValueError, match="no video has the key 'ambiguous'"):
        field.outside_ambiguous(found, TRUTH)


def test_jittered_truth():
    exact = protocols.jittered_truth(TRUTH, 0, missed=0, shift=0, scale=0, false_per_minute=0)
    assert evaluate_detections({"database": TRUTH}, exact, [0.5, 0.99]).mean_ap.tolist() == [1, 1]
    noisy = protocols.jittered_truth(TRUTH, 1, false_per_minute=60)
    assert (noisy["start_s"] >= 0).all()
    assert (noisy["end_s"] <= 10).all()
    assert (noisy["end_s"] > noisy["start_s"]).all()
    assert "e" in set(noisy["video_id"]), "videos without instances have false positives"
    pd.testing.assert_frame_equal(noisy, protocols.jittered_truth(TRUTH, 1, false_per_minute=60))
    assert not noisy.equals(protocols.jittered_truth(TRUTH, 2, false_per_minute=60))
    assert protocols.jittered_truth(TRUTH, 0, missed=1, false_per_minute=0).empty


@pytest.fixture
def root(tmp_path):
    """Annotation files of a few videos, in the official formats."""
    run, jump = {"label": "Run", "segment": [0.0, 5.0]}, {"label": "Jump", "segment": [2.5, 5.0]}
    database = {
        "t1": {"subset": "training", "duration": 10.0, "annotations": [run]},
        "t2": {"subset": "training", "duration": 10.0, "annotations": [jump]},
        "x1": {"subset": "validation", "duration": 5.0, "annotations": [run]},
        "x2": {"subset": "validation", "duration": 10.0, "annotations": [jump]},
        "x3": {"subset": "validation", "duration": 10.0, "annotations": [run]},
        "x4": {"subset": "validation", "duration": 10.0},
    }
    scores = {"v_x1": ("Run", 0.995), "v_x2": ("Run", 0.6), "v_x3": ("Run", 0.4), "v_elsewhere": ("Jump", 0.9)}
    write(tmp_path / "activitynet" / "activitynet_v1-3.json", {"database": database})
    write(tmp_path / "activitynet" / "external_video_scores.json", {v: {"class": c, "score": s} for v, (c, s) in scores.items()})

    dive = [{"label": label, "segment": [1.0, 4.0]} for label in ("CliffDiving", "Diving")]
    tests = {f"video_test_{n:07d}": {"subset": "test", "duration": 60.0, "annotations": dive} for n in (270, 814, 1081)}
    tests["video_test_0001292"] = {"subset": "test", "duration": 60.0, "annotations": [], "ambiguous": [[0.0, 60.0]]}
    database = tests | {"video_validation_0000001": {"subset": "validation", "duration": 60.0, "annotations": dive}}
    write(tmp_path / "thumos14" / "thumos14.json", {"database": database})
    np.save(tmp_path / "thumos14" / "untrimmednet_test_scores_1574x101.npy", np.full((1574, 101), 2 / 101, np.float16))
    return tmp_path


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def test_audit_of_activitynet_files(root):
    rows = audit("activitynet", root, seeds=2)
    at_half = rows[rows["tiou"] == "0.5"].set_index(["detector", "protocol", "setting"])
    whole = at_half.loc[("whole video, external class", REFERENCE, "")]
    # Run: x1 right, x2 has no Run, x3 covers half of its video: 1 + 2/3 of 2. Jump: nothing found.
    assert whole["mean_ap"] == pytest.approx((1 + 2 / 3) / 2 / 2, abs=1e-6)
    assert (whole["num_videos"], whole["num_instances"], whole["num_detections"]) == (4, 3, 3)
    assert at_half.loc[("whole video, external class", "every published score", "")]["num_detections"] == 4
    assert at_half.loc[("whole video, external score ≥ 0.99", "predicted videos", "")]["mean_ap"] == 1
    right = at_half.loc[("whole video, right class", REFERENCE, "")]
    assert right["seed"].tolist() == [0, 1]
    assert right["mean_ap"].tolist() == [0.5, 0.5]  # every Run; a quarter of a video is no Jump
    middle = at_half.loc[("mean training segment, right class", REFERENCE, "")]
    assert middle["num_detections"].tolist() == [3, 3]
    assert protocols.mean_share(read_annotations(root / "activitynet" / "activitynet_v1-3.json")) == (0.125, 0.5)
    assert rows["tiou"].unique().tolist() == ["0.5", "0.75", "0.95", "avg"]


def test_audit_of_thumos14_files(root):
    rows = audit("thumos14", root, seeds=2)
    counts = rows[rows["tiou"] == "avg"].groupby(["detector", "protocol", "setting"])[["num_videos", "num_instances"]].first()
    jittered = counts.loc["jittered truth"]
    assert jittered.loc[(REFERENCE, "")].tolist() == [4, 6]
    assert jittered.loc[("out-of-range instances too", "")].tolist() == [4, 32]
    assert jittered.loc[("without videos", "270, 1292, 1496")].tolist() == [2, 4]
    assert jittered.loc[("videos with an instance", "")].tolist() == [3, 6]
    assert jittered.loc[("a cliff dive counted once", "")].tolist() == [4, 3]
    assert jittered.loc[("validation videos", "")].tolist() == [1, 2]
    assert jittered.loc[("test and validation videos", "")].tolist() == [5, 8]
    whole = rows[rows["detector"] == "whole video, external class"]
    # All scores are equal, so the first class; the ground truth has it not, and no detection counts.
    assert set(whole["num_detections"]) == {0}
    assert whole["seed"].isna().all()


def test_missing_files_say_where_they_come_from(root, monkeypatch):
    monkeypatch.delenv("NONTARGET_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"set NONTARGET_DATA.*activity_net.v1-3.min.json"):
        get_audit("run")
    (root / "thumos14" / "thumos14.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"thumos14.json: not here. It is THUMOS14's TH14_Temporal_annotations_validation.zip"):
        audit("thumos14", root)
    with pytest.raises(ValueError, match="unknown dataset 'activity'"):
        audit("activity", root)
    with pytest.raises(ValueError, match="unknown source 'stored'"):
        get_audit("stored")


def test_command_line(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NONTARGET_RESULTS", str(tmp_path / "results"))
    path = tmp_path / "results" / "audit.csv"
    with pytest.raises(FileNotFoundError, match="python -m nontarget.audit"):
        read_audit()
    main(["activitynet", "thumos14", "--data", str(root), "--seeds", "2"])
    both = read_audit()
    pd.testing.assert_frame_equal(both, get_audit("run", root, seeds=2), check_dtype=False)
    main(["thumos14", "--data", str(root), "--seeds", "1"])
    assert f"{path}: {len(read_audit())} rows" in capsys.readouterr().out
    kept = both["dataset"] == "activitynet"
    pd.testing.assert_frame_equal(read_audit().query("dataset == 'activitynet'"), both[kept], check_dtype=False)
    write_table(path, read_audit().assign(version="audit 0, metrics 1"))
    with pytest.raises(ValueError, match="rows of \\['audit 0, metrics 1'\\]"):
        read_audit()


def rows_of(values):
    """(detector, protocol, setting, seed, mAP): rows as the audit's, at two thresholds."""
    rows = [("toy", d, p, s, t, m, 4, 5, 6 + (seed or 0), seed, "c") for d, p, s, seed, m in values for t in ("0.5", "avg")]
    names = ["dataset", "detector", "protocol", "setting", "tiou", "mean_ap", "num_videos", "num_instances", "num_detections", "seed"]
    return pd.DataFrame(rows, columns=[*names, "checksum"]).astype({"seed": "Int64"})


TOY = rows_of(
    [
        ("drawn", REFERENCE, "", 0, 0.5),
        ("drawn", REFERENCE, "", 1, 0.7),
        ("drawn", "long", "0.5", 0, 0.6),
        ("drawn", "long", "0.5", 1, 0.9),
        ("fixed", REFERENCE, "", None, 0.2),
        ("fixed", "long", "0.5", None, 0.1),
    ]
)


def test_tables():
    table = audit_table(TOY, ["detector", "protocol"])
    assert table.loc[("drawn", REFERENCE)].tolist() == ["60.0\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}14.1"] * 2 + ["4", "5", "6 to 7"]
    assert table.loc[("fixed", "long")].tolist() == ["10.0", "10.0", "4", "5", "6"]
    assert table.columns.tolist() == ["0.5", "avg", "videos", "instances", "detections"]
    effects = protocol_effects(TOY)
    assert effects.loc[("drawn", "long", "0.5")].tolist() == pytest.approx([15, 50**0.5])
    assert effects.loc[("fixed", "long", "0.5"), "mean"] == pytest.approx(-10)
    lines = sources(pd.concat([TOY.assign(dataset=name, checksum=name) for name in FILES])).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "- `activitynet/activitynet_v1-3.json` (SHA-256 `activitynet…`)",
        "- `activitynet/external_video_scores.json`",
        "- `thumos14/thumos14.json` (SHA-256 `thumos14…`)",
        "- `thumos14/untrimmednet_test_scores_1574x101.npy`",
    ]


def test_figure():
    axes = map_by_protocol(TOY, ["fixed", "drawn"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [REFERENCE, "long (0.5)"]
    lines = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert lines["drawn"] == pytest.approx([60, 75])
    assert lines["fixed"] == pytest.approx([20, 10])
    with pytest.raises(ValueError, match="no rows of \\['other'\\]"):
        map_by_protocol(TOY, ["other"])
    with pytest.raises(ValueError, match="one to 5 names"):
        map_by_protocol(TOY, [])


# --- the committed rows


def committed(dataset, detector, protocol, setting="", seed=None):
    rows = read_audit(COMMITTED)
    rows = rows[(rows["dataset"] == dataset) & (rows["detector"] == detector)]
    rows = rows[(rows["protocol"] == protocol) & (rows["setting"] == setting)]
    rows = rows[rows["seed"].isna() if seed is None else rows["seed"] == seed]
    assert rows["tiou"].is_unique
    return rows.set_index("tiou")


def plain_mean_ap(truth, found, threshold):
    """The definition, one detection at a time. truth: [(video, label, start, end)]; found: the same and a score."""
    total = []
    for label in {t[1] for t in truth}:
        instances = defaultdict(list)
        for video, name, s, e in truth:
            if name == label:
                instances[video].append([s, e, False])
        ranked = sorted(enumerate(d for d in found if d[1] == label), key=lambda x: (-x[1][4], -x[0]))
        hits = []
        for _, (video, _, start, end, _) in ranked:
            best, taken = threshold, None
            for instance in instances[video]:
                shared = max(0, min(end, instance[1]) - max(start, instance[0]))
                overlap = shared / (end - start + instance[1] - instance[0] - shared)
                if overlap >= best and not instance[2]:
                    best, taken = overlap, instance
            if taken:
                taken[2] = True
            hits.append(taken is not None)
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        total.append(sum(precision[k:].max() for k in np.flatnonzero(hits)) / sum(map(len, instances.values())))
    return float(np.mean(total))


@pytest.fixture(scope="module")
def real(data_root):
    folder = data_root / "activitynet"
    database = json.loads((folder / "activitynet_v1-3.json").read_text())["database"]
    scores = json.loads((folder / "external_video_scores.json").read_text())
    return {v: e for v, e in database.items() if e["subset"] == "validation"}, scores


def test_committed_rows_of_activitynet_are_what_a_plain_computation_gives(real):
    validation, scores = real
    instances = [(v, a["label"], *a["segment"]) for v, e in validation.items() for a in e["annotations"]]
    # Some published scores are equal: their order is that of the file.
    published = [(v, s["class"], 0.0, validation[v]["duration"] if v in validation else 1.0, s["score"]) for v, s in scores.items()]
    found = [d for d in published if d[0] in validation]
    rows = committed("activitynet", "whole video, external class", REFERENCE)
    assert rows["num_videos"].iloc[0] == len(validation)
    for tiou in ("0.5", "0.75", "0.95"):
        assert rows.loc[tiou, "mean_ap"] == pytest.approx(plain_mean_ap(instances, found, float(tiou)), abs=2e-6), tiou
    everywhere = np.mean([plain_mean_ap(instances, found, t / 100) for t in range(50, 100, 5)])
    assert rows.loc["avg", "mean_ap"] == pytest.approx(everywhere, abs=2e-6)

    rows = committed("activitynet", "whole video, external class", "every published score")
    assert rows.loc["0.5", "mean_ap"] == pytest.approx(plain_mean_ap(instances, published, 0.5), abs=2e-6)

    last = {video: (video, label, s, e) for video, label, s, e in instances}  # the later overwrites the earlier
    rows = committed("activitynet", "whole video, external class", "last instance")
    assert rows.loc["0.5", "mean_ap"] == pytest.approx(plain_mean_ap(list(last.values()), found, 0.5), abs=2e-6)
    long = {v: t for v, t in last.items() if t[3] - t[2] >= 0.5 * validation[v]["duration"]}
    rows = committed("activitynet", "whole video, external class", "long last instance", "0.5")
    assert rows.loc["0.5", "mean_ap"] == pytest.approx(plain_mean_ap(list(long.values()), found, 0.5), abs=2e-6)
    rows = committed("activitynet", "whole video, external class", "long last instance, its videos", "0.5")
    inside = [d for d in found if d[0] in long]
    assert rows.loc["0.75", "mean_ap"] == pytest.approx(plain_mean_ap(list(long.values()), inside, 0.75), abs=2e-6)

    sure = [d for d in found if d[4] >= 0.99]
    predicted = {d[0] for d in sure}
    rows = committed("activitynet", "whole video, external score ≥ 0.99", "predicted videos")
    assert rows["num_videos"].iloc[0] == len(predicted)
    expected = plain_mean_ap([t for t in instances if t[0] in predicted], sure, 0.5)
    assert rows.loc["0.5", "mean_ap"] == pytest.approx(expected, abs=2e-6)


def test_committed_rows_of_thumos14_can_be_repeated(data_root):
    annotations = read_annotations(data_root / "thumos14" / "thumos14.json")
    database = annotations.raw["database"]
    truth = {v: e for v, e in database.items() if e["subset"] == "test"}
    # As in the audit: validation videos first.
    everything = {v: e for v, e in database.items() if e["subset"] == "validation"} | truth
    found = protocols.of_videos(protocols.jittered_truth(everything, 0), truth)
    for name, setting, some, detections in thumos14_protocols(truth, found):
        rows = committed("thumos14", "jittered truth", name, setting, seed=0)
        scores = evaluate_detections({"database": some}, detections, [0.3, 0.5, 0.7])
        assert rows.loc[["0.3", "0.5", "0.7"], "mean_ap"].tolist() == pytest.approx(scores.mean_ap.tolist(), abs=1e-4), name
        counts = rows[["num_videos", "num_instances", "num_detections"]].iloc[0].tolist()
        assert counts == [scores.num_videos, scores.num_instances, scores.num_detections]
    detections = list(found.itertuples(index=False, name=None))
    instances = [(v, a["label"], *a["segment"]) for v, e in truth.items() for a in e["annotations"]]
    rows = committed("thumos14", "jittered truth", REFERENCE, seed=0)
    assert rows.loc["0.5", "mean_ap"] == pytest.approx(plain_mean_ap(instances, detections, 0.5), abs=1e-4)


def test_what_is_said_of_thumos14(data_root):
    folder = data_root / "thumos14"
    database = json.loads((folder / "thumos14.json").read_text())["database"]
    numbers = {a["label"]: a["label_id"] for e in database.values() for a in e["annotations"]}
    assert numbers == field.THUMOS14_CLASSES
    out = defaultdict(list)
    for video, label, start, _, duration in json.loads((folder / "stats.json").read_text())["dropped_invalid"]:
        if database[video]["subset"] == "test":
            assert start > duration
            out[video].append(label)
    assert {v: (labels[0], len(labels)) for v, labels in out.items()} == protocols.THUMOS14_OUT_OF_RANGE


def test_committed_rows_are_of_known_files(data_root):
    rows = read_audit(COMMITTED)
    assert set(rows["dataset"]) == set(FILES)
    for dataset, files in FILES.items():
        annotations = next(iter(files))
        sums = dict(line.split()[::-1] for line in (data_root / dataset / "SHA256SUMS").read_text().splitlines())
        assert set(rows.loc[rows["dataset"] == dataset, "checksum"]) == {sums[annotations]}
