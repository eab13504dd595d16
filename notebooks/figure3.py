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
# Does learning from non-target classes set action snippets apart from background? The paper's Fig. 3 is a picture. Here it is again, with
# a number: how well a linear classifier tells the two apart on videos that it was not trained on.

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment, train
from nontarget.plotting import embedding_maps
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.study import analysis
from nontarget.study.texttable import TextTable

# %% [markdown]
# The parameters: `seeds` is the number of runs, `each` how many snippets of either kind are scored, `shown` how many of these are drawn.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seeds = 1
features = None
preset = "small"
device = "auto"
each = 1000
shown = 300

# %% [markdown]
# ## Embeddings of unlabelled snippets
#
# Both detectors have the same features, split and budget; they differ in the rule. What is compared is the embedding, the layer below the
# class head, of training snippets whose labels were hidden.

# %%
plain = {"dataset": dataset, "label_ratio": ratio, "preset": preset, "features": features}
trained = {
    rule: [
        train(Experiment(rule=rule, seed=seed, **plain), ResultStore(), device=device)
        for seed in range(seeds)
    ]
    for rule in ("baseline", "non-target")
}
runs = {
    rule: [analysis.hidden_snippets(t) for t in found] for rule, found in trained.items()
}
data = trained["non-target"][0].dataset
kind = "simulated" if data.simulated else "real"

# %% [markdown]
# ## How separable they are
#
# Balanced accuracy of a logistic regression in percent, cross-validated so that no video is in both parts of a fold; 50 is chance. The
# interval (`low`, `high`) is of 95 %, by a bootstrap over videos. Look at `gain`: *non-target* minus *baseline* on the same snippets, its interval
# with the same videos drawn for both. One that contains 0 says that these videos cannot tell the two apart.

# %%
drawn = [analysis.draw_snippets(s.labels != s.background, each) for s in runs["non-target"]]
scores = {
    rule: [
        analysis.separability(s.embeddings[i], s.labels[i] != s.background, s.video_id[i])
        for s, i in zip(found, drawn, strict=True)
    ]
    for rule, found in runs.items()
}
table = analysis.separability_table(scores, reference="baseline")
TextTable(
    table,
    "Balanced accuracy in percent of action against background, by rule and run.",
)

# %% [markdown]
# ## The picture
#
# t-SNE of the same snippets of the first run, from their principal components, with a fixed seed. Distances between far-away points mean
# little in it, and two maps cannot be laid over each other: look at how mixed the kinds are.

# %%
sample = runs["non-target"][0]
few = analysis.draw_snippets(sample.labels != sample.background, shown)
groups = np.where(sample.labels[few] != sample.background, "action", "background")
maps = {
    rule: analysis.map_to_plane(found[0].embeddings[few]) for rule, found in runs.items()
}
titles = {
    rule: f"{rule}: {100 * found[0].score:.1f} % separable"
    for rule, found in scores.items()
}

# %% mystnb={"figure": {"caption": "Figure 3. Embeddings of action and background snippets of unlabelled training videos, without and with learning from non-target classes (t-SNE); above each map, how well a linear classifier separates the kinds.", "name": "figure-3"}, "image": {"alt": "Two scatter plots of snippet embeddings, baseline and non-target, with action and background snippets in different colours and markers."}}
embedding_maps(maps, groups, titles)

# %%
where = {"video_id": sample.video_id[few], "snippet": sample.snippet[few], "kind": groups}
points = [
    pd.DataFrame({"rule": rule, **where, "x": m[:, 0], "y": m[:, 1]})
    for rule, m in maps.items()
]
CsvLink(pd.concat(points), "figure3.csv")

# %% [markdown]
# ## What we saw

# %%
Markdown(
    f"**{data.name} ({kind} data)**, {100 * ratio:g} % labelled. Action and background are "
    f"told apart: {analysis.separability_findings(scores, 'non-target', 'baseline')}"
)

# %% [markdown]
# The limits: the bootstrap over videos knows nothing of how a detector varies from training to training; for that run several seeds
# (`-p seeds 3`). The truth of unlabelled videos is used for this look alone, never in training. A linear probe measures what the
# embedding holds, not what the class head makes of it.
