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
# # The data
#
# What are the systems trained and scored on? There are simulated twins of THUMOS14 {cite}`jiang2014thumos` and ActivityNet v1.3
# {cite}`heilbron2015activitynet`, which need no download, and feature folders: the real data sets below, or your own
# ({doc}`../own_features`).
#
# | data set | what | where |
# |:--|:--|:--|
# | `thumos14-sim` | **simulated**: 20 real class names, dense short actions, some of them annotated twice | built in |
# | `activitynet-sim` | **simulated**: 200 real class names (50 in the small preset), one class per video | built in |
# | `hapt` | **real**: inertial recordings of activities and postural transitions {cite}`reyesortiz2016hapt` | folder under `NONTARGET_DATA` |
# | `nips4b` | **real**: bird song with segment annotations {cite}`morfi2019nips4bplus` | folder under `NONTARGET_DATA` |
# | `shrec21` | **real**: hand gestures in long skeleton recordings (SHREC 2021 online gesture track); 16 % of the time is a gesture | folder under `NONTARGET_DATA` |
# | `salads50` | **real**: steps of cooking videos (50Salads), as class scores | folder under `NONTARGET_DATA` |
# | `precog16` | **real**: skeletons of scripted actions | folder under `NONTARGET_DATA` |
#
# No snippet features of THUMOS14 or ActivityNet come with this book, so it claims no mAP on them.
#
# Two of the real data sets have limits of their own. The features of `salads50` are the class scores of two published classifiers, an SVM
# and a temporal convolutional network. A video is scored by a classifier that did not train on it, but the classifiers saw the labels of
# videos that count as unlabelled here, as did the networks behind ActivityNet's public features. So `salads50` shows how rules compare on
# real class distributions, not what it costs to have few labels. Moreover, 95 % of its time is a step of the recipe. `shrec21` is contest
# data without a stated licence: it is used for development and tests and is not redistributed.

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy.stats import ks_2samp

from nontarget.data import available, load_dataset
from nontarget.data.simulate import TWINS
from nontarget.data.twin_layout import layout_samples, load_statistics, sample_layouts
from nontarget.plotting import distributions, feature_map
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are the twin that is shown, and the seed with which its layout is drawn.

# %% tags=["parameters"]
dataset = "thumos14-sim"
seed = 0

# %%
check_parameters(twin=dataset, seed=seed)

# %% [markdown]
# ## Twins follow the annotations of the real sets
#
# A twin's videos, instances per video and durations are drawn from statistics of the real annotations. The figure shows the distributions
# of the real data set (its quantiles) and of the twin at full size. Look for a gap between the lines; the largest one, the
# Kolmogorov-Smirnov distance, is in the table.

# %%
twin = TWINS[dataset]["full"]
statistics = load_statistics()[twin.statistics]
rng = np.random.default_rng(seed)
drawn = layout_samples(sample_layouts(statistics, twin.num_train + twin.num_test, rng))
real = statistics["real_quantiles"]
samples = {name: {"real": real[name], "twin": drawn[name]} for name in real}

# %% mystnb={"image": {"alt": "Cumulative distributions of instance duration, instances per video and video duration, real and simulated."}}
distributions(samples, log=list(samples))

# %%
distances = {name: ks_2samp(s["real"], s["twin"]).statistic for name, s in samples.items()}
pd.Series(distances, name="Kolmogorov-Smirnov distance").round(3).to_frame()

# %% [markdown]
# ## What a snippet looks like
#
# Snippet $t$ of a twin is the sum of the scene of its video, the appearance of the instances that cover it, and noise that is correlated
# in time:
#
# $$x_t = s + \sum_i e_{it}\,(m_i + v_i) + n_t$$
#
# $m_i$ is the prototype of the instance's class, partly mixed with another class of its group (classes come in groups of four that are
# easily confused); $v_i$ is particular to the instance; and the evidence $e_{it}$ falls off at the instance's borders. The picture shows,
# for one video, the cosine of each snippet with the mean training snippet of each class, an estimate of its prototype.

# %%
data = load_dataset(dataset)
shown = next(v for v in data.train if len(v.annotations.labels) > 2)

# %% mystnb={"image": {"alt": "Similarity of the snippets of one training video to the mean of each class, with the instances marked."}}
feature_map(data, shown)

# %% [markdown]
# ## What is available
#
# These data sets can be used on this machine; the twins have their small preset.

# %%
pd.DataFrame([load_dataset(name).summary() for name in available()]).set_index("data set")

# %% [markdown]
# ## Findings

# %%
Markdown(
    f"**The twin `{dataset}` follows the real annotations up to a Kolmogorov-Smirnov distance "
    f"of {max(distances.values()):.3f} at full size.** Its features are simulated: they have "
    f"{data.feature_dim} dimensions, and in each the noise is "
    f"{TWINS[dataset]['small'].noise:g} times as large as a class prototype."
)

# %% [markdown]
# The limits: the layout follows the real annotations one quantity at a time, and their joint structure only through the number of
# instances. Nothing about the features was measured on real video; how their noise was set is shown in {doc}`calibration-thumos14-sim`.
