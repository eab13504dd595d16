"""Commands that train: one of the paper's tables, or one detector."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nontarget.study.comparison import Comparison

_PROBLEM = [
    click.option("--dataset", help="Name of a data set: thumos14-sim, activitynet-sim, or a folder under NONTARGET_DATA."),
    click.option("--features", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A feature folder, instead of a name."),
    click.option("--ratio", type=float, default=0.1, show_default=True, help="Share of the training videos that keeps its labels."),
    click.option(
        "--preset",
        type=click.Choice(["small", "full"]),
        default="small",
        show_default=True,
        help="small: a detector that trains in minutes on a CPU; full: that of the paper, for real benchmarks.",
    ),
    click.option(
        "--protocol",
        metavar="NAME",
        help="How videos are cut and scored, as published work does: thumos14-212, thumos14-210+diving-once, activitynet-100. "
        "Default: what the data set says.",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."),
]


def _problem(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_PROBLEM):
        command = option(command)
    return command


@click.command(short_help="Compute one of the paper's tables, on any data set.")
@click.argument("name")
@_problem
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of each row, each with a split of its own.")
@click.option("--systems", help="Rows to take, with commas between them. Default: the main ones of Table 1, all of another table.")
@click.option(
    "--source",
    type=click.Choice(["auto", "run", "stored", "committed"]),
    default="auto",
    show_default=True,
    help="auto: committed results where they are current, and the rest is computed; run: all from this machine; "
    "stored, committed: nothing is computed.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Run the table's notebook into this .ipynb, or write all runs to a .csv."
)
def table(
    name: str,
    dataset: str | None,
    features: Path | None,
    ratio: float,
    preset: str,
    protocol: str | None,
    device: str,
    seeds: int,
    systems: str | None,
    source: str,
    out: Path | None,
) -> None:
    """Compute table NAME: 1 to 5 of the paper, or another such as beyond, lambda or why.

    Without --out, or with a .csv, the table is printed here. With --out table.ipynb its notebook is run by papermill: the same table,
    with its curves and findings; for that a checkout of the repository is needed.

    \b
    Examples:
      nontarget table 1                                          # on simulated data, in a few minutes
      nontarget table 1 --dataset hapt --ratio 0.2
      nontarget table 1 --features my_thumos14 --preset full --seeds 5 --protocol thumos14-212 --out table1.ipynb
      nontarget table 5 --features my_thumos14 --out runs.csv
    """
    name = f"table{name}" if name.isdecimal() else name
    dataset = _one_of(dataset, features) or "thumos14-sim"
    chosen = [s.strip() for s in systems.split(",")] if systems else None
    if out is not None and out.suffix == ".ipynb":
        if chosen:
            raise click.UsageError("--systems cannot be given to a notebook; leave it out, or print the table without --out")
        problem = {"dataset": dataset, "ratio": ratio, "features": _text(features), "preset": preset, "protocol": protocol}
        _run_notebook(name, out, **problem, seeds=seeds, device=device, source=source)
        return
    if out is not None and out.suffix != ".csv":
        raise click.BadParameter(f"expected a name that ends in .ipynb or .csv, got {out}", param_hint="--out")
    from nontarget.study.pages import table_page
    from nontarget.study.systems import MAIN_SYSTEMS

    if chosen is None and name == "table1":
        chosen = list(MAIN_SYSTEMS)
    options: dict[str, Any] = {"preset": preset, "features": _text(features), "protocol": protocol, "systems": chosen, "source": source}
    tabs = table_page(name, dataset, ratio, seeds, device=device, **options)
    for comparison in tabs.comparisons:
        click.echo(_plain(comparison))
    if out is not None:
        from nontarget.runtime.escaping import csv_text
        from nontarget.runtime.files import atomic_write

        with atomic_write(out) as file:
            file.write(csv_text(tabs.frame()).encode())


@click.command(short_help="Train one detector, score it, and keep it.")
@_problem
@click.option("--rule", default="non-target", show_default=True, help="Learning rule: a row of the tables, such as baseline or non-target.")
@click.option("--detector", type=click.Choice(["spot", "actionformer"]), default="spot", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the label split and of training.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--model", type=click.Path(dir_okay=False, path_type=Path), help="Keep the detector in this file, for `nontarget detect`.")
@click.option(
    "--detections", type=click.Path(dir_okay=False, path_type=Path), help="Write the test videos' detections: .json, .csv or .txt."
)
def train(
    dataset: str | None,
    features: Path | None,
    ratio: float,
    preset: str,
    protocol: str | None,
    device: str,
    rule: str,
    detector: str,
    seed: int,
    threads: int,
    model: Path | None,
    detections: Path | None,
) -> None:
    """Train one detector with one learning rule, and score it on the test videos. An interrupted run goes on when it is called again.

    \b
    Examples:
      nontarget train --features my_features --ratio 0.2 --model model.safetensors
      nontarget train --dataset hapt --rule baseline --detections hapt.json
    """
    from nontarget.data.videos import LABELS_SEEN
    from nontarget.detection_files import write_detections
    from nontarget.experiment import Experiment, evaluate
    from nontarget.experiment import train as run_training
    from nontarget.protocols import describe, named_settings
    from nontarget.runtime.files import check_replaceable

    for path in (model, detections):
        if path is not None:
            check_replaceable(path)
    name = _one_of(dataset, features) or "thumos14-sim"
    settings = named_settings(protocol)
    experiment = Experiment(name, rule, ratio, seed, preset, detector, _text(features), protocol_settings=settings)
    training = run_training(experiment, device=device, threads=threads)
    scores, predictions = evaluate(training)
    if model is not None:
        training.trained.save(model)
    if detections is not None:
        write_detections(detections, predictions)
    data = training.dataset
    click.echo(
        f"{data.name} ({'simulated' if data.simulated else 'real'} data): {training.counts['labeled']} labelled and "
        f"{training.counts['unlabeled']} unlabelled training videos, rule {rule}, seed {seed}"
    )
    click.echo(describe(data.protocol))
    if data.labels_seen is not None:
        click.echo(f"labels seen: {LABELS_SEEN[data.labels_seen]}")
    by_tiou = {f"{t:g}": v for t, v in zip(scores.tiou_thresholds, scores.mean_ap.tolist(), strict=True)}
    values = "  ".join(f"{t}: {100 * v:.1f}" for t, v in (by_tiou | {"avg": scores.average_mean_ap}).items())
    click.echo(f"mAP (%) by tIoU on {scores.num_videos} test videos with {scores.num_instances} instances: {values}")
    for path in (model, detections):
        if path is not None:
            click.echo(f"written: {path}")


def _run_notebook(name: str, out: Path, **parameters: Any) -> None:
    import nontarget
    from nontarget.config import check_choice
    from nontarget.runtime.files import check_replaceable
    from nontarget.study.systems import TABLES

    check_choice("table", name, TABLES)
    folder = Path(nontarget.__file__).resolve().parents[1] / "notebooks"
    own = folder / f"{name}.ipynb"
    notebook = own if own.is_file() else folder / "tables.ipynb"
    if not notebook.is_file():
        raise FileNotFoundError(f"{folder}: the notebooks are in a checkout of the repository, and this is none; leave out --out")
    try:
        import papermill
    except ImportError:
        raise click.UsageError("a notebook is run by papermill, which is not installed (extra: book); leave out --out") from None
    check_replaceable(out)
    if notebook != own:
        parameters["table"] = name
    papermill.execute_notebook(str(notebook), str(out), {k: v for k, v in parameters.items() if v is not None})
    click.echo(f"written: {out}")


def _plain(comparison: "Comparison") -> str:
    """A table for a terminal, with what was scored and what it says."""
    from nontarget.runtime.escaping import escaped, plain_text
    from nontarget.study.labels_seen import seen_note

    notes = [
        comparison.mark,
        seen_note(comparison.records),
        comparison.scored,
        *map(escaped, (*comparison.unavailable, *comparison.partial)),
    ]
    table = comparison.cells().map(plain_text).to_string(index=False)
    before, after = plain_text(comparison.caption), plain_text("\n".join([*filter(None, notes), "", comparison.findings]))
    return "\n".join([before, "", table, "", after]).replace("\N{NO-BREAK SPACE}", " ")


def _one_of(dataset: str | None, features: Path | None) -> str | None:
    if dataset and features:
        raise click.UsageError("give --dataset or --features, not both")
    return dataset


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
