"""Figures of data: distributions of quantities, features of a video, its instances and detections on a time line."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.patches
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nontarget.data import Dataset, LabeledVideo, Video
from nontarget.plotting.style import STYLE, one_panel
from nontarget.runtime.escaping import figure_text


def distributions(samples: Mapping[str, Mapping[str, ArrayLike]], log: Sequence[str] = ()) -> Figure:
    """Cumulative distributions side by side: a panel per quantity and a line per source.

    Args:
        samples: quantity -> source -> values.
        log: quantities on a logarithmic axis.
    """
    styles = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", ":")]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.0 * len(samples), 3.0), layout="constrained")
        panels = figure.subplots(1, len(samples), sharey=True, squeeze=False)[0]
        for axes, (quantity, sources) in zip(panels, samples.items(), strict=True):
            for (source, values), (colour, line) in zip(sources.items(), styles, strict=False):
                axes.ecdf(np.asarray(values, dtype=float), color=colour, linestyle=line, label=figure_text(source))
            axes.set(xlabel=figure_text(quantity), xscale="log" if quantity in log else "linear")
        panels[0].set_ylabel("share of values up to x")
        panels[-1].legend(loc="lower right")
    return figure


def feature_map(dataset: Dataset, labeled_video: LabeledVideo) -> Figure:
    """Cosine of each snippet of a video with the mean of every class's training snippets, its instances marked.

    Args:
        dataset: whose training videos the class means are taken of.
        labeled_video: one of its videos, with annotations.
    """
    everything = np.concatenate([v.video.features for v in dataset.train])
    centre, scale = everything.mean(axis=0), everything.std(axis=0) + 1e-6
    sums, counts = np.zeros((dataset.num_classes, dataset.feature_dim)), np.zeros(dataset.num_classes)
    for v in dataset.train:
        for label, (start, end) in zip(v.annotations.labels, v.annotations.segments_s * v.video.fps, strict=True):
            inside = v.video.features[int(start) : int(np.ceil(end))]
            sums[label] += ((inside - centre) / scale).sum(axis=0)
            counts[label] += len(inside)
    means = sums / np.maximum(counts, 1)[:, None]
    video = labeled_video.video
    x = (video.features - centre) / scale
    cosine = means @ x.T / (np.linalg.norm(means, axis=1)[:, None] * np.linalg.norm(x, axis=1) + 1e-9)
    with one_panel(7.2, 0.8 + 0.17 * dataset.num_classes) as (figure, axes):
        extent = (0, video.duration_s, dataset.num_classes - 0.5, -0.5)
        image = axes.imshow(cosine, aspect="auto", cmap="PuOr_r", vmin=-0.8, vmax=0.8, extent=extent, interpolation="nearest")
        for label, (start, end) in zip(labeled_video.annotations.labels, labeled_video.annotations.segments_s, strict=True):
            axes.add_patch(mpl.patches.Rectangle((start, label - 0.5), end - start, 1, fill=False, linewidth=1.4))
        axes.set(yticks=range(dataset.num_classes), xlabel="seconds")
        axes.set_yticklabels(map(figure_text, dataset.classes), fontsize=7)
        axes.set_title(f"{figure_text(video.video_id)} ({'simulated' if dataset.simulated else 'real'})", loc="left", fontsize=9)
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes, label="cosine")
    return figure


def timeline(truth: pd.DataFrame, detections: pd.DataFrame, video: Video, max_rows: int = 8) -> Figure:
    """Annotated instances of one video above its best detections, on a time line; a class has one colour.

    Args:
        truth: rows (video_id, label, start_s, end_s); those of other videos are left out.
        detections: rows (video_id, label, start_s, end_s, score), likewise; the ``max_rows`` best are drawn, fainter for a lower score.
        video: which.
        max_rows: the number of detections.
    """
    truth = truth[truth["video_id"] == video.video_id]
    best = detections[detections["video_id"] == video.video_id].sort_values("score", ascending=False).head(max_rows)
    labels = list(dict.fromkeys([*truth["label"], *best["label"]]))
    colours = {label: mpl.colormaps["tab20"](i % 20) for i, label in enumerate(labels)}
    with one_panel(7.2, 0.9 + 0.24 * (len(best) + 1)) as (figure, axes):
        for row in truth.itertuples():
            axes.barh(0, row.end_s - row.start_s, left=row.start_s, color=colours[row.label], edgecolor="black", linewidth=0.8)
        for y, row in enumerate(best.itertuples(), start=1):
            axes.barh(y, row.end_s - row.start_s, left=row.start_s, color=colours[row.label], alpha=0.25 + 0.75 * min(row.score, 1.0))
            axes.annotate(f"{row.score:.2f}", (row.end_s, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
        truth_name = "truth: " + ", ".join(map(figure_text, dict.fromkeys(truth["label"])))
        axes.set(
            yticks=range(len(best) + 1),
            yticklabels=[truth_name, *map(figure_text, best["label"])],
            xlim=(0, video.duration_s),
            xlabel="seconds",
        )
        axes.set_title(figure_text(video.video_id), loc="left", fontsize=9)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
    return figure
