"""Figures of the audit: mean AP of one detector under several protocols."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nontarget.plotting.style import COLOURS, one_panel
from nontarget.runtime.escaping import figure_text

_COLOURS = [COLOURS[name] for name in ("non-target", "fully supervised", "SPOT", "SSP-style", "baseline")]
_MARKERS = "os^Dv"


def map_by_protocol(rows: pd.DataFrame, detectors: Sequence[str], tiou: str = "avg") -> Figure:
    """Mean AP, a row a protocol and a marker a detector; means over seeds.

    Dotted: the best of these detectors under the first protocol.

    Args:
        rows: of one data set (:func:`nontarget.study.audit.audit`), in the order of the figure.
        detectors: which to draw, at most five.
        tiou: threshold, or ``avg``.
    """
    if not 0 < len(detectors) <= len(_MARKERS):
        raise ValueError(f"detectors must be one to {len(_MARKERS)} names, got {list(detectors)!r}")
    selected = rows[(rows["tiou"] == tiou) & rows["detector"].isin(detectors)]
    if missing := set(detectors) - set(selected["detector"]):
        raise ValueError(f"detectors: no rows of {sorted(missing)}; there are {sorted(set(rows['detector']))}")
    names = selected["protocol"] + selected["setting"].map(lambda setting: f" ({setting})" if setting else "")
    means = selected["mean_ap"].mul(100).groupby([names.rename("protocol"), selected["detector"]], sort=False).mean().unstack(sort=False)
    with one_panel(7.4, 1.3 + 0.22 * len(means)) as (figure, axes):
        y = np.arange(len(means))
        for detector, colour, marker in zip(detectors, _COLOURS, _MARKERS, strict=False):
            axes.plot(means[detector], y, marker, color=colour, label=figure_text(detector), alpha=0.85, clip_on=False)
        reference = means.iloc[0][list(detectors)].max()
        axes.axvline(reference, color="0.5", linestyle=":")
        axes.set(yticks=y, xlim=(0, None), xlabel=f"{'average mAP' if tiou == 'avg' else f'mAP at tIoU {tiou}'} (%)")
        axes.set_yticklabels(map(figure_text, means.index), fontsize=8)
        axes.invert_yaxis()
        figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure
