"""What is in a file beside a dict of tensors, and files that are no checkpoint: each error says what would do."""

import argparse
import os

import numpy as np
import pytest

from jax_tconv import interop
from jax_tconv.interop import CheckpointError, write

ARRAYS = {"up.weight": np.ones((2, 3), "f4")}


def test_an_entry_of_many(tmp_path):
    torch = pytest.importorskip("torch")
    state_dict = {"a": torch.ones(2), "b.c": torch.zeros(1)}
    optimizer = {"state": {n: {"exp_avg": torch.zeros(1)} for n in range(9)}, "param_groups": [{"lr": 0.1}]}
    content = {
        "model": {"generator": state_dict, "d": {"a": torch.full((2,), 3.0)}},
        "model.ema": {"a": torch.full((2,), 5.0)},
        "both": [{"a": torch.full((2,), 6.0)}, {"a": torch.full((2,), 7.0)}],
        "optimizer": optimizer,
        "epoch": 3,
        "args": argparse.Namespace(lr=1),
    }
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError) as caught:
        interop.read(tmp_path / "x.pt")
    assert str(caught.value) == (
        f"{tmp_path / 'x.pt'} holds more than tensors; take one of its dicts, with entry='model.generator' (2 tensors) "
        "or entry='model.ema' (1 tensor) or entry='model.d' (1 tensor) or entry='both.0' (1 tensor) or entry='both.1' "
        "(1 tensor) or entry='optimizer.state.0' (1 tensor) or one of 8 more. Beside them it has epoch (int), args "
        "(argparse.Namespace)"
    )
    for entry, value in {"model.generator": 1, "model.d": 3, "model.ema": 5, "both.1": 7}.items():
        assert interop.read(tmp_path / "x.pt", entry=entry)["a"].tolist() == [value, value]
    with pytest.raises(CheckpointError, match=r"has no entry 'ema'; it has entry='model.generator' \(2 tensors\) or "):
        interop.read(tmp_path / "x.pt", entry="ema")
    with pytest.raises(CheckpointError, match=r"take one of its dicts, with entry='model.generator' .*'model.d'"):
        interop.read(tmp_path / "x.pt", entry="model")
    with pytest.raises(CheckpointError, match="holds no dict of tensors in its entry 'epoch', but int"):
        interop.read(tmp_path / "x.pt", entry="epoch")


@pytest.fixture
def read(tmp_path, caplog):
    """Saves with torch and reads; the tensors, and what the log says."""
    torch = pytest.importorskip("torch")
    caplog.set_level("INFO", "jax_tconv.interop")

    def call(content, entry=None):
        caplog.clear()
        torch.save(content, tmp_path / "x.pt")
        return interop.read(tmp_path / "x.pt", entry=entry), [record.getMessage() for record in caplog.records]

    return call


def test_the_only_dict_of_tensors(read, tmp_path):
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(2, 2)
    adam, sgd = torch.optim.Adam(net.parameters()), torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    adam.step()
    sgd.step()
    optimizers = [adam.state_dict(), sgd.state_dict()]
    contents = {
        "state_dict": {"state_dict": net.state_dict(), "epoch": 3, "optimizer": adam.state_dict()},
        "model": {"epoch": 3, "best": torch.tensor(0.5), "optimizers": optimizers, "model": net.state_dict()},
        "a.b.c": {"a": {"b": {"c": net.state_dict()}}, "args": argparse.Namespace(lr=1)},
        "nets.0": {"nets": [net.state_dict()], "optimizer": {"net": adam.state_dict()}},
        "7": {7: net.state_dict()},
    }
    for entry, content in contents.items():
        tensors, said = read(content)
        assert tensors.keys() == {"weight", "bias"}
        assert tensors["weight"].tobytes() == net.weight.detach().numpy().tobytes()
        assert len(said) == 1
        assert said[0].startswith(f"{tmp_path / 'x.pt'}: reading its only dict of tensors, entry='{entry}' (2 tensors)")
        # What is said is what to type.
        assert read(content, entry=entry)[0]["weight"].tobytes() == tensors["weight"].tobytes()
        assert read(content, entry=entry)[1] == []
    assert read(contents["state_dict"])[1][0].endswith("; not read: epoch (int), optimizer (dict)")
    assert read({"a": {"b": net.state_dict()}, "c": {"d": {"e": torch.ones(1)}}}, entry="a")[1][0].endswith(
        "reading its only dict of tensors, entry='a.b' (2 tensors)"
    )
    assert read(net.state_dict())[1] == []


def test_one_of_two_is_never_chosen(read):
    torch = pytest.importorskip("torch")
    one, two = {"w": torch.ones(2)}, {"w": torch.zeros(2)}
    for content in (
        {"model": one, "ema": two},
        {"model": one, "ema": {"decay": 0.9, "shadow": two}},
        {"model": one, "ema": {"decay": 0.9, "w": torch.zeros(2)}},
        {"models": [one, two]},
        {"model": one, "w": torch.zeros(2)},
        {"model": one | {"steps": 3}},
        {"optimizer": {"state": {0: one}, "param_groups": []}},
    ):
        with pytest.raises(CheckpointError, match="holds more than tensors; take one of its dicts, with entry="):
            read(content)


def test_an_entry_of_none(tmp_path):
    write(tmp_path / "x.safetensors", ARRAYS)
    with pytest.raises(
        CheckpointError, match="has no entry 'model'; its tensors are not in an entry: leave entry out$"
    ):
        interop.read(tmp_path / "x.safetensors", entry="model")
    torch = pytest.importorskip("torch")
    torch.save({"epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="has no entry 'model'; it holds no dict of tensors$"):
        interop.read(tmp_path / "x.pt", entry="model")


def test_a_dict_with_more_than_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(2), "steps": 3, "name": "x"}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"holds more than tensors: steps \(int\), name \(str\); save it without"):
        interop.read(tmp_path / "x.pt")
    torch.save({"a": torch.ones(2), "ema": {"a": torch.ones(2), "decay": 0.9}}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"holds more than tensors; take .* entry='ema' \(1 tensor\)$"):
        interop.read(tmp_path / "x.pt")


def test_a_bare_tensor(tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        torch.save(torch.ones(2), tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError, match="holds no dict of tensors, but Tensor; save a model's state_dict"):
            interop.read(tmp_path / "x.pt")


def test_a_tensor_of_a_class_of_its_own(tmp_path):
    torch = pytest.importorskip("torch")
    subclass = type("Masked", (torch.Tensor,), {"__module__": __name__})
    globals()["Masked"] = subclass  # where pickle looks for it
    torch.save({"a": torch.ones(2).as_subclass(subclass)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=rf"asks for {__name__}.Masked, but nothing except tensors"):
        interop.read(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore")  # torch warns of sparse and quantized tensors
def test_tensors_that_numpy_has_not(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {
        r"t is a sparse tensor \(save its .to_dense\(\)\)": torch.eye(2).to_sparse(),
        r"t is a quantized tensor \(save its .dequantize\(\)\)": torch.quantize_per_tensor(
            torch.ones(2), 1, 0, torch.qint8
        ),
        r"t is a tensor on the meta device, which has no values": torch.ones(2, device="meta"),
        r"t is a numpy array, not a tensor \(save torch.from_numpy of it\)": np.ones(2),
        r"t is a complex32 tensor, .*\(save its .to\(torch.complex64\)\)": torch.ones(2, dtype=torch.complex32),
    }
    for message, tensor in tensors.items():
        torch.save({"a": torch.ones(1), "t": tensor}, tmp_path / "x.pt")
        with pytest.raises(CheckpointError, match=f"holds something other than plain arrays: {message}$"):
            interop.read(tmp_path / "x.pt")


def test_missing_files_and_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        interop.read(tmp_path / "none.pt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        interop.read(tmp_path / "pipe")


KINDS = {
    b"": "is not a checkpoint: it is empty",
    b"hello world": "is not a checkpoint of a known kind",
    b"\x1f\x8b\x08": "is compressed with gzip; unpack it first",
    b"\x93NUMPY": "one array of numpy, which numpy.load reads",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0": "`git lfs pull` fetches it",
    b"\n<!DOCTYPE html><html>": "is not a checkpoint but a web page",
    b'{"architectures": ["X"]}': "is JSON, but not the index of a checkpoint",
    b"\x80\x02]q\x00(K\x01K\x02e.": "is a pickle, but not one of torch.save",
    b"x" * 257 + b"ustar": "is a tar archive; unpack it first",
}


@pytest.mark.parametrize("content", KINDS)
def test_files_that_are_no_checkpoint(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"x.pt .*{KINDS[content]}"):
        interop.read(tmp_path / "x.pt")


def test_archives_that_are_no_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    np.savez(tmp_path / "x.npz", a=np.ones(1))
    with pytest.raises(CheckpointError, match=r"is a .npz file of numpy, but not one of torch.save: it holds a.npy"):
        interop.read(tmp_path / "x.npz")
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"is a TorchScript archive, .*torch.jit.load\(path\).state_dict\(\)"):
        interop.read(tmp_path / "x.pt")
