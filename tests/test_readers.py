"""Readers of foreign files: the library's error alone, that names the file and the place, within bounds of memory and time."""

import json
import os
import time
import zipfile

import numpy as np
import pytest
import torch
from fuzzing.runs import run
from fuzzing.subjects import TRUTH, annotation_content, record, subjects
from helpers import tiny_dataset, video

from nontarget import evaluate_detections
from nontarget.config import Protocol
from nontarget.data import (
    DataError,
    Normalization,
    make_clips,
    read_annotations,
    read_feature_folder,
    read_thumos14_text,
    write_feature_folder,
)
from nontarget.results import ResultStore
from nontarget.runtime.readers import open_npz, parse_json, read_json, read_tensors
from nontarget.trained import TrainedDetector


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
@pytest.mark.usefixtures("unchecked")
def test_mutated_inputs_meet_the_library_s_own_error(subject):
    counts = run(subject, 300, seed=1)
    assert not counts.foreign, counts.examples
    assert (counts.unnamed, counts.slow) == (0, 0), counts.examples
    assert counts.own > 100, "the mutations are noticed"
    assert counts.accepted > 0, "a harmless mutation is none"


@pytest.fixture
def folder(tmp_path):
    """A feature folder that is as it should be."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "annotations.json").write_text(json.dumps(annotation_content()))
    np.savez(folder / "features.npz", **{v: np.ones((20, 4), np.float16) for v in ("t1", "t2", "v1")})
    read_feature_folder(folder)
    return folder


# --- JSON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', r"x.json: the id\(s\) \['c'\] are listed more than once"),
        ('{"1e999": 1,\n "a": 1e999}', "x.json, line 2, column 7: numbers must be finite and fit 64 bits, got 1e999"),
        ('{"a": -Infinity}', "line 1, column 7: .* got -Infinity"),
        ('{"a": [NaN]}', "line 1, column 8: .* got NaN"),
        (f'{{"a": {10**400}}}', r"line 1, column 7: .* got 1000.*\.\.\."),
        (f'{{"a": {2**63}}}', "fit 64 bits, got 9223372036854775808"),
        ("[" * 60 + "]" * 60, "nested deeper than 50"),
        ("[" * 10**6, "nested deeper than 50"),
        (r'{"a": "\ud800"}', "half of a surrogate pair"),
        ('{"a": }', r"not a JSON file \(Expecting value: line 1 column 7"),
        ("", "not a JSON file"),
    ],
)
def test_json_that_is_refused(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_json_that_is_read(tmp_path):
    content = {"a": [1, -2.5, 2**63 - 1, -(2**63), None, True, "1e999 NaN", "\U0001f600"]}
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "x.json").write_text(json.dumps(content), encoding=encoding)
        assert read_json(tmp_path / "x.json") == content
    assert parse_json("[" * 50 + "]" * 50, "x") is not None
    with pytest.raises(DataError, match="UTF-8, got another encoding at byte 0 .*UTF-16"):
        parse_json(json.dumps(content).encode("utf-16"), "x")
    with pytest.raises(DataError, match="larger than 0 MiB"):
        read_json(tmp_path / "x.json", limit=10)


def test_doubled_keys_take_linear_time():
    text = "{" + ", ".join(f'"k{i}": 1, "k{i}": 2' for i in range(100_000)) + "}"
    started = time.process_time()
    with pytest.raises(DataError, match=r"'k0'.* and 99990 more are listed more than once"):
        parse_json(text, "x")
    assert time.process_time() - started < 5, "a quadratic search took minutes"


# --- files that are none, and links


@pytest.mark.parametrize("name", ["annotations.json", "features.npz", "external_scores.json", "SHA256SUMS"])
def test_only_regular_files_of_the_folder_are_opened(folder, tmp_path, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(DataError, match=f"{name}: expected a file, got a FIFO"):
        read_feature_folder(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: expected a file, got a directory"):
        read_feature_folder(folder)
    (folder / name).rmdir()
    (tmp_path / "secret").write_text("{}")
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=f"{name}: is a link to .*secret, which lies outside of its folder"):
        read_feature_folder(folder)
    with pytest.raises(DataError, match=f"{name}: is a link to"):
        write_feature_folder(folder, tiny_dataset(), np.float32)
    assert (tmp_path / "secret").read_text() == "{}"


def test_a_linked_folder_is_read(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert len(read_feature_folder(tmp_path / "link").train) == 2


def test_devices_and_fifos_are_refused_by_every_reader(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        for read in (read_json, read_annotations, read_tensors, TrainedDetector.load, lambda p: evaluate_detections(p, TRUTH, [0.5])):
            with pytest.raises(DataError, match="expected a file, got a"):
                read(path)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", "../a", "", "a\nb"])
def test_ids_that_lead_elsewhere(folder, tmp_path, name):
    content = annotation_content()
    content["database"][name] = content["database"].pop("t1")
    (folder / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="annotations.json: an id must be a name without '/'"):
        read_feature_folder(folder)
    dataset = tiny_dataset()
    object.__setattr__(dataset.train[0].video, "video_id", name)
    with pytest.raises(DataError, match="an id must be a name without '/'"):
        write_feature_folder(tmp_path / "new", dataset, np.float32)
    store = ResultStore(tmp_path / "results")
    with pytest.raises(DataError, match="an id must be a name without '/'"):
        store.read(name)
    with pytest.raises(DataError, match="an id must be a name without '/'"):
        store.write(record() | {"key": name})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine"], "nothing was written"


# --- arrays


def npz_with(folder, name="t1", *, header=None, data=b"", **entry):
    """The folder's archive, with one member written by hand."""
    with zipfile.ZipFile(folder / "features.npz") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(folder / "features.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            if member == f"{name}.npy":
                text = (repr(header) + "\n").encode()
                archive.writestr(member, b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
            else:
                archive.writestr(member, content)


@pytest.mark.parametrize(
    ("shape", "descr", "message"),
    [
        ((10**12, 4), "<f2", r"t1: shape \(1000000000000, 4\) of type float16 takes 8000000000000 bytes, and the archive holds 160"),
        ((20, 10**9), "<f2", "and the archive holds 160"),
        ((20, 4), "<f8", r"takes 640 bytes, and the archive holds 160"),
        ((40, 2), "<f2", "t1: 40 feature steps for 10 s"),
        ((80,), "<f2", r"features must be \[T, D\], got shape \(80,\)"),
        ((20, 4), "<i2", "features must be floating point, got int16"),
        ((20, 4), "|O", "Object arrays cannot be loaded"),
        ((20, 1), [("a", "<f4"), ("b", "<f4")], "expected plain numbers"),
        ((-20, 4), "<f2", "expected plain numbers"),
    ],
)
def test_headers_are_judged_before_the_numbers(folder, shape, descr, message):
    npz_with(folder, header={"descr": descr, "fortran_order": False, "shape": shape}, data=bytes(160))
    with pytest.raises(DataError, match=message):
        read_feature_folder(folder)


def test_a_bomb_is_refused_before_it_unpacks(folder):
    resource = pytest.importorskip("resource")
    npz_with(folder, header={"descr": "<f2", "fortran_order": False, "shape": (20, 5 * 10**6)}, data=bytes(2 * 10**8))
    assert (folder / "features.npz").stat().st_size < 400_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"t1: the arrays unpack to more than 100 times what they take in the archive"):
        read_feature_folder(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"


@pytest.mark.parametrize(
    ("flag", "method", "message"), [(1, 8, "t1: is encrypted"), (0, 12, "t1: is packed by method 12"), (0, 99, "is packed by method 99")]
)
def test_odd_members(folder, flag, method, message):
    data = bytearray((folder / "features.npz").read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8 : at + 12] = flag.to_bytes(2, "little") + method.to_bytes(2, "little")
    (folder / "features.npz").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_feature_folder(folder)


def test_members_that_lead_elsewhere(folder):
    for name in ("../t1.npy", "/t1.npy", "a\\t1.npy"):
        with zipfile.ZipFile(folder / "features.npz", "w") as archive:
            archive.writestr(name, b"")
        with pytest.raises(DataError, match=r"features.npz: an id must be a name without '/'"), open_npz(folder / "features.npz"):
            pass
    link = zipfile.ZipInfo("t1.npy")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(folder / "features.npz", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with open_npz(folder / "features.npz") as archive, pytest.raises(DataError, match="t1: is a folder or a link"):
        archive.array("t1")


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.zeros((0, 3)), np.array(1.5)]
)
def test_arrays_are_numpy_s(tmp_path, array):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", a=array)
        with open_npz(tmp_path / "x.npz") as archive:
            np.testing.assert_array_equal(archive.array("a"), array, strict=True)


# --- bounds of what a file may ask for


def test_a_protocol_cannot_ask_for_all_the_memory(folder):
    content = annotation_content()
    content["protocol"] = {"num_snippets": 10**9}
    (folder / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="annotations.json: .*num_snippets must be at most 16384, got 1000000000"):
        read_feature_folder(folder)
    videos = [video(str(i), snippets=10, dim=2048) for i in range(20)]
    with pytest.raises(ValueError, match=r"20 clips of num_snippets=16384 .* would take 2.5 GiB, more than 32 times the features"):
        make_clips(videos, Protocol(num_snippets=16_384), Normalization.of(videos))


def test_a_header_of_tensors_that_promises_too_much(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(DataError, match=r"x.safetensors: not a readable safetensors file \(its header says 1099511627776 bytes"):
        read_tensors(path)
    for shape, dtype, message in (([10**12], "F32", "does not fit its 4 bytes"), ([1], "F8_E4M3", "the type must be one of")):
        header = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
        with pytest.raises(DataError, match=f"x.safetensors: .*tensor 'a': .*{message}"):
            read_tensors(path)


def test_a_checkpoint_cannot_ask_for_another_detector(tmp_path):
    (subject,) = [s for s in subjects() if s.name == "checkpoints"]
    path = tmp_path / "d.safetensors"
    path.write_bytes(subject.files["detector.safetensors"])
    trained = TrainedDetector.load(path)
    for settings, message in (({"embed_dim": 4000}, "d.safetensors: .* must have shape"), ({"context_layers": 10**9}, "are at most 4096")):
        object.__setattr__(trained, "settings", {**trained.settings, **settings})
        trained.save(path)
        with pytest.raises(DataError, match=message):
            TrainedDetector.load(path)
    object.__setattr__(trained, "detector", trained.detector.to(torch.float16))
    trained.save(path)
    with pytest.raises(DataError, match="d.safetensors"):
        TrainedDetector.load(path)


def test_a_record_without_its_parts_is_set_aside(tmp_path):
    store = ResultStore(tmp_path)
    store.prepare()
    for name in ("occupancy", "scores", "scored", "provenance", "gradient_share"):
        store.write({k: v for k, v in record().items() if k != name})
        with pytest.warns(UserWarning, match=f"{record()['key']}.json: not used.*{name}"):
            assert store.read(record()["key"]) is None
    store.write(record())
    assert store.read(record()["key"]) == record()


def test_times_that_are_none_in_text_files(tmp_path):
    (tmp_path / "Run_val.txt").write_text("v1 1.0 2.0\nv1 nan 3.0\n")
    with pytest.raises(DataError, match=r"Run_val.txt, line 2: expected 'video start_s end_s'"):
        read_thumos14_text(tmp_path, {"v1": 10.0})
    with pytest.raises(ValueError, match="unknown subset 'train'"):
        read_thumos14_text(tmp_path, {"v1": 10.0}, ["train"])
