"""ActionFormer: a pyramid of local self-attention whose points classify their moment and regress its instance (Zhang et al. 2022)."""

from nontarget.detectors.actionformer.losses import PointTargets, cut_instances, diou_loss, focal_loss, point_targets
from nontarget.detectors.actionformer.model import ActionFormer, ActionFormerConfig, ActionFormerOutput

__all__ = [
    "ActionFormer", "ActionFormerConfig", "ActionFormerOutput",
    "PointTargets", "cut_instances", "diou_loss", "focal_loss", "point_targets",
]  # fmt: skip
