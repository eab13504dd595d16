"""The paper's own numbers, printed beside ours and never in place of them."""

from importlib.resources import files

import pandas as pd

DATASETS = {
    "thumos14": "thumos14",
    "thumos14-sim": "thumos14",
    "activitynet": "activitynet",
    "activitynet-sim": "activitynet",
}
"""Data set of ours -> data set of the paper that it is, or is modelled on."""

METHODS = {"baseline": "Baseline", "ours": "Ours"}
"""Rule of ours -> method of the paper."""


def reported_map(table: str, dataset: str, label_ratio: float) -> pd.DataFrame:
    """What the paper reports for a data set and label ratio: mAP in percent, method x tIoU ("avg" last), in the paper's order.

    Args:
        table: ``table1`` to ``table5``.
        dataset: a data set of ours; one that the paper does not have gives an empty frame.
        label_ratio: share of labelled videos.
    """
    with files("nontarget").joinpath("paper_reported.csv").open(encoding="utf-8") as file:
        rows = pd.read_csv(file, dtype={"tiou": str})
    chosen = rows[(rows["table"] == table) & (rows["dataset"] == DATASETS.get(dataset)) & (rows["label_ratio"] == label_ratio)]
    wide = chosen.pivot_table(index="method", columns="tiou", values="map_percent", sort=False)
    return wide.rename_axis(index=None, columns=None)
