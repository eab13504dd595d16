"""Small tables that are computed from trained detectors and committed beside the metrics: ``decomposition``, ``why`` and ``map``.

``python -m nontarget.reproduce --parts decomposition why map`` computes their runs and writes them. Each row names the record that it
belongs to by ``key``; readers use :func:`current`, which leaves out what older code or other data gave.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nontarget.data import Dataset, load_dataset
from nontarget.experiment import Experiment, train
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.devices import resolve_device
from nontarget.runtime.files import check_replaceable
from nontarget.runtime.locks import locked
from nontarget.runtime.provenance import provenance
from nontarget.runtime.tables import check_signed, read_table, write_table
from nontarget.study.analysis.snippets import hidden_snippets
from nontarget.study.decomposition import ROW_COLUMNS, decomposition_rows
from nontarget.study.gates import gate_seeds, records_in
from nontarget.study.shares import TEMPERATURES, best_temperature, shares_among_errors
from nontarget.study.systems import seeds_of
from nontarget.study.when import FEWEST_CELLS, POINT_COLUMNS, GainMap, map_cells, map_experiments, map_points, teacher_shares
from nontarget.study.why import GradientLog, hidden_clips

RUN = ["dataset", "label_ratio", "detector", "rule", "rule_settings", "twin_settings", "seed", "held_out"]
"""What an experiment of these tables is rebuilt from."""
PROVENANCE = ["key", "dataset_checksum", "commit", "date", "device"]
DECOMPOSITION_COLUMNS = [*RUN, "variant", "tiou", "mean_ap", *PROVENANCE]
WHY_COLUMNS = [*RUN, "kind", "teacher", "stage", "epoch", "temperature", "subspace", "quantity", "value", *PROVENANCE]
MAP_COLUMNS = [*RUN, *(c for c in POINT_COLUMNS if c not in (*RUN, "key")), *PROVENANCE]
WHY_SEEDS = 3
MAP_DATASET = "thumos14-sim"
DETECTOR = "pre-trained detector"
PUBLISHED = "published scores"
"""The ``rule`` of rows that no training in this project stands behind: class scores that came with a data set."""


@dataclass(frozen=True)
class Report:
    """One of the tables."""

    name: str
    columns: Sequence[str]
    experiments: Callable[[str, float], list[Experiment]]
    """The runs behind it, for a data set and label ratio."""
    rows: Callable[[str, Sequence[Experiment], ResultStore, str], pd.DataFrame]
    """From a data set, the runs, their store and the device."""
    keyed_by: str | None = None
    """The rule whose records name the rows; None: each run has rows of its own."""

    def read(self, store: ResultStore | None = None) -> pd.DataFrame:
        """The rows that are current; empty if there are none."""
        path = self.path(store)
        if not path.is_file():
            return pd.DataFrame(columns=list(self.columns))
        text = ["dataset", "rule", "rule_settings", "twin_settings", "key", "dataset_checksum", "commit", "kind", "teacher", "stage"]
        dtype = dict.fromkeys([*text, "subspace", "quantity", "variant", "twin", "tiou", "date", "device"], str)
        frame = read_table(path, self.columns, dtype=dtype)
        strings = [name for name in frame if name in dtype]
        return current(frame.assign(**{name: frame[name].fillna("") for name in strings}))

    def path(self, store: ResultStore | None = None) -> Path:
        """Where the table is: beside the metrics."""
        return (store or ResultStore()).folder / f"{self.name}.csv"

    def prepare(self, store: ResultStore | None = None) -> None:
        """Raise OSError, or ValueError where rows have no digests yet, now if the table cannot be written."""
        check_replaceable(self.path(store))
        check_signed(self.path(store))

    def update(
        self, dataset: str, ratios: Iterable[float], store: ResultStore | None = None, device: str = "auto", recompute: bool = False
    ) -> int:
        """Add the rows of a data set that the table lacks; those of older code or data go. Returns how many rows the table has.

        Several processes may update it at the same time: what others added while this one computed stays.

        Args:
            dataset: see :func:`nontarget.data.load_dataset`.
            ratios: label ratios.
            store: where weights and records are, and the table; weights that are not there are trained again.
            device: see :func:`nontarget.experiment.run`.
            recompute: also rows that are there.
        """
        store = store or ResultStore()
        self.prepare(store)
        kept = self.read(store)
        wanted = {identity_key(e.identity()): e for ratio in ratios for e in self.experiments(dataset, ratio)}
        if recompute:
            kept = kept[~kept["key"].isin(list(wanted))]
        lacking = {key for key, e in wanted.items() if self.keyed_by in (None, e.rule)} - set(kept["key"])
        new = None
        if lacking:
            todo = [e for key, e in wanted.items() if self.keyed_by or key in lacking]
            new = self.rows(dataset, todo, store, device)
            about = provenance(resolve_device(device), 1)
            new = new.assign(**{name: about[name] for name in ("commit", "date", "device")}).reindex(columns=list(self.columns))
        with locked(self.path(store)):
            kept = self.read(store)
            if new is not None:
                kept = kept[~kept["key"].isin(new["key"])]
                kept = pd.concat([kept, new], ignore_index=True) if len(kept) else new
            if len(kept):
                write_table(self.path(store), kept, float_format="%.6g")
        return len(kept)


def current(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose key is that of their experiment under this code and data; the checksum of data not at hand is taken on trust."""
    named = [*RUN, "key", "dataset_checksum"]
    kept = [
        (row["key"], row["dataset_checksum"]) for row in frame[named].drop_duplicates().to_dict("records") if _key_of(row) == row["key"]
    ]
    if not len(frame):
        return frame
    return frame[pd.MultiIndex.from_frame(frame[["key", "dataset_checksum"]]).isin(kept)].reset_index(drop=True)


def published_scores(dataset: Dataset) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Class distributions [snippets, classes + 1] of the two published classifiers of ``salads50`` and the truth, background last.

    All videos: no training in this project is behind these scores.
    """
    scores, labels = [], []
    for v in (*dataset.train, *dataset.test):
        centres = (np.arange(len(v.video.features)) + 0.5) / v.video.fps
        label = np.full(len(centres), dataset.num_classes, dtype=np.int64)
        for c, (start, end) in zip(v.annotations.labels, v.annotations.segments_s, strict=True):
            label[(start <= centres) & (centres < end)] = c
        both = v.video.features.reshape(len(centres), 2, dataset.num_classes + 1).astype(np.float64)
        scores.append(np.roll(both, -1, axis=2))  # background comes first in the file
        labels.append(label)
    svm, network = np.concatenate(scores).transpose(1, 0, 2)
    truth = np.concatenate(labels)
    exponentials = np.exp(svm - svm.max(axis=1, keepdims=True))
    return {"SVM scores": (exponentials / exponentials.sum(axis=1, keepdims=True), truth), "tCNN scores": (network, truth)}


def _decomposition_experiments(dataset: str, label_ratio: float) -> list[Experiment]:
    rules = ("supervised only", "fully supervised")
    return [Experiment(dataset, rule, label_ratio, seed, held_out=True) for rule in rules for seed in gate_seeds(dataset, label_ratio)]


def _decomposition(dataset: str, experiments: Sequence[Experiment], store: ResultStore, device: str) -> pd.DataFrame:
    parts = [_with_run(decomposition_rows([e], store, device=device, progress=False)[ROW_COLUMNS[-4:]], e) for e in experiments]
    return pd.concat(parts, ignore_index=True)


def _why_experiments(dataset: str, label_ratio: float) -> list[Experiment]:
    seeds = seeds_of("non-target", WHY_SEEDS)
    return [
        *(Experiment(dataset, "pre-trained only", label_ratio, seed) for seed in seeds),
        Experiment(dataset, "non-target", label_ratio, seeds[0]),
    ]


def _why(dataset: str, experiments: Sequence[Experiment], store: ResultStore, device: str) -> pd.DataFrame:
    """Sets by temperature of each pre-trained teacher, and the gradients of one training of the paper's rule, which is done again."""
    parts = []
    for e in experiments:
        if e.rule == "pre-trained only":
            snippets = hidden_snippets(train(e, store, device=device, progress=False))
            parts.append(_with_run(_sets(snippets.probs, snippets.labels, DETECTOR), e))
        else:
            log = GradientLog(hidden_clips(e))
            train(e, store, device=device, progress=False, on_epoch=log)
            long = log.frame.melt(["stage", "epoch", "subspace"], var_name="quantity", value_name="value").dropna(subset="value")
            parts.append(_with_run(long.assign(kind="gradient", teacher=DETECTOR, temperature=1.0), e))
    data = load_dataset(dataset)
    if data.name == "salads50":
        about = dict.fromkeys(RUN, "") | {"dataset": dataset, "label_ratio": 1.0, "seed": 0, "held_out": False, "rule": PUBLISHED}
        key = {"key": data.checksum[:16], "dataset_checksum": data.checksum}
        parts += [_sets(*scores, name).assign(**about, **key) for name, scores in published_scores(data).items()]
    return pd.concat(parts, ignore_index=True)


def _sets(probs: NDArray[np.float64], labels: NDArray[np.int64], teacher: str) -> pd.DataFrame:
    """Error shares on a grid of temperatures (kind ``sets``) and at that of lowest log loss (kind ``lowest log loss``)."""
    best = best_temperature(probs, labels)
    rows = [
        {"kind": kind, "teacher": teacher, "temperature": t, "quantity": name, "value": value}
        for kind, temperatures in (("sets", TEMPERATURES), ("lowest log loss", (best,)))
        for t in temperatures
        for name, value in asdict(shares_among_errors(probs, labels, t)).items()
    ]
    return pd.DataFrame(rows)


def _map_experiments(dataset: str, label_ratio: float) -> list[Experiment]:
    if dataset != MAP_DATASET:
        return []
    return map_experiments(map_cells(dataset, label_ratio), seeds_of("non-target", WHY_SEEDS))


def _map(dataset: str, experiments: Sequence[Experiment], store: ResultStore, device: str) -> pd.DataFrame:
    parts = []
    for ratio in dict.fromkeys(e.label_ratio for e in experiments):
        cells, seeds = map_cells(dataset, ratio), seeds_of("non-target", WHY_SEEDS)
        points = map_points(cells, seeds, records_in(store), teacher_shares(store, device=device, progress=False))
        runs = [cell.at(seed).non_target for cell in cells for seed in seeds]
        by_key = {identity_key(e.identity()): e for e in runs}
        parts += [_with_run(points[points["key"] == key].drop(columns=["seed"]), by_key[key]) for key in points["key"]]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=MAP_COLUMNS)


def _with_run(frame: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Rows with what their experiment is rebuilt from."""
    identity = experiment.identity()
    about = {name: getattr(experiment, name) for name in RUN}
    about |= {name: json.dumps(dict(about[name]), sort_keys=True) for name in ("rule_settings", "twin_settings")}
    return frame.assign(**about, key=identity_key(identity), dataset_checksum=identity["dataset"]["checksum"])


def _key_of(row: Mapping[Hashable, Any]) -> str | None:
    """The key that an experiment has now; None if this version does not know its rule or settings."""
    try:
        settings = {name: json.loads(row[name] or "{}") for name in ("rule_settings", "twin_settings")}
        rule, detector = (row["rule"], row["detector"]) if row["rule"] != PUBLISHED else ("baseline", "spot")
        plain = Experiment(row["dataset"], rule, float(row["label_ratio"]), int(row["seed"]), detector=detector)
        identity = replace(plain, held_out=str(row["held_out"]) == "True", **settings).identity()
    except ValueError:
        return None
    checksum = identity["dataset"]["checksum"] or row["dataset_checksum"]
    if row["rule"] == PUBLISHED:
        return str(checksum)[:16]
    return identity_key({**identity, "dataset": {**identity["dataset"], "checksum": checksum}})


DECOMPOSITION = Report("decomposition", DECOMPOSITION_COLUMNS, _decomposition_experiments, _decomposition)
WHY = Report("why", WHY_COLUMNS, _why_experiments, _why)
MAP = Report("map", MAP_COLUMNS, _map_experiments, _map, keyed_by="non-target")
REPORTS = {report.name: report for report in (DECOMPOSITION, WHY, MAP)}


def decompositions(store: ResultStore | None = None) -> pd.DataFrame:
    """The current rows of ``decomposition.csv``."""
    return DECOMPOSITION.read(store)


def current_map(store: ResultStore | None = None) -> GainMap | None:
    """The map through the current rows of ``map.csv``; None if they are too few."""
    points = MAP.read(store)
    usable = points.dropna(subset=["positive", "negative", "gain"])
    cells = usable[["twin", "temperature"]].drop_duplicates()
    return GainMap.fit(points) if len(cells) >= FEWEST_CELLS else None
