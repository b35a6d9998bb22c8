"""The kernels for TPUs: their values by Pallas's interpreter, and where a program for a TPU has them; packs."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jax_tconv import conv_transpose, select_method
from jax_tconv._call.call import Call
from jax_tconv._methods import fused, lhs_dilation, packing
from jax_tconv._methods.fused import blocks
from jax_tconv._methods.packing import packed
from jax_tconv._methods.products import Sums
from tests import reference
from tests.cases import CASES, Case
from tests.programs import lowered

EXACT = jax.lax.Precision.HIGHEST
NAMES = {"uneven axes 2d", "padding beyond the kernel 2d"}
# What the cases are too small for: more channels than a tile has, the last of several blocks half filled, and rows that
# the first block or the last do not have.
WIDE = [
    Case("wide", (9, 3), (3, 4), (2, 2), (1, 1), (1, 0), (1, 1), c_in=3, c_out=130, batch=1),
    Case("wide in", (5, 2), (4, 3), (3, 2), (4, 0), (2, 1), (1, 2), c_in=131, c_out=2, batch=2),
    Case("three axes", (5, 2, 3), (3, 2, 3), (2, 2, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1), c_in=2, c_out=3),
]


@pytest.mark.parametrize("case", [*(case for case in CASES if case.why in NAMES), *WIDE], ids=str)
def test_values(case, monkeypatch):
    # Two rows of 16 to a block.
    monkeypatch.setattr(blocks, "PRODUCT_ROWS", 32)
    for op in ("forward", "input_gradient"):
        (a, b), wanted = case.judged(op, np.float32)
        sums = Sums(EXACT, jnp.float32, True)
        function = functools.partial(getattr(fused, op), geometry=case.geometry(), sums=sums, interpret=True)
        ours = jax.jit(function)(a.astype(np.float32), b.astype(np.float32))
        assert ours.shape == wanted.shape
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max(), err_msg=op)


def test_halves_are_summed_in_float32_and_rounded_once():
    for op in ("forward", "input_gradient"):
        operands, wanted = WIDE[0].judged(op, jnp.bfloat16)
        halves = (jnp.asarray(v, jnp.bfloat16) for v in operands)
        ours = getattr(fused, op)(*halves, WIDE[0].geometry(), Sums(None, jnp.bfloat16, True), interpret=True)
        assert ours.dtype == jnp.bfloat16
        # Half a unit in the last of 8 places, and what the sums in float32 may add.
        np.testing.assert_allclose(ours.astype(float), wanted, rtol=2**-8 * 1.01, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("precision", [None, (jax.lax.Precision.DEFAULT,) * 2])
def test_one_product_in_bfloat16_by_default(precision):
    (a, b), _ = WIDE[0].judged("forward", np.float32)
    a, b = (v.astype(np.float32) for v in (a, b))
    rounded = [v.astype(jnp.bfloat16).astype(np.float64) for v in (a, b)]
    wanted = reference.conv_transpose(*rounded, **WIDE[0].reference_arguments)
    ours = fused.forward(a, b, WIDE[0].geometry(), Sums(precision, jnp.float32, True), interpret=True)
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("op", ["forward", "input_gradient", "kernel_gradient"])
@pytest.mark.parametrize("widest", [512, 6])
def test_packs_of_groups(op, widest, monkeypatch):
    monkeypatch.setattr(packing, "WIDEST", widest)
    case = Case("in packs", (3, 4), (3, 2), (2, 2), (1, 0), (1, 1), (1, 1), groups=4, c_in=3, c_out=2)
    (a, b), wanted = case.judged(op)
    call = Call.of(op, a.shape, b.shape, case.geometry())
    assert packing.packs(call) == (1 if widest == 512 else 2)
    seen = []

    def form(a, b, geometry, sums):
        seen.append(geometry.groups)
        return getattr(lhs_dilation, op)(a, b, geometry, sums)

    ours = packed(op, form, packing.packs(call))(*map(jnp.float32, (a, b)), call.geometry, Sums(EXACT, jnp.float32))
    assert seen == [packing.packs(call)]
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


LAYER = ((2, 8, 8, 16), (4, 4, 16, 128))
SQUARE = {"stride": 2, "padding": 1}


def kernels(text):
    """The kernels in a program, by name."""
    return re.findall(r'tpu_custom_call.*?kernel_name = "(\w+)"', text)


def test_a_program_for_a_tpu_has_them():
    for op, name in {"forward": "y", "input_gradient": "x"}.items():
        text = lowered(op, *LAYER, platform="tpu", method="fused", **SQUARE)
        assert len(kernels(text)) == 1
        assert kernels(text)[0].startswith(f"conv_transpose_{name}_")
    assert not kernels(lowered("kernel_gradient", *LAYER, platform="tpu", method="fused", **SQUARE))


def test_inside_shard_map():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    apply = jax.shard_map(
        functools.partial(conv_transpose, method="fused", **SQUARE),
        mesh=mesh,
        in_specs=(P("data"), P()),
        out_specs=P("data"),
    )
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((16, *LAYER[0][1:]), LAYER[1]))
    gradient = jax.grad(lambda x, kernel: apply(x, kernel).sum(), (0, 1))
    text = jax.jit(gradient).trace(x, kernel).lower(lowering_platforms=("tpu",)).as_text()
    assert [name.split("_")[2] for name in kernels(text)] == ["x"]


REFUSED = {
    "it is made for tpu": (*LAYER, SQUARE | {"platform": "cpu"}),
    "it takes two spatial axes or more": ((1, 8, 4), (3, 4, 4), {}),
    "it takes a batch of a known size": ((None, 8, 8, 4), (3, 3, 4, 4), {}),
    "it takes float32 and bfloat16, got float16": (*LAYER, SQUARE | {"dtype": "float16"}),
    "its kernel has 12,544 tiles of 128 x 128 values, up to 256": ((1, 8, 8, 2048), (7, 7, 2048, 2048), {}),
    "one row of its first axis takes 32,768 pushes": ((1, 8, 64, 64, 8), (4, 4, 4, 8, 8), {"stride": 2, "padding": 1}),
    "on the core, and takes up to 48": ((1, 8, 16384, 8), (2, 2, 8, 8), {"stride": 2}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_they_do_not_take(words):
    x, kernel, arguments = REFUSED[words]
    with pytest.raises(NotImplementedError, match=f'method="fused" cannot compute forward on .*{words}'):
        select_method(x, kernel, method="fused", **{"platform": "tpu"} | arguments)


def test_nowhere_but_on_a_tpu():
    with pytest.raises(NotImplementedError, match='method="fused" cannot compute forward on cpu: it is made for tpu'):
        conv_transpose(jnp.ones((1, 4, 4, 2)), jnp.ones((2, 2, 2, 2)), method="fused")


@pytest.mark.parametrize(("batch", "expected"), [("2", 1), ("n", 0)])
def test_export_for_a_tpu(batch, expected):
    x, kernel = (
        jax.ShapeDtypeStruct(jax.export.symbolic_shape(shape), jnp.float32)
        for shape in (f"{batch}, 8, 8, 16", "4, 4, 16, 128")
    )
    program = jax.jit(functools.partial(conv_transpose, **SQUARE))
    assert len(kernels(jax.export.export(program, platforms=["tpu"])(x, kernel).mlir_module())) == expected
