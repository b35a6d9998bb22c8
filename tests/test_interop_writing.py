"""Written checkpoints: bit for bit what was given, judged by torch and the formats' own libraries, and never a half."""

import errno
import os
import signal
import stat
import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint
import pytest
import safetensors.numpy
from flax import nnx

from jax_tconv import interop
from jax_tconv.interop import CheckpointError, write, write_orbax

EVERYWHERE = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64 complex64 bfloat16"
EVERYWHERE += " float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
DTYPES = [("safetensors", name) for name in EVERYWHERE.split()]
DTYPES += [("pt", name) for name in [*EVERYWHERE.split(), "complex128"]]


def random_bits(dtype, shape, seed=0):
    """Any values of the dtype, NaNs with payloads and infinities too."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    return rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]


def layouts(array):
    """A 3-d array in every way that numpy may hold it."""
    return {
        "contiguous": array,
        "transposed": array.transpose(2, 0, 1),
        "reversed": array[:, ::-1],
        "strided": array[::2, :, 1:3],
        "expanded": np.broadcast_to(array[:1], array.shape),
        "swapped": array.astype(array.dtype.newbyteorder(">")) if array.dtype.kind in "iufc" else array,
        "read-only": np.frombuffer(array.tobytes(), array.dtype),
        "scalar": array[0, 0, 0, ...],
        "empty": array[:0],
    }


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert (found[name].dtype, found[name].shape) == (native.dtype, native.shape), name
        assert found[name].tobytes() == native.tobytes(), name


@pytest.mark.parametrize(("suffix", "dtype"), DTYPES)
def test_bit_for_bit(tmp_path, suffix, dtype):
    torch = pytest.importorskip("torch")
    arrays = layouts(random_bits(dtype, (3, 4, 5)))
    path = tmp_path / f"x.{suffix}"
    write(path, arrays)
    assert_equal(interop.read(path), arrays)
    if suffix == "pt":
        judged = torch.load(path, weights_only=True)
    elif dtype == "bfloat16" or dtype.startswith("float8"):
        judged = __import__("safetensors.torch").torch.load_file(path)
    else:
        assert_equal(safetensors.numpy.load_file(path), arrays)
        return
    for name, array in arrays.items():
        assert judged[name].shape == array.shape, name
        assert str(judged[name].dtype) == f"torch.{dtype}", name
        native = array.astype(array.dtype.newbyteorder("="))
        assert judged[name].reshape(-1).view(torch.uint8).numpy().tobytes() == native.tobytes(), name


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt", "x.pth", "x.bin"])
def test_tensors_of_every_library(tmp_path, name):
    torch = pytest.importorskip("torch")
    storage = torch.arange(1000.0)
    given = {
        "torch": storage[5:7],
        "parameter": torch.nn.Parameter(torch.ones(2, 3).T, requires_grad=True),
        "bfloat16": torch.tensor([1.5, -2]).bfloat16(),
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "jax": jnp.arange(3, dtype="bfloat16"),
        "numpy": np.float32(3),
    }
    write(tmp_path / name, given)
    wanted = {
        "torch": np.array([5, 6], "f4"),
        "parameter": np.ones((3, 2), "f4"),
        "bfloat16": np.array([1.5, -2]).astype(ml_dtypes.bfloat16),
        "conjugate": np.array([1 - 2j], "c8"),
        "jax": np.arange(3).astype(ml_dtypes.bfloat16),
        "numpy": np.array(3, "f4"),
    }
    assert_equal(interop.read(tmp_path / name), wanted)
    assert (tmp_path / name).stat().st_size < 4000  # the storage of a thousand elements was not written for two
    write(tmp_path / "again.safetensors", interop.read(tmp_path / name))
    write(tmp_path / "again.pt", interop.read(tmp_path / "again.safetensors"))
    assert_equal(interop.read(tmp_path / "again.pt"), wanted)


def test_torch_loads_what_is_written(tmp_path):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.ConvTranspose2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    write(tmp_path / "x.pt", network.state_dict())
    twin = torch.nn.Sequential(torch.nn.ConvTranspose2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    twin.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True), strict=True)
    for wanted, found in zip(network.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(wanted, found)


def test_to_torch():
    torch = pytest.importorskip("torch")
    given = {dtype: random_bits(dtype, (2, 3)) for dtype in [*EVERYWHERE.split(), "complex128"]}
    given |= {"jax": jnp.ones(2, "bfloat16"), "scalar": np.array(3), "read-only": np.frombuffer(b"1234", "f4")}
    tensors = interop.to_torch(given)
    for name, array in given.items():
        assert tensors[name].shape == array.shape, name
        assert str(tensors[name].dtype) == f"torch.{array.dtype}", name
        assert tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes() == np.asarray(array).tobytes(), name
        tensors[name].zero_()
    assert given["float32"].any()  # they are copies
    with pytest.raises(TypeError, match="a is int4, which torch has no type for"):
        interop.to_torch({"a": np.ones(2, ml_dtypes.int4)})


def test_what_a_format_cannot_hold_is_refused_before_writing(tmp_path):
    wrong = {
        "a is complex128, which a .safetensors file cannot hold; a .pt file can": np.ones(2, "c16"),
        "a is int4, which a .safetensors file cannot hold$": np.ones(2, ml_dtypes.int4),
        "a is object, which": np.array([None]),
        "a is str32, which": np.array(["x"]),
        "a must be an array or a torch tensor, got dict": {"b": np.ones(2)},
        "a must be an array or a torch tensor, got float": 1.0,
    }
    write(tmp_path / "x.safetensors", {"old": np.ones(1)})
    for message, value in wrong.items():
        with pytest.raises(TypeError, match=message):
            write(tmp_path / "x.safetensors", {"b": np.ones(2), "a": value})
    for key in (3, "__metadata__"):
        with pytest.raises(TypeError, match="state_dict must have names for keys, got "):
            write(tmp_path / "x.safetensors", {key: np.ones(2)})
    with pytest.raises(TypeError, match="state_dict must be a mapping of names to tensors, got list"):
        write(tmp_path / "x.safetensors", [np.ones(2)])
    for name in ("x.npz", "x", "x.PT"):
        with pytest.raises(CheckpointError, match=rf"must end in .safetensors, .pt, .pth or .bin, got {name}$"):
            write(tmp_path / name, {})
    for path in (tmp_path / "no" / "x.safetensors", tmp_path / "folder.safetensors"):
        (tmp_path / "folder.safetensors").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError, match="path must name a file in an existing folder"):
            write(path, {})
    assert {path.name for path in tmp_path.iterdir()} == {"x.safetensors", "folder.safetensors"}
    assert interop.read(tmp_path / "x.safetensors").keys() == {"old"}


@pytest.mark.filterwarnings("ignore")  # torch warns of sparse and quantized tensors
def test_torch_tensors_without_an_array(tmp_path):
    torch = pytest.importorskip("torch")
    wrong = {
        r"a must be a dense tensor, got one of layout torch.sparse_coo; pass its .to_dense\(\)": torch.eye(
            2
        ).to_sparse(),
        r"a must be a plain tensor, .* its .dequantize\(\)": torch.quantize_per_tensor(
            torch.ones(2), 1, 0, torch.qint8
        ),
        "a must have values, but is on the meta device": torch.ones(2, device="meta"),
        r"a is complex32, which numpy has no type for; pass it converted with .to": torch.ones(
            2, dtype=torch.complex32
        ),
    }
    for message, tensor in wrong.items():
        with pytest.raises(TypeError, match=message):
            write(tmp_path / "x.pt", {"a": tensor})


def test_without_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    write(tmp_path / "x.safetensors", {"a": jnp.ones(2)})
    with pytest.raises(ImportError, match=r"need torch; install it with: pip install 'jax_tconv\[torch\]'"):
        write(tmp_path / "x.pt", {"a": jnp.ones(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_file_that_is_replaced_keeps_its_mode_and_the_links_to_it(tmp_path):
    path, link = tmp_path / "x.safetensors", tmp_path / "link.safetensors"
    write(path, {"a": np.ones(1)})
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o600)
    link.symlink_to(path)
    write(link, {"a": np.zeros(1)})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert interop.read(path)["a"] == 0


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    pytest.importorskip("torch")
    path = tmp_path / f"x.{suffix}"
    write(path, {"old": np.ones(3)})

    def no_space(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(
        CheckpointError, match=rf"x.{suffix} cannot be written: No space left on device; nothing was ch"
    ):
        write(path, {"new": np.ones(1000)})
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert interop.read(path)["old"].tolist() == [1, 1, 1]


def killed(call, folder):
    """Runs a call that writes eight megabytes, in a process that the system kills at the first one."""
    code = f"""
import resource, signal
import numpy as np
from jax_tconv.interop import write, write_orbax

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
array = np.random.default_rng(0).random(10**6)
{call}
"""
    child = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert child.returncode == -signal.SIGXFSZ, child.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_killed_while_it_writes(tmp_path, suffix):
    pytest.importorskip("torch")
    path = tmp_path / f"x.{suffix}"
    write(path, {"old": np.ones(3)})
    killed(f"write('x.{suffix}', dict(new=array))", tmp_path)
    assert interop.read(path)["old"].tolist() == [1, 1, 1]
    assert all(".tmp" in other.name for other in tmp_path.iterdir() if other != path)


def test_an_orbax_checkpoint(tmp_path):
    names = [*EVERYWHERE.split(), "complex128"]
    arrays = {
        name: array
        for dtype in names
        for name, array in {
            f"{dtype}": random_bits(dtype, (3, 4, 5)),
            f"{dtype} transposed": random_bits(dtype, (3, 4, 5)).T,
            f"{dtype} scalar": random_bits(dtype, ()),
        }.items()
    }
    variables = {"params": arrays, "batch_stats": {"a/b": {"mean": jnp.ones(2, "bfloat16")}}}
    write_orbax(tmp_path / "decoder", variables)
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "decoder")
    assert_equal(restored["params"], arrays)
    assert np.asarray(restored["batch_stats"]["a/b"]["mean"]).tobytes() == np.ones(2, ml_dtypes.bfloat16).tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["decoder"]
    with pytest.raises(CheckpointError, match=r"is a checkpoint of Orbax; interop.load\(model, path\) reads"):
        interop.read(tmp_path / "decoder")


def test_an_orbax_checkpoint_of_an_nnx_model(tmp_path):
    model = nnx.Sequential(nnx.Conv(2, 3, (2, 2), rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(0)))
    write_orbax(tmp_path / "model", nnx.state(model))
    other = nnx.Sequential(nnx.Conv(2, 3, (2, 2), rngs=nnx.Rngs(1)), nnx.BatchNorm(3, rngs=nnx.Rngs(1)))
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        nnx.update(other, checkpointer.restore(tmp_path / "model", nnx.state(other)))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(other), nnx.state(model))
    assert len(jax.tree.leaves(nnx.state(other))) == 6


def test_orbax_refusals_write_nothing(tmp_path):
    good = {"params": {"a": np.ones(2)}}
    write_orbax(tmp_path / "there", good)
    (tmp_path / "empty").mkdir()
    for name in ("there", "empty"):
        with pytest.raises(FileExistsError, match=rf"{name} exists already; name another folder"):
            write_orbax(tmp_path / name, good)
    wrong = {
        r"variables must have elements, .* got shape \(0, 3\) at \['a'\]": (CheckpointError, {"a": np.ones((0, 3))}),
        r"variables must be a pytree of arrays, got str at \['a'\]\['b'\]": (TypeError, {"a": {"b": "x"}}),
        "variables must be a pytree of arrays, but has none": (TypeError, {"params": {}}),
    }
    for message, (error, variables) in wrong.items():
        with pytest.raises(error, match=message):
            write_orbax(tmp_path / "new", variables)
    with pytest.raises(CheckpointError, match="there is no folder .*no to write new in"):
        write_orbax(tmp_path / "no" / "new", good)
    assert {path.name for path in tmp_path.iterdir()} == {"there", "empty"}


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_killed_while_it_writes_an_orbax_checkpoint(tmp_path):
    killed("write_orbax('x', dict(new=array))", tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
