"""Detectors by name. A new detector is one file with one class, decorated with :func:`register`."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

from nontarget.config import check_choice, from_mapping
from nontarget.detectors.actionformer import ActionFormer
from nontarget.detectors.base import Detector
from nontarget.detectors.spot import Spot

D = TypeVar("D", bound=type[Detector])

_DETECTORS: dict[str, type[Detector]] = {detector.name: detector for detector in (Spot, ActionFormer)}


def available() -> tuple[str, ...]:
    """Names of all detectors."""
    return tuple(_DETECTORS)


def register(detector: D) -> D:
    """Make a detector of your own known by its name, for this process; a class decorator. One of the same name is replaced.

    Raises:
        TypeError: it is no class that a detector can be.
        ValueError: the name is that of a detector of this library.
    """
    if lacks := _what_it_lacks(detector):
        raise TypeError(
            "a detector is a subclass of Detector with a name (a string), a version, presets (configs by preset) and the abstract "
            f"methods; got {getattr(detector, '__qualname__', repr(detector))}: {lacks}"
        )
    present = _DETECTORS.get(detector.name)
    if present is not None and present.__module__.startswith(f"{__name__}."):
        raise ValueError(f"there is a detector {detector.name!r} already, {present.__module__}.{present.__qualname__}; choose another name")
    _DETECTORS[detector.name] = detector
    return detector


def detector_class(name: str) -> type[Detector]:
    """The class of a detector.

    Raises:
        ValueError: no such detector; the message names the nearest known one.
    """
    check_choice("detector", name, _DETECTORS)
    return _DETECTORS[name]


def detector_settings(name: str, preset: str, **changes: Any) -> dict[str, Any]:
    """All settings of a detector's preset, with changes.

    Raises:
        ValueError: no such detector, preset or setting; the message names the nearest known one.
    """
    presets = detector_class(name).presets
    check_choice(f"preset of {name}", preset, presets)
    return asdict(from_mapping(type(presets[preset]), asdict(presets[preset]) | changes, f"detector {name!r}"))


def build_detector(name: str, feature_dim: int, num_classes: int, settings: Mapping[str, Any]) -> Detector:
    """A detector with fresh weights, from the settings that :func:`detector_settings` gives."""
    detector: Any = detector_class(name)
    config = type(next(iter(detector.presets.values())))
    built: Detector = detector(feature_dim, num_classes, from_mapping(config, settings, f"detector {name!r}"))
    return built


def check_abilities(name: str, needs: frozenset[str], who: str) -> None:
    """Raise ValueError if a detector lacks an ability that ``who`` needs."""
    missing = needs - detector_class(name).abilities
    if missing:
        able = [other for other, detector in _DETECTORS.items() if needs <= detector.abilities]
        raise ValueError(f"{who} needs the abilities {sorted(needs)}, and detector {name!r} lacks {sorted(missing)}; it runs on {able}")


def _what_it_lacks(detector: Any) -> str:
    """Why a class cannot be a detector; empty if it can."""
    if not (isinstance(detector, type) and issubclass(detector, Detector)):
        return "that is no such class"
    if not isinstance(getattr(detector, "name", None), str):
        return "it has no name"
    if not isinstance(getattr(detector, "version", None), int):
        return "it has no version (a whole number)"
    if detector.__abstractmethods__:
        return f"it does not define {', '.join(sorted(detector.__abstractmethods__))}"
    configs = list(getattr(detector, "presets", {}).values())
    if not configs or len({type(c) for c in configs}) > 1 or not is_dataclass(configs[0]):
        return f"its presets must be a mapping of preset -> config, dataclasses of one class; got {getattr(detector, 'presets', None)!r}"
    return ""
