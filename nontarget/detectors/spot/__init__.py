"""SPOT as described: a snippet embedding with a class head and a mask head (Secs. 3.1, 3.6; Nag et al. 2022)."""

from nontarget.detectors.spot.losses import mask_loss, reconstruction_loss, refinement_loss
from nontarget.detectors.spot.model import MaskHead, SnippetEmbedding, Spot, SpotConfig, SpotOutput, spot_candidates

__all__ = [
    "MaskHead", "SnippetEmbedding", "Spot", "SpotConfig", "SpotOutput",
    "mask_loss", "reconstruction_loss", "refinement_loss", "spot_candidates",
]  # fmt: skip
