"""The one reader for JSON: UTF-8 with or without a byte order mark, each key once, finite numbers, bounded size and depth."""

import json
import math
import re
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from nontarget.runtime.readers.files import TEXT_LIMIT, DataError, decoded, position, read_bytes, shortened

MAX_DEPTH = 50
"""Lists and objects within each other; the files of this library need six."""
_NAMED = 10
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _RefusedNumberError(Exception):
    """A number that no file of this library may hold; the argument is how it is written."""


def read_json(path: str | PathLike[str], limit: int = TEXT_LIMIT, inside: Path | None = None) -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
        limit: most bytes that it may have.
        inside: the folder that it must lie in, also where it is a link.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no JSON in UTF-8, lists a key twice in one object, holds a number that is not finite or a whole number of more
            than 64 bits, is nested deeper than 50 levels, or is larger than ``limit``. The message names the file and the place.
    """
    return parse_json(read_bytes(path, limit, inside), path)


def parse_json(data: bytes | str, place: object) -> Any:
    """The same of JSON that lies in memory; ``place`` says in messages where it comes from."""
    text = data if isinstance(data, str) else decoded(data, place)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            twice = sorted(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            more = f" and {len(twice) - _NAMED} more" if len(twice) > _NAMED else ""
            raise DataError(f"{place}: the id(s) {shortened(twice[:_NAMED], 500)}{more} are listed more than once in one object")
        return mapping

    try:
        content = json.loads(text, object_pairs_hook=unique, parse_float=_finite, parse_int=_whole, parse_constant=_refuse)
        if _SURROGATE.search(text):  # half a surrogate pair is no text: printing or writing it would fail later
            json.dumps(content, ensure_ascii=False).encode()
    except _RefusedNumberError as error:
        (number,) = error.args
        where = position(text, _offset_of(text, number))
        raise DataError(f"{place}, {where}: numbers must be finite and fit 64 bits, got {shortened(number, 40)}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not a JSON file ({shortened(error)})") from None
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: a text in it holds half of a surrogate pair, {error.object[error.start : error.end]!r}") from None
    except RecursionError:
        raise DataError(_too_deep(place)) from None
    _check_depth(content, place)
    return content


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 20 else _refuse(text)
    return value if -(2**63) <= value < 2**63 else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise _RefusedNumberError(text)


def _offset_of(text: str, number: str) -> int:
    """Where a number first stands outside of strings."""
    part = re.compile(rf'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\w.+-])({re.escape(number)})(?![\w.])', re.DOTALL)
    return next((match.start() for match in part.finditer(text) if match.group(1)), 0)


def _check_depth(content: Any, place: object) -> None:
    level, depth = [content], 0
    while level := [x for x in level if isinstance(x, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise DataError(_too_deep(place))
        level = [x for parent in level for x in (parent.values() if isinstance(parent, dict) else parent)]


def _too_deep(place: object) -> str:
    return f"{place}: lists and objects are nested deeper than {MAX_DEPTH} levels"
