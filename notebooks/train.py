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
# # One run, looked at closely
#
# What happens in training, and what comes out of it? One data set, label ratio, rule and seed: the losses of every epoch, and the
# detections on two test videos.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment, evaluate, train
from nontarget.plotting import timeline, training_curves
from nontarget.results import ResultStore

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
rule = "non-target"
features = None
preset = "small"
device = "auto"
checkpoint = None

# %% [markdown]
# ## Training
#
# The detector is pre-trained on the labelled clips (with masked reconstruction on all of them), then self-trained: every epoch a
# frozen copy of it labels the unlabelled clips. Weights that are in the store are read instead of trained.

# %%
experiment = Experiment(dataset, rule, ratio, seed, preset, features=features)
training = train(experiment, ResultStore(), device=device)
training.counts

# %% [markdown]
# Each loss is a mean over the epoch. In self-training, watch the unlabelled losses: the teacher of an epoch is last epoch's student, so
# they measure how much the student still moves.

# %% mystnb={"image": {"alt": "Losses of pre-training and self-training against the epoch, on a logarithmic axis."}}
training_curves({name: stage.curve for name, stage in training.stages.items()})

# %% [markdown]
# ## Detections
#
# On all test videos, and their score.

# %%
scores, detections = evaluate(training)
pd.DataFrame([100 * scores.mean_ap], ["mAP (%)"], scores.tiou_thresholds).round(1)

# %% [markdown]
# The first two test videos that have an instance: the truth on top, below it the best detections, fainter where the score is lower.
# Look for instances without a detection as much as for hits.

# %%
first, second = [v for v in training.dataset.test if len(v.annotations.labels)][:2]

# %% mystnb={"image": {"alt": "Annotated instances and best detections on the time line of one test video."}}
timeline(training.dataset.instances([first]), detections, first.video)

# %% mystnb={"image": {"alt": "Annotated instances and best detections on the time line of another test video."}}
timeline(training.dataset.instances([second]), detections, second.video)

# %% [markdown]
# ## Keeping the detector
#
# With `-p checkpoint model.safetensors` the detector is saved, ready for `nontarget.detect("model.safetensors", features, feature_fps)`.

# %%
checkpoint and training.trained.save(checkpoint)

# %% [markdown]
# ## What we saw

# %%
found = detections[detections.video_id.isin([first.video.video_id, second.video.video_id])]
Markdown(
    f"{dataset if features is None else features} ({'simulated' if training.dataset.simulated else 'real'} data), "
    f"{100 * ratio:g} % labelled, rule *{rule}*, seed {seed}: {100 * scores.average_mean_ap:.1f} average mAP over all {scores.num_videos} "
    f"test videos with {scores.num_instances} instances; {len(found)} detections on the two videos above, of which the best are drawn."
)

# %% [markdown]
# The limits: one seed says little about a rule; Table 1 compares them over several.
