"""SPOT (Nag et al. 2022): the baseline with its pretext task and its sharpened masks."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.rules.baseline import Baseline


@dataclass(frozen=True, kw_only=True)
class SpotRule(Baseline):
    """Argmax pseudo labels, masks cut to 0 and 1, and pre-training by finding a random foreground.

    Masked reconstruction and boundary refinement, SPOT's too, belong to the detector: every rule has them (Eq. 12).
    """

    name: ClassVar[str] = "SPOT"
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})

    mask_threshold: float = 0.7
    """Mask probability above which a snippet belongs to the pseudo instance (SPOT)."""

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        loss = self.unlabeled_loss(output.class_logits, pseudo.class_probs, output.valid, output.activation)
        soft = detector.pseudo_targets(pseudo)
        return {"class": loss, **detector.localization_loss(output, replace(soft, localization=soft.localization > self.mask_threshold))}

    def pretext_losses(self, detector: Detector, features: Tensor, valid: Tensor, pretraining: bool) -> Losses:
        return detector.foreground_loss(features, valid) if pretraining else {}

    def pretraining_settings(self) -> dict[str, Any]:
        return super().pretraining_settings() | {"pretext": self.name}
