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
# # Table 5: other ways to learn from non-target classes
#
# Does it matter how non-target classes are used? *Soft pseudo label* takes the whole distribution as the target
# {cite}`arazo2020pseudo`, with mixup and two regularisers. *Complementary label* pushes one random non-target class down
# {cite}`ishida2017complementary`, beside the loss of the target. The paper does not say how it combined them with its method, so both
# are our reconstruction.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting import map_figure
from nontarget.runtime.downloads import CsvLink
from nontarget.study.pages import table_page
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are those of {doc}`table1`; `dataset` and `ratio` may also be `all`, which reads results and computes none.

# %% tags=["parameters"]
table = "table5"
dataset = "thumos14-sim"
ratio = 0.1
seeds = 3
features = None
preset = "small"
protocol = None
device = "auto"
source = "auto"

# %%
check_parameters(
    table=table,
    dataset=dataset,
    ratio=ratio,
    seeds=seeds,
    features=features,
    preset=preset,
    protocol=protocol,
    device=device,
    source=source,
)

# %% [markdown]
# ## The table
#
# Look at the column Δ first: the difference in average mAP from the row that the caption names, paired by seed. If its 95 % interval
# contains 0, these seeds show no difference.

# %%
problem = {"preset": preset, "features": features, "protocol": protocol, "source": source}
page = table_page(table, dataset, ratio, seeds, device=device, **problem)
page

# %% [markdown]
# ## The curves
#
# Soft labels change how confident the detector is, which can act on either end of the curve.

# %% mystnb={"image": {"alt": "Mean AP of every row of the table, with standard deviations over seeds: against tIoU, or for several label ratios against the share of labelled videos."}}
map_figure(page)

# %%
CsvLink(page.frame(), f"{table}.csv")

# %% [markdown]
# ## Findings

# %%
Markdown(page.findings)

# %%
page.summary

# %% [markdown]
# The limits: the detector is small and the seeds are few. An interval covers the draw of the split, the initial weights and the batches,
# not the choice of data set, and simulated data are a problem that we made ourselves.
