"""ActionFormer: a pyramid of local self-attention whose points classify their moment and regress its instance (Zhang et al. 2022)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nontarget.config import InferenceConfig
from nontarget.data import LabeledClips, random_crop
from nontarget.detectors.actionformer.losses import cut_instances, diou_loss, focal_loss, point_targets
from nontarget.detectors.base import Candidates, Detector, DetectorOutput, Losses, Targets
from nontarget.segments import tiou


@dataclass(frozen=True)
class ActionFormerConfig:
    """Sizes and loss settings of :class:`ActionFormer`. The defaults are the preset ``full``, those of the released code on THUMOS14."""

    embed_dim: int = 512
    """Width of all layers (ActionFormer's released code)."""
    num_heads: int = 4
    """Heads of the self-attention (ActionFormer's released code)."""
    window: int = 19
    """Points of its level that a point attends to, itself in the middle (ActionFormer's released code)."""
    embedding_layers: int = 2
    """Convolutions before the transformer (ActionFormer's released code)."""
    stem_blocks: int = 2
    """Transformer blocks before the first level (ActionFormer's released code)."""
    num_levels: int = 6
    """Levels of the pyramid, of strides 1, 2, 4, ... (ActionFormer's released code)."""
    head_layers: int = 3
    """Convolutions of each head, the last included (ActionFormer's released code)."""
    expansion: int = 4
    """Width of the hidden layer of a block, as a multiple of ``embed_dim`` (ActionFormer's released code)."""
    dropout: float = 0.1
    """After attention and in the hidden layers (ActionFormer's released code)."""
    tower_dropout: float = 0.0
    """Before every convolution of the embedding and of the heads but the last (ActionFormer's released code has none)."""
    path_dropout: float = 0.1
    """Share of the clips for which a path beside the skip connection is left out (ActionFormer's released code)."""
    path_scale: float = 1e-4
    """Factor that each such path starts with, learnt by channel (ActionFormer's released code)."""
    first_range: float = 4.0
    """Farther end, in snippets, up to which an instance is for the first level; it doubles with each level, the last one has no
    upper limit (ActionFormer's released code)."""
    center_radius: float = 1.5
    """Points up to so many strides from an instance's middle are trained to find it (ActionFormer's released code)."""
    prior: float = 0.01
    """Initial score of every class (ActionFormer's released code)."""
    focal_alpha: float = 0.25
    """Weight of a right class in the focal loss; wrong ones have 1 - alpha (ActionFormer's released code)."""
    focal_gamma: float = 2.0
    """Exponent gamma of the focal loss (ActionFormer's released code)."""
    shortest_crop: float = 0.9
    """Shortest random window of a labelled clip that training may see in its place, as a share of the clip; 1: no windows
    (ActionFormer's released code)."""


@dataclass(frozen=True)
class ActionFormerOutput(DetectorOutput):
    """One forward pass of :class:`ActionFormer`: the points of all levels, one after another."""

    activation = "sigmoid"

    distances: Float[Tensor, "clips snippets 2"]
    """From the point to the start and to the end of its instance, in snippets; never negative."""
    centres: Float[Tensor, "clips snippets"]
    """Where the point is, in snippets; the same in every clip."""


class ActionFormer(Detector):
    """Class head and regression head on a pyramid of transformer blocks.

    The running average of the weights is the result, as in the released code. It needs two things of training. Its momentum has to warm
    up, or the average of a short training is mostly the weights that it began with. And the budget has to be large enough: on a
    simulated world for development, with every label, 1,600 steps in place of 400 raised the average mAP of the preset ``small``, at a
    width of 64 and a rate of 1e-3, from 49 to 65.

    Point targets come from the list of a clip's instances. An instance is cut where its clip ends and the video goes on, and dropped
    if less than half is left, as the released code does with its random windows (:meth:`augmented`).

    Pseudo targets: a point is of its best class where that scores above 1/2, where it beats the background's ``1 - max``. The focal loss
    raises scores slowly from ``prior``, so at first every point is background, and localisation learns nothing from unlabelled clips
    until labelled ones have made some points sure: few pseudo labels, late, rather than many wrong ones.

    Deviation: released code has its own learning rates and voting; here all detectors share training and Soft-NMS. It cuts random
    windows out of whole videos; here videos are in clips already, and a window is 0.9 to 1 of a clip. The losses are divided by the
    positive points of the batch, not by a running mean of their number. A range of distances is half open, so that each distance is
    of one level. There is nothing that is learnt without labels.
    """

    name = "actionformer"
    version = 3
    presets: ClassVar[Mapping[str, ActionFormerConfig]] = {
        # Dropout in the towers, or a handful of labelled videos is learnt by heart; chosen with `supervised only` alone, on training
        # videos whose labels were hidden. Width on a simulated world for development: 128 in place of 64 is 4 points better with all
        # labels, 2 with a tenth of them (one seed each).
        "small": ActionFormerConfig(
            embed_dim=128, window=9, stem_blocks=1, head_layers=2, expansion=2, dropout=0.0, tower_dropout=0.3, path_dropout=0.0
        ),
        "full": ActionFormerConfig(),
    }
    training_changes: ClassVar[Mapping[str, Mapping[str, float]]] = {"small": {"pretrain_learning_rate": 3e-3, "feature_noise": 0.0}}
    abilities = frozenset({"agreement"})
    averages_weights = True

    def __init__(self, feature_dim: int, num_classes: int, config: ActionFormerConfig | None = None) -> None:
        super().__init__(num_classes)
        self.config = config = config or self.presets["full"]
        self.embed_dim = width = config.embed_dim
        self.embedding = ConvTower(feature_dim, width, config.embedding_layers, config.tower_dropout)
        self.stem = nn.ModuleList([Block(config, stride=1) for _ in range(config.stem_blocks)])
        self.branch = nn.ModuleList([Block(config, stride=2) for _ in range(config.num_levels - 1)])
        self.level_norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(config.num_levels)])
        self.class_tower = ConvTower(width, width, config.head_layers - 1, config.tower_dropout)
        self.class_head = nn.Conv1d(width, num_classes, 3, padding=1)
        self.distance_tower = ConvTower(width, width, config.head_layers - 1, config.tower_dropout)
        self.distance_head = nn.Conv1d(width, 2, 3, padding=1)
        self.level_scales = nn.Parameter(torch.ones(config.num_levels))
        nn.init.constant_(self.class_head.bias, math.log(config.prior / (1 - config.prior)))  # type: ignore[arg-type]
        nn.init.zeros_(self.distance_head.bias)  # type: ignore[arg-type]

    def forward(self, features: Float[Tensor, "clips snippets dim"], valid: Bool[Tensor, "clips snippets"]) -> ActionFormerOutput:
        x, real = self.embedding(features.masked_fill(~valid[..., None], 0.0), valid), valid
        for block in self.stem:
            x, real = block(x, real)
        levels, reals = [x], [real]
        for block in self.branch:
            x, real = block(x, real)
            levels.append(x)
            reals.append(real)

        # The heads see all levels in one pass: padding between two levels keeps them apart.
        levels = [norm(x).masked_fill(~real[..., None], 0.0) for norm, x, real in zip(self.level_norms, levels, reals, strict=True)]
        joined = torch.cat([F.pad(x, (0, 0, 0, 1)) for x in levels], dim=1)
        real = torch.cat([F.pad(real, (0, 1)) for real in reals], dim=1)
        logits = self.class_head(self.class_tower(joined, real).transpose(1, 2)).transpose(1, 2)
        distances = self.distance_head(self.distance_tower(joined, real).transpose(1, 2)).transpose(1, 2)

        lengths = [x.shape[1] + 1 for x in levels]
        logits, distances = (torch.cat([part[:, :-1] for part in x.split(lengths, dim=1)], dim=1) for x in (logits, distances))
        centres, strides, level = self._points(valid.shape[1], valid.device)
        distances = (distances * self.level_scales[level, None]).relu() * strides[:, None]
        return ActionFormerOutput(logits, torch.cat(reals, dim=1), distances, centres.expand(len(valid), -1))

    def targets(self, clips: LabeledClips) -> Targets:
        c = self.config
        centres, strides, level = self._points(clips.valid.shape[1], clips.valid.device)
        high = c.first_range * strides
        low, high = (high / 2).where(level > 0, 0.0), high.where(level < c.num_levels - 1, torch.inf)
        # Where the video begins or ends with the clip, nothing is cut: there is no other clip that shows the rest.
        begin = torch.where(clips.begins, -torch.inf, 0.0).float()
        end = torch.where(clips.continues, clips.valid.sum(dim=1), torch.inf).float()
        segments, counts = cut_instances(clips.instance_segments, begin, end)
        counts &= clips.instance_labels != self.num_classes
        ranges = torch.stack((low, high), dim=1)
        labels, covers = clips.instance_labels, clips.instance_snippets
        points = point_targets(labels, segments, counts, covers, centres, strides, ranges, self.num_classes, c.center_radius)
        return Targets(points.labels, points.distances, classes=points.classes)

    def augmented(self, clips: LabeledClips) -> LabeledClips:
        """A random window of each clip, as in ActionFormer's released code."""
        return random_crop(clips, (self.config.shortest_crop, 1.0)) if self.config.shortest_crop < 1 else clips

    def pseudo_targets(self, output: ActionFormerOutput) -> Targets:
        return Targets(output.distribution.argmax(dim=-1), output.distances)

    def class_loss(self, output: ActionFormerOutput, targets: Targets) -> Float[Tensor, ""]:
        """Sigmoid focal loss of all points, divided by the number of positive ones."""
        weights, positive = self._weights(output, targets)
        loss = focal_loss(output.class_logits, targets.all_labels, self.config.focal_alpha, self.config.focal_gamma)
        return (loss * weights).sum() / positive.sum().clamp(min=1)

    def localization_loss(self, output: ActionFormerOutput, targets: Targets) -> Losses:
        _, positive = self._weights(output, targets)
        loss = diou_loss(output.distances, targets.localization)
        return {"regression": (loss * positive).sum() / positive.sum().clamp(min=1)}

    def agreement(self, output: ActionFormerOutput) -> Float[Tensor, "clips snippets"]:
        """How far the points in a point's segment that are of its class, on all levels, find the same segment.

        It is their mean tIoU with it, weighted by their scores; 0 if there are none, and 1 for background, which has no segment
        (assumed; ActionFormer has no such measure).
        """
        scores, labels = output.distribution.max(dim=-1)
        start, end = output.centres - output.distances[..., 0], output.centres + output.distances[..., 1]
        segments, centres = torch.stack((start, end), dim=-1), output.centres[:, None]
        fellows = (labels[:, None] == labels[..., None]) & (start[..., None] <= centres) & (centres <= end[..., None])
        fellows &= output.valid[:, None] & ~torch.eye(labels.shape[1], dtype=torch.bool, device=labels.device)
        weights = scores[:, None] * fellows  # [clips, points, points]
        overlap = tiou(segments[:, :, None], segments[:, None]).nan_to_num(0.0)  # two empty segments
        agreement = (overlap * weights).sum(dim=-1) / weights.sum(dim=-1).clamp(min=1e-6)
        return agreement.where(labels != self.num_classes, 1.0)

    def candidates(self, output: ActionFormerOutput, valid: Bool[Tensor, "clips snippets"], config: InferenceConfig) -> Candidates:
        """Every point, once for each class whose score is above ``config.min_score``; of each clip the best ones."""
        end_of_clip = valid.sum(dim=1)[:, None].to(output.distances.dtype)
        start = (output.centres - output.distances[..., 0]).clamp(min=0)
        end = torch.minimum(output.centres + output.distances[..., 1], end_of_clip)
        real = output.valid & (end > start)
        scores = output.class_probs.masked_fill(~real[..., None], 0.0).flatten(1)  # [clips, points * classes]
        best, where = scores.topk(min(config.max_candidates, scores.shape[1]), dim=1)
        clip, rank = (best > config.min_score).nonzero(as_tuple=True)
        where = where[clip, rank]
        point = where // self.num_classes
        segments = torch.stack((start[clip, point], end[clip, point]), dim=1)
        return Candidates(clip, where % self.num_classes, segments, best[clip, rank])

    def _weights(
        self, output: ActionFormerOutput, targets: Targets
    ) -> tuple[Float[Tensor, "clips snippets"], Float[Tensor, "clips snippets"]]:
        """Weight of every point, and the same with 0 for background."""
        weights = output.valid.to(output.distances.dtype)
        if targets.weights is not None:
            weights = weights * targets.weights
        return weights, weights * (targets.labels != self.num_classes)

    def _points(
        self, num_snippets: int, device: torch.device
    ) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"], Int[Tensor, " points"]]:
        """Where the points of a clip are, the stride of each and its level; point i of stride s is at the centre of snippet i * s."""
        centres = [torch.arange(0, num_snippets, 2**level, device=device) + 0.5 for level in range(self.config.num_levels)]
        level = torch.cat([torch.full((len(c),), i, device=device) for i, c in enumerate(centres)])
        return torch.cat(centres), (2.0**level).float(), level


class ConvTower(nn.Module):
    """Convolutions over time, each with LayerNorm and ReLU; zero in the padding before and after."""

    def __init__(self, dim: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        dims = [dim] + [width] * (layers - 1)
        self.convolutions = nn.ModuleList([nn.Conv1d(d, width, 3, padding=1, bias=False) for d in dims[:layers]])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(layers)])

    def forward(self, x: Float[Tensor, "clips points dim"], valid: Bool[Tensor, "clips points"]) -> Float[Tensor, "clips points width"]:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = self.dropout(x).transpose(1, 2).contiguous()  # or the convolution makes such a copy, and its gradient another
            x = norm(convolution(x).transpose(1, 2)).masked_fill_(~valid[..., None], 0.0).relu_()
        return x


class Block(nn.Module):
    """Transformer block with local self-attention; with ``stride`` 2 it gives the next level of the pyramid, half as long."""

    def __init__(self, config: ActionFormerConfig, stride: int) -> None:
        super().__init__()
        self.stride, self.num_heads, self.reach = stride, config.num_heads, config.window // 2
        width, hidden = config.embed_dim, config.expansion * config.embed_dim
        self.norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        # of query, key and value
        self.depthwise = nn.ModuleList([nn.Conv1d(width, width, 3, stride, padding=1, groups=width, bias=False) for _ in range(3)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.projections = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
        self.output = nn.Sequential(nn.Linear(width, width), nn.Dropout(config.dropout), ScaledPath(config))
        layers = [nn.Linear(width, hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(hidden, width), nn.Dropout(config.dropout)]
        self.hidden = nn.Sequential(*layers, ScaledPath(config))

    def forward(
        self, x: Float[Tensor, "clips points width"], valid: Bool[Tensor, "clips points"]
    ) -> tuple[Float[Tensor, "clips fewer width"], Bool[Tensor, "clips fewer"]]:
        left, padding = valid[:, :: self.stride], ~valid[..., None]
        y = self.norm(x).masked_fill_(padding, 0.0).transpose(1, 2).contiguous()
        query, key, value = (
            project(norm(convolution(y).transpose(1, 2))).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for convolution, norm, project in zip(self.depthwise, self.norms, self.projections, strict=True)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=self._attention_mask(left))
        if self.stride > 1:  # the padding must not win, as a zero could
            x = F.max_pool1d(x.masked_fill(padding, -torch.inf).transpose(1, 2), 3, self.stride, padding=1).transpose(1, 2)
            x = x.masked_fill(~left[..., None], 0.0)
        x = x + self.output(attended.transpose(1, 2).flatten(2))
        x = x + self.hidden(self.hidden_norm(x))
        return x.masked_fill(~left[..., None], 0.0), left

    def _attention_mask(self, valid: Bool[Tensor, "clips points"]) -> Bool[Tensor, "clips 1 points points"]:
        """Valid points within reach; and each point itself, since one in the padding must attend to something."""
        steps = torch.arange(valid.shape[1], device=valid.device)
        offset = (steps - steps[:, None]).abs()
        return (((offset <= self.reach) & valid[:, None]) | (offset == 0))[:, None]


class ScaledPath(nn.Module):
    """A path beside a skip connection: scaled by channel, and in training left out for some clips."""

    def __init__(self, config: ActionFormerConfig) -> None:
        super().__init__()
        self.dropout = config.path_dropout
        self.scale = nn.Parameter(torch.full((config.embed_dim,), config.path_scale))

    def forward(self, x: Float[Tensor, "clips points width"]) -> Float[Tensor, "clips points width"]:
        x = x * self.scale
        if self.training and self.dropout > 0:
            x = x * (torch.rand(len(x), 1, 1, device=x.device) >= self.dropout) / (1 - self.dropout)
        return x
