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
# # Figure 5: where the true class lies
#
# How often is the true class of an unlabelled snippet in each of the four subspaces? Positive learning can help only if the true class is
# often positive where it is not the target; negative learning does harm where it is negative. The first figure is by data set and label
# ratio, from the committed results; the second is by epoch, from a training run by this page.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment
from nontarget.plotting import SUBSPACES, subspaces_by_epoch, subspaces_by_ratio
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.runtime.escaping import escaped
from nontarget.study.analysis import committed_coverage, coverage_by_epoch, with_chance
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters describe the training that is followed by epoch.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
rule = "non-target"
features = None
preset = "small"
device = "auto"

# %%
check_parameters(
    dataset=dataset,
    ratio=ratio,
    seed=seed,
    rule=rule,
    features=features,
    preset=preset,
    device=device,
)

# %% [markdown]
# ## By data set and label ratio
#
# The shares are those after training, computed with the hidden labels of the unlabelled training videos. Look at the circles and squares
# first: they should be far above the tick of their colour, which says how often a class drawn *at random* would lie in a subspace of that
# mean size. The triangles should be far below theirs. Most snippets are background, so snippets of an action have a panel of their own.

# %%
runs, stale = committed_coverage()
runs = with_chance(runs)
simulated = ", ".join(d for d in runs.dataset.unique() if d.endswith("-sim")) or "none"
Markdown(
    f"{len(runs) or 'No'} committed runs are current; {stale} are of older code or data and "
    f"were left out. Simulated data sets: {escaped(simulated)}."
)

# %% mystnb={"figure": {"caption": "Figure 5. How often the true class of an unlabelled snippet lies in each subspace of the label space after training, by data set and label ratio; mean and standard deviation over seeds. Short ticks: a class drawn at random. Data sets whose names end in -sim are simulated.", "name": "figure-5"}, "image": {"alt": "Share of snippets whose true class is the target, positive, negative or ambiguous against the label ratio, on a logarithmic axis, for all snippets and for action snippets."}}
subspaces_by_ratio(runs)

# %%
CsvLink(runs, "figure5.csv")

# %% [markdown]
# The table has means over label ratios and seeds for *non-target*, in percent: `all` is a share of all snippets, `action` a share of the snippets
# of an action, and `chance` the share for a class drawn at random.

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
# One training, examined after every epoch: pre-training, which uses labels only, then self-training.

# %%
experiment = Experiment(dataset, rule, ratio, seed, preset, features=features)
epochs = with_chance(coverage_by_epoch(experiment, ResultStore(), device=device))

# %% mystnb={"figure": {"caption": "Figure 5, by epoch: the same shares in one training, after every epoch. Dotted: a class drawn at random.", "name": "figure-5-epochs"}, "image": {"alt": "Share of snippets whose true class is the target, positive, negative or ambiguous against the epoch, on a logarithmic axis, for all snippets and for action snippets."}}
subspaces_by_epoch(epochs)

# %%
CsvLink(epochs, "figure5-epochs.csv")

# %% [markdown]
# ## Findings

# %%
numbers = 100 * epochs.drop(columns=["stage", "epoch"])
before, after = numbers[epochs.stage == "pretrain"].iloc[-1], numbers.iloc[-1]
shares = {
    name: f"{name} in {after[f'action_{name}']:.1f} % of cases (before self-training "
    f"{before[f'action_{name}']:.1f} %, at random {after[f'chance_{name}']:.1f} %)"
    for name in SUBSPACES
}
data = experiment.load()
Markdown(
    f"**After training, the true class of an action snippet is {'; '.join(shares.values())}.** "
    f"{escaped(data.name)} ({'simulated' if data.simulated else 'real'} data), {100 * ratio:g} % "
    f"labelled, rule *{rule}*, seed {seed}."
)

# %% [markdown]
# The limits: chance is computed from mean sizes over all snippets, background included. Sets are larger where the model is uncertain, and
# there the true class is more often outside the target. That a class is in a set does not say how strongly its loss acts. Results of older
# code are left out, so a data set or ratio may be missing.
