"""Figures of results: mean AP of systems, losses of a training, difficulty of a twin."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nontarget.plotting.style import COLOURS, STYLE, comparison_title, errorbar, legend_beside, one_panel
from nontarget.runtime.escaping import figure_text
from nontarget.study.comparison import Comparison
from nontarget.study.tabs import Tabs

_APART = 0.6
"""Offset between systems on the axis of label ratios, in percentage points, so that their bars do not cover each other."""
_OTHER_COLOURS = ("tab:purple", "tab:cyan", "tab:brown", "tab:olive", "tab:red", "tab:blue", "tab:green", "tab:gray", "tab:pink", "black")
"""The colours of systems without one of their own; none is close to those of the main systems."""


def map_figure(page: Tabs) -> Figure:
    """What a page of a table draws: :func:`map_by_tiou` of a single comparison, else :func:`maps_by_ratio`."""
    if page.single:
        return map_by_tiou(page.single)
    return maps_by_ratio(page.comparisons) if page.comparisons else _no_results(figure_text(page.name))


def map_by_tiou(comparison: Comparison) -> Figure:
    """Mean AP against tIoU, a line per system with standard deviations over seeds; dotted lines are the paper's."""
    mean, std = comparison.mean, comparison.std
    tious = comparison.tious
    with one_panel(6.4, 3.8) as (figure, axes):
        for system in mean.index:
            errorbar(axes, [float(t) for t in tious], mean.loc[system, tious], std.loc[system, tious], system)
        for method, row in comparison.paper().iterrows():
            row = row[[t for t in row.index if t != "avg"]].dropna()
            axes.plot(row.index.astype(float), row, ":", color=COLOURS.get(str(method), "0.4"), label=f"{figure_text(method)} (paper)")
        axes.set(xlabel="tIoU", ylabel="mAP (%)", ylim=(0, None), title=comparison_title(comparison))
        legend_beside(axes)
    return figure


def map_by_value(comparison: Comparison, name: str) -> Figure:
    """Average mAP against a setting, for a comparison whose rows are called "``name`` value"."""
    values = {system: float(system.removeprefix(name)) for system in comparison.mean.index if system.startswith(name)}
    rows = sorted(values, key=lambda system: values[system])
    with one_panel(6.4, 3.4) as (figure, axes):
        if rows:
            x = [values[system] for system in rows]
            errorbar(axes, x, comparison.mean["avg"][rows], comparison.std["avg"][rows], "non-target")
        axes.set(xlabel=figure_text(name), ylabel="average mAP (%)", title=comparison_title(comparison))
    return figure


def map_by_ratio(comparisons: Sequence[Comparison]) -> Figure:
    """Average mAP against the label ratio, for comparisons on one data set; those without results are left out."""
    title, comparisons = comparison_title(comparisons[0]).split(",")[0], [c for c in comparisons if len(c.maps)]
    if not comparisons:
        return _no_results(title)
    mean = pd.DataFrame({c.label_ratio: c.mean["avg"] for c in comparisons}).sort_index(axis=1)
    std = pd.DataFrame({c.label_ratio: c.std["avg"] for c in comparisons}).reindex(columns=mean.columns)
    with one_panel(6.4, 3.8) as (figure, axes):
        for system in comparisons[0].mean.index:
            errorbar(axes, mean.columns * 100, mean.loc[system], std.loc[system], system)
        for system in ("baseline", "non-target"):
            reported = {c.label_ratio: c.paper()["avg"].get(system) for c in comparisons if len(c.paper())}
            if reported:
                points = pd.Series(reported).sort_index()
                axes.plot(points.index * 100, points, ":", color=COLOURS[system], label=f"{system} (paper)")
        axes.set(xlabel="labelled videos (%)", ylabel="average mAP (%)", ylim=(0, None), xticks=list(mean.columns * 100))
        axes.set_title(title)
        legend_beside(axes)
    return figure


def maps_by_ratio(comparisons: Sequence[Comparison]) -> Figure:
    """Average mAP against the label ratio, a panel per data set; comparisons without results are left out.

    Raises:
        ValueError: no comparison has results.
    """
    datasets: dict[str, list[Comparison]] = {}
    for c in comparisons:
        if len(c.maps):
            datasets.setdefault(c.dataset, []).append(c)
    if not datasets:
        raise ValueError("nothing to draw: no comparison has current results")
    others = dict.fromkeys(s for c in comparisons for s in c.mean.index if s not in COLOURS)
    colours = dict(zip(others, cycle(_OTHER_COLOURS)))
    with mpl.rc_context(STYLE):
        columns = min(2, len(datasets))
        rows = -(-len(datasets) // columns)
        figure = Figure(figsize=(3.3 * columns, 2.7 * rows + 0.7), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, (dataset, group) in zip(panels, datasets.items(), strict=False):
            systems = list(dict.fromkeys(s for c in group for s in c.mean.index))
            for place, system in enumerate(systems):
                with_system = [c for c in group if system in c.mean.index]
                mean, std = (pd.Series([getattr(c, kind).loc[system, "avg"] for c in with_system]) for kind in ("mean", "std"))
                aside = _APART * (place - (len(systems) - 1) / 2)
                errorbar(axes, [100 * c.label_ratio + aside for c in with_system], mean, std, system, colours.get(system))
            ratios = [100 * c.label_ratio for c in group]
            kind = "simulated" if group[0].simulated else "real"
            axes.set(
                title=f"{figure_text(dataset)} ({kind})",
                xlabel="labelled videos (%)",
                xticks=ratios,
                xlim=(min(ratios) - 5, max(ratios) + 5),
            )
        for axes in panels[len(datasets) :]:
            axes.set_visible(False)
        figure.supylabel("average mAP (%)", fontsize=10)
        lines = {label: h for axes in figure.axes for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(lines.values(), lines, loc="outside lower center", ncols=2 if max(map(len, lines)) > 18 else 3)
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
                axes.plot(
                    np.arange(1, len(frame) + 1),
                    frame[name],
                    "o-",
                    markersize=3,
                    color=colours[name],
                    label=figure_text(name).replace("_", " "),
                )
            axes.set(xlabel="epoch", title=stage, yscale="log")
        panels[0].set_ylabel("mean loss")
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def difficulty(curve: pd.DataFrame) -> Figure:
    """The baseline's mAP against the label ratio, a line per tIoU: solid on a twin, dotted in the paper.

    Args:
        curve: columns ratio, tiou, twin and paper (mAP in percent), as in :class:`nontarget.study.calibration.TwinCalibration`.
    """
    with one_panel(6.4, 3.8) as (figure, axes):
        for colour, (tiou, rows) in zip(cycle(_OTHER_COLOURS), curve.groupby("tiou", sort=False), strict=False):
            label = "average" if tiou == "avg" else f"tIoU {tiou}"
            axes.plot(rows["ratio"] * 100, rows["twin"], "o-", color=colour, label=label)
            axes.plot(rows["ratio"] * 100, rows["paper"], "s:", color=colour, label=f"{label} (paper)")
        axes.set(xlabel="labelled videos (%)", ylabel="mAP of the baseline (%)", ylim=(0, None))
        legend_beside(axes)
    return figure


def _no_results(title: str) -> Figure:
    with one_panel(6.4, 1.2) as (figure, axes):
        axes.set(title=title, xticks=[], yticks=[], xlabel="no current results: see the table")
    return figure
