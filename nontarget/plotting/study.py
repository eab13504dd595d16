"""Figures of the study: where mean AP is lost, gates, the sets as a function of temperature, and the map of when the rule helps."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nontarget.plotting.style import COLOURS, HATCHES, MARKERS, STYLE, SUBSPACES, one_panel
from nontarget.runtime.escaping import figure_text
from nontarget.study.when import GainMap

_KINDS = {"as is": ("black", ""), "oracle": (COLOURS["fully supervised"], "////"), "trivial": (COLOURS["whole-video"], "....")}
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
_STATES = {
    True: ("passed", COLOURS["SPOT"], "", "\N{CHECK MARK}"),
    False: ("fails", COLOURS["non-target"], "xxxx", "\N{MULTIPLICATION SIGN}"),
    None: ("not computed", "0.85", "", "?"),
}


def decomposition(frames: Mapping[str, pd.DataFrame]) -> Figure:
    """Average mAP of a detector as it is, under oracles, and of trivial detectors: a panel for each data set, a bar a variant.

    Args:
        frames: data set -> what :func:`nontarget.study.decomposition.decompose` returned, or its mean over seeds.

    Raises:
        ValueError: there is no data set.
    """
    if not frames:
        raise ValueError("nothing to draw: no data set is given")
    rows = list(dict.fromkeys(name for frame in frames.values() for name in frame.index))
    columns = min(3, len(frames))
    lines = -(-len(frames) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 2.2 * columns, 0.9 + lines * (0.6 + 0.21 * len(rows))), layout="constrained")
        panels = list(figure.subplots(lines, columns, sharey=True, sharex=True, squeeze=False).flat)
        for axes, (dataset, frame) in zip(panels, frames.items(), strict=False):
            for y, name in enumerate(rows):
                colour, hatch = _KINDS["as is" if name == "as is" else "oracle" if name.startswith("oracle") else "trivial"]
                if name in frame.index:
                    value = float(frame.loc[name, "avg"])
                    axes.barh(y, value, color="white" if hatch else colour, edgecolor=colour, hatch=hatch, height=0.7)
                    axes.text(value + 1, y, f"{value:.0f}", va="center", fontsize=7)
                else:
                    axes.text(1, y, "not computed", va="center", fontsize=7, color="0.4")
            if "as is" in frame.index:
                axes.axvline(float(frame.loc["as is", "avg"]), color="black", linestyle=":", linewidth=1)
            axes.set(title=figure_text(dataset), xlim=(0, 110), xticks=[0, 50, 100])
            axes.grid(axis="y", visible=False)
        for axes in panels[len(frames) :]:
            axes.set_visible(False)
        panels[0].set_yticks(range(len(rows)), rows, fontsize=8)
        panels[0].invert_yaxis()
        figure.supxlabel("average mAP (%)", fontsize=10)
    return figure


def gate_table(states: pd.DataFrame) -> Figure:
    """Which gates hold: a row a data set and label ratio, a column a gate; a sign and a hatch say what the colour says.

    Args:
        states: True, False or None (:func:`nontarget.study.gates.gate_states`).
    """
    with one_panel(3.6 + 0.6 * states.shape[1], 1.3 + 0.32 * len(states)) as (figure, axes):
        for y, row in enumerate(states.to_numpy()):
            for x, value in enumerate(row):
                state = None if value is None or pd.isna(value) else bool(value)
                _, colour, hatch, sign = _STATES[state]
                axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=colour, edgecolor="white", hatch=hatch))
                axes.text(x, y, sign, ha="center", va="center", fontsize=10, fontweight="bold", bbox=_PAPER)
        axes.set(xlim=(-0.5, states.shape[1] - 0.5), ylim=(len(states) - 0.5, -0.5), xlabel="gate")
        axes.set_xticks(range(states.shape[1]), [f"({name})" for name in states.columns])
        axes.set_yticks(range(len(states)), list(map(figure_text, states.index)), fontsize=8)
        axes.grid(visible=False)
        signs = [Rectangle((0, 0), 1, 1, facecolor=colour, hatch=hatch, edgecolor="white") for _, colour, hatch, _ in _STATES.values()]
        names = [f"{sign} {name}" for name, _, _, sign in _STATES.values()]
        figure.legend(signs, names, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def subspaces_by_temperature(frames: Mapping[str, pd.DataFrame], best: Mapping[str, float] | None = None) -> Figure:
    """Where the truth lies among a teacher's errors, against its temperature: a panel for each teacher, areas that add up to 1.

    Args:
        frames: teacher -> what :func:`nontarget.study.shares.sets_by_temperature` returned.
        best: teacher -> temperature of the lowest log loss, a dashed line.

    Raises:
        ValueError: there is no teacher.
    """
    if not frames:
        raise ValueError("nothing to draw: no teacher is given")
    columns = min(3, len(frames))
    lines = -(-len(frames) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.0 + 2.3 * columns, 0.8 + 2.3 * lines), layout="constrained")
        panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
        for axes, (name, frame) in zip(panels, frames.items(), strict=False):
            kinds = ("positive", "ambiguous", "negative")
            areas = axes.stackplot(frame.index, *(frame[kind] for kind in kinds), labels=kinds, colors=[SUBSPACES[kind] for kind in kinds])
            for area, kind in zip(areas, kinds, strict=True):
                area.set(hatch=HATCHES[kind], edgecolor="white", linewidth=0)
            axes.plot(frame.index, frame["sure"], "--", color="black", label="p_max of 1/2 or more (of all snippets)")
            if best and name in best:
                axes.axvline(best[name], color="black", linestyle=":", label="lowest log loss")
                if not min(frame.index) <= best[name] <= max(frame.index):
                    text = f"lowest log loss\nat {best[name]:.3g}, outside"
                    axes.text(0.97, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=7, bbox=_PAPER)
            axes.set(title=figure_text(name), xscale="log", ylim=(0, 1), xlim=(min(frame.index), max(frame.index)))
            ticks = [t for t in (0.25, 0.5, 1, 2, 4, 8) if min(frame.index) <= t <= max(frame.index)]
            axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
            axes.minorticks_off()
            axes.set_xlabel("temperature of the teacher")
        for axes in panels[len(frames) :]:
            axes.set_visible(False)
        figure.supylabel("share of the wrong snippets", fontsize=10)
        entries = {label: h for axes in figure.axes for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(entries.values(), entries, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def gain_map(fitted: GainMap, places: pd.DataFrame | None = None, steps: int = 60) -> Figure:
    """The predicted gain over the two shares, with the twins that it was fitted to and, where there are any, data sets placed on it.

    Where the twins do not reach, there is no colour; the black line is where nothing is gained.

    Args:
        fitted: the map.
        places: what :func:`nontarget.study.when.place` returned.
        steps: of the grid, in each direction.
    """
    cells = fitted.cells
    x, y = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    predicted = fitted.predict(x.ravel(), y.ravel())
    visible = predicted["inside"] & (predicted["positive"] + predicted["negative"] <= 1)
    surface = predicted["mean"].where(visible).to_numpy().reshape(x.shape)
    drawn = [values[np.isfinite(values)] for values in (surface.ravel(), cells["gain"].to_numpy())]
    limit = max((float(np.abs(values).max()) for values in drawn if len(values)), default=1.0) or 1.0
    with one_panel(6.0, 4.6) as (figure, axes):
        colours: dict[str, Any] = {"cmap": "PuOr", "vmin": -limit, "vmax": limit}
        if np.isfinite(surface).any():
            axes.contourf(x, y, surface, levels=np.linspace(-limit, limit, 13), **colours)
            if np.nanmin(surface) < 0 < np.nanmax(surface):
                axes.contour(x, y, surface, levels=[0.0], colors="black", linewidths=1.2)
        points = axes.scatter(cells["positive"], cells["negative"], c=cells["gain"], edgecolors="black", s=34, label="twins", **colours)
        figure.colorbar(points, label="gain over the baseline (points)")
        if places is not None:
            marks = [marker for name, marker in MARKERS.items() if name not in ("whole-video", "non-target")]
            for (name, row), marker in zip(places.iterrows(), marks * len(places), strict=False):
                text = f": {row['mean']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]{'' if row['inside'] else ', extrapolated'}"
                text = figure_text(name) + text
                axes.plot(row["positive"], row["negative"], marker, color="black", markersize=8, markerfacecolor="white", label=text)
        axes.plot([0, 1], [1, 0], color="0.6", linewidth=0.8)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="P(truth in positives | target wrong)", ylabel="P(truth in negatives | target wrong)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure
