"""The command that scores detections."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

    from nontarget.config import Protocol


@click.command(short_help="Score detections against ground truth, and diagnose their errors.")
@click.argument("truth", type=click.Path(exists=True, path_type=Path))
@click.argument("detections", type=click.Path(exists=True, path_type=Path))
@click.option("--subset", help="Score this subset. Default: the one that the videos with detections are in.")
@click.option(
    "--protocol",
    metavar="NAME",
    help="What counts, as published work has it: thumos14-213, -212, -211 or -210 (test videos), with +diving-once or +ambiguous-ignored "
    "after it, or activitynet-100. Default: what the feature folder TRUTH says, else every video, instance and detection.",
)
@click.option(
    "--tiou",
    help="Thresholds: FIRST:LAST:STEP, or a list 0.3,0.5,0.7. Default: those of the protocol, 0.3:0.7:0.1 without one.",
)
@click.option("--blocked", type=click.Path(exists=True, path_type=Path), help="Videos to leave out: one id a line, or a json list.")
@click.option("--classes", type=click.Path(exists=True, path_type=Path), help="Names of class numbers other than THUMOS14's 101.")
@click.option("--per-class/--no-per-class", default=True, show_default=True, help="AP of every class.")
@click.option("--diagnose", is_flag=True, help="Errors by kind, and misses by length, coverage and number of instances (DETAD).")
@click.option(
    "--bins", type=click.Choice(["fifths", "thumos14", "activitynet"]), default="fifths", help="Groups of instances for --diagnose."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write all numbers to this csv file, too.")
@click.option("--at-least", type=float, metavar="PERCENT", help="A check: exit with 1 if the average mAP is lower.")
def evaluate(
    truth: Path,
    detections: Path,
    subset: str | None,
    protocol: str | None,
    tiou: str | None,
    blocked: Path | None,
    classes: Path | None,
    per_class: bool,
    diagnose: bool,
    bins: str,
    out: Path | None,
    at_least: float | None,
) -> None:
    """Score DETECTIONS against TRUTH: mAP by tIoU, AP by class, and on request where mAP is lost.

    TRUTH is ActivityNet-style json, a feature folder, the folder of THUMOS14's text annotations, or csv (video, label, start, end).
    DETECTIONS are ActivityNet's or OpenTAD's json, THUMOS14's text (video start end class score), or csv.

    \b
    Examples:
      nontarget evaluate thumos14.json autoloc.json --tiou 0.1:0.7:0.1 --diagnose --bins thumos14
      nontarget evaluate TH14_annotations/ detections.txt --protocol thumos14-212+ambiguous-ignored
      nontarget evaluate activity_net.v1-3.min.json results.json --protocol activitynet-100 --subset validation --blocked blocked.json
      nontarget evaluate my_features detections.csv --at-least 40
    """
    from nontarget.detection_files import read_detections, read_ground_truth, subset_of
    from nontarget.diagnose import ACTIVITYNET_BINS, THUMOS14_BINS, diagnose_detections
    from nontarget.metrics import evaluate_detections
    from nontarget.protocols import describe, get_protocol

    content, predictions = read_ground_truth(truth), read_detections(detections, classes)
    subset = subset or subset_of(content, predictions, str(truth))
    left_out = _listed(blocked) if blocked else []
    chosen = get_protocol(protocol) if protocol else _stated(truth)
    thresholds = _thresholds(tiou) if tiou else chosen.tiou_thresholds
    scored = {"database": content["database"]}
    diagnosis = None
    if diagnose:
        groups = {"fifths": None, "thumos14": THUMOS14_BINS, "activitynet": ACTIVITYNET_BINS}[bins]
        diagnosis = diagnose_detections(scored, predictions, thresholds, subset, protocol=chosen, bins=groups, blocked_videos=left_out)
        scores = diagnosis.scores
    else:
        scores = evaluate_detections(scored, predictions, thresholds, subset, protocol=chosen, blocked_videos=left_out)

    click.echo(f"{scores.num_detections} detections, {scores.num_instances} instances in {scores.num_videos} videos")
    further = [f"subset {subset}"] * bool(subset) + [f"{len(left_out)} blocked videos"] * bool(left_out)
    click.echo("; ".join([describe(chosen, cut=False), *further]) + "\n")
    columns = [f"{t:g}" for t in scores.tiou_thresholds]
    table = scores.ap.set_axis(columns, axis=1)
    table.columns.name, table.index.name = "tIoU", None
    means = table.mean().to_frame("mAP (%)").T
    if per_class:
        click.echo(_percent(_with_average(table)))
    click.echo(_percent(_with_average(means)))
    if diagnosis:
        click.echo(f"\n{diagnosis}")
    if out:
        _write(out, _with_average(table), diagnosis.rows() if diagnosis else None)
    if at_least is not None and 100 * scores.average_mean_ap < at_least:
        click.echo(f"check failed: average mAP {100 * scores.average_mean_ap:.2f} is below {at_least:g}", err=True)
        raise click.exceptions.Exit(1)


def _stated(truth: Path) -> "Protocol":
    """The protocol of a feature folder; of other ground truth, that of which every video and instance counts."""
    from nontarget.config import Protocol
    from nontarget.data.folder import folder_settings

    return folder_settings(truth)[0] if (truth / "annotations.json").is_file() else Protocol()


def _thresholds(text: str) -> list[float]:
    try:
        if ":" in text:
            first, last, step = (float(x) for x in text.split(":"))
            count = round((last - first) / step) + 1
            return [round(first + i * step, 6) for i in range(count)]
        return [float(x) for x in text.split(",")]
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"expected FIRST:LAST:STEP or a list with commas, got {text!r}", param_hint="--tiou") from None


def _listed(path: Path) -> list[str]:
    from nontarget.runtime.readers import DataError, parse_json, quoted, read_text

    text = read_text(path)
    if not text.lstrip().startswith(("[", "{")):
        return text.split()
    content = parse_json(text, path)
    if odd := [video for video in content if not isinstance(video, str)]:
        raise DataError(f"{path}: blocked videos must be a list of ids, got {quoted(odd[0])} among them")
    return list(content)  # of an object, its keys


def _with_average(table: "pd.DataFrame") -> "pd.DataFrame":
    return table.assign(avg=table.mean(axis=1))


def _percent(table: "pd.DataFrame") -> str:
    return (100 * table).to_string(float_format="{:.1f}".format)


def _write(path: Path, ap: "pd.DataFrame", diagnosis: "pd.DataFrame | None") -> None:
    import pandas as pd

    from nontarget.runtime.escaping import csv_text
    from nontarget.runtime.files import atomic_write

    long = ap.rename_axis("name").reset_index().melt("name", var_name="tiou", value_name="value")
    rows = long.assign(part="AP", group="")[["part", "name", "group", "tiou", "value"]]
    if diagnosis is None:
        means = ap.mean().rename_axis("tiou").reset_index(name="value").assign(part="score", name="mAP", group="")
        diagnosis = means[rows.columns]
    with atomic_write(path) as file:
        file.write(csv_text(pd.concat([diagnosis, rows]), float_format="%.6g").encode())
