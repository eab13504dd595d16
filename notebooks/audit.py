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
# What mAP does a detector have that localises nothing, and how much does mAP change if the detections stay the same and only the choice of
# the scored videos, instances and detections changes? This page scores trivial detectors on the real annotations of ActivityNet v1.3
# {cite}`heilbron2015activitynet` and THUMOS14 {cite}`jiang2014thumos`. None of them has seen a video, so no number here is the result of
# a system.
#
# Such a choice is called a *protocol* here. The protocols below occur in public evaluation code or in descriptions of experiments; each is
# a small function of {py:mod}`nontarget.study.audit_protocols`. Average precision is always computed by
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
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The parameters are `source`, which is `committed` to read `results/audit.csv`, or `run` to compute it from the annotation files in a few
# minutes; `data`, the folder that holds these files (default: `NONTARGET_DATA`); and `seeds`, the number of random draws.

# %% tags=["parameters"]
source = "committed"
data = None
seeds = 5

# %%
check_parameters(source=source, data=data, seeds=seeds)

# %% [markdown]
# ## Where the annotations come from
#
# Annotations and video scores are not part of this repository, since their publishers have licences of their own. To compute the numbers,
# put these files under the folder that `NONTARGET_DATA` names, and run `python -m nontarget.audit`.

# %%
rows = get_audit(source, data, seeds)
Markdown(sources(rows))

# %% [markdown]
# ActivityNet's file is the part that comes with a public feature release; the official file has a few more videos, whose features were not
# released. The published video scores give one class and one score for each validation video of the official file. They come from a
# classifier that was trained with the classes of **all** training videos, so a system that uses them is semi-supervised in its borders only.

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
# ## ActivityNet: one segment per video
#
# Every validation video counts; one without a detection has misses only. *Whole video* is the segment from 0 to the end of the video;
# *mean training segment* goes from the mean start to the mean end of the training instances, in video lengths. *External class* has the
# published class and score, *right class* the annotated class with score 1; since equal scores have no order, it is drawn at random (mean ±
# standard deviation over seeds). *Score ≥* leaves out videos with a lower published score. Compare the first row with the third, which
# differs in the class, and with the second, which differs in the segment.

# %%
audit_table(activitynet[activitynet.protocol == REFERENCE], ["detector"])

# %% [markdown]
# ## ActivityNet: the same detections under other protocols
#
# - *Every video*: the reference, as above.
# - *Every published score*: detections in videos that are not in the annotation file count as false positives.
# - *Predicted videos*: a video without a detection is removed from the ground truth, together with its misses.
# - *Last instance*: only the last listed instance of each video is kept, as when a dictionary with one key per video is filled in a loop
#   over instances.
# - *Long last instance*: in addition, a video is kept only if that instance spans a share of it (in brackets). Detections in the other
#   videos are false positives; with *its videos* they are removed; with *its predicted videos*, videos without a detection are removed too.
#
# Look at the number of instances and at the average.

# %%
audit_table(activitynet[activitynet.detector == whole], ["protocol", "setting"])

# %% [markdown]
# [The figure below](#audit-protocols) adds three detectors: one with a worse segment, one with the right class, and one that is silent on
# the videos with a lower score. It shows the average mAP; the dotted line is the best of the four under the reference.

# %% mystnb={"figure": {"caption": "Average mAP on ActivityNet of four detectors that localise nothing, under each protocol.", "name": "audit-protocols"}, "image": {"alt": "Average mAP of four trivial detectors on ActivityNet, one row for each protocol, from about 20 with every video to over 90 with the strictest choice of videos."}}
map_by_protocol(activitynet, [whole, right, middle, silent])

# %%
CsvLink(activitynet, "audit-activitynet.csv")

# %% [markdown]
# ## THUMOS14: which videos and instances
#
# THUMOS14's instances are short, so that the mAP of one segment per video is close to 0. To compare subsets, the page uses **simulated
# detections**: four fifths of the annotated instances, shifted and rescaled by noise, and false positives. In *a cliff dive named once* they
# come from annotations in which a segment that is both *CliffDiving* and *Diving* has the first label only. Their mAP is arbitrary; what
# matters is how it changes. For one segment per video, *every published score* means all test videos, few of which have temporal
# annotations.

# %%
few = thumos14.protocol.isin([REFERENCE, "every published score"])
levels = audit_table(thumos14[few], ["detector", "protocol"])
levels.drop(columns=["0.3", "0.4", "0.6"])

# %% [markdown]
# - *Out-of-range instances too*: instances of the official text files that start after the end of their video, most of them in
#   video_test_0000270. Programs that read the files usually leave them out; here they count, as misses.
# - *Without videos*: without the videos that descriptions of experiments exclude: 270, 1496 (questionable annotations) and 1292 (only
#   ambiguous spans).
# - *Ambiguous spans ignored*: a detection that overlaps a span marked as ambiguous, and no instance of its class, is left out.
# - *A cliff dive counted once*: not as *Diving* as well. All cliff dives are annotated twice.
# - *Instances of at least*: shorter instances are removed from the ground truth; with *and detections*, shorter detections are removed too.
# - *Validation videos*: the videos that systems are trained on, with the same simulated detector.
#
# In the tables, *mean* and *sd* are the mean and standard deviation of the difference in average mAP from the reference, paired by seed. The
# second table is for the detector that names a cliff dive once.

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
# ## What must be reported with a number
#
# Two mAP values on these data sets can be compared only if both report
#
# - which videos were scored, and whether a video without a detection counts as misses;
# - which instances were scored: how many, which were left out, whether a segment with two labels counts twice, and what happens to
#   detections of an instance that was left out;
# - whether external video scores were used, and on which labels *their* classifier was trained;
# - how many detections were scored, and whether those in videos without annotations were among them.
#
# The tables of this book report all of them.

# %% [markdown]
# ## Findings

# %%
points = average.mean_ap * 100
plain = points.xs((REFERENCE, ""), level=("protocol", "setting"))
best, share = points[whole].idxmax()
quiet = points[silent, "predicted videos", ""] - plain[silent]
Markdown(
    f"**On ActivityNet, the choice of protocol alone raises the average mAP of the same "
    f"detections from {plain[whole]:.1f} to {points[whole].max():.1f}** (*{best}*, {share}).\n\n"
    f"- {plain[whole]:.1f} is the average mAP of one segment per video with external class and "
    f"score, without any localisation. The right class changes it by "
    f"{plain[right] - plain[whole]:+.1f} points, the mean training segment by "
    f"{plain[middle] - plain[whole]:+.1f}.\n"
    f"- Not scoring videos without a detection changes the silent detector's by {quiet:+.1f}."
)

# %%
videos = effects.loc[["without videos", "videos with an instance"], "mean"].abs().max()
both = effects.loc[("a cliff dive counted once", ""), "mean"]
one = protocol_effects(thumos14).loc[(once, "a cliff dive counted once", ""), "mean"]
short = effects.loc[("instances of at least", "2 s"), "mean"]
beyond = effects.loc[("out-of-range instances too", ""), "mean"]
Markdown(
    f"- On THUMOS14, leaving out the videos in question changes the average mAP of simulated "
    f"detections by at most {videos:.2f} points, counting out-of-range instances by {beyond:+.2f}.\n"
    f"- Counting a cliff dive once changes it by {both:+.1f} where the detector names both "
    f"classes, and by {one:+.1f} where it names one.\n"
    f"- Removing instances below 2 s from the ground truth only changes it by {short:+.1f}."
)

# %% [markdown]
# The limits: the detectors are trivial or simulated, and the mAP of a real system would change by other amounts; what a protocol does to the
# number of instances is the same for all systems. The external scores are those of one publication; among equal scores the order of its
# file decides. This page does not know, and does not say, which protocol any published number used.
