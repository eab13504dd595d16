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
# Which settings were tried, with what result, and why was one of them chosen? The trials of detector, training and inference are in
# `results/choices.csv`. They used development data only: held-out training videos, or other generated worlds. They were judged by systems
# that say nothing about how the paper's method compares: supervised training, the baseline, and the true labels as pseudo labels.
# Most of them came before any comparison of learning rules, and some after; the page says which.

# %%
from IPython.display import Markdown, display

from nontarget.runtime.downloads import CsvLink
from nontarget.study import choices
from nontarget.study.gates import SEEDS, gate_seeds
from nontarget.study.pages import gate_reports, gates_findings
from nontarget.study.parameters import check_parameters
from nontarget.study.reproduce import DATASETS, GATE_RATIOS, main_ratio
from nontarget.study.texttable import percent

# %% [markdown]
# The only parameter is the list of questions to show in full (`None`: all).

# %% tags=["parameters"]
questions = None

# %%
check_parameters(questions=questions)

# %% [markdown]
# ## The systems that may decide
#
# `try_settings`, which runs and logs trials, refuses any other system. Some rows come from trials that were run by hand (the score of a
# candidate, the caps, ActionFormer), with the same systems only.

# %%
Markdown(", ".join(f"*{system}*" for system in choices.SYSTEMS))

# %% [markdown]
# ## Question by question
#
# *Why* gives the reason. Where none of the settings that were tried is in use, it says what is, or what the trials showed; it is empty
# where nothing was noted.

# %%
log = choices.read_choices()
choices.summary(log) if len(log) else Markdown("*No trial is committed yet.*")

# %%
Markdown(choices.late_questions(log))

# %%
of_gates = [(d, r) for d in DATASETS for r in GATE_RATIOS if r >= main_ratio(d)]
reseeded = [f"`{d}` at {percent(r)}" for d, r in of_gates if gate_seeds(d, r) != SEEDS]
Markdown(
    f"Then, too, seeds of the gates were replaced on {' and '.join(reseeded)}, where a class had no label."
)

# %% [markdown]
# ## Every trial
#
# Numbers are comparable within a column. Trials of different questions may also differ in settings that were decided in between. Where a
# gate fails, a difference between two settings says less.

# %%
tried = set(zip(log["dataset"], log["label_ratio"], strict=True))
Markdown(gates_findings(gate_reports(cell for cell in of_gates if cell in tried).values()))

# %%
for question in questions or log["question"].unique():
    display(choices.trials(log, question))

# %%
CsvLink(log, "choices.csv")

# %% [markdown]
# ## Findings

# %%
Markdown(choices.choices_findings(log))

# %% [markdown]
# The limits: there are few seeds per trial. Questions were asked one after the other, so settings that help only in combination were not
# found. Trials of the twins' parameters, on a stand-in for the detector, are described in {py:mod}`nontarget.study.calibration` and not
# listed here. A setting that was chosen on one data set may not suit the others:

# %%
Markdown(choices.narrow_questions(log))
