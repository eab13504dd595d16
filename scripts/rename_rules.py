"""Rewrite committed tables to the present names of learning rules: ``python scripts/rename_rules.py results``.

A rule's name is part of what a run's key is computed from. For every run of an old name the key under that name is computed again and
compared with the one in the table; only then the name and the key are replaced. Rows of runs that are not current (other code, other
data) are named, and nothing is written unless ``--drop-stale`` leaves them out. All other cells stay as they are, to the byte. It can be
run again on tables to which rows of old names were added.
"""

import argparse
import copy
import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nontarget.experiment import Experiment
from nontarget.results import identity_key
from nontarget.runtime.digests import DIGEST
from nontarget.runtime.files import atomic_write
from nontarget.runtime.locks import locked
from nontarget.runtime.tables import signed_lines

NAMES = {
    "ours": "non-target",
    "ours + ambiguous": "non-target + ambiguous",
    "mean teacher + ours": "mean teacher + non-target",
    "ours, read otherwise": "non-target, other interpretations",
}
"""Old name -> present name."""
TABLES = ("metrics.csv", "decomposition.csv", "why.csv", "map.csv")
COLUMNS = {"ours": "non_target"}
"""Old name of a column of ``map.csv`` -> present name."""


def renamed_key(row: Mapping[str, str]) -> tuple[str, str]:
    """The key of a row's run under the old name of its rule, and under the present one.

    Args:
        row: cells of a committed table by column, with an old name of a rule.

    Raises:
        ValueError: its settings are not those of an experiment.
    """
    changed: dict[str, Any] = (
        json.loads(row["settings"])
        if "settings" in row
        else {name: json.loads(row[name] or "{}") for name in ("rule_settings", "twin_settings")} | {"held_out": row["held_out"] == "True"}
    )
    experiment = Experiment(
        dataset=row["dataset"],
        rule=NAMES[row["rule"]],
        label_ratio=float(row["label_ratio"]),
        seed=int(row["seed"]),
        detector=row["detector"],
        preset=row.get("preset", "small"),
        **changed,
    )
    new = experiment.identity()
    new["dataset"]["checksum"] = row["dataset_checksum"]
    old = copy.deepcopy(new)
    old["rule"]["name"] = row["rule"]
    if old["rule"]["training"].get("name") == NAMES[row["rule"]]:
        old["rule"]["training"]["name"] = row["rule"]
    return identity_key(old), identity_key(new)


def rename_table(path: Path, drop_stale: bool = False) -> tuple[int, list[str]]:
    """Rename the rules of one table; returns how many rows have new names, and the keys of runs that are not current.

    Nothing is written where there are such runs, unless they are to be left out.
    """
    with locked(path):
        header, *lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        signed = header[-1] == DIGEST
        rows = [dict(zip(header, line, strict=True)) for line in lines]
        old_rows = [row for row in rows if row["rule"] in NAMES]
        keys: dict[str, str] = {}
        stale: dict[str, None] = {}
        for row in {row["key"]: row for row in old_rows}.values():
            before, after = renamed_key(row)
            if before == row["key"]:
                keys[before] = after
            else:
                stale[row["key"]] = None
        renames_columns = any(name in COLUMNS for name in header)
        if (not old_rows and not renames_columns) or (stale and not drop_stale):
            return 0, list(stale)
        for row in old_rows:
            row["rule"] = NAMES[row["rule"]]
        kept = [row | {"key": keys.get(row["key"], row["key"])} for row in rows if row["key"] not in stale]
        names = [COLUMNS.get(name, name) for name in header if name != DIGEST]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([row[name] for name in header if name != DIGEST] for row in kept)
        first, *rest = text.getvalue().removesuffix("\n").split("\n")
        out = signed_lines(first, rest) if signed else [first, *rest]
        with atomic_write(path) as file:
            file.write("".join(f"{line}\n" for line in out).encode())
        return len(old_rows), list(stale)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 where a table has runs that are not current and were not to be left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results"), help="of results; default: results")
    parser.add_argument("--drop-stale", action="store_true", help="leave out runs of old names that are not current")
    chosen = parser.parse_args(arguments)
    if not chosen.folder.is_dir():
        parser.error(f"{chosen.folder}: no such folder")
    failed = False
    for name in TABLES:
        path = chosen.folder / name
        if path.is_file():
            renamed, stale = rename_table(path, chosen.drop_stale)
            print(f"{path}: {renamed} rows renamed")
            if stale:
                said = "left out" if chosen.drop_stale else "nothing was changed"
                print(f"{path}: {len(stale)} runs are not of this code or data, {said}: {', '.join(stale)}", file=sys.stderr)
                failed |= not chosen.drop_stale
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
