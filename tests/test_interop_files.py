"""Checkpoint files: what they hold comes back as it was, whatever they are called, and torch is not needed for it."""

import json
import subprocess
import sys

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from flax import linen as nn
from flax import nnx

from jax_tconv import interop
from jax_tconv.interop import CheckpointError, write
from jax_tconv.interop._files import mapped
from tests import pickling

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
DTYPES += ["bfloat16", "float16", "float32", "float64", "complex64", "complex128"]
DTYPES += ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]
ARRAYS = {"up.weight": np.arange(24, dtype="f4").reshape(2, 3, 4), "up.bias": np.ones(3, "f4"), "n": np.array(7)}


def assert_equal(read, wanted):
    assert read.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape), name
        assert read[name].tobytes() == tensor.tobytes(), name


def torch_tensors(torch):
    """One tensor of every kind that a state dict may hold: each dtype, and each way to lie in a storage."""
    tensors = {name: torch.arange(6).to(getattr(torch, name)).reshape(2, 3) for name in DTYPES}
    base = torch.arange(60.0).reshape(3, 4, 5)
    return tensors | {
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "transposed": base.permute(2, 0, 1),
        "part": base[1:, ::2, 3],
        "same storage": base,
        "tied": base,
        "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
        "overlapping": torch.arange(9.0).as_strided((4, 3), (2, 1)),
        "conjugate": torch.tensor([1 + 2j, 3 - 4j]).conj(),
        "negative": torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
        "scalar": torch.tensor(True),
        "empty": torch.ones(0, 3),
        "empty end": base[3:],
        "not finite": torch.tensor([0x7FC00001, -1, 0x7F800000, -(2**31)], dtype=torch.int32).view(torch.float32),
        "with an attribute": with_attribute(torch.nn.Parameter(torch.ones(2))),
        "": torch.ones(1),
        "../../etc/passwd": torch.ones(1),
    }


def with_attribute(parameter):
    parameter.note = "kept by torch.save, which then writes the tensor in another way"
    return parameter


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.bin", "x.ckpt", "x.pth.tar", "x", "x.safetensors"])
def test_torch_files(tmp_path, name, zipped):
    torch = pytest.importorskip("torch")
    tensors = torch_tensors(torch)
    torch.save(tensors, tmp_path / name, _use_new_zipfile_serialization=zipped)
    read = interop.read(tmp_path / name)
    assert read.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert read[key].shape == tensor.shape, key
        assert read[key].dtype.name == str(tensor.dtype).removeprefix("torch."), key
        assert read[key].flags.aligned, key
        plain = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
        assert read[key].tobytes() == plain.view(torch.uint8).numpy().tobytes(), key


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols_and_what_models_keep_beside_tensors(tmp_path, protocol):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.ConvTranspose2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    torch.save(network.state_dict(), tmp_path / "x.pt", pickle_protocol=protocol)  # with its _metadata
    wanted = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert_equal(interop.read(tmp_path / "x.pt"), wanted)


def test_a_file_whose_name_is_no_ascii(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "дерево 木.pt"
    torch.save({"вес": torch.ones(2)}, path)  # torch names the archive's folder so too
    assert interop.read(path)["вес"].tolist() == [1, 1]
    write(path, {"вес": np.zeros(2)})
    assert interop.read(path)["вес"].tolist() == [0, 0]


def test_what_old_and_other_torches_write(tmp_path):
    """Pairs in an OrderedDict and byte strings, as Python 2 had them; parameters as torch 0.3, tensors of a TPU."""
    tensor = pickling.tensor(legacy=True)
    parameter = pickling.call("torch.nn.parameter.Parameter", tensor) + b"(\x88\x89tb"
    cpu = (tensor, pickling.name("torch.float32"), pickling.string("xla:0"), b"\x89")
    on_tpu = pickling.call("torch._utils._rebuild_device_tensor_from_cpu_tensor", *cpu)
    pairs = [b"](U\x01" + key + value + b"e" for key, value in {b"a": tensor, b"b": parameter, b"c": on_tpu}.items()]
    pickling.write_legacy(tmp_path / "x.pth", pickling.call("collections.OrderedDict", b"](" + b"".join(pairs) + b"e"))
    wanted = np.arange(16, dtype="u1").view("f4")
    assert_equal(interop.read(tmp_path / "x.pth"), {"a": wanted, "b": wanted, "c": wanted})
    content = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(content.replace(b"torch\nfloat32", b"torch\nfloat64"))
    with pytest.raises(CheckpointError, match="asks for torch.float64"):
        interop.read(tmp_path / "x.pth")


def test_torch_is_not_needed(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
    code = (
        "import sys; sys.modules['torch'] = None; from jax_tconv import interop; print(interop.read('x.pt')['a'].sum())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.stdout == "2.0\n", run.stderr


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt", "x"])
def test_safetensors(tmp_path, name):
    dtypes = [getattr(ml_dtypes, name, name) for name in DTYPES if name != "complex128"]
    arrays = {np.dtype(dtype).name: np.arange(1, 7).astype(dtype).reshape(3, 2) for dtype in dtypes}
    arrays |= {"scalar": np.array(True), "empty": np.ones((0, 3)), "": np.ones(1), "../../etc/passwd": np.ones(1)}
    arrays["not finite"] = np.array([0x7FC00001, 0xFFFFFFFF, 0x7F800000], "u4").view("f4")
    safetensors.numpy.save_file(arrays, tmp_path / name, metadata={"format": "pt"})
    assert_equal(interop.read(tmp_path / name), arrays)


def test_safetensors_at_odd_addresses(tmp_path):
    header = json.dumps({"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}).encode()
    header += b" " * (3 - len(header) % 8 % 3)
    for pad in range(8):
        padded = header + b" " * pad
        (tmp_path / "x.safetensors").write_bytes(len(padded).to_bytes(8, "little") + padded + np.arange(2.0).tobytes())
        a = interop.read(tmp_path / "x.safetensors")["a"]
        assert a.tolist() == [0, 1]
        assert a.flags.aligned


def test_arrays_are_views_of_the_file_that_outlive_it(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(ARRAYS, path)
    read = interop.read(path)
    assert not any(array.flags.owndata or array.flags.writeable for array in read.values())
    write(path, {"other": np.zeros(1000)})
    assert_equal(read, ARRAYS)
    assert interop.read(path)["other"].shape == (1000,)
    path.unlink()
    assert_equal(read, ARRAYS)


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_what_was_loaded_into_a_model_no_longer_depends_on_the_file(tmp_path, name, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(mapped, "SMALL", 0)
    write(tmp_path / name, torch.nn.Linear(64, 64).state_dict())
    tensors = interop.read(tmp_path / name)
    wanted = {name: array.copy() for name, array in tensors.items()}
    linear = nnx.Linear(64, 64, rngs=nnx.Rngs(0))
    variables, _ = interop.linen_variables(nn.Dense(64), tensors, jax.ShapeDtypeStruct((1, 64), "float32"))
    interop.load_state_dict(linear, tensors)
    with open(tmp_path / name, "r+b") as file:  # in place, as torch.save writes
        file.write(bytes((tmp_path / name).stat().st_size))
    assert not tensors["bias"].any()
    for arrays in (vars(linear), variables["params"]):
        np.testing.assert_array_equal(arrays["bias"][...], wanted["bias"])
        np.testing.assert_array_equal(arrays["kernel"][...], wanted["weight"].T)


def shards(folder, kinds=("safetensors", "bin"), index="model.safetensors.index.json"):
    """ARRAYS in two files and an index."""
    torch = pytest.importorskip("torch") if "bin" in kinds else None
    files = {}
    for number, (kind, names) in enumerate(zip(kinds, [["up.weight", "n"], ["up.bias"]], strict=True)):
        file = f"model-{number}-of-2.{kind}"
        if kind == "bin":
            torch.save({name: torch.from_numpy(ARRAYS[name]) for name in names}, folder / file)
        else:
            safetensors.numpy.save_file({name: ARRAYS[name] for name in names}, folder / file)
        files |= dict.fromkeys(names, file)
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 116}, "weight_map": files}, indent=2))
    return folder / index


@pytest.mark.parametrize("kinds", [("safetensors", "safetensors"), ("bin", "bin"), ("safetensors", "bin")])
def test_shards_by_their_index_or_folder(tmp_path, kinds):
    index = shards(tmp_path, kinds, "pytorch_model.bin.index.json")
    assert_equal(interop.read(index), ARRAYS)
    assert_equal(interop.read(tmp_path), ARRAYS)


def test_the_cache_of_the_hugging_face_hub(tmp_path):
    snapshot, blobs = tmp_path / "snapshots" / "0123", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    shards(snapshot, ("safetensors", "safetensors"))
    for number, path in enumerate(sorted(snapshot.iterdir())):
        path.rename(blobs / f"abc{number}")
        path.symlink_to(f"../../blobs/abc{number}")
    assert_equal(interop.read(snapshot), ARRAYS)


def test_a_folder_with_one_checkpoint_or_several(tmp_path):
    for name, content in {"config.json": b'{"a": 1}', ".hidden.pt": b"PK\x03\x04", "README.md": b"# x"}.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="is a folder without a checkpoint in it"):
        interop.read(tmp_path)
    write(tmp_path / "a.safetensors", ARRAYS)
    assert_equal(interop.read(tmp_path), ARRAYS)
    write(tmp_path / "b.safetensors", ARRAYS)
    with pytest.raises(
        CheckpointError, match=r"several checkpoints; read one of them: a\.safetensors, b\.safetensors$"
    ):
        interop.read(tmp_path)


def test_an_index_and_a_checkpoint_of_its_own_are_two(tmp_path):
    shards(tmp_path, ("safetensors", "safetensors"))
    write(tmp_path / "consolidated.safetensors", ARRAYS)
    with pytest.raises(
        CheckpointError, match=r"read one of them: model\.safetensors\.index\.json, consolidated\.safetensors$"
    ):
        interop.read(tmp_path)
