"""Figures, one call each: they take data and return a matplotlib figure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.patches
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.facecolor": "white",
    "lines.markersize": 5,
}
# Okabe and Ito (2008): told apart with any colour vision.
COLOURS = {
    "whole-video": "#999999",
    "supervised only": "#56B4E9",
    "baseline": "#E69F00",
    "ours": "#D55E00",
    "fully supervised": "#0072B2",
    "SSP-style": "#CC79A7",
    "SSTAP": "#882255",
    "SPOT": "#009E73",
    "NPL-style": "#332288",
}
MARKERS = dict(zip(COLOURS, "xsvo^<>Dp", strict=True))


def map_by_tiou(comparison: Any) -> Figure:
    """Mean AP against tIoU, a line a system with the standard deviation over seeds (:class:`nontarget.tables.Comparison`)."""
    mean, std = comparison.mean, comparison.std
    tious = [t for t in mean.columns if t != "avg"]
    with _figure(6.4, 3.8) as (figure, axes):
        for system in mean.index:
            _errorbar(axes, [float(t) for t in tious], mean.loc[system, tious], std.loc[system, tious], system)
        for method, row in comparison.paper().iterrows():
            row = row[[t for t in row.index if t != "avg"]].dropna()
            axes.plot(row.index.astype(float), row, ":", color=COLOURS.get(str(method), "0.4"), label=f"{method} (paper)")
        axes.set(xlabel="tIoU", ylabel="mAP (%)", ylim=(0, None), title=_title(comparison))
        _legend(axes)
    return figure


def map_by_value(comparison: Any, name: str) -> Figure:
    """Average mAP against a setting, for a comparison whose rows are called ``<name> <value>``."""
    values = {system: float(system.removeprefix(name)) for system in comparison.mean.index if system.startswith(name)}
    rows = sorted(values, key=lambda system: values[system])
    with _figure(6.4, 3.4) as (figure, axes):
        if rows:
            x = [values[system] for system in rows]
            _errorbar(axes, x, comparison.mean["avg"][rows], comparison.std["avg"][rows], "ours")
        axes.set(xlabel=name, ylabel="average mAP (%)", title=_title(comparison))
    return figure


def map_by_ratio(comparisons: Sequence[Any]) -> Figure:
    """Average mAP against the label ratio, for comparisons of one data set; those without results are left out."""
    title, comparisons = _title(comparisons[0]).split(",")[0], [c for c in comparisons if len(c.maps)]
    if not comparisons:
        with _figure(6.4, 1.2) as (figure, axes):
            axes.set(title=title, xticks=[], yticks=[], xlabel="no current results: see the table")
        return figure
    mean = pd.DataFrame({c.label_ratio: c.mean["avg"] for c in comparisons}).sort_index(axis=1)
    std = pd.DataFrame({c.label_ratio: c.std["avg"] for c in comparisons}).reindex(columns=mean.columns)
    with _figure(6.4, 3.8) as (figure, axes):
        for system in comparisons[0].mean.index:
            _errorbar(axes, mean.columns * 100, mean.loc[system], std.loc[system], system)
        for system in ("baseline", "ours"):
            reported = {c.label_ratio: c.paper()["avg"].get(system) for c in comparisons if len(c.paper())}
            if reported:
                points = pd.Series(reported).sort_index()
                axes.plot(points.index * 100, points, ":", color=COLOURS[system], label=f"{system} (paper)")
        axes.set(xlabel="labelled videos (%)", ylabel="average mAP (%)", ylim=(0, None), xticks=list(mean.columns * 100))
        axes.set_title(title)
        _legend(axes)
    return figure


def training_curves(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Mean of every loss in each epoch, pre-training and self-training side by side (the ``curves`` of a record)."""
    stages = {name: pd.DataFrame(list(rows)).drop(columns="learning_rate") for name, rows in curves.items() if rows}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        panels = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
        names = list(dict.fromkeys(c for frame in stages.values() for c in frame))
        colours = dict(zip(names, mpl.colormaps["tab10"](range(10)), strict=False))
        for axes, (stage, frame) in zip(panels, stages.items(), strict=True):
            for name in frame:
                axes.plot(np.arange(1, len(frame) + 1), frame[name], "o-", markersize=3, color=colours[name], label=name.replace("_", " "))
            axes.set(xlabel="epoch", title=stage, yscale="log")
        panels[0].set_ylabel("mean loss")
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def timeline(truth: pd.DataFrame, detections: pd.DataFrame, video: Any, max_rows: int = 8) -> Figure:
    """Annotated instances of one video above its best detections, on a time line; a class has one colour.

    Args:
        truth: rows (video_id, label, start_s, end_s); those of other videos are left out.
        detections: rows (video_id, label, start_s, end_s, score), likewise; the ``max_rows`` best are drawn, fainter for a lower score.
        video: has ``video_id`` and ``duration_s`` (:class:`nontarget.data.Video`).
        max_rows: how many detections.
    """
    truth = truth[truth["video_id"] == video.video_id]
    best = detections[detections["video_id"] == video.video_id].sort_values("score", ascending=False).head(max_rows)
    labels = list(dict.fromkeys([*truth["label"], *best["label"]]))
    colours = {label: mpl.colormaps["tab20"](i % 20) for i, label in enumerate(labels)}
    with _figure(7.2, 0.9 + 0.24 * (len(best) + 1)) as (figure, axes):
        for row in truth.itertuples():
            axes.barh(0, row.end_s - row.start_s, left=row.start_s, color=colours[row.label], edgecolor="black", linewidth=0.8)
        for y, row in enumerate(best.itertuples(), start=1):
            axes.barh(y, row.end_s - row.start_s, left=row.start_s, color=colours[row.label], alpha=0.25 + 0.75 * min(row.score, 1.0))
            axes.annotate(f"{row.score:.2f}", (row.end_s, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
        truth_name = "truth: " + ", ".join(dict.fromkeys(truth["label"]))
        axes.set(yticks=range(len(best) + 1), yticklabels=[truth_name, *best["label"]], xlim=(0, video.duration_s), xlabel="seconds")
        axes.set_title(video.video_id, loc="left", fontsize=9)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
    return figure


def distributions(samples: Mapping[str, Mapping[str, ArrayLike]], log: Sequence[str] = ()) -> Figure:
    """Cumulative distributions side by side: one panel for each quantity, one line for each source.

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
                axes.ecdf(np.asarray(values, dtype=float), color=colour, linestyle=line, label=source)
            axes.set(xlabel=quantity, xscale="log" if quantity in log else "linear")
        panels[0].set_ylabel("share of values up to x")
        panels[-1].legend(loc="lower right")
    return figure


def difficulty(scores: pd.DataFrame, target: float, chosen: float) -> Figure:
    """Average mAP against a twin's noise, a line a rule, with the level aimed at and the noise chosen.

    Args:
        scores: columns noise, rule, seed (any label of a run) and average_map in percent.
        target: average mAP aimed at for the baseline.
        chosen: noise of the twin.
    """
    with _figure(5.2, 3.4) as (figure, axes):
        for rule, rows in scores.groupby("rule", sort=False):
            by_noise = rows.groupby("noise")["average_map"]
            _errorbar(axes, by_noise.mean().index, by_noise.mean(), by_noise.std(), str(rule))
        axes.axhline(target, color="0.5", linestyle=":", label="aim")
        axes.axvline(chosen, color="0.5", linestyle="--", label="chosen")
        axes.set(xlabel="noise", ylabel="average mAP (%)")
        axes.legend()
    return figure


def feature_map(dataset: Any, labeled_video: Any) -> Figure:
    """Cosine of each snippet of a video with the mean of every class's training snippets, its instances marked.

    Args:
        dataset: a data set (:class:`nontarget.data.Dataset`).
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
    with _figure(7.2, 0.8 + 0.17 * dataset.num_classes) as (figure, axes):
        extent = (0, video.duration_s, dataset.num_classes - 0.5, -0.5)
        image = axes.imshow(cosine, aspect="auto", cmap="PuOr_r", vmin=-0.8, vmax=0.8, extent=extent, interpolation="nearest")
        for label, (start, end) in zip(labeled_video.annotations.labels, labeled_video.annotations.segments_s, strict=True):
            axes.add_patch(mpl.patches.Rectangle((start, label - 0.5), end - start, 1, fill=False, linewidth=1.4))
        axes.set(yticks=range(dataset.num_classes), xlabel="seconds")
        axes.set_yticklabels(dataset.classes, fontsize=7)
        axes.set_title(f"{video.video_id} ({'simulated' if dataset.simulated else 'real'})", loc="left", fontsize=9)
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes, label="cosine")
    return figure


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def _errorbar(axes: Axes, x: ArrayLike, mean: pd.Series, std: pd.Series, system: str) -> None:
    axes.errorbar(
        np.asarray(x),
        mean,
        std.fillna(0),
        color=COLOURS.get(system),
        marker=MARKERS.get(system, "."),
        capsize=2,
        linewidth=1.4,
        label=system,
    )


def _legend(axes: Axes) -> None:
    """Beside the plot, in the order of the table; error bars would come after plain lines."""
    handles, labels = axes.get_legend_handles_labels()
    entries = sorted(zip(labels, handles, strict=True), key=lambda entry: entry[0].endswith("(paper)"))
    axes.legend([h for _, h in entries], [label for label, _ in entries], loc="upper left", bbox_to_anchor=(1, 1))


def _title(comparison: Any) -> str:
    kind = "simulated" if comparison.simulated else "real"
    return f"{comparison.dataset} ({kind}), {100 * comparison.label_ratio:g} % labelled"
