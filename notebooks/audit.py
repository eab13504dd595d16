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
# # Audit: what a number depends on
#
# What does a detector earn that localises nothing, and how far does a mAP move when the detections stay as they are and only the choice
# of videos, instances and detections that are scored changes? This page scores trivial detectors on the real annotations of ActivityNet
# v1.3 {cite}`heilbron2015activitynet` and THUMOS14 {cite}`jiang2014thumos`. None of them has seen a video: no number here is a
# result of a system.
#
# A *protocol* is such a choice. Those below are found in public evaluation code or in descriptions of experiments; each is a small
# function of {py:mod}`nontarget.study.audit_protocols`. Average precision is always computed by
# {py:func}`nontarget.evaluate_detections`.

# %%
# %matplotlib inline
from IPython.display import Markdown

from nontarget.plotting.audit import map_by_protocol
from nontarget.runtime.downloads import CsvLink
from nontarget.study.audit import (
    REFERENCE,
    audit_table,
    get_audit,
    protocol_effects,
    sources,
)

# %% [markdown]
# The parameters: `source` is `committed` to read `results/audit.csv`, or `run` to compute it from the annotation files, in a few
# minutes; `data` is the folder that holds them (default: `NONTARGET_DATA`); `seeds` is the number of draws where something is drawn.

# %% tags=["parameters"]
source = "committed"
data = None
seeds = 5

# %% [markdown]
# ## Where the annotations come from
#
# Annotations and video scores are not part of this repository: their licences are their publishers' own. To compute the numbers, put
# these files under the folder that `NONTARGET_DATA` names, and run `python -m nontarget.audit`.

# %%
rows = get_audit(source, data, seeds)
Markdown(sources(rows))

# %% [markdown]
# ActivityNet's file is the part that comes with a public feature release; the official file has a few more videos, whose features were
# not released. The published video scores name one class and one score for each validation video of the official file. They come from
# a classifier trained with the classes of **all** training videos: a system that uses them is semi-supervised in its borders only.

# %%
activitynet, thumos14 = (rows[rows.dataset == d] for d in ("activitynet", "thumos14"))
whole, right = "whole video, external class", "whole video, right class"
middle, silent = (
    "mean training segment, external class",
    "whole video, external score ≥ 0.99",
)
index = ["detector", "protocol", "setting"]
average = activitynet[activitynet.tiou == "avg"].groupby(index).mean(numeric_only=True)
scored = average.loc[whole, REFERENCE, ""]
published = average.loc[whole].get("num_detections").max()
Markdown(
    f"Of the {scored.num_videos:,.0f} validation videos of the annotation file, "
    f"{scored.num_videos - scored.num_detections:.0f} have no published score; "
    f"{published - scored.num_detections:.0f} published scores are of other videos."
)

# %% [markdown]
# ## ActivityNet: one segment a video
#
# Every validation video counts, one without a detection is all misses. *Whole video* is the segment from 0 to the video's end;
# *mean training segment* goes from the mean start to the mean end of the training instances, in video lengths. *External class* takes
# the published class and score; *right class* the annotated one with score 1 (equal scores have no order, so it is drawn: mean ±
# standard deviation over seeds). *Score ≥* leaves out videos whose published score is lower. Compare the first row with the third,
# which differ in the class, and with the second, which differ in the segment.

# %%
audit_table(activitynet[activitynet.protocol == REFERENCE], ["detector"])

# %% [markdown]
# ## ActivityNet: the same detections under other protocols
#
# - *Every video*: as above, the reference.
# - *Every published score*: detections in videos that the annotation file does not have are false positives.
# - *Predicted videos*: a video without a detection leaves the ground truth, and its misses with it.
# - *Last instance*: of each video, only the last listed instance is kept, as when a dictionary with one key a video is filled in a
#   loop over instances.
# - *Long last instance*: moreover, a video stays only if that instance spans a share of it (in brackets). Detections in the other videos
#   are false positives; with *its videos* they are left out; with *its predicted videos*, so are videos without a detection.
#
# Look at what happens to the number of instances, and to the average.

# %%
audit_table(activitynet[activitynet.detector == whole], ["protocol", "setting"])

# %% [markdown]
# The same for four detectors: one whose segment is worse, one whose class is right, and one that is silent on the videos that it is less
# sure of. [The figure below](#audit-protocols) shows the average mAP; the dotted line is the best of them under the reference.

# %% mystnb={"figure": {"caption": "Average mAP on ActivityNet of four detectors that localise nothing, under each protocol.", "name": "audit-protocols"}, "image": {"alt": "Average mAP of four trivial detectors on ActivityNet, one row for each protocol, from about 20 with every video to over 90 with the strictest choice of videos."}}
map_by_protocol(activitynet, [whole, right, middle, silent])

# %%
CsvLink(activitynet, "audit-activitynet.csv")

# %% [markdown]
# ## THUMOS14: which videos and instances
#
# THUMOS14's instances are short, so one segment a video earns next to nothing. So that subsets can be compared, **simulated detections**
# take a detector's place: the annotated instances, a fifth of them missed, shifted and rescaled by noise, and false positives. In
# *a cliff dive named once* they come from annotations in which a segment that is both *CliffDiving* and *Diving* has the first name only.
# Their level was made up, not measured; what counts is how it moves. For one segment a video, *every published score* is all test videos,
# of which few are annotated in time.

# %%
few = thumos14.protocol.isin([REFERENCE, "every published score"])
levels = audit_table(thumos14[few], ["detector", "protocol"])
levels.drop(columns=["0.3", "0.4", "0.6"])

# %% [markdown]
# - *Out-of-range instances too*: instances of the official text files that begin after the end of their video, most of them in
#   video_test_0000270. Readers leave them out; counted, they are misses.
# - *Without videos*: as descriptions of experiments say: number 270, 1496 (questioned annotations), 1292 (ambiguous spans alone).
# - *Ambiguous spans ignored*: a detection that touches a span marked as ambiguous, and no instance of its class, is left out.
# - *A cliff dive counted once*: not as *Diving* too. All of them are annotated twice.
# - *Instances of at least*: shorter ones leave the ground truth; with *and detections*, shorter detections leave too.
# - *Validation videos*: those that systems are trained on, by the same simulated detector.
#
# Below, *mean* and *sd* are the difference in average mAP to the reference, paired by seed, and its standard deviation; the second table is for the
# detector that names a cliff dive once.

# %%
effects = protocol_effects(thumos14).loc["jittered truth"]
jittered = audit_table(
    thumos14[thumos14.detector == "jittered truth"], ["protocol", "setting"]
)
counts = jittered[["videos", "instances", "detections"]]
jittered[["0.5", "avg"]].join(effects.round(2)).join(counts)

# %%
once = "jittered truth, a cliff dive named once"
protocol_effects(thumos14).loc[once].round(2)

# %%
CsvLink(thumos14, "audit-thumos14.csv")

# %% [markdown]
# ## What must stand beside a number
#
# A mAP of these data sets can be compared with another only if both say
#
# - which videos were scored, and whether one without a detection counts as misses;
# - which instances: how many, which were left out, whether a segment with two labels counts twice, what happens to detections of an
#   instance that was left out;
# - whether scores of whole videos from outside were used, and on which labels *their* classifier was trained;
# - how many detections were scored, and whether those in videos without annotation were among them.
#
# The tables of this book print them.

# %% [markdown]
# ## What we saw

# %%
points = average.mean_ap * 100
plain = points.xs((REFERENCE, ""), level=("protocol", "setting"))
best, share = points[whole].idxmax()
quiet = points[silent, "predicted videos", ""] - plain[silent]
Markdown(
    f"- On ActivityNet, one segment a video with class and score from outside earns "
    f"{plain[whole]:.1f} average mAP, without localising anything. With the right class it is "
    f"{plain[right] - plain[whole]:+.1f} points; with the mean training segment, "
    f"{plain[middle] - plain[whole]:+.1f}.\n"
    f"- The same detections earn up to {points[whole].max():.1f} (*{best}*, {share}), "
    f"{points[whole].max() / plain[whole]:.1f} times as much.\n"
    f"- Not scoring videos without a detection gives the silent detector {quiet:+.1f}."
)

# %%
videos = effects.loc[["without videos", "videos with an instance"], "mean"].abs().max()
both = effects.loc[("a cliff dive counted once", ""), "mean"]
one = protocol_effects(thumos14).loc[(once, "a cliff dive counted once", ""), "mean"]
short = effects.loc[("instances of at least", "2 s"), "mean"]
beyond = effects.loc[("out-of-range instances too", ""), "mean"]
Markdown(
    f"- On THUMOS14, leaving out the videos in question moves simulated detections by at most "
    f"{videos:.2f} points of average mAP, counting out-of-range instances by {beyond:+.2f}.\n"
    f"- Counting a cliff dive once: {both:+.1f} where the detector names both classes, "
    f"{one:+.1f} where it names one.\n"
    f"- Taking instances below 2 s out of the ground truth alone: {short:+.1f}."
)

# %% [markdown]
# The limits: the detectors are trivial or simulated, and a system's own detections would move by other amounts; what a protocol does to
# the number of instances is the same for all. External scores are those of one publication; some of them are equal, and then the
# order of its file decides. Which protocol a published number used is not
# known here and nothing is said about it.
