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
# # Figure 1: a wrong target
#
# Where is the truth when the most probable class is wrong? The paper's Fig. 1 shows a snippet whose pseudo label is wrong while the true
# class is among the classes that a pseudo label throws away. Here is one of our own, and how many there are.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment, train
from nontarget.plotting import distribution_of_snippet
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.study.analysis import hidden_snippets, misjudged_snippet, subspace_of_classes

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
features = None
preset = "small"
device = "auto"

# %% [markdown]
# ## The detector
#
# It has seen the labelled videos alone (*supervised only*): what self-training would begin from.

# %%
experiment = Experiment(dataset, "supervised only", ratio, seed, preset, features=features)
training = train(experiment, ResultStore(), device=device)
snippets = hidden_snippets(training)
training.counts

# %% [markdown]
# ## The rule by which the snippet is chosen
#
# Of the training snippets whose labels were hidden, those of an action whose target is *another action* and whose true class is
# *positive* (if there are none: whose true class has the best rank that occurs). Of these, the one with the median confidence $max(p)$,
# the lower of two; ties by video and snippet. {py:func}`nontarget.study.analysis.misjudged_snippet` does it.

# %%
chosen = misjudged_snippet(snippets)
p, truth = snippets.probs[chosen.index], int(snippets.labels[chosen.index])
names = [*training.dataset.classes, "background"]
kinds = subspace_of_classes(p)
kind = "simulated" if training.dataset.simulated else "real"
Markdown(
    f"**{training.dataset.name} ({kind} data)**, {100 * ratio:g} % labelled, seed {seed}. "
    f"Video `{snippets.video_id[chosen.index]}`, "
    f"{snippets.time_s[chosen.index]:.1f} s: the target is "
    f"*{names[p.argmax()]}*, the truth *{names[truth]}*."
)

# %% [markdown]
# Look for the triangle: the true class. A pseudo label would push it down together with all others but the target.

# %% mystnb={"figure": {"caption": "Figure 1. Class distribution of an unlabelled snippet whose target is wrong: the subspace of each class, and the truth. The snippet was chosen by the rule above.", "name": "figure-1"}, "image": {"alt": "Bars of the probability of each class of one snippet, coloured and hatched by subspace; the true class is marked and is not the most probable one."}}
distribution_of_snippet(p, names, kinds, truth)

# %%
rows = {"class": names, "probability": p.round(5), "subspace": kinds}
CsvLink(pd.DataFrame(rows).assign(truth=[c == truth for c in range(len(p))]), "figure1.csv")

# %% [markdown]
# ## What we saw

# %%
what = "is positive" if chosen.truth_positive else f"has rank {chosen.truth_rank}"
wrong, eligible = chosen.num_wrong, chosen.num_eligible
Markdown(
    f"Of {chosen.num_actions} unlabelled action snippets, {wrong} "
    f"({100 * wrong / chosen.num_actions:.0f} %) have another action as their target. In "
    f"{eligible} of these ({100 * eligible / wrong:.0f} %) the truth {what}; the shown one "
    f"is the middle of them. There the truth has rank {chosen.truth_rank} of {len(p)}, "
    f"with {p[truth]:.3f} against {p.max():.3f} for the target."
)

# %% [markdown]
# The limits: one snippet of one run is an illustration. It was chosen among those where the truth is positive, so it says nothing about
# how common that is; the counts do, for this run, and Figure 5 does for all subspaces.
