"""Every setting of an experiment, with its default and where the default comes from; and what the presets mean."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, TypeVar

import numpy as np

T = TypeVar("T")

ADDED_LATER = {"added_later": True}
"""Metadata of a field that came when there were results already, see :func:`identified_settings`."""

LONGEST_CLIP = 16_384
"""Snippets of the longest clip, 64 times THUMOS14's; attention over more would not fit a machine."""


@dataclass(frozen=True)
class Protocol:
    """How a data set is cut into clips and scored. The defaults are those of THUMOS14."""

    windowing: Literal["sliding", "rescale"] = "sliding"
    """Sec. 4.2 and SPOT: sliding windows (THUMOS14) or the whole video rescaled to one clip (ActivityNet)."""
    num_snippets: int = 256
    """T of Sec. 4.2: 256 on THUMOS14, 100 on ActivityNet."""
    stride: int = 128
    """Snippets between two sliding windows (assumed: half a window)."""
    pool: int = 1
    """Consecutive feature steps that are averaged into one snippet; 1 keeps the features as they are."""
    tiou_thresholds: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)
    """tIoU thresholds at which AP is computed (Sec. 4.1)."""
    nms_sigma: float = 0.4
    """Sec. 4.2 gives a Soft-NMS threshold of 0.4 on THUMOS14, 0.6 on ActivityNet; read as the width of the gaussian decay."""

    def __post_init__(self) -> None:
        as_plain_numbers(self)
        check_choice("windowing", self.windowing, ("sliding", "rescale"))
        for name in ("num_snippets", "stride", "pool"):
            check_at_least_one(name, getattr(self, name))
        if self.windowing == "sliding" and self.stride > self.num_snippets:
            raise ValueError(f"stride must be at most num_snippets ({self.num_snippets}), or windows leave gaps; got {self.stride!r}")
        for name in ("num_snippets", "pool"):
            if getattr(self, name) > LONGEST_CLIP:
                raise ValueError(f"{name} must be at most {LONGEST_CLIP}, got {getattr(self, name)!r}: a clip of that length does not fit")
        check_number("nms_sigma", self.nms_sigma, lambda value: value > 0, "a finite number > 0")
        _check_shares("tiou_thresholds", self.tiou_thresholds)


@dataclass(frozen=True)
class TrainingConfig:
    """The two stages of training (Sec. 4.2). The defaults are the paper's, for ActivityNet."""

    pretrain_epochs: int = 12
    """Epochs of pre-training (Sec. 4.2)."""
    selftrain_epochs: int = 15
    """Epochs of self-training in each generation (Sec. 4.2)."""
    generations: int = 1
    """How often self-training is run, each time with the last result as the frozen teacher (Sec. 1: "iteratively uses the current model
    to assign pseudo labels ... and trains a new model"; assumed: once)."""
    steps_per_epoch: int | None = None
    """Optimiser steps of an epoch, the same for every rule and label ratio. None: as many as the training clips, labelled or not, make
    batches. A number: the budget of a small data set, for which one pass over its few clips is too few steps."""
    batch_size: int = 16
    """Labelled clips of a step, and as many unlabelled ones (assumed)."""
    pretrain_learning_rate: float = 1e-3
    """Peak learning rate of pre-training (assumed)."""
    learning_rate: float = 1e-4
    """Peak learning rate of self-training: 1e-4 on ActivityNet, 1e-5 on THUMOS14 (our interpretation of Sec. 4.2)."""
    warmup_steps: int = 0
    """Steps at the start of each stage in which the learning rate rises linearly (assumed: none)."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW (assumed)."""
    feature_noise: float = 0.0
    """Standard deviation of Gaussian noise that is added to the normalised features of a step, labelled and unlabelled alike (assumed:
    none). The teacher sees no noise."""
    mixup: float = dataclasses.field(default=0.0, metadata=ADDED_LATER)
    """Parameter of the beta distribution that the share of a labelled clip's own features and targets is drawn from, the rest being
    those of another one (mixup, Zhang et al. 2018, :class:`nontarget.batches.Mixture`). 0: no mixing (the paper has none)."""
    unlabeled_weight: float = 1.0
    """alpha of Eq. 1 (Sec. 4.2)."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm (assumed)."""

    def __post_init__(self) -> None:
        as_plain_numbers(self)
        for name in ("batch_size", "generations"):
            check_at_least_one(name, getattr(self, name))
        if self.steps_per_epoch is not None:
            check_at_least_one("steps_per_epoch", self.steps_per_epoch)
        check_whole("warmup_steps", self.warmup_steps)
        for name in ("pretrain_learning_rate", "learning_rate", "gradient_norm"):
            check_number(name, getattr(self, name), lambda value: value > 0, "a finite number > 0")
        for name in ("weight_decay", "unlabeled_weight", "feature_noise", "mixup"):
            check_number(name, getattr(self, name), lambda value: value >= 0, "a finite number >= 0")
        if not all(is_whole(n) for n in (self.pretrain_epochs, self.selftrain_epochs)):
            raise ValueError(f"epochs must be whole numbers, got {self.pretrain_epochs!r} and {self.selftrain_epochs!r}")
        if self.pretrain_epochs < 0 or self.selftrain_epochs < 0 or self.pretrain_epochs + self.selftrain_epochs == 0:
            raise ValueError(f"epochs must be >= 0, and one of them positive, got {self.pretrain_epochs!r} and {self.selftrain_epochs!r}")


@dataclass(frozen=True)
class InferenceConfig:
    """From the output of a detector to detections (Sec. 3.6)."""

    class_thresholds: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Sec. 3.6 asks for a set of thresholds to get enough candidates; its values are assumed."""
    mask_thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Sec. 4.2 takes SPOT's set, which it does not give: likewise assumed."""
    class_score: Literal["contrast", "mean"] = "contrast"
    """Class probability of a candidate: ``mean`` over its snippets; ``contrast``, that minus the mean over its surroundings, a quarter
    of its length on either side. Deviation: Sec. 3.6 says "class probability"; contrast ranks whole instances before parts of them."""
    mask_score: Literal["agreement", "mean"] = "agreement"
    """Mask score of a candidate: ``mean`` of the mask over its snippets; ``agreement``, the soft tIoU of candidate and mask, which a part
    of the mask does not reach. Deviation: Sec. 3.6 does not define it."""
    max_candidates: int = 1000
    """Candidates of a class in a video that enter Soft-NMS, best first (assumed). There is no limit over classes: the near-copies of a
    sure class would push all others out."""
    max_detections: int = 1000
    """Detections kept for a video (assumed: so many that more change nothing)."""
    min_score: float = 0.001
    """Lowest score of a detection (assumed, as in ActionFormer)."""
    external_scores: bool = False
    """Multiply each candidate's score by what a classifier of whole videos, trained elsewhere, gives its class. The paper does not say
    that it uses one; SPOT's released code does. Off: nothing from outside."""
    batch_size: int = 64
    """Clips in one forward pass; has no effect on the result."""
    whole_video: bool = dataclasses.field(default=False, metadata=ADDED_LATER)
    """One segment over each whole video, of the action class with the highest mean snippet probability, in place of the detector's
    candidates. A sanity check that we added: its mAP is what can be reached without localising anything."""

    def __post_init__(self) -> None:
        as_plain_numbers(self)
        for name in ("max_candidates", "max_detections", "batch_size"):
            check_at_least_one(name, getattr(self, name))
        for name in ("external_scores", "whole_video"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        check_choice("class_score", self.class_score, ("contrast", "mean"))
        check_choice("mask_score", self.mask_score, ("agreement", "mean"))
        check_number("min_score", self.min_score, lambda value: 0 <= value <= 1, "a number in [0, 1]")
        _check_shares("class_thresholds", self.class_thresholds)
        _check_shares("mask_thresholds", self.mask_thresholds)


def from_mapping(config: type[T], values: Mapping[str, Any], where: str) -> T:
    """A config dataclass from plain values, as JSON has them.

    Raises:
        ValueError: an unknown key, with the nearest known one, a value for a float that is no finite number (a result's name cannot hold
            it), or one that the config refuses; ``where`` starts the message.
    """
    check_mapping(where, values)
    values = plain(values)
    fields = {f.name: f for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    for key, value in values.items():
        try:
            check_choice("setting", key, fields)
            if fields[key].type is float:
                check_number(key, value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    try:
        return config(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})  # JSON has no tuples
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def identified_settings(config: Any) -> dict[str, Any]:
    """The settings of a config as an identity holds them: all, but of those that were added later only what differs from its default.

    So every result keeps the name that it had before there was such a setting.
    """
    settings = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    later = {f.name: f.default for f in dataclasses.fields(config) if f.metadata == ADDED_LATER}
    return {name: value for name, value in settings.items() if name not in later or value != later[name]}


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError, naming the nearest choice, unless ``value`` is one of ``choices``."""
    choices = list(choices)
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown {name} {value!r}{hint} (known: {', '.join(map(repr, choices))})")


def check_mapping(where: str, values: Any) -> None:
    """Raise ValueError unless ``values`` is a mapping; ``where`` starts the message."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: expected a mapping, settings by name, got {values!r}")


def is_finite_number(value: Any) -> bool:
    """Whether ``value`` is a number, or an array or tensor without axes, and neither NaN nor infinite; True and False are no numbers."""
    try:
        return not isinstance(value, (bool, np.bool_)) and math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def check_number(name: str, value: Any, suits: Callable[[float], bool] = lambda value: True, accepted: str = "a finite number") -> None:
    """Raise ValueError, saying what is ``accepted``, unless ``value`` is a finite number that ``suits``."""
    if not (is_finite_number(value) and suits(value)):
        raise ValueError(f"{name} must be {accepted}, got {value!r}")


def _check_shares(name: str, values: tuple[float, ...]) -> None:
    if not (isinstance(values, tuple) and values and all(is_finite_number(v) and 0 < v <= 1 for v in values)):
        raise ValueError(f"{name} must be one or more numbers in (0, 1], got {values!r}")


def check_at_least_one(name: str, value: int) -> None:
    """Raise ValueError unless ``value`` is a whole number of at least 1."""
    check_whole(name, value, 1)


def check_whole(name: str, value: int, least: int = 0) -> None:
    """Raise ValueError unless ``value`` is a whole number, of Python or numpy, of at least ``least``."""
    if not is_whole(value) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def is_whole(value: object) -> bool:
    """Whether ``value`` is a whole number, of Python or numpy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A number of numpy or torch as Python's own, an array as a tuple of such; within tuples, lists and mappings too; else as it is.

    A float keeps the digits that it is written with: 0.2 in single precision becomes 0.2, not 0.20000000298.
    """
    if isinstance(value, (tuple, list)):
        return type(value)(map(plain, value))
    if isinstance(value, Mapping):
        return {key: plain(x) for key, x in value.items()}
    if isinstance(value, np.ndarray):
        return plain(tuple(value)) if value.ndim else plain(value[()])
    if isinstance(value, np.floating):
        return float(str(value))
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def as_plain_numbers(config: Any) -> None:
    """Make every number in a frozen dataclass Python's own (:func:`plain`), so that it can be written as JSON."""
    for f in dataclasses.fields(config):
        object.__setattr__(config, f.name, plain(getattr(config, f.name)))


THUMOS14_PROTOCOL = Protocol()
ACTIVITYNET_PROTOCOL = Protocol(
    windowing="rescale",
    num_snippets=100,
    tiou_thresholds=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    nms_sigma=0.6,
)

TRAINING_PRESETS = {
    # The paper's epochs, of so many steps that twice as many add less than a point to full supervision on development data; the log of
    # choices (results/choices.csv) says what else was tried.
    "small": TrainingConfig(batch_size=8, steps_per_epoch=50, pretrain_learning_rate=1e-3, learning_rate=1e-3, feature_noise=0.5),
    "full": TrainingConfig(),
}
"""Training by preset, on which :func:`training_preset` builds. The twins and the detectors have their own presets of these names."""
_THUMOS14_LEARNING_RATE = 1e-5  # Sec. 4.2, read so: of self-training with the preset ``full`` on sliding windows


def training_preset(preset: str, steps_per_epoch: int | None, protocol: Protocol, changes: Mapping[str, Any]) -> TrainingConfig:
    """The training settings of a preset for a data set.

    Args:
        preset: ``small`` or ``full``.
        steps_per_epoch: of the data set with the preset ``small``; None: as many as the preset has.
        protocol: of the data set.
        changes: fields in which the detector differs (``Detector.training_changes``).
    """
    training = dataclasses.replace(TRAINING_PRESETS[preset], **changes)
    if preset == "small":
        return dataclasses.replace(training, steps_per_epoch=steps_per_epoch or training.steps_per_epoch)
    return dataclasses.replace(training, learning_rate=_THUMOS14_LEARNING_RATE) if protocol.windowing == "sliding" else training
