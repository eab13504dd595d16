"""Figures of differences with their intervals: of readings of the paper, and of its claims."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nontarget.plotting.style import STYLE


def differences(frames: Mapping[str, pd.DataFrame], axis: str = "difference in average mAP (points)") -> Figure:
    """A panel for each frame, a line for each of its rows: a dot and its interval; a cross where there is no result.

    A filled dot has an interval that leaves out 0. A row that a frame does not have stays empty in its panel.

    Args:
        frames: title of the panel -> rows by name, columns mean, low, high and, if there is one, paper (the paper's value, a diamond).
        axis: what the differences are of.

    Raises:
        ValueError: there is no frame.
    """
    if not frames:
        raise ValueError("differences needs at least one frame, got none")
    rows = list(dict.fromkeys(str(name) for frame in frames.values() for name in frame.index))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.0 + 2.2 * len(frames), 1.4 + 0.24 * len(rows)), layout="constrained")
        panels = figure.subplots(1, len(frames), sharey=True, squeeze=False)[0]
        for axes, (title, frame) in zip(panels, frames.items(), strict=True):
            y = np.array([rows.index(str(name)) for name in frame.index])
            known = frame["mean"].notna().to_numpy()
            shown = (frame["low"] * frame["high"] > 0).to_numpy()
            axes.axvline(0, color="0.4", linewidth=0.8)
            axes.hlines(y, frame["low"], frame["high"], color="black", linewidth=1.2)
            for chosen, face in ((known & shown, "black"), (known & ~shown, "white")):
                axes.plot(frame["mean"][chosen], y[chosen], "o", color="black", markerfacecolor=face)
            axes.plot(np.zeros((~known).sum()), y[~known], "x", color="0.5")
            if "paper" in frame:
                axes.plot(frame["paper"].astype(float), y, "D", color="#D55E00", markersize=4)
            axes.set_title(title, fontsize=10)
        panels[0].set_yticks(range(len(rows)), rows)
        panels[0].invert_yaxis()
        figure.supxlabel(axis, fontsize=10)
    return figure
