"""Several experiments side by side."""

from collections.abc import Iterable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from nontarget.data import split_dataset
from nontarget.experiment import Experiment, run
from nontarget.results import Record, ResultStore, identity_key
from nontarget.runtime.devices import cpu_count, resolve_device
from nontarget.runtime.interrupts import interruptible
from nontarget.runtime.progress import progress_bar
from nontarget.runtime.workers import worker_pool


def run_all(
    experiments: Sequence[Experiment],
    store: ResultStore | None = None,
    *,
    device: str = "auto",
    workers: int | None = None,
    recompute: bool = False,
    progress: bool = True,
) -> list[Record]:
    """Records of several experiments, in their order; those that are missing are computed side by side, one a CPU core.

    A finished record is kept whatever happens to the others. On an accelerator they run one after another.

    Args:
        workers: processes; default: the number of CPU cores at hand.

    Raises:
        FileNotFoundError: a record vanished, or was changed, while the others were computed; the message names its file.
        OSError: nothing can be written to the store; raised before anything is computed.
    """
    store = store or ResultStore()
    keys = [identity_key(e.identity()) for e in experiments]
    todo = {key: e for key, e in zip(keys, experiments, strict=True) if recompute or store.read(key) is None}
    if todo:
        store.prepare()
    workers = min(workers or cpu_count(), len(todo)) if resolve_device(device).type == "cpu" else 1
    options: dict[str, Any] = {"store": store, "device": device, "recompute": recompute}
    kept = f"finished runs and epochs are kept in {store.runs_folder}; the same call or command goes on from there"
    with interruptible(kept), progress_bar(len(todo), "experiments", "run", progress and len(todo) > 0) as bar:
        _check_splits(todo.values())
        if workers <= 1:
            for experiment in todo.values():
                run(experiment, **options, progress=progress)
                bar.update()
        else:
            with worker_pool(workers) as pool:
                futures = [pool.submit(run, e, **options, progress=False) for e in todo.values()]
                try:
                    for future in as_completed(futures):
                        future.result()
                        bar.update()
                except BrokenProcessPool as error:
                    raise RuntimeError(
                        "a worker process died: out of memory, or started by a script without `if __name__ == '__main__':` "
                        "(see multiprocessing, spawn); workers=1 needs no such line"
                    ) from error
    records = {key: store.read(key) for key in keys}
    if vanished := [str(store.record_path(key)) for key, record in records.items() if record is None]:
        raise FileNotFoundError(
            f"{len(vanished)} of {len(records)} records were there or written, and are gone or changed: {', '.join(vanished)}; "
            "the same call computes them again"
        )
    return [record for key in keys if (record := records[key]) is not None]


def _check_splits(experiments: Iterable[Experiment]) -> None:
    """Say what is wrong with data or ratios here and now, not in a worker after hours."""
    by_dataset: dict[str, list[Experiment]] = {}
    for e in experiments:
        by_dataset.setdefault(repr((e.dataset, e.features, e.preset, e.twin_settings, e.held_out)), []).append(e)
    for group in by_dataset.values():
        dataset = group[0].load()
        for label_ratio, seed in {(e.identity()["label_ratio"], e.seed): None for e in group}:  # the same for every rule
            split_dataset(dataset, label_ratio, seed)
