"""A trained detector with everything that it needs to detect on new features; saved as safetensors, never as a pickle."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from nontarget.config import InferenceConfig, Protocol, from_mapping, is_finite_number
from nontarget.data.clips import Normalization, make_clips
from nontarget.data.folder import pooled
from nontarget.data.videos import DataError, Video
from nontarget.detectors import build_detector
from nontarget.detectors.base import Detector
from nontarget.inference import COLUMNS, detect_clips
from nontarget.runtime.digests import DIGEST, check_tensors, tensors_digest
from nontarget.runtime.files import atomic_write

FORMAT = "nontarget detector 1"


@dataclass(frozen=True)
class TrainedDetector:
    """A detector, its classes, and how features reach it."""

    detector: Detector
    name: str
    """Of the detector in :mod:`nontarget.detectors`."""
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    normalization: Normalization
    protocol: Protocol
    inference: InferenceConfig

    def save(self, path: str | Path) -> None:
        """Write one safetensors file: weights and normalisation as tensors, all else as JSON in its header."""
        tensors = {f"detector.{name}": t.cpu().contiguous() for name, t in self.detector.state_dict().items()}
        tensors |= {"normalization.mean": self.normalization.mean, "normalization.std": self.normalization.std}
        about = {
            "name": self.name,
            "settings": dict(self.settings),
            "classes": self.classes,
            "protocol": asdict(self.protocol),
            "inference": asdict(self.inference),
        }
        metadata = {"format": FORMAT, "about": json.dumps(about)}
        with atomic_write(path) as file:
            file.write(save(tensors, metadata | {DIGEST: tensors_digest(tensors, metadata)}))

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            DataError: it is not a checkpoint of this library, or it is cut off or was changed after it was saved.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such checkpoint")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            tensors = load_file(path)
        except SafetensorError as error:
            raise DataError(f"{path}: not a readable safetensors file ({error})") from None
        if metadata.get("format") != FORMAT:
            raise DataError(f"{path}: expected the format {FORMAT!r}, got {metadata.get('format')!r}")
        if DIGEST in metadata:
            try:
                check_tensors(tensors, metadata)
            except ValueError as error:
                raise DataError(f"{path}: {error}; take a copy that is whole, or train and save it again") from None
        else:
            warnings.warn(f"{path}: an earlier version saved it, without a digest; whether it was changed since is not known", stacklevel=2)
        about = json.loads(metadata["about"])
        mean, std = tensors["normalization.mean"], tensors["normalization.std"]
        detector = build_detector(about["name"], len(mean), len(about["classes"]), about["settings"])
        detector.load_state_dict({n.removeprefix("detector."): t for n, t in tensors.items() if n.startswith("detector.")})
        return cls(
            detector.to(device).eval(),
            about["name"],
            about["settings"],
            tuple(about["classes"]),
            Normalization(mean, std),
            from_mapping(Protocol, about["protocol"], f"{path}: protocol"),
            from_mapping(InferenceConfig, about["inference"], f"{path}: inference"),
        )


def detect(
    model_or_checkpoint: TrainedDetector | str | Path,
    features: Mapping[str, ArrayLike],
    feature_fps: float,
    durations_s: Mapping[str, float] | None = None,
    inference: InferenceConfig | None = None,
    external_scores: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Detections for a user's own features, of the kind that the detector was trained on.

    Args:
        model_or_checkpoint: a trained detector or the path of a saved one.
        features: video id -> array [T, D]; ``numpy.load("features.npz")`` will do.
        feature_fps: feature steps per second; step t is centred on ``(t + 0.5) / feature_fps`` seconds.
        durations_s: of the videos; default: as long as their features last.
        inference: default: as trained.
        external_scores: video id -> score of each class, of a classifier of whole videos; used if ``inference`` says so.

    Returns:
        DataFrame (video_id, label, start_s, end_s, score), by video, best first.

    Raises:
        DataError: features have another dimension than in training, or are not finite, or a duration is missing; the message names
            the video.
        FileNotFoundError: there is no such checkpoint.
        TypeError, ValueError: another argument is wrong.
    """
    if not (is_finite_number(feature_fps) and feature_fps > 0):
        raise ValueError(f"feature_fps must be a positive number of feature steps per second, got {feature_fps!r}")
    if not isinstance(model_or_checkpoint, (TrainedDetector, str, Path)):
        raise TypeError(f"expected a TrainedDetector or the path of one, got {type(model_or_checkpoint).__name__} (see its .trained?)")
    if not isinstance(features, Mapping):
        raise TypeError(f"features must be a mapping of video id -> array [T, D], got {type(features).__name__}")
    if not isinstance(durations_s, (Mapping, pd.Series, NoneType)):
        raise TypeError(f"durations_s must be a mapping of video id -> seconds, or None, got {type(durations_s).__name__}")
    if not isinstance(inference, (InferenceConfig, NoneType)):
        raise TypeError(f"inference must be an InferenceConfig, or None for that of training, got {type(inference).__name__}")
    trained = model_or_checkpoint if isinstance(model_or_checkpoint, TrainedDetector) else TrainedDetector.load(model_or_checkpoint)
    if not len(features):
        return pd.DataFrame({name: [] for name in COLUMNS})
    dim = len(trained.normalization.mean)
    videos = []
    for video_id in features:
        array = np.asarray(features[video_id], dtype=np.float32)
        if array.ndim != 2 or len(array) == 0 or array.shape[1] != dim:
            raise DataError(f"{video_id}: the detector was trained on features [T, {dim}], got shape {array.shape}")
        if not np.isfinite(array).all():
            raise DataError(f"{video_id}: features must be finite, got NaN or infinity")
        duration = len(array) / feature_fps if durations_s is None else durations_s.get(video_id)
        if duration is None or not (is_finite_number(duration) and duration > 0):
            raise DataError(f"{video_id}: durations_s must give it a positive number of seconds, got {duration!r}")
        videos.append(pooled(Video(video_id, array, feature_fps, float(duration)), trained.protocol.pool))
    device = next(trained.detector.parameters()).device
    clips = make_clips(videos, trained.protocol, trained.normalization).to(device)
    return detect_clips(
        trained.detector,
        clips,
        [v.video_id for v in videos],
        [v.duration_s for v in videos],
        trained.classes,
        inference or trained.inference,
        trained.protocol,
        external_scores,
    )
