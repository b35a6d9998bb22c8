"""Rounding: no method's error is far from PyTorch's own on the same numbers, each measured against float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import conv_transpose
from tests import reference
from tests.cases import CASES, METHODS, Case

torch = pytest.importorskip("torch")

WIDE = Case("many channels", (7, 6), (4, 4), (2, 2), (1, 1), (0, 0), (1, 1), c_in=64, c_out=32)


def errors(case, dtype, method):
    """For T, C and W: our largest error, PyTorch's, and the largest value."""
    x, kernel = (jnp.asarray(v).astype(dtype) for v in case.draw(np.float32))
    exact = [np.asarray(v, np.float64) for v in (x, kernel)]
    y64 = reference.conv_transpose(*exact, **case.reference_arguments)
    g = jnp.asarray(np.random.default_rng(1).standard_normal(y64.shape)).astype(dtype)
    g64 = np.asarray(g, np.float64)
    wanted = (y64, *reference.gradients(*exact, g64, **case.reference_arguments))

    y, vjp = jax.vjp(lambda x, kernel: conv_transpose(x, kernel, method=method, **case.arguments), x, kernel)
    ours = (y, *vjp(g))

    to_torch = lambda v, axes: torch.tensor(v.transpose(axes)).to(getattr(torch, dtype)).contiguous()
    n = len(case.size)
    first, last = (0, n + 1, *range(1, n + 1)), (n, n + 1, *range(n))
    tx, tk, tg = to_torch(exact[0], first), to_torch(exact[1], last), to_torch(g64, first)
    tx.requires_grad_(), tk.requires_grad_()
    ty = getattr(torch.nn.functional, f"conv_transpose{n}d")(tx, tk, **case.arguments)
    ty.backward(tg)
    back = lambda t, axes: t.detach().double().numpy().transpose(np.argsort(axes))
    theirs = (back(ty, first), back(tx.grad, first), back(tk.grad, last))
    for op, a, b, c in zip("TCW", ours, theirs, wanted, strict=True):
        yield op, np.abs(np.asarray(a, np.float64) - c).max(), np.abs(b - c).max(), np.abs(c).max()


# Each method on a third of the cases and each case with a third of the methods; the rest takes a minute.
EVERY = list(itertools.product(enumerate([*CASES, WIDE]), enumerate([None, *METHODS])))


@pytest.mark.parametrize(
    ("case", "method"),
    [
        pytest.param(case, method, id=f"{case}-{method}", marks=() if (n + m) % 3 == 0 else pytest.mark.slow)
        for (n, case), (m, method) in EVERY
    ],
)
def test_float32_within_four_times_torchs_error(case, method):
    for op, ours, theirs, largest in errors(case, "float32", method):
        # Where PyTorch happens to be exact, one unit in the last place of the largest value.
        assert ours <= 4 * max(theirs, np.finfo(np.float32).eps * largest / 4), op


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_no_worse_than_torchs(dtype, method):
    for op, ours, theirs, largest in errors(WIDE, dtype, method):
        # Or half a unit in the last place: a correctly rounded sum.
        assert ours <= max(theirs, float(jnp.finfo(dtype).eps) * largest / 2), op
