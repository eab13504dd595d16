"""Semi-supervised temporal action localization by learning from non-target classes (Xia et al., ECCV 2024)."""

from typing import TYPE_CHECKING, Any

from nontarget.inference import detect
from nontarget.losses import non_target_loss
from nontarget.metrics import DetectionScores, evaluate_detections
from nontarget.nms import soft_nms
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.trained import TrainedDetector

if TYPE_CHECKING:
    from nontarget.study.diagnosis import diagnose_rule

__all__ = [
    "DetectionScores",
    "LabelPartition",
    "TrainedDetector",
    "detect",
    "diagnose_rule",
    "evaluate_detections",
    "non_target_loss",
    "partition_label_space",
    "soft_nms",
]


def __getattr__(name: str) -> Any:
    # The library does not import the study: what users want of it is loaded when it is asked for.
    if name == "diagnose_rule":
        from nontarget.study.diagnosis import diagnose_rule

        return diagnose_rule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
