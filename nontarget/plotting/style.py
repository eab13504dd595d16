"""What all figures share: style, colours and markers of the systems, panels, legends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nontarget.runtime.escaping import figure_text
from nontarget.study.comparison import Comparison

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 110,
    # A page may be dark: a figure brings its paper and its ink.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": "black",
    "axes.edgecolor": "black",
    "axes.labelcolor": "black",
    "xtick.color": "black",
    "ytick.color": "black",
    "savefig.facecolor": "white",
    "lines.markersize": 5,
}
# Okabe and Ito (2008): told apart with any colour vision.
COLOURS = {
    "whole-video": "#999999",
    "supervised only": "#56B4E9",
    "baseline": "#E69F00",
    "non-target": "#D55E00",
    "fully supervised": "#0072B2",
    "SSP-style": "#CC79A7",
    "SSTAP": "#882255",
    "SPOT": "#009E73",
    "NPL-style": "#332288",
}
MARKERS = dict(zip(COLOURS, "xsvo^<>Dp", strict=True))
SUBSPACES = {"target": "#0072B2", "positive": "#009E73", "negative": "#D55E00", "ambiguous": "#999999"}
"""Colours of the four subspaces of the label space."""
HATCHES = {"target": "", "positive": "////", "negative": "....", "ambiguous": "xxxx"}
"""Of the same, for whoever cannot tell the colours apart."""


@contextmanager
def one_panel(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of one panel, sizes in inches, in the style of all figures."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def errorbar(axes: Axes, x: ArrayLike, mean: pd.Series, std: pd.Series, system: str, colour: str | None = None) -> None:
    """A line through means with the standard deviations, in the colour (or another if it has none) and with the marker of a system."""
    axes.errorbar(
        np.asarray(x),
        mean,
        std.fillna(0),
        color=COLOURS.get(system, colour),
        marker=MARKERS.get(system, "."),
        capsize=2,
        linewidth=1.4,
        label=figure_text(system),
    )


def legend_beside(axes: Axes) -> None:
    """Beside the plot, in the order of the table; error bars would come after plain lines."""
    handles, labels = axes.get_legend_handles_labels()
    entries = sorted(zip(labels, handles, strict=True), key=lambda entry: entry[0].endswith("(paper)"))
    axes.legend([h for _, h in entries], [label for label, _ in entries], loc="upper left", bbox_to_anchor=(1, 1))


def comparison_title(comparison: Comparison) -> str:
    """Data set, whether it is simulated, and label ratio of a comparison."""
    kind = "simulated" if comparison.simulated else "real"
    return f"{figure_text(comparison.dataset)} ({kind}), {100 * comparison.label_ratio:g} % labelled"
