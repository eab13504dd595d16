"""Semi-supervised temporal action localization by learning from non-target classes (Xia et al., ECCV 2024)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nontarget.diagnose import DetectionDiagnosis, diagnose_detections
    from nontarget.inference import detect
    from nontarget.losses import non_target_loss
    from nontarget.metrics import DetectionScores, evaluate_detections
    from nontarget.nms import soft_nms
    from nontarget.partition import LabelPartition, partition_label_space
    from nontarget.study.diagnosis import diagnose_rule
    from nontarget.trained import TrainedDetector

__all__ = [
    "DetectionDiagnosis",
    "DetectionScores",
    "LabelPartition",
    "TrainedDetector",
    "detect",
    "diagnose_detections",
    "diagnose_rule",
    "evaluate_detections",
    "non_target_loss",
    "partition_label_space",
    "soft_nms",
]

# Where each name lives. It is loaded when it is asked for: the library does not import the study, and a command that only reads its
# arguments, or completes them, does not wait for torch.
_HOME = {
    "DetectionDiagnosis": "diagnose",
    "DetectionScores": "metrics",
    "LabelPartition": "partition",
    "TrainedDetector": "trained",
    "detect": "inference",
    "diagnose_detections": "diagnose",
    "diagnose_rule": "study.diagnosis",
    "evaluate_detections": "metrics",
    "non_target_loss": "losses",
    "partition_label_space": "partition",
    "soft_nms": "nms",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"nontarget.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
