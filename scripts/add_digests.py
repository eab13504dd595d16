"""Give committed tables, records and weights of earlier versions their digests: ``python scripts/add_digests.py results``.

It is run once more whenever rows without digests were added, and changes nothing where all have theirs. Rows, records and weights whose
digest does not match are named and left as they are: nobody knows what they were. After a change that was made on purpose (a migration
of keys or names in a table), ``--renew metrics.csv`` gives every row of that table its digest anew.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from nontarget.runtime.digests import DIGEST, check_tensors, tensors_digest, without_digest, write_record
from nontarget.runtime.files import atomic_write
from nontarget.runtime.locks import locked
from nontarget.runtime.tables import signed_lines, unsigned_rows

TABLES = ("metrics.csv", "decomposition.csv", "why.csv", "map.csv", "anchor.csv", "audit.csv", "choices.csv")


def add_to_table(path: Path, renew: bool = False) -> tuple[int, list[str]]:
    """Number of rows that got a digest, and what is wrong with others; with an error nothing is written.

    The digest of a row counts the rows of its key: where rows of a key lack theirs, all rows of that key get a new one.

    Args:
        path: of the table.
        renew: take every row as it is, whatever its digest says.
    """
    with locked(path):
        header, rows, wrong = unsigned_rows(path, renew)
        if wrong:
            return 0, [f"{path}, line {number}: not what was written: {text[:160]}" for number, text in wrong]
        text = "".join(f"{line}\n" for line in signed_lines(header, [row for row, _ in rows])).encode()
        if text == path.read_bytes():
            return 0, []
        with atomic_write(path) as file:
            file.write(text)
        return sum(not signed for _, signed in rows), []


def add_to_record(path: Path) -> tuple[int, list[str]]:
    """The same for a record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if DIGEST in record:
            without_digest(record)
            return 0, []
        write_record(path, record)
    except (ValueError, TypeError) as error:
        return 0, [f"{path}: {error}"]
    return 1, []


def add_to_weights(path: Path) -> tuple[int, list[str]]:
    """The same for the weights of a stage of training."""
    try:
        with safe_open(path, framework="pt") as file:
            about = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if DIGEST in about:
            check_tensors(tensors, about)
            return 0, []
    except (SafetensorError, ValueError) as error:
        return 0, [f"{path}: {error}"]
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        return 0, [f"{path}: {broken[0]!r} is not finite"]
    with atomic_write(path) as file:
        file.write(save(tensors, {**about, DIGEST: tensors_digest(tensors, about)}))
    return 1, []


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 where something does not match its digest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results"), help="of results; default: results")
    parser.add_argument("--renew", nargs="+", default=[], choices=TABLES, help="tables that were changed on purpose", metavar="TABLE")
    chosen = parser.parse_args(arguments)
    if not chosen.folder.is_dir():
        parser.error(f"{chosen.folder}: no such folder")
    problems = []
    for name in TABLES:
        path = chosen.folder / name
        if path.is_file():
            added, wrong = add_to_table(path, name in chosen.renew)
            print(f"{path}: {added} digests added")
            problems += wrong
    for pattern, add in (("*.json", add_to_record), ("weights-*.safetensors", add_to_weights)):
        paths = sorted(path for part in ("runs", "anchor", "anchor/runs") for path in (chosen.folder / part).glob(pattern))
        done = [add(path) for path in paths]
        if paths:
            print(f"{pattern}: {sum(added for added, _ in done)} digests added to {len(paths)} files")
        problems += [line for _, wrong in done for line in wrong]
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
