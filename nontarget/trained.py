"""A trained detector with everything that it needs to detect on new features; saved as safetensors, never as a pickle."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from nontarget.config import InferenceConfig, Protocol, from_mapping, is_finite_number
from nontarget.data import DataError, Normalization
from nontarget.detectors import build_detector
from nontarget.detectors.base import Detector
from nontarget.protocols import protocol_of, settings_of
from nontarget.runtime.digests import DIGEST
from nontarget.runtime.readers import foreign_errors, parse_json, quoted
from nontarget.runtime.weights import check_state, read_weights, write_weights

FORMAT = "nontarget detector 1"
LARGEST_SETTING = 4096
"""Of the whole numbers among a detector's settings, such as widths and numbers of layers."""


@dataclass(frozen=True)
class TrainedDetector:
    """A detector, its classes, and how features reach it."""

    detector: Detector
    name: str
    """Name of the detector in :mod:`nontarget.detectors`."""
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    normalization: Normalization
    protocol: Protocol
    inference: InferenceConfig
    feature_fps: float | None = None
    """Feature steps per second in training, before pooling; None: not known, or another one in each video."""

    def save(self, path: str | Path) -> None:
        """Write one safetensors file: weights and normalisation as tensors, all else as JSON in its header."""
        about = {
            "name": self.name,
            "settings": dict(self.settings),
            "classes": self.classes,
            "protocol": settings_of(self.protocol),
            "inference": asdict(self.inference),
            "feature_fps": self.feature_fps,
        }
        parts = {
            "detector": self.detector.state_dict(),
            "normalization": {"mean": self.normalization.mean, "std": self.normalization.std},
        }
        write_weights(path, parts, {"format": FORMAT, "about": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            DataError: it is not a checkpoint of this library, or it is cut off or was changed after it was saved.
        """
        path = Path(path)
        try:
            parts, header = read_weights(path, unsigned=True)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: no such checkpoint") from None
        except DataError as error:
            raise DataError(f"{error}; take a copy that is whole, or train and save it again") from None
        if header.get("format") != FORMAT:
            raise DataError(f"{path}: expected the format {FORMAT!r}, got {header.get('format')!r}")
        if DIGEST not in header:
            warnings.warn(f"{path}: an earlier version saved it, without a digest; whether it was changed since is not known", stacklevel=2)
        about = parse_json(header.get("about", ""), f"{path}: about")
        with foreign_errors(path, "not a checkpoint of this library"):
            return cls._of(path, parts, about, device)

    @classmethod
    def _of(cls, path: Path, parts: Mapping[str, Mapping[str, Tensor]], about: Mapping[str, Any], device: torch.device | str) -> Self:
        normalization, classes, settings = Normalization(**parts["normalization"]), about["classes"], about["settings"]
        mean, std = normalization.mean, normalization.std
        if mean.ndim != 1 or mean.shape != std.shape or {mean.dtype, std.dtype} != {torch.float32}:
            raise DataError(f"{path}: mean and std of the features must be [D] of float32, got {tuple(mean.shape)} and {tuple(std.shape)}")
        if not (isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)):
            raise DataError(f"{path}: 'classes' must be a list of names, got {quoted(classes)}")
        large = {name: value for name, value in settings.items() if isinstance(value, int) and value > LARGEST_SETTING}
        if large:
            raise DataError(f"{path}: settings of a detector are at most {LARGEST_SETTING}, got {large}")
        fps = about.get("feature_fps")
        if fps is not None and not (is_finite_number(fps) and fps > 0):
            raise DataError(f"{path}: feature_fps must be a positive number or null, got {quoted(fps)}")
        with torch.device("meta"):  # a detector of any size takes no memory there: its shapes are compared with what the file holds
            check_state(path, build_detector(about["name"], len(mean), len(classes), settings), parts["detector"])
        detector = build_detector(about["name"], len(mean), len(classes), settings)
        detector.load_state_dict(parts["detector"])
        return cls(
            detector.to(device).eval(),
            about["name"],
            settings,
            tuple(classes),
            normalization,
            protocol_of(about["protocol"], where=f"{path}: protocol"),
            from_mapping(InferenceConfig, about["inference"], f"{path}: inference"),
            fps,
        )
