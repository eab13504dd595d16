"""The paper's own numbers, printed beside this project's and never in place of them."""

from importlib.resources import files

import pandas as pd

DATASETS = {
    "thumos14": "thumos14",
    "thumos14-sim": "thumos14",
    "activitynet": "activitynet",
    "activitynet-sim": "activitynet",
}
"""Data set of this book -> data set of the paper that it is, or is modelled on."""

METHODS = {
    "table1": {"SSP-style": "SSP", "SSTAP": "SSTAP", "SPOT": "SPOT", "NPL-style": "NPL", "baseline": "Baseline", "non-target": "Ours"},
    "table2": {"l_tgt": "tgt", "l_tgt + l_neg": "tgt+neg", "l_tgt + l_neg + l_pos": "tgt+neg+pos"},
    "table3": {"ActionFormer": "ActF", "ActionFormer, NPL-style": "NPL (ActF)", "ActionFormer, non-target": "Ours (ActF)"},
    "table4": {f"lambda {value:.2f}": f"lambda={value:.2f}" for value in (0.9, 0.85, 0.8, 0.75)},
    "table5": {"soft pseudo label": "soft pseudo label", "complementary label": "complementary label", "non-target": "Ours"},
}
"""Table -> system of this book -> row of the paper: its method, or its setting where the table varies one."""


def reported_map(table: str, dataset: str, label_ratio: float) -> pd.DataFrame:
    """What the paper reports for a data set and label ratio: mAP in percent, row x tIoU ("avg" last), in the paper's order.

    Args:
        table: ``table1`` to ``table5``; of any other the paper has nothing, and the frame is empty.
        dataset: a data set of this book; one that the paper does not have gives an empty frame.
        label_ratio: share of labelled videos.
    """
    with files("nontarget").joinpath("paper_reported.csv").open(encoding="utf-8") as file:
        rows = pd.read_csv(file, dtype={"tiou": str}, keep_default_na=False)
    chosen = rows[(rows["table"] == table) & (rows["dataset"] == DATASETS.get(dataset)) & (rows["label_ratio"] == label_ratio)]
    varied = chosen["setting"].where(chosen["setting"] != "", chosen["method"])
    wide = chosen.assign(row=varied).pivot_table(index="row", columns="tiou", values="map_percent", sort=False)
    return wide.rename_axis(index=None, columns=None)
