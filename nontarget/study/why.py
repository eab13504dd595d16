"""Why a rule gains or does not: what each term of the paper's loss does to the true class, by the subspace that it lies in."""

import copy
from dataclasses import dataclass, field

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nontarget.calibration import snippet_logits
from nontarget.data import LabeledClips, Normalization, make_labeled_clips, split_dataset
from nontarget.detectors.base import Detector
from nontarget.experiment import Experiment
from nontarget.losses import Term, loss_of_sets
from nontarget.partition import LabelPartition, Precedence, partition_label_space
from nontarget.runtime.devices import cpu_threads
from nontarget.training import StageName

TERMS: dict[str, tuple[Term, ...]] = {"l_tgt": ("target",), "l_neg": ("negative",), "l_pos": ("positive",)}


def gradient_to_truth(
    logits: Float[Tensor, "n classes"],
    pseudo_probs: Float[Tensor, "n classes"],
    labels: Int[Tensor, " n"],
    positive_ratio: float = 0.85,
    precedence: Precedence = "negative",
) -> pd.DataFrame:
    """The gradient that each term of the paper's loss sends to the logit of the true class, by the subspace that the truth lies in.

    A step of gradient descent lowers the true class where the gradient is above 0, and raises it where it is below.

    Args:
        logits: the student's, background included (softmax).
        pseudo_probs: the teacher's probabilities, which the sets are taken from.
        labels: true classes.
        positive_ratio: lambda of Eq. 10.
        precedence: see :func:`nontarget.partition_label_space`.

    Returns:
        Four rows, by ``subspace``: ``share`` of the snippets; ``l_tgt``, ``l_neg``, ``l_pos``, mean gradient of one snippet's term (NaN
        where there is no snippet), and ``total``, that of their sum.
    """
    sets = partition_label_space(pseudo_probs, positive_ratio, precedence)
    gradients = {}
    for name, terms in TERMS.items():
        leaf = logits.detach().double().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(loss_of_sets(leaf, sets, terms, "softmax").sum(), leaf)
        gradients[name] = gradient.gather(-1, labels[:, None]).squeeze(-1)
    gradients["total"] = torch.stack(list(gradients.values())).sum(dim=0)
    rows = []
    for subspace in LabelPartition._fields:
        inside = _truth_in(getattr(sets, subspace), labels)
        means = {name: float(gradient[inside].mean()) for name, gradient in gradients.items()}
        rows.append({"subspace": subspace, "share": float(inside.double().mean()), **means})
    return pd.DataFrame(rows)


@dataclass
class GradientLog:
    """Follows :func:`gradient_to_truth` over training: an ``on_epoch`` for :func:`nontarget.experiment.train`.

    It measures what the paper's loss would do after each epoch, whatever rule trains. The teacher is the pre-trained detector; during
    pre-training, and where pseudo labels are renewed, it is the detector itself.
    """

    clips: LabeledClips
    """With their truth: see :func:`hidden_clips`. Their tensors lie where the detector does, or are moved."""
    renewed: bool = False
    """Whether self-training takes its pseudo labels from the current model."""
    temperature: float = 1.0
    """What the teacher's logits are divided by."""
    positive_ratio: float = 0.85
    precedence: Precedence = "negative"
    rows: list[pd.DataFrame] = field(default_factory=list)
    _teacher: Detector | None = None

    def __call__(self, stage: StageName, epoch: int, detector: Detector) -> None:
        if stage == "pretrain":
            self._teacher = copy.deepcopy(detector)
        teacher = detector if self.renewed or stage == "pretrain" or self._teacher is None else self._teacher
        logits, labels, activation = snippet_logits(detector, self.clips)
        if activation != "softmax":
            raise ValueError(f"GradientLog needs a detector with a softmax over classes and background, such as 'spot'; got {activation!r}")
        teacher_logits = logits if teacher is detector else snippet_logits(teacher, self.clips)[0]
        pseudo_probs = (teacher_logits / self.temperature).softmax(dim=-1)
        frame = gradient_to_truth(logits, pseudo_probs, labels, self.positive_ratio, self.precedence)
        self.rows.append(frame.assign(stage=stage, epoch=epoch))

    @property
    def frame(self) -> pd.DataFrame:
        """All epochs so far: ``stage``, ``epoch`` and the columns of :func:`gradient_to_truth`."""
        frame = pd.concat(self.rows, ignore_index=True)
        return frame[["stage", "epoch", *(c for c in frame.columns if c not in ("stage", "epoch"))]]


def hidden_clips(experiment: Experiment) -> LabeledClips:
    """Clips of the training videos whose labels an experiment hides, with these labels.

    Raises:
        ValueError: it hides none.
    """
    dataset = experiment.load()
    label_ratio = experiment.identity()["label_ratio"]
    labeled = {v.video.video_id for v in split_dataset(dataset, label_ratio, experiment.seed).labeled}
    hidden = [v for v in dataset.train if v.video.video_id not in labeled]
    if not hidden:
        raise ValueError("experiment hides no labels, so there is no truth to look up; use a label ratio below 1")
    normalization = Normalization.of([*(v.video for v in dataset.train), *dataset.unlabeled])
    with cpu_threads(1):
        return make_labeled_clips(hidden, dataset.protocol, normalization, dataset.num_classes)


def _truth_in(classes: Tensor, labels: Tensor) -> Tensor:
    """Whether each snippet's true class is in its set."""
    return classes.gather(-1, labels[:, None]).squeeze(-1)
