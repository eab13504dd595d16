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
# # One run in detail
#
# What happens in training, and what is the result? This page shows the losses of every epoch and the detections on two test videos, for one
# data set, label ratio, rule and seed.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment, evaluate, train
from nontarget.plotting import timeline, training_curves
from nontarget.protocols import describe, named_settings
from nontarget.results import ResultStore
from nontarget.runtime.escaping import escaped
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are those of {doc}`table1` for one learning rule and seed, and `checkpoint`, a file for the trained detector (`None`: none).

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
rule = "non-target"
features = None
preset = "small"
protocol = None
device = "auto"
checkpoint = None

# %%
check_parameters(
    dataset=dataset,
    ratio=ratio,
    seed=seed,
    rule=rule,
    features=features,
    preset=preset,
    protocol=protocol,
    device=device,
    checkpoint=checkpoint,
)

# %% [markdown]
# ## Training
#
# The detector is pre-trained on the labelled clips (with masked reconstruction on all clips) and then self-trained: a frozen copy of it labels
# the unlabelled clips. Weights that are already in the store are read, not trained again.

# %%
problem = {"features": features, "protocol_settings": named_settings(protocol)}
experiment = Experiment(dataset, rule, ratio, seed, preset, **problem)
training = train(experiment, ResultStore(), device=device)
training.counts

# %% [markdown]
# Each loss is a mean over the epoch. In self-training, watch the losses on unlabelled clips: they measure how far the student is from its
# teacher.

# %% mystnb={"image": {"alt": "Losses of pre-training and self-training against the epoch, on a logarithmic axis."}}
training_curves({name: stage.curve for name, stage in training.stages.items()})

# %% [markdown]
# ## Detections
#
# The table scores the detections on all test videos.

# %%
scores, detections = evaluate(training)
pd.DataFrame([100 * scores.mean_ap], ["mAP (%)"], scores.tiou_thresholds).round(1)

# %% [markdown]
# The time lines show the first two test videos that have an instance: the annotations on top, the best detections below, fainter for a lower
# score. Look for instances without a detection as well as for hits.

# %%
first, second = [v for v in training.dataset.test if len(v.annotations.labels)][:2]

# %% mystnb={"image": {"alt": "Annotated instances and best detections on the time line of one test video."}}
timeline(training.dataset.instances([first]), detections, first.video)

# %% mystnb={"image": {"alt": "Annotated instances and best detections on the time line of another test video."}}
timeline(training.dataset.instances([second]), detections, second.video)

# %% [markdown]
# ## Keeping the detector
#
# With `-p checkpoint model.safetensors` the detector is saved for use with `nontarget.detect("model.safetensors", features, feature_fps)`.

# %%
checkpoint and training.trained.save(checkpoint)

# %% [markdown]
# ## Findings

# %%
data = training.dataset
Markdown(
    f"**The average mAP is {100 * scores.average_mean_ap:.1f}, on {scores.num_videos} test videos "
    f"with {scores.num_instances} instances.** {escaped(data.name)} "
    f"({'simulated' if data.simulated else 'real'} data), {100 * ratio:g} % labelled, rule "
    f"*{rule}*, seed {seed}; {describe(data.protocol)}."
)

# %% [markdown]
# The limits: one seed says little about a learning rule; {doc}`table1` compares rules over several seeds.
