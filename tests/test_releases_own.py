"""Releases that are made here: recognition, what is asked and not guessed, pickles, conversion."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nontarget.data import DataError, defaults_of, read_annotations, read_feature_folder, shard_writing
from nontarget.data.folder_report import folder_report
from nontarget.data.releases import TimeAxis, available, convert_release, get_layout, inspect_release, read_label_file
from nontarget.data.releases.layouts.hapt import HZ, window_features
from nontarget.data.shards import Shards
from nontarget.data.splits import split_dataset

RNG = np.random.default_rng(0)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, str):
        path.write_text(content)
    else:
        path.write_text(json.dumps(content))
    return path


def noise(snippets, dim=4):
    return RNG.standard_normal((snippets, dim)).astype(np.float32)


def entry(subset, duration, instances, fps=30.0, **more):
    annotations = [{"label": c, "segment": [a, b], "label_id": "ab".index(c)} for c, a, b in instances]
    return {"subset": subset, "duration": duration, "fps": fps, "annotations": annotations} | more


def own_data(root, folder="my_features"):
    """Someone's own data in ActionFormer's layout: three videos of 20 s at 30 fps, stride 6, window 12."""
    database = {v: entry("training" if v != "c" else "validation", 20.0, [("a", 1, 3), ("b", 5, 9)]) for v in "abc"}
    put(root / "annotations" / "own.json", {"database": database})
    for v in database:
        put(root / folder / f"{v}.npy", noise(99))
    return root


TIMES = {"fps": 30, "stride": 6, "window": 12}
positive = st.fractions(min_value="1/1000", max_value=1000, max_denominator=10**6)


@given(fps=positive, stride=positive, offset=positive, snippet=st.integers(0, 10**6))
def test_time_and_snippet_are_exact_inverses(fps, stride, offset, snippet):
    axis = TimeAxis.of(fps, stride, offset)
    assert axis.snippet_at(axis.centre_s(snippet)) == snippet
    assert axis.centre_s(axis.snippet_at(snippet)) == snippet
    assert axis.centre_s(1) - axis.centre_s(0) == 1 / axis.feature_fps
    assert axis.centre_s(0) == axis.feature_offset_s


@given(rows=st.integers(1, 300), covered=st.floats(0.1, 1e4))
def test_rescaled_rows_share_the_covered_duration(rows, covered):
    axis = TimeAxis.rescaled(rows, covered)
    assert axis.centre_s(-0.5) == 0
    assert axis.centre_s(rows - 0.5) == covered
    assert axis.snippet_at(axis.centre_s(rows - 1)) == rows - 1


def test_the_registry_names_the_nearest_layout():
    assert len(available()) == len(set(available())) >= 20
    with pytest.raises(ValueError, match="did you mean 'opentad'"):
        get_layout("open-tad")


def test_what_is_of_no_layout_is_told_what_would_be(tmp_path):
    put(tmp_path / "notes.md", "nothing")
    with pytest.raises(DataError, match=r"(?s)of no known layout.*notes.md.*actionformer: a json 'database'"):
        inspect_release(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        inspect_release(tmp_path / "absent")


# --- nothing is guessed


def test_times_that_are_not_known_are_asked_for(tmp_path):
    own_data(tmp_path)
    with pytest.raises(DataError, match=r"not guessed.*give fps= .*stride= .*window="):
        inspect_release(tmp_path)
    with pytest.raises(DataError, match=r"give window="):
        inspect_release(tmp_path, fps=30, stride=6)
    report = inspect_release(tmp_path, fps="annotations", stride=6, window=12)
    video = report.release.videos["a"]
    assert [float(video.time.centre_s(i)) for i in (0, 98)] == [0.2, 19.8]
    assert "!!" not in str(report)
    assert "T is off by 50%" in str(inspect_release(tmp_path, fps=30, stride=3, window=12))


def test_a_published_name_alone_is_no_thumos(tmp_path):
    own_data(tmp_path, folder="i3d_features")  # subsets training / validation: not the release of that name
    with pytest.raises(DataError, match="give fps="):
        inspect_release(tmp_path)


def test_opentad_folders_of_unknown_name_are_asked_for(tmp_path):
    database = {v: {"subset": s, "duration": 10.0, "frame": 300, "annotations": []} for v, s in (("a", "training"), ("b", "validation"))}
    put(tmp_path / "annotations" / "own.json", {"database": database})
    for v in database:
        put(tmp_path / "features" / "mae_stride4" / f"{v}.npy", noise(72))
    with pytest.raises(DataError, match="offsets of 2 and 8 frames; give stride=.*window="):
        inspect_release(tmp_path)
    report = inspect_release(tmp_path, stride=4, offset=2)
    assert float(report.release.videos["a"].time.centre_s(0)) == pytest.approx(2 / 30)


@pytest.mark.parametrize(("shapes", "axes"), [({"a": (6, 9)}, None), ({"a": (6, 9), "b": (6, 9)}, None), ({"a": (6, 9)}, "DT")])
def test_axis_order_is_decided_over_the_folder_or_asked_for(tmp_path, shapes, axes):
    for v, shape in shapes.items():
        put(tmp_path / f"{v}.npy", np.zeros(shape, dtype=np.float32))
    times = {"fps": 3, "stride": 1, "window": 1}
    if axes is None:
        with pytest.raises(DataError, match=r"do not tell which axis is time; give axes='TD'"):
            inspect_release(tmp_path, **times)
        put(tmp_path / "other.npy", np.zeros((6, 11), dtype=np.float32))
    report = inspect_release(tmp_path, axes=axes, **times)
    assert report.release.videos["a"].source.shape == (9, 6)
    assert report.release.videos["a"].source.load().shape == (9, 6)


def test_files_of_another_dimension_are_listed(tmp_path):
    own_data(tmp_path)
    put(tmp_path / "my_features" / "b.npy", noise(80, dim=5))
    with pytest.raises(DataError, match=r"b: shape \(80, 5\)"):
        inspect_release(tmp_path, **TIMES)


def test_one_of_several_annotation_files_has_to_be_named(tmp_path):
    own_data(tmp_path)
    other = json.loads((tmp_path / "annotations" / "own.json").read_text())
    put(tmp_path / "annotations" / "own_noun.json", other)
    (tmp_path / "annotations" / "own.json").rename(tmp_path / "annotations" / "own_verb.json")
    with pytest.raises(DataError, match="task= one of 'noun', 'verb'"):
        inspect_release(tmp_path, **TIMES)
    assert inspect_release(tmp_path, task="verb", **TIMES).release.annotations[0].name == "own_verb.json"
    with pytest.raises(DataError, match="got task='verbs'"):
        inspect_release(tmp_path, task="verbs", **TIMES)
    for k in (1, 11):
        (tmp_path / "annotations" / f"own_{'noun' if k == 1 else 'verb'}.json").rename(tmp_path / "annotations" / f"own_split_{k}.json")
    with pytest.raises(DataError, match="fold= one of"):
        inspect_release(tmp_path, **TIMES)
    assert inspect_release(tmp_path, fold=1, **TIMES).release.annotations[0].name == "own_split_1.json"


def test_three_annotated_subsets_are_asked_about(tmp_path):
    own_data(tmp_path)
    database = json.loads((tmp_path / "annotations" / "own.json").read_text())["database"]
    database["b"]["subset"] = "testing"
    put(tmp_path / "annotations" / "own.json", {"database": database})
    with pytest.raises(DataError, match="subsets='train=training,test=validation'"):
        inspect_release(tmp_path, **TIMES)
    report = inspect_release(tmp_path, subsets="train=training,test=testing", **TIMES)
    assert report.release.splits == {"train": "training", "test": "testing"}


def test_wrong_places_are_listed_by_video_in_one_error(tmp_path):
    own_data(tmp_path)
    database = json.loads((tmp_path / "annotations" / "own.json").read_text())["database"]
    database["a"]["annotations"][0]["segment"] = [1, "soon"]
    database["b"]["duration"] = -3
    put(tmp_path / "annotations" / "own.json", {"database": database})
    with pytest.raises(DataError, match=r"(?s)2 problem.*a: segment must be \[start_s, end_s\].*b: duration must be a positive number"):
        inspect_release(tmp_path, **TIMES)


def test_integers_are_no_features_and_damaged_files_are_named(tmp_path):
    own_data(tmp_path)
    put(tmp_path / "my_features" / "a.npy", np.zeros((99, 4), dtype=np.int64))
    with pytest.raises(DataError, match="a: features must be floating point, got int64"):
        inspect_release(tmp_path, **TIMES)
    (tmp_path / "my_features" / "a.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"a.npy: not an array in numpy's format"):
        inspect_release(tmp_path, **TIMES)


def test_ids_with_v_on_one_side_and_with_a_dash_are_matched(tmp_path):
    database = {v: entry(s, 60.0, [("a", 1, 3)]) for v, s in (("-x", "training"), ("_y", "validation"), ("z", "training"))}
    put(tmp_path / "annotations" / "some.json", {"database": database})
    for v in ("-x", "_y", "Z"):
        put(tmp_path / "tsp_features" / f"v_{v}.npy", noise(56))
    report = inspect_release(tmp_path)
    assert report.missing == ("z",)
    assert report.extra == ("v_Z",)
    assert "v_ is on one side only" in str(report)
    assert float(report.release.videos["-x"].time.centre_s(0)) == pytest.approx(8 / 15)


def test_a_release_is_read_from_within_its_folder_and_through_a_link(tmp_path, monkeypatch):
    own_data(tmp_path / "release")
    monkeypatch.chdir(tmp_path / "release")
    assert inspect_release(".", **TIMES).layout == "actionformer"
    assert inspect_release("my_features", "annotations/own.json", **TIMES).layout == "actionformer"
    monkeypatch.chdir(tmp_path / "release" / "my_features")
    assert inspect_release(".", "../annotations", **TIMES).subsets == {"training": 2, "validation": 1}
    (tmp_path / "link").symlink_to(tmp_path / "release")
    assert inspect_release(tmp_path / "link", **TIMES).layout == "actionformer"


# --- pickles


class Evil:
    """Makes a file in the folder where the test runs, if a pickle of it is run."""

    def __reduce__(self):
        return os.system, ("touch was-here",)


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The file that :class:`Evil` would make."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "was-here"


def slowfast(root, content):
    path = root / "training" / "v.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def features(make):
    return {"slow_feature": make(np.ones((1, 3, 5), dtype=np.float32)), "fast_feature": make(np.zeros((1, 2, 5), dtype=np.float32))}


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_pickles_are_refused_and_read_when_allowed(tmp_path, make):
    slowfast(tmp_path, features(make) | {"feature_frames": 64})
    with pytest.raises(DataError, match=r"v.pkl: this is a pickle.*allow_pickle=True"):
        inspect_release(tmp_path)
    video = inspect_release(tmp_path, allow_pickle=True).release.videos["v"]
    assert video.source.load().tolist() == [[1, 1, 1, 0, 0]] * 5
    assert video.duration_s == 64 / 15


@pytest.mark.parametrize(
    ("content", "named"),
    [(Evil(), "system"), (features(lambda x: x) | {"feature_frames": Evil()}, "system"), (eval, "eval"), (pickle.loads, "loads")],
)
def test_malicious_pickles_do_not_run(tmp_path, content, named, ran):
    slowfast(tmp_path, content)
    with pytest.raises(DataError, match=rf"asks for .*{named}, which is refused"):
        inspect_release(tmp_path, allow_pickle=True)
    assert not ran.exists()


def test_a_program_inside_a_tensors_bytes_does_not_run(tmp_path, ran):
    class Hidden:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (pickle.dumps(Evil()),)

    slowfast(tmp_path, Hidden())
    with pytest.raises(DataError, match="not a readable pickle"):
        inspect_release(tmp_path, allow_pickle=True)
    torch.save(Evil(), tmp_path / "training" / "v.pkl")
    with pytest.raises(DataError, match="only tensors and plain containers"):
        inspect_release(tmp_path, allow_pickle=True)
    assert not ran.exists()


def test_object_arrays_run_nothing_either(tmp_path):
    array = np.empty(1, dtype=object)
    array[0] = Evil()
    np.save(tmp_path / "set-JOINTFeatures.npy", array, allow_pickle=True)
    for name in ("videoname", "subset", "segments", "labels", "duration"):
        put(tmp_path / "set-Annotations" / f"{name}.npy", np.zeros(1))
    with pytest.raises(DataError, match="system, which is refused"):
        inspect_release(tmp_path, allow_pickle=True)


def test_torch_files_are_read(tmp_path):
    for v in ("a", "b"):
        torch.save(torch.ones(5 + (v == "b"), 3), tmp_path / f"{v}.pt")
    report = inspect_release(tmp_path, fps=1, stride=1, window=1, allow_pickle=True)
    assert report.release.videos["b"].source.load().shape == (6, 3)


# --- labelling tools


def test_elan_times_shift_with_the_media_and_lie_between_neighbours(tmp_path):
    slots = '<TIME_SLOT TIME_SLOT_ID="s1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="s2"/><TIME_SLOT TIME_SLOT_ID="s3" TIME_VALUE="3000"/>'

    def tier(name):
        inner = "".join(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}{k}" TIME_SLOT_REF1="s{k}" TIME_SLOT_REF2="s{k + 1}">'
            f"<ANNOTATION_VALUE>{name}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
            for k in (1, 2)
        )
        return f'<TIER TIER_ID="{name}">{inner}</TIER>'

    head = '<HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///x/clip.mp4" TIME_ORIGIN="500"/></HEADER>'
    path = put(
        tmp_path / "a.eaf", f"<ANNOTATION_DOCUMENT>{head}<TIME_ORDER>{slots}</TIME_ORDER>{tier('p')}{tier('q')}</ANNOTATION_DOCUMENT>"
    )
    with pytest.raises(DataError, match=r"tiers \['p', 'q'\]; give task=NAME"):
        read_label_file(path)
    table = read_label_file(path, task="q")
    assert [(i.label, i.start_s, i.end_s) for i in table.entries["clip"].instances] == [("q", 1.5, 2.5), ("q", 2.5, 3.5)]


def test_boris_states_that_are_not_stopped_are_named(tmp_path):
    observation = {"file": {"1": ["x.mp4"]}, "events": [[1.0, "", "run", "", ""]], "media_info": {"length": {"x.mp4": 9.0}}}
    content = {"behaviors_conf": {"0": {"code": "run", "type": "State event"}}, "observations": {"o": observation}}
    with pytest.raises(DataError, match="o: 'run' is started at 1 s and not stopped"):
        read_label_file(put(tmp_path / "p.boris", content))


def test_boris_tabular_export_with_a_preamble(tmp_path):
    rows = ["Observation id,o", "", "Time,Media file path,Total length,FPS,Subject,Behavior,Comment,Status"]
    rows += ["1.5,/d/x.mp4,9.0,25,,run,,START", "2.0,/d/x.mp4,9.0,25,,blink,,POINT", "3.25,/d/x.mp4,9.0,25,,run,,STOP"]
    table = read_label_file(put(tmp_path / "t.csv", "\n".join(rows)))
    assert [(i.label, i.start_s, i.end_s) for i in table.entries["x"].instances] == [("run", 1.5, 3.25)]
    assert table.entries["x"].duration_s == 9.0


def test_a_table_gives_labels_and_subsets_to_own_features(tmp_path):
    for v, t in (("m 1", 20), ("n", 24), ("o", 30)):
        put(tmp_path / "feats" / f"{v}.npy", noise(t))
    put(tmp_path / "labels.csv", 'video,start,end,label,subset\nm 1,1,3,"run, fast",train\nn,2,4,"run, fast",test\n')
    report = convert_release(tmp_path / "feats", tmp_path / "out", tmp_path / "labels.csv", fps=2, stride=1, window=1, dtype="float32")
    dataset = read_feature_folder(tmp_path / "out")
    assert (len(dataset.train), len(dataset.test), dataset.classes) == (1, 1, ("run, fast",))
    assert "no row in the annotations: o" in str(report)
    assert f"--annotations {tmp_path}/labels.csv --fps 2 --stride 1 --window 1" in report.next_lines()[0]


# --- conversion


def converted(tmp_path, **options):
    return convert_release(own_data(tmp_path / "release"), tmp_path / "out", **(TIMES | options))


def test_a_conversion_reads_back_with_its_times_and_record(tmp_path):
    converted(tmp_path, dtype="float32")
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert content["database"]["a"]["feature_fps"] == 5.0
    assert content["database"]["a"]["feature_offset_s"] == pytest.approx(0.2)
    assert "feature_fps" not in content, "centres at 0.2 + i / 5 are not at (i + 0.5) / 5"
    record = content["provenance"]
    assert (record["release"], record["labels_seen"], record["options"]) == ("actionformer", None, TIMES)
    stored = Shards(tmp_path / "out")
    for v in "abc":
        assert np.array_equal(stored.read(v), np.load(tmp_path / "release" / "my_features" / f"{v}.npy"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "release"]
    assert len((tmp_path / "out" / "SHA256SUMS").read_text().splitlines()) == 4
    with pytest.raises(DataError, match="out: exists already"):
        converted(tmp_path)


def test_a_conversion_on_the_usual_grid_is_a_feature_folder(tmp_path):
    converted(tmp_path, window=6)
    dataset = read_feature_folder(tmp_path / "out")
    assert [v.video.video_id for v in dataset.train] == ["a", "b"]
    assert dataset.train[0].video.fps == 5.0


def test_instances_are_clipped_or_dropped_by_reason(tmp_path):
    root = own_data(tmp_path / "release")
    wrong = [("a", 1, 3), ("a", 1.0004, 3.0004), ("a", 4, 4), ("a", 18, 20.5), ("a", 21, 22), ("b", 1, 3)]
    database = json.loads((root / "annotations" / "own.json").read_text())["database"]
    database["a"] = entry("training", 20.0, wrong)
    put(root / "annotations" / "own.json", {"database": database})
    put(root / "my_features" / "b.npy", noise(30))  # 6 s of 20 s
    report = convert_release(root, tmp_path / "out", **TIMES)
    folder = read_annotations(tmp_path / "out" / "annotations.json")
    assert folder.videos["a"].annotations.segments_s.tolist() == [[1, 3], [18, 20], [1, 3]]
    assert folder.videos["b"].duration_s == pytest.approx(6.2)
    assert folder.videos["b"].annotations.segments_s.tolist() == [[1, 3], [5, 6.2]]
    record = json.loads((tmp_path / "out" / "annotations.json").read_text())["provenance"]
    assert record["instances_changed"] == {"duplicate": 1, "no_length": 1, "beyond_end": 1, "outside": 1, "beyond_features": 1}
    for line in ("1 dropped: repeat", "1 dropped: end at or before", "1 clipped: end after their video", "1 dropped: lie outside"):
        assert line in str(report)


@pytest.mark.parametrize(("videos", "classes", "ratio"), [(20, 2, 0.1), (20, 4, 0.2), (10, 3, 0.4), (4, 4, None), (1, 1, None)])
def test_the_ratio_to_type_leaves_every_class_a_label(tmp_path, videos, classes, ratio):
    root = tmp_path / "release"
    names = [chr(ord("a") + k) for k in range(classes)]
    database = {f"v{i:02d}": ("training", names[i % classes]) for i in range(videos)} | {"test": ("validation", "a")}
    entries = {
        v: {"subset": s, "duration": 20.0, "fps": 30.0, "annotations": [{"label": c, "segment": [1, 3], "label_id": names.index(c)}]}
        for v, (s, c) in database.items()
    }
    put(root / "annotations" / "own.json", {"database": entries})
    for v in entries:
        put(root / "my_features" / f"{v}.npy", noise(99))
    report = convert_release(root, tmp_path / "out", **TIMES)
    assert report.label_ratio == ratio
    last = report.next_lines()[1]
    if ratio is None:
        assert last.startswith("Table 1 needs more training videos")
        return
    assert last.endswith(f"-p features release_folder -p ratio {ratio}")
    after = report.text(tmp_path / "out")
    assert f"-p features {tmp_path}/out -p ratio {ratio}" in after
    assert "nontarget convert" not in after, "it has been done"
    assert folder_report(tmp_path / "out").endswith(f"nontarget table 1 --features {tmp_path}/out --ratio {ratio}")
    dataset = read_feature_folder(tmp_path / "out")
    for seed in range(3):
        assert len(split_dataset(dataset, ratio, seed).labeled) == round(ratio * videos)
    if ratio > 0.1:
        usual = (0.1, 0.2, 0.4, 0.6)
        below = max(r for r in usual if r < ratio)
        with pytest.raises(ValueError, match="classes without a label"):
            [split_dataset(dataset, below, seed) for seed in range(3)]


def test_a_killed_conversion_goes_on_and_never_looks_whole(tmp_path, monkeypatch):
    root, loaded = own_data(tmp_path / "release"), []
    load = shard_writing._loaded

    def until_killed(video, dtype):
        if len(loaded) == 2:
            raise KeyboardInterrupt
        loaded.append(video.video_id)
        return load(video, dtype)

    monkeypatch.setattr(shard_writing, "_loaded", until_killed)
    with pytest.raises(KeyboardInterrupt):
        convert_release(root, tmp_path / "out", **TIMES)
    assert not (tmp_path / "out").exists()
    (part,) = (tmp_path / "out.partial").glob("*.safetensors")
    part.write_bytes(part.read_bytes()[:-5])  # cut short after all
    loaded.clear()
    monkeypatch.setattr(shard_writing, "_loaded", lambda *a: loaded.append(a[0].video_id) or load(*a))
    convert_release(root, tmp_path / "out", **TIMES)
    assert loaded == ["b", "c"]
    convert_release(root, tmp_path / "whole", **TIMES)
    files = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == files
    assert all((tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in files)


def test_only_what_has_changed_is_converted_again(tmp_path, monkeypatch):
    root, loaded = own_data(tmp_path / "release"), []
    load = shard_writing._loaded
    with monkeypatch.context() as patch:
        patch.setattr(shard_writing, "_read_back", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            convert_release(root, tmp_path / "out", **TIMES)
    changed = put(root / "my_features" / "a.npy", noise(99))
    os.utime(changed, (1, 1))
    monkeypatch.setattr(shard_writing, "_loaded", lambda *a: loaded.append(a[0].video_id) or load(*a))
    convert_release(root, tmp_path / "out", **TIMES)
    assert loaded == ["a"]
    assert np.array_equal(Shards(tmp_path / "out").read("a"), np.load(changed).astype(np.float16))


@pytest.mark.parametrize(
    ("place", "said"),
    [("video", "b: its features read back differ from those"), ("header", r"features-0\S+: its header read back differs from the one")],
)
def test_a_disk_that_loses_a_bit_is_noticed(tmp_path, monkeypatch, place, said):
    root = own_data(tmp_path / "release")
    read_back = shard_writing._read_back

    def after_a_fault(path, shard, videos, digests):
        with path.open("r+b") as file:
            file.seek(shard.starts[1] + 7 if place == "video" else 20)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 4]))
        return read_back(path, shard, videos, digests)

    monkeypatch.setattr(shard_writing, "_read_back", after_a_fault)
    with pytest.raises(DataError, match=rf"1 problem\(s\):\s+{said}"):
        convert_release(root, tmp_path / "out", **TIMES)
    assert not (tmp_path / "out").exists()


def test_features_that_cannot_be_stored_are_listed_by_video(tmp_path):
    root = own_data(tmp_path / "release")
    for v, value in (("a", np.nan), ("b", 1e6)):
        array = noise(99)
        array[7, 2] = value
        put(root / "my_features" / f"{v}.npy", array)
    with pytest.raises(
        DataError,
        match=r"(?s)a: features must be finite, got nan at step 7, .*b: features must fit float16, at most 6.6e\+04, got 1e\+06",
    ):
        convert_release(root, tmp_path / "out", **TIMES)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="dtype must be one of float16, float32, got 'int8'"):
        convert_release(root, tmp_path / "out", dtype="int8", **TIMES)


def test_a_published_split_makes_unlabeled_videos_and_rows_cover_their_duration(tmp_path):
    flat = {}
    rows = ["video,numFrame,seconds,fps,rfps,subset,featureFrame"]
    for v, subset in (("v_a", "training"), ("v_b", "training_unlabel"), ("v_c", "validation")):
        instances = [{"label": "x", "segment": [1, 30]}]
        flat[v] = {"duration_second": 40.0, "duration_frame": 1000, "feature_frame": 960, "annotations": instances}
        rows.append(f"{v},1000,40.0,25,25,{subset},960")
        lines = [",".join(f"f{i}" for i in range(120))] + [",".join(f"{x:.1f}" for x in row) for row in noise(100, 120)]
        put(tmp_path / "r" / "csv_mean_100" / f"{v}.csv", "\n".join(lines))
    put(tmp_path / "r" / "anet.json", flat)
    put(tmp_path / "r" / "video_info_new_0.5.csv", "\n".join(rows))
    put(tmp_path / "r" / "video_info_new.csv", "\n".join(rows).replace("_unlabel", ""))
    assert inspect_release(tmp_path / "r").subsets == {"training": 2, "validation": 1}
    beside = inspect_release(tmp_path / "r" / "csv_mean_100", tmp_path / "r" / "anet.json")
    assert beside.subsets == {"training": 2, "validation": 1}, "the subsets are beside the file that was given"
    assert "published splits are there, split=0.5" in str(beside)
    with pytest.raises(DataError, match=r"share WITHOUT labels.*there are: 0.5"):
        inspect_release(tmp_path / "r", split=0.9)
    report = convert_release(tmp_path / "r", tmp_path / "out", split=0.5)
    database = json.loads((tmp_path / "out" / "annotations.json").read_text())["database"]
    assert [database[v]["subset"] for v in flat] == ["training", "unlabeled", "validation"]
    assert [len(database[v]["annotations"]) for v in flat] == [1, 0, 1]
    assert database["v_a"]["feature_duration_s"] == pytest.approx(38.4)
    assert database["v_a"]["feature_fps"] * 38.4 == pytest.approx(100)
    assert report.release.seen.labels is True
    assert "YES" in str(report)
    put(tmp_path / "r" / "csv_mean_100" / "v_c.csv", "\n".join(lines[:-1]))
    with pytest.raises(DataError, match="v_c: .*expected 100 rows of 120 numbers, got 99"):
        convert_release(tmp_path / "r", tmp_path / "again", split=0.5)


# --- HAPT


def hapt(root):
    names = ["WALKING", "SITTING", "STAND_TO_SIT"]
    put(root / "activity_labels.txt", "".join(f"{k} {name}\n" for k, name in enumerate(names, start=1)))
    for experiment, user, samples in ((1, 1, 517), (2, 1, 300), (3, 2, 400)):
        for sensor in ("acc", "gyro"):
            lines = (" ".join(f"{x:.4f}" for x in row) for row in RNG.standard_normal((samples, 3)))
            put(root / "RawData" / f"{sensor}_exp{experiment:02d}_user{user:02d}.txt", "\n".join(lines))
    put(root / "RawData" / "labels.txt", "1 1 1 51 150\n1 1 3 151 200\n2 1 2 1 100\n3 2 1 101 300\n")
    put(root / "Train" / "subject_id_train.txt", "1\n1\n1\n")
    put(root / "Test" / "subject_id_test.txt", "2\n")
    return root


def test_hapt_is_read_from_its_release(tmp_path):
    root = hapt(tmp_path / "HAPT")
    report = convert_release(root, tmp_path / "out", dtype="float32")
    dataset = read_feature_folder(tmp_path / "out")
    assert [v.video.video_id for v in dataset.train] == ["exp01_user01", "exp02_user01"]
    assert [v.video.video_id for v in dataset.test] == ["exp03_user02"]
    assert dataset.classes == ("WALKING", "SITTING", "STAND_TO_SIT")
    assert dataset.train[0].annotations.segments_s.tolist() == [[1.0, 3.0], [3.0, 4.0]]
    assert (dataset.train[0].video.fps, dataset.train[0].video.features.shape) == (1.25, (13, 64)), "51 rows, of which 4 are a snippet"
    assert report.layout == "hapt"
    assert dataset.protocol == defaults_of("hapt").protocol, "so that the book's results on it can be repeated"
    assert "that of the book's data set hapt: every test video and instance counts; sliding windows of 64 snippets of 4" in str(report)
    assert dataset.labels_seen is False
    # The raw recording, as a user of numpy would read it: the mean of the accelerometer's x axis around the middle of row 20.
    raw = np.loadtxt(root / "RawData" / "acc_exp01_user01.txt")[20 * 10 + 5 - 32 : 20 * 10 + 5 + 32, 0]
    unpooled = Shards(tmp_path / "out").read("exp01_user01")
    assert unpooled[20, :4] == pytest.approx([raw.mean(), raw.std(), raw.min(), raw.max()], abs=1e-6)
    (root / "Train" / "subject_id_train.txt").unlink()
    (root / "Test" / "subject_id_test.txt").unlink()
    assert "the split is not known" in str(inspect_release(root))
    put(root / "RawData" / "labels.txt", "1 2 1 51 150\n9 1 1 1 2\n")
    with pytest.raises(DataError, match=r"(?s)line 1: user 2, but the recording is exp01_user01.*line 2: no recording or activity 9"):
        inspect_release(root)


def test_window_features_are_what_they_are_said_to_be():
    times = np.arange(1000) / HZ
    samples = np.zeros((1000, 6))
    samples[:, 0], samples[:, 4] = 2.0, np.sin(2 * np.pi * 3 * times)  # gravity on x; gyroscope y turns at 3 Hz
    rows = window_features(samples).reshape(100, 8, 8)
    middle = rows[50]
    assert middle[0] == pytest.approx([2, 0, 2, 2, *[np.log(1e-6)] * 4], abs=1e-4)
    assert middle[3, 0] == pytest.approx(2.0), "the magnitude of the accelerometer"
    assert middle[5, 1] == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert middle[5, 4:].argmax() == 1, "3 Hz is in the band of 2 to 5 Hz"
    step = np.where(np.arange(1000) < 505, 0.0, 1.0)[:, None] * np.ones((1, 6))
    assert window_features(step).reshape(100, 8, 8)[50, 0, 0] == pytest.approx(0.5), "row 50 is centred on sample 505"
    with pytest.raises(ValueError, match=r"samples must be \[at least 10, 6\]"):
        window_features(np.zeros((5, 6)))
