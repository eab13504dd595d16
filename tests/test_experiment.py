import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from helpers import TINY_TRAINING, TINY_TWIN, tiny_dataset

from nontarget import experiment as module
from nontarget import rules
from nontarget.data import write_feature_folder
from nontarget.experiment import Experiment, evaluate, resolve_device, run, run_all, train
from nontarget.results import ResultStore, identity_key
from nontarget.training import train_stage

TINY = {
    "label_ratio": 0.25,
    "twin_settings": TINY_TWIN,
    "training_settings": TINY_TRAINING,
    "detector_settings": {"embed_dim": 16, "mask_dim": 8},
}


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
    run(Experiment(**TINY, rule="ours"), store, device="cpu")
    run(Experiment(**TINY, rule="ours", rule_settings={"positive_ratio": 0.9}), store, device="cpu")
    assert trainings == ["pretrain", "selftrain", "pretrain", "selftrain", "selftrain"]
    run(Experiment(**TINY, rule="ours", inference_settings={"max_detections": 3}), store, device="cpu")
    assert len(trainings) == 5, "nothing is trained anew for another way of detecting"


@pytest.mark.slow
def test_killed_and_run_again(store, tmp_path):
    """kill -9 in the middle of training: the next run goes on from the last epoch and ends with the same record."""
    long = {**TINY, "training_settings": {**TINY_TRAINING, "pretrain_epochs": 40, "selftrain_epochs": 2}}
    script = "import sys; from nontarget.experiment import *; from nontarget.results import ResultStore\n"
    script += f"run(Experiment(**{long!r}), ResultStore(sys.argv[1]), device='cpu', progress=False)"
    process = subprocess.Popen([sys.executable, "-c", script, str(store.folder)])
    deadline = time.monotonic() + 60
    while not list(store.runs.glob("*.partial.safetensors")):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(store.runs.glob("*.json")), "there is no record of what was not finished"
    resumed = run(Experiment(**long), store, device="cpu")
    plain = run(Experiment(**long), ResultStore(tmp_path / "plain"), device="cpu")
    assert resumed["scores"] == plain["scores"]
    assert resumed["curves"] == plain["curves"]
    assert not list(store.runs.glob("*.partial.safetensors"))


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
        ({"rule_settings": {"lambda": 0.9}}, "learning rule 'ours': unknown setting 'lambda'"),
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
    assert not trainings


def test_an_unwritable_folder_stops_before_training(trainings):
    with pytest.raises(OSError, match="cannot write results there"):
        run(Experiment(**TINY), ResultStore("/dev/null/results"), device="cpu")
    with pytest.raises(OSError, match="cannot write results there"):
        run_all([Experiment(**TINY)], ResultStore("/dev/null/results"), device="cpu")
    assert not trainings


def test_a_failing_run_keeps_the_finished_ones(store):
    good, bad = Experiment(**TINY), Experiment(**{**TINY, "label_ratio": 0.05})
    with pytest.raises(ValueError, match="without a label"):
        run_all([good, bad], store, device="cpu", workers=1)
    assert store.read(identity_key(good.identity())) is not None


def test_own_features(store, tmp_path):
    write_feature_folder(tmp_path / "mine", tiny_dataset())
    e = Experiment(
        features=str(tmp_path / "mine"), label_ratio=0.25, training_settings=TINY_TRAINING, detector_settings=TINY["detector_settings"]
    )
    record = run(e, store, device="cpu")
    assert record["identity"]["dataset"]["name"] == "mine"
    assert not record["identity"]["dataset"]["simulated"]


def test_training_and_detecting_apart(store):
    """What `run` does in one step, in three: train, look at the detections, score them."""
    e = Experiment(**TINY)
    training = train(e, store, device="cpu", progress=False)
    scores, detections = evaluate(training, rules.get_rule("ours"))
    assert len(detections) == scores.num_detections
    assert scores.average_mean_ap == pytest.approx(run(e, store, device="cpu")["scores"]["avg"])


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:77"):
        with pytest.raises(ValueError, match=f"device '{name}' cannot be used here"):
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
