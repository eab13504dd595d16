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
# Which settings were tried, what came out, and why was one of them chosen? The trials of detector, training and detection are in
# `results/choices.csv`. Trials ran on development data alone: held-out training videos, or other generated worlds. They were judged by
# systems that say nothing about the paper's rule: supervised training, the baseline, and the truth as pseudo labels.

# %%
from IPython.display import Markdown, display

from nontarget.runtime.downloads import CsvLink
from nontarget.study.choices import SYSTEMS, choices_findings, read_choices, summary, trials

# %% [markdown]
# The parameter: questions to show in full (`None`: all).

# %% tags=["parameters"]
questions = None

# %% [markdown]
# ## The systems that may decide
#
# `try_settings`, which runs and logs trials, refuses any other. Some rows were entered from trials run by hand (the score of a candidate,
# the caps, ActionFormer); they were held to the same systems.

# %%
Markdown(", ".join(f"*{system}*" for system in SYSTEMS))

# %% [markdown]
# ## Question by question
#
# *Why* is the reason, written down before any comparison of rules was run. Where it is empty, the trials did not decide.

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
# The limits: trials of the twins' knobs on a stand-in for the detector are described in `nontarget.study.calibration` and not listed here.
# Few seeds per trial, and questions asked one after the other, so that settings that only help together were not found.
