"""Learning from target, negative and positive classes (Eqs. 5, 6, 9, 11, Sec. 3.6), in log space."""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nontarget.partition import LabelPartition, Precedence, check_partition_arguments, subspaces
from nontarget.value_checks import can_be_inspected, class_indices, classes_last, in_unit_interval, some_class_each

Term = Literal["target", "negative", "positive"]
Reduction = Literal["none", "mean", "sum"]
Activation = Literal["softmax", "sigmoid"]


def non_target_loss(
    logits: Float[Tensor, "*snippets classes"],
    pseudo_probs: Float[Tensor, "*snippets classes"] | None = None,
    labels: Int[Tensor, "*snippets"] | Bool[Tensor, "*snippets label_space"] | None = None,
    valid: Bool[Tensor, "*snippets"] | None = None,
    *,
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
    terms: tuple[Term, ...] = ("target", "negative", "positive"),
    reduction: Reduction = "mean",
    activation: Activation = "softmax",
) -> Tensor:
    """Loss of hybrid positive-negative learning (Sec. 3.6): ``l_tgt + l_neg + l_pos`` of every snippet.

    With ``labels`` (labelled snippets) the label is the target and every other class is negative; there are no positives. A snippet
    that has several classes (CliffDiving is also Diving) has several targets, over which ``l_tgt`` is the mean: cross-entropy with
    the uniform distribution over its classes. None of them is negative.
    Without them (unlabelled snippets) the sets are the partition of ``pseudo_probs``. The sum over the classes of a set is a sum,
    as in Eqs. 9 and 11; the mean is over snippets.

    Value and gradient are finite wherever the differences of ``logits`` are, saturated ones included: nothing is clamped.
    Half-precision logits give a float32 loss, since a sum over classes need not fit float16.

    With ``activation="sigmoid"`` the classes are independent (ActionFormer), and background is not among them: it gets the score
    ``1 - max(sigmoid(logits))``, as if its logit were ``-max(logits)``, and is the last class of the partition, which is taken of the
    scores divided by their sum. The losses are those of the sigmoid scores: ``-log s`` to pull, ``-log(1 - s)`` to push.

    Args:
        logits: class scores before the softmax, background included, or before the sigmoid, without it; any leading shape.
        pseudo_probs: probabilities that the sets are taken from, used without gradient; as ``logits``, after the activation. Each is
            in [0, 1] (checked on the CPU only); a row need not sum to 1, since Eqs. 8 and 10 do not change when it is scaled, but with
            softmax a row that sums to more is warned about. Where ``valid`` is False they do not matter. Default: the activation of
            ``logits``.
        labels: class index of every snippet, or, as bool, for every class whether the snippet has it; for ``sigmoid``, background is
            index ``classes``, after the classes of ``logits``. Where ``valid`` is False they do not matter.
        valid: False for padding, which then has no effect on value or gradient. Default: all True.
        positive_ratio: lambda of Eq. 10.
        precedence: which of Eqs. 8 and 10 keeps a class that both claim, see :func:`nontarget.partition_label_space`.
        terms: which of the three losses to add up; ``("target",)`` is cross-entropy.
        reduction: ``"mean"`` over the valid snippets (0 if there are none), ``"sum"``, or ``"none"`` for one value a snippet
            (0 where not valid).

    Returns:
        A scalar, or ``[...]`` for ``reduction="none"``.

    Raises:
        TypeError: a tensor has the wrong dtype.
        ValueError: shapes do not agree, an option is unknown, a label is outside ``[0, classes)``, a snippet has no class, a pseudo
            probability is outside [0, 1], or another axis than the last holds their classes (these four are checked on the CPU only,
            also within ``torch.func.vmap``, ``grad`` and a compiled graph); or both ``labels`` and ``pseudo_probs`` are given.
    """
    _check_arguments(logits, pseudo_probs, labels, valid, terms, reduction, activation)
    check_partition_arguments(positive_ratio, precedence)
    if pseudo_probs is not None:
        pseudo_probs = _checked(pseudo_probs.detach(), logits, valid, activation)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if valid is not None:
        # Before anything else: NaN in the padding would survive a multiplication by zero, and reach the gradient.
        logits = logits.masked_fill(~valid.unsqueeze(-1), 0.0)

    if labels is not None:
        if valid is not None:
            labels = labels | ~valid.unsqueeze(-1) if labels.dtype == torch.bool else labels.masked_fill(~valid, 0)
        sets = labelled_partition(labels, logits.shape[-1] + (activation == "sigmoid"))
    elif activation == "softmax":
        sets = subspaces(logits.detach().softmax(dim=-1) if pseudo_probs is None else pseudo_probs, positive_ratio, precedence)
    else:
        scores = logits.detach().sigmoid() if pseudo_probs is None else pseudo_probs
        sets = subspaces(distribution_of_scores(scores), positive_ratio, precedence)
    loss = loss_of_sets(logits, sets, terms, activation)

    if valid is not None:
        loss = loss.masked_fill(~valid, 0.0)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    return loss.sum() / max(loss.numel(), 1) if valid is None else mean_where(loss, valid)


def mean_where(loss: Float[Tensor, "*snippets"], chosen: Bool[Tensor, "*snippets"]) -> Float[Tensor, ""]:
    """Mean over the chosen snippets, 0 if there are none; what is not chosen has no effect on value or gradient."""
    return loss.masked_fill(~chosen, 0.0).sum() / chosen.sum().clamp(min=1)


def labelled_partition(labels: Int[Tensor, "*snippets"] | Bool[Tensor, "*snippets label_space"], num_classes: int) -> LabelPartition:
    """Sets of labelled snippets (Sec. 3.6): the label is the target, all other classes are negative.

    Deviation: where a snippet has several classes (``labels`` of bool), all of them are targets; the paper has one label for each.
    """
    if labels.dtype == torch.bool:
        target = some_class_each(labels) if can_be_inspected(labels) else labels
    else:
        labels = class_indices(labels, num_classes) if can_be_inspected(labels) else labels
        target = labels.unsqueeze(-1) == torch.arange(num_classes, device=labels.device)
    empty = torch.zeros_like(target)
    return LabelPartition(target, empty, ~target, empty)


def log_probabilities(
    logits: Float[Tensor, "*snippets classes"],
) -> tuple[Float[Tensor, "*snippets classes"], Float[Tensor, "*snippets classes"]]:
    """``log p_c`` and ``log(1 - p_c)`` of the softmax for every class; value and gradient are finite for finite logits.

    Both are written through the odds of the top class, S = sum over the others of exp(z_c - z_top), so that neither loses
    accuracy where p is close to 1, as ``log_softmax`` in float32 does. A single class has p = 1 and ``log(1 - p) = -inf``.
    """
    top_index = logits.argmax(dim=-1, keepdim=True)
    top = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, top_index, True)
    below_top = logits - logits.gather(-1, top_index)  # not amax, whose gradient is shared among equals
    others = below_top.masked_fill(top, -torch.inf)
    log_p = below_top - torch.log1p(others.exp().sum(dim=-1, keepdim=True))
    # log(1 - p_top) is the log of what the others sum to; the others have p <= 1/2, where log1p is accurate.
    log_rest = log_p.masked_fill(top, -torch.inf)
    log_1m_p = torch.where(top, log_rest.logsumexp(dim=-1, keepdim=True), torch.log1p(-log_rest.exp()))
    return log_p, log_1m_p


def distribution_of_scores(scores: Float[Tensor, "*snippets classes"]) -> Float[Tensor, "*snippets classes_and_background"]:
    """Independent scores in [0, 1] as one distribution: background, ``1 - max(scores)``, is appended, and the sum made 1."""
    if scores.dtype in (torch.float16, torch.bfloat16):
        scores = scores.float()
    extended = torch.cat((scores, 1 - scores.amax(dim=-1, keepdim=True)), dim=-1)
    return extended / extended.sum(dim=-1, keepdim=True)


def loss_of_sets(
    logits: Float[Tensor, "*snippets classes"], sets: LabelPartition, terms: tuple[Term, ...], activation: Activation
) -> Float[Tensor, "*snippets"]:
    """Eqs. 5, 9 and 11 for every snippet on given sets of classes, those that ``terms`` names added up.

    Several targets share the mass of one: ``l_tgt`` is the mean over them, where ``l_neg`` and ``l_pos`` are sums.
    """
    if activation == "softmax":
        log_p, log_1m_p = log_probabilities(logits)
    else:
        background = -logits.gather(-1, logits.argmax(dim=-1, keepdim=True))  # not amax, whose gradient is shared among equals
        extended = torch.cat((logits, background), dim=-1)
        log_p, log_1m_p = F.logsigmoid(extended), F.logsigmoid(-extended)
    loss = logits.new_zeros(logits.shape[:-1])
    if "target" in terms:
        loss = loss - log_p.where(sets.target, 0.0).sum(dim=-1) / sets.target.sum(dim=-1).clamp(min=1)  # Eq. 5
    if "negative" in terms and log_p.shape[-1] > 1:
        loss = loss - log_1m_p.where(sets.negative, 0.0).sum(dim=-1)  # Eq. 9
    if "positive" in terms:
        loss = loss - log_p.where(sets.positive, 0.0).sum(dim=-1)  # Eq. 11
    return loss


def candidate_loss(logits: Float[Tensor, "*snippets classes"], candidates: Bool[Tensor, "*snippets classes"]) -> Float[Tensor, "*snippets"]:
    """``-log sum_{c in candidates} p_c`` of the softmax: the true class is one of the candidates, and it is left open which.

    This is the likelihood of partial-label learning (Jin and Ghahramani 2002). Its gradient is ``p - w`` with ``w_c = p_c / sum p``
    within the candidates and 0 elsewhere: that of the cross-entropy with candidates weighted by the model itself, which PRODEN
    (Lv et al. 2020) and RC (Feng et al. 2020) minimise. With one candidate it is ``l_tgt``, with all classes it is 0.

    Args:
        logits: class scores before the softmax.
        candidates: at least one class of every snippet.
    """
    return logits.logsumexp(dim=-1) - logits.masked_fill(~candidates, -torch.inf).logsumexp(dim=-1)


def _check_arguments(
    logits: Tensor,
    pseudo_probs: Tensor | None,
    labels: Tensor | None,
    valid: Tensor | None,
    terms: tuple[Term, ...],
    reduction: str,
    activation: str,
) -> None:
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        raise TypeError(f"logits must be a floating-point tensor [..., classes], got {getattr(logits, 'dtype', type(logits))}")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must be [..., classes] with at least one class, got shape {tuple(logits.shape)}")
    if labels is not None and pseudo_probs is not None:
        raise ValueError("give labels (labelled snippets) or pseudo_probs (unlabelled snippets), not both")
    for name, value in (("pseudo_probs", pseudo_probs), ("labels", labels), ("valid", valid)):
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if pseudo_probs is not None and not pseudo_probs.is_floating_point():
        raise TypeError(f"pseudo_probs must be a floating-point tensor, got {pseudo_probs.dtype}")
    if pseudo_probs is not None and pseudo_probs.shape != logits.shape:
        raise ValueError(f"pseudo_probs must have the shape of logits, {tuple(logits.shape)}, got {tuple(pseudo_probs.shape)}")
    if labels is not None and labels.is_floating_point():
        raise TypeError(f"labels must be integers, or bool for several classes a snippet, got {labels.dtype}")
    several = labels is not None and labels.dtype == torch.bool
    label_space = (logits.shape[-1] + (activation == "sigmoid"),) if several else ()
    for name, tensor, classes in (("labels", labels, label_space), ("valid", valid, ())):
        if tensor is not None and tensor.shape != logits.shape[:-1] + classes:
            raise ValueError(f"{name} must have shape {(*logits.shape[:-1], *classes)}, got {tuple(tensor.shape)}")
    if valid is not None and valid.dtype != torch.bool:
        raise TypeError(f"valid must be bool, got {valid.dtype}")
    if isinstance(terms, str) or not terms or not set(terms) <= set(get_args(Term)):
        raise ValueError(f"terms must be a non-empty tuple out of {get_args(Term)}, got {terms!r}")
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {get_args(Reduction)}, got {reduction!r}")
    if activation not in get_args(Activation):
        raise ValueError(f"activation must be one of {get_args(Activation)}, got {activation!r}")


def _checked(pseudo_probs: Tensor, logits: Tensor, valid: Tensor | None, activation: Activation) -> Tensor:
    """``pseudo_probs``, once their values have been looked at."""
    if not can_be_inspected(pseudo_probs):
        return pseudo_probs
    # Where logits are NaN the loss is too: training that diverges shows as that, also where the teacher is the student.
    counts = ~logits.detach().isnan().any(dim=-1)
    counts = counts if valid is None else counts & valid
    pseudo_probs = in_unit_interval(pseudo_probs, counts)
    return classes_last(pseudo_probs, counts, True) if activation == "softmax" and pseudo_probs.ndim > 1 else pseudo_probs
