"""`interop.load`: what was written from Flax comes back, into nnx and linen, abstract or not, or nothing changes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx, traverse_util
from jax.sharding import NamedSharding, PartitionSpec

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from jax_tconv.nnx import ConvTranspose

X = jnp.ones((2, 4, 4, 2))


class Net(nnx.Module):
    def __init__(self, rngs, table=False):
        self.up = nnx.Sequential(ConvTranspose(2, 3, (2, 2), 2, rngs=rngs), nnx.Dropout(0.5, rngs=rngs))
        self.z = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        if table:
            self.table = nnx.Variable(jnp.arange(3.0))

    def __call__(self, x):
        return self.z(self.norm(self.up(x)))


class LinenNet(nn.Module):
    features: int = 3

    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=True, name="norm")(nn.Conv(self.features, (3, 3), name="conv")(x))


def abstract(**arguments):
    return nnx.eval_shape(lambda: Net(nnx.Rngs(0), **arguments))


def trained():
    """A net whose every array differs from any new net's."""
    net = Net(nnx.Rngs(7))
    net(X)
    return net


def parameters(net):
    return nnx.to_pure_dict(nnx.state(net, nnx.Any(nnx.Param, nnx.BatchStat)))


def flat(tree):
    return {".".join(map(str, path)): np.asarray(array) for path, array in traverse_util.flatten_dict(tree).items()}


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `write_orbax` and `convert` write of a trained nnx and linen net."""
    folder = tmp_path_factory.mktemp("saved")
    net = trained()
    interop.write_orbax(folder / "nnx", parameters(net))
    interop.write_orbax(folder / "state", nnx.state(net))
    interop.write(folder / "nnx.safetensors", flat(parameters(net)))
    variables = LinenNet().init(jax.random.key(3), X)
    interop.write_orbax(folder / "linen", variables)
    interop.write(folder / "linen.safetensors", flat(variables))
    return folder


@pytest.mark.parametrize("name", ["nnx", "nnx.safetensors", "state"])
@pytest.mark.parametrize("make", [lambda: Net(nnx.Rngs(0)), abstract], ids=["concrete", "abstract"])
def test_nnx(folder, name, make):
    net, wanted = make(), trained()
    before = None if isinstance(net.norm.mean.get_value(), jax.ShapeDtypeStruct) else net.z.rngs.key[...]
    assert interop.load(net, folder / name) is net
    same(parameters(net), parameters(wanted))
    # The model runs, in both modes, with random streams that differ from layer to layer.
    streams = [net.up.layers[1].rngs, net.z.rngs]
    assert streams[0].key[...] != streams[1].key[...]
    if name == "state":
        assert streams[1].key[...] == wanted.z.rngs.key[...]
        assert net.z.rngs.count[...] == wanted.z.rngs.count[...] == 1
    elif before is not None:
        assert streams[1].key[...] == before
    else:
        assert [int(stream.count[...]) for stream in streams] == [0, 0]
        again = interop.load(abstract(), folder / name)
        assert again.z.rngs.key[...] == net.z.rngs.key[...]
    net.eval()
    wanted.eval()
    np.testing.assert_array_equal(net(X), wanted(X))
    net.train()
    assert nnx.jit(lambda net, x: net(x))(net, X).shape == (2, 8, 8, 3)


@pytest.mark.parametrize("name", ["linen", "linen.safetensors"])
def test_linen(folder, name):
    wanted = LinenNet().init(jax.random.key(3), X)
    same(interop.load(LinenNet(), folder / name, X), wanted)
    same(interop.load(LinenNet(), folder / name, jax.ShapeDtypeStruct(X.shape, X.dtype)), wanted)
    shapes = jax.eval_shape(LinenNet().init, jax.random.key(0), X)
    same(interop.load(shapes, folder / name), wanted)
    boxed = nn.with_partitioning(lambda: wanted["params"]["conv"]["kernel"], (None, None, None, "out"))()
    params = wanted["params"] | {"conv": wanted["params"]["conv"] | {"kernel": boxed}}
    same(interop.load(wanted | {"params": params}, folder / name), wanted)


def test_values_that_no_checkpoint_has(folder):
    net = interop.load(Net(nnx.Rngs(0), table=True), folder / "nnx")
    np.testing.assert_array_equal(net.table[...], [0, 1, 2])
    with pytest.raises(CheckpointError) as caught:
        interop.load(abstract(table=True), folder / "nnx")
    assert str(caught.value) == (
        f"{folder / 'nnx'} does not fit the model (nothing is loaded)\n"
        "if the model sets table itself, make it without nnx.eval_shape, which loses such values\n"
        "missing from the file (1):\n  table (3,) float32"
    )


def test_everything_that_does_not_fit_is_listed_and_nothing_is_loaded(tmp_path):
    tensors = flat(parameters(trained()))
    del tensors["norm.mean"]
    tensors["extra"] = np.ones(2, "float32")
    tensors["norm.var"] = np.ones(4, "float32")
    tensors["norm.scale"] = np.ones(3, "float16")
    interop.write(tmp_path / "x.safetensors", tensors)
    interop.write_orbax(tmp_path / "x", tensors)
    for path in (tmp_path / "x.safetensors", tmp_path / "x"):
        net = Net(nnx.Rngs(0))
        before = jax.tree.map(np.array, parameters(net))
        with pytest.raises(CheckpointError) as caught:
            interop.load(net, path)
        assert str(caught.value) == "\n".join(
            [
                f"{path} does not fit the model (nothing is loaded)",
                "make the model as it was made when the file was written",
                "missing from the file (1):",
                "  norm.mean (3,) float32",
                "unexpected in the file (1):",
                "  extra (2,) float32",
                "of another shape (1):",
                "  norm.var (4,), where the model needs (3,)",
                "of another dtype (1); make the model with the file's, as by param_dtype=:",
                "  norm.scale float16, where the model has float32",
            ]
        )
        same(parameters(net), before)


def test_a_file_of_another_kind_of_model(folder, tmp_path):
    with pytest.raises(CheckpointError, match="has the arrays of a linen module, and this is an nnx model: load it in"):
        interop.load(Net(nnx.Rngs(0)), folder / "linen")
    with pytest.raises(CheckpointError, match="has the arrays of an nnx model, and this is a linen module: load it in"):
        interop.load(LinenNet(), folder / "nnx", X)
    interop.write(tmp_path / "torch.safetensors", {"conv.weight": np.ones((3, 2, 3, 3), "f4")})
    with pytest.raises(
        CheckpointError, match=r"PyTorch's; interop.load_state_dict\(model, interop.read\(path\)\) conv"
    ):
        interop.load(Net(nnx.Rngs(0)), tmp_path / "torch.safetensors")
    with pytest.raises(CheckpointError, match=r"PyTorch's; interop.linen_variables\(module, interop.read\(path\)\)"):
        interop.load(LinenNet(), tmp_path / "torch.safetensors", X)


def test_a_name_and_the_same_with_orbaxs_ending(tmp_path):
    interop.write(tmp_path / "x.safetensors", {"w": np.ones(2, "f4"), "w.value": np.zeros(2, "f4")})
    with pytest.raises(CheckpointError, match=r"(?s)unexpected in the file \(1\):\n  w.value"):
        interop.load({"w": jax.ShapeDtypeStruct((2,), jnp.float32)}, tmp_path / "x.safetensors")


def test_arguments_that_are_none_of_these(folder, tmp_path):
    with pytest.raises(TypeError, match="model must be an nnx model, a linen module with .*; got list"):
        interop.load([1], folder / "nnx")
    with pytest.raises(TypeError, match="example_inputs must be what the module is called with; got none"):
        interop.load(LinenNet(), folder / "linen")
    with pytest.raises(TypeError, match="got Net and 1 example inputs"):
        interop.load(Net(nnx.Rngs(0)), folder / "nnx", X)
    with pytest.raises(FileNotFoundError, match="no such file"):
        interop.load(Net(nnx.Rngs(0)), tmp_path / "none")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "_CHECKPOINT_METADATA").write_text("{")
    with pytest.raises(CheckpointError, match="broken"):
        interop.load(Net(nnx.Rngs(0)), tmp_path / "broken")


def test_what_is_loaded_is_not_the_file(tmp_path):
    """A file that is overwritten in place must not change the model."""
    path = tmp_path / "x.safetensors"
    value = np.arange(4096, dtype="float32").reshape(64, 64)  # of a size that JAX could keep as it is
    interop.write(path, {"w": value})
    loaded = interop.load({"w": jax.ShapeDtypeStruct((64, 64), jnp.float32)}, path)
    raw = path.read_bytes()
    with open(path, "r+b") as file:
        file.write(raw[: -4 * 4096] + bytes(4 * 4096))
    np.testing.assert_array_equal(loaded["w"], value)


@pytest.mark.parametrize("name", ["x", "x.safetensors"])
def test_shard_by_shard(tmp_path, name):
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    mesh = jax.make_mesh((4,), ("d",), devices=jax.devices()[:4])
    value = np.arange(64.0, dtype="float32").reshape(8, 8)
    write = interop.write if name.endswith(".safetensors") else interop.write_orbax
    write(tmp_path / name, {"w": value})
    sharding = NamedSharding(mesh, PartitionSpec("d"))
    loaded = interop.load({"w": jax.ShapeDtypeStruct((8, 8), jnp.float32, sharding=sharding)}, tmp_path / name)["w"]
    assert loaded.sharding == sharding
    assert [shard.data.shape for shard in loaded.addressable_shards] == [(2, 8)] * 4
    np.testing.assert_array_equal(loaded, value)

    # The same from a state dict, into an abstract nnx model whose arrays carry shardings.
    model = nnx.eval_shape(lambda: nnx.Linear(8, 8, use_bias=False, rngs=nnx.Rngs(0)))
    model.kernel.set_value(jax.ShapeDtypeStruct((8, 8), jnp.float32, sharding=sharding))
    interop.load_state_dict(model, {"weight": value})
    assert model.kernel[...].sharding == sharding
    np.testing.assert_array_equal(model.kernel[...], value.T)


def test_a_state_dict_into_an_abstract_model_leaves_nothing_abstract():
    net = abstract()
    interop.load_state_dict(net, interop.state_dict(trained()))
    assert not [leaf for leaf in jax.tree.leaves(nnx.state(net)) if isinstance(leaf, jax.ShapeDtypeStruct)]
    assert net(X).shape == (2, 8, 8, 3)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory as Linux tells it")
def test_the_file_does_not_stay_in_memory(tmp_path):
    def from_files():
        return int(Path("/proc/self/status").read_text().split("RssFile:")[1].split()[0]) * 1024

    size = 4096
    interop.write(tmp_path / "x.safetensors", {"weight": np.ones((size, size), "float32")})
    tensors = interop.read(tmp_path / "x.safetensors")
    before = from_files()
    assert tensors["weight"].sum() == size * size
    assert from_files() - before > 2 * size * size
    model = nnx.eval_shape(lambda: nnx.Linear(size, size, use_bias=False, rngs=nnx.Rngs(0)))
    interop.load_state_dict(model, tensors)
    assert from_files() - before < size * size / 4
    assert tensors["weight"][3, 5] == 1  # which loads it again
    interop.load({"weight": jax.ShapeDtypeStruct((size, size), jnp.float32)}, tmp_path / "x.safetensors")
    assert from_files() - before < size * size / 4


def test_linen_variables_that_nothing_fills_are_those_of_init():
    tensors = {"conv.weight": np.ones((3, 2, 3, 3), "float32"), "norm.bias": np.ones(3, "float32")}
    variables, _ = interop.linen_variables(LinenNet(), tensors, X, strict=False)
    initial = LinenNet().init(jax.random.key(0), jnp.zeros_like(X))
    for path, array in traverse_util.flatten_dict(variables).items():
        filled = path[-2:] in (("conv", "kernel"), ("norm", "bias"))
        wanted = np.ones_like(array) if filled else traverse_util.flatten_dict(initial)[path]
        np.testing.assert_allclose(array, wanted, rtol=1e-6)
