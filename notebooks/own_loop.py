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
# # Use the loss in your own training loop
#
# What is needed to use non-target learning in a training loop outside this library? One import is enough. On this page a plain PyTorch
# classifier learns from a few labelled points and many unlabelled ones; only `non_target_loss` comes from the library. At the end the
# loop trains a detector, with every term of the paper's total loss.

# %%
import pandas as pd
import torch
from IPython.display import Markdown
from torch import nn

from nontarget import data, detectors, non_target_loss, rules
from nontarget.study.parameters import check_parameters
from nontarget.training import training_losses

# %% [markdown]
# The parameters describe a made-up problem, with classes in groups of two that are easily confused, and the length of training; then the
# data set and the steps of the detector.

# %% tags=["parameters"]
num_classes = 10
dim = 16
num_labeled = 40
num_unlabeled = 1000
spread = 0.9
steps = 200
dataset = "activitynet-sim"
detector_steps = 10
seed = 0

# %%
check_parameters(
    num_classes=num_classes,
    dim=dim,
    num_labeled=num_labeled,
    num_unlabeled=num_unlabeled,
    spread=spread,
    steps=steps,
    dataset=dataset,
    detector_steps=detector_steps,
    seed=seed,
)

# %% [markdown]
# ## Simulated points
#
# Each class is a cloud of points around a centre; the centres of the two classes of a group are close to each other.

# %%
generator = torch.Generator().manual_seed(seed)
groups = torch.randn(num_classes // 2, 1, dim, generator=generator)
offsets = 0.6 * torch.randn(num_classes // 2, 2, dim, generator=generator)
centres = (groups + offsets).flatten(0, 1)
y = torch.randint(num_classes, (num_labeled + 2 * num_unlabeled,), generator=generator)
x = centres[y] + spread * torch.randn(len(y), dim, generator=generator)
(x_l, x_u, x_test) = x.split([num_labeled, num_unlabeled, num_unlabeled])
(y_l, _, y_test) = y.split([num_labeled, num_unlabeled, num_unlabeled])

# %% [markdown]
# ## The loop
#
# There are three ways to use the unlabelled points: not at all, by their most probable class (`terms=("target",)`), and by all three losses.
# The pseudo labels are the model's own predictions, without a gradient; pass `pseudo_probs` to use those of a teacher. The first half of
# the steps uses the labelled points only.

# %% tags=["tutorial"]
ways = {
    "labelled only": None,
    "target": ("target",),
    "non-target": ("target", "negative", "positive"),
}
accuracy = {}
for way, terms in ways.items():
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, num_classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)
    for step in range(steps):
        loss = non_target_loss(model(x_l), labels=y_l, terms=("target",))
        if terms and step >= steps // 2:
            loss = loss + non_target_loss(model(x_u), terms=terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy[way] = float((model(x_test).argmax(dim=-1) == y_test).float().mean())

# %% [markdown]
# The table has the accuracy on test points for one seed; chance is 1 / `num_classes`.

# %%
pd.Series(accuracy, name="accuracy").round(3).to_frame().T

# %% [markdown]
# ## A detector in your own loop
#
# A detector has more to learn than classes. {py:func}`nontarget.training.training_losses` gives every term of Eq. 12 on a batch of clips,
# weighted and by name: the loss of labelled clips, that of unlabelled ones, of masks, of reconstruction. It is what the library's own loop
# calls; this one leaves out the schedule, the frozen teacher and the pre-training.

# %% tags=["tutorial"]
twin = data.load_dataset(dataset)
split = data.split_dataset(twin, 0.1, seed)
features = data.Normalization.of([v.video for v in twin.train])
labeled = data.make_labeled_clips(split.labeled, twin.protocol, features, twin.num_classes)
unlabeled = data.make_clips(split.unlabeled, twin.protocol, features)

# %% tags=["tutorial"]
torch.manual_seed(seed)
settings = detectors.detector_settings("spot", "small")
spot = detectors.build_detector("spot", twin.feature_dim, twin.num_classes, settings)
optimizer = torch.optim.AdamW(spot.parameters(), lr=1e-3)
rule, curve = rules.get_rule("non-target"), []
for _ in range(detector_steps):
    few, many = (clips[torch.randint(len(clips), (8,))] for clips in (labeled, unlabeled))
    losses = training_losses(spot, rule, few, many)
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    curve.append({name: float(loss.detach()) for name, loss in losses.items()})

# %% [markdown]
# The terms at the first and at the last step. The pseudo labels are those of the student itself, which knows nothing at first: the paper
# trains it on labelled clips before, and then freezes a copy as the teacher.

# %%
pd.DataFrame([curve[0], curve[-1]], index=["first step", "last step"]).round(3)

# %% [markdown]
# ## Findings

# %%
accuracies = ", ".join(f"*{way}* {100 * value:.1f} %" for way, value in accuracy.items())
Markdown(
    f"**Test accuracy: {accuracies}**, on simulated points, {num_labeled} of them labelled, "
    f"with seed {seed}."
)

# %% [markdown]
# The limits: this is a toy problem with one seed, which shows how to call the loss and does not compare the rules. In your own loop, mind
# three things: `logits` are the values before the softmax; background, if you have it, is a class like any other; and padding is marked in
# `valid`, not in the logits.
