"""How often the truth lies in each subspace of the label space: by epoch, and by data set and label ratio (Fig. 5)."""

import copy
from collections.abc import Sequence

import pandas as pd

from nontarget.detectors.base import Detector
from nontarget.experiment import Experiment, train, truth_in_subspaces
from nontarget.partition import LabelPartition
from nontarget.results import COVERAGE_COLUMNS, ResultStore
from nontarget.runtime.devices import cpu_threads
from nontarget.training import StageName

_RUN = ["dataset", "preset", "label_ratio", "rule", "seed"]


def coverage_by_epoch(
    experiment: Experiment, store: ResultStore | None = None, *, device: str = "auto", progress: bool = True
) -> pd.DataFrame:
    """Train, and after each epoch look the hidden labels of the unlabelled videos up in the detector's partition.

    Args:
        experiment: what to train; it is trained anew, and no weights are kept.
        store: see :func:`nontarget.experiment.train`.
        device: likewise.
        progress: likewise.

    Returns:
        One row an epoch: ``stage``, ``epoch`` (1, 2, ... over both stages) and the columns of
        :data:`nontarget.coverage.Coverage`.

    Raises:
        ValueError: no labels are hidden.
    """
    kept: list[tuple[StageName, Detector]] = []
    training = train(
        experiment,
        store,
        device=device,
        progress=progress,
        on_epoch=lambda stage, epoch, detector: kept.append((stage, copy.deepcopy(detector))),
    )
    if not training.hidden:
        raise ValueError("experiment hides no labels, so there is no truth to look up; use a label ratio below 1")
    rows = []
    with cpu_threads(1):
        for epoch, (stage, detector) in enumerate(kept, start=1):
            rows.append({"stage": stage, "epoch": epoch, **truth_in_subspaces(training, detector)})
    return pd.DataFrame(rows)


def committed_coverage(
    store: ResultStore | None = None, rules: Sequence[str] = ("non-target", "baseline"), detector: str = "spot"
) -> tuple[pd.DataFrame, int]:
    """Where the truth lay after training, from the committed table: every run of these rules with no setting changed.

    Args:
        store: default: the store in the default folder.
        rules: learning rules.
        detector: of the runs.

    Returns:
        One row a run (dataset, preset, label_ratio, rule, seed, and the columns of :data:`nontarget.coverage.Coverage`), and how
        many runs are stale and therefore left out.
    """
    store = store or ResultStore()
    metrics = store.metrics()
    plain = metrics[(metrics["settings"] == "{}") & (metrics["detector"] == detector) & metrics["rule"].isin(list(rules))]
    rows, stale = [], 0
    for dataset, preset, ratio, rule, seed in plain[_RUN].drop_duplicates().itertuples(index=False):
        experiment = Experiment(dataset, rule, float(ratio), int(seed), preset, detector)
        record = store.committed(experiment.identity(), metrics).record
        if record is None:
            stale += 1
        elif record["occupancy"]:
            rows.append(dict(zip(_RUN, (dataset, preset, ratio, rule, seed), strict=True)) | record["occupancy"])
    return pd.DataFrame(rows, columns=[*_RUN, *COVERAGE_COLUMNS]).astype(dict.fromkeys(COVERAGE_COLUMNS, float)), stale


def with_chance(coverage: pd.DataFrame) -> pd.DataFrame:
    """Add ``chance_*``: how often a class drawn at random would lie in each subspace, given the mean sizes.

    The true class is a better guess than a random one where ``truth_*`` is above that for the target and the positives, and below it
    for the negatives.
    """
    sizes = coverage[[f"size_{name}" for name in LabelPartition._fields[1:]]].rename(columns=lambda c: c.removeprefix("size_"))
    sizes.insert(0, "target", 1.0)
    chance = sizes.div(sizes.sum(axis=1), axis=0).add_prefix("chance_")
    return pd.concat([coverage, chance], axis=1)
