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
# # Calibration of the twins
#
# How hard should a simulated problem be? As hard as the real one is for the baseline. The noise of each twin was chosen so that the
# *baseline* at 10 % labels lands where the paper's baseline does. Only *supervised only* and *baseline* were run for it, with seeds that
# no table uses: how the paper's rule compares with them had no part in the choice.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.data.simulate import TWINS
from nontarget.paper import reported_map
from nontarget.plotting import difficulty
from nontarget.tables import calibration

# %% [markdown]
# The noise levels tried, and the seeds (of split and training). The tables use seeds 0, 1 and 2.

# %% tags=["parameters"]
dataset = "thumos14-sim"
noises = [0.9, 1.0, 1.1, 1.2]
seeds = [3, 4, 5]
ratio = 0.1
source = "committed"

# %% [markdown]
# ## Average mAP against noise
#
# Look for the noise at which the baseline crosses the dotted line, the paper's baseline.

# %%
scores = calibration(dataset, noises, seeds, label_ratio=ratio, source=source)
target = reported_map("table1", dataset, ratio).loc["Baseline", "avg"]
chosen = TWINS[dataset]["small"].noise
scores.pivot_table(index="noise", columns="rule", values="average_map", sort=False).round(1)

# %% mystnb={"image": {"alt": "Average mAP of supervised only and baseline against the noise of the twin, with the level aimed at."}}
difficulty(scores, target, chosen)

# %% [markdown]
# ## What we saw

# %%
baseline = scores[scores.rule == "baseline"].groupby("noise")["average_map"].mean()
near = baseline.sub(target).abs().idxmin()
Markdown(
    f"On `{dataset}` the baseline comes nearest to the paper's {target:g} at noise {near:g} ({baseline[near]:.1f} average mAP, mean of "
    f"{len(seeds)} seeds). The noise was set to {chosen:g}, read off between the levels tried, and has not been changed since."
)

# %% [markdown]
# The limits: one number was matched, the baseline's average mAP at 10 % labels. How mAP falls with tIoU, or rises with more labels, was
# not looked at; nor does an equal mAP make the twin's difficulties those of the real data.
