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
# # Why the gain shows, or does not
#
# What would have to be true for the paper's rule to gain, and is it true here? Its premise is that where the argmax is wrong the true class is nearly
# as probable, so that it is *positive* and gets pulled. Where the teacher is sure of an error, the truth is *negative* and gets pushed
# away. So the sharpness of the teacher decides what is learnt.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting.study import sets_by_temperature
from nontarget.runtime.downloads import CsvLink
from nontarget.study.explained import (
    explained_findings,
    gradient_table,
    sets_frames,
    truth_table,
)
from nontarget.study.marks import marked_tabs
from nontarget.study.report import WHY
from nontarget.study.reproduce import DATASETS, main_ratio
from nontarget.study.tables import current_tables

# %% [markdown]
# The parameters: data sets, and the number of seeds of the table at the end.

# %% tags=["parameters"]
datasets = list(DATASETS)
seeds = 3

# %% [markdown]
# ## The sets, as the teacher gets less sure
#
# Pre-trained teachers on the training videos whose labels were hidden, their logits divided by a temperature; and, on `salads50`, the
# class scores of two published classifiers of real video, as they came. The areas say where the truth of a *wrong* snippet lies. From
# $p_\max \ge 1/2$ on every class but the target is negative: follow the dashed line. The dotted one is the temperature of lowest log loss.

# %%
rows = WHY.read()
frames, best = sets_frames(rows)
nothing = Markdown("*Not computed yet.*")

# %% mystnb={"figure": {"caption": "Where the truth of wrong snippets lies, against the temperature of the teacher. Data sets whose names end in -sim are simulated.", "name": "why-temperature"}, "image": {"alt": "A panel for each teacher: shares of the wrong snippets whose truth is positive, ambiguous or negative against the temperature, and the share of snippets of which the teacher is sure."}}
sets_by_temperature(frames, best) if frames else nothing

# %%
truth_table(rows) if frames else nothing

# %% [markdown]
# ## What each term does to the true class
#
# The gradient of each term with respect to the logit of the *true* class, of which training knows nothing. Look at the rows *negative* and *ambiguous*:
# these are errors of the teacher that no term corrects.

# %%
gradient_table(rows) if len(rows) else nothing

# %%
CsvLink(rows, "why.csv")

# %% [markdown]
# ## What would help
#
# Oracle rules are told the hidden labels and compete with nothing: one takes the truth out of the negatives, one puts it among the
# positives, one takes it as the pseudo label. If the first gains over *non-target*, pushing the truth away costs that much. *Non-target, calibrated*
# divides the teacher's logits by a temperature that was fitted to held-out labelled videos; *candidate labels* goes further and
# lets every class that is not negative be right.

# %%
by_ratio = [current_tables("why", [d], [main_ratio(d)], seeds) for d in datasets]
tabs = marked_tabs(by_ratio[0].joined(by_ratio[1:]))
tabs

# %% [markdown]
# ## What we saw

# %%
Markdown(explained_findings(rows))

# %%
tabs.summary

# %%
Markdown(tabs.findings)

# %% [markdown]
# The limits: the sets describe the teacher before self-training; the gradients are those of one seed. The published scores of `salads50`
# come from folds that saw each other's labels.
