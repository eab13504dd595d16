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
# # When does the method help? A map
#
# Does the paper's method help on a given problem, and can that be predicted? Two shares should decide: how often the true class of a
# misclassified snippet is positive, and how often it is negative. A family of twins varies both, through how confusable its classes are and
# how confident the teacher is; a surface fitted to their gains is the map. It then predicts the gain on one data set from its labelled
# videos only.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget import diagnose_rule
from nontarget.plotting.study import gain_map
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.study.explained import map_findings, places_table, teacher_places
from nontarget.study.parameters import check_parameters
from nontarget.study.readme import SEEDS
from nontarget.study.report import MAP, WHY, current_map
from nontarget.study.reproduce import DATASETS, main_ratio
from nontarget.study.tables import current_tables
from nontarget.study.when import place

# %% [markdown]
# The parameters are those of the diagnosis: a data set or a feature folder, the share of labelled videos (1: all that have labels), the number
# of folds, the seed and the device.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
folds = 3
seed = 0
device = "auto"

# %%
check_parameters(dataset=dataset, ratio=ratio, folds=folds, seed=seed, device=device)

# %% [markdown]
# ## The map
#
# Dots are twins, all **simulated**; the colour is the gain of the paper's method over the baseline. White markers are the teachers of this
# book's data sets, and the table has the predicted gains, beside those that Table 1 measured, which the map does not use. Look at where they
# lie first: outside the region of the dots, a prediction is an extrapolation.

# %%
fitted = current_map()
sets = teacher_places(WHY.read())
places = place(fitted, sets) if fitted is not None and len(sets) else None
nothing = Markdown("*Not computed yet: the map has no current points.*")

# %% mystnb={"figure": {"caption": "Gain of the paper's method over the baseline, by where the true class lies when the teacher is wrong. All dots are simulated.", "name": "when-map"}, "image": {"alt": "A square: share of wrong snippets whose truth is positive against the share whose truth is negative, coloured by the gain, with data sets placed on it."}}
gain_map(fitted, places) if fitted is not None else nothing

# %%
cells = [(name, main_ratio(name)) for name in DATASETS]
measured = current_tables("table1", cells, SEEDS).comparisons
places_table(places, measured) if places is not None else nothing

# %%
CsvLink(MAP.read(), "map.csv")

# %% [markdown]
# ## A prediction for one data set
#
# `diagnose_rule` pre-trains a teacher on all but one fold of the labelled videos, examines its errors on that fold, and returns what the map
# predicts. The labels of other videos are never read.

# %%
options = {"folds": folds, "store": ResultStore(), "device": device, "progress": False}
diagnosis = diagnose_rule(dataset, ratio, seed, **options)
diagnosis.table

# %%
Markdown(diagnosis.findings)

# %% [markdown]
# ## Findings

# %%
Markdown(map_findings(fitted, places))

# %% [markdown]
# The limits: every point of the map is simulated, on twins of one data set; the temperature moves both shares together, so that the points
# lie close to one curve; and more than the two shares matters: the error with which a twin is predicted from the others shows how much is
# missing. The shares of a diagnosis come from teachers that had fewer labels than the final one will have.
