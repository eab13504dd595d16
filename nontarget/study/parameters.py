"""The parameters of notebooks: what each may be. A wrong one is refused before anything is computed."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from nontarget import rules
from nontarget.config import TRAINING_PRESETS, check_choice, check_number, check_whole, is_whole, plain
from nontarget.data import available, book_datasets
from nontarget.data.simulate import TWINS
from nontarget.protocols import get_protocol
from nontarget.runtime.devices import resolve_device
from nontarget.study.choices import read_choices
from nontarget.study.systems import TABLES, chosen_systems, seeds_of
from nontarget.study.tables import Source

_ALL = "all"


def check_parameters(**parameters: Any) -> None:
    """Refuse parameters of a notebook that cannot be meant; a name that is nearly a known one is answered with that.

    ``twin`` is a data set that must be a simulated one; all other names are those of the notebooks' parameters.

    Raises:
        ValueError: a parameter is not what it may be; the message names it, its value, and what would be accepted.
        FileNotFoundError: a folder is not there.
    """
    for name, value in parameters.items():
        check_choice("parameter", name, _CHECKS)
        _CHECKS[name](name, plain(value))
    if "systems" in parameters:
        chosen_systems(parameters["systems"], parameters["table"])
    if "probs" in parameters and len(parameters["probs"]) != len(parameters["classes"]):
        raise ValueError(f"probs must be one for each of the {len(parameters['classes'])} classes, got {len(parameters['probs'])}")


def _dataset(name: str, value: Any) -> None:
    check_choice(name, value, dict.fromkeys((*available(), *book_datasets(), _ALL)))


def _choice(*choices: str) -> Callable[[str, Any], None]:
    return lambda name, value: check_choice(name, value, choices)


def _whole(least: int) -> Callable[[str, Any], None]:
    return lambda name, value: check_whole(name, value, least)


def _number(suits: Callable[[float], bool], accepted: str) -> Callable[[str, Any], None]:
    return lambda name, value: check_number(name, value, suits, accepted)


def _each(check: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    """A check of a list, each of whose entries is checked."""

    def checked(name: str, value: Any) -> None:
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError(f"{name} must be a list of at least one, got {value!r}")
        for entry in value:
            check(f"entry of {name}", entry)
        _distinct(name, value)

    return checked


def _or(alternative: Any, check: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    return lambda name, value: None if (value is None and alternative is None) or value == alternative else check(name, value)


def _distinct(name: str, values: Sequence[Any]) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must name each once, got {values!r}")


def _seeds(name: str, value: Any) -> None:
    if isinstance(value, (list, tuple)):
        _each(_whole(0))(name, value)
    elif not is_whole(value) or value < 1:
        raise ValueError(f"{name} must be a number of seeds, at least 1, or a list of them, got {value!r}")
    seeds_of("baseline", value)


def _folder(name: str, value: Any) -> None:
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise ValueError(f"{name} must be the path of a folder, or None, got {value!r}")
    if not Path(value).expanduser().is_dir():
        raise FileNotFoundError(f"{name}: {str(value)!r} does not exist, or is no folder")


def _device(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be 'auto', 'cpu', 'cuda' or 'cuda:1', got {value!r}")
    resolve_device(value)


def _name(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a name, got {value!r}")


def _width(name: str, value: Any) -> None:
    if not (isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?(%|px|em|rem|vw|pt|cm)", value)):
        raise ValueError(f"{name} must be a width of CSS, such as '100%' or '600px', got {value!r}")


def _yes_or_no(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def _probabilities(name: str, value: Any) -> None:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name} must be a list of probabilities, got {value!r}")
    for entry in value:
        _number(lambda p: 0 <= p <= 1, "in [0, 1]")(f"entry of {name}", entry)
    if abs(sum(value) - 1) > 1e-6:
        raise ValueError(f"{name} must sum to 1, got {sum(value):g}")


def _pairs(name: str, value: Any) -> None:
    check_whole(name, value, 2)
    if value % 2:
        raise ValueError(f"{name} must be even, since classes come in pairs, got {value!r}")


def _question(name: str, value: Any) -> None:
    questions: Iterable[str] = read_choices()["question"].unique()
    check_choice(name, value, questions)


def _protocol(name: str, value: Any) -> None:
    try:
        get_protocol(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


_RATIO = _number(lambda ratio: 0 < ratio <= 1, "a share of labelled videos in (0, 1]")
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "checkpoint": _or(None, _name),
    "classes": _each(_name),
    "data": _or(None, _folder),
    "dataset": _dataset,
    "datasets": _each(_dataset),
    "detector_steps": _whole(1),
    "device": _device,
    "dim": _whole(1),
    "each": _whole(1),
    "epochs": _whole(1),
    "features": _or(None, _folder),
    "fine": _yes_or_no,
    "folds": _whole(2),
    "min_tiou": _number(lambda tiou: 0 < tiou <= 1, "in (0, 1]"),
    "num_classes": _pairs,
    "num_labeled": _whole(1),
    "num_unlabeled": _whole(1),
    "positive_ratio": _number(lambda ratio: ratio >= 0, "a number of at least 0"),
    "preset": _choice(*TRAINING_PRESETS),
    "protocol": _or(None, _protocol),
    "probs": _probabilities,
    "questions": _or(None, _each(_question)),
    "ratio": _or(None, _or(_ALL, _RATIO)),
    "ratios": _each(_RATIO),
    "rule": lambda name, value: check_choice(name, value, rules.available()),
    "seed": _whole(0),
    "seeds": _seeds,
    "shown": _whole(1),
    "source": _choice(*get_args(Source)),
    "spread": _number(lambda spread: spread > 0, "a number above 0"),
    "steps": _whole(2),
    "systems": lambda name, value: None,  # with its table
    "table": _choice(*TABLES),
    "threshold": _number(lambda threshold: 0 <= threshold <= 1, "in [0, 1]"),
    "twin": _choice(*TWINS),
    "width": _width,
}
