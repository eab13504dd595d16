"""Pre-training and self-training of a detector under a learning rule (Sec. 4.2, Eq. 12)."""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

import torch
from jaxtyping import Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nontarget.config import TrainingConfig
from nontarget.data import Clips, LabeledClips
from nontarget.detectors.base import Detector, DetectorOutput, Losses
from nontarget.files import atomic_write
from nontarget.provenance import code_version
from nontarget.rules.base import LearningRule

TRAINING_VERSION = 1

StageName = Literal["pretrain", "selftrain"]

Curve = list[dict[str, float]]
"""One entry an epoch: the last learning rate, and the mean of every loss."""


@dataclass(frozen=True)
class TrainingData:
    """What training sees: clips of the labelled videos, and of the unlabelled ones, which have no labels to see."""

    labeled: LabeledClips
    unlabeled: Clips | None

    def on_device_if_it_fits(self, device: torch.device) -> Self:
        """The clips in the device's memory, if they take less than half of what is free there; else batches are moved one by one."""
        parts = [clips for clips in (self.labeled, self.unlabeled) if clips is not None]
        size = sum(clips.features.numel() * clips.features.element_size() for clips in parts)
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        return type(self)(self.labeled.to(device), None if self.unlabeled is None else self.unlabeled.to(device))


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
    clips = len(data.labeled) + (0 if data.unlabeled is None else len(data.unlabeled))
    return math.ceil(clips / config.batch_size)


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
            after each epoch, and training goes on from there. None: nothing is kept.
        on_step: called after every optimiser step.

    Raises:
        FloatingPointError: a loss is no longer finite.
        OSError: ``weights`` cannot be written.
        ValueError: ``weights`` exists and cannot be read.
    """
    if weights is not None and weights.exists():
        return _load(weights, detector, None)
    partial = weights and partial_of(weights)
    pretraining = name == "pretrain"
    epochs = config.pretrain_epochs if pretraining else config.selftrain_epochs
    peak = config.pretrain_learning_rate if pretraining else config.learning_rate
    device = next(detector.parameters()).device
    steps = steps_per_epoch(data, config)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=peak, weight_decay=config.weight_decay, fused=device.type != "mps")
    stage = _load(partial, detector, optimizer) if partial and partial.exists() else Stage()

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while stage.epoch < epochs:
            started = time.perf_counter()
            torch.manual_seed(_derived_seed(seed, name, stage.epoch))
            teacher = None
            if not pretraining and rule.uses_unlabeled and rule.teacher == "iterative":
                teacher = copy.deepcopy(detector).eval()
            detector.train()
            totals: dict[str, Tensor] = {}
            for step, (labeled, unlabeled) in enumerate(_batches(data, rule, steps, config.batch_size, device)):
                rate = peak * 0.5 * (1 + math.cos(math.pi * (stage.epoch + step / steps) / epochs))  # cosine decay, Sec. 4.2
                optimizer.param_groups[0]["lr"] = rate
                losses = _step_losses(detector, teacher, rule, labeled, unlabeled, config, pretraining)
                optimizer.zero_grad(set_to_none=True)
                torch.stack(list(losses.values())).sum().backward()
                clip_grad_norm_(detector.parameters(), config.gradient_norm)
                optimizer.step()
                for key, loss in losses.items():
                    totals[key] = totals[key] + loss.detach() if key in totals else loss.detach()
                on_step()
            means = {key: float(total) / steps for key, total in totals.items()}
            if not all(map(math.isfinite, means.values())):
                raise FloatingPointError(f"{name}, epoch {stage.epoch}: a loss is not finite: {means}")
            stage.curve.append({"learning_rate": rate, **means})
            stage.epoch += 1
            stage.seconds += time.perf_counter() - started
            if partial is not None:
                _save(partial, detector, optimizer, stage)
    stage.code = code_version()
    if weights is not None and partial is not None:
        _save(weights, detector, None, stage)
        partial.unlink(missing_ok=True)
    return stage


def partial_of(weights: Path) -> Path:
    """Where a stage keeps its state until its weights are there."""
    return weights.with_suffix(f".partial{weights.suffix}")


def _step_losses(
    detector: Detector,
    teacher: Detector | None,
    rule: LearningRule,
    labeled: LabeledClips,
    unlabeled: Clips | None,
    config: TrainingConfig,
    pretraining: bool,
) -> Losses:
    """The terms of Eq. 12 on one batch, weighted."""
    learns = unlabeled is not None and not pretraining
    features, valid = labeled.features, labeled.valid
    if unlabeled is not None:
        features, valid = torch.cat((features, unlabeled.features)), torch.cat((valid, unlabeled.valid))
    here = slice(len(labeled))
    # In pre-training nothing is asked of the heads on unlabelled clips.
    output = detector(features, valid) if learns or unlabeled is None else detector(labeled.features, labeled.valid)

    known = detector.targets(labeled.labels, labeled.segments)
    losses = {"labeled": rule.labeled_loss(output[here].class_logits, labeled.labels, labeled.valid)}
    losses |= detector.localization_loss(output[here], known, labeled.valid)
    if learns:
        assert unlabeled is not None
        there = slice(len(labeled), None)
        pseudo = _pseudo_output(teacher, output[there], unlabeled)
        unsupervised = {"unlabeled": rule.unlabeled_loss(output[there].class_logits, pseudo.class_logits.softmax(dim=-1), unlabeled.valid)}
        localization = detector.localization_loss(output[there], detector.pseudo_targets(pseudo), unlabeled.valid)
        unsupervised |= {f"unlabeled_{name}": loss for name, loss in localization.items()}
        losses |= {name: config.unlabeled_weight * loss for name, loss in unsupervised.items()}
    return losses | detector.label_free_losses(output, features, valid, pretraining)


@torch.no_grad()
def _pseudo_output(teacher: Detector | None, student: DetectorOutput, clips: Clips) -> DetectorOutput:
    return student.detach() if teacher is None else teacher(clips.features, clips.valid)


def _batches(
    data: TrainingData, rule: LearningRule, steps: int, batch_size: int, device: torch.device
) -> Iterator[tuple[LabeledClips, Clips | None]]:
    """The batches of one epoch: each set in random order, from the start again when it is used up."""
    unlabeled = data.unlabeled if rule.uses_unlabeled else None
    home = data.labeled.features.device
    order = _endless_order(len(data.labeled), steps * batch_size).to(home).split(batch_size)
    other = None if unlabeled is None else _endless_order(len(unlabeled), steps * batch_size).to(home).split(batch_size)
    for step in range(steps):
        yield (
            data.labeled[order[step]].to(device),
            None if unlabeled is None or other is None else unlabeled[other[step]].to(device),
        )


def _endless_order(count: int, length: int) -> Int[Tensor, " length"]:
    return torch.cat([torch.randperm(count) for _ in range(math.ceil(length / count))])[:length]


def _derived_seed(seed: int, stage: str, epoch: int) -> int:
    digest = hashlib.sha256(f"{seed} {stage} {epoch}".encode()).digest()
    return int.from_bytes(digest[:6])


def _save(path: Path, detector: Detector, optimizer: torch.optim.Optimizer | None, stage: Stage) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in detector.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items() if optimizer else ():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    with atomic_write(path) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"stage": json.dumps(asdict(stage))}))


def _load(path: Path, detector: Detector, optimizer: torch.optim.Optimizer | None) -> Stage:
    try:
        with safe_open(path, framework="pt") as file:
            stage = Stage(**json.loads(file.metadata()["stage"]))
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not weights of this library, or cut off ({error}); delete it to train again") from None
    detector.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    if optimizer is not None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return stage
