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
# # Figure 5: where the truth lies
#
# How often is the true class of an unlabelled snippet in each of the four subspaces? Positive learning can help only if the truth is often
# positive where it is not the target; negative learning does harm where the truth is negative. By data set and label ratio from the
# committed results, and by epoch in a training of this page's own.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment
from nontarget.plotting import SUBSPACES, subspaces_by_epoch, subspaces_by_ratio
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.study.analysis import committed_coverage, coverage_by_epoch, with_chance

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
rule = "non-target"
features = None
preset = "small"
device = "auto"

# %% [markdown]
# ## By data set and label ratio
#
# After training, on the hidden labels of the unlabelled training videos. Look at the circles and squares first: they should be far above
# the tick of their colour, how often a class drawn *at random* would lie in a subspace of that mean size. The triangles should be far below theirs.
# Most snippets are background; those of an action are shown apart.

# %%
runs, stale = committed_coverage()
runs = with_chance(runs)
note = (
    f"{stale} runs were left out: the committed rows are of older code or data."
    if stale
    else ""
)
simulated = ", ".join(d for d in runs.dataset.unique() if d.endswith("-sim")) or "none"
count = len(runs) or "Not computed yet: no"
Markdown(f"{count} committed runs are current. Simulated data sets: {simulated}. {note}")

# %% mystnb={"figure": {"caption": "Figure 5. How often the true class of an unlabelled snippet lies in each subspace of the label space after training, by data set and label ratio; mean and standard deviation over seeds. Short ticks: a class drawn at random. Data sets whose names end in -sim are simulated.", "name": "figure-5"}, "image": {"alt": "Share of snippets whose true class is the target, positive, negative or ambiguous against the label ratio, on a logarithmic axis, for all snippets and for action snippets."}}
subspaces_by_ratio(runs)

# %%
CsvLink(runs, "figure5.csv")

# %% [markdown]
# In percent for *non-target*, means over label ratios and seeds: `all` and `action` are shares of snippets, `chance` is that of a class at random.

# %%
non_target = runs[runs.rule == "non-target"].groupby("dataset").mean(numeric_only=True)
parts = {"all": "truth", "action": "action", "chance": "chance"}
columns = {
    (name, k): 100 * non_target[f"{c}_{name}"]
    for name in SUBSPACES
    for k, c in parts.items()
}
pd.DataFrame(columns).round(1).T

# %% [markdown]
# ## By epoch
#
# The same for one training, looked at after every epoch. Pre-training sees labels alone; then self-training begins.

# %%
experiment = Experiment(dataset, rule, ratio, seed, preset, features=features)
epochs = with_chance(coverage_by_epoch(experiment, ResultStore(), device=device))

# %% mystnb={"figure": {"caption": "Figure 5, by epoch. The same in one training, after every epoch. Dotted: a class drawn at random.", "name": "figure-5-epochs"}, "image": {"alt": "Share of snippets whose true class is the target, positive, negative or ambiguous against the epoch, on a logarithmic axis, for all snippets and for action snippets."}}
subspaces_by_epoch(epochs)

# %%
CsvLink(epochs, "figure5-epochs.csv")

# %% [markdown]
# ## What we saw

# %%
numbers = 100 * epochs.drop(columns=["stage", "epoch"])
begun, last = numbers[epochs.stage == "pretrain"].iloc[-1], numbers.iloc[-1]
moved = {
    name: f"{name} in {last[f'action_{name}']:.1f} % (before self-training "
    f"{begun[f'action_{name}']:.1f} %, a class at random {last[f'chance_{name}']:.1f} %)"
    for name in SUBSPACES
}
data = experiment.load()
Markdown(
    f"{data.name} ({'simulated' if data.simulated else 'real'} data), {100 * ratio:g} % "
    f"labelled, rule *{rule}*, seed {seed}: after training, the true class of an action "
    f"snippet is {'; '.join(moved.values())}."
)

# %% [markdown]
# The limits: chance is computed from the mean sizes over all snippets, background included; sets are larger where the model is unsure, and
# there the truth is more often outside the target. A class in a set is not yet learnt: how strongly a loss acts is not shown. Results of
# older code are left out, so that a data set or ratio may be missing.
