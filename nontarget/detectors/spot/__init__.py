"""SPOT as described: a snippet embedding with a class head and a mask head (Secs. 3.1, 3.6; Nag et al. 2022)."""

from nontarget.detectors.spot.candidates import spot_candidates
from nontarget.detectors.spot.layers import MaskHead, SnippetEmbedding, SpotConfig
from nontarget.detectors.spot.losses import mask_loss, reconstruction_loss, refinement_loss
from nontarget.detectors.spot.model import Spot, SpotOutput

__all__ = [
    "MaskHead",
    "SnippetEmbedding",
    "Spot",
    "SpotConfig",
    "SpotOutput",
    "mask_loss",
    "reconstruction_loss",
    "refinement_loss",
    "spot_candidates",
]
