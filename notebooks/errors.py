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
# How high would mAP be if the classes, the segments or the ranking of the candidates were perfect, with all else as it is? A learning rule
# can gain more than one such oracle, since candidates, their borders and their ranking come from the class head, too. And what mAP do
# *trivial* detectors have, which only threshold the class probabilities?

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting.study import decomposition
from nontarget.runtime.downloads import CsvLink
from nontarget.study.explained import decomposition_frames, limits_findings
from nontarget.study.parameters import check_parameters
from nontarget.study.report import decompositions

# %% [markdown]
# The parameters are the learning rule of the detectors (`supervised only` or `fully supervised`) and the share of labelled videos (`None`:
# the lowest that has results).

# %% tags=["parameters"]
rule = "supervised only"
ratio = None

# %%
check_parameters(rule=rule, ratio=ratio)

# %% [markdown]
# ## With few labels
#
# The bars are means over seeds on development data. The dotted line is the detector as it is; hatched bars are oracles, which correct one
# property of the same candidates; stippled bars are trivial detectors. *Oracle classes* gives a candidate the class of the instance that it
# overlaps most, *oracle masks* that instance's segment. *Oracle ranking* changes no candidate: it matches candidates one to one to instances
# of their class and puts the best matches first, so that its AP at a threshold is the share of instances that some candidate reaches. It
# bounds what a better score could gain. Look for the longest hatched bar, and for a stippled one that comes close to the line.

# %%
rows = decompositions()
frames = decomposition_frames(rows, rule, ratio)
nothing = Markdown("*Not computed yet.*")

# %% mystnb={"figure": {"caption": "Average mAP of the detector as it is, under oracles, and of trivial detectors. Data sets whose names end in -sim are simulated.", "name": "errors-few"}, "image": {"alt": "A panel for each data set, a bar for each variant: the detector as it is, four oracles, four trivial detectors."}}
decomposition(frames) if frames else nothing

# %% [markdown]
# ## With all labels
#
# What is missing here is not due to a lack of labels.

# %% mystnb={"figure": {"caption": "Average mAP of detectors that were trained with all labels, likewise.", "name": "errors-all"}, "image": {"alt": "The same bars for detectors that were trained with all labels."}}
full = decomposition_frames(rows, "fully supervised")
decomposition(full) if full else nothing

# %%
CsvLink(rows, "decomposition.csv")

# %% [markdown]
# ## Findings

# %%
Markdown(limits_findings(frames))

# %% [markdown]
# The limits: an oracle corrects one property and leaves the others, so the gains do not add up. Candidates that overlap no instance stay as
# they are. The data are development data, the detector is small.
