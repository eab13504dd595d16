"""Figures of real detections: kinds of errors by rank, and misses by property of the instance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from nontarget.diagnose import KINDS
from nontarget.plotting.style import STYLE
from nontarget.runtime.escaping import figure_text

# Okabe and Ito, with hatches for whoever cannot tell the colours apart.
_COLOURS = dict(zip(KINDS, ("#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#D55E00", "#BBBBBB"), strict=True))
_HATCHES = dict(zip(KINDS, ("", "..", "xx", "//", "\\\\", ""), strict=True))


def errors_by_rank(rows: pd.DataFrame, detectors: Sequence[str]) -> Figure:
    """Kinds among the first G detections of each class, the next G, and so on: a panel a detector.

    Args:
        rows: of :func:`nontarget.study.released.released_rows`.
        detectors: which to draw.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(3.7 * len(detectors), 3.4), layout="constrained")
        panels = figure.subplots(1, len(detectors), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, detectors, strict=True):
            errors = rows[(rows["detector"] == name) & (rows["part"] == "detections") & (rows["group"] != "")]
            shares = errors.pivot_table(index="group", columns="name", values="value", sort=False).mul(100)
            bottom = np.zeros(len(shares))
            for kind in KINDS:
                options = {"color": _COLOURS[kind], "hatch": _HATCHES[kind], "edgecolor": "white", "linewidth": 0.3}
                axes.bar(range(1, len(shares) + 1), shares[kind], bottom=bottom, label=kind, **options)
                bottom += shares[kind].to_numpy()
            axes.set(title=figure_text(name), xlabel="rank in the class (multiples of G)", ylim=(0, 100), xticks=range(1, len(shares) + 1))
            axes.grid(axis="x", visible=False)
        panels[0].set_ylabel("share of detections (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8)
    return figure


def misses_by_property(rows: pd.DataFrame, detectors: Sequence[str]) -> Figure:
    """Share of instances that are missed, by length, coverage and count; arguments as for :func:`errors_by_rank`."""
    colours, hatches = ("#0072B2", "#E69F00", "#009E73", "#CC79A7"), ("", "//", "..", "xx")
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.2), layout="constrained")
        missed = rows[(rows["part"] == "missed") & rows["detector"].isin(list(detectors))]
        names = list(dict.fromkeys(missed["name"]))
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            table = missed[missed["name"] == name].pivot_table(index="group", columns="detector", values="value", sort=False).mul(100)
            width = 0.8 / len(detectors)
            for k, detector in enumerate(detectors):
                x = np.arange(len(table)) + (k - (len(detectors) - 1) / 2) * width
                axes.bar(
                    x, table[detector], width, color=colours[k % 4], hatch=hatches[k % 4], edgecolor="white", label=figure_text(detector)
                )
            axes.set(title=name, ylim=(0, 100), xticks=range(len(table)))
            axes.set_xticklabels(table.index, rotation=40, ha="right", fontsize=8)
            axes.grid(axis="x", visible=False)
        panels[0].set_ylabel("instances missed (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(detectors), fontsize=8)
    return figure
