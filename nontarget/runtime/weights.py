"""Tensors on disk: one safetensors file for each set of weights, never a pickle."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nontarget.runtime.digests import DIGEST, check_tensors, tensors_digest
from nontarget.runtime.files import atomic_write
from nontarget.runtime.readers import DataError, foreign_errors, read_tensors


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
        DataError: the file is not in the safetensors format, it is cut off, it has no digest, or it was changed after it was written.
    """
    tensors, header = read_tensors(path)
    if DIGEST in header or not unsigned:
        with foreign_errors(path, "not what was written"):
            check_tensors(tensors, header)
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = tensor
    return parts, header


def check_state(path: str | Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Compare tensors of a file with those of a module, which ``load_state_dict`` would convert to another type in silence.

    Raises:
        DataError: names, shapes or types differ; ``path``, where the tensors come from, begins the message.
    """
    own = module.state_dict()
    different = sorted(own.keys() ^ state.keys())
    if different:
        raise DataError(f"{path}: the detector's tensors have other names: {', '.join(different[:5])} is on one side alone")
    for name, tensor in own.items():
        stored = state[name]
        if (stored.shape, stored.dtype) != (tensor.shape, tensor.dtype):
            raise DataError(
                f"{path}: {name} must have shape {tuple(tensor.shape)} and type {tensor.dtype}, got {tuple(stored.shape)}, {stored.dtype}"
            )


def optimizer_state(optimizer: torch.optim.Optimizer, stored: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """State of each parameter, from tensors called ``index.name``.

    Raises:
        ValueError: a tensor has another name, or another shape than its parameter.
    """
    shapes = [parameter.shape for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.items():
        index, name = key.split(".")
        if not 0 <= int(index) < len(shapes) or (tensor.ndim and tensor.shape != shapes[int(index)]):
            raise ValueError(f"optimizer.{key} has shape {tuple(tensor.shape)}, and no parameter of that number has")
        state.setdefault(int(index), {})[name] = tensor
    return state
