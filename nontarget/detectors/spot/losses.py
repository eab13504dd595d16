"""Losses of SPOT beside those of the class head: L_mask, L_ref, L_rec of Eq. 12 (Nag et al. 2022)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from nontarget.losses import mean_where


def mask_loss(
    mask_logits: Float[Tensor, "clips snippets snippets"],
    masks: Bool[Tensor, "clips snippets snippets"] | Float[Tensor, "clips snippets snippets"],
    row_weights: Float[Tensor, "clips snippets"],
    valid: Bool[Tensor, "clips snippets"],
) -> Float[Tensor, ""]:
    """L_mask = 0.4 weighted binary cross-entropy + 0.6 Dice, averaged over the rows of valid snippets by their weights."""
    # Of the size [clips, snippets, snippets], what is kept for the gradient is logits, target and probabilities.
    real = valid[:, None]
    target = masks.masked_fill(~real, 0).to(mask_logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(mask_logits, target, reduction="none")
    entropy = entropy.masked_fill_(~real, 0.0).sum(dim=-1) / real.sum(dim=-1)
    probs = mask_logits.masked_fill(~real, -torch.inf).sigmoid_()
    # With squares in the denominator, Dice is least where prediction and target agree, also for targets that are probabilities;
    # the ones make it 0 where both are empty.
    dice = 1 - (2 * (probs * target).sum(dim=-1) + 1) / (probs.square().sum(dim=-1) + target.square().sum(dim=-1) + 1)
    weights = row_weights.masked_fill(~valid, 0.0)
    return ((0.4 * entropy + 0.6 * dice) * weights).sum() / weights.sum().clamp(min=1e-6)


def reconstruction_loss(
    rebuilt: Float[Tensor, "clips snippets dim"],
    features: Float[Tensor, "clips snippets dim"],
    hidden: Bool[Tensor, "clips snippets"],
) -> Float[Tensor, ""]:
    """L_rec: mean squared error between the reconstruction of hidden snippets and their features; 0 if none is hidden."""
    return mean_where((rebuilt - features).square().mean(dim=-1), hidden)


def refinement_loss(
    embeddings: Float[Tensor, "clips snippets embed_dim"],
    background: Float[Tensor, "clips snippets"],
    valid: Bool[Tensor, "clips snippets"],
    border: int,
    num_easy: int,
    temperature: float,
) -> Float[Tensor, ""]:
    """L_ref: InfoNCE that draws hard snippets to the easy ones of their kind, away from the easy ones of the other kind.

    Hard foreground is the inner border of the predicted foreground (what binary erosion removes), hard background its outer border
    (what dilation adds); easy are the most confident snippets of a clip away from the border. Every (hard, easy) pair of the same kind
    is a positive pair, the easy snippets of the other kind are its negatives.

    Deviation: snippets are compared, of every clip. The released code picks feature channels, and lets the truth select the clips.

    Args:
        background: probability of background, without gradient.
        border: how far erosion and dilation go, in snippets.
        num_easy: at most as many easy snippets of each kind in a clip.
    """
    foreground = (background < 0.5) & valid
    dilated = _dilate(foreground, border) & valid
    core = foreground & ~_dilate(valid & ~foreground, border)
    unit = F.normalize(embeddings, dim=-1)
    to_foreground = _similarity_to_easy(unit, 1 - background, core, num_easy, temperature)
    to_background = _similarity_to_easy(unit, background, valid & ~dilated, num_easy, temperature)
    total, pairs = unit.new_zeros(()), unit.new_zeros(())
    for hard, (positive, real), (negative, real_negative) in (
        (foreground & ~core, to_foreground, to_background),
        (dilated & ~foreground, to_background, to_foreground),
    ):
        pair = hard[:, :, None] & (real & real_negative.any(dim=-1, keepdim=True))[:, None]
        against = negative.masked_fill(~real_negative[:, None], -1e4).logsumexp(dim=-1, keepdim=True)
        total = total + F.softplus(against - positive).masked_fill(~pair, 0.0).sum()
        pairs = pairs + pair.sum()
    return total / pairs.clamp(min=1)


def _similarity_to_easy(
    unit: Float[Tensor, "clips snippets embed_dim"],
    confidence: Float[Tensor, "clips snippets"],
    among: Bool[Tensor, "clips snippets"],
    count: int,
    temperature: float,
) -> tuple[Float[Tensor, "clips snippets easy"], Bool[Tensor, "clips easy"]]:
    """Similarity of every snippet to the ``count`` most confident ones ``among`` those of its clip, and which of these there are."""
    top = confidence.masked_fill(~among, -torch.inf).topk(min(count, confidence.shape[1]), dim=-1).indices
    easy = unit.gather(1, top[..., None].expand(-1, -1, unit.shape[-1]))
    return unit @ easy.transpose(1, 2) / temperature, among.gather(1, top)


def _dilate(mask: Bool[Tensor, "clips snippets"], by: int) -> Bool[Tensor, "clips snippets"]:
    return F.max_pool1d(mask.float(), 2 * by + 1, stride=1, padding=by) > 0
