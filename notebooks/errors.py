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
# # What limits the detector?
#
# If classes were named perfectly, or segments drawn perfectly, or candidates ranked perfectly: how high would mAP be? A learning rule
# that names classes better can earn no more than perfect classes would. And how much do *trivial* detectors earn, which threshold the
# class probabilities and localise nothing?

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting.study import decomposition
from nontarget.runtime.downloads import CsvLink
from nontarget.study.explained import decomposition_frames, limits_findings
from nontarget.study.report import decompositions

# %% [markdown]
# The parameters: whose detectors are looked at (`supervised only` or `fully supervised`), and at which share of labelled videos
# (`None`: the lowest that is there).

# %% tags=["parameters"]
rule = "supervised only"
ratio = None

# %% [markdown]
# ## With few labels
#
# Development data, means over seeds. The dotted line is the detector as it is; hatched bars are oracles, which correct one thing of the
# same candidates; stippled bars are the trivial detectors. Look for the longest hatched bar, and for a stippled one that comes near the line.

# %%
rows = decompositions()
frames = decomposition_frames(rows, rule, ratio)
nothing = Markdown("*Not computed yet.*")

# %% mystnb={"figure": {"caption": "Average mAP of the detector as it is, under oracles, and of trivial detectors. Data sets whose names end in -sim are simulated.", "name": "errors-few"}, "image": {"alt": "A panel for each data set, a bar for each variant: the detector as it is, four oracles, four trivial detectors."}}
decomposition(frames) if frames else nothing

# %% [markdown]
# ## With all labels
#
# What is lost here is not for want of labels.

# %% mystnb={"figure": {"caption": "The same for detectors that were trained with all labels.", "name": "errors-all"}, "image": {"alt": "The same bars for detectors that were trained with all labels."}}
full = decomposition_frames(rows, "fully supervised")
decomposition(full) if full else nothing

# %%
CsvLink(rows, "decomposition.csv")

# %% [markdown]
# ## What we saw

# %%
Markdown(limits_findings(frames))

# %% [markdown]
# The limits: an oracle corrects one thing and leaves the rest, so the rises do not add up. Candidates that overlap no instance are left as
# they are. Development data of a small detector.
