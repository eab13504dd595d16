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
from nontarget.detectors.spot.losses import mask_loss, reconstruction_loss, refinement_loss
from nontarget.segments import runs_above, sum_over


@dataclass(frozen=True)
class SpotConfig:
    """Sizes and loss settings of :class:`Spot`. The defaults are the preset ``full``."""

    embed_dim: int = 512
    """Width of the snippet embedding (assumed; the paper does not say)."""
    num_heads: int = 4
    """Heads of the self-attention (SPOT's released code)."""
    attention_dropout: float = 0.1
    """Dropout on the attention weights (SPOT's released code)."""
    output_dropout: float = 0.3
    """Dropout on the output of the self-attention (SPOT's released code)."""
    context_layers: int = 1
    """Convolutions of width 3 over the projected snippets, each with a skip connection, before the attention. Deviation: SPOT has
    none; without local context or positions all hidden snippets of a clip have the same reconstruction. 0: as SPOT."""
    relative_positions: bool = False
    """Whether attention has a learnt bias for each head and offset between two snippets (assumed: not; SPOT has none)."""
    input_dropout: float = 0.0
    """Share of the feature dimensions of a snippet that training does not see (assumed: none)."""
    mask_dim: int = 256
    """Channels of the mask head (SPOT's released code)."""
    mask_reach: int = 256
    """Offsets between two snippets that the mask head tells apart; those further away share one bias (assumed: T)."""
    background_row_weight: float = 0.2
    """Weight of the mask rows of background snippets, which should be empty (assumed)."""
    border: int = 1
    """Snippets on either side of the predicted foreground's border that count as hard in L_ref (assumed)."""
    num_easy: int = 8
    """Most confident snippets of a clip that count as easy in L_ref (assumed)."""
    temperature: float = 0.07
    """Temperature of InfoNCE in L_ref (SPOT's released code)."""
    mask_ratio: float = 0.25
    """Share of the snippets whose features are hidden for L_rec (assumed)."""
    reconstruction_weight: float = 1.0
    """Weight of L_rec (1, since Eq. 12 has no weights)."""
    refinement_weight: float = 0.0
    """Weight of L_ref; 0 switches it off. Deviation: Eq. 12 weighs it with 1. At 0.05 it takes half of the embedding's gradient; with the
    noise of the preset, two seeds show no gain from it; without the noise, 0.1 helped (results/choices.csv)."""
    pretrains_refinement: bool = True
    """Whether L_ref takes part in pre-training, on the labelled clips. Deviation: taken literally, Sec. 4.2 says False; its head is then
    untrained when self-training begins."""


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


class SnippetEmbedding(nn.Module):
    """Linear projection, local context, and one layer of self-attention over the valid snippets, with residual and LayerNorm."""

    def __init__(self, feature_dim: int, config: SpotConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.num_heads, self.attention_dropout, self.reach = config.num_heads, config.attention_dropout, config.mask_reach
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.project = nn.Linear(feature_dim, width)
        self.context = nn.ModuleList([nn.Conv1d(width, width, 3, padding=1) for _ in range(config.context_layers)])
        self.query_key_value = nn.Linear(width, 3 * width)
        self.offset_bias = nn.Parameter(torch.zeros(config.num_heads, 2 * self.reach + 1)) if config.relative_positions else None
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.output_dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]
    ) -> Float[Tensor, "clips snippets embed_dim"]:
        x = self.project(self.input_dropout(features))
        for convolution in self.context:
            x = x + convolution(x.masked_fill(~valid[..., None], 0.0).transpose(1, 2)).relu().transpose(1, 2)
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mask = valid[:, None, None]
        if self.offset_bias is not None:
            bias = self.offset_bias[:, offsets(valid.shape[1], self.reach, valid.device)]  # [heads, snippets, snippets]
            mask = torch.where(mask, bias, -torch.inf)
        dropout = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        x = self.norm(x + self.dropout(self.output(attended.transpose(1, 2).flatten(2))))
        return x.masked_fill(~valid[..., None], 0.0)


def offsets(num_snippets: int, reach: int, device: torch.device) -> Int[Tensor, "snippets snippets"]:
    """Index of the offset from each snippet to each other one, at most ``reach`` in either direction: 0 to ``2 * reach``."""
    steps = torch.arange(num_snippets, device=device)
    return (steps - steps[:, None]).clamp(-reach, reach) + reach


class MaskHead(nn.Module):
    """For each snippet, mask logits over all snippets: a small convolutional tower, then kernels applied across the clip."""

    def __init__(self, config: SpotConfig) -> None:
        super().__init__()
        self.reach = config.mask_reach
        self.tower = nn.ModuleList(
            [nn.Conv1d(config.embed_dim, config.mask_dim, 3, padding=1), nn.Conv1d(config.mask_dim, config.mask_dim, 3, padding=1)]
        )
        self.kernel_and_map = nn.Conv1d(config.mask_dim, 2 * config.mask_dim, 1)
        # Starts as a preference for near snippets.
        self.offset_bias = nn.Parameter(1 - 0.5 * torch.arange(-self.reach, self.reach + 1).abs().float().sqrt())

    def forward(
        self, embeddings: Float[Tensor, "clips snippets embed_dim"], valid: Bool[Tensor, "clips snippets"]
    ) -> Float[Tensor, "clips snippets snippets"]:
        x, real = embeddings.transpose(1, 2), valid[:, None]
        for convolution in self.tower:
            x = convolution(x).relu().masked_fill(~real, 0.0)  # what lies in the padding must not leak back
        kernels, maps = self.kernel_and_map(x).chunk(2, dim=1)  # [clips, mask_dim, snippets]
        similarity = (kernels.transpose(1, 2) @ maps).div_(kernels.shape[1] ** 0.5)
        return similarity.add_(self.offset_bias[offsets(valid.shape[1], self.reach, valid.device)])


def spot_candidates(
    class_probs: Float[Tensor, "clips snippets classes"],
    mask_probs: Float[Tensor, "clips snippets snippets"],
    valid: Bool[Tensor, "clips snippets"],
    config: InferenceConfig,
) -> Candidates:
    """Candidates from class and mask probabilities (Sec. 3.6).

    Every run of snippets above a class threshold is a candidate. The mean of its snippets' masks says how far the instance extends that
    the run lies in: every run of that mask above a mask threshold is a candidate of the same class. The score is class score times mask
    score.

    Deviation: the paper defines neither. The means over the segment would put fragments of an instance first, since the middle of an
    instance is surer than the whole. The default class score is the contrast of the segment with its surroundings, the default mask
    score its soft tIoU with the mask; see :class:`nontarget.config.InferenceConfig`.
    """
    class_probs = class_probs[..., :-1].masked_fill(~valid[..., None], 0.0).transpose(1, 2)  # [clips, classes, snippets]
    mask_probs = mask_probs.masked_fill(~(valid[:, None] & valid[..., None]), 0.0)
    promising = (class_probs.amax(dim=-1) > min(config.class_thresholds)).nonzero()  # [rows, 2]: clip and class
    curves = class_probs[promising[:, 0], promising[:, 1]]
    row, start, end = runs_above(curves, config.class_thresholds)
    if len(row) == 0:
        return Candidates(row, row, class_probs.new_zeros(0, 2), class_probs.new_zeros(0))

    clip, label = promising[row].unbind(dim=1)
    total = F.pad(mask_probs.cumsum(dim=1), (0, 0, 1, 0))  # over the snippets whose masks they are
    mask = (total[clip, end] - total[clip, start]) / (end - start)[:, None]  # [runs, snippets]
    origin, mask_start, mask_end = runs_above(mask, config.mask_thresholds)
    origin = torch.cat((torch.arange(len(row), device=row.device), origin))
    start, end = torch.cat((start, mask_start)), torch.cat((end, mask_end))

    length = end - start
    mask_score = sum_over(mask, origin, start, end) / length
    if config.mask_score == "agreement":
        inside = mask_score * length
        mask_score = inside / (mask.sum(dim=-1)[origin] + length - inside)
    class_score = sum_over(curves, row[origin], start, end) / length
    if config.class_score == "contrast":
        class_score = (class_score - _surroundings(curves, row[origin], start, end)).clamp(min=0)
    return Candidates(clip[origin], label[origin], torch.stack((start, end), dim=1).to(curves.dtype), class_score * mask_score)


def _surroundings(
    curves: Float[Tensor, "rows snippets"], row: Int[Tensor, " n"], start: Int[Tensor, " n"], end: Int[Tensor, " n"], margin: float = 0.25
) -> Float[Tensor, " n"]:
    """Mean of a row's values on either side of [start, end), over a share of its length; outside the clip they are 0."""
    width = (margin * (end - start)).ceil().long().clamp(min=1)
    before, after = (start - width).clamp(min=0), (end + width).clamp(max=curves.shape[1])
    return (sum_over(curves, row, before, start) + sum_over(curves, row, end, after)) / (2 * width)
