"""Layers of SPOT and their sizes: the snippet embedding and the mask head (Secs. 3.1, 3.6; Nag et al. 2022)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class SpotConfig:
    """Sizes and loss settings of :class:`Spot`. The defaults are the preset ``full``."""

    embed_dim: int = 512
    """Width of the snippet embedding (assumed; the paper does not say)."""
    num_heads: int = 4
    """Of the self-attention (SPOT's released code)."""
    attention_dropout: float = 0.1
    """SPOT's released code."""
    output_dropout: float = 0.3
    """SPOT's released code."""
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
    """Of InfoNCE in L_ref (as released)."""
    mask_ratio: float = 0.25
    """Share of the snippets whose features are hidden for L_rec (assumed)."""
    reconstruction_weight: float = 1.0
    """Of L_rec (Eq. 12 has no weights: 1)."""
    refinement_weight: float = 0.0
    """Of L_ref, off. Deviation: Eq. 12 has no weights, so 1. At 0.05 it has half of the gradient on the embedding and, beside the
    noise of the preset, brings nothing that two seeds can show; without noise 0.1 helped (results/choices.csv). 1 is the letter."""
    pretrains_refinement: bool = True
    """Whether L_ref takes part in pre-training, on the labelled clips. Deviation: False would be the letter of Sec. 4.2; then its head is
    untrained when self-training begins."""


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
        similarity = kernels.transpose(1, 2) @ maps / kernels.shape[1] ** 0.5
        return similarity + self.offset_bias[offsets(valid.shape[1], self.reach, valid.device)]
