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
# Where is the true class when the most probable class is wrong? The paper's Fig. 1 shows a snippet with a wrong pseudo label whose true
# class is among those that a pseudo label ignores. This page finds such a snippet, and counts how many there are.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment, train
from nontarget.plotting import distribution_of_snippet
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.runtime.escaping import escaped
from nontarget.study.analysis import hidden_snippets, misjudged_snippet, subspace_of_classes
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are those of {doc}`table1`, for one seed.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
features = None
preset = "small"
device = "auto"

# %%
check_parameters(
    dataset=dataset, ratio=ratio, seed=seed, features=features, preset=preset, device=device
)

# %% [markdown]
# ## The detector
#
# It has seen the labelled videos only (*supervised only*): it is what self-training starts from.

# %%
experiment = Experiment(dataset, "supervised only", ratio, seed, preset, features=features)
training = train(experiment, ResultStore(), device=device)
snippets = hidden_snippets(training)
training.counts

# %% [markdown]
# ## The rule by which the snippet is chosen
#
# The candidates are the training snippets of an action whose labels were hidden, whose target is *another action*, and whose true class is
# *positive*; if there are none, those whose true class has the best rank that occurs. The one with the median confidence $max(p)$ is
# shown; of two, that is the lower one, and ties go by video and snippet. {py:func}`nontarget.study.analysis.misjudged_snippet` chooses it.

# %%
chosen = misjudged_snippet(snippets)
p, truth = snippets.probs[chosen.index], int(snippets.labels[chosen.index])
names = [*training.dataset.classes, "background"]
subspaces = subspace_of_classes(p)
Markdown(
    f"Video {escaped(snippets.video_id[chosen.index])}, {snippets.time_s[chosen.index]:.1f} s: "
    f"the target is *{escaped(names[p.argmax()])}*, the true class *{escaped(names[truth])}*."
)

# %% [markdown]
# Look for the triangle at the true class. A pseudo label would push it down, together with every other class but the target.

# %% mystnb={"figure": {"caption": "Figure 1. Class distribution of an unlabelled snippet whose target is wrong, with the subspace of each class and the true class. The snippet was chosen by the rule above.", "name": "figure-1"}, "image": {"alt": "Bars of the probability of each class of one snippet, coloured and hatched by subspace; the true class is marked and is not the most probable one."}}
distribution_of_snippet(p, names, subspaces, truth)

# %%
rows = {"class": names, "probability": p.round(5), "subspace": subspaces}
CsvLink(pd.DataFrame(rows).assign(truth=[c == truth for c in range(len(p))]), "figure1.csv")

# %% [markdown]
# ## Findings

# %%
what = "is positive" if chosen.truth_positive else f"has rank {chosen.truth_rank}"
wrong, eligible = chosen.num_wrong, chosen.num_eligible
Markdown(
    f"**{100 * wrong / chosen.num_actions:.0f} % of the {chosen.num_actions} unlabelled action "
    f"snippets have another action as their target; of these, the true class {what} in "
    f"{100 * eligible / wrong:.0f} % ({eligible} of {wrong}).** In the snippet shown it has "
    f"rank {chosen.truth_rank} of {len(p)}, with a probability of {p[truth]:.3f} against "
    f"{p.max():.3f} for the target. {escaped(training.dataset.name)} "
    f"({'simulated' if training.dataset.simulated else 'real'} data), {100 * ratio:g} % "
    f"labelled, seed {seed}."
)

# %% [markdown]
# The limits: one snippet of one run is an illustration. It was chosen among those whose true class is positive, so it does not show how
# common that is. The counts do, for this run; Figure 5 does for all subspaces.
