"""Where results are kept: one record a run, and the committed table that pages read."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nontarget.runtime.digests import intact, read_record, write_record
from nontarget.runtime.files import check_replaceable, check_writable
from nontarget.runtime.locks import locked
from nontarget.runtime.readers import check_name, foreign_errors, parse_json
from nontarget.runtime.tables import check_signed, read_table, write_table

RESULTS_VARIABLE = "NONTARGET_RESULTS"

Record = dict[str, Any]
"""What a run leaves: ``key``, ``identity``, ``scores`` (mAP by tIoU, in [0, 1], "avg" last), ``scored`` (counts), ``split``
(:func:`nontarget.data.splits.split_record`), ``occupancy`` (:data:`nontarget.coverage.Coverage`), ``gradient_share`` (of each loss, by
stage), ``calibration`` (of :class:`nontarget.calibration.Calibration`; None: the teacher's temperature was not estimated),
``provenance`` (with ``labels_seen``, whether the network that made the features saw labels of the data set; None: not known) and
``curves``. The file also has a ``digest`` of all that."""


NAMELESS = "known_by_checksum"
"""Key of a data set in an identity, of a folder that nobody knows by name: its name is shown, and identifies nothing."""


def identity_key(identity: Mapping[str, Any]) -> str:
    """Short content hash of what a result depends on; equal identities, in any order of keys, have equal hashes.

    The name of a user's own data set is no part of it: the same features in another folder have the same results.
    """
    if identity.get("dataset", {}).get(NAMELESS):
        identity = {**identity, "dataset": {key: value for key, value in identity["dataset"].items() if key != "name"}}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def default_results_folder() -> Path:
    """``NONTARGET_RESULTS``; else ``results`` of the checkout that the package lies in; else ``results`` here."""
    if RESULTS_VARIABLE in os.environ:
        return Path(os.environ[RESULTS_VARIABLE])
    checkout = Path(__file__).resolve().parents[1]
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / "results"


@dataclass(frozen=True)
class Found:
    """What the committed table says about a run."""

    status: Literal["current", "stale", "missing"]
    """``stale``: there are rows for these settings, but of other data or other code versions; they are not used."""
    record: Record | None = None


class ResultStore:
    """Records under ``folder/runs`` (a file each, named by content hash) and the committed ``folder/metrics.csv``."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_results_folder()
        self.runs_folder = self.folder / "runs"
        self.metrics_path = self.folder / "metrics.csv"

    def prepare(self) -> None:
        """Make the folder of records, and raise OSError now if nothing can be written there."""
        check_writable(self.runs_folder)

    def prepare_commit(self) -> None:
        """The same for the committed table; ValueError where its rows have no digests yet, so that none could be added."""
        check_replaceable(self.metrics_path)
        check_signed(self.metrics_path)

    def read(self, key: str) -> Record | None:
        """The record of a run, or None. A file that is not what was written (renamed, edited, cut off) is set aside with a warning."""

        def read(path: Path) -> Record:
            with foreign_errors(path, "not the record of a run"):
                record = read_record(path, inside=self.runs_folder)
                if not record["key"] == key == identity_key(record["identity"]):
                    raise ValueError("not the record that its name says")
                metric_rows(record)  # what a run leaves is all there
            return record

        return intact(self.record_path(key), read)

    def record_path(self, key: str) -> Path:
        """Where the record of a run is, or would be."""
        check_name(self.runs_folder, key)
        return self.runs_folder / f"{key}.json"

    def write(self, record: Record) -> None:
        """Add a record: whole, or on an error (OSError) not at all."""
        write_record(self.record_path(record["key"]), record)

    def records(self) -> Iterator[Record]:
        """All records."""
        for path in sorted(self.runs_folder.glob("*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record

    def metrics(self) -> pd.DataFrame:
        """The committed table, one row a run and tIoU; empty if there is none. Runs whose rows were changed are named and left out."""
        if not self.metrics_path.exists():
            return _known_columns(pd.DataFrame(columns=METRIC_COLUMNS))
        text = {"tiou": str, "key": str, "commit": str, "settings": str, "gradient_share": str, "labels_seen": str}
        empty = {c: [""] for c in COVERAGE_COLUMNS}
        table = read_table(self.metrics_path, METRIC_COLUMNS, METRIC_RANGES, dtype=text, keep_default_na=False, na_values=empty)
        later = {name: table[name].astype(object).fillna("") for name in ("gradient_share", "labels_seen")}  # which older tables lack
        return _known_columns(table.assign(**later))

    def committed(self, identity: Mapping[str, Any], metrics: pd.DataFrame | None = None) -> Found:
        """Look a run up in the committed table.

        Args:
            identity: of the run. Its dataset checksum may be None where the data are not at hand; then the committed one is taken.
            metrics: the table, where many runs are looked up.
        """
        metrics = self.metrics() if metrics is None else metrics
        same = metrics
        for column, value in _describe(identity).items():
            same = same[same[column] == value]
        for key, rows in same.groupby("key", sort=False):
            checksum = identity["dataset"]["checksum"] or rows["dataset_checksum"].iloc[0]
            if identity_key({**identity, "dataset": {**identity["dataset"], "checksum": checksum}}) == key:
                with foreign_errors(self.metrics_path, f"the rows of {key} are not those of a run"):
                    return Found("current", _record_of(rows, f"{self.metrics_path}: gradient_share of {key}"))
        return Found("stale" if len(same) else "missing")

    def commit(self, records: Iterable[Record]) -> int:
        """Put records into the committed table; rows of the same settings that they replace are dropped. Returns its number of runs.

        Several processes may commit at the same time, on several machines too.

        Raises:
            ValueError: a record was computed with more than one CPU thread, which changes numbers in the eighth digit; or the table
                has rows without digests, which an earlier version wrote.
            OSError: the table cannot be written, or another process does not free it.
        """
        once = {record["key"]: record for record in records}.values()  # several parts can share a run
        for record in once:
            if "threads" in record["identity"]:
                raise ValueError(f"{record['key']}: committed runs have 1 CPU thread, got {record['identity']['threads']!r}")
        new = pd.DataFrame([row for record in once for row in metric_rows(record)], columns=METRIC_COLUMNS)
        described = ["dataset", "preset", "label_ratio", "detector", "rule", "settings", "seed"]
        check_writable(self.folder)
        with locked(self.metrics_path):
            old = self.metrics()
            replaced = old.set_index(described).index.isin(new.set_index(described).index)
            table = pd.concat([old[~replaced], new]) if len(old) else new
            table = table.sort_values([*described, "tiou"], kind="stable")
            write_table(self.metrics_path, _known_columns(table.fillna({"labels_seen": ""})))
        return int(table["key"].nunique())


COVERAGE_COLUMNS = [
    f"{kind}_{name}"
    for kind in ("truth", "action", "size")
    for name in ("target", "positive", "negative", "ambiguous")
    if f"{kind}_{name}" != "size_target"
]
"""Of :data:`nontarget.coverage.Coverage`; they and ``gradient_share`` are empty but in the row whose tIoU is "avg"."""
METRIC_COLUMNS = [
    "dataset", "simulated", "preset", "label_ratio", "detector", "rule", "settings", "seed", "tiou", "mean_ap",
    "num_videos", "num_instances", "num_detections", "num_labeled", "num_unlabeled",
    "seconds", "device", "torch", "commit", "date", "dataset_checksum", "key", "labels_seen", "gradient_share", *COVERAGE_COLUMNS,
]  # fmt: skip

SEEN = {True: "yes", False: "no", None: ""}
"""How the column ``labels_seen`` is written; a table in which it is empty everywhere lacks it."""

METRIC_RANGES = {
    "label_ratio": (0.0, 1.0),
    "seed": (0.0, 2.0**63),
    "mean_ap": (0.0, 1.0),
    "seconds": (0.0, 1e12),
    **{f"num_{name}": (0.0, 1e12) for name in ("videos", "instances", "detections", "labeled", "unlabeled")},
}
"""Lowest and highest value of the columns that hold a number in every row."""


def metric_rows(record: Record) -> list[dict[str, Any]]:
    """Rows of the committed table for one record."""
    provenance = record["provenance"]
    common = {
        **_describe(record["identity"]),
        "simulated": record["identity"]["dataset"]["simulated"],
        **{f"num_{name}": count for name, count in record["scored"].items()},
        "seconds": round(sum(provenance["seconds"].values()), 1),
        "device": provenance["device"],
        "torch": provenance["torch"],
        "commit": provenance["commit"],
        "date": provenance["date"],
        "dataset_checksum": record["identity"]["dataset"]["checksum"],
        "key": record["key"],
        "labels_seen": SEEN[provenance.get("labels_seen")],
    }
    shares = {stage: {loss: round(share, 3) for loss, share in of_stage.items()} for stage, of_stage in record["gradient_share"].items()}
    only_once = {name: round(value, 5) for name, value in record["occupancy"].items()} | {"gradient_share": json.dumps(shares)}
    return [
        {**common, "tiou": tiou, "mean_ap": round(value, 6), **(only_once if tiou == "avg" else {})}
        for tiou, value in record["scores"].items()
    ]


def _known_columns(table: pd.DataFrame) -> pd.DataFrame:
    """A table without ``labels_seen`` where that is known of no data set in it."""
    return table if (table["labels_seen"] != "").any() else table.drop(columns="labels_seen")


def _describe(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by which a person knows a run."""
    return {
        "dataset": identity["dataset"]["name"],
        "preset": identity["preset"],
        "label_ratio": identity["label_ratio"],
        "detector": identity["detector"]["name"],
        "rule": identity["rule"]["name"],
        "settings": json.dumps(identity["changed"], sort_keys=True),
        "seed": identity["seed"],
    }


def _record_of(rows: pd.DataFrame, place: str) -> Record:
    """A record as far as the committed table tells it; ``place`` says in messages where its gradient shares stand."""
    first = rows.iloc[0]
    order = rows.set_index("tiou")["mean_ap"].astype(float)
    seen = {text: value for value, text in SEEN.items()}
    names = ("num_videos", "num_instances", "num_detections", "num_labeled", "num_unlabeled")
    return {
        "key": first["key"],
        "scores": {tiou: float(order[tiou]) for tiou in sorted(order.index)},
        "scored": {name.removeprefix("num_"): int(first[name]) for name in names},
        "occupancy": rows.loc[rows["tiou"] == "avg", COVERAGE_COLUMNS].iloc[0].dropna().to_dict(),
        "gradient_share": parse_json(rows.loc[rows["tiou"] == "avg", "gradient_share"].iloc[0] or "{}", place),
        "provenance": {c: first[c] for c in ("device", "torch", "commit", "date")}
        | {"seconds": {"total": float(first["seconds"])}, "labels_seen": seen[first.get("labels_seen", "")]},
    }
