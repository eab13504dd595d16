"""Detectors by name. A new detector is one file in this folder and one line in ``_DETECTORS``."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nontarget.config import check_choice, from_mapping
from nontarget.detectors.actionformer import ACTIONFORMER_PRESETS, ActionFormer, ActionFormerConfig
from nontarget.detectors.base import Detector
from nontarget.detectors.spot import SPOT_PRESETS, Spot, SpotConfig

# name -> detector, its config, its presets
_DETECTORS: dict[str, tuple[type[Detector], type[Any], Mapping[str, Any]]] = {
    "spot": (Spot, SpotConfig, SPOT_PRESETS),
    "actionformer": (ActionFormer, ActionFormerConfig, ACTIONFORMER_PRESETS),
}


def available() -> tuple[str, ...]:
    """Names of all detectors."""
    return tuple(_DETECTORS)


def detector_settings(name: str, preset: str, **changes: Any) -> dict[str, Any]:
    """All settings of a detector's preset, with changes.

    Raises:
        ValueError: no such detector, preset or setting; the message names the nearest known one.
    """
    _, config, presets = _lookup(name)
    check_choice(f"preset of {name}", preset, presets)
    return asdict(from_mapping(config, asdict(presets[preset]) | changes, f"detector {name!r}"))


def build_detector(name: str, feature_dim: int, num_classes: int, settings: Mapping[str, Any]) -> Detector:
    """A detector with fresh weights, from the settings that :func:`detector_settings` gives."""
    detector, config, _ = _lookup(name)
    return detector(feature_dim, num_classes, from_mapping(config, settings, f"detector {name!r}"))


def detector_version(name: str) -> int:
    """Version of a detector's numbers, see ``Detector.version``."""
    return _lookup(name)[0].version


def check_abilities(name: str, needs: frozenset[str], who: str) -> None:
    """Raise ValueError if a detector lacks an ability that ``who`` needs."""
    missing = needs - _lookup(name)[0].abilities
    if missing:
        able = [other for other, (detector, _, _) in _DETECTORS.items() if needs <= detector.abilities]
        raise ValueError(f"{who} needs the abilities {sorted(needs)}, and detector {name!r} lacks {sorted(missing)}; it runs on {able}")


def _lookup(name: str) -> tuple[type[Detector], type[Any], Mapping[str, Any]]:
    check_choice("detector", name, _DETECTORS)
    return _DETECTORS[name]
