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
# # Figure 3: foreground and background
#
# Does learning from non-target classes separate action snippets from background? The paper's Fig. 3 is a picture. This page adds a
# number: how well a linear classifier tells the two apart on videos that it was not trained on.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.experiment import Experiment
from nontarget.plotting import embedding_maps
from nontarget.runtime.downloads import CsvLink
from nontarget.runtime.escaping import escaped
from nontarget.study import analysis
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are those of {doc}`table1`, and: `seeds`, the number of runs; `each`, the number of snippets of either kind that are
# scored; `shown`, how many of these are drawn.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seeds = 1
features = None
preset = "small"
device = "auto"
each = 1000
shown = 300

# %%
check_parameters(
    dataset=dataset,
    ratio=ratio,
    seeds=seeds,
    features=features,
    preset=preset,
    device=device,
    each=each,
    shown=shown,
)

# %% [markdown]
# ## Embeddings of unlabelled snippets
#
# Both detectors have the same features, split and budget, and differ in the learning rule only. An embedding is the layer below the class
# head; the snippets are those of the training videos whose labels were hidden.

# %%
plain = {"dataset": dataset, "label_ratio": ratio, "preset": preset, "features": features}
experiments = {rule: Experiment(rule=rule, **plain) for rule in ("baseline", "non-target")}
data = experiments["non-target"].load()
groups = {"background": [data.num_classes], "action": range(data.num_classes)}
options = {"each": each, "shown": shown, "seeds": seeds, "device": device}
study = analysis.embedding_study(experiments, groups, **options)

# %% [markdown]
# ## How separable they are
#
# The score is the balanced accuracy of a logistic regression in percent, cross-validated so that no video is in both parts of a fold;
# chance is 50. `low` and `high` are the 95 % interval of a bootstrap over videos. Look at `gain`, the difference from the baseline on the
# same snippets and bootstrap samples: if its interval contains 0, these videos show no difference.

# %%
study.table

# %% [markdown]
# ## The picture
#
# The map is a t-SNE of snippets of the first run, initialised with their principal components, with a fixed seed. Distances between
# distant points mean little in it, and two maps cannot be overlaid: look at how mixed the kinds are.

# %% mystnb={"figure": {"caption": "Figure 3. Embeddings of action and background snippets of unlabelled training videos (t-SNE), under the baseline and under the paper's method. Above each map: how well a linear classifier separates the two kinds.", "name": "figure-3"}, "image": {"alt": "Two scatter plots of snippet embeddings, baseline and non-target, with action and background snippets in different colours and markers."}}
embedding_maps(study.points, study.titles)

# %%
CsvLink(study.points, "figure3.csv")

# %% [markdown]
# ## Findings

# %%
Markdown(
    f"{study.findings} These are {len(groups)} groups of snippets of {escaped(data.name)} "
    f"({'simulated' if data.simulated else 'real'} data), {100 * ratio:g} % labelled: "
    f"{', '.join(groups)}."
)

# %% [markdown]
# The limits: the bootstrap over videos does not cover how a detector varies between trainings; for that, run several seeds
# (`-p seeds 3`). The labels of unlabelled videos are used for this page only, never in training. A linear probe measures what the
# embedding holds, not what the class head makes of it.
