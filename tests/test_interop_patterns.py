"""`flatten=` and `layouts=` by pattern, in Python and on the command line."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jax_tconv import interop
from jax_tconv.cli import main

RNGS = nnx.Rngs(0)
RANDOM = np.random.default_rng(0)
FLATTEN = {"heads.*": (2, 3, 4), "heads.1": (3, 2, 4)}
LAYOUTS = {
    "*.table": "h w c -> c h w",
    "blocks.2.*": "h w c -> w c h",
    "blocks.1.table": "h w c -> h c w",
    "b*": "a b c -> b a c",
}


class Block(nnx.Module):
    def __init__(self, shape=(2, 2, 2)):
        self.table = nnx.Param(jnp.zeros(shape))


class Net(nnx.Module):
    def __init__(self):
        self.heads = nnx.List([nnx.Linear(24, 5, rngs=RNGS) for _ in range(3)])
        self.blocks = nnx.List([Block() for _ in range(3)])


class LinenBlock(nn.Module):
    @nn.compact
    def __call__(self, x):
        return self.param("table", nn.initializers.zeros, (2, 2, 2))


class LinenNet(nn.Module):
    def setup(self):
        self.heads = [nn.Dense(5) for _ in range(3)]
        self.blocks = [LinenBlock() for _ in range(3)]

    def __call__(self, x):
        return [head(x) for head in self.heads], [block(x) for block in self.blocks]


def state_dict():
    heads = {f"heads.{n}.{name}": shape for n in range(3) for name, shape in (("weight", (5, 24)), ("bias", (5,)))}
    shapes = heads | {f"blocks.{n}.table": (2, 2, 2) for n in range(3)}
    return {name: RANDOM.random(shape, np.float32) for name, shape in shapes.items()}


def check(tensors, heads, tables):
    """By hand: a name goes before a pattern, and a longer pattern before a shorter one."""
    for n, (height, width, channels) in enumerate([(2, 3, 4), (3, 2, 4), (2, 3, 4)]):
        wanted = tensors[f"heads.{n}.weight"].reshape(5, channels, height, width).transpose(2, 3, 1, 0).reshape(24, 5)
        np.testing.assert_array_equal(heads[n], wanted)
    for n, order in enumerate([(2, 0, 1), (0, 2, 1), (1, 2, 0)]):
        np.testing.assert_array_equal(tables[n], tensors[f"blocks.{n}.table"].transpose(order))


def test_nnx():
    net, tensors = Net(), state_dict()
    interop.load_state_dict(net, tensors, flatten=FLATTEN, layouts=LAYOUTS)
    check(tensors, [head.kernel[...] for head in net.heads], [block.table[...] for block in net.blocks])
    exported = interop.state_dict(net, flatten=FLATTEN, layouts=LAYOUTS)
    assert {name: tensor.tobytes() for name, tensor in exported.items()} == {
        name: tensor.tobytes() for name, tensor in tensors.items()
    }


def test_linen():
    module, tensors, x = LinenNet(), state_dict(), jnp.ones((1, 24))
    variables, _ = interop.linen_variables(module, tensors, x, flatten=FLATTEN, layouts=LAYOUTS)
    params = variables["params"]
    check(
        tensors,
        [params[f"heads_{n}"]["kernel"] for n in range(3)],
        [params[f"blocks_{n}"]["table"] for n in range(3)],
    )
    exported = interop.linen_state_dict(module, variables, x, flatten=FLATTEN, layouts=LAYOUTS)
    assert {name: tensor.tobytes() for name, tensor in exported.items()} == {
        name: tensor.tobytes() for name, tensor in tensors.items()
    }


def test_patterns_that_fit_nothing_or_what_they_cannot():
    net, tensors = Net(), state_dict()
    for argument, pattern, value in [
        ("flatten", "head.*", (2, 3, 4)),
        ("flatten", "eads.*", (2, 3, 4)),
        ("flatten", "[h]eads.*", (2, 3, 4)),
        ("layouts", "blocks.*.tables", "h w c -> c h w"),
        ("layouts", "*.weight", "a b -> b a"),
    ]:
        given = {"flatten": FLATTEN, "layouts": LAYOUTS}
        given[argument] = given[argument] | {pattern: value}
        with pytest.raises(ValueError, match=rf"{argument} names '.*', which the model does not have") as caught:
            interop.load_state_dict(net, tensors, **given)
        assert repr(pattern) in str(caught.value)
    # Everything that a pattern fits is checked.
    with pytest.raises(
        interop.StateDictError, match="blocks.0: Block: flatten is for Linear and Dense layers"
    ) as caught:
        interop.load_state_dict(net, tensors, flatten={"*": (2, 3, 4)}, layouts=LAYOUTS)
    assert len(caught.value.report.with_status("unsupported")) == 3
    with pytest.raises(interop.StateDictError, match=r"2 \* 3 \* 5 is not 24"):
        interop.load_state_dict(net, tensors, flatten={"heads.*": (2, 3, 5)}, layouts=LAYOUTS)
    with pytest.raises(interop.StateDictError, match=r"heads.0: Linear: layouts is for arrays of your own modules and"):
        interop.load_state_dict(net, tensors, flatten=FLATTEN, layouts={"*": "h w c -> c h w"})
    assert not np.any(net.blocks[0].table[...])


def test_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "pattern_nets.py").write_text("from tests.test_interop_patterns import Net\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    tensors = state_dict()
    interop.write("net.safetensors", tensors)
    command = ["jax-tconv", "convert", "net.safetensors", "out.safetensors", "--model", "pattern_nets:Net"]
    command += ["--flatten", "heads.*=2,3,4", "--flatten", "heads.1=3,2,4"]
    monkeypatch.setattr(
        sys, "argv", command + [part for name, rule in LAYOUTS.items() for part in ("--layout", f"{name}={rule}")]
    )
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert not ended.value.code
    arrays = interop.read("out.safetensors")
    check(
        tensors,
        [arrays[f"heads.{n}.kernel"] for n in range(3)],
        [arrays[f"blocks.{n}.table"] for n in range(3)],
    )
    monkeypatch.setattr(sys, "argv", [*command, "--dry-run", "--flatten", "tails.*=2,3,4"])
    with pytest.raises(SystemExit):
        main.main()
    assert "flatten names 'tails.*', which the model does not have" in capsys.readouterr().err
