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
# How much do unlabelled videos add, and how much does learning from non-target classes add to that? Every system has the same features,
# splits, seeds and training budget, on one data set at one label ratio.
#
# With the repository's environment active, `papermill notebooks/table1.ipynb out.ipynb -p ratio 0.2` runs this page at another label
# ratio, `-p dataset hapt` on a folder under `NONTARGET_DATA`, and `-p features DIR` on your own features.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting import map_by_ratio, map_figure
from nontarget.runtime.downloads import CsvLink
from nontarget.study.pages import ratio_curve, table_page
from nontarget.study.parameters import check_parameters
from nontarget.study.systems import chosen_systems

# %% [markdown]
# The parameters are the data set (or `features`, a feature folder to use instead), the share of labelled training videos, the number of
# seeds (each has a split of its own), the preset (`small` or `full`), the protocol (one of the field's, such as `thumos14-212`, or the data
# set's own), the systems (`main`, `all` of Table 1, or names with commas between), and the device.
# `source` says where results come from. With `auto`, the repository's committed results are used where they are current, and the rest is
# computed. With `run`, only this machine's results are used, and what is missing is computed. With `stored` (this machine's results) and
# `committed`, nothing is computed.

# %% tags=["parameters"]
table = "table1"
dataset = "thumos14-sim"
ratio = 0.1
seeds = 3
features = None
preset = "small"
protocol = None
systems = "main"
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
    systems=systems,
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
problem["systems"] = chosen_systems(systems, table)
page = table_page(table, dataset, ratio, seeds, device=device, **problem)
page

# %% [markdown]
# ## The curves
#
# A higher tIoU asks for more precise borders. A rule that only names classes better lifts the whole curve; one that finds better borders
# lifts its right end. Bars are standard deviations over seeds.

# %% mystnb={"image": {"alt": "Mean AP of every row of the table, with standard deviations over seeds: against tIoU, or for several label ratios against the share of labelled videos."}}
map_figure(page)

# %%
CsvLink(page.frame(), f"{table}.csv")

# %% [markdown]
# ## By label ratio
#
# With more labels, mAP should rise, and the gain from unlabelled videos should shrink.

# %% mystnb={"image": {"alt": "Average mAP against the share of labelled videos, one line per system."}}
curve = ratio_curve(table, dataset, seeds, **problem)
one = Markdown("*Fewer than two label ratios have results, so there is no curve yet.*")
map_by_ratio(curve) if len(curve) > 1 else one

# %% [markdown]
# ## Findings

# %%
Markdown(page.findings)

# %%
page.summary

# %% [markdown]
# The limits: the detector is small and the seeds are few. An interval covers the draw of the split, the initial weights and the batches,
# not the choice of data set, and simulated data are a problem that we made ourselves.
