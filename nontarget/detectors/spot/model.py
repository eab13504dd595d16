"""SPOT as described: a snippet embedding with a class head and a mask head (Secs. 3.1, 3.6; Nag et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nontarget.config import InferenceConfig
from nontarget.data import LabeledClips
from nontarget.detectors.base import Candidates, Detector, DetectorOutput, Losses, Targets, snippet_classes, taken_from
from nontarget.detectors.spot.candidates import spot_candidates
from nontarget.detectors.spot.layers import MaskHead, SnippetEmbedding, SpotConfig
from nontarget.detectors.spot.losses import mask_loss, reconstruction_loss, refinement_loss


@dataclass(frozen=True)
class SpotOutput(DetectorOutput):
    """One forward pass of :class:`Spot`."""

    mask_logits: Float[Tensor, "clips snippets snippets"]
    """Row t: which snippets belong to the instance that snippet t is in."""
    embeddings: Float[Tensor, "clips snippets embed_dim"]


class Spot(Detector):
    """Class head and mask head on a self-attention embedding of the snippets.

    Deviation: the released mask head has one output channel for each absolute position, so it is tied to one T and has to learn every
    position from scratch. Here each snippet generates a kernel that is applied to all snippets, with a bias for their offset: the
    same map [T, T] for any T, equivariant in time. L_ref compares the embeddings behind a projection head, as SimCLR does: straight on
    the embeddings it undoes part of what the class head has learnt.
    """

    name = "spot"
    version = 2
    presets: ClassVar[Mapping[str, SpotConfig]] = {
        "small": SpotConfig(embed_dim=64, attention_dropout=0.0, mask_dim=32, mask_reach=64),
        "full": SpotConfig(),
    }
    abilities = frozenset({"agreement", "background", "consistency", "views", "masks"})

    def __init__(self, feature_dim: int, num_classes: int, config: SpotConfig | None = None) -> None:
        super().__init__(num_classes)
        self.config = config = config or self.presets["full"]
        self.embed_dim = width = config.embed_dim
        self.embedding = SnippetEmbedding(feature_dim, config)
        self.class_head = nn.Linear(width, num_classes + 1)  # a 1x1 convolution over snippets
        self.mask_head = MaskHead(config)
        self.decoder = nn.Linear(width, feature_dim)
        self.contrast = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> SpotOutput:
        embeddings = self.embedding(features, valid)
        return SpotOutput(self.class_head(embeddings), valid, self.mask_head(embeddings, valid), embeddings)

    def targets(self, clips: LabeledClips) -> Targets:
        labels = clips.labels
        centres = torch.arange(labels.shape[-1], device=labels.device) + 0.5
        start, end = clips.segments[..., None].unbind(-2)  # [clips, snippets, 1]
        inside = (start <= centres) & (centres < end)
        # An instance too short to cover a centre still claims the snippet that it was assigned to.
        itself = torch.eye(labels.shape[-1], dtype=torch.bool, device=labels.device)
        masks = (inside | itself) & (labels != self.num_classes)[..., None]
        return Targets(labels, masks, classes=snippet_classes(clips, self.num_classes))

    def pseudo_targets(self, output: SpotOutput) -> Targets:
        # Deviation: Sec. 4.2 sharpens labels as SPOT does. Mask probabilities stay as they are here: cut to 0 and 1, the masks'
        # errors feed themselves.
        labels = output.class_logits.argmax(dim=-1)
        return Targets(labels, output.mask_logits.sigmoid() * (labels != self.num_classes)[..., None])

    def localization_loss(self, output: SpotOutput, targets: Targets) -> Losses:
        foreground = targets.labels != self.num_classes
        row_weights = torch.where(foreground, 1.0, self.config.background_row_weight)
        if targets.weights is not None:
            row_weights = row_weights * targets.weights
        return {"mask": mask_loss(output.mask_logits, targets.localization, row_weights, output.valid)}

    def label_free_losses(
        self,
        output: SpotOutput,
        features: Float[Tensor, "clips snippets dim"],
        valid: Bool[Tensor, "clips snippets"],
        pretraining: bool,
    ) -> Losses:
        c = self.config
        losses = {}
        if c.reconstruction_weight > 0:
            hidden = (torch.rand(valid.shape, device=valid.device) < c.mask_ratio) & valid
            rebuilt = self.decoder(self.embedding(features.masked_fill(hidden[..., None], 0.0), valid))
            losses["reconstruction"] = c.reconstruction_weight * reconstruction_loss(rebuilt, features, hidden)
        if c.refinement_weight > 0 and (c.pretrains_refinement or not pretraining):
            background = output.class_logits.detach().softmax(dim=-1)[..., -1]
            refinement = refinement_loss(self.contrast(output.embeddings), background, output.valid, c.border, c.num_easy, c.temperature)
            losses["refinement"] = c.refinement_weight * refinement
        return losses

    def agreement(self, output: SpotOutput) -> Float[Tensor, "clips snippets"]:
        """Soft tIoU of a snippet's mask with the run of snippets of the same target class; for background, how empty its mask is."""
        labels = output.class_logits.argmax(dim=-1)
        run = F.pad(labels.diff(dim=1) != 0, (1, 0)).cumsum(dim=1)
        span = ((run[:, None] == run[..., None]) & output.valid[:, None]).to(output.mask_logits.dtype)
        masks = output.mask_logits.sigmoid().masked_fill(~output.valid[:, None], 0.0)
        inside = (span * masks).sum(dim=-1)
        overlap = inside / (span.sum(dim=-1) + masks.sum(dim=-1) - inside).clamp(min=1e-6)
        return torch.where(labels == self.num_classes, 1 - inside / span.sum(dim=-1).clamp(min=1), overlap)

    def consistency_losses(self, output: SpotOutput, teacher: SpotOutput) -> Losses:
        difference = output.mask_logits.sigmoid() - teacher.mask_logits.sigmoid()
        return {"mask": difference[output.valid[:, None] & output.valid[..., None]].square().mean()}

    def resample(self, output: SpotOutput, source: Int[Tensor, "clips snippets"]) -> SpotOutput:
        masks = taken_from(taken_from(output.mask_logits, source).transpose(1, 2), source).transpose(1, 2)
        return SpotOutput(taken_from(output.class_logits, source), output.valid, masks, taken_from(output.embeddings, source))

    def mix(self, output: SpotOutput, order: Int[Tensor, " clips"], share: Float[Tensor, " clips"]) -> SpotOutput:
        share = share[:, None, None]
        other = output.valid[order][..., None]  # where the other clip has ended, there is nothing but the first
        probs, masks = output.class_probs, output.mask_logits.sigmoid()
        probs = torch.where(other, share * probs + (1 - share) * probs[order], probs)
        masks = torch.where(other, share * masks + (1 - share) * masks[order], masks)
        return SpotOutput(probs.log(), output.valid, masks.logit(), output.embeddings)

    def foreground_loss(self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> Losses:
        lengths = valid.sum(dim=1, keepdim=True)
        ends = (torch.rand(len(features), 2, device=valid.device) * (lengths + 1)).floor().sort(dim=1).values
        steps = torch.arange(valid.shape[1], device=valid.device)
        visible = (steps >= ends[:, :1]) & (steps < ends[:, 1:]) & valid
        output = self(features.masked_fill(~visible[..., None], 0.0), valid)
        row_weights = torch.where(visible, 1.0, self.config.background_row_weight)
        return {"foreground": mask_loss(output.mask_logits, visible[:, None] & visible[..., None], row_weights, valid)}

    def candidates(self, output: SpotOutput, valid: Bool[Tensor, "clips snippets"], config: InferenceConfig) -> Candidates:
        return spot_candidates(output.class_probs, output.mask_logits.sigmoid(), valid, config)
