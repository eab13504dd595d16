"""What results and weights depend on: versions of the code, and the settings of each stage."""

from collections.abc import Mapping
from typing import Any

from nontarget.calibration import CALIBRATION_VERSION
from nontarget.data.clips import CLIPS_VERSION
from nontarget.detectors import detector_version
from nontarget.inference import INFERENCE_VERSION
from nontarget.metrics import METRICS_VERSION
from nontarget.rules.base import LearningRule
from nontarget.training import TRAINING_VERSION, StageName

_SELFTRAINING_ONLY = ("selftrain_epochs", "generations", "learning_rate", "unlabeled_weight")


def versions_of(detector: str, rule: LearningRule) -> dict[str, int]:
    """Versions of all code that a result depends on."""
    return {
        "clips": CLIPS_VERSION,
        "detector": detector_version(detector),
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
