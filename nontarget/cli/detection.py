"""The command that detects actions with a trained detector."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from nontarget.trained import TrainedDetector


@click.command(short_help="Detect actions in features with a trained detector.")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("features", type=click.Path(exists=True, path_type=Path))
@click.option("--fps", type=float, help="Feature steps per second, where FEATURES is no feature folder.")
@click.option("--offset-s", type=float, help="Centre of the first step in seconds. Default: half a step.")
@click.option(
    "--videos",
    type=click.Choice(["test", "train", "unlabeled", "all"]),
    default="test",
    show_default=True,
    help="Which videos of a feature folder.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write them here, as .json, .csv or .txt. Default: csv to the standard output.",
)
def detect(
    model: Path, features: Path, fps: float | None, offset_s: float | None, videos: str, device: str, threads: int, out: Path | None
) -> None:
    """Detect actions with MODEL, a file that `nontarget train --model` wrote, in FEATURES.

    FEATURES is a feature folder, an .npz archive with an array [T, D] for each video, one .npy file, or a folder of .npy files.

    \b
    Examples:
      nontarget detect model.safetensors my_features --out detections.json
      nontarget detect model.safetensors new_video.npy --fps 7.5
    """
    from nontarget.detection_files import write_detections
    from nontarget.runtime.devices import resolve_device
    from nontarget.runtime.escaping import csv_text
    from nontarget.runtime.files import check_replaceable
    from nontarget.trained import TrainedDetector

    if out is not None:
        check_replaceable(out)
    trained = TrainedDetector.load(model, resolve_device(device))
    if features.is_dir() and (features / "annotations.json").is_file():
        if fps is not None or offset_s is not None:
            raise click.UsageError("a feature folder says the times of its features; leave out --fps and --offset-s")
        detections = _detect_folder(trained, features, videos, threads)
    else:
        if fps is None:
            raise click.UsageError(f"{features} does not say its rate; give --fps, feature steps per second")
        detections = _detect_arrays(trained, features, fps, offset_s, threads)
    if out is None:
        click.echo(csv_text(detections), nl=False)
    else:
        write_detections(out, detections)
        click.echo(f"{out}: {len(detections)} detections in {detections['video_id'].nunique()} videos")


def _detect_folder(trained: "TrainedDetector", folder: Path, which: str, threads: int) -> "pd.DataFrame":
    from nontarget.data import read_feature_folder
    from nontarget.inference import detect_videos

    data = read_feature_folder(folder, protocol=trained.protocol)
    parts = {"train": [v.video for v in data.train], "test": [v.video for v in data.test], "unlabeled": list(data.unlabeled)}
    videos = [v for part in parts.values() for v in part] if which == "all" else parts[which]
    return detect_videos(trained, videos, data.external_scores, threads=threads)


def _detect_arrays(trained: "TrainedDetector", path: Path, fps: float, offset_s: float | None, threads: int) -> "pd.DataFrame":
    from nontarget.inference import detect as detect_features
    from nontarget.runtime.readers import open_npz

    if path.suffix == ".npz":
        with open_npz(path) as archive:
            features = {video: archive.array(video) for video in archive}
    else:
        files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
        if not files:
            raise click.BadParameter(f"{path}: neither a feature folder nor a folder of .npy files", param_hint="FEATURES")
        features = {f.stem: _array(f) for f in files}
    return detect_features(trained, features, fps, feature_offset_s=offset_s, threads=threads)


def _array(path: Path) -> Any:
    import numpy as np

    from nontarget.runtime.readers import foreign_errors, open_file

    with open_file(path) as file, foreign_errors(path, "not an array in numpy's format"):
        return np.lib.format.read_array(file, allow_pickle=False)
