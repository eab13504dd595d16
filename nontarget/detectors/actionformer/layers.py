"""Layers of ActionFormer and their sizes: convolutions over time, and blocks of local self-attention (Zhang, Wu, Li, ECCV 2022)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ActionFormerConfig:
    """Sizes and loss settings of :class:`ActionFormer`. The defaults are the preset ``full``, those of the released code on THUMOS14."""

    embed_dim: int = 512
    """Width of all layers (ActionFormer's released code)."""
    num_heads: int = 4
    """Of the self-attention (ActionFormer's released code)."""
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
    """Width of the hidden layer of a block, in widths (ActionFormer's released code)."""
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
    """Score of every class to begin with (ActionFormer's released code)."""
    focal_alpha: float = 0.25
    """Weight of a right class in the focal loss; wrong ones have 1 - alpha (ActionFormer's released code)."""
    focal_gamma: float = 2.0
    """ActionFormer's released code."""
    shortest_crop: float = 0.9
    """Shortest random window of a labelled clip that training may see in its place, as a share of the clip; 1: no windows
    (ActionFormer's released code)."""


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
            x = norm(convolution(self.dropout(x).transpose(1, 2)).transpose(1, 2)).relu().masked_fill(~valid[..., None], 0.0)
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
        self.hidden = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, width),
            nn.Dropout(config.dropout),
            ScaledPath(config),
        )

    def forward(
        self, x: Float[Tensor, "clips points width"], valid: Bool[Tensor, "clips points"]
    ) -> tuple[Float[Tensor, "clips fewer width"], Bool[Tensor, "clips fewer"]]:
        left, padding = valid[:, :: self.stride], ~valid[..., None]
        y = self.norm(x).masked_fill(padding, 0.0).transpose(1, 2)
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
