"""A trained detector with everything that it needs to detect on new features; saved as safetensors, never as a pickle."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch

from nontarget.config import InferenceConfig, Protocol, from_mapping
from nontarget.data import DataError, Normalization
from nontarget.detectors import build_detector
from nontarget.detectors.base import Detector
from nontarget.runtime.digests import DIGEST
from nontarget.runtime.weights import read_weights, write_weights

FORMAT = "nontarget detector 1"


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
            "protocol": asdict(self.protocol),
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
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such checkpoint")
        try:
            parts, header = read_weights(path, unsigned=True)
        except ValueError as error:
            raise DataError(f"{error}; take a copy that is whole, or train and save it again") from None
        if header.get("format") != FORMAT:
            raise DataError(f"{path}: expected the format {FORMAT!r}, got {header.get('format')!r}")
        if DIGEST not in header:
            warnings.warn(f"{path}: an earlier version saved it, without a digest; whether it was changed since is not known", stacklevel=2)
        about = json.loads(header["about"])
        normalization = Normalization(**parts["normalization"])
        detector = build_detector(about["name"], len(normalization.mean), len(about["classes"]), about["settings"])
        detector.load_state_dict(parts["detector"])
        return cls(
            detector.to(device).eval(),
            about["name"],
            about["settings"],
            tuple(about["classes"]),
            normalization,
            from_mapping(Protocol, about["protocol"], f"{path}: protocol"),
            from_mapping(InferenceConfig, about["inference"], f"{path}: inference"),
            about.get("feature_fps"),
        )
