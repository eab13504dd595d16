import pytest
import torch

from nontarget.runtime.weights import read_weights, write_weights


def test_what_is_written_is_read(tmp_path):
    parts = {"model": {"layer.weight": torch.arange(6.0).reshape(2, 3).T, "bias": torch.ones(2)}, "optimizer": {"0.step": torch.tensor(3)}}
    write_weights(tmp_path / "w.safetensors", parts, {"about": "text"})
    found, header = read_weights(tmp_path / "w.safetensors")
    assert header == {"about": "text", "digest": header["digest"]}
    assert {part: list(named) for part, named in found.items()} == {"model": ["bias", "layer.weight"], "optimizer": ["0.step"]}
    for part, named in parts.items():
        for name, tensor in named.items():
            assert torch.equal(found[part][name], tensor)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    write_weights(path, {"model": {"bias": torch.ones(100)}}, {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"w\.safetensors: not a readable safetensors file"):
        read_weights(path)
