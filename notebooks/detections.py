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
# # Real detections: what mAP is lost on
#
# Does the scorer of this project agree with published numbers, and which errors cost real detectors most? This page scores detections
# that their authors released on THUMOS14 {cite}`jiang2014thumos`: of AutoLoc {cite}`shou2018autoloc`, of A2Net {cite}`yang2020a2net`, and
# of TURN {cite}`gao2017turn`. Errors are sorted as by DETAD {cite}`alwassel2018detad`.
#
# The same for your own detections, in a terminal:
#
# ```bash
# nontarget evaluate thumos14.json detections.json --tiou 0.1:0.7:0.1 --diagnose --bins thumos14
# ```

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting.released import errors_by_rank, misses_by_property
from nontarget.runtime.downloads import CsvLink
from nontarget.study import released
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters: `source` is `committed` to read `results/detections.csv`, or `run` to compute it from the released files, in a minute;
# `data` is the folder that holds them (default: `NONTARGET_DATA`).

# %% tags=["parameters"]
source = "committed"
data = None

# %%
check_parameters(source=source, data=data)

# %% [markdown]
# ## Where the detections come from
#
# They and the annotations are their authors', and not part of this repository: it holds scores and shares of errors alone, which
# `python -m nontarget.study.released` computes.

# %%
rows = released.get_released(source, data)
Markdown(released.sources(rows))

# %% [markdown]
# ## Scores
#
# Look at each row in italics, the table that was published with the detections above it. Differences of a few tenths come from the
# annotations: instances that lie beyond the end of their video are left out here.

# %%
released.score_table(rows)

# %% [markdown]
# TURN's files hold detections for one threshold each; A2Net's are those of an ablation, for which no numbers were published.
#
# ## Protocols
#
# The same detections under other choices of videos and instances: without video_test_0001292, which has ambiguous spans alone (212),
# without 0000270 (211) and without 0001496 as well (210); detections that touch an ambiguous span ignored, as by the official scorer; and
# a cliff dive counted once, not as *Diving* too.

# %%
released.protocol_table(rows)

# %% [markdown]
# ## Classes

# %%
released.class_table(rows)

# %% [markdown]
# ## False positives
#
# Each of the best 10 G detections of a class, G its number of instances, is compared with the instance that it overlaps most.
#
# - *Double detection*: right class and place, but a better detection has taken the instance.
# - *Wrong label*: right place, another class.
# - *Localization*: right class, a tIoU between 0.1 and the threshold.
# - *Confusion*: the same with another class.
# - *Background*: no instance with a tIoU of 0.1.
#
# A large share need not cost much: false positives below most hits change AP little. The *gain* is what average-mAP_N would rise by if the
# detections of a kind were removed. In mAP_N, precision is computed as if every class had the same number of instances.

# %%
released.error_table(rows)

# %% mystnb={"image": {"alt": "Stacked bars for two detectors: share of each kind of error among the first G detections of each class, the next G, and so on."}}
errors_by_rank(rows, released.DIAGNOSED)

# %% [markdown]
# ## Misses
#
# An instance is found if a detection of its class takes it while the normalised precision is above 5 %. *Coverage* is its length as a
# share of the video's, *count* the number of instances of its class in the video.

# %% mystnb={"image": {"alt": "Bars for two detectors: share of instances that are missed, by length, coverage and number of instances in the video."}}
misses_by_property(rows, released.DIAGNOSED)

# %%
released.instance_table(rows)

# %%
CsvLink(rows, "detections.csv")

# %% [markdown]
# ## Findings

# %%
Markdown(released.findings(rows))

# %% [markdown]
# The limits: these detectors are of 2017 to 2020, trained with all labels or with those of whole videos, and say nothing about learning
# from few labels. The rows of A2Net are no result of its paper.
