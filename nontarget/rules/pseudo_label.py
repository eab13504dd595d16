"""Pseudo labels: the most probable class of a teacher, selected, softened, or taken as complementary labels."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nontarget.detectors.base import Detector, DetectorOutput, Losses, Targets
from nontarget.losses import Activation, Term, distribution_of_scores, loss_of_sets, mean_where, non_target_loss
from nontarget.partition import LabelPartition, partition_label_space
from nontarget.rules.base import LearningRule, View
from nontarget.rules.views import hide_span


@dataclass(frozen=True, kw_only=True)
class Baseline(LearningRule):
    """Cross-entropy with the argmax pseudo label of every unlabelled snippet."""

    name: ClassVar[str] = "baseline"

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        return non_target_loss(logits, pseudo_probs, valid=valid, terms=("target",), activation=activation)


@dataclass(frozen=True, kw_only=True)
class SelectedTargets(Baseline):
    """The argmax pseudo label where a snippet's score reaches the threshold of its class; nothing elsewhere."""

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        targets = detector.pseudo_targets(pseudo)
        score = self.scores(detector, pseudo)
        trusted = (score >= statistics[targets.labels]) & output.valid
        chosen = replace(targets, weights=trusted * self.weights(detector, pseudo))
        return {"class": detector.class_loss(output, chosen), **detector.localization_loss(output, chosen)}

    def epoch_statistics(
        self, detector: Detector, labels: Int[Tensor, " n"], outputs: Iterable[DetectorOutput]
    ) -> Float[Tensor, " classes"]:
        """One threshold per class, background last."""
        scores, predicted = [], []
        for output in outputs:
            scores.append(self.scores(detector, output)[output.valid])
            predicted.append(detector.pseudo_targets(output).labels[output.valid])
        return self.thresholds(torch.cat(scores), torch.cat(predicted), detector.num_classes + 1)

    def scores(self, detector: Detector, pseudo: DetectorOutput) -> Float[Tensor, "clips snippets"]:
        """How far a snippet's pseudo label is trusted: its probability."""
        return pseudo.distribution.amax(dim=-1)

    def weights(self, detector: Detector, pseudo: DetectorOutput) -> Float[Tensor, "clips snippets"]:
        """Weight of a snippet that is trusted."""
        return torch.ones_like(pseudo.class_logits[..., 0])

    @abstractmethod
    def thresholds(self, scores: Float[Tensor, " n"], predicted: Int[Tensor, " n"], num_classes: int) -> Float[Tensor, " classes"]:
        """Lowest score that is trusted, for each class, given the scores and pseudo labels of all unlabelled snippets."""


@dataclass(frozen=True, kw_only=True)
class NoisyPseudoLabels(SelectedTargets):
    """Snippets ranked by class confidence times agreement of class span and mask span; the best of each class, weighted by agreement."""

    name: ClassVar[str] = "NPL-style"
    needs: ClassVar[frozenset[str]] = frozenset({"agreement"})

    kept_share: float = 0.5
    """Share of each predicted class that is kept (assumed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.kept_share <= 1:
            raise ValueError(f"kept_share must be in (0, 1], got {self.kept_share!r}")

    def scores(self, detector: Detector, pseudo: DetectorOutput) -> Tensor:
        return super().scores(detector, pseudo) * detector.agreement(pseudo)

    def weights(self, detector: Detector, pseudo: DetectorOutput) -> Tensor:
        return detector.agreement(pseudo)

    def thresholds(self, scores: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
        """The score of the last snippet of each class that is kept; infinite for a class that was never predicted."""
        order = scores.argsort(descending=True)
        order = order[predicted[order].argsort(stable=True)]  # by class, best first
        counts = predicted.bincount(minlength=num_classes)
        last = counts.cumsum(0) - counts + (self.kept_share * counts).ceil().long() - 1
        cutoffs = scores[order[last.clamp(min=0)]]
        return torch.where(counts > 0, cutoffs, torch.inf)


@dataclass(frozen=True, kw_only=True)
class FixMatch(SelectedTargets):
    """Pseudo labels above one confidence; the student sees clips with a span hidden."""

    name: ClassVar[str] = "FixMatch-style"

    confidence: float = 0.95
    """Lowest probability that is trusted (FixMatch)."""
    hidden_share: float = 0.1
    """Share of a clip that the student does not see (assumed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("confidence", "hidden_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)!r}")

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        return View(hide_span(features, valid, self.hidden_share))

    def thresholds(self, scores: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
        return torch.full((num_classes,), self.confidence, device=scores.device)


@dataclass(frozen=True, kw_only=True)
class FlexMatch(FixMatch):
    """FixMatch with a lower threshold for classes that are learnt slowly, of which few snippets reach the confidence."""

    name: ClassVar[str] = "FlexMatch-style"

    def thresholds(self, scores: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
        """Each class's share of the most frequent one's confident snippets, mapped by ``x / (2 - x)`` (FlexMatch, Eqs. 5-7 and 10).

        Deviation: background, by far the most frequent, has the full confidence, and is not what the others are compared with.
        """
        learnt = predicted[scores >= self.confidence].bincount(minlength=num_classes)[:-1]
        unlearnt = (predicted < num_classes - 1).sum() - learnt.sum()  # at first few are confident: they do not rush ahead
        share = learnt / torch.maximum(learnt.max(), unlearnt).clamp(min=1)
        return torch.cat((self.confidence * share / (2 - share), scores.new_full((1,), self.confidence)))


@dataclass(frozen=True, kw_only=True)
class SoftPseudoLabel(LearningRule):
    """Cross-entropy with the whole distribution on mixed clips, a class prior that prevents collapse, and an entropy penalty."""

    name: ClassVar[str] = "soft pseudo label"
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    mixup: float = 4.0
    """Parameter of the beta distribution that shares are drawn from (Arazo et al.)."""
    prior_weight: float = 0.8
    """Weight of the divergence between the class prior and the mean prediction (Arazo et al.)."""
    entropy_weight: float = 0.4
    """Weight of the mean entropy (Arazo et al.)."""

    def view(self, detector: Detector, features: Tensor, valid: Tensor) -> View:
        order = torch.randperm(len(features)).to(features.device)
        share = torch.distributions.Beta(self.mixup, self.mixup).sample((len(features),)).to(features.device)
        return View(
            (share[:, None, None] * features + (1 - share)[:, None, None] * features[order]).masked_fill(~valid[..., None], 0.0),
            lambda output: detector.mix(output, order, share),
        )

    def epoch_statistics(self, detector: Detector, labels: Tensor, outputs: Iterable[DetectorOutput]) -> Tensor:
        """The class prior: frequencies of the labelled snippets.

        Deviation: Arazo et al. take a uniform prior; most snippets of untrimmed video are background.
        """
        return labels.bincount(minlength=detector.num_classes + 1) / len(labels)

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        return mean_where(-(pseudo_probs * logits.log_softmax(dim=-1)).sum(dim=-1), valid)

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        log_probs = output.class_logits[output.valid].log_softmax(dim=-1)
        mean = log_probs.exp().mean(dim=0)
        divergence = torch.special.xlogy(statistics, statistics) - statistics * mean.clamp(min=1e-12).log()
        return super().unlabeled_losses(detector, output, pseudo, statistics) | {
            "prior": self.prior_weight * divergence.sum(),
            "entropy": -self.entropy_weight * (log_probs.exp() * log_probs).sum(dim=-1).mean(),
        }


@dataclass(frozen=True, kw_only=True)
class ComplementaryLabel(LearningRule):
    """Target learning, and negative learning of one non-target class, drawn uniformly in every step.

    Deviation: the paper says that the idea was built into its own method, not how; so the target's loss stays (assumed).
    """

    name: ClassVar[str] = "complementary label"

    with_target: bool = True
    """Whether the loss of the target class (Eq. 5) is added."""

    def unlabeled_loss(self, logits: Tensor, pseudo_probs: Tensor, valid: Tensor, activation: Activation = "softmax") -> Tensor:
        probs = pseudo_probs if activation == "softmax" else distribution_of_scores(pseudo_probs)
        target = partition_label_space(probs).target
        chosen = torch.rand_like(probs).masked_fill(target, -1.0).argmax(dim=-1, keepdim=True)
        one = torch.zeros_like(target).scatter(-1, chosen, True)
        terms: tuple[Term, ...] = ("target", "negative") if self.with_target else ("negative",)
        loss = loss_of_sets(logits, LabelPartition(target, target & False, one, ~(target | one)), terms, activation)
        return mean_where(loss, valid)


@dataclass(frozen=True, kw_only=True)
class SpotRule(Baseline):
    """Argmax pseudo labels, masks cut to 0 and 1, and pre-training by finding a random foreground.

    Masked reconstruction and boundary refinement, SPOT's too, belong to the detector: every rule has them (Eq. 12).
    """

    name: ClassVar[str] = "SPOT"
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})

    mask_threshold: float = 0.7
    """Mask probability above which a snippet belongs to the pseudo instance (SPOT)."""

    def unlabeled_losses(
        self, detector: Detector, output: DetectorOutput, pseudo: DetectorOutput, statistics: Any, *, truth: Targets | None = None
    ) -> Losses:
        loss = self.unlabeled_loss(output.class_logits, pseudo.class_probs, output.valid, output.activation)
        soft = detector.pseudo_targets(pseudo)
        return {"class": loss, **detector.localization_loss(output, replace(soft, localization=soft.localization > self.mask_threshold))}

    def pretext_losses(self, detector: Detector, features: Tensor, valid: Tensor, pretraining: bool) -> Losses:
        return detector.foreground_loss(features, valid) if pretraining else {}

    def pretraining_settings(self) -> dict[str, Any]:
        return super().pretraining_settings() | {"pretext": self.name}
