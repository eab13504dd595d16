import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY, TINY_TRAINING, tiny_dataset
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nontarget.config import InferenceConfig, Protocol, TrainingConfig
from nontarget.data import write_feature_folder
from nontarget.experiment import Experiment, evaluate, run, train
from nontarget.experiment import execution as module
from nontarget.parallel import run_all
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.devices import resolve_device
from nontarget.runtime.digests import tensors_digest
from nontarget.training import train_stage


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "store")


@pytest.fixture
def trainings(monkeypatch):
    """Names of the stages that were really trained."""
    trained = []

    def counted(name, *arguments, weights, **options):
        if not weights.exists():
            trained.append(name)
        return train_stage(name, *arguments, weights=weights, **options)

    monkeypatch.setattr(module, "train_stage", counted)
    return trained


def test_one_run_end_to_end(store):
    """From a name to a record, and from the record back."""
    record = run(Experiment(**TINY), store, device="cpu")
    assert record["key"] == identity_key(Experiment(**TINY).identity())
    assert list(record["scores"]) == ["0.3", "0.4", "0.5", "0.6", "0.7", "avg"]
    assert record["scores"]["avg"] == pytest.approx(np.mean([v for k, v in record["scores"].items() if k != "avg"]))
    assert record["scored"]["videos"] == 8
    assert (record["scored"]["labeled"], record["scored"]["unlabeled"]) == (6, 18)
    assert {"commit", "torch", "device", "date", "seconds", "peak_memory_mib"} <= set(record["provenance"])
    assert [len(record["curves"][s]) for s in ("pretrain", "selftrain")] == [2, 2]
    assert store.read(record["key"]) == record
    started = time.perf_counter()
    assert run(Experiment(**TINY), store, device="cpu") == record
    assert time.perf_counter() - started < 1, "the second time it is read"


def test_the_same_numbers_again_and_in_other_processes(store, tmp_path):
    experiments = [Experiment(**TINY, seed=s) for s in (0, 1)]
    alone = [run(e, store, device="cpu") for e in experiments]
    again = [run(e, store, device="cpu", recompute=True) for e in experiments]
    side_by_side = run_all(experiments, ResultStore(tmp_path / "other"), device="cpu", workers=2)
    for a, b, c in zip(alone, again, side_by_side, strict=True):
        assert a["scores"] == b["scores"] == c["scores"]
        assert a["curves"] == b["curves"] == c["curves"]
    assert alone[0]["scores"] != alone[1]["scores"]


def test_stages_that_experiments_share_are_trained_once(store, trainings):
    run(Experiment(**TINY, rule="supervised only"), store, device="cpu")
    assert trainings == ["pretrain", "selftrain"]
    run(Experiment(**TINY, rule="whole-video"), store, device="cpu")
    assert trainings == ["pretrain", "selftrain"], "the sanity row looks at the same detector in another way"
    run(Experiment(**TINY, rule="non-target"), store, device="cpu")
    run(Experiment(**TINY, rule="non-target", rule_settings={"positive_ratio": 0.9}), store, device="cpu")
    assert trainings == ["pretrain", "selftrain", "pretrain", "selftrain", "selftrain"]
    run(Experiment(**TINY, rule="non-target", inference_settings={"max_detections": 3}), store, device="cpu")
    assert len(trainings) == 5, "nothing is trained anew for another way of detecting"


@pytest.mark.slow
def test_workers_end_with_their_parent(store):
    """kill -9 of the process that spread the runs: its workers stop too, so that no epoch is added after a while."""
    long = {**TINY, "training_settings": {**TINY_TRAINING, "pretrain_epochs": 100_000}}
    script = "import sys; from nontarget.experiment import *; from nontarget.parallel import *; from nontarget.results import ResultStore\n"
    script += f"run_all([Experiment(**{long!r}, seed=s) for s in (0, 1)], ResultStore(sys.argv[1]), device='cpu', workers=2)"
    process = subprocess.Popen([sys.executable, "-c", script, str(store.folder)])

    def written():
        return {p.name: p.stat().st_mtime_ns for p in store.runs_folder.glob("*.partial.safetensors")} if store.runs_folder.exists() else {}

    deadline = time.monotonic() + 120
    while len(written()) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first = written()
    time.sleep(3)
    assert written() != first, "they are at work"
    process.kill()
    process.wait()
    time.sleep(2)
    last = written()
    time.sleep(5)
    assert written() == last


@pytest.mark.slow
def test_killed_and_run_again(store, tmp_path):
    """kill -9 in the middle of training: the next run goes on from the last epoch and ends with the same record."""
    long = {**TINY, "training_settings": {**TINY_TRAINING, "pretrain_epochs": 40, "selftrain_epochs": 2}}
    script = "import sys; from nontarget.experiment import *; from nontarget.results import ResultStore\n"
    script += f"run(Experiment(**{long!r}), ResultStore(sys.argv[1]), device='cpu', progress=False)"
    process = subprocess.Popen([sys.executable, "-c", script, str(store.folder)])
    deadline = time.monotonic() + 60
    while not list(store.runs_folder.glob("*.partial.safetensors")):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(store.runs_folder.glob("*.json")), "there is no record of what was not finished"
    resumed = run(Experiment(**long), store, device="cpu")
    plain = run(Experiment(**long), ResultStore(tmp_path / "plain"), device="cpu")
    assert resumed["scores"] == plain["scores"]
    assert resumed["curves"] == plain["curves"]
    assert not list(store.runs_folder.glob("*.partial.safetensors"))


@pytest.mark.parametrize(
    "change",
    [
        {"label_ratio": 0.5},
        {"seed": 1},
        {"rule": "baseline"},
        {"rule_settings": {"positive_ratio": 0.9}},
        {"rule_settings": {"teacher": "online"}},
        {"detector_settings": {"embed_dim": 32}},
        {"training_settings": {"batch_size": 4}},
        {"inference_settings": {"max_detections": 5}},
        {"protocol_settings": {"nms_sigma": 0.9}},
        {"twin_settings": {"noise": 1.0}},
        {"dataset": "activitynet-sim"},
        {"preset": "full"},
    ],
)
def test_every_setting_is_part_of_the_identity(change):
    assert identity_key(Experiment(**change).identity()) != identity_key(Experiment().identity())


def test_identity_knows_versions_and_ratios():
    identity = Experiment(rule="fully supervised").identity()
    assert identity["label_ratio"] == 1.0, "full supervision is one run for all ratios"
    assert set(identity["versions"]) == {"clips", "detector", "rule", "training", "inference", "metrics"}
    assert Experiment(preset="full").identity()["training"]["learning_rate"] == 1e-5
    assert Experiment(preset="full", dataset="activitynet-sim").identity()["training"]["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "thumos14-simm"}, "did you mean 'thumos14-sim'"),
        ({"rule": "baselin"}, "unknown learning rule 'baselin'; did you mean 'baseline'"),
        ({"detector": "sport"}, "did you mean 'spot'"),
        ({"preset": "tiny"}, "unknown preset 'tiny'"),
        ({"rule_settings": {"lambda": 0.9}}, "learning rule 'non-target': unknown setting 'lambda'"),
        ({"training_settings": {"learnin_rate": 0.9}}, "training_settings: unknown setting 'learnin_rate'; did you mean 'learning_rate'"),
        ({"inference_settings": {"max_detection": 3}}, "did you mean 'max_detections'"),
        ({"protocol_settings": {"windowing": "slidin"}}, "unknown windowing 'slidin'; did you mean 'sliding'"),
        ({"twin_settings": {"nois": 3}}, "did you mean 'noise'"),
    ],
)
def test_unknown_names(change, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**change).identity()


def test_a_ratio_without_labels_stops_before_training(store, trainings):
    with pytest.raises(ValueError, match="without a label"):
        run(Experiment(**{**TINY, "label_ratio": 0.05}), store, device="cpu")
    with pytest.raises(ValueError, match="without a label"):
        run_all([Experiment(**TINY), Experiment(**{**TINY, "label_ratio": 0.05})], store, device="cpu")
    assert not trainings


def test_a_rule_that_learns_from_unlabelled_videos_needs_some(store):
    with pytest.raises(ValueError, match=r"'non-target' learns from unlabelled videos, and label_ratio 1 leaves none"):
        run(Experiment(**{**TINY, "label_ratio": 1.0}, rule="non-target"), store, device="cpu")
    record = run(Experiment(**{**TINY, "label_ratio": 1.0}, rule="pre-trained only"), store, device="cpu")
    assert record["scored"]["unlabeled"] == 0, "its only stage can do without them"


def test_recompute_forgets_half_finished_work(store):
    """A state that an interrupted run left is not gone on with."""
    e = Experiment(**TINY)
    clean = run(e, store, device="cpu")

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nontarget.training.clip_grad_norm_", Counted(interrupt, at=5))  # in the second epoch
        with pytest.raises(KeyboardInterrupt):
            run(e, store, device="cpu", recompute=True)
    (partial,) = store.runs_folder.glob("*.partial.safetensors")
    tensors = load_file(partial)
    with safe_open(partial, framework="pt") as file:
        metadata = file.metadata()
    zeros = {name: torch.zeros_like(t) for name, t in tensors.items()}
    save_file(zeros, partial, metadata | {"digest": tensors_digest(zeros, metadata)})
    again = run(e, store, device="cpu", recompute=True)
    assert again["scores"] == clean["scores"]
    assert again["curves"] == clean["curves"]


class Counted:
    """A function in training that does something else at one of its calls."""

    def __init__(self, instead, at):
        self.instead, self.at, self.calls = instead, at, 0

    def __call__(self, parameters, norm):
        self.calls += 1
        return self.instead() if self.calls == self.at else torch.nn.utils.clip_grad_norm_(parameters, norm)


def test_threads_are_the_experiment_s_not_the_caller_s(store, tmp_path):
    e = Experiment(**TINY)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(e, store, device="cpu", progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert run(e, store, device="cpu")["curves"] == run(e, ResultStore(tmp_path / "other"), device="cpu")["curves"]


def test_weights_of_another_code_version_are_named(store, monkeypatch):
    monkeypatch.setattr("nontarget.training.code_version", lambda: "0ther")
    train(Experiment(**TINY), store, device="cpu", progress=False)
    monkeypatch.setattr("nontarget.runtime.provenance.code_version", lambda: "th1s")
    assert run(Experiment(**TINY), store, device="cpu")["provenance"]["commit"] == "0ther+th1s"


def cut_off(path):
    path.write_bytes(path.read_bytes()[:100])


def with_a_flipped_bit(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def with_nan(path):
    with safe_open(path, framework="pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in list(file.keys())}
    next(t for t in tensors.values() if t.ndim > 1).view(-1)[0] = float("nan")
    save_file(tensors, path, about)


def without_a_digest(path):
    save_file(load_file(path), path, {"stage": safe_open(path, framework="pt").metadata()["stage"]})


@pytest.mark.parametrize("damage", [cut_off, with_a_flipped_bit, with_nan, without_a_digest])
def test_damaged_weights_are_set_aside_and_trained_again(store, damage):
    e = Experiment(**TINY)
    clean = run(e, store, device="cpu")
    store.record_path(clean["key"]).unlink()
    paths = sorted(store.runs_folder.glob("weights-*"))
    for weights in paths:
        damage(weights)
    with pytest.warns(UserWarning, match=r"weights-\w+\.safetensors: not used, .*set-aside-1") as warned:
        again = run(e, store, device="cpu")
    assert len([w for w in warned if "not weights of this library, or cut off or changed" in str(w.message)]) == len(paths) == 2
    assert again["scores"] == clean["scores"]
    assert again["curves"] == clean["curves"]
    assert len(list(store.runs_folder.glob("*.set-aside-1"))) == 2, "nothing is deleted"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_ratio": 20}, r"label_ratio must be a share in \(0, 1\], got 20"),
        ({"label_ratio": 20, "rule": "fully supervised"}, "label_ratio must be a share"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"rule_settings": {"teacher": "onlin"}}, "unknown teacher 'onlin'; did you mean 'online'"),
        ({"training_settings": {"learning_rate": -1}}, "learning_rate must be a finite number > 0, got -1"),
        ({"training_settings": {"pretrain_epochs": 1.5}}, "epochs must be whole numbers, got 1.5"),
        ({"inference_settings": {"class_thresholds": []}}, r"class_thresholds must be one or more numbers in \(0, 1\], got \(\)"),
        ({"protocol_settings": {"stride": 300}}, "stride must be at most num_snippets .*, or windows leave gaps; got 300"),
        ({"protocol_settings": {"nms_sigma": -1}}, "nms_sigma must be a finite number > 0, got -1"),
        ({"protocol_settings": {"tiou_thresholds": 0.5}}, "tiou_thresholds must be one or more numbers"),
        ({"protocol_settings": {"tiou_thresholds": ["0.5"]}}, r"tiou_thresholds must be one or more numbers in \(0, 1\], got \('0.5',\)"),
        ({"training_settings": {"learning_rate": "1e-3"}}, "training_settings: learning_rate must be a finite number, got '1e-3'"),
        ({"training_settings": {"unlabeled_weight": -5}}, "training_settings: unlabeled_weight must be a finite number >= 0, got -5"),
        ({"rule_settings": {"positive_ratio": "x"}}, "learning rule 'non-target': positive_ratio must be a finite number, got 'x'"),
        ({"rule": "SPOT", "rule_settings": {"mask_threshold": float("nan")}}, "'SPOT': mask_threshold must be a finite number, got nan"),
        ({"detector_settings": {"temperature": float("inf")}}, "detector 'spot': temperature must be a finite number, got inf"),
        ({"twin_settings": {"noise": None}}, "noise must be a finite number, got None"),
        ({"rule_settings": [1]}, r"rule_settings: expected a mapping, settings by name, got \[1\]"),
        ({"training_settings": "learning_rate"}, "training_settings: expected a mapping, settings by name, got 'learning_rate'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_settings_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**change).identity()


@pytest.mark.parametrize(
    ("config", "name", "wrong", "accepted"),
    [
        (TrainingConfig, "learning_rate", (0, float("inf"), float("nan"), "1e-3", None), "a finite number > 0"),
        (TrainingConfig, "pretrain_learning_rate", (float("inf"),), "a finite number > 0"),
        (TrainingConfig, "gradient_norm", (float("inf"),), "a finite number > 0"),
        (TrainingConfig, "weight_decay", (-1, "a", float("nan")), "a finite number >= 0"),
        (TrainingConfig, "unlabeled_weight", (-5, float("nan"), float("inf")), "a finite number >= 0"),
        (InferenceConfig, "min_score", (2, -0.1, float("nan"), "0.1"), r"a number in \[0, 1\]"),
        (Protocol, "nms_sigma", (0, float("inf"), "0.4"), "a finite number > 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_numbers_are_finite_and_in_range(config, name, wrong, accepted):
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{name} must be {accepted}, got {value!r}$"):
            config(**{name: value})


def test_an_unwritable_folder_stops_before_training(trainings):
    with pytest.raises(OSError, match="cannot write results there"):
        run(Experiment(**TINY), ResultStore("/dev/null/results"), device="cpu")
    with pytest.raises(OSError, match="cannot write results there"):
        run_all([Experiment(**TINY)], ResultStore("/dev/null/results"), device="cpu")
    assert not trainings


def test_a_failing_run_keeps_the_finished_ones(store):
    good = Experiment(**TINY)
    bad = Experiment(**{**TINY, "training_settings": {**TINY_TRAINING, "pretrain_learning_rate": 1e30}})
    with pytest.raises(FloatingPointError, match="a loss is not finite"):
        run_all([good, bad], store, device="cpu", workers=1)
    assert store.read(identity_key(good.identity())) is not None


def test_own_features(store, tmp_path):
    write_feature_folder(tmp_path / "mine", tiny_dataset())
    e = Experiment(
        features=str(tmp_path / "mine"), label_ratio=0.25, training_settings=TINY_TRAINING, detector_settings=TINY["detector_settings"]
    )
    record = run(e, store, device="cpu")
    assert record["identity"]["dataset"]["name"] == "mine"
    assert record["identity"]["dataset"]["simulated"], "as a twin is, in a folder too"


def test_training_and_detecting_apart(store):
    """What `run` does in one step, in three: train, look at the detections, score them."""
    e = Experiment(**TINY)
    training = train(e, store, device="cpu", progress=False)
    scores, detections = evaluate(training)
    assert len(detections) == scores.num_detections
    assert scores.average_mean_ap == pytest.approx(run(e, store, device="cpu")["scores"]["avg"])


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    for name, message in (("gpu", "unknown device 'gpu'"), ("mps", "unknown device"), ("cuda:77", "device 'cuda:77' cannot be used here")):
        with pytest.raises(ValueError, match=message):
            resolve_device(name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_a_gpu(store):
    record = run(Experiment(**TINY), store, device="cuda")
    assert "cpu" not in record["provenance"]["device"]
    assert record["provenance"]["peak_device_memory_mib"] > 0


@pytest.mark.slow
def test_real_data_end_to_end(data_root, store, monkeypatch):
    monkeypatch.setenv("NONTARGET_DATA", str(data_root))
    e = Experiment(
        dataset="precog16", label_ratio=0.2, rule="supervised only", training_settings={"pretrain_epochs": 8, "selftrain_epochs": 2}
    )
    assert run(e, store, device="cpu")["scores"]["avg"] > 0.1


def test_the_whole_video_is_a_way_to_detect(store):
    """The sanity row is supervised training whose detections are whole videos; its name in the results is that of a rule."""
    row = run(Experiment(**TINY, rule="whole-video"), store, device="cpu")
    plain = Experiment(**TINY, rule="supervised only")
    way = run(replace(plain, inference_settings={"whole_video": True}), store, device="cpu")
    assert row["scores"] == way["scores"]
    assert row["scored"]["detections"] == row["scored"]["videos"] == 8
    assert "whole_video" not in plain.identity()["inference"], "the names of other results do not change with it"
    assert way["identity"]["inference"]["whole_video"] is True
    assert row["scores"] != run(plain, store, device="cpu")["scores"]
    with pytest.raises(ValueError, match="whole_video must be True or False, got 1"):
        replace(plain, inference_settings={"whole_video": 1}).identity()


def test_fully_supervised_trains_as_supervised_only_with_all_labels(tmp_path):
    """Two names of one training; the record of each is its own."""
    settings = TINY | {"label_ratio": 1.0}
    records = [
        run(Experiment(**settings, rule=rule), ResultStore(tmp_path / rule), device="cpu", progress=False)
        for rule in ("supervised only", "fully supervised")
    ]
    assert records[0]["curves"] == records[1]["curves"]
    assert records[0]["scores"] == records[1]["scores"]
    assert records[0]["scored"] == records[1]["scored"]
