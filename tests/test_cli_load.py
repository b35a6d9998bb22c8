"""What `convert` says of its output: three lines that load it; and that models are made without initial values."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv.cli.models import make_model, without_values

torch = pytest.importorskip("torch")

MODELS = """
import torch
from flax import linen, nnx
import jax.numpy as jnp

made = []


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.z = torch.nn.Linear(3, 3)
        self.a = torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.a(self.z(x)) + 1


class Twin(nnx.Module):
    def __init__(self, rngs):
        self.z = nnx.Linear(3, 3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.a = nnx.Linear(3, 3, rngs=rngs)
        made.append(type(self.a.kernel.get_value()).__name__)

    def __call__(self, x):
        return self.a(self.drop(self.z(x))) + 1


class Table(Twin):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.one = nnx.Variable(jnp.ones(3))

    def __call__(self, x):
        return self.a(self.drop(self.z(x))) + self.one


class Plain(Twin):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.one = jnp.ones(3)

    def __call__(self, x):
        return self.a(self.drop(self.z(x))) + self.one


class Untraceable(Twin):
    def __init__(self, rngs):
        super().__init__(rngs)
        assert float(self.a.bias[0]) == 0


class nested:
    def no_rngs():
        return Twin(nnx.Rngs(3))


class LinenTwin(linen.Module):
    def setup(self):
        self.z, self.a = linen.Dense(3), linen.Dense(3)

    def __call__(self, x):
        return self.a(self.z(x)) + 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "load_nets.py").write_text(MODELS)
    return folder


@pytest.fixture
def run(folder, tmp_path, command, monkeypatch):
    """The command where the models and a checkpoint are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(folder)
    import load_nets

    load_nets.made.clear()
    torch.manual_seed(0)
    torch.save(load_nets.Net().state_dict(), "net.pth")
    return command


def wanted():
    import load_nets

    net = load_nets.Net()
    net.load_state_dict(torch.load("net.pth"))
    return net(torch.ones(1, 3)).detach().numpy()


@pytest.mark.parametrize("out", ["out", "out.safetensors", "out.pt"])
@pytest.mark.parametrize("factory", ["Twin", "nested.no_rngs", "Table", "Plain", "Untraceable"])
def test_the_lines_load_an_nnx_model(run, out, factory):
    code, printed, err = run("convert", "net.pth", out, "--model", f"load_nets:{factory}")
    assert code == 0
    lines = printed.split("these lines load it:\n")[1].splitlines()
    assert len(lines) == 3
    # What nnx.eval_shape would lose is made as it is.
    assert lines[1].startswith("model = nnx.eval_shape(lambda: ") == (factory in ("Twin", "nested.no_rngs"))
    reasons = {
        "Plain": "TypeError: the model itself holds an array that is not in an nnx.Variable",
        "Untraceable": "ConcretizationTypeError",
    }
    assert reasons.get(factory, "") in err
    assert bool(err) == (factory in reasons)
    names = {}
    exec("\n".join(lines), names)
    names["model"].eval()
    np.testing.assert_allclose(names["model"](jnp.ones((1, 3))), wanted(), rtol=1e-5)
    names["model"].train()
    names["model"](jnp.ones((1, 3)))


@pytest.mark.parametrize("out", ["out", "out.safetensors"])
def test_the_lines_load_a_linen_module(run, out):
    common = ("convert", "net.pth", out, "--model", "load_nets:LinenTwin", "--input", "1,3")
    lines = json.loads(run(*common, "--json")[1])["load"]
    names = {}
    exec("\n".join(lines), names)
    import load_nets

    result = load_nets.LinenTwin().apply(names["variables"], jnp.ones((1, 3)))
    np.testing.assert_allclose(result, wanted(), rtol=1e-5)


@pytest.mark.parametrize("factory", ["Twin", "Table", "Plain", "Untraceable", "LinenTwin"])
def test_verify_runs_each_of_them(run, factory):
    common = ("verify", "net.pth", "--torch", "load_nets:Net", "--input", "1,3")
    code, out, _ = run(*common, "--model", f"load_nets:{factory}")
    assert (code, "agree" in out) == (0, True), out


def test_initial_values_are_not_made_and_the_order_stays(run):
    import load_nets

    model, reason = make_model("--model", "load_nets:Twin")
    assert all(kind.endswith("Tracer") for kind in load_nets.made)
    assert reason == ""
    assert without_values(model).startswith("a.bias, a.kernel, ")
    tensors = torch.load("net.pth")
    torch.save({f"x.{name}": tensor for name, tensor in tensors.items()}, "renamed.pth")
    # The file's first layer is the one that the model defines first.
    assert run("convert", "renamed.pth", "out.safetensors", "--model", "load_nets:Twin", "--match", "order")[0] == 0
    from jax_tconv import interop

    np.testing.assert_array_equal(interop.read("out.safetensors")["z.bias"], tensors["z.bias"])
