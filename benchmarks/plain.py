"""Plain versions of what ``bench.py`` times, written from the definitions with torch's own operations: what ours is compared with."""

import torch
from torch.nn import functional as F


def partition(probs, positive_ratio=0.85):
    """Target, positive, negative and ambiguous classes (Eqs. 4-10), each class sorted with its probability."""
    top, index = probs.max(dim=-1, keepdim=True)
    target = torch.zeros_like(probs, dtype=torch.bool).scatter(-1, index, True)
    ascending, classes = probs.masked_fill(target, torch.inf).sort(dim=-1, stable=True)
    negative = torch.zeros_like(target).scatter(-1, classes, ascending.cumsum(dim=-1) <= top)
    positive = (probs >= positive_ratio * top) & ~target & ~negative
    return target, positive, negative, ~(target | positive | negative)


def non_target_loss(logits, pseudo_probs):
    """Eqs. 5, 9 and 11 as they stand, without care for a probability that rounds to 1."""
    target, positive, negative, _ = partition(pseudo_probs)
    log_p = F.log_softmax(logits, dim=-1)
    pulled = log_p.where(target | positive, 0.0).sum(dim=-1)
    return -(pulled + torch.log1p(-log_p.exp()).where(negative, 0.0).sum(dim=-1)).mean()


def soft_nms(segments, scores, labels, videos, sigma=0.5, min_score=0.001, limit=200):
    """Gaussian Soft-NMS of one class of one video after another."""
    kept = []
    for group in (videos * (labels.max() + 1) + labels).unique():
        live = scores.where(videos * (labels.max() + 1) + labels == group, 0.0)
        members = (live >= min_score).nonzero().squeeze(1)
        live, (start, end) = live[members], segments[members].unbind(dim=1)
        for _ in range(min(limit, len(members))):
            best = int(live.argmax())
            if live[best] < min_score:
                break
            kept.append((members[best], live[best].clone()))
            overlap = (torch.minimum(end, end[best]) - torch.maximum(start, start[best])).clamp(min=0)
            tiou = overlap / (end - start + end[best] - start[best] - overlap)
            live = live * (-(tiou**2) / sigma).exp()
            live[best] = 0
    return kept
