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
# # How the settings were chosen
#
# Which settings were tried, what came out, and why was one of them chosen? Every trial of detector, training and detection is logged in
# `results/choices.csv`. Trials ran on development data alone: held-out training videos, or other generated worlds. They were judged by
# systems that say nothing about the paper's rule: supervised training, the baseline, and the truth as pseudo labels.

# %%
from IPython.display import Markdown, display

from nontarget.downloads import CsvLink
from nontarget.study.choices import SYSTEMS, choices_findings, read_choices, summary, trials

# %% [markdown]
# The parameter: questions to show in full (`None`: all).

# %% tags=["parameters"]
questions = None

# %% [markdown]
# ## The systems that may decide
#
# The log refuses any other.

# %%
Markdown(", ".join(f"*{system}*" for system in SYSTEMS))

# %% [markdown]
# ## Question by question
#
# *Why* is the reason as it was written down when the choice was made.

# %%
log = read_choices()
summary(log) if len(log) else Markdown("*No trial is committed yet.*")

# %% [markdown]
# ## Every trial
#
# Numbers are comparable within a column. Trials of different questions may differ in settings that were decided in between.

# %%
for question in questions or log["question"].unique():
    display(trials(log, question))

# %%
CsvLink(log, "choices.csv")

# %% [markdown]
# ## What we saw

# %%
Markdown(choices_findings(log))

# %% [markdown]
# The limits: few seeds per trial, and questions asked one after the other, so that settings that only help together were not found.
