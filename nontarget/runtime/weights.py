"""Tensors on disk: one safetensors file for each set of weights, never a pickle."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nontarget.runtime.digests import DIGEST, check_tensors, tensors_digest
from nontarget.runtime.files import atomic_write


def write_weights(path: str | Path, parts: Mapping[str, Mapping[str, Tensor]], header: Mapping[str, str]) -> None:
    """Write tensors with a digest of their content, whole or not at all.

    Args:
        path: of the file.
        parts: name of a part (no dot) -> name -> tensor; in the file a tensor is called ``part.name``.
        header: text that stands beside the tensors.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = {f"{part}.{name}": tensor.contiguous() for part, named in parts.items() for name, tensor in named.items()}
    with atomic_write(path) as file:
        file.write(save(tensors, {**header, DIGEST: tensors_digest(tensors, header)}))


def read_weights(path: str | Path, *, unsigned: bool = False) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    """Read what :func:`write_weights` wrote: the parts, on the CPU, and the header.

    Args:
        path: of the file.
        unsigned: read a file without a digest, too, as earlier versions wrote it; its header then has no ``digest``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not in the safetensors format, it is cut off, it has no digest, or it was changed after it was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in list(file.keys())}
            header = dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error})") from None
    if DIGEST in header or not unsigned:
        try:
            check_tensors(tensors, header)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = tensor
    return parts, header
