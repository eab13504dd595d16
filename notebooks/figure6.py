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
# # Figure 6: detections and misses
#
# What do the systems find in a video, what do they miss, and what do they make up? The page shows two test videos and three systems, with
# misses as visible as hits.

# %%
# %matplotlib inline
import pandas as pd
from IPython.display import Markdown

from nontarget.experiment import Experiment, evaluate, train
from nontarget.plotting import hits_and_misses
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.runtime.escaping import escaped
from nontarget.study.analysis import match_video, outcomes, videos_by_instances
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are those of {doc}`table1` for one seed, and `min_tiou`, the tIoU at which a detection counts as right.

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seed = 0
features = None
preset = "small"
device = "auto"
min_tiou = 0.5

# %%
check_parameters(
    dataset=dataset,
    ratio=ratio,
    seed=seed,
    features=features,
    preset=preset,
    device=device,
    min_tiou=min_tiou,
)

# %% [markdown]
# ## The systems and the videos
#
# The videos are chosen without any result: of the test videos with an instance, they are the two whose number of instances is closest to
# the 90 % quantile, ties by id ({py:func}`nontarget.study.analysis.videos_by_instances`). The median simulated video has only two
# instances, which would show little.

# %%
plain = {"dataset": dataset, "label_ratio": ratio, "seed": seed}
plain |= {"preset": preset, "features": features}
experiments = {
    rule: Experiment(rule=rule, **plain) for rule in ("baseline", "SPOT", "non-target")
}
trained = {rule: train(e, ResultStore(), device=device) for rule, e in experiments.items()}
found = {rule: evaluate(t) for rule, t in trained.items()}
data = trained["non-target"].dataset
videos = [v.video for v in videos_by_instances(data.test)]
kind = "simulated" if data.simulated else "real"
shown = ", ".join(escaped(v.video_id) for v in videos)
Markdown(f"**{escaped(data.name)} ({kind} data)**: {shown}")

# %% [markdown]
# ## Time lines
#
# Of each system, the best detections of all classes are kept, as many as the video has instances: a perfect system would find every
# instance and nothing else. A detection is right by the criterion of the evaluation: its class is right, and its tIoU with an instance that
# no better detection has taken reaches `min_tiou`. Letters stand for classes. Look at the three lanes of a system together: found, missed
# and false.

# %%
truth = data.instances(data.test)
matches = {
    v.video_id: {
        rule: match_video(truth, detections, v.video_id, min_tiou)
        for rule, (_, detections) in found.items()
    }
    for v in videos
}
lines = {f"{v.video_id} ({kind})": (v.duration_s, matches[v.video_id]) for v in videos}

# %% mystnb={"figure": {"caption": "Figure 6. Found, missed and false detections of three systems on two test videos, below the annotated instances. As many detections are kept as there are instances; letters are classes.", "name": "figure-6"}, "image": {"alt": "Time lines of two test videos: annotated instances, and for baseline, SPOT and non-target a lane of found, a lane of missed and a lane of false detections."}}
hits_and_misses(lines)

# %% [markdown]
# The table has the counts. *Found at any score* takes every detection into account, however low its score.

# %%
rows = {
    (video, rule): m.counts() for video, of in matches.items() for rule, m in of.items()
}
counts = pd.DataFrame(rows).T.rename_axis(["video", "system"])
counts

# %%
CsvLink(outcomes(matches), "figure6.csv")

# %% [markdown]
# ## Findings

# %%
total = counts.groupby("system", sort=False).sum()
counted = "; ".join(
    f"*{rule}* finds {row['found']} of {row['instances']} instances and has "
    f"{row['false positives']} false positives (average mAP on all test videos "
    f"{100 * found[rule][0].average_mean_ap:.1f})"
    for rule, row in total.iterrows()
)
Markdown(
    f"**On the two videos, {counted}.** {escaped(data.name)} ({kind} data), {100 * ratio:g} % "
    f"labelled, seed {seed}, tIoU {min_tiou:g}."
)

# %% [markdown]
# The limits: two videos and one seed are an illustration; Table 1 compares the systems. The number of detections that are kept is a choice:
# keeping more trades misses for false positives.
