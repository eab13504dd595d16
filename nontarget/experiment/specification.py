"""What an experiment is: a data set, a label ratio, a detector, a learning rule and a seed; and what its result depends on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nontarget import detectors, rules
from nontarget.calibration import CALIBRATION_VERSION
from nontarget.config import (
    TRAINING_PRESETS,
    InferenceConfig,
    Protocol,
    TrainingConfig,
    as_plain_numbers,
    check_choice,
    check_mapping,
    check_number,
    check_whole,
    from_mapping,
    identified_settings,
    training_preset,
)
from nontarget.data import Dataset, dataset_identity, defaults_of, load_dataset
from nontarget.data.clips import CLIPS_VERSION
from nontarget.inference import INFERENCE_VERSION
from nontarget.metrics import METRICS_VERSION
from nontarget.protocols import protocol_of
from nontarget.rules.base import LearningRule
from nontarget.training import TRAINING_VERSION, StageName

Settings = Mapping[str, Any]

_SELFTRAINING_ONLY = ("selftrain_epochs", "generations", "learning_rate", "unlabeled_weight")


@dataclass(frozen=True)
class Experiment:
    """Specification of one run. The mappings override single settings of the presets.

    Raises:
        ValueError: settings are no mapping.
    """

    dataset: str = "thumos14-sim"
    rule: str = "non-target"
    label_ratio: float = 0.1
    seed: int = 0
    """Seed of the label split and of training."""
    preset: str = "small"
    """``small`` or ``full``: of a twin, of the detector and of its training."""
    detector: str = "spot"
    features: str | None = None
    """A feature folder to use instead of a data set's name."""
    held_out: bool = False
    """Development data, on which settings are chosen and the instrument is judged: of a folder a third of the training videos takes the
    place of the test videos, which stay unseen; of a twin another world is generated."""
    rule_settings: Settings = field(default_factory=dict)
    detector_settings: Settings = field(default_factory=dict)
    training_settings: Settings = field(default_factory=dict)
    inference_settings: Settings = field(default_factory=dict)
    protocol_settings: Settings = field(default_factory=dict)
    """Fields of :class:`nontarget.config.Protocol`, or ``{"name": ...}``, a protocol of the field (:mod:`nontarget.protocols`)."""
    twin_settings: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_settings"):
                check_mapping(name, value)
        as_plain_numbers(self)

    def identity(self) -> dict[str, Any]:
        """Everything that the result depends on; its hash is the result's name.

        The checksum of a data set that is not at hand is None.

        Raises:
            ValueError: an unknown name or setting; the message names the nearest known one.
        """
        check_choice("preset", self.preset, TRAINING_PRESETS)
        check_number("label_ratio", self.label_ratio, lambda value: 0 < value <= 1, "a share in (0, 1]")
        check_whole("seed", self.seed)
        rule = self.learning_rule()
        detectors.check_abilities(self.detector, rule.needs, f"learning rule {rule.name!r}")
        dataset, protocol = dataset_identity(self.dataset, self.preset, self.features, self.twin_settings, self.held_out)
        protocol = protocol_of(self.protocol_settings, protocol, "protocol_settings")
        changes = detectors.detector_class(self.detector).training_changes.get(self.preset, {})
        training = training_preset(self.preset, defaults_of(str(dataset["name"])).steps_per_epoch, protocol, changes)
        training = from_mapping(TrainingConfig, asdict(training) | dict(self.training_settings), "training_settings")
        inference = from_mapping(InferenceConfig, dict(self.inference_settings), "inference_settings")
        changed: dict[str, Any] = {name: dict(value) for name, value in vars(self).items() if name.endswith("_settings") and value}
        if self.held_out:
            changed["held_out"] = True
        identity = {
            "dataset": dataset,
            "protocol": asdict(protocol),
            "preset": self.preset,
            "label_ratio": 1.0 if rule.labels_all else float(self.label_ratio),
            "seed": self.seed,
            "detector": {
                "name": self.detector,
                "settings": detectors.detector_settings(self.detector, self.preset, **self.detector_settings),
            },
            "rule": {"name": rule.name, "settings": asdict(rule), "training": rule.training_settings()},
            "training": identified_settings(training),
            "inference": identified_settings(inference),
            "changed": changed,
            "versions": versions_of(self.detector, rule),
        }
        return json.loads(json.dumps(identity))  # as a record holds it: JSON has no tuples

    def load(self) -> Dataset:
        """The data set, under the experiment's protocol."""
        return load_dataset(
            self.dataset,
            self.preset,
            self.features,
            twin_settings=self.twin_settings,
            held_out=self.held_out,
            protocol_settings=self.protocol_settings,
        )

    def learning_rule(self) -> LearningRule:
        """The rule, with its settings."""
        return rules.get_rule(self.rule, **self.rule_settings)


def versions_of(detector: str, rule: LearningRule) -> dict[str, int]:
    """Versions of all code that a result depends on."""
    return {
        "clips": CLIPS_VERSION,
        "detector": detectors.detector_class(detector).version,
        "rule": rule.version,
        "training": TRAINING_VERSION,
        "inference": INFERENCE_VERSION,
        "metrics": METRICS_VERSION,
    } | _calibration_version(rule)


def with_threads(identity: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """An identity of what is computed with so many CPU threads; one thread, as for all committed results, goes without saying."""
    return dict(identity) if threads == 1 else {**identity, "threads": threads}


def stage_identities(identity: Mapping[str, Any], rule: LearningRule) -> dict[StageName, dict[str, Any]]:
    """What the weights after each stage depend on."""
    common = {name: identity[name] for name in ("dataset", "protocol", "label_ratio", "seed", "detector")}
    common["protocol"] = {field.name: identity["protocol"][field.name] for field in fields(Protocol)}  # what is scored trains nothing
    common["versions"] = {name: identity["versions"][name] for name in ("clips", "detector", "training")}
    if "held_out" in identity["changed"]:  # a folder's checksum is the same, its training videos are not
        common["held_out"] = True
    pretraining = {name: value for name, value in identity["training"].items() if name not in _SELFTRAINING_ONLY}
    stages: dict[StageName, dict[str, Any]] = {
        "pretrain": {**common, "rule": rule.pretraining_settings(), "training": pretraining},
        "selftrain": {**common, "rule": rule.training_settings(), "rule_version": rule.version, "training": identity["training"]}
        | _calibration_version(rule),
    }
    return stages if rule.self_trains else {"pretrain": stages["pretrain"]}


def _calibration_version(rule: LearningRule) -> dict[str, int]:
    """What results of a calibrated teacher depend on besides."""
    return {"calibration": CALIBRATION_VERSION} if rule.teacher_temperature == "calibrated" else {}
