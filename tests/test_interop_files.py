"""Checkpoint files: what they hold comes back as it was, and what is no checkpoint is refused with advice."""

import pickle

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from jax_tconv import interop


def test_safetensors_needs_no_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    tensors = {"a": np.arange(6.0).reshape(2, 3), "b": np.arange(3).astype(ml_dtypes.bfloat16), "n": np.array(7)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors")
    read = interop.read(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        np.testing.assert_array_equal(read[name], tensor)
    (tmp_path / "x.pt").write_bytes(b"anything")
    with pytest.raises(
        ImportError, match=r"reading x.pt needs torch; install it with: pip install 'jax_tconv\[torch\]'"
    ):
        interop.read(tmp_path / "x.pt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_torch_files_in_both_formats(tmp_path, suffix, zipped):
    torch = pytest.importorskip("torch")
    path = tmp_path / f"x.{suffix}"
    dtypes = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.int64, torch.bool]
    tensors = {str(dtype): torch.arange(4).to(dtype).reshape(2, 2).T for dtype in dtypes}
    tensors["parameter"] = torch.nn.Parameter(torch.ones(3))
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    read = interop.read(path)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert name in (f"torch.{read[name].dtype.name}", "parameter")
        wanted = tensor.detach().to(torch.complex128).numpy()
        np.testing.assert_array_equal(read[name].astype("complex128"), wanted)


def test_an_entry_of_many(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {"a": torch.ones(2)}, "ema": {"a": torch.zeros(2)}, "epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"state_dict \(dict\).*epoch \(int\).*entry='state_dict' or entry='ema'"):
        interop.read(tmp_path / "x.pt")
    assert interop.read(tmp_path / "x.pt", entry="ema")["a"].tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"entry must name a dict .*\['state_dict', 'ema'\]; got 'model'"):
        interop.read(tmp_path / "x.pt", entry="model")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        interop.read(tmp_path / "none.pt")
    with pytest.raises(ValueError, match="is a directory"):
        interop.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04 cut short", pickle.dumps([1, 2], protocol=2)])
def test_files_that_are_no_checkpoint(tmp_path, content):
    pytest.importorskip("torch")
    for name in ("x.safetensors", "x.pt"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} (is not a|holds no)"):
            interop.read(tmp_path / name)


def test_truncated_checkpoints(tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        torch.save({"a": torch.ones(100)}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
        content = (tmp_path / "x.pt").read_bytes()
        for tenths in range(1, 10):
            (tmp_path / "x.pt").write_bytes(content[: len(content) * tenths // 10])
            with pytest.raises(ValueError, match="x.pt is not a checkpoint"):
                interop.read(tmp_path / "x.pt")


class RunsCode:
    """A pickle that would create a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_no_code_is_run(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": RunsCode(str(tmp_path / "owned"))}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"asks for \S*open, and nothing but tensors is unpickled.*state_dict"):
        interop.read(tmp_path / "x.pt")
    assert not (tmp_path / "owned").exists()


def test_a_whole_model_or_a_bare_tensor(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"asks for torch.nn.modules.linear.Linear.*torch.save\(model.state_dict"):
        interop.read(tmp_path / "x.pt")
    torch.save(torch.ones(2), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="holds no dict of tensors, but Tensor"):
        interop.read(tmp_path / "x.pt")
