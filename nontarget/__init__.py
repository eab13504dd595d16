"""Semi-supervised temporal action localization by learning from non-target classes (Xia et al., ECCV 2024)."""

from nontarget.losses import non_target_loss
from nontarget.metrics import DetectionScores, evaluate_detections
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.segments import soft_nms
from nontarget.trained import TrainedDetector, detect

__all__ = [
    "DetectionScores",
    "LabelPartition",
    "TrainedDetector",
    "detect",
    "evaluate_detections",
    "non_target_loss",
    "partition_label_space",
    "soft_nms",
]
