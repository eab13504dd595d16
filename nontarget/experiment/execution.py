"""How an experiment is run: trained, scored, recorded."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from nontarget.batches import TrainingData
from nontarget.calibration import CALIBRATION_VERSION, FOLDS, Calibration, fold_temperature
from nontarget.config import InferenceConfig, TrainingConfig, check_choice, from_mapping
from nontarget.coverage import Coverage, subspace_coverage
from nontarget.data import (
    Dataset,
    LabeledClips,
    LabeledVideo,
    Normalization,
    Video,
    make_clips,
    make_labeled_clips,
    split_dataset,
    split_record,
)
from nontarget.detectors import build_detector
from nontarget.detectors.base import Detector
from nontarget.experiment.specification import Experiment, stage_identities, with_threads
from nontarget.gradients import mean_gradient_shares
from nontarget.inference import detect_videos
from nontarget.metrics import DetectionScores, evaluate_detections
from nontarget.results import Record, ResultStore, identity_key
from nontarget.rules.base import LearningRule
from nontarget.runtime.devices import cpu_threads, resolve_device
from nontarget.runtime.interrupts import interruptible
from nontarget.runtime.progress import progress_bar
from nontarget.runtime.provenance import run_provenance
from nontarget.trained import TrainedDetector
from nontarget.training import EpochCallback, Stage, StageName, epochs_of, partial_of, steps_per_epoch, train_stage

KEPT = "finished epochs are kept in {}; the same call or command goes on after the last one"


@dataclass(frozen=True)
class Training:
    """Result of :func:`train`: the trained detector, its data set and rule, and a record of each stage."""

    trained: TrainedDetector
    dataset: Dataset
    rule: LearningRule
    """The learning rule; a temperature that was to be calibrated is replaced by its estimate."""
    stages: dict[StageName, Stage]
    counts: dict[str, int]
    """Labelled and unlabelled training videos."""
    hidden: tuple[LabeledVideo, ...]
    """The training videos whose labels training did not see: for :func:`truth_in_subspaces` alone."""
    calibration: Calibration | None = None
    """How the teacher's temperature was estimated, if the rule asks for that."""

    @property
    def temperature(self) -> float:
        """What the teacher's class logits were divided by; 1 if there was no teacher."""
        return self.rule.temperature if self.rule.uses_unlabeled else 1.0


def run(
    experiment: Experiment,
    store: ResultStore | None = None,
    *,
    device: str = "auto",
    recompute: bool = False,
    progress: bool = True,
    threads: int = 1,
) -> Record:
    """The record of an experiment: read if it is in the store, else computed and added.

    On a CPU the result is the same to the last bit wherever the same versions run on the same kind of processor, also when training
    was interrupted and resumed.

    Args:
        experiment: what to run.
        store: where records and checkpoints are kept; default: the store in the default folder.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``. Not part of a record's identity, but noted in it.
        recompute: run it even if there is a record, or weights of an earlier run.
        progress: show a bar of the optimiser's steps.
        threads: CPU threads; 1 is fastest where several experiments run side by side. Sums are rounded in another order with more, so
            that they are part of the identity: records and weights of their own, which cannot be committed.

    Raises:
        ValueError, DataError, FileNotFoundError: something about the experiment or its data is wrong.
        OSError: nothing can be written to the store; raised before anything is computed.
    """
    store = store or ResultStore()
    identity = with_threads(experiment.identity(), threads)
    key = identity_key(identity)
    record = None if recompute else store.read(key)
    if record is not None:
        return record
    store.prepare()
    with interruptible(KEPT.format(store.runs_folder)), cpu_threads(threads):
        training = train(experiment, store, device=device, recompute=recompute, progress=progress, threads=threads)
        before = time.perf_counter()
        scores, _ = evaluate(training)
        coverage = truth_in_subspaces(training)
    seconds = {name: stage.seconds for name, stage in training.stages.items()} | {"inference": time.perf_counter() - before}
    by_tiou = {f"{t:g}": float(v) for t, v in zip(scores.tiou_thresholds, scores.mean_ap, strict=True)}
    counts = {"videos": scores.num_videos, "instances": scores.num_instances, "detections": scores.num_detections}
    about = run_provenance(resolve_device(device), threads, [stage.code for stage in training.stages.values()], seconds)
    record = {
        "key": key,
        "identity": identity,
        "scores": by_tiou | {"avg": scores.average_mean_ap},
        "scored": counts | training.counts,
        "split": split_record(training.dataset, training.hidden),
        "occupancy": coverage,
        "calibration": training.calibration and json.loads(json.dumps(asdict(training.calibration))),
        "provenance": about | {"labels_seen": training.dataset.labels_seen},
        "gradient_share": {name: mean_gradient_shares(stage.curve) for name, stage in training.stages.items()},
        "curves": {name: stage.curve for name, stage in training.stages.items()},
    }
    store.write(record)
    return record


def train(
    experiment: Experiment,
    store: ResultStore | None = None,
    *,
    device: str = "auto",
    recompute: bool = False,
    progress: bool = True,
    threads: int = 1,
    on_epoch: EpochCallback | None = None,
    until: StageName | None = None,
) -> Training:
    """Train an experiment's detector, or take its weights from the store; arguments as for :func:`run`.

    Stages that do not differ between two experiments (the same pre-training; the same training, detected from in another way) are
    trained once. An interrupted stage goes on after its last finished epoch.

    Args:
        on_epoch: see :func:`nontarget.training.train_stage`; with it every epoch is trained anew, and no weights are kept.
        until: the last stage to train, such as a pre-training that several experiments share; default: all of the experiment's.

    Raises:
        ValueError: the experiment has no stage of the name ``until``.
    """
    store = store or ResultStore()
    store.prepare()
    identity, rule, target = with_threads(experiment.identity(), threads), experiment.learning_rule(), resolve_device(device)
    dataset = experiment.load()
    split = split_dataset(dataset, identity["label_ratio"], experiment.seed)
    normalization = Normalization.of([*(v.video for v in dataset.train), *dataset.unlabeled])
    unlabeled = {v.video_id for v in split.unlabeled}
    hidden = tuple(v for v in dataset.train if v.video.video_id in unlabeled)
    if rule.uses_unlabeled and rule.self_trains and not split.unlabeled:
        raise ValueError(
            f"learning rule {rule.name!r} learns from unlabelled videos, and label_ratio {identity['label_ratio']:g} leaves none of the "
            f"{len(dataset.train)} training videos of {dataset.name}; give a lower ratio, or videos of the subset 'unlabeled'"
        )
    if rule.uses_truth and len(hidden) < len(split.unlabeled):
        raise ValueError(f"learning rule {rule.name!r} needs the truth of all unlabelled videos; {dataset.name} has some without labels")

    def clips_of(videos: Sequence[LabeledVideo]) -> LabeledClips:
        return make_labeled_clips(videos, dataset.protocol, normalization, dataset.num_classes)

    def training_data(labeled: Sequence[LabeledVideo], unlabeled: Sequence[Video], truth: Sequence[LabeledVideo] = ()) -> TrainingData:
        return TrainingData(
            clips_of(labeled),
            make_clips(unlabeled, dataset.protocol, normalization) if unlabeled else None,
            clips_of(truth) if truth else None,
        ).on_device_if_it_fits(target)

    data = training_data(split.labeled, split.unlabeled, hidden if rule.uses_truth else ())
    config = from_mapping(TrainingConfig, identity["training"], "training")
    settings = identity["detector"]["settings"]

    def new_detector() -> Detector:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            detector = build_detector(experiment.detector, dataset.feature_dim, dataset.num_classes, settings)
            detector.pretext = rule.pretext_head(detector.embed_dim)
            return detector.to(target)

    def weights_of(depends_on: Mapping[str, Any]) -> Path | None:
        if on_epoch is not None:
            return None
        weights = weights_path(store, depends_on, target.type, threads)
        if recompute:
            weights.unlink(missing_ok=True)
            partial_of(weights).unlink(missing_ok=True)
        return weights

    detector, stages, calibration = new_detector(), {}, None
    depends_on = stage_identities(identity, rule)
    if until is not None:
        check_choice("until", until, depends_on)
        depends_on = {name: depends_on[name] for name in list(depends_on)[: list(depends_on).index(until) + 1]}
    calibrates = rule.teacher_temperature == "calibrated" and rule.uses_unlabeled and "selftrain" in depends_on
    epochs = sum(epochs_of(name, config) for name in depends_on) + FOLDS * calibrates * config.pretrain_epochs
    steps = steps_per_epoch(data, config) * epochs
    with (
        interruptible(KEPT.format(store.runs_folder)),
        cpu_threads(threads),
        progress_bar(steps, f"{rule.name}, {dataset.name}", "step", progress) as bar,
    ):
        if calibrates:

            def pretrain(labeled: Sequence[LabeledVideo], held_out: Sequence[Video], fold: int) -> Detector:
                weights = weights_of({**depends_on["pretrain"], "fold": [fold, FOLDS, CALIBRATION_VERSION]})
                pretrained, part = new_detector(), training_data(labeled, (*split.unlabeled, *held_out))
                train_stage("pretrain", pretrained, rule, part, config, seed=experiment.seed, weights=weights, on_step=bar.update)
                return pretrained

            calibration = fold_temperature(split.labeled, dataset.num_classes, pretrain, clips_of, seed=experiment.seed)
            rule = replace(rule, teacher_temperature=calibration.temperature)
        for name, stage_identity in depends_on.items():
            weights = weights_of(stage_identity)
            stages[name] = train_stage(
                name, detector, rule, data, config, seed=experiment.seed, weights=weights, on_step=bar.update, on_epoch=on_epoch
            )
    detector.pretext = None
    inference = from_mapping(InferenceConfig, identity["inference"], "inference")
    inference = replace(inference, whole_video=inference.whole_video or rule.whole_video)
    rates = {round(v.video.fps * dataset.protocol.pool, 6) for v in dataset.train}
    trained = TrainedDetector(
        detector.eval(),
        experiment.detector,
        settings,
        dataset.classes,
        normalization,
        dataset.protocol,
        inference,
        rates.pop() if len(rates) == 1 else None,
    )
    counts = {"labeled": len(split.labeled), "unlabeled": len(split.unlabeled)}
    return Training(trained, dataset, rule, stages, counts, hidden, calibration)


def weights_path(store: ResultStore, stage_identity: Mapping[str, Any], device_type: str, threads: int = 1) -> Path:
    """Where the weights after a stage are, or would be.

    Args:
        store: of the weights.
        stage_identity: what the weights depend on, one of ``nontarget.experiment.specification.stage_identities``.
        device_type: ``cpu`` or ``cuda``.
        threads: CPU threads.
    """
    key = identity_key(with_threads({**stage_identity, "device": device_type}, threads))
    return store.runs_folder / f"weights-{key}.safetensors"


def evaluate(training: Training) -> tuple[DetectionScores, pd.DataFrame]:
    """Scores and detections of a trained detector on the test videos that its protocol counts, also those without a detection."""
    dataset, trained = training.dataset, training.trained
    detections = detect_videos(trained, [v.video for v in dataset.test], dataset.external_scores)
    truth = dataset.ground_truth(dataset.test)
    return evaluate_detections(truth, detections, protocol=trained.protocol, known_labels=trained.classes), detections


def truth_in_subspaces(training: Training, detector: Detector | None = None) -> Coverage:
    """Where the hidden labels of the unlabelled videos lie in the trained detector's partition (Fig. 5); empty if none are hidden.

    The partition is the rule's own where it makes one, else the paper's.

    Args:
        training: what :func:`train` did.
        detector: one of another epoch; default: the trained one.
    """
    if not training.hidden:
        return {}
    trained = training.trained
    own = {name: getattr(training.rule, name) for name in ("positive_ratio", "precedence") if hasattr(training.rule, name)}
    own["temperature"] = training.temperature
    return subspace_coverage(detector or trained.detector, training.hidden, trained.protocol, trained.normalization, **own)
