"""Pre-training and self-training of a detector under a learning rule (Sec. 4.2, Eq. 12)."""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nontarget.batches import Mixture, TrainingData, training_batches
from nontarget.config import TRAINING_PRESETS, TrainingConfig, is_finite_number
from nontarget.data import Clips, LabeledClips
from nontarget.detectors.base import Detector, DetectorOutput, Losses
from nontarget.gradients import SHARE, Curve, gradient_shares
from nontarget.rules.base import LearningRule, scalar_losses
from nontarget.runtime.digests import intact
from nontarget.runtime.provenance import code_version
from nontarget.runtime.readers import DataError, foreign_errors, parse_json
from nontarget.runtime.weights import check_state, optimizer_state, read_weights, write_weights
from nontarget.teacher import Teacher

TRAINING_VERSION = 2
AVERAGE_MOMENTUM = 0.999

StageName = Literal["pretrain", "selftrain"]
EpochCallback = Callable[[StageName, int, Detector], object]


def training_losses(
    detector: Detector,
    rule: LearningRule,
    labeled: LabeledClips,
    unlabeled: Clips | None = None,
    pseudo: DetectorOutput | None = None,
    *,
    statistics: Any = None,
    config: TrainingConfig = TRAINING_PRESETS["full"],
    pretraining: bool = False,
) -> Losses:
    """The terms of the total loss on one batch (Eq. 12): ``L = L^s + alpha L^u + L_mask + L_ref + L_rec``, already weighted.

    Eq. 12 leaves alpha out, and Eq. 1 has it: it weighs L^u and the part of L_mask on unlabelled clips.

    Args:
        detector: the student, in training mode.
        rule: the learning rule, which computes L^s and L^u.
        labeled: labelled clips, on the detector's device.
        unlabeled: unlabelled clips, on the same device; None: the rule does not use them.
        pseudo: the teacher's output on the unlabelled clips; None: the student's own, without gradient.
        statistics: of this epoch, for a rule that needs them (:meth:`nontarget.rules.base.LearningRule.epoch_statistics`).
        config: alpha, mixup, and the noise on the features.
        pretraining: whether unlabelled clips train only what needs no labels (Sec. 4.2).

    Returns:
        Scalars by name, whose sum a training step minimises. For SPOT and the paper's rule: ``labeled`` is L^s and ``unlabeled_class``
        alpha L^u; ``mask`` and ``unlabeled_mask`` are L_mask on either kind of clips, ``refinement`` is L_ref, ``reconstruction`` L_rec.

    Raises:
        TypeError: a loss of the rule is not a scalar tensor.
    """
    labeled = detector.augmented(labeled)
    self_training = unlabeled is not None and not pretraining
    features, valid = labeled.features, labeled.valid
    if unlabeled is not None:
        features, valid = torch.cat((features, unlabeled.features)), torch.cat((valid, unlabeled.valid))
    view = rule.view(detector, unlabeled.features, unlabeled.valid) if unlabeled is not None and self_training else None
    inputs = features if view is None else torch.cat((labeled.features, view.features))
    mixture = Mixture.drawn(labeled, config.mixup) if config.mixup > 0 else None
    if mixture is not None:
        inputs = torch.cat((mixture.features(labeled), inputs[len(labeled) :]))
    if config.feature_noise > 0:
        inputs = inputs + config.feature_noise * torch.randn_like(inputs).masked_fill(~valid[: len(inputs), :, None], 0.0)
    # In pre-training the heads have no loss on unlabelled clips, so that the forward pass leaves those out.
    output = detector(inputs[: len(labeled)], labeled.valid) if pretraining else detector(inputs, valid)
    supervised, student = output[slice(len(labeled))], output[slice(len(labeled), None)]

    losses = _labeled_losses(detector, rule, supervised, labeled)
    if mixture is not None:
        losses = mixture.mean(losses, _labeled_losses(detector, rule, mixture.of_partner(supervised), labeled[mixture.partner]))
    if self_training:
        pseudo = (student.detach() if pseudo is None else pseudo).tempered(rule.temperature)
        pseudo = pseudo if view is None else view.follow(pseudo)
        truth = {"truth": detector.targets(unlabeled)} if rule.uses_truth and isinstance(unlabeled, LabeledClips) else {}
        unsupervised = scalar_losses(rule, "unlabelled", rule.unlabeled_losses(detector, student, pseudo, statistics, **truth))
        losses |= {f"unlabeled_{name}": config.unlabeled_weight * loss for name, loss in unsupervised.items()}  # alpha (L^u + L_mask)
    losses |= detector.label_free_losses(output, features, valid, pretraining)  # L_ref + L_rec
    return losses | scalar_losses(rule, "pretext", rule.pretext_losses(detector, features, valid, pretraining))


def _labeled_losses(detector: Detector, rule: LearningRule, output: DetectorOutput, labeled: LabeledClips) -> Losses:
    targets = detector.targets(labeled)
    losses = scalar_losses(rule, "labelled", {"labeled": rule.labeled_loss(detector, output, targets)})  # L^s
    return losses | detector.localization_loss(output, targets)  # L_mask


@dataclass
class Stage:
    """Progress of one stage of training."""

    epoch: int = 0
    curve: Curve = field(default_factory=list)
    seconds: float = 0.0
    """Time spent in it, in all processes that have worked on it."""
    code: str = ""
    """Code version that finished it."""


def steps_per_epoch(data: TrainingData, config: TrainingConfig) -> int:
    """Optimiser steps of an epoch: the same for every rule and label ratio of a data set."""
    if config.steps_per_epoch is not None:
        return config.steps_per_epoch
    clips = len(data.labeled) + (0 if data.unlabeled is None else len(data.unlabeled))
    return math.ceil(clips / config.batch_size)


def epochs_of(name: StageName, config: TrainingConfig) -> int:
    """Epochs of a stage, those of all generations."""
    return config.pretrain_epochs if name == "pretrain" else config.selftrain_epochs * config.generations


def train_stage(
    name: StageName,
    detector: Detector,
    rule: LearningRule,
    data: TrainingData,
    config: TrainingConfig,
    *,
    seed: int,
    weights: Path | None = None,
    on_step: Callable[[], object] = lambda: None,
    on_epoch: EpochCallback | None = None,
) -> Stage:
    """Train a detector through one stage, in place.

    ``pretrain``: labelled clips train the heads, all clips train what needs no labels. ``selftrain``: also, unlabelled clips train the
    heads by the rule, with pseudo labels of the teacher. There is no model selection: the weights of the last epoch are the result.

    All randomness of an epoch derives from ``seed``, the stage and the epoch, so that a stage that was interrupted and goes on from its
    last finished epoch ends as if it had not been, bit for bit on a CPU. The global random state is left alone.

    Args:
        name: of the stage.
        detector: on its device; the data may lie there or be moved batch by batch.
        rule: the learning rule.
        data: clips.
        config: budget and optimiser.
        seed: of batches, dropout and masking.
        weights: file for the result. If it exists, it is read instead of training. Until it does, a file beside it keeps the state
            after each epoch, and training goes on from there. A file that cannot be read, or is not what was written, is set aside
            with a warning, and counts as none. None: nothing is kept.
        on_step: called after every optimiser step.
        on_epoch: called after every epoch with the stage's name, the number of finished epochs and the detector as it would be
            used (the running average where that is the result). It may look, in evaluation mode, but change nothing else.

    Raises:
        FloatingPointError: a loss is no longer finite.
        OSError: ``weights`` cannot be written.
        TypeError: a loss of the rule is not a scalar tensor.
    """
    if weights is not None and (finished := intact(weights, lambda path: _read_stage(path, {"model": detector}))):
        return finished
    partial = weights and partial_of(weights)
    pretraining = name == "pretrain"
    epochs = epochs_of(name, config)
    generation = epochs if pretraining else config.selftrain_epochs  # after as many epochs the student becomes the teacher
    peak = config.pretrain_learning_rate if pretraining else config.learning_rate
    device = next(detector.parameters()).device
    steps = steps_per_epoch(data, config)
    optimizer = _optimizer(detector, peak, config)
    averaging = detector.averages_weights or (rule.teacher == "average" and not pretraining)
    average = copy.deepcopy(detector).eval() if averaging else None
    freezing = rule.uses_unlabeled and rule.teacher in ("generations", "epochs") and not pretraining
    frozen = copy.deepcopy(detector).eval() if freezing else None
    models = {name: model for name, model in (("model", detector), ("average", average), ("frozen", frozen)) if model is not None}
    stage = (partial and intact(partial, lambda path: _read_stage(path, models, optimizer))) or Stage()
    teacher: Teacher | None = None

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while stage.epoch < epochs:
            started = time.perf_counter()
            torch.manual_seed(_derived_seed(seed, name, stage.epoch))
            statistics = None
            if not pretraining and rule.uses_unlabeled:
                assert data.unlabeled is not None
                current = detector if average is None else average
                if frozen is not None and stage.epoch > 0 and (rule.teacher == "epochs" or stage.epoch % generation == 0):
                    frozen.load_state_dict(current.state_dict())
                    teacher = None
                if teacher is None:
                    model = frozen if frozen is not None else average if rule.teacher == "average" else None
                    teacher = Teacher(model, data.unlabeled, config.batch_size, cached=frozen is not None)
                outputs = (output.tempered(rule.temperature) for output in teacher.outputs(detector))
                statistics = rule.epoch_statistics(detector, data.labeled.labels[data.labeled.valid], outputs)
            detector.train()
            totals: dict[str, Tensor] = {}
            shares: dict[str, float] = {}
            done = stage.epoch % generation * steps  # in this generation
            if done == 0 and stage.epoch > 0:  # a generation begins like a stage: from the last result, without momentum
                if average is not None:
                    detector.load_state_dict(average.state_dict())
                optimizer = _optimizer(detector, peak, config)
            for step, batch in enumerate(training_batches(data, rule, steps, config.batch_size, device)):
                rate = _learning_rate(peak, done + step, generation * steps, config.warmup_steps)
                optimizer.param_groups[0]["lr"] = rate
                pseudo = None if teacher is None else teacher(batch)
                losses = training_losses(
                    detector, rule, batch.labeled, batch.unlabeled, pseudo, statistics=statistics, config=config, pretraining=pretraining
                )
                if step == 0:
                    shares = gradient_shares(losses, list(detector.embedding.parameters()))
                optimizer.zero_grad(set_to_none=True)
                torch.stack(list(losses.values())).sum().backward()
                clip_grad_norm_(detector.parameters(), config.gradient_norm)
                optimizer.step()
                if average is not None:
                    _update_average(average, detector, done + step)
                for key, loss in losses.items():
                    totals[key] = totals[key] + loss.detach() if key in totals else loss.detach()
                on_step()
            means = {key: float(total) / steps for key, total in totals.items()}
            if not all(map(math.isfinite, means.values())):
                raise FloatingPointError(f"{name}, epoch {stage.epoch}: a loss is not finite: {means}")
            stage.curve.append({"learning_rate": rate, **means, **{SHARE + key: share for key, share in shares.items()}})
            stage.epoch += 1
            stage.seconds += time.perf_counter() - started
            if partial is not None:
                _write_stage(partial, stage, models, optimizer)
            if on_epoch is not None:
                on_epoch(name, stage.epoch, detector if average is None else average)
    if average is not None:
        detector.load_state_dict(average.state_dict())
    stage.code = code_version()
    if weights is not None and partial is not None:
        _write_stage(weights, stage, {"model": detector})
        partial.unlink(missing_ok=True)
    return stage


def partial_of(weights: Path) -> Path:
    """Where a stage keeps its state until its weights are there."""
    return weights.with_suffix(f".partial{weights.suffix}")


def _optimizer(detector: Detector, learning_rate: float, config: TrainingConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(detector.parameters(), lr=learning_rate, weight_decay=config.weight_decay, fused=True)


def _learning_rate(peak: float, step: int, steps: int, warmup: int) -> float:
    """Cosine decay (Sec. 4.2), after a linear rise over ``warmup`` steps."""
    return peak * min(1.0, (step + 1) / (warmup + 1)) * 0.5 * (1 + math.cos(math.pi * step / steps))


@torch.no_grad()
def _update_average(average: Detector, detector: Detector, step: int) -> None:
    """Running average whose momentum rises to 0.999 with the number of finished steps before this one.

    The rise is slow enough to forget the initial weights in a short run, and fast enough not to average over all of it: a plain mean of
    the first 1,000 steps costs ActionFormer 5 to 7 points.
    """
    momentum = min(AVERAGE_MOMENTUM, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(detector.parameters()), 1 - momentum)


def _derived_seed(seed: int, stage: str, epoch: int) -> int:
    digest = hashlib.sha256(f"{seed} {stage} {epoch}".encode()).digest()
    return int.from_bytes(digest[:6])


def _write_stage(path: Path, stage: Stage, models: dict[str, Detector], optimizer: torch.optim.Optimizer | None = None) -> None:
    parts: dict[str, dict[str, Tensor]] = {name: model.state_dict() for name, model in models.items()}
    if optimizer is not None:
        state = optimizer.state_dict()["state"].items()
        parts["optimizer"] = {f"{index}.{name}": value for index, values in state for name, value in values.items()}
    write_weights(path, parts, {"stage": json.dumps(asdict(stage))})


def _read_stage(path: Path, models: dict[str, Detector], optimizer: torch.optim.Optimizer | None = None) -> Stage:
    try:
        with foreign_errors(path, "wrong content"):
            parts, header = read_weights(path)  # FileNotFoundError, if there is none
            stage = Stage(**parse_json(header["stage"], f"{path}: stage"))
            for name, model in models.items():
                check_state(path, model, parts[name])
            if not (type(stage.epoch) is int and stage.epoch >= 0 and type(stage.curve) is list and is_finite_number(stage.seconds)):
                raise ValueError("it does not say how far training has come")
            state = None if optimizer is None else optimizer_state(optimizer, parts.get("optimizer", {}))
    except DataError as error:
        raise DataError(f"{path}: not weights of this library, or cut off or changed ({str(error).removeprefix(f'{path}: ')})") from None
    for name, model in models.items():
        model.load_state_dict(parts[name])
    if optimizer is not None:
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return stage
