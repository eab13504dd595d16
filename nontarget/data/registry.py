"""Data sets by name: simulated twins, folders under ``NONTARGET_DATA``, and any feature folder of the user."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nontarget.config import Protocol, check_choice, from_mapping
from nontarget.data.defaults import defaults_of, is_registered, recognised
from nontarget.data.folder import folder_checksum, folder_settings, is_feature_folder, read_feature_folder
from nontarget.data.simulate import TWINS, TwinConfig, simulate_twin, twin_checksum
from nontarget.data.splits import held_out_part
from nontarget.data.videos import DataError, Dataset
from nontarget.results import NAMELESS

DATA_VARIABLE = "NONTARGET_DATA"


def available(root: str | Path | None = None) -> tuple[str, ...]:
    """Names that :func:`load_dataset` accepts here: the twins, and the feature folders under ``root`` (default: NONTARGET_DATA)."""
    folder = _data_root(root)
    folders = sorted(p.name for p in folder.iterdir() if is_feature_folder(p)) if folder and folder.is_dir() else []
    return tuple(dict.fromkeys((*TWINS, *folders)))


def load_dataset(
    name: str | None = None,
    preset: str = "small",
    features: str | Path | None = None,
    root: str | Path | None = None,
    twin_settings: Mapping[str, object] | None = None,
    held_out: bool = False,
    protocol_settings: Mapping[str, object] | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        name: a twin (``thumos14-sim``, ``activitynet-sim``) or the name of a feature folder under ``root``.
        preset: of a twin, ``small`` or ``full``; feature folders have no presets.
        features: a feature folder to read instead of looking up ``name``; the data set is named after it, or, where its content is that
            of a known one, has that one's name.
        root: folder that holds feature folders. Default: the environment variable NONTARGET_DATA.
        twin_settings: changed fields of the twin's :class:`nontarget.data.simulate.TwinConfig`.
        held_out: development data: of a folder see :func:`nontarget.data.splits.held_out_part`; of a twin the world of seed
            1000 above its own.
        protocol_settings: ``name``, one of :mod:`nontarget.protocols`, and changed fields of :class:`nontarget.config.Protocol`.

    Raises:
        ValueError: no such data set; the message names the nearest known one and says where was looked. Or ``twin_settings`` for a folder.
        FileNotFoundError: see :func:`read_feature_folder`.
        DataError: see there; also a feature folder under ``root`` that has the name of a twin.
    """
    folder = _given_folder(features)
    if folder is None and name in TWINS:
        _check_name_is_free(name, root)
        twin = simulate_twin(name, _twin_config(name, preset, twin_settings, held_out))
        return twin.with_protocol(**(protocol_settings or {}))
    folder = folder or _folder_of(name, root)
    _refuse_twin_settings(folder, twin_settings)
    dataset_name = _name_of(folder, folder_checksum(folder))
    dataset = read_feature_folder(folder, dataset_name, default=defaults_of(dataset_name).protocol, protocol_settings=protocol_settings)
    return held_out_part(dataset) if held_out else dataset


def _given_folder(features: str | Path | None) -> Path | None:
    """The feature folder that was named; None if none was."""
    if features is None:
        return None
    if not isinstance(features, (str, Path)) or not str(features).strip():
        raise ValueError(f"features must be the path of a feature folder, or None for a data set's name, got {features!r}")
    folder = Path(features).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: does not exist, or is no folder (features={str(features)!r})")
    return folder


def dataset_identity(
    name: str,
    preset: str = "small",
    features: str | Path | None = None,
    twin_settings: Mapping[str, object] | None = None,
    held_out: bool = False,
) -> tuple[dict[str, object], Protocol]:
    """What identifies a data set (name, checksum, whether it is simulated) and its protocol, without loading it.

    The checksum of a known data set whose folder is not at hand is None. Errors as for :func:`load_dataset`.
    """
    folder = _given_folder(features)
    if folder is None and name in TWINS:
        _check_name_is_free(name, None)
        config = _twin_config(name, preset, twin_settings, held_out)
        return {"name": str(name), "checksum": twin_checksum(config), "simulated": True}, config.protocol
    try:
        folder = folder or _folder_of(name, None)
    except (ValueError, FileNotFoundError):
        protocol = defaults_of(name).protocol
        if protocol is None:
            raise
        return {"name": str(name), "checksum": None, "simulated": False}, protocol
    _refuse_twin_settings(folder, twin_settings)
    checksum = folder_checksum(folder)
    dataset_name = _name_of(folder, checksum)
    protocol, simulated = folder_settings(folder, defaults_of(dataset_name).protocol)
    identity: dict[str, object] = {"name": dataset_name, "checksum": checksum, "simulated": simulated}
    return identity if recognised(checksum) else identity | {NAMELESS: True}, protocol


def _refuse_twin_settings(folder: Path, settings: Mapping[str, object] | None) -> None:
    if settings:
        raise ValueError(f"twin_settings {dict(settings)!r} change a simulated twin ({', '.join(TWINS)}), and {folder} is a feature folder")


def _name_of(folder: Path, checksum: str) -> str:
    """The name of the data set in a folder: it is told by its content, and by the folder's name where nothing is known of that."""
    name = recognised(checksum)
    if name is None:
        path_name, own = folder.absolute().name, folder.resolve().name
        name = path_name if is_registered(path_name) else own
        if defaults_of(name).checksum is not None:
            name = f"{name}-{checksum[:8]}"
            warnings.warn(
                f"{folder}: has the name of a known data set and another content; it is the data set {name!r}, whose protocol and budget "
                "are the common defaults",
                stacklevel=4,
            )
    return name


def _check_name_is_free(twin: str, root: str | Path | None) -> None:
    """Refuse a feature folder that a twin would shadow."""
    folder = _data_root(root)
    if folder and is_feature_folder(folder / twin):
        raise DataError(f"{folder / twin}: a feature folder must not have the name of a twin ({', '.join(TWINS)}); rename it")


def _twin_config(name: str, preset: str, settings: Mapping[str, object] | None, held_out: bool) -> TwinConfig:
    check_choice("preset", preset, TWINS[name])
    plain = TWINS[name][preset]
    config = from_mapping(TwinConfig, vars(plain) | dict(settings or {}), f"settings of {name}")
    return replace(config, seed=config.seed + 1000) if held_out else config


def _folder_of(name: str | None, root: str | Path | None) -> Path:
    if name is None:
        raise ValueError("load_dataset needs the name of a data set, or features=FOLDER")
    folder = _data_root(root)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"{folder}: the folder of data sets ({DATA_VARIABLE}) does not exist")
    try:
        check_choice("data set", name, available(root))
    except ValueError as error:
        hint = f"feature folders were looked for in {folder}" if folder else f"{DATA_VARIABLE}=FOLDER says where there are feature folders"
        raise ValueError(f"{error}; {hint}") from None
    assert folder is not None
    return folder / name


def _data_root(root: str | Path | None) -> Path | None:
    if root is not None and not str(root).strip():
        raise ValueError(f"root must be the folder of data sets, or None for that of {DATA_VARIABLE}, got {root!r}")
    chosen = root or os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else None
