# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The method, equation by equation
#
# What is computed, where in the code, and by which interpretation of the paper? Each equation stands beside the function that computes it,
# with an example that is small enough to check by hand.
#
# | symbol | name in the code | meaning |
# |:--|:--|:--|
# | $C$ | `num_classes` | action classes; background is index $C$, so a snippet has $C + 1$ probabilities |
# | $T$ | `num_snippets` | snippets of a clip |
# | $x$ | `features` | snippet features, `[clips, snippets, dim]` |
# | $p$ | `probs`, `pseudo_probs` | class distribution of a snippet; that of the teacher |
# | $\Omega^{tgt}, \Omega^{pos}, \Omega^{neg}, \Omega^{amb}$ | `target`, `positive`, `negative`, `ambiguous` | the four subspaces of the label space |
# | $\lambda$ | `positive_ratio` | how close to the target's probability a positive class must come |
# | $\alpha$ | `unlabeled_weight` | weight of the losses on unlabelled clips |
# | $\ell^{tgt}, \ell^{neg}, \ell^{pos}$ | `terms=("target", "negative", "positive")` | losses of a snippet |
# | $\mathcal{L}^m, \mathcal{L}^{ref}, \mathcal{L}^{rec}$ | `mask`, `refinement`, `reconstruction` | the detector's further losses |
# | tIoU | `tiou` | intersection over union of two segments in time |

# %%
import pandas as pd
import torch
from IPython.display import Markdown

from nontarget import LabelPartition, non_target_loss, partition_label_space, soft_nms
from nontarget.detectors.spot import mask_loss
from nontarget.losses import log_probabilities
from nontarget.metrics import interpolated_ap
from nontarget.segments import TimeGrid, assign_instances
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters describe one snippet: five classes, the last of which is background, and probabilities so uncertain that all four subspaces
# occur.

# %% tags=["parameters"]
classes = ["Sailing", "Putting on shoes", "Surfing", "Knitting", "background"]
probs = [0.30, 0.32, 0.22, 0.10, 0.06]
positive_ratio = 0.85

# %%
check_parameters(classes=classes, probs=probs, positive_ratio=positive_ratio)

# %% [markdown]
# ## The label space is split in four (Eqs. 4, 7, 8, 10)
#
# $$\Omega = \Omega^{tgt} \cup \Omega^{pos} \cup \Omega^{neg} \cup \Omega^{amb} \tag{4}$$
#
# The target is the most probable class. The negative classes are the least probable ones, as many as can be added up without exceeding the
# target's probability:
#
# $$\hat{p} = sorted(p) \tag{7}$$
# $$\Omega^{neg} = \Big\{k : \sum_{c=1}^{k} \hat{p}_c \le max(p)\Big\} \tag{8}$$
#
# The positive classes have a probability close to that of the target:
#
# $$\Omega^{pos} = \{k : \hat{p}_k \ge \lambda \cdot max(p)\} \tag{10}$$
#
# The remaining classes are ambiguous and have no loss. {py:func}`nontarget.partition_label_space` computes all four sets, without a gradient.

# %%
p = torch.tensor(probs)
sets = partition_label_space(p, positive_ratio)
pd.DataFrame(
    {"p": probs} | {name: mask.tolist() for name, mask in sets._asdict().items()},
    index=classes,
)

# %% [markdown]
# Three facts follow, each of them a property test of the library:
#
# - The least probable class is always negative. If $max(p) \ge 1/2$, every class but the target is. So only uncertain snippets have positive
#   classes: those with $max(p)$ below 1/2 or, if positives take precedence, up to $1/(1+\lambda)$, which is 0.54 at $\lambda = 0.85$.
# - Eqs. 8 and 10 can claim the same class, which Eq. 4 forbids. By default the negatives take precedence, since Sec. 3.5 chooses positives
#   among the remaining classes; `precedence="positive"` is the alternative.
# - Taken literally, Eq. 10 contains the target, and so does Eq. 8 where $max(p) = 1$. The target is removed from both.

# %%
torn, names = torch.tensor([0.51, 0.44, 0.05, 0.0, 0.0]), LabelPartition._fields
orders = {
    f"{o} first": partition_label_space(torn, positive_ratio, o)
    for o in ("negative", "positive")
}
pd.DataFrame(
    {
        o: [names[i] for i in torch.stack(sets).int().argmax(0)]
        for o, sets in orders.items()
    },
    index=classes,
)

# %% [markdown]
# ## The losses (Eqs. 5, 6, 9, 11)
#
# $$\ell^{tgt} = -\sum_{c=1}^{C+1} y^u_c \log p_c \tag{5}$$
# $$\tilde{\ell}^{neg} = -\log(1 - p_{c^{neg}}) \tag{6}$$
# $$\ell^{neg} = -\sum_{c \in \Omega^{neg}} \log (1 - p_c) \tag{9}$$
# $$\ell^{pos} = -\sum_{c \in \Omega^{pos}} \log p_c \tag{11}$$
#
# {py:func}`nontarget.non_target_loss` takes logits and computes in log space, so that it stays finite where $p$ is 0 or 1.

# %%
terms = ("target", "negative", "positive")
library = [
    non_target_loss(p.log(), p, positive_ratio=positive_ratio, terms=(t,)) for t in terms
]
by_hand = [-p[1].log(), -(1 - p[[3, 4]]).log().sum(), -p[0].log()]
losses = pd.DataFrame({"library": library, "by hand": by_hand}, index=terms, dtype=float)
losses.round(6)

# %% [markdown]
# A step against the gradient pulls the logits of the target and of the positive class up and pushes those of the negative classes down; an
# ambiguous class changes only through the softmax.

# %%
logits = p.log().requires_grad_()
non_target_loss(logits, p, positive_ratio=positive_ratio).backward()
pd.DataFrame({"p": probs, "pull on the logit": -logits.grad}, index=classes).round(3)

# %% [markdown]
# Where a float32 softmax rounds to 1, the loss still has the right value and gradient:

# %%
saturated = torch.tensor([40.0, 0.0, 0.0])
pd.DataFrame(
    torch.stack([saturated.softmax(-1), *log_probabilities(saturated)]).numpy(),
    index=["p", "log p", "log(1 - p)"],
)

# %% [markdown]
# ## Labelled and unlabelled snippets (Sec. 3.6)
#
# On a labelled snippet the label is the target, all other classes are negative, and none is positive. On an unlabelled snippet the sets come
# from a frozen copy of the model. The total loss is
#
# $$\mathcal{L} = \bar{\mathcal{L}}^s + \alpha\,\bar{\mathcal{L}}^u + \mathcal{L}^{m} + \mathcal{L}^{ref} + \mathcal{L}^{rec} \tag{12}$$
#
# with the $\alpha$ of Eq. 1, which is 1, averaged over the valid snippets of the batch; {py:func}`nontarget.training.training_losses` computes it term by term.

# %%
label = torch.tensor(0)
labelled = non_target_loss(p.log(), labels=label)
by_hand = -p[0].log() - (1 - p[1:]).log().sum()
losses.loc["labelled"] = [float(labelled), float(by_hand)]
losses.loc[["labelled"]].round(6)

# %% [markdown]
# ## The detector
#
# {py:class}`nontarget.detectors.spot.Spot` follows the description of SPOT {cite}`nag2022spot`: it has self-attention over snippets, a class
# head with $C + 1$ logits per snippet, and a mask head that predicts for each snippet which snippets belong to the same instance.
#
# A snippet has the class of the instance that covers its centre; an instance that covers no centre is assigned to the nearest snippet.

# %%
grid = TimeGrid(fps=2.0)
instances_s = torch.tensor([[0.6, 2.4], [3.05, 3.15]])
assign_instances(grid.to_snippets(instances_s), num_snippets=8).tolist()

# %% [markdown]
# The mask row of a snippet is 1 on its instance. $\mathcal{L}^m$ is 0.4 times a binary cross-entropy plus 0.6 times a Dice loss; the rows of
# background snippets, which should be empty, have a lower weight.

# %%
mask_logits = torch.tensor([[[2.0, 2.0, -2.0], [2.0, 2.0, -2.0], [-2.0, -2.0, -2.0]]])
masks = torch.tensor([[[True, True, False], [True, True, False], [False, False, False]]])
everywhere = torch.ones(1, 3, dtype=torch.bool)
float(mask_loss(mask_logits, masks, torch.tensor([[1.0, 1.0, 0.2]]), everywhere))

# %% [markdown]
# $\mathcal{L}^{rec}$ reconstructs the features of masked snippets; $\mathcal{L}^{ref}$ pulls the snippets at the border of the predicted
# foreground towards the confident ones of their kind. Neither needs labels ({py:mod}`nontarget.detectors.spot`). $\mathcal{L}^{ref}$ is off unless
# `refinement_weight` says otherwise; {doc}`choices` has the trials.
#
# ## From outputs to detections (Sec. 3.6)
#
# Every run of snippets above a class threshold is a candidate, and so is every run of its mask above a mask threshold. The score is
# the contrast of the class probability inside the segment with its surroundings, times the agreement of segment and mask;
# `class_score="mean"`, the mean probability, is the paper's letter, which ranks parts of an action before the whole. Windows are merged in video time, and Soft-NMS {cite}`bodla2017softnms`
# multiplies the score of a segment by $e^{-tIoU^2/\sigma}$ for each better segment: {py:func}`nontarget.soft_nms`.

# %%
segments = torch.tensor([[0.0, 10.0], [1.0, 11.0], [20.0, 24.0]])
kept, scores = soft_nms(segments, torch.tensor([0.9, 0.8, 0.3]), sigma=0.4)
pd.DataFrame(
    {"segment": [segments[i].tolist() for i in kept], "score": scores.tolist()}
).round(3)

# %% [markdown]
# ## What is measured (Sec. 4.1)
#
# {py:func}`nontarget.evaluate_detections` goes through the detections of a class in descending order of score. Each is matched with the free
# instance of highest tIoU, if that reaches the threshold. AP is the area under the interpolated precision-recall curve, and mAP its mean over
# classes. Every video counts; one without detections has misses only. In the example there are three instances, and of four detections the
# first, third and fourth are right:

# %%
hits = torch.tensor([[True], [False], [True], [True]]).numpy()
losses.loc["AP"] = [
    float(interpolated_ap(hits, num_instances=3)[0]),
    (1 + 3 / 4 + 3 / 4) / 3,
]
losses.loc[["AP"]].round(6)

# %% [markdown]
# ## Findings

# %%
largest = (losses["library"] - losses["by hand"]).abs().max()
Markdown(
    f"**In {len(losses)} examples, the library and the formula written out differ by at most "
    f"{largest:.0e}.**"
)

# %% [markdown]
# The limits: examples show what a function does, not that it is right everywhere. For that, the tests compare the partition with exact
# arithmetic, Soft-NMS and mAP with public evaluators, and check properties on random input.
