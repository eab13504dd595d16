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
# # Table 1 on one data set
#
# How much do unlabelled videos add, and what does learning from non-target classes add to that? One data set, one label ratio,
# every system on the same features, splits, seeds and training budget.
#
# With the repository's environment active, `papermill notebooks/table1.ipynb out.ipynb -p ratio 0.2` runs it at another label ratio,
# `-p dataset hapt` on a folder under `NONTARGET_DATA`, `-p features DIR` on your own features.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting import map_by_ratio, map_by_tiou
from nontarget.study.marks import marked
from nontarget.study.systems import MAIN_SYSTEMS
from nontarget.study.tables import complete_ratios, paper_table

# %% [markdown]
# The parameters: the data set (or `features`, a feature folder to use instead), the share of labelled training videos, how many seeds
# (each draws its own split), the preset (`small` or `full`), the systems (`main`, or `all` of Table 1), the device. `source` is `run` to compute what is not yet in the
# store on this machine, or `committed` to read the repository's committed results.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seeds = 3
features = None
preset = "small"
systems = "main"
device = "auto"
source = "auto"

# %% [markdown]
# ## The table
#
# Look at the column Δ first: the difference to the baseline in average mAP, paired by seed. An interval that contains 0 says that
# these seeds cannot tell the two apart.

# %%
problem = {"dataset": dataset, "seeds": seeds, "features": features, "preset": preset}
problem["systems"] = MAIN_SYSTEMS if systems == "main" else None
running = {"device": device} if source in ("auto", "run") else {}
comparison = paper_table("table1", label_ratio=ratio, source=source, **problem, **running)
comparison = marked(comparison, preset=preset, features=features)
comparison

# %% [markdown]
# ## By tIoU
#
# A higher tIoU asks for tighter borders. A rule that only names classes better lifts the whole curve; one that finds better borders
# lifts its right end. Bars are standard deviations over seeds.

# %% mystnb={"image": {"alt": "Mean AP against tIoU, one line for each system, with standard deviations over seeds."}}
map_by_tiou(comparison)

# %% [markdown]
# ## By label ratio
#
# The floor should rise with more labels, and what unlabelled videos can add should shrink.

# %% mystnb={"image": {"alt": "Average mAP against the share of labelled videos, one line for each system."}}
known = complete_ratios(source="stored" if source == "run" else "committed", **problem)
alone = Markdown("Results at one label ratio alone are here; run another to see the curve.")
map_by_ratio(known) if len(known) > 1 else alone

# %% [markdown]
# ## What we saw

# %%
Markdown(comparison.findings)

# %% [markdown]
# The limits: a small detector, few seeds, and for simulated data a problem of our own making. The interval covers the seeds (split,
# initial weights, batches), not the choice of data set.
