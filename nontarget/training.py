"""Pre-training and self-training of a detector under a learning rule (Sec. 4.2, Eq. 12)."""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import torch
from jaxtyping import Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nontarget.config import TrainingConfig
from nontarget.data import Clips, LabeledClips
from nontarget.detectors.base import Detector, DetectorOutput, Losses
from nontarget.gradients import SHARE, Curve, gradient_shares
from nontarget.rules.base import LearningRule
from nontarget.runtime.digests import DIGEST, check_tensors, intact, tensors_digest
from nontarget.runtime.files import atomic_write
from nontarget.runtime.provenance import code_version
from nontarget.teacher import Teacher

TRAINING_VERSION = 2

AVERAGE_MOMENTUM = 0.999

StageName = Literal["pretrain", "selftrain"]

EpochCallback = Callable[[StageName, int, Detector], object]


@dataclass(frozen=True)
class TrainingData:
    """What training sees: clips of the labelled videos, and of the unlabelled ones, which have no labels to see."""

    labeled: LabeledClips
    unlabeled: Clips | None
    truth: LabeledClips | None = None
    """The unlabelled clips, in the same order, with their hidden labels: only for an oracle (``LearningRule.uses_truth``)."""

    def on_device_if_it_fits(self, device: torch.device) -> Self:
        """The clips in the device's memory, if they take less than half of what is free there; else batches are moved one by one."""
        parts = [clips for clips in (self.labeled, self.unlabeled, self.truth) if clips is not None]
        size = sum(clips.features.numel() * clips.features.element_size() for clips in parts)
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        return type(self)(
            self.labeled.to(device),
            None if self.unlabeled is None else self.unlabeled.to(device),
            None if self.truth is None else self.truth.to(device),
        )


@dataclass
class Stage:
    """How far a stage of training has come."""

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
        rule: how class distributions are learnt from.
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
    if weights is not None and (finished := intact(weights, lambda path: _load(path, detector))):
        return finished
    partial = weights and partial_of(weights)
    pretraining = name == "pretrain"
    epochs = epochs_of(name, config)
    generation = epochs if pretraining else config.selftrain_epochs  # after as many epochs the student becomes the teacher
    peak = config.pretrain_learning_rate if pretraining else config.learning_rate
    device = next(detector.parameters()).device
    steps = steps_per_epoch(data, config)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=peak, weight_decay=config.weight_decay, fused=True)
    averaging = detector.averages_weights or (rule.teacher == "average" and not pretraining)
    average = copy.deepcopy(detector).eval() if averaging else None
    freezing = rule.uses_unlabeled and rule.teacher in ("generations", "epochs") and not pretraining
    frozen = copy.deepcopy(detector).eval() if freezing else None
    stage = (partial and intact(partial, lambda path: _load(path, detector, optimizer, average, frozen))) or Stage()
    teacher: Teacher | None = None

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while stage.epoch < epochs:
            started = time.perf_counter()
            torch.manual_seed(_derived_seed(seed, name, stage.epoch))
            survey = None
            if not pretraining and rule.uses_unlabeled:
                assert data.unlabeled is not None
                current = detector if average is None else average
                if frozen is not None and stage.epoch > 0 and (rule.teacher == "epochs" or stage.epoch % generation == 0):
                    frozen.load_state_dict(current.state_dict())
                    teacher = None
                if teacher is None:
                    model = frozen if frozen is not None else average if rule.teacher == "average" else None
                    teacher = Teacher(model, data.unlabeled, config.batch_size, device, cached=frozen is not None)
                outputs = (output.tempered(rule.temperature) for output in teacher.outputs(detector))
                survey = rule.survey(detector, data.labeled.labels[data.labeled.valid], outputs)
            detector.train()
            totals: dict[str, Tensor] = {}
            shares: dict[str, float] = {}
            done = stage.epoch % generation * steps  # in this generation
            if done == 0 and stage.epoch > 0:  # a generation begins like a stage: from the last result, without momentum
                if average is not None:
                    detector.load_state_dict(average.state_dict())
                optimizer = torch.optim.AdamW(detector.parameters(), lr=peak, weight_decay=config.weight_decay, fused=True)
            for step, (labeled, unlabeled, chosen) in enumerate(_batches(data, rule, steps, config.batch_size, device)):
                rate = _learning_rate(peak, done + step, generation * steps, config.warmup_steps)
                optimizer.param_groups[0]["lr"] = rate
                pseudo = None if teacher is None or unlabeled is None or chosen is None else teacher(unlabeled, chosen)
                losses = _step_losses(detector, pseudo, rule, survey, labeled, unlabeled, config, pretraining)
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
                _save(partial, detector, stage, optimizer, average, frozen)
            if on_epoch is not None:
                on_epoch(name, stage.epoch, detector if average is None else average)
    if average is not None:
        detector.load_state_dict(average.state_dict())
    stage.code = code_version()
    if weights is not None and partial is not None:
        _save(weights, detector, stage)
        partial.unlink(missing_ok=True)
    return stage


def partial_of(weights: Path) -> Path:
    """Where a stage keeps its state until its weights are there."""
    return weights.with_suffix(f".partial{weights.suffix}")


def _step_losses(
    detector: Detector,
    pseudo: DetectorOutput | None,
    rule: LearningRule,
    survey: Any,
    labeled: LabeledClips,
    unlabeled: Clips | None,
    config: TrainingConfig,
    pretraining: bool,
) -> Losses:
    """The terms of Eq. 12 on one batch, weighted.

    Args:
        pseudo: what the teacher says of the unlabelled clips; None: what the student says is taken.
    """
    learns = unlabeled is not None and not pretraining
    labeled = detector.augmented(labeled)
    features, valid, here = labeled.features, labeled.valid, slice(len(labeled))
    if unlabeled is not None:
        features, valid = torch.cat((features, unlabeled.features)), torch.cat((valid, unlabeled.valid))
    view = rule.view(detector, unlabeled.features, unlabeled.valid) if learns and unlabeled is not None else None
    shown = features if view is None else torch.cat((labeled.features, view.features))
    if config.feature_noise > 0:
        shown = shown + config.feature_noise * torch.randn_like(shown).masked_fill(~valid[: len(shown), :, None], 0.0)
    # In pre-training nothing is asked of the heads on unlabelled clips.
    output = detector(shown, valid) if learns or unlabeled is None else detector(shown[here], labeled.valid)

    known = detector.targets(labeled)
    losses = _scalars(rule, "labelled", {"labeled": rule.labeled_loss(detector, output[here], known)})
    losses |= detector.localization_loss(output[here], known)
    if learns:
        assert unlabeled is not None
        student = output[slice(len(labeled), None)]
        pseudo = (student.detach() if pseudo is None else pseudo).tempered(rule.temperature)
        pseudo = pseudo if view is None else view.follow(pseudo)
        told = {}
        if rule.uses_truth and isinstance(unlabeled, LabeledClips):
            told["truth"] = detector.targets(unlabeled)
        unsupervised = _scalars(rule, "unlabelled", rule.unlabeled_losses(detector, student, pseudo, survey, **told))
        losses |= {f"unlabeled_{name}": config.unlabeled_weight * loss for name, loss in unsupervised.items()}
    losses |= detector.label_free_losses(output, features, valid, pretraining)
    return losses | _scalars(rule, "pretext", rule.pretext_losses(detector, features, valid, pretraining))


def _scalars(rule: LearningRule, kind: str, losses: Losses) -> Losses:
    """A rule's losses, once each is known to be what can be added up."""
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim > 0:
            got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise TypeError(f"learning rule {rule.name!r} must return a scalar tensor as its {kind} loss {name!r}, got {got}")
    return losses


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


def _batches(
    data: TrainingData, rule: LearningRule, steps: int, batch_size: int, device: torch.device
) -> Iterator[tuple[LabeledClips, Clips | None, Int[Tensor, " clips"] | None]]:
    """The batches of one epoch: each set in random order, from the start again when it is used up; and which unlabelled clips they are."""
    unlabeled = _unlabeled_clips(data, rule)
    home = data.labeled.features.device
    order = _endless_order(len(data.labeled), steps * batch_size).to(home).split(batch_size)
    other = None if unlabeled is None else _endless_order(len(unlabeled), steps * batch_size).to(home).split(batch_size)
    for step in range(steps):
        yield (
            data.labeled[order[step]].to(device),
            None if unlabeled is None or other is None else unlabeled[other[step]].to(device),
            None if other is None else other[step],
        )


def _unlabeled_clips(data: TrainingData, rule: LearningRule) -> Clips | None:
    """What the rule sees of the unlabelled videos; their labels only where it says that it uses them."""
    if not rule.uses_unlabeled:
        return None
    if not rule.uses_truth:
        return data.unlabeled
    if data.truth is None:
        raise ValueError(f"learning rule {rule.name!r} uses the labels of unlabelled clips: data.truth must hold them, got None")
    return data.truth


def _endless_order(count: int, length: int) -> Int[Tensor, " length"]:
    return torch.cat([torch.randperm(count) for _ in range(math.ceil(length / count))])[:length]


def _derived_seed(seed: int, stage: str, epoch: int) -> int:
    digest = hashlib.sha256(f"{seed} {stage} {epoch}".encode()).digest()
    return int.from_bytes(digest[:6])


def _save(
    path: Path,
    detector: Detector,
    stage: Stage,
    optimizer: torch.optim.Optimizer | None = None,
    average: Detector | None = None,
    frozen: Detector | None = None,
) -> None:
    tensors: dict[str, Tensor] = {}
    for prefix, model in (("model", detector), ("average", average), ("frozen", frozen)):
        if model is not None:
            tensors |= {f"{prefix}.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items() if optimizer else ():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    about = {"stage": json.dumps(asdict(stage))}
    with atomic_write(path) as file:
        file.write(save({name: t.contiguous() for name, t in tensors.items()}, about | {DIGEST: tensors_digest(tensors, about)}))


def _load(
    path: Path,
    detector: Detector,
    optimizer: torch.optim.Optimizer | None = None,
    average: Detector | None = None,
    frozen: Detector | None = None,
) -> Stage:
    try:
        with safe_open(path, framework="pt") as file:  # FileNotFoundError, if there is none
            about = file.metadata() or {}
            stage = Stage(**json.loads(about["stage"]))
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        check_tensors(tensors, about)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not weights of this library, or cut off or changed ({error})") from None

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

    for prefix, model in (("model.", detector), ("average.", average), ("frozen.", frozen)):
        if model is not None:
            model.load_state_dict(under(prefix))
    if optimizer is not None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under("optimizer.").items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return stage
