"""Share of each loss in the gradient, and the training curves that record it."""

import torch
from torch import nn

from nontarget.detectors.base import Losses

SHARE = "share of "

Curve = list[dict[str, float]]
"""One entry an epoch: the last learning rate, the mean of every loss, and ``share of <loss>``: its part in the gradient on the
parameters of the embedding at the first step of the epoch (norm of its gradient, divided by the sum of those norms)."""


def gradient_shares(losses: Losses, parameters: list[nn.Parameter]) -> dict[str, float]:
    """Each loss's part in the gradient on some parameters: the norm of its gradient, divided by the sum of the norms of all.

    Args:
        losses: scalars, already weighted; their graphs are kept.
        parameters: those of the embedding, which all losses share.
    """
    norms = {}
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) if loss.requires_grad else ()
        norms[name] = sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
    total = sum(norms.values())
    return {name: norm / total if total > 0 else 0.0 for name, norm in norms.items()}


def mean_gradient_shares(curve: Curve) -> dict[str, float]:
    """Each loss's share of the embedding's gradient, averaged over the epochs of a stage."""
    names = dict.fromkeys(key for entry in curve for key in entry if key.startswith(SHARE))
    return {name.removeprefix(SHARE): sum(entry.get(name, 0.0) for entry in curve) / len(curve) for name in names}
