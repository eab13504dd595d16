"""What ``results/why.csv`` says: sets by temperature, where the truth of wrong snippets lies, and the gradient to the true class."""

import numpy as np
import pandas as pd

from nontarget.study.report import DETECTOR
from nontarget.texttable import TextTable, percent

GRADIENTS = ("l_tgt", "l_neg", "l_pos", "total")


def sets_frames(rows: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """What :func:`nontarget.plotting.study.sets_by_temperature` draws: means over seeds, and temperatures of lowest log loss, by teacher.

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
        cells.append({"Teacher": str(name), "Wrong (%)": 100 * as_is["errors"], "Temperature": f"{temperature:.2f}"} | wide)
    columns = ["Teacher", "Wrong (%)", "Temperature", "positive", "negative", "ambiguous"]
    caption = (
        "Where the truth lies, in percent of the wrong snippets: teacher as it is, and after the arrow at the temperature of lowest log "
        "loss on the hidden labels; means over seeds. Data sets whose names end in -sim are simulated."
    )
    return TextTable(pd.DataFrame(cells, columns=columns), caption, "truth-of-errors")


def gradient_table(rows: pd.DataFrame) -> TextTable:
    """Mean gradient that each term sends to the true class, by subspace, at the first and last epoch of self-training."""
    found = rows[(rows["kind"] == "gradient") & (rows["stage"] == "selftrain")]
    cells = []
    for (dataset, ratio, subspace), part in found.groupby(["dataset", "label_ratio", "subspace"], sort=False):
        wide = part.pivot_table(index="epoch", columns="quantity", values="value").reindex(columns=["share", *GRADIENTS])
        first, last = wide.iloc[0], wide.iloc[-1]
        row = {"Data": teacher_name(str(dataset), float(ratio), DETECTOR), "Truth": str(subspace), "Snippets (%)": 100 * first["share"]}
        terms = {name: f"{first[name]:+.2f} \u2192 {last[name]:+.2f}" if not np.isnan(first[name]) else "" for name in GRADIENTS}
        cells.append(row | terms)
    caption = (
        "Gradient of each term with respect to the logit of the true class, by the subspace that the truth lies in, first and last epoch "
        "of self-training with the paper's rule, one seed: below 0 the true class is pulled, above 0 it is pushed away."
    )
    return TextTable(pd.DataFrame(cells, columns=["Data", "Truth", "Snippets (%)", *GRADIENTS]), caption, "gradient-to-truth")
