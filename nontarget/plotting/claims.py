"""Figures of differences with their intervals: of readings of the paper, and of its claims."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from nontarget.plotting.style import COLOURS, STYLE
from nontarget.runtime.escaping import figure_text


def differences(frame: pd.DataFrame, axis: str = "difference in average mAP (points)") -> Figure:
    """Panels two by two, a line for each row: a dot with its interval, filled where the interval leaves out 0.

    Args:
        frame: columns panel, row (names; each in the order of first appearance), mean, low, high (NaN: no result, and written so) and,
            if there is one, paper: the paper's value, a diamond. What a panel has no row for stays empty.
        axis: what the differences are of.

    Raises:
        ValueError: there is no row.
    """
    if not len(frame):
        raise ValueError("differences needs at least one row, got none")
    rows = list(frame["row"].unique())
    panels = frame["panel"].unique()
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.0 + 2.1 * columns, 1.0 + lines * (0.6 + 0.21 * len(rows))), layout="constrained")
        grid = figure.subplots(lines, columns, sharex="row", sharey=True, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, name in zip(grid, panels, strict=False):
            part = frame[frame["panel"] == name]
            part = part.assign(y=[rows.index(row) for row in part["row"]], excludes_zero=part["low"] * part["high"] > 0)
            axes.axvline(0, color="0.4", linewidth=0.8)
            axes.hlines(part["y"], part["low"], part["high"], color="black", linewidth=1.2)
            for excludes_zero, face in ((True, "black"), (False, "white")):
                dots = part[part["excludes_zero"] == excludes_zero]
                axes.plot(dots["mean"], dots["y"], "o", color="black", markerfacecolor=face)
            for y in part.loc[part["mean"].isna(), "y"]:
                axes.text(0, y, "no result", color="0.4", fontsize=7, ha="center", va="center", backgroundcolor="white")
            if "paper" in frame:
                axes.plot(part["paper"].astype(float), part["y"], "D", color=COLOURS["non-target"], markersize=4, label="the paper's value")
            axes.set_title(figure_text(name).replace(" (", "\n("), fontsize=10)
            axes.tick_params(labelbottom=True)
            axes.tick_params("y", labelsize=8)
        figure.axes[0].set_yticks(range(len(rows)), [figure_text(row) for row in rows])
        figure.axes[0].invert_yaxis()
        if "paper" in frame:
            figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower right", fontsize=8)
        figure.supxlabel(axis, fontsize=10)
    return figure
