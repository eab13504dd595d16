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
# # What the paper leaves open
#
# Some equations can be interpreted in more than one way, and some settings are not given. Which interpretation is used here, why, and how
# much would another one change?

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown, display

from nontarget.experiment import Experiment
from nontarget.plotting.claims import differences
from nontarget.runtime.downloads import CsvLink
from nontarget.study.deviations import deviations_table, presets_table
from nontarget.study.open_questions import READINGS
from nontarget.study.parameters import check_parameters
from nontarget.study.readings import measure, readings_findings

# %% [markdown]
# The parameters are the data sets, the share of labelled training videos, the seeds (how many, or which), the source of results as in
# {doc}`table1`, and the device on which missing runs are computed.

# %% tags=["parameters"]
datasets = ["thumos14-sim", "activitynet-sim", "hapt", "shrec21"]
ratio = 0.1
seeds = 3
source = "committed"
device = "auto"

# %%
check_parameters(datasets=datasets, ratio=ratio, seeds=seeds, source=source, device=device)

# %% [markdown]
# ## The questions
#
# Each question has what the paper says, the interpretation that is used, and the reason.

# %%
Markdown("\n\n".join(reading.markdown for reading in READINGS))

# %% [markdown]
# ## What an alternative would change
#
# Each alternative changes one thing in *non-target*. Δ is its average mAP minus that of the interpretation used, paired by seed: above 0, the
# alternative is better. The twins are simulated.

# %%
problems = [Experiment(name, label_ratio=ratio) for name in datasets]
effects = [measure(p, seeds, source=source, device=device) for p in problems]
for effect in effects:
    display(effect.table)

# %% [markdown]
# Where no video is longer than a window, as on the small twin of THUMOS14, the stride changes nothing, and Δ is exactly 0.
#
# ## At a glance
#
# A filled dot has an interval that excludes 0. Missing results are marked as such; a place is empty where an alternative does not apply to a
# data set.

# %% mystnb={"figure": {"caption": "Average mAP with an alternative minus that with the interpretation used, with 95 % intervals over seeds.", "name": "open-questions-effects"}, "image": {"alt": "A panel for each data set, a row for each alternative reading: a dot with its 95 % interval around the difference from the interpretation used."}}
frame = pd.concat([effect.frame for effect in effects])
differences(frame)

# %%
CsvLink(frame.drop(columns="row"), "readings.csv")

# %% [markdown]
# ## Where this project departs from the paper
#
# Every deviation is stated in the docstring of the code that has it; the table collects them. Where released code is named, it is that of
# SPOT, ActionFormer or the method in question.

# %%
deviations_table()

# %% [markdown]
# The numbers of this book have the preset `small`, of a size for two CPU cores; `full` is for real benchmarks.

# %%
presets_table()

# %% [markdown]
# ## Findings

# %%
Markdown(readings_findings(effects))

# %% [markdown]
# The limits: each alternative was tried on its own, on a small detector, with few seeds. No interpretation was chosen by these numbers: the
# reasons are those given above, also where an alternative does better.
