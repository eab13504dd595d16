"""Features in shards: the same data, the same clips and the same training as from memory, within bounds; what is damaged is told."""

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from helpers import TINY_TRAINING, tiny_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from nontarget.cli import main
from nontarget.data import (
    DataError,
    Normalization,
    Video,
    cutting,
    make_clips,
    make_labeled_clips,
    read_feature_folder,
    write_feature_folder,
)
from nontarget.data.feature_checks import checked, converted
from nontarget.data.shard_writing import NewFeatures, write_folder
from nontarget.data.shards import ShardFeatures, Shards
from nontarget.experiment import Experiment, run
from nontarget.results import METRIC_COLUMNS, ResultStore, identity_key
from nontarget.study.comparison import Comparison
from nontarget.study.labels_seen import seen_note

RNG = np.random.default_rng(0)


def entry(duration, subset="training"):
    return {"subset": subset, "duration": duration, "annotations": [{"label": "a", "segment": [0.5, 2.0]}]}


def sharded(folder, arrays, dtype="float16", shard_bytes=2000, **more):
    """A feature folder of arrays at 2 snippets per second; the last video is for test."""
    subsets = ["training"] * (len(arrays) - 1) + ["validation"]
    database = {v: entry(len(x) / 2, s) for (v, x), s in zip(arrays.items(), subsets, strict=True)}
    features = [NewFeatures(v, x.shape, lambda x=x: x, str(x[0, 0])) for v, x in arrays.items()]
    content = {"classes": ["a"], "feature_fps": 2.0, "database": database}
    return write_folder(folder, content | more, features, dtype, shard_bytes=shard_bytes, progress=False)


def noise(count=6, dim=8):
    return {f"v{i}": RNG.normal(size=(20 + 7 * i, dim)).astype(np.float32) for i in range(count)}


def as_archive(folder, to):
    """The same feature folder with features.npz."""
    to.mkdir()
    (to / "annotations.json").write_bytes((folder / "annotations.json").read_bytes())
    shards = Shards(folder)
    np.savez(to / "features.npz", **{v: shards.read(v).astype(shards.dtype) for v in shards.videos})
    return to


def same(a, b):
    names = ("features", "valid", "video", "fps", "offset_s", "continues", "begins")
    return all(torch.equal(getattr(a, n), getattr(b, n)) for n in names)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("windowing", ["sliding", "rescale"])
@pytest.mark.parametrize("pool", [1, 3])
def test_shards_and_archives_give_the_same_bits(tmp_path, monkeypatch, dtype, windowing, pool):
    folder = sharded(tmp_path / "f", noise(), dtype, protocol={"windowing": windowing, "num_snippets": 8, "stride": 4, "pool": pool})
    assert len(list(folder.glob("*.safetensors"))) > 1
    from_shards, from_archive = read_feature_folder(folder), read_feature_folder(as_archive(folder, tmp_path / "z"))
    one, other = ([v.video for v in d.train] for d in (from_shards, from_archive))
    for a, b in zip(one, other, strict=True):
        assert (a.fps, a.num_snippets, a.dim, a.stored is None) == (b.fps, b.num_snippets, b.dim, False)
        assert np.array_equal(a.features, b.features)
        assert np.array_equal(a.snippets(3, 5), b.features[3:5])
        assert a.features.dtype == b.features.dtype == np.float32
    normal, likewise = Normalization.of(one), Normalization.of(other)
    assert torch.equal(normal.mean, likewise.mean)
    assert torch.equal(normal.std, likewise.std)
    protocol = from_shards.protocol
    expected = make_labeled_clips(from_archive.train, protocol, likewise, 1)
    monkeypatch.setattr(cutting, "IN_MEMORY", 0)
    later = make_labeled_clips(from_shards.train, protocol, normal, 1)
    assert later.features.shape == (len(expected), 8, 0)
    assert later.num_bytes == expected.num_bytes == expected.features.numel() * 4
    order = torch.randperm(len(expected))
    for index in (order, slice(1, 4), slice(None)):
        assert same(later[index], expected[index])
        assert torch.equal(later[index].instance_segments, expected[index].instance_segments)
    assert later.to("cpu").cutter is not None
    assert later.to("meta").features.shape == expected.features.shape, "another device gets all of them"


def test_a_video_of_as_many_snippets_as_a_clip_is_what_interpolation_gives():
    x = RNG.normal(size=(50, 30)).astype(np.float32)
    x[3] = x.mean(0)
    x[5] = -0.0
    for mean in (torch.from_numpy(x.mean(0)), torch.zeros(30)):
        normal = (torch.from_numpy(x) - mean) / torch.ones(30)
        expected = torch.nn.functional.interpolate(normal.T[None], size=50, mode="linear", align_corners=False)[0].T
        protocol = replace(tiny_dataset().protocol, windowing="rescale", num_snippets=50)
        clips = make_clips([Video("v", x, 2.0, 25.0)], protocol, Normalization(mean, torch.ones(30)))
        assert torch.equal(clips.features[0].view(torch.int32), expected.contiguous().view(torch.int32)), "also the signs of zeros"


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
@settings(max_examples=200)
def test_conversion_of_types_is_numpys(numbers):
    array = np.array(numbers, np.float32)
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    assert converted(array, np.float16).tobytes() == half.tobytes()
    assert converted(half, np.float32).tobytes() == half.astype(np.float32).tobytes()


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=20), st.sampled_from(["float16", "float32"]), st.sampled_from(["float16", "float32"])
)
@settings(max_examples=300)
def test_numbers_are_refused_exactly_where_their_copy_would_not_be_finite(numbers, stored, dtype):
    with np.errstate(over="ignore"):
        array = np.array([numbers], np.float32).astype(stored)
        fits = np.isfinite(array.astype(dtype)).all()
    if fits:
        assert checked(array, dtype).tobytes() == array.astype(dtype).tobytes()
    else:
        with pytest.raises(DataError, match="features must (be finite|fit float16)"):
            checked(array, dtype)


@pytest.mark.usefixtures("unchecked")
def test_training_of_clips_cut_batch_by_batch_is_the_same(tmp_path, monkeypatch):
    write_feature_folder(tmp_path / "mine", tiny_dataset())
    experiment = Experiment(
        features=str(tmp_path / "mine"),
        label_ratio=0.25,
        training_settings=TINY_TRAINING,
        detector_settings={"embed_dim": 16, "mask_dim": 8},
    )
    records = []
    for limit in (cutting.IN_MEMORY, 0):
        monkeypatch.setattr(cutting, "IN_MEMORY", limit)
        records.append(run(experiment, ResultStore(tmp_path / str(limit)), device="cpu"))
    for part in ("key", "scores", "occupancy", "curves"):
        assert records[0][part] == records[1][part]


def resident():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the system does not say how much memory a process has")
    return 1024 * int(status.read_text().split("VmRSS:")[1].split()[0])


@pytest.mark.usefixtures("unchecked")
def test_an_epoch_takes_memory_for_a_batch_and_a_video(tmp_path, monkeypatch):
    shape = (600, 512)
    array = RNG.normal(size=shape).astype(np.float16)
    folder = sharded(tmp_path / "f", {f"v{i}": array + np.float16(i) for i in range(160)}, shard_bytes=2**25)
    monkeypatch.setattr(cutting, "IN_MEMORY", 2**20)
    dataset = read_feature_folder(folder)
    videos, protocol = [v.video for v in dataset.train], replace(dataset.protocol, num_snippets=256, stride=128)
    before, peak = resident(), 0
    clips = make_clips(videos, protocol, Normalization.of(videos))
    for first in range(0, len(clips), 16):
        batch = clips[first : first + 16]
        assert batch.features.shape[1:] == (256, 512)
        peak = max(peak, resident())
    assert clips.num_bytes > 300e6
    assert sum(p.stat().st_size for p in folder.glob("*.safetensors")) > 95e6
    assert peak - before < 60e6


def test_shards_are_what_safetensors_reads(tmp_path):
    arrays = noise()
    folder = sharded(tmp_path / "f", arrays, "float32")
    read = {v: x for path in folder.glob("*.safetensors") for v, x in load_file(path).items()}
    assert read.keys() == arrays.keys()
    assert all(np.array_equal(read[v], x) for v, x in arrays.items())
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name != "SHA256SUMS"}


def test_a_video_and_a_dataset_can_be_sent_to_another_process(tmp_path):
    folder = sharded(tmp_path / "f", noise())
    shards = Shards(folder)
    again = pickle.loads(pickle.dumps(ShardFeatures(shards, "v1", 2)))
    assert np.array_equal(again.read(1, 3), ShardFeatures(shards, "v1").pooled(2).read(1, 3))
    dataset = read_feature_folder(folder)
    assert np.array_equal(pickle.loads(pickle.dumps(dataset)).train[1].video.features, dataset.train[1].video.features)


def test_what_was_changed_is_never_used(tmp_path):
    folder = sharded(tmp_path / "f", noise(), shard_bytes=10**6)
    (path,) = folder.glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(
        DataError, match=r"features.index.json: 1 problem.*\s+features-00000-of-00001.safetensors: has \d+ bytes, .*says \d+"
    ):
        read_feature_folder(folder)
    path.unlink()
    with pytest.raises(DataError, match="features-00000-of-00001.safetensors: is missing"):
        read_feature_folder(folder)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # the last number of the last video
    dataset = read_feature_folder(folder)
    assert len(dataset.train[0].video.features) == 20
    with pytest.raises(DataError, match="v5: its features are not those of which features.index.json has the SHA-256"):
        dataset.test[0].video.snippets(0, 1)
    with pytest.raises(DataError, match=r"1 problem\(s\):\s+.*v5: its features"):
        Shards(folder).verify()
    path.write_bytes(whole.replace(b'"shape":[20,8]', b'"shape":[8,20]'))
    with pytest.raises(DataError, match=r"v0: features.index.json says \('F16', \(20, 8\)\), the shard has \('F16', \(8, 20\)\)"):
        read_feature_folder(folder).train[0].video.snippets(0, 1)


def test_problems_of_the_index_are_listed_by_video(tmp_path):
    folder = sharded(tmp_path / "f", noise())
    path = folder / "features.index.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(DataError, match="features.index.json: its SHA-256 is"):
        read_feature_folder(folder)
    (folder / "SHA256SUMS").unlink()
    content = json.loads(path.read_text())
    content["videos"]["v0"]["shape"] = [20]
    content["videos"]["v1"]["shard"] = "other"
    content["videos"]["v2"]["sha256"] = "12"
    content["videos"]["v3"]["shape"] = [10**9, 10**9]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        read_feature_folder(folder)
    for text in ("4 problem(s)", "v0: features must be [T, D], got shape [20]", "v1: shard must be one", "v2: sha256 must", "v3: shape"):
        assert text in str(caught.value)
    content = json.loads(path.read_text()) | {"format": "x"}
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="expected an object with 'format': 'nontarget features 1'"):
        read_feature_folder(folder)


def test_lengths_and_missing_videos_are_told_on_opening(tmp_path):
    arrays = noise()
    folder = sharded(tmp_path / "f", arrays)
    annotations = json.loads((folder / "annotations.json").read_text())
    annotations["database"]["v0"]["duration"] = 90.0
    annotations["database"]["new"] = entry(3.0)
    (folder / "annotations.json").write_text(json.dumps(annotations))
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match=r"2 problem\(s\):\s+v0: 20 feature steps for 90 s.*\s+new: no features in the index"):
        read_feature_folder(folder)
    np.savez(folder / "features.npz", **arrays)
    with pytest.raises(DataError, match="has features twice, by features.index.json and in features.npz"):
        read_feature_folder(folder)


def test_a_folder_is_replaced_by_a_smaller_one(tmp_path):
    (tmp_path / "f").mkdir()
    np.savez(tmp_path / "f" / "features.npz", x=np.ones(3))
    (tmp_path / "f" / "notes.txt").write_text("mine")
    write_feature_folder(tmp_path / "f", tiny_dataset())
    assert not (tmp_path / "f" / "features.npz").exists()
    dataset = read_feature_folder(tmp_path / "f")
    write_feature_folder(tmp_path / "f", replace(dataset, external_scores=None), np.float32)  # what it reads is what it replaces
    again = read_feature_folder(tmp_path / "f")
    assert np.array_equal(again.train[3].video.features, dataset.train[3].video.features)
    assert (tmp_path / "f" / "notes.txt").read_text() == "mine"
    assert again.external_scores is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f"]


def test_writing_takes_memory_for_one_video(tmp_path):
    def load():
        return np.ones((1000, 500), np.float32)

    before = resident()
    database = {f"v{i}": entry(500.0) for i in range(100)}
    features = [NewFeatures(v, (1000, 500), load) for v in database]
    write_folder(tmp_path / "f", {"classes": ["a"], "feature_fps": 2.0, "database": database}, features, shard_bytes=2**24, progress=False)
    assert sum(p.stat().st_size for p in (tmp_path / "f").iterdir()) > 100e6
    assert resident() - before < 50e6


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("seen", "text"), [(True, "was trained with labels of this data set"), (False, "without labels"), (None, "")])
def test_labels_seen_travel_into_records_and_tables(tmp_path, seen, text):
    given = {"network": "TSN", "labels_seen": seen}
    write_feature_folder(tmp_path / "mine", replace(tiny_dataset(), provenance=given))
    dataset = read_feature_folder(tmp_path / "mine")
    assert dataset.provenance == given
    assert dataset.summary().get("network saw its labels") == {True: "yes", False: "no", None: None}[seen]
    experiment = Experiment(
        features=str(tmp_path / "mine"), rule="supervised only", label_ratio=0.25, training_settings=TINY_TRAINING,
        detector_settings={"embed_dim": 16, "mask_dim": 8},
    )  # fmt: skip
    store = ResultStore(tmp_path / "results")
    record = run(experiment, store, device="cpu")
    assert record["provenance"]["labels_seen"] is seen
    assert "labels_seen" not in json.dumps(record["identity"]), "what is known of the features changes no result"
    store.commit([record])
    header = store.metrics_path.read_text().splitlines()[0].split(",")
    assert ("labels_seen" in header) == (seen is not None)
    found = store.committed(record["identity"])
    assert (found.status, found.record["provenance"]["labels_seen"]) == ("current", seen)
    assert list(store.metrics().columns) == [c for c in METRIC_COLUMNS if c != "labels_seen" or seen is not None]
    unknown = json.loads(json.dumps(record))
    unknown["identity"]["seed"], unknown["provenance"]["labels_seen"] = 1, None
    store.commit([unknown | {"key": identity_key(unknown["identity"])}])
    assert store.committed(record["identity"]).record["provenance"]["labels_seen"] is seen
    assert store.committed(unknown["identity"]).record["provenance"]["labels_seen"] is None
    maps = pd.DataFrame({"avg": [1.0]}, index=pd.MultiIndex.from_tuples([("supervised only", 0)], names=["system", "seed"]))
    comparison = Comparison("mine", True, 0.25, maps, (record,))
    assert text in seen_note(comparison.records)
    assert ("Labels seen" in comparison.markdown()) == (seen is not None)
    assert ("labels_seen" in comparison.frame()) == (seen is not None)


@pytest.mark.parametrize("provenance", [[], {"labels_seen": "yes"}, {"labels_seen": 1}, {"network": 3}])
def test_provenance_is_checked(tmp_path, provenance):
    folder = sharded(tmp_path / "f", noise(), provenance=provenance)
    with pytest.raises(DataError, match="annotations.json: '(provenance|labels_seen|network)' must be .*, got"):
        read_feature_folder(folder)


def test_a_feature_folder_is_inspected(tmp_path):
    folder = sharded(tmp_path / "f", noise(), provenance={"release": "bmn", "network": "TSN", "labels_seen": True})
    shown = CliRunner().invoke(main, ["inspect", str(folder)]).output
    for text in ("6 videos (5 training, 1 test)", "T 20 to 55", "TSN: the network that made", "release    bmn", "--verify reads all"):
        assert text in shown
    assert "all features are those" in CliRunner().invoke(main, ["inspect", str(folder), "--verify"]).output
    path = sorted(folder.glob("*.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    result = CliRunner().invoke(main, ["inspect", str(folder), "--verify"])
    assert isinstance(result.exception, SystemExit)
    assert "an interrupted download, or a changed file" in result.output
    assert "is no feature folder" in CliRunner().invoke(main, ["inspect", str(tmp_path), "--verify"]).output
