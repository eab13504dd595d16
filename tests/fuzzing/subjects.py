"""The readers, each with good files of its own, how they are mutated, and how they are read."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save

import nontarget.training
from fuzzing import mutations
from nontarget import detectors, evaluate_detections, soft_nms
from nontarget.config import InferenceConfig, Protocol
from nontarget.data import Normalization, read_annotations, read_external_scores, read_feature_folder, read_thumos14_text
from nontarget.data.shard_writing import NewFeatures, write_folder
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.digests import DIGEST, tensors_digest, with_digest
from nontarget.runtime.tables import signed_lines
from nontarget.trained import TrainedDetector

Rng = np.random.Generator


@dataclass(frozen=True)
class Subject:
    """A reader under test."""

    name: str
    files: dict[str, bytes]
    """Good files, by path in a folder."""
    mutate: dict[str, Callable[[bytes, Rng], bytes]]
    """How each of them is mutated."""
    read: Callable[[Path], object]
    """Reads the folder."""
    own: tuple[type[Exception], ...] = ()
    """Errors besides DataError that are the library's, where its own code raises them: of arguments, which are no files."""
    arguments: Callable[[Rng], Callable[[], object]] | None = None
    """For what reads no files: a call with mutated arguments."""


def subjects():
    """All readers."""
    return [
        _feature_folder(), _sharded_folder(), _annotations(), _thumos14(), _external_scores(),
        _records(), _metrics(), _checkpoint(), _weights(),
        _truth(), _detections(), _soft_nms(),
    ]  # fmt: skip


VIDEOS = {"t1": "training", "t2": "training", "v1": "validation"}


def annotation_content():
    database = {
        name: {"subset": subset, "duration": 10.0, "annotations": [{"label": "run", "segment": [1.0, 3.0]}]}
        for name, subset in VIDEOS.items()
    }
    return {"classes": ["run", "jump"], "feature_fps": 2.0, "protocol": {"num_snippets": 8, "stride": 4}, "database": database}


def _files_of(write):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def _feature_folder():
    def write(folder):
        (folder / "annotations.json").write_text(json.dumps(annotation_content()))
        rng = np.random.default_rng(0)
        np.savez_compressed(folder / "features.npz", **{v: rng.normal(size=(20, 4)).astype(np.float16) for v in VIDEOS})
        (folder / "external_scores.json").write_text(json.dumps({v: {"run": 0.5, "jump": 0.25} for v in VIDEOS}))
        (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'').hexdigest()}  other.txt\n")

    mutate = {
        "annotations.json": mutations.mutate_json,
        "features.npz": mutations.mutate_npz,
        "external_scores.json": mutations.mutate_json,
        "SHA256SUMS": mutations.mutate_text,
    }
    return Subject("feature folder", _files_of(write), mutate, read_feature_folder)


def _sharded_folder():
    def write(folder):
        rng = np.random.default_rng(0)
        features = [NewFeatures(v, (20, 4), lambda: rng.normal(size=(20, 4)).astype(np.float16)) for v in VIDEOS]
        write_folder(folder / "f", annotation_content(), features, shard_bytes=400, progress=False)
        for name in ("SHA256SUMS", "classes.txt"):  # the first would tell every change, nobody reads the other
            (folder / "f" / name).unlink()

    def mutate_shard(data, rng):
        return mutations.mutate_safetensors(data, rng, lambda data: data)

    def read(folder):
        dataset = read_feature_folder(folder / "f")
        return [v.video.features for v in (*dataset.train, *dataset.test)]

    files = _files_of(write)
    mutate = {name: mutations.mutate_json if name.endswith(".json") else mutate_shard for name in files}
    return Subject("sharded feature folder", files, mutate, read)


def _annotations():
    files = {"annotations.json": json.dumps(annotation_content()).encode()}
    return Subject(
        "annotations",
        files,
        {"annotations.json": mutations.mutate_json},
        lambda folder: read_annotations(folder / "annotations.json").subsets(),
    )


def _thumos14():
    files = {"Run_val.txt": b"v1 1.0 2.0\nv2  3.0 4.5\n", "Jump_test.txt": b"v3 0.5 2.0\n"}
    durations = {"v1": 10.0, "v2": 10.0, "v3": 5.0}
    return Subject(
        "THUMOS14 text", files, dict.fromkeys(files, mutations.mutate_text), lambda folder: read_thumos14_text(folder, durations)
    )


def _external_scores():
    scores = {"v1": {"run": 0.5, "jump": 0.1}, "v2": {"class": "run", "score": 1}}
    listed = {"results": {"v1": [0.1, 1.0], "v2": [0, 0]}, "class": ["run", "jump"]}
    files = {"scores.json": json.dumps(scores).encode(), "listed.json": json.dumps(listed).encode()}

    def read(folder):
        for name in files:
            read_external_scores(folder / name, ["v1", "v2"], ["run", "jump"])

    return Subject("external scores", files, dict.fromkeys(files, mutations.mutate_json), read)


IDENTITY = {
    "dataset": {"name": "toy", "checksum": "c", "simulated": True}, "preset": "small", "label_ratio": 0.5,
    "detector": {"name": "spot", "settings": {}}, "rule": {"name": "supervised"}, "changed": {}, "seed": 0,
}  # fmt: skip


def record():
    coverage = {f"{kind}_{name}": 0.5 for kind in ("truth", "action", "size") for name in ("target", "positive", "negative", "ambiguous")}
    coverage.pop("size_target")
    return {
        "key": identity_key(IDENTITY), "identity": IDENTITY, "scores": {"0.5": 0.25, "avg": 0.25},
        "scored": {"videos": 3, "instances": 4, "detections": 5, "labeled": 1, "unlabeled": 1}, "occupancy": coverage,
        "gradient_share": {"pretrain": {"labeled": 1.0}}, "calibration": None, "curves": {},
        "provenance": {"seconds": {"total": 1.0}, "device": "cpu", "torch": "2", "commit": "abc", "date": "2026-01-01"},
    }  # fmt: skip


def _records():
    key = record()["key"]
    name = f"runs/{key}.json"

    def mutate(data, rng):
        if rng.random() < 0.3:
            return mutations.mutate_json(data, rng)
        changed = mutations.mutate_value({k: v for k, v in json.loads(data).items() if k != DIGEST}, rng)
        try:
            return mutations.dumped(with_digest(changed))
        except (ValueError, AttributeError, TypeError):  # not finite, or no record at all
            return mutations.dumped(changed)

    files = _files_of(lambda folder: _store(folder).write(record()))
    return Subject("store records", files, {name: mutate}, lambda folder: ResultStore(folder).read(key))


def _store(folder):
    store = ResultStore(folder)
    store.prepare()
    return store


def _metrics():
    def write(folder):
        _store(folder).commit([record()])

    def mutate(data, rng):
        if rng.random() < 0.3:
            return mutations.mutate_bytes(data, rng)
        plain = "".join(f"{line.rpartition(',')[0]}\n" for line in data.decode().splitlines()).encode()
        header, *rows = mutations.mutate_csv(plain, rng).decode().split("\n")
        return "\n".join(signed_lines(header, [row for row in rows if row])).encode()

    def read(folder):
        store = ResultStore(folder)
        return store.committed(IDENTITY, store.metrics())

    files = {name: data for name, data in _files_of(write).items() if name == "metrics.csv"}
    return Subject("metrics.csv", files, {"metrics.csv": mutate}, read)


def _detector():
    settings = detectors.detector_settings("spot", "small", embed_dim=8, mask_dim=8, num_heads=2, mask_reach=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return detectors.build_detector("spot", 3, 2, settings), settings


def _signed(data):
    """Safetensors with the digest of what they hold, if they can still be read."""
    try:
        size = int.from_bytes(data[:8], "little")
        about = json.loads(data[8 : 8 + size])["__metadata__"]
        tensors = load(data)
        return save(tensors, {**about, DIGEST: tensors_digest(tensors, about)})
    except Exception:
        return data


def _checkpoint():
    detector, settings = _detector()
    normalization = Normalization(torch.zeros(3), torch.ones(3))
    trained = TrainedDetector(detector, "spot", settings, ("run", "jump"), normalization, Protocol(), InferenceConfig())
    mutate = {"detector.safetensors": partial(mutations.mutate_safetensors, resign=_signed)}
    return Subject(
        "checkpoints",
        _files_of(lambda folder: trained.save(folder / "detector.safetensors")),
        mutate,
        lambda folder: TrainedDetector.load(folder / "detector.safetensors"),
    )


def _weights():
    detector, _ = _detector()
    optimizer = torch.optim.AdamW(detector.parameters())
    sum(p.sum() for p in detector.parameters()).backward()
    optimizer.step()
    stage = nontarget.training.Stage(1, [{"learning_rate": 1.0}], 1.0, "abc")
    name = "weights.safetensors"

    def read(folder):
        fresh, _ = _detector()
        read_stage = nontarget.training._read_stage
        return nontarget.training.intact(folder / name, lambda p: read_stage(p, {"model": fresh}, torch.optim.AdamW(fresh.parameters())))

    def write(folder):
        nontarget.training._write_stage(folder / name, stage, {"model": detector}, optimizer)

    return Subject("training weights", _files_of(write), {name: partial(mutations.mutate_safetensors, resign=_signed)}, read)


TRUTH = {"database": {v: {"subset": "training", "annotations": [{"label": "run", "segment": [1.0, 3.0]}]} for v in ("a", "b")}}
_SCORED = [{"label": "run", "segment": [1.0, 3.0], "score": 0.5}, {"label": "jump", "segment": [0, 1], "score": 0.1}]
DETECTIONS = {"results": dict.fromkeys("ab", _SCORED)}


def _truth():
    def arguments(rng):
        changed = mutations.mutate_value(TRUTH, rng)
        thresholds = [0.5] if rng.random() < 0.9 else mutations.odd_value(rng)
        return lambda: evaluate_detections(changed, DETECTIONS, thresholds)

    files = {"truth.json": json.dumps(TRUTH).encode()}
    return Subject(
        "evaluator's truth",
        files,
        {"truth.json": mutations.mutate_json},
        lambda folder: evaluate_detections(folder / "truth.json", DETECTIONS, [0.5]),
        (ValueError, TypeError),
        arguments,
    )


def _detections():
    def arguments(rng):
        changed = mutations.mutate_value(DETECTIONS, rng)
        return lambda: evaluate_detections(TRUTH, changed, [0.5])

    files = {"detections.json": json.dumps(DETECTIONS).encode()}
    return Subject(
        "evaluator's detections",
        files,
        {"detections.json": mutations.mutate_json},
        lambda folder: evaluate_detections(TRUTH, folder / "detections.json", [0.5]),
        (ValueError, TypeError),
        arguments,
    )


def _soft_nms():
    tensors = {
        "segments": torch.tensor([[0.0, 2.0], [1.0, 3.0], [5.0, 6.0]]), "scores": torch.tensor([0.9, 0.8, 0.7]),
        "labels": torch.tensor([0, 0, 1]), "videos": torch.tensor([0, 1, 1]),
    }  # fmt: skip
    options = {"method": "gaussian", "sigma": 0.5, "iou_threshold": 0.1, "min_score": 0.001, "max_detections": 10}
    dtypes = [
        torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool, torch.complex64, torch.uint8, torch.float8_e5m2,
    ]  # fmt: skip

    def odd_tensor(tensor, rng):
        changes = [
            lambda: tensor.to(dtypes[int(rng.integers(len(dtypes)))]), lambda: tensor.numpy(), lambda: tensor.tolist(), lambda: tensor[:2],
            lambda: tensor[None], lambda: tensor.flip(-1), lambda: tensor.to("meta"), lambda: tensor.to_sparse(), lambda: tensor[:0],
            lambda: tensor * float("nan"), lambda: tensor * 10**18, lambda: -tensor, lambda: tensor.reshape(-1), lambda: tensor.sum(),
        ]  # fmt: skip
        return changes[int(rng.integers(len(changes)))]()

    def arguments(rng):
        given = {**tensors, **options}
        for _ in range(int(rng.integers(1, 3))):
            name = str(rng.choice(list(given)))
            given[name] = odd_tensor(tensors[name], rng) if name in tensors and rng.random() < 0.7 else mutations.odd_value(rng)
        segments, scores = given.pop("segments"), given.pop("scores")
        return lambda: soft_nms(segments, scores, given.pop("labels"), **given)

    return replace(Subject("soft_nms", {}, {}, lambda folder: None, (ValueError, TypeError)), arguments=arguments)
