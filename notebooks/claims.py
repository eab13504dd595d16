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
# # The paper's claims
#
# Which of the paper's quantitative claims hold under one protocol, on simulated twins of its data sets and on four real data sets, three of
# which are not video? This page compares the repository's committed results with the numbers in the paper's tables.

# %%
# %matplotlib inline
from IPython.display import Markdown, display

from nontarget.plotting.claims import differences
from nontarget.runtime.downloads import CsvLink
from nontarget.study.claims import RULE, ledger
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are the data sets, and the seeds that a claim needs (how many, or which).

# %% tags=["parameters"]
datasets = ["thumos14-sim", "activitynet-sim", "hapt", "nips4b", "shrec21", "salads50"]
seeds = 3

# %%
check_parameters(datasets=datasets, seeds=seeds)

# %% [markdown]
# ## The rule
#
# The rule is a constant of the package and does not depend on the results.

# %%
Markdown(RULE)

# %% [markdown]
# ## Summary
#
# The table counts claims by verdict. A claim counts on every data set to which it applies. Claims that are compared with chance alone, a
# weak criterion, stand in rows of their own. The twins are simulated, so they say nothing about THUMOS14 or ActivityNet themselves.

# %%
book = ledger(datasets, seeds)
book.summary

# %% [markdown]
# ## The ledger
#
# Each group of claims has the paper's words, a table of the simulated data sets and one of the real ones. A cell has the verdict and, for a
# claim about a single quantity, its mean over seeds with the 95 % interval. The column *Paper* has the same quantities from the paper's
# tables, which give no interval.
#
# A 95 % interval is Student's t over seeds: it says how far the mean of these seeds could lie from that of all seeds. It covers the label
# split, the initial weights and the order of batches, not other test videos or another detector. So an interval that contains 0 does not mean
# that there is no difference; the number called *detectable* says how large a difference would probably have been seen
# ({term}`detectable difference`). Among many intervals some exclude 0 by chance; {term}`Holm's correction` allows for that.

# %%
shown = None
for group, table in book.tables():
    if group != shown:
        display(Markdown(f"**{group.title}**\n\n> {group.quotation}"))
    shown = group
    display(table)

# %% [markdown]
# ## Beside the paper
#
# The figure has the claims about a single quantity in average mAP. Dots to the right of 0 agree with the paper; a filled dot has an interval
# that excludes 0; a diamond is the paper's value on the data set that a twin is modelled on.

# %% mystnb={"figure": {"caption": "Measured value of each claim's quantity with its 95 % interval, and the paper's value.", "name": "claims-differences"}, "image": {"alt": "A panel for each data set, a row for each claim: a dot with its 95 % interval, and a diamond where the paper gives a value."}}
differences(book.chart())

# %%
CsvLink(book.details(), "claims.csv")

# %% [markdown]
# ## What would change a verdict
#
# More seeds narrow an interval. The numbers of seeds below are extrapolated from the observed mean and spread.

# %%
Markdown(book.outlook())

# %% [markdown]
# Real video features would change more. The twins have the statistics of the annotations, not the images, and the real data sets are
# recordings of motion and of birds, and class scores of cooking videos. {doc}`../own_features` says how to run everything on other features.

# %% [markdown]
# ## Findings

# %%
Markdown(book.conclusion)

# %%
book.directions

# %% [markdown]
# The limits: the detector is small, its training short, and the seeds are few; several learning rules had no released code and were
# reimplemented ({doc}`../systems`). *Not reproduced* refers to this setting and does not mean that the paper's own numbers are wrong.
