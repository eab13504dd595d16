"""What the paper leaves open: each question, the reading taken here, and the alternatives as experiments."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nontarget.experiment import Experiment
from nontarget.study.systems import TABLES

Changes = Mapping[str, Mapping[str, Any]]
"""Name of an alternative -> what it changes in an experiment of ``non-target``."""

REFERENCE = "non-target"


@dataclass(frozen=True)
class Reading:
    """One question that the paper does not settle."""

    name: str
    question: str
    where: str
    """Equation, section or table."""
    paper: str
    """What the paper says."""
    choice: str
    """The reading taken."""
    why: str
    alternatives: Callable[[Mapping[str, Any]], Changes]
    """From the identity of the plain experiment, since some alternatives are relative to its protocol or training."""

    @property
    def markdown(self) -> str:
        """Question, paper, reading and reason as prose."""
        return f"**{self.question}** ({self.where}) {self.paper} *Our reading*: {self.choice} *Why*: {self.why}"


def _always(alternatives: Changes) -> Callable[[Mapping[str, Any]], Changes]:
    return lambda identity: alternatives


def _read_otherwise(**settings: Any) -> dict[str, Any]:
    return {"rule": "non-target, other interpretations", "rule_settings": settings}


def _learning_rates(identity: Mapping[str, Any]) -> Changes:
    rate = identity["training"]["learning_rate"]
    return {f"x {factor}": {"training_settings": {"learning_rate": rate * factor}} for factor in (0.1, 3)}


def _windows(identity: Mapping[str, Any]) -> Changes:
    protocol = identity["protocol"]
    length, stride = protocol["num_snippets"], protocol["stride"]
    if protocol["windowing"] == "rescale":
        return {name: {"protocol_settings": {"num_snippets": n}} for name, n in (("T/2", length // 2), ("2T", length * 2))}
    return {
        "stride T/4": {"protocol_settings": {"stride": length // 4}},
        "stride T": {"protocol_settings": {"stride": length}},
        "T/2": {"protocol_settings": {"num_snippets": length // 2, "stride": stride // 2}},
    }


def _nms(identity: Mapping[str, Any]) -> Changes:
    sigma = identity["protocol"]["nms_sigma"]
    return {f"x {factor}": {"protocol_settings": {"nms_sigma": sigma * factor}} for factor in (0.5, 2)}


def _lambdas(_: Mapping[str, Any]) -> Changes:
    table = TABLES["table4"]
    return {name.removeprefix("lambda "): changes for name, changes in table.systems.items() if name != table.reference}


READINGS = (
    Reading(
        "precedence",
        "Which set keeps a class that Eqs. 8 and 10 both claim?",
        "Eqs. 4, 8 and 10",
        "Eq. 4 divides the label space into subspaces, yet a nearly uniform distribution, or 0.51, 0.44, 0.05, has classes that meet "
        "both Eq. 8 and Eq. 10.",
        "negative first.",
        'Sec. 3.5 picks positive classes among "the remaining non-target classes (excluding negative classes)".',
        _always({"positive first": {"rule_settings": {"precedence": "positive"}}}),
    ),
    Reading(
        "target",
        "Is the target class in the positive or negative set?",
        "Eqs. 8 and 10",
        "To the letter, the target meets Eq. 10 whenever lambda is at most 1, and Eq. 8 when max(p) = 1.",
        "it is in neither.",
        "Sec. 3.2 names positive and negative classes non-target classes, and Eq. 4 keeps the target apart.",
        _always({"target counted": _read_otherwise(target_in_sets=True)}),
    ),
    Reading(
        "normalisation",
        "Are the sums over classes divided by the size of the set?",
        "Eqs. 9 and 11",
        "Both losses are plain sums over the classes of a set. The sum of l_neg does not grow with the number of classes: -log(1 - p) is "
        "about p where p is small, and all p sum to 1. If every class but the target is negative and the softmax is uniform, l_neg is "
        "0.98, 0.99 and 1.00 for 21, 51 and 201 classes. The sum of l_pos does grow: each positive class adds a -log p of its own.",
        "sums.",
        "the equations say so.",
        _always({"means over the set": _read_otherwise(normalization="mean")}),
    ),
    Reading(
        "background",
        "What part does the background class take?",
        "Eq. 4, Sec. 3.1",
        "The label space has C + 1 classes, background among them; whether background may be positive or negative is not discussed.",
        "background is a class like any other.",
        "Eqs. 4, 5 and 8 run over all C + 1 classes.",
        _always({"outside the sets": _read_otherwise(background="outside"), "apart": _read_otherwise(background="apart")}),
    ),
    Reading(
        "lambda",
        "How near to the target must a positive class come?",
        "Eq. 10, Table 4",
        "Table 4 compares four values of lambda on the test videos of THUMOS14 and finds 0.85 best; for ActivityNet none is given.",
        "0.85 on every data set.",
        "it is the only value that the paper names as its own.",
        _lambdas,
    ),
    Reading(
        "alpha",
        "How much do unlabelled snippets weigh?",
        "Eqs. 1 and 12, Sec. 4.2",
        "Eq. 1 weighs the unsupervised loss by alpha, Sec. 4.2 sets it to 1, and Eq. 12 leaves it out.",
        "1, on the class and the localisation losses of unlabelled clips.",
        "Eqs. 1 and 12 agree there.",
        _always({str(weight): {"training_settings": {"unlabeled_weight": weight}} for weight in (0.5, 2.0)}),
    ),
    Reading(
        "teacher",
        "Which model gives the pseudo labels?",
        "Sec. 3.1, Fig. 2",
        "Self-training iteratively uses the current model to assign pseudo labels and trains a new one; how often is not said.",
        "the pre-trained model, frozen; with more `generations`, each trains a new student of the one before.",
        "it trains a new model, as the sentence says; with a teacher renewed each epoch the baseline lost mAP at this rate.",
        _always({"online": {"rule_settings": {"teacher": "online"}}}),
    ),
    Reading(
        "learning rate",
        "What is the learning rate of self-training?",
        "Sec. 4.2",
        'The sentence stops: "a learning rate of $10^{-4}$ for ActivityNet v1.3 and $10^{-5}$, and a cosine learning rate decay is used".',
        "1e-4 for ActivityNet and 1e-5 for THUMOS14 with the preset `full`; 1e-3 for all with the preset `small`.",
        "THUMOS14 is the other data set of that section; one rate for the small detector is assumed.",
        _learning_rates,
    ),
    Reading(
        "windows",
        "How are videos cut into clips?",
        "Sec. 4.2",
        "The temporal dimension T is fixed at 100 on ActivityNet and 256 on THUMOS14; whether and how windows overlap is not said.",
        "ActivityNet: the whole video rescaled to T snippets; else sliding windows of T snippets, every T/2. "
        "Twins and small sets have a T of their own.",
        "SPOT rescales on ActivityNet and slides on THUMOS14; half a window is assumed. Training and test clips change together.",
        _windows,
    ),
    Reading(
        "score",
        "What is the score of a candidate?",
        "Sec. 3.6",
        'The score is "class probability x mask score"; how either is taken over the snippets of a candidate is not said.',
        "the class probability is the mean inside minus the mean of the surroundings, the mask score the soft tIoU of candidate and mask.",
        "plain means rank a part of an instance as high as the whole instance; on development videos of three data sets no score that was "
        'tried gave supervised training more than 0.1 points more. `class_score` and `mask_score` = "mean" are the letter.',
        _always({"means": {"inference_settings": {"class_score": "mean", "mask_score": "mean"}}}),
    ),
    Reading(
        "refinement",
        "Is SPOT's boundary refinement part of the training?",
        "Sec. 3.1, Eq. 12",
        "Eq. 12 lists L_ref without a weight, and the paper takes it from SPOT.",
        "it is left out.",
        "its head is untrained when self-training begins, and its gradient on the embedding then exceeds that of the class loss; at a "
        "weight of 0.05 it is still half of it, and gains 0.6 points beside noise on the features, within the spread of two seeds. "
        "`refinement_weight` = 1 is the letter.",
        _always({"weight 1": {"detector_settings": {"refinement_weight": 1.0}}}),
    ),
    Reading(
        "noise",
        "Are features augmented?",
        "Sec. 4.2",
        "No augmentation is described.",
        "SPOT: Gaussian noise on the normalised features of a step, for all systems alike; the teacher sees none. ActionFormer: none.",
        "on development videos of `hapt` it added about 4 points to a detector trained with few labels. `feature_noise` = 0 is the letter.",
        _always({"none": {"training_settings": {"feature_noise": 0.0}}}),
    ),
    Reading(
        "local context",
        "Does the embedding see neighbouring snippets and their order?",
        "Sec. 3.1",
        "The embedding is a transformer, as in SPOT; whether it knows positions is not said.",
        "a convolution over neighbouring snippets precedes the attention of SPOT's embedding.",
        "without any sense of position all hidden snippets of a clip get the same reconstruction, so that L_rec teaches nothing. "
        "`context_layers` = 0 is SPOT's embedding.",
        _always({"none": {"detector_settings": {"context_layers": 0}}}),
    ),
    Reading(
        "soft-nms",
        "What is the threshold of Soft-NMS?",
        "Sec. 4.2",
        "A threshold of 0.6 (ActivityNet) and 0.4 (THUMOS14); Soft-NMS with gaussian decay has a width, and no such threshold.",
        "the width sigma of the gaussian decay.",
        "the width is the one number that gaussian decay has. Only inference changes.",
        _nms,
    ),
)


def alternatives(plain: Experiment) -> Iterator[tuple[Reading, str, Experiment]]:
    """Every alternative of every reading, named ``reading: alternative``.

    Args:
        plain: data set, ratio, preset, detector; its rule is replaced by ``non-target``, its seed is for the caller to vary.
    """
    plain = replace(plain, rule=REFERENCE)
    identity = plain.identity()
    for reading in READINGS:
        for name, changes in reading.alternatives(identity).items():
            yield reading, f"{reading.name}: {name}", replace(plain, **changes)


def readings_experiments(plain: Experiment) -> dict[str, Experiment]:
    """The reference (``non-target``) and every alternative by name, for :func:`nontarget.study.tables.compare`."""
    return {REFERENCE: replace(plain, rule=REFERENCE)} | {name: experiment for _, name, experiment in alternatives(plain)}
