"""The drawings of Figs. 1 and 3 to 6; what they show is computed in :mod:`nontarget.study.analysis`."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from nontarget.plotting.style import HATCHES, STYLE, SUBSPACES, one_panel
from nontarget.runtime.escaping import figure_text
from nontarget.study.analysis import VideoMatches

_MARKERS = dict(zip(SUBSPACES, "os^D", strict=True))
_LANES = {"found": "#009E73", "missed": "#000000", "false": "#D55E00"}
# Told apart with any colour vision, and by their markers.
_GROUPS = list(zip(("#D55E00", "#0072B2", "#009E73", "#CC79A7"), "o^sD", strict=True))


def distribution_of_snippet(probs: ArrayLike, classes: Sequence[str], subspaces: Sequence[str], truth: int, most: int = 20) -> Figure:
    """Probability of each class of one snippet, the subspace that it is in, and the true one marked.

    Args:
        probs: [classes].
        classes: their names, background included.
        subspaces: name of the subspace of each.
        truth: index of the true class.
        most: at most as many classes, the most probable ones; the rest share a bar.
    """
    p = np.asarray(probs, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    displayed = order if len(p) <= most + 1 else order[: max(most, int(np.flatnonzero(order == truth)[0]) + 1)]
    rest = order[len(displayed) :]
    with one_panel(6.4, 0.9 + 0.23 * (len(displayed) + (len(rest) > 0))) as (figure, axes):
        for y, c in enumerate(displayed):
            kind = subspaces[c]
            axes.barh(y, p[c], color=SUBSPACES[kind], hatch=HATCHES[kind], edgecolor="white", linewidth=0.5)
            marked = f"{p[c]:.3f} {kind}" + ("   \N{BLACK LEFT-POINTING TRIANGLE} truth" if c == truth else "")
            axes.annotate(
                marked, (p[c], y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, weight="bold" if c == truth else None
            )
        names = [figure_text(classes[c]) for c in displayed]
        if len(rest):
            axes.barh(len(displayed), p[rest].sum(), color="white", edgecolor="0.5", linewidth=0.8)
            axes.annotate(
                f"{p[rest].sum():.3f} together, {' and '.join(dict.fromkeys(subspaces[c] for c in rest))}",
                (p[rest].sum(), len(displayed)), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
            names.append(f"{len(rest)} more classes")
        axes.set(yticks=range(len(names)), xlabel="probability", xlim=(0, p.max() * 1.35))
        axes.set_yticklabels(names, fontsize=8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        for label, c in zip(axes.get_yticklabels(), displayed, strict=False):
            label.set_fontweight("bold" if c == truth else "normal")
    return figure


def embedding_maps(points: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Snippets in the plane, a panel per system, a colour and a marker per group.

    Args:
        points: a row per snippet: columns system, group (at most four different ones), x and y.
        titles: system -> title of its panel.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * len(titles), 4.0), layout="constrained")
        for axes, (system, title) in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles.items(), strict=True):
            groups = points[points["system"] == system].groupby("group")
            for (name, group), (colour, marker) in zip(groups, _GROUPS, strict=False):
                axes.plot(
                    group["x"], group["y"], marker, color=colour, markersize=3.5, alpha=0.6, markeredgewidth=0, label=figure_text(name)
                )
            axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
            axes.set_title(figure_text(title), fontsize=9)
            axes.spines[["top", "right"]].set_visible(True)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, markerscale=2, fontsize=9)
    return figure


def subspaces_by_epoch(coverage: pd.DataFrame) -> Figure:
    """Share of snippets whose truth is in each subspace after each epoch, of all snippets and of those of an action.

    Args:
        coverage: columns stage, epoch, and truth, action and chance of each subspace (:func:`nontarget.study.analysis.with_chance`).
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.9), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (kind, title) in zip(panels, _SNIPPETS.items(), strict=True):
            for name, colour in SUBSPACES.items():
                share, chance = 100 * coverage[f"{kind}_{name}"], 100 * coverage[f"chance_{name}"]
                axes.plot(coverage["epoch"], share, marker=_MARKERS[name], color=colour, markersize=4)
                axes.plot(coverage["epoch"], chance, ":", color=colour, linewidth=1.2)
            begins = coverage.loc[coverage["stage"] == "selftrain", "epoch"].min()
            axes.axvline(begins - 0.5, color="0.5", linewidth=0.8)
            axes.annotate("self-training", (begins - 0.4, 0.01), xycoords=("data", "axes fraction"), fontsize=8, color="0.3", va="bottom")
            axes.set(xlabel="epoch", yscale="log", title=title)
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].set_ylabel("snippets with their truth there")
        _percent_axis(panels[0])
        _subspace_legend(figure, [Line2D([], [], color="0.3", linestyle=":", label="a class at random")])
    return figure


def subspaces_by_ratio(coverage: pd.DataFrame, rules: Sequence[str] = ("non-target", "baseline")) -> Figure:
    """Share of snippets whose truth is in each subspace after training, by label ratio; a row of panels a data set.

    Args:
        coverage: one row a run: dataset, label_ratio, rule, and truth, action and chance of each subspace.
        rules: the first with full lines, the second with dashed ones; bars are standard deviations over seeds.
    """
    datasets = list(coverage["dataset"].unique())
    if not datasets:
        with one_panel(6.4, 1.2) as (figure, axes):
            axes.set(xticks=[], yticks=[], xlabel="no current results: see the text")
        return figure
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 2.6 * len(datasets) + 0.5), layout="constrained")
        panels = figure.subplots(len(datasets), 2, sharex=True, sharey=True, squeeze=False)
        for row, dataset in zip(panels, datasets, strict=True):
            of_dataset = coverage[coverage["dataset"] == dataset]
            for axes, (kind, title) in zip(row, _SNIPPETS.items(), strict=True):
                for shift, (rule, line) in enumerate(zip(rules, ("-", "--"), strict=False)):
                    by_ratio = of_dataset[of_dataset["rule"] == rule].groupby("label_ratio")
                    _ratio_lines(axes, 100 * by_ratio.mean(numeric_only=True), 100 * by_ratio.std(numeric_only=True), kind, line, shift)
                axes.set(yscale="log", title=f"{figure_text(dataset)}: {title}", xticks=sorted(100 * coverage["label_ratio"].unique()))
                axes.title.set_fontsize(9)
            row[0].set_ylabel("snippets with their truth there")
        _percent_axis(panels[0][0])
        for axes in panels[-1]:
            axes.set_xlabel("labelled videos (%)")
        lines: list[Any] = ["-", "--"]
        styles = [Line2D([], [], color="0.3", linestyle=line, label=rule) for rule, line in zip(rules, lines, strict=False)]
        chance = Line2D([], [], color="0.3", marker="_", markersize=10, linestyle="", label=f"a class at random ({rules[0]})")
        _subspace_legend(figure, [*styles, chance])
    return figure


def hits_and_misses(videos: Mapping[str, tuple[float, Mapping[str, VideoMatches]]]) -> Figure:
    """What systems found, missed and made up, on the time lines of some videos: three lanes a system, below the truth.

    Args:
        videos: title -> duration in seconds, and system -> its matched detections.
    """
    lanes = 1 + 3 * max(len(matches) for _, matches in videos.values())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, (1.2 + 0.27 * lanes) * len(videos)), layout="constrained")
        panels = figure.subplots(len(videos), 1, squeeze=False)[:, 0]
        for axes, (title, (duration_s, matches)) in zip(panels, videos.items(), strict=True):
            _time_line(axes, matches)
            axes.set_xlim(0, duration_s)
            axes.set_title(figure_text(title), loc="left", fontsize=9)
    return figure


_SNIPPETS = {"truth": "all snippets", "action": "snippets of an action"}


def _time_line(axes: Axes, matches: Mapping[str, VideoMatches]) -> None:
    truth = next(iter(matches.values())).instances
    labels = list(dict.fromkeys([*truth["label"], *(label for m in matches.values() for label in m.detections["label"])]))
    key = {label: chr(ord("A") + i) for i, label in enumerate(labels)}
    _lane(axes, 0, truth, key, color="0.75", edgecolor="black")
    ticks = ["truth"]
    for top, (system, m) in enumerate(matches.items()):
        right, wrong = m.detections[m.detections["right"]], m.detections[~m.detections["right"]]
        missed = m.instances[~m.instances["found"]]
        _lane(axes, 3 * top + 1, right, key, color=_LANES["found"], edgecolor="black")
        _lane(axes, 3 * top + 2, missed, key, color="white", edgecolor=_LANES["missed"], linestyle="--")
        _lane(axes, 3 * top + 3, wrong, key, color=_LANES["false"], edgecolor="white", hatch="////")
        axes.axhline(3 * top + 0.5, color="0.6", linewidth=0.8)
        ticks += [f"{figure_text(system)}: found {len(right)}", f"missed {len(missed)}", f"false {len(wrong)}"]
    names = textwrap.fill("   ".join(f"{letter}\N{NO-BREAK SPACE}{figure_text(label)}" for label, letter in key.items()), 110)
    axes.set(yticks=range(len(ticks)), yticklabels=ticks, ylim=(len(ticks) - 0.5, -0.6))
    axes.set_xlabel(f"seconds\n{names}", fontsize=8)
    axes.grid(axis="y", visible=False)


def _lane(axes: Axes, y: int, segments: pd.DataFrame, key: Mapping[str, str], **style: Any) -> None:
    for row in segments.itertuples():
        axes.barh(y, row.end_s - row.start_s, left=row.start_s, height=0.55, linewidth=0.8, **style)
        letter = axes.annotate(key[row.label], ((row.start_s + row.end_s) / 2, y), fontsize=7, weight="bold", ha="center", va="center")
        letter.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _ratio_lines(axes: Axes, mean: pd.DataFrame, std: pd.DataFrame, kind: str, line: str, shift: int) -> None:
    x = 100 * mean.index.to_numpy() + 0.7 * shift  # beside each other
    first = shift == 0
    for name, colour in SUBSPACES.items():
        column = f"{kind}_{name}"
        style: dict[str, Any] = {
            "color": colour,
            "marker": _MARKERS[name],
            "markerfacecolor": colour if first else "white",
            "linestyle": line,
        }
        axes.errorbar(x, mean[column], std[column].fillna(0), capsize=2, linewidth=1.2, **style)
        if first:
            axes.plot(x, mean[f"chance_{name}"], "_", color=colour, markersize=12)


def _percent_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")


def _subspace_legend(figure: Figure, more: Sequence[Line2D]) -> None:
    lines = [Line2D([], [], color=c, marker=_MARKERS[name], label=name) for name, c in SUBSPACES.items()]
    figure.legend(handles=[*lines, *more], loc="outside lower center", ncols=4, fontsize=9)
