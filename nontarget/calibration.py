"""Temperature scaling of a teacher: the temperature of lowest log loss on held-out labelled videos (Guo et al. 2017)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from nontarget.data import LabeledClips, LabeledVideo, Video, balanced_order
from nontarget.detectors.base import Detector, forward_batches
from nontarget.losses import Activation

CALIBRATION_VERSION = 1
"""To be raised when a change of the code changes temperatures."""

FOLDS = 4
"""Parts of the labelled videos, each held out once (assumed)."""

RANGE = (0.05, 20.0)
"""Lowest and highest temperature that is tried; the optimum is 0 where every snippet is classified correctly, infinity at chance."""


@dataclass(frozen=True)
class Calibration:
    """The result of :func:`fold_temperature`."""

    temperature: float
    """Geometric mean over the folds."""
    folds: tuple[float, ...]
    """Temperature of lowest log loss on each fold."""
    log_loss: float
    """Mean over the folds at temperature 1, in nats."""
    calibrated_log_loss: float
    """Mean over the folds at ``temperature``."""


def log_loss(
    logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"], temperature: float, activation: Activation = "softmax"
) -> float:
    """Mean negative log likelihood of the labels, in nats, with the logits divided by ``temperature``.

    Args:
        logits: class scores before the activation.
        labels: class indices; for ``sigmoid``, background is index ``classes``, and the loss is summed over the classes.
        temperature: above 0.
        activation: of the logits.
    """
    scaled = logits.double() / temperature
    if activation == "softmax":
        return float(F.cross_entropy(scaled, labels))
    target = F.one_hot(labels, logits.shape[-1] + 1)[..., :-1].double()
    return float(F.binary_cross_entropy_with_logits(scaled, target, reduction="none").sum(dim=-1).mean())


def calibrate_temperature(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"], activation: Activation = "softmax") -> float:
    """The temperature of lowest log loss, within :data:`RANGE`.

    The loss is convex in 1 / temperature, so it has one minimum: a grid of equal steps in the logarithm brackets it, and golden-section
    search closes in.

    Raises:
        ValueError: there is no snippet.
    """
    if len(labels) == 0:
        raise ValueError("calibrate_temperature needs at least one labelled snippet, got none")
    logits = logits.detach()

    def loss(log_temperature: float) -> float:
        return log_loss(logits, labels, float(np.exp(log_temperature)), activation)

    grid = np.linspace(np.log(RANGE[0]), np.log(RANGE[1]), 25)
    best = int(np.argmin([loss(x) for x in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    golden = (np.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > 1e-4:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - golden * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + golden * (high - low)
            loss_right = loss(right)
    return float(np.exp((low + high) / 2))


def fold_temperature(
    videos: Sequence[LabeledVideo],
    num_classes: int,
    pretrain: Callable[[tuple[LabeledVideo, ...], tuple[Video, ...], int], Detector],
    clips_of: Callable[[Sequence[LabeledVideo]], LabeledClips],
    *,
    seed: int,
    folds: int = FOLDS,
    batch_size: int = 64,
) -> Calibration:
    """A teacher's temperature by cross-validation over labelled videos alone: no hidden label and no test video is looked at.

    The folds are balanced over the classes. Each is held out once, a detector is pre-trained on the others, and its temperature fitted
    on the snippets of the fold; the result is the geometric mean. Snippets of a class that the other folds do not show are left out,
    since no temperature could make them likely.

    Deviation: the paper takes probabilities as they are. The detectors of the folds have seen fewer labelled videos than the teacher,
    so that its temperature is, if anything, estimated too high. It is that of the pre-trained detector; teachers that come after
    it in self-training keep it.

    Args:
        videos: all labelled training videos.
        num_classes: action classes, without background.
        pretrain: given labelled videos, the videos held out (as unlabelled ones) and the number of the fold, a pre-trained detector.
        clips_of: how labelled videos are cut.
        seed: of the folds.
        folds: how many; with fewer videos, each is one.
        batch_size: clips at once.

    Raises:
        ValueError: there are fewer than two videos, or ``folds`` is below 2.
    """
    if folds < 2 or len(videos) < 2:
        raise ValueError(f"calibration needs at least 2 folds and 2 labelled videos, got {folds!r} folds and {len(videos)} videos")
    order = balanced_order([v.annotations for v in videos], num_classes, seed)
    count = min(folds, len(videos))
    temperatures, held_out = [], []
    for fold in range(count):
        held = set(order[fold::count].tolist())
        others = tuple(v for i, v in enumerate(videos) if i not in held)
        part = tuple(v for i, v in enumerate(videos) if i in held)
        detector = pretrain(others, tuple(v.video for v in part), fold)
        logits, labels, activation = snippet_logits(detector, clips_of(part), batch_size)
        seen = torch.tensor(sorted({int(c) for v in others for c in v.annotations.labels} | {num_classes}))
        learnable = torch.isin(labels, seen)
        held_out.append((logits[learnable], labels[learnable], activation))
        temperatures.append(calibrate_temperature(*held_out[-1]))
    temperature = float(np.exp(np.mean(np.log(temperatures))))

    def mean_loss(temperature: float) -> float:
        return float(np.mean([log_loss(logits, labels, temperature, activation) for logits, labels, activation in held_out]))

    return Calibration(temperature, tuple(temperatures), mean_loss(1.0), mean_loss(temperature))


def snippet_logits(
    detector: Detector, clips: LabeledClips, batch_size: int = 64
) -> tuple[Float[Tensor, "n classes"], Int[Tensor, " n"], Activation]:
    """Class logits of a detector on every snippet (or point) of labelled clips, their classes, and the activation.

    The detector is put into evaluation mode.
    """
    logits, labels = [], []
    activation: Activation = "softmax"
    for batch, output in forward_batches(detector, clips, batch_size):
        activation = output.activation
        logits.append(output.class_logits[output.valid].cpu())
        labels.append(detector.targets(batch).labels[output.valid].cpu())
    return torch.cat(logits), torch.cat(labels), activation
