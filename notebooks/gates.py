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
# # Can this instrument tell rules apart?
#
# A comparison of learning rules is informative only if the detector, its training and its evaluation respond to what the rules differ in.
# Six gates test that on development data: a third of the training videos of a real data set, or another generated world of a twin. None of
# them looks at how the paper's method compares. Where a gate fails or was not computed, results stay in the tables, with a warning.

# %%
# %matplotlib inline
from IPython.display import Markdown, display

from nontarget.plotting.study import gate_table
from nontarget.study.anchor import read_anchor
from nontarget.study.failures import failures
from nontarget.study.gate_checks import ORACLE_WITHIN, QUESTIONS
from nontarget.study.gates import SEEDS, gate_seeds, gate_states, summary
from nontarget.study.pages import gate_reports, gates_findings
from nontarget.study.parameters import check_parameters
from nontarget.study.report import decompositions
from nontarget.study.reproduce import DATASETS, GATE_RATIOS, main_ratio

# %% [markdown]
# The parameters are data sets and shares of labelled videos. `nips4b` starts at 20 %, since at 10 % some of its classes have no label.

# %% tags=["parameters"]
datasets = list(DATASETS)
ratios = list(GATE_RATIOS)

# %%
check_parameters(datasets=datasets, ratios=ratios)

# %% [markdown]
# ## The questions

# %%
Markdown("\n".join(f"- **({gate})** {question}" for gate, question in QUESTIONS.items()))

# %%
replaced = [
    f"`{d}` at {100 * r:g} %" for d in datasets for r in ratios if gate_seeds(d, r) != SEEDS
]
Markdown(
    "More labels must help by more than the spread over seeds, on average (a). With the true labels as pseudo "
    f"labels, self-training must come within {ORACLE_WITHIN:g} points of full supervision at the "
    "same budget, on average (b); otherwise self-training itself would be the bottleneck. Pseudo labels do harm "
    "only where the interval of the difference says so, so that few seeds pass (c) more easily. Losses that are the "
    "same for every rule must not make up most of the gradient, on average (d). The detector's mean must be above "
    "that of every trivial detector (f). Seeds whose split leaves a class without a label are "
    f"replaced by the next ones: {' and '.join(replaced) or 'none here'}."
)

# %% [markdown]
# ## At a glance
#
# Look for rows without a cross, where nothing that was checked stands in the way of a comparison.

# %%
cells = [(d, r) for d in datasets for r in ratios if r >= main_ratio(d)]
reports = list(gate_reports(cells).values())
summary(reports)

# %% mystnb={"figure": {"caption": "Gates by data set and share of labelled videos.", "name": "gates-figure"}, "image": {"alt": "A row for each data set and share of labelled videos, a column for each gate: a check mark where it holds, a cross where it fails, a question mark where it was not computed."}}
gate_table(gate_states(reports))

# %% [markdown]
# ## Each data set and label ratio
#
# The tables show what was measured, with intervals over seeds. Where an interval contains 0, *detectable* is the smallest difference that
# these seeds would probably have shown ({term}`detectable difference`).

# %%
for report in reports:
    display(report.table)

# %% [markdown]
# ## Why a gate fails
#
# Self-training on the hidden truth, and the detector with a true class or a true mask, show what a failing gate is due to.

# %%
failures(reports, decompositions())

# %% [markdown]
# ## An outside anchor
#
# A published protocol on real data, which leaves one of the 30 volunteers of HAPT out at a time, compares this training of ActionFormer
# with published numbers. It is not like for like: the published detectors saw raw windows of 50 samples and had their authors' training,
# ours sees statistics of windows. Numbers close to each other show that nothing is badly wrong here, not that the two are equal.

# %%
anchor = read_anchor()
anchor.table

# %% [markdown]
# ## Findings

# %%
Markdown(f"{gates_findings(reports)} The anchor: {anchor.findings}")

# %% [markdown]
# The limits: a gate says what these seeds show on development data, on which the settings were chosen. Even if all gates hold, the detector
# is small, and a twin is not the data set that it is modelled on.
