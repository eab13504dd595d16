"""Pickles of numpy arrays and torch tensors, read without running what else a pickle may hold."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from nontarget.data import DataError

ADVICE = (
    "this is a pickle, and reading a pickle can run any program that is hidden in it. If you trust where it comes from, give "
    "allow_pickle=True: it is then read by an unpickler that admits numpy arrays and torch tensors and nothing else"
)
_TORCH = ("_rebuild_tensor", "_rebuild_tensor_v2")


def check_allowed(path: Path, allow_pickle: bool) -> None:
    """Raise a DataError with advice unless pickles are allowed."""
    if not allow_pickle:
        raise DataError(f"{path}: {ADVICE}")


def read_pickle(path: Path, *, allow_pickle: bool) -> Any:
    """A pickle, or a file of ``torch.save``, of plain containers, numpy arrays and torch tensors; tensors come back as arrays.

    Raises:
        DataError: pickles are not allowed, or there is something else in it; the message names what.
    """
    check_allowed(path, allow_pickle)
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(0)
        if start.startswith(b"PK\x03\x04") or _is_legacy_torch(start):
            return _plain(_torch_load(path, file))
        return _plain(load_restricted(path, file))


def read_object_array(path: Path, *, allow_pickle: bool) -> Any:
    """An ``.npy`` file that holds an array of Python objects; Python 2's strings are taken as Latin-1.

    Raises:
        DataError: see :func:`read_pickle`.
    """
    check_allowed(path, allow_pickle)
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, *_ = read_header(file)
        array = load_restricted(path, file)
    return np.asarray(array, dtype=object).reshape(shape)


def load_restricted(path: Path, file: IO[bytes]) -> Any:
    """Unpickle, admitting numpy arrays and torch tensors alone.

    Raises:
        DataError: something else is in it, or it is damaged.
    """
    try:
        return _Unpickler(file, encoding="latin1").load()
    except _Refused as error:
        raise DataError(f"{path}: the pickle asks for {error}, which is refused; only numpy arrays and torch tensors are read") from None
    except Exception as error:  # damaged pickles raise nearly anything
        raise DataError(f"{path}: not a readable pickle ({type(error).__name__}: {error})") from None


class _Refused(Exception):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        constructor = _admitted().get((module.replace("numpy._core", "numpy.core"), name))
        if constructor is None:
            raise _Refused(f"{module}.{name}")
        return constructor


def _admitted() -> dict[tuple[str, str], Callable[..., Any]]:
    numpy_names = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,
    }
    torch_names = {("torch._utils", name): getattr(torch._utils, name) for name in _TORCH}
    return {
        **numpy_names,
        **torch_names,
        ("torch.storage", "_load_from_bytes"): _load_from_bytes,
        ("collections", "OrderedDict"): OrderedDict,
    }


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> Any:
    if kind is not np.ndarray or tuple(shape) != (0,):
        raise _Refused(f"an array of type {kind!r}, shape {shape!r}")
    return np.ndarray(shape, dtype="b")  # filled by its __setstate__


def _scalar(dtype: Any, data: Any) -> Any:
    if dtype.hasobject:
        raise _Refused("a scalar of Python objects")
    return np.frombuffer(_latin1(data) if isinstance(data, str) else data, dtype=dtype)[0]


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: str) -> Any:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How pickles of protocol 2 write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"an encoding to {encoding!r}")
    return text.encode("latin1")


def _load_from_bytes(data: bytes) -> Any:
    """The bytes of a tensor's storage are a file of ``torch.save``: torch's own unpickler would run what is in it."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _is_legacy_torch(start: bytes) -> bool:
    """Files of ``torch.save`` before 1.6 begin with a pickled magic number."""
    return b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19" in start


def _torch_load(path: Path, file: IO[bytes]) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: only tensors and plain containers are read from a torch file ({reason})") from None


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value
