"""Commands for feature releases: what is in a folder, and its conversion to a feature folder."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

_OPTIONS = [
    click.option("--annotations", type=click.Path(exists=True, path_type=Path), help="Annotation file or folder, where it is elsewhere."),
    click.option("--layout", help="Which layout it is, where that is not recognised."),
    click.option("--fps", help="Frames per second that the extractor saw, or 'annotations' for each video's own in the annotations."),
    click.option("--stride", type=float, help="Frames from one snippet to the next."),
    click.option("--window", type=float, help="Frames that a snippet sees; the first is centred on half of it."),
    click.option("--offset", type=float, help="Frames to the centre of the first snippet, where that is not half the window."),
    click.option("--fold", help="Which of several folds."),
    click.option("--task", help="Which of several tasks or tiers, such as verb and noun."),
    click.option("--split", help="A published split into labelled and unlabelled videos: a file, or its name in the release."),
    click.option("--subsets", help='Names of the subsets to train and to test on, as "train=NAME,test=NAME".'),
    click.option("--features", help="The folder of features, where there are several; several with commas are joined on channels."),
    click.option("--axes", type=click.Choice(["TD", "DT"]), help="Time first or time last, where the files do not tell."),
    click.option(
        "--durations", type=click.Path(exists=True, path_type=Path), help="Table video,duration in seconds, where none are there."
    ),
    click.option("--distinct-classes", help="Names of classes that are meant although they are nearly equal, with commas."),
    click.option(
        "--protocol",
        metavar="NAME",
        help="How the folder is cut and scored, as published work does: thumos14-212, activitynet-100 and others that inspect lists. "
        "Default: what ids and files call for.",
    ),
    click.option("--allow-pickle", is_flag=True, help="Read pickles of numpy arrays and tensors, and nothing else that is in them."),
]


def _release_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Say what is in a feature release, and how to convert it.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_release_options
@click.option("--verify", is_flag=True, help="Read all features of a feature folder, and compare them with their digests.")
def inspect(path: Path, verify: bool, **options: Any) -> None:
    """Say what is in the feature release PATH: layout, videos, classes, times, what is missing or wrong, and what to type next.

    Nothing is guessed: where a release does not say its timing, axes, fold or task, the message names the option to give. PATH may also be
    a feature folder, as `nontarget convert` writes it; its features are read only with --verify.

    \b
    Examples:
      nontarget inspect thumos/                                 # ActionFormer's release
      nontarget inspect csv_mean_100/ --annotations anet_anno_action.json
      nontarget inspect features/ --annotations labels.csv --fps 25 --stride 16 --window 16
      nontarget inspect my_thumos14 --verify
    """
    from nontarget.data.folder import is_feature_folder
    from nontarget.data.folder_report import folder_report
    from nontarget.data.releases import inspect_release

    if is_feature_folder(path) and not _settings(options):
        click.echo(folder_report(path, verify))
        return
    if verify:
        raise click.UsageError(f"{path} is no feature folder, and has no digests to compare with; leave out --verify")
    with _options_by_their_names_here():
        click.echo(str(inspect_release(path, **_settings(options))))


@click.command(short_help="Convert a feature release to a feature folder.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@_release_options
@click.option("--dtype", type=click.Choice(["float16", "float32"]), default="float16", show_default=True, help="Of the stored features.")
def convert(path: Path, out: Path, **options: Any) -> None:
    """Convert the feature release PATH to the feature folder OUT, which every other command takes as --features OUT.

    A conversion that was interrupted goes on where it stopped when the same command is given again.

    \b
    Examples:
      nontarget convert thumos/ my_thumos14
      nontarget convert csv_mean_100/ my_activitynet --annotations anet_anno_action.json
      nontarget convert epic_kitchens/ my_epic_verbs --task verb
    """
    from nontarget.data.releases import convert_release

    with _options_by_their_names_here():
        report = convert_release(path, out, **_settings(options))
    click.echo(report.text(out))
    click.echo(f"\nwritten: {out}")


@contextmanager
def _options_by_their_names_here() -> Iterator[None]:
    """Messages of the library name its arguments, as ``fps=``; here they are options."""
    from nontarget.data import DataError

    names = "annotations|layout|fps|stride|window|offset|fold|task|split|subsets|features|axes|durations|dtype|protocol"
    try:
        yield
    except DataError as error:
        text = str(error).replace("allow_pickle=True", "--allow-pickle").replace("distinct_classes=", "--distinct-classes")
        raise DataError(re.sub(rf"(?<![\w-])({names})= ?", r"--\1 ", text)) from None


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; a rate as a number, subsets as a mapping."""
    settings = {name: value for name, value in options.items() if value is not None and value is not False}
    if "fps" in settings and settings["fps"] != "annotations":
        try:
            settings["fps"] = float(settings["fps"])
        except ValueError:
            raise click.BadParameter(f"expected a number or 'annotations', got {settings['fps']!r}", param_hint="--fps") from None
    if "subsets" in settings and "=" in settings["subsets"]:
        parts = dict(part.partition("=")[::2] for part in settings["subsets"].split(","))
        if parts.keys() != {"train", "test"}:
            raise click.BadParameter(f"expected train=NAME,test=NAME, got {settings['subsets']!r}", param_hint="--subsets")
        settings["subsets"] = parts
    return settings
