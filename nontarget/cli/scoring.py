"""The command that scores detections."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

_PRESETS = {"thumos14": "0.3:0.7:0.1", "activitynet": "0.5:0.95:0.05"}


@click.command(short_help="Score detections against ground truth, and diagnose their errors.")
@click.argument("truth", type=click.Path(exists=True, path_type=Path))
@click.argument("detections", type=click.Path(exists=True, path_type=Path))
@click.option("--subset", help="Score this subset. Default: the one that the videos with detections are in.")
@click.option(
    "--tiou",
    default="thumos14",
    show_default=True,
    help="Thresholds: FIRST:LAST:STEP, a list 0.3,0.5,0.7, thumos14 (0.3:0.7:0.1) or activitynet (0.5:0.95:0.05).",
)
@click.option("--blocked", type=click.Path(exists=True, path_type=Path), help="Videos to leave out: one id a line, or a json list.")
@click.option("--classes", type=click.Path(exists=True, path_type=Path), help="Names of class numbers other than THUMOS14's 101.")
@click.option("--test-videos", type=click.Choice(["213", "212", "211", "210"]), help="One of the sets of THUMOS14's test videos in use.")
@click.option("--cliff-diving", type=click.Choice(["both", "once"]), default="both", help="THUMOS14: are cliff dives Diving, too?")
@click.option(
    "--ambiguous",
    type=click.Choice(["background", "ignored"]),
    default="background",
    help="THUMOS14: are detections on ambiguous spans false positives, or ignored as by the official scorer?",
)
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
    tiou: str,
    blocked: Path | None,
    classes: Path | None,
    test_videos: str | None,
    cliff_diving: str,
    ambiguous: str,
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
      nontarget evaluate TH14_annotations/ detections.txt --test-videos 212 --ambiguous ignored
      nontarget evaluate activity_net.v1-3.min.json results.json --tiou activitynet --subset validation --blocked blocked.json
      nontarget evaluate my_features detections.csv --at-least 40
    """
    from nontarget.data.benchmarks import THUMOS14_TEST_VIDEOS, counted_once, outside_ambiguous
    from nontarget.detection_files import read_detections, read_ground_truth, subset_of
    from nontarget.diagnose import ACTIVITYNET_BINS, THUMOS14_BINS, diagnose_detections
    from nontarget.metrics import evaluate_detections

    thresholds = _thresholds(tiou)
    content, found = read_ground_truth(truth), read_detections(detections, classes)
    subset = subset or subset_of(content, found, str(truth))
    left_out = _listed(blocked) if blocked else []
    database = content["database"]
    if test_videos:
        left_out += [v for v in THUMOS14_TEST_VIDEOS[test_videos] if v in database]
    if cliff_diving == "once":
        database = counted_once(database)
    if ambiguous == "ignored":
        found = outside_ambiguous(found, database)
    scored: dict[str, Any] = {"database": database}
    diagnosis = None
    if diagnose:
        chosen = {"fifths": None, "thumos14": THUMOS14_BINS, "activitynet": ACTIVITYNET_BINS}[bins]
        diagnosis = diagnose_detections(scored, found, thresholds, subset, bins=chosen, blocked_videos=left_out)
    scores = diagnosis.scores if diagnosis else evaluate_detections(scored, found, thresholds, subset, blocked_videos=left_out)

    click.echo(f"{scores.num_detections} detections, {scores.num_instances} instances in {scores.num_videos} videos")
    click.echo(f"protocol: {_protocol(subset, left_out, cliff_diving, ambiguous)}\n")
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


def _thresholds(text: str) -> list[float]:
    text = _PRESETS.get(text, text)
    try:
        if ":" in text:
            first, last, step = (float(x) for x in text.split(":"))
            count = round((last - first) / step) + 1
            return [round(first + i * step, 6) for i in range(count)]
        return [float(x) for x in text.split(",")]
    except (ValueError, ZeroDivisionError):
        presets = ", ".join(_PRESETS)
        raise click.BadParameter(f"expected FIRST:LAST:STEP, a list with commas, or {presets}; got {text!r}", param_hint="--tiou") from None


def _listed(path: Path) -> list[str]:
    from nontarget.runtime.readers import DataError, parse_json, quoted, read_text

    text = read_text(path)
    if not text.lstrip().startswith(("[", "{")):
        return text.split()
    content = parse_json(text, path)
    if odd := [video for video in content if not isinstance(video, str)]:
        raise DataError(f"{path}: blocked videos must be a list of ids, got {quoted(odd[0])} among them")
    return list(content)  # of an object, its keys


def _protocol(subset: str | None, left_out: list[str], cliff_diving: str, ambiguous: str) -> str:
    parts = [f"subset {subset}" if subset else "all videos"]
    parts += [f"without {len(left_out)} videos" if len(left_out) > 3 else f"without {', '.join(left_out)}"] if left_out else []
    parts += ["cliff dives count once"] if cliff_diving == "once" else []
    parts += ["ambiguous spans ignored"] if ambiguous == "ignored" else []
    return "; ".join(parts)


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
