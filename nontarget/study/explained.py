"""What ``results/why.csv`` says: sets by temperature, where the truth of wrong snippets lies, and the gradient to the true class."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from nontarget.runtime.escaping import escaped
from nontarget.study.comparison import Comparison
from nontarget.study.decomposition import AS_IS, TRIVIAL
from nontarget.study.report import DETECTOR
from nontarget.study.texttable import DETECTABLE, TextTable, difference_text, holm_text, interval_text, percent, significant
from nontarget.study.when import GainMap

GRADIENTS = ("l_tgt", "l_neg", "l_pos", "total")
METHOD = "non-target"
CHANGES = {
    "non-target, calibrated": "calibrating the teacher",
    "oracle: truth not negative": "taking the true class out of the negatives",
    "oracle: truth positive": "putting the true class among the positives",
    "oracle": "using the true class as the pseudo label",
}
"""Rows of the table ``why`` that differ from the paper's method in one thing, and that thing."""


def sets_frames(rows: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """For :func:`nontarget.plotting.study.subspaces_by_temperature`: means over seeds, temperatures of lowest log loss, by teacher.

    Args:
        rows: of ``why.csv``.
    """
    named = rows.assign(name=[teacher_name(*row) for row in rows[["dataset", "label_ratio", "teacher"]].itertuples(index=False)])
    frames = {
        name: part.pivot_table(index="temperature", columns="quantity", values="value")
        for name, part in named[named["kind"] == "sets"].groupby("name", sort=False)
    }
    best = named[named["kind"] == "lowest log loss"].drop_duplicates(["name", "seed", "temperature"]).groupby("name")["temperature"]
    return frames, {str(name): float(np.exp(np.log(values).mean())) for name, values in best}


def teacher_name(dataset: str, label_ratio: float, teacher: str) -> str:
    """A teacher in a figure: its data set, with the share of labelled videos, or its name if it was published."""
    return f"{dataset}, {percent(float(label_ratio))}" if teacher == DETECTOR else f"{dataset}, {teacher}"


def truth_table(rows: pd.DataFrame) -> TextTable:
    """Where the truth of wrong snippets lies, with the teacher as it is and at its temperature of lowest log loss."""
    named = rows.assign(name=[teacher_name(*row) for row in rows[["dataset", "label_ratio", "teacher"]].itertuples(index=False)])
    named["value"] = named["value"].astype(float)
    cells = []
    for name, part in named.groupby("name", sort=False):
        as_is = part[(part["kind"] == "sets") & (part["temperature"].astype(float) == 1)].groupby("quantity")["value"].mean()
        best = part[part["kind"] == "lowest log loss"]
        at_best = best.groupby("quantity")["value"].mean()
        if not len(as_is) or not len(best):
            continue
        wide = {kind: f"{100 * as_is[kind]:.0f} \u2192 {100 * at_best[kind]:.0f}" for kind in ("positive", "negative", "ambiguous")}
        temperature = float(np.exp(np.log(best["temperature"].astype(float)).mean()))
        cells.append({"Teacher": escaped(name), "Wrong (%)": 100 * as_is["errors"], "Temperature": f"{temperature:.2f}"} | wide)
    columns = ["Teacher", "Wrong (%)", "Temperature", "positive", "negative", "ambiguous"]
    caption = (
        "Where the truth lies, in percent of the wrong snippets: teacher as it is, and after the arrow at the temperature of lowest log "
        "loss on the hidden labels; means over seeds. Data sets whose names end in -sim are simulated."
    )
    return TextTable(pd.DataFrame(cells, columns=columns), caption, "truth-of-errors")


def gradient_table(rows: pd.DataFrame) -> TextTable:
    """Mean gradient that each term sends to the true class, by subspace, at the first and last epoch of self-training."""
    gradients = rows[(rows["kind"] == "gradient") & (rows["stage"] == "selftrain")]
    cells = []
    for (dataset, ratio, subspace), part in gradients.groupby(["dataset", "label_ratio", "subspace"], sort=False):
        wide = part.pivot_table(index="epoch", columns="quantity", values="value").reindex(columns=["share", *GRADIENTS])
        first, last = wide.iloc[0], wide.iloc[-1]
        row = {
            "Data": escaped(teacher_name(str(dataset), float(ratio), DETECTOR)),
            "Truth": str(subspace),
            "Snippets (%)": 100 * first["share"],
        }
        terms = {name: f"{first[name]:+.2f} \u2192 {last[name]:+.2f}" if not np.isnan(first[name]) else "" for name in GRADIENTS}
        cells.append(row | terms)
    caption = (
        "Gradient of each term with respect to the logit of the true class, by the subspace that the truth lies in, first and last epoch "
        "of self-training with the paper's rule, one seed: below 0 the true class is pulled, above 0 it is pushed away."
    )
    return TextTable(pd.DataFrame(cells, columns=["Data", "Truth", "Snippets (%)", *GRADIENTS]), caption, "gradient-to-truth")


def explained_findings(rows: pd.DataFrame) -> str:
    """What ``why.csv`` says, in one bold sentence (Markdown)."""
    value = rows["value"].astype(float)
    wrong = rows.assign(value=value)[
        rows["kind"].isin(["sets", "lowest log loss"]) & rows["quantity"].isin(["positive", "negative", "ambiguous"])
    ]
    if not len(wrong):
        return "**Not computed yet: where the truth of wrong snippets lies.**"
    kinds = {"as they are": wrong[(wrong["kind"] == "sets") & (wrong["temperature"].astype(float) == 1)]}
    kinds["at the temperature of lowest log loss"] = wrong[wrong["kind"] == "lowest log loss"]
    parts = []
    for name, part in kinds.items():
        means = 100 * part.groupby(["quantity", "dataset", "label_ratio", "teacher"])["value"].mean()
        spans = {kind: means.loc[kind] for kind in ("positive", "negative", "ambiguous")}
        ranges = ", ".join(f"{kind} in {v.min():.0f} to {v.max():.0f} %" for kind, v in spans.items())
        parts.append(f"With the teachers {name}, the truth of a wrong snippet is {ranges}")
    return f"**{'. '.join(parts)}** ({len(means.loc['positive'])} teachers, on simulated and on real data)."


def changes_of_method(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """What each of :data:`CHANGES` adds to the paper's method, in points of average mAP, paired by seed.

    Args:
        comparisons: tables ``why``.

    Returns:
        A row for each data set and system: columns data, system, mean, low, high, detectable, p_value.
    """
    frames, columns = [], ["mean", "low", "high", "detectable", "p_value"]
    for comparison in comparisons:
        gains = replace(comparison, reference=METHOD).differences()[columns]
        data = teacher_name(comparison.dataset, comparison.label_ratio, DETECTOR)
        frames.append(gains[gains.index.isin(list(CHANGES))].rename_axis("system").reset_index().assign(data=data))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["data", "system", *columns])


def changes_table(changes: pd.DataFrame) -> TextTable:
    """:func:`changes_of_method` as a table: a row for each data set, a column for each system."""
    cells = [
        {"Data": escaped(data)}
        | dict.fromkeys(CHANGES, "")
        | {row.system: interval_text(row.mean, row.low, row.high, row.detectable) for row in part.itertuples()}
        for data, part in changes.groupby("data", sort=False)
    ]
    caption = (
        "Average mAP minus that of non-target, in points, paired by seed, with its 95 % interval. Data sets whose names end in -sim are "
        f"simulated. {DETECTABLE}"
    )
    return TextTable(pd.DataFrame(cells, columns=["Data", *CHANGES]), caption, "changes-of-method")


def changes_findings(changes: pd.DataFrame) -> str:
    """What each change adds to the method over the data sets, in one bold sentence (Markdown)."""
    intervals = changes.dropna(subset=["low"])
    if not len(intervals):
        return "**Not computed yet: what a change of the method would add.**"
    parts = []
    for system, change in CHANGES.items():
        part = intervals[intervals["system"] == system]
        if len(part):
            span = f"{part['mean'].min():+.1f} to {part['mean'].max():+.1f} points"
            parts.append(f"{change}, {span} (significant on {significant(part)} of {len(part)} data sets)")
    return f"**Added to the paper's method: {'; '.join(parts)}.** {holm_text(intervals)}"


def places_table(places: pd.DataFrame, comparisons: Iterable[Comparison]) -> TextTable:
    """The gain that the map predicts for each teacher, beside the gain that a table measured.

    Args:
        places: of :func:`nontarget.study.when.place`, by :func:`teacher_name`.
        comparisons: tables with the baseline and the paper's method; the map knows nothing of them.
    """
    measured = {}
    for comparison in comparisons:
        if gain := comparison.gains().get(METHOD):
            measured[teacher_name(comparison.dataset, comparison.label_ratio, DETECTOR)] = difference_text(gain)
    cells = [
        {
            "Teacher": escaped(str(row.Index)),
            "positive (%)": 100 * row.positive,
            "negative (%)": 100 * row.negative,
            "Predicted gain": interval_text(row.mean, row.low, row.high),
            "Measured gain": measured.get(str(row.Index), ""),
            "Within the dots": "yes" if row.inside else "no",
        }
        for row in places.itertuples()
    ]
    caption = (
        "Where the true class lies when the teacher is wrong, the gain over the baseline in points that the map predicts from it, and the "
        "one that Table 1 measured, each with its 95 % interval. Data sets whose names end in -sim are simulated. "
        f"{DETECTABLE}"
    )
    return TextTable(pd.DataFrame(cells), caption, "predicted-gains")


def teacher_places(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of positive and negative truth of each teacher as it is, means over seeds: for :func:`nontarget.study.when.place`."""
    as_is = rows[(rows["kind"] == "sets") & (rows["temperature"].astype(float) == 1) & rows["quantity"].isin(["positive", "negative"])]
    names = [teacher_name(*row) for row in as_is[["dataset", "label_ratio", "teacher"]].itertuples(index=False)]
    places = as_is.assign(name=names, value=as_is["value"].astype(float)).pivot_table(index="name", columns="quantity", values="value")
    return places.reindex(columns=["positive", "negative"]).dropna()


def decomposition_frames(rows: pd.DataFrame, rule: str, label_ratio: float | None = None) -> dict[str, pd.DataFrame]:
    """Means over seeds by data set, for :func:`nontarget.plotting.study.decomposition`: a row a variant, a column a tIoU.

    Args:
        rows: of ``decomposition.csv``.
        rule: of the detectors.
        label_ratio: of the runs; default: the lowest that a data set has.
    """
    frames = {}
    for dataset, part in rows[rows["rule"] == rule].groupby("dataset", sort=False):
        ratio = part["label_ratio"].min() if label_ratio is None else label_ratio
        chosen = part[part["label_ratio"] == ratio] if rule != "fully supervised" else part
        if len(chosen):
            frames[teacher_name(str(dataset), 1.0 if rule == "fully supervised" else ratio, DETECTOR)] = chosen.pivot_table(
                index="variant", columns="tiou", values="mean_ap", sort=False
            )
    return frames


def limits_findings(frames: dict[str, pd.DataFrame]) -> str:
    """What limits each detector, in a sentence per data set (Markdown)."""
    if not frames:
        return "**Not computed yet: no decomposition of this code is committed.**"
    sentences = []
    for name, frame in frames.items():
        average = frame["avg"]
        rises = average.filter(regex="^oracle") - average[AS_IS]
        single = rises.drop("oracle classes and masks", errors="ignore")
        trivial = average[[variant for variant in TRIVIAL if variant in average]]
        text = f"- **{escaped(name)}: {average[AS_IS]:.1f} as is; {single.idxmax()} would add the most, {single.max():.1f} points**"
        if "oracle classes and masks" in rises:
            text += f"; oracle classes and masks together, {rises['oracle classes and masks']:.1f}"
        if len(trivial):
            text += f"; the best trivial detector ({trivial.idxmax()}) earns {trivial.max():.1f}"
        sentences.append(f"{text}.")
    return "\n".join(sentences)


def map_findings(gain_map: GainMap | None, places: pd.DataFrame | None) -> str:
    """What the map says of the data sets that are placed on it (Markdown)."""
    if gain_map is None:
        return "**Not computed yet: the map has no current points.**"
    text = f"**The gains of {len(gain_map.cells)} simulated cells go from {gain_map.cells['gain'].min():+.1f} to "
    text += f"{gain_map.cells['gain'].max():+.1f} points**; a twin is predicted by the others with an error of "
    text += f"{gain_map.left_out_error:.2f} points, and by their mean gain alone with one of {gain_map.constant_error:.2f}: "
    text += "the difference is what the two shares tell."
    if places is None or not len(places):
        return text
    significant_places = places[(places["low"] > 0) | (places["high"] < 0)]
    text += (
        f" Of {len(places)} teachers of this book, the map predicts a difference that is significant at 95 % for {len(significant_places)}"
    )
    outside = int((~places["inside"].astype(bool)).sum())
    return text + f"; {outside} {'lies' if outside == 1 else 'lie'} outside of what was simulated."
