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
# # Take the loss into your own loop
#
# What does it take to use non-target learning in a training loop that knows nothing of this library? One import. Here a plain PyTorch
# classifier learns from a few labelled points and many unlabelled ones; nothing but `non_target_loss` is ours.

# %%
import pandas as pd
import torch
from IPython.display import Markdown
from torch import nn

from nontarget import non_target_loss

# %% [markdown]
# The parameters: a made-up problem of classes in groups of two that are easily confused, and how long to train.

# %% tags=["parameters"]
num_classes = 10
dim = 16
num_labeled = 40
num_unlabeled = 1000
spread = 0.9
steps = 200
seed = 0

# %% [markdown]
# ## Simulated points
#
# Each class is a cloud around a centre; the centres of two classes of a group lie close together.

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
# Three ways to use the unlabelled points: not at all, by their most probable class (`terms=("target",)`), and by all three losses. The
# pseudo labels are the model's own predictions, without gradient; pass `pseudo_probs` to take those of a teacher. As ever, the first
# half of the steps learns from the labelled points alone.

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
# The share of test points named right, one seed; a chance guess is right for one class in `num_classes`.

# %%
pd.Series(accuracy, name="accuracy").round(3).to_frame().T

# %% [markdown]
# ## What we saw

# %%
Markdown(
    f"Simulated points, {num_labeled} of them labelled, seed {seed}: "
    + ", ".join(f"*{way}* {100 * value:.1f} %" for way, value in accuracy.items())
    + "."
)

# %% [markdown]
# The limits: a toy with one seed, there to show the call, not to compare the rules. In your own loop, mind three things: `logits` come
# before the softmax; background, if you have it, is a class like any other; and padding goes into `valid`, not into the logits.
