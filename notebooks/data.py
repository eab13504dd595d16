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
# What are the systems trained and scored on? Simulated twins of THUMOS14 {cite}`jiang2014thumos` and ActivityNet v1.3
# {cite}`heilbron2015activitynet`, which need no download, and any feature folder: the real sets below, or your own
# ({doc}`../own_features`).
#
# | data set | what | where |
# |:--|:--|:--|
# | `thumos14-sim` | **simulated**: 20 real class names, dense short actions, some of them annotated twice | built in |
# | `activitynet-sim` | **simulated**: 200 real class names (50 in the small preset), one class a video | built in |
# | `hapt` | **real**: inertial recordings of activities and postural transitions {cite}`reyesortiz2016hapt` | folder under `NONTARGET_DATA` |
# | `nips4b` | **real**: bird song with segment annotations {cite}`morfi2019nips4bplus` | folder under `NONTARGET_DATA` |
# | `shrec21` | **real**: hand gestures in long skeleton recordings (SHREC 2021 online gesture track); 16 % of the time is a gesture | folder under `NONTARGET_DATA` |
# | `salads50` | **real**: steps of cooking videos (50Salads), as class scores | folder under `NONTARGET_DATA` |
# | `precog16` | **real**: skeletons of scripted actions | folder under `NONTARGET_DATA` |
#
# No snippet features of THUMOS14 or ActivityNet come with this book, so it claims no mAP on them.
#
# Two of the real sets have limits of their own. The features of `salads50` are the class scores of two published classifiers, an SVM and a temporal
# convolutional network; a video is scored by a fold that did not train on it, but the folds saw each other's labels, as networks behind public
# features of ActivityNet did. So it says how rules compare on real distributions over classes, not what few labels cost. Also, 95 % of its
# time is a step of the recipe. `shrec21` is contest data without a stated licence: it is used for development and tests and never republished.

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

# %% tags=["parameters"]
dataset = "thumos14-sim"
seed = 0

# %% [markdown]
# ## Twins follow the annotations of the real sets
#
# A twin's videos, instances per video and durations are drawn from statistics of the real annotations. Below, both distributions at
# full size: the real one (its quantiles) and the twin's. Look for a gap between the lines; the number is the largest one, the
# Kolmogorov-Smirnov distance.

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
# Snippet $t$ of a twin shows the scene of its video, the look of the instances that cover it, and noise that is correlated in time:
#
# $$x_t = s + \sum_i e_{it}\,(m_i + v_i) + n_t$$
#
# $m_i$ is the prototype of the instance's class, in part mixed with another class of its group (classes come in groups of four that
# are easily confused), $v_i$ is particular to the instance, and the evidence $e_{it}$ falls off at the instance's borders. The picture
# shows the cosine of each snippet with each class prototype's estimate, the mean of its training snippets, for one video.

# %%
data = load_dataset(dataset)
shown = next(v for v in data.train if len(v.annotations.labels) > 2)

# %% mystnb={"image": {"alt": "Similarity of the snippets of one training video to the mean of each class, with the instances marked."}}
feature_map(data, shown)

# %% [markdown]
# ## What is here
#
# The data sets that can be run on this machine, in the small preset for the twins.

# %%
pd.DataFrame([load_dataset(name).summary() for name in available()]).set_index("data set")

# %% [markdown]
# ## What we saw

# %%
Markdown(
    f"The twin `{dataset}` follows the real annotations to a Kolmogorov-Smirnov distance of at most {max(distances.values()):.3f} at full "
    f"size. Its features are made up: {data.feature_dim} dimensions, noise {TWINS[dataset]['small'].noise:g} times the size of a class "
    "prototype in each, which was fixed as the page on calibration shows."
)

# %% [markdown]
# The limits: the layout follows the real annotations one quantity at a time, and joint structure only as far as the number of instances
# carries it. Nothing about the features is measured on real video.
