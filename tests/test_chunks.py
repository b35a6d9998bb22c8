"""A few rows at a time: what large images get, forced on the small ones of the cases."""

import jax
import numpy as np
import pytest

from jax_tconv import conv_transpose
from jax_tconv._methods import METHODS, rows
from jax_tconv._methods.products import Sums
from tests.cases import CASES, Case
from tests.test_sharding import collectives

CHUNKED = [("col2im", "forward"), ("col2im", "input_gradient"), ("col2im", "kernel_gradient"), ("im2col", "forward")]
CHUNKED += [("subpixel", "input_gradient"), ("subpixel", "kernel_gradient"), ("taps", "kernel_gradient")]
# More rows than those have, so that the last of several chunks is not full.
TALL = [
    Case("tall", (9, 3), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1)),
    Case("tall and dilated", (9, 2), (3, 2), (2, 1), (1, 1), (1, 0), (2, 3), groups=2),
    Case("tall, nothing overlaps", (7, 3), (2, 2), (2, 2), (0, 0), (1, 0), (1, 1)),
    Case("tall, nothing overlaps 1d", (7,), (3,), (3,), (0,), (1,), (1,)),
    Case("tall, many taps", (9, 2), (11, 11), (2, 3), (3, 1), (0, 2), (1, 1)),
    Case("tall, depthwise and many taps", (9, 2), (9, 9), (2, 2), (3, 1), (0, 1), (1, 1), groups=3, c_in=1, c_out=1),
    Case("tall, many taps and dilated", (9, 2), (11, 11), (2, 3), (3, 1), (0, 2), (3, 2), groups=2),
    Case("tall, padding beyond the kernel", (11,), (4,), (2,), (6,), (0,), (1,)),
]

pytestmark = pytest.mark.usefixtures("float64")


def lowered_anew(function, geometry, operands):
    # Not through conv_transpose: what it has compiled for these shapes before is not in chunks.
    return jax.jit(lambda a, b: function(a, b, geometry, Sums(None, np.float64))).lower(*operands)


@pytest.mark.parametrize(
    ("chunk", "cases"),
    [(1e-6, TALL), (2e-5, [*TALL, *CASES[::3]]), pytest.param(2e-5, CASES, marks=pytest.mark.slow)],
    ids=["row", "rows", "rows of every case"],
)
@pytest.mark.parametrize(("method", "op"), CHUNKED)
def test_values_in_chunks(method, op, chunk, cases, monkeypatch):
    function = getattr(METHODS[method], op)
    monkeypatch.setattr(rows, "MEGABYTE", rows.MEGABYTE * chunk)
    looped = 0
    for case in cases:
        operands, wanted = case.judged(op)
        lowered = lowered_anew(function, case.geometry(), operands)
        looped += "stablehlo.while" in lowered.as_text()
        ours = lowered.compile()(*operands)
        assert ours.shape == wanted.shape, case
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max(), err_msg=str(case))
    assert looped > len(cases) // 4


@pytest.mark.parametrize("groups", [1, 2, 20])
@pytest.mark.parametrize(("kernel_size", "stride"), [(2, 2), (3, 2), (4, 2), (3, 1)])
def test_chunks_of_a_sharded_batch_need_no_communication(kernel_size, stride, groups, monkeypatch):
    monkeypatch.setattr(rows, "MEGABYTE", 400)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 6, 6, 4 * groups))
    kernel = rng.standard_normal((kernel_size, kernel_size, 4 * groups, 2))
    forward = lambda x, kernel: conv_transpose(x, kernel, stride=stride, padding=kernel_size // 3, groups=groups)
    gradient = jax.grad(lambda x, kernel: (forward(x, kernel) ** 2).sum(), (0, 1))
    assert "stablehlo.while" in jax.jit(gradient).lower(x, kernel).as_text()
    assert collectives(forward, x, kernel) == []
    assert collectives(gradient, x, kernel) == ["all-reduce"]
