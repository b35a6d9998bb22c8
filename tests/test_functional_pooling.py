"""`jax_tconv.functional`'s pooling against torch: values, gradients, indices, and where windows are counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import functional as F
from jax_tconv._functional.windows import windows

torch = pytest.importorskip("torch")

from tests.functional import agree, from_torch, to_torch  # noqa: E402

RNG = np.random.default_rng(0)


def ties(*shape):
    """Small ints, so that many windows have several largest values."""
    return RNG.integers(-2, 3, shape).astype(float)


def torch_pool(kind, n, **kwargs):
    return lambda x: getattr(torch.nn.functional, f"{kind}_pool{n}d")(x, **kwargs)


# Spatial size, kernel_size, stride, padding, dilation, ceil_mode.
MAX = [
    ((7,), 3, 2, 1, 1, False),
    ((5,), 2, 2, 1, 2, True),
    ((6, 4), (3, 2), (2, 3), (1, 0), 1, True),
    ((5, 5), 3, 2, 1, (1, 2), True),
    ((2, 1), (4, 2), 1, (2, 1), 1, False),  # a kernel larger than the input
    ((3, 4, 2), (2, 3, 2), 2, (1, 1, 0), 1, True),
]


@pytest.mark.parametrize("case", MAX, ids=str)
@pytest.mark.usefixtures("float64")
def test_max_pool(case):
    size, *arguments = case
    n = len(size)
    kwargs = dict(zip(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), arguments, strict=True))
    x = ties(2, *size, 3)
    agree(lambda x: F.max_pool(x, **kwargs), torch_pool("max", n, **kwargs), [x], n)
    values, indices = jax.jit(lambda x: F.max_pool_with_indices(x, **kwargs))(x)
    wanted = torch_pool("max", n, **kwargs, return_indices=True)(to_torch(x, n))
    np.testing.assert_array_equal(values, from_torch(wanted[0], n))
    np.testing.assert_array_equal(indices, from_torch(wanted[1], n))


@pytest.mark.usefixtures("float64")
def test_max_pool_of_infinities_and_nans():
    x = np.full((1, 4, 4, 2), -np.inf)
    x[0, 1, 1], x[0, 2, 3, 0] = np.nan, np.inf
    kwargs = {"kernel_size": 2, "padding": 1}
    pooled, values, indices = jax.jit(lambda x: (F.max_pool(x, **kwargs), *F.max_pool_with_indices(x, **kwargs)))(x)
    wanted = torch_pool("max", 2, **kwargs, return_indices=True)(to_torch(x, 2))
    np.testing.assert_array_equal(pooled, from_torch(wanted[0], 2))
    np.testing.assert_array_equal(values, from_torch(wanted[0], 2))
    np.testing.assert_array_equal(indices, from_torch(wanted[1], 2))


@pytest.mark.usefixtures("float64")
def test_the_gradient_of_max_pool_with_indices_is_that_of_the_values():
    kwargs = {"kernel_size": (3, 2), "stride": 1, "padding": (1, 0)}
    agree(lambda x: F.max_pool_with_indices(x, **kwargs)[0], torch_pool("max", 2, **kwargs), [ties(2, 4, 5, 3)], 2)


def test_ints_and_half_precision_have_a_maximum():
    x = RNG.integers(-100, 100, (1, 5, 5, 2))
    pool = jax.jit(lambda x: F.max_pool(x, 2, 1, 1))
    wanted = from_torch(torch_pool("max", 2, kernel_size=2, stride=1, padding=1)(to_torch(x, 2)), 2)
    for dtype in (jnp.int8, jnp.int32, jnp.bfloat16):
        np.testing.assert_array_equal(pool(jnp.asarray(x, dtype)), wanted.astype(dtype))


# Spatial size, and the arguments.
AVG = [
    ((7,), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((7,), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    ((5, 6), {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "ceil_mode": True}),
    ((4, 4), {"kernel_size": (2, 3), "padding": 1, "divisor_override": 5, "ceil_mode": True}),
    ((2, 1), {"kernel_size": 4, "stride": 1, "padding": 2, "count_include_pad": False}),
    ((3, 4, 4), {"kernel_size": (2, 3, 3), "stride": 2, "padding": (0, 1, 1), "ceil_mode": True}),
    ((3, 4, 4), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
]


@pytest.mark.parametrize("case", AVG, ids=str)
@pytest.mark.usefixtures("float64")
def test_avg_pool(case):
    size, kwargs = case
    n = len(size)
    agree(lambda x: F.avg_pool(x, **kwargs), torch_pool("avg", n, **kwargs), [RNG.normal(size=(2, *size, 3))], n)


@pytest.mark.parametrize("case", [((6,), 2, 3, 2, True), ((5, 4), 1.5, 2, None, False), ((4, 3, 4), 3, 2, 2, True)])
@pytest.mark.usefixtures("float64")
def test_lp_pool(case):
    size, p, kernel_size, stride, ceil_mode = case
    n = len(size)
    x = RNG.uniform(0.1, 2, (2, *size, 3))
    agree(
        lambda x: F.lp_pool(x, p, kernel_size, stride, ceil_mode),
        lambda x: getattr(torch.nn.functional, f"lp_pool{n}d")(x, p, kernel_size, stride, ceil_mode),
        [x],
        n,
    )


ADAPTIVE = [((7,), (3,)), ((6, 4), (None, 2)), ((3, 4), 5), ((4, 3, 5), (3, 1, 2))]


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("case", ADAPTIVE, ids=str)
@pytest.mark.usefixtures("float64")
def test_adaptive_pools(case, kind):
    size, output_size = case
    n = len(size)
    ours = {"avg": F.adaptive_avg_pool, "max": F.adaptive_max_pool}[kind]
    theirs = getattr(torch.nn.functional, f"adaptive_{kind}_pool{n}d")
    agree(lambda x: ours(x, output_size), lambda x: theirs(x, output_size), [ties(2, *size, 3)], n)


@pytest.mark.parametrize(
    "case", [((4,), 2, None, 0, None), ((4, 6), (2, 3), None, 0, None), ((5, 7), 2, None, 0, (5, 7))], ids=str
)
@pytest.mark.usefixtures("float64")
def test_max_unpool(case):
    size, kernel_size, stride, padding, output_size = case
    n = len(size)
    x = ties(2, *size, 3)
    arguments = (kernel_size, stride, padding)
    values, indices = getattr(torch.nn.functional, f"max_pool{n}d")(to_torch(x, n), *arguments, return_indices=True)
    places = from_torch(indices, n)
    agree(
        lambda v: F.max_unpool(v, places, *arguments, output_size),
        lambda v: getattr(torch.nn.functional, f"max_unpool{n}d")(v, indices, *arguments, output_size),
        [from_torch(values, n)],
        n,
    )


def test_windows_are_counted_as_torch_counts_them():
    """On 400 sets of arguments, without computing a value."""
    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(400):
        size, kernel, stride, dilation = (int(rng.integers(1, most)) for most in (12, 6, 7, 4))
        padding, ceil_mode = int(rng.integers(0, kernel // 2 + 1)), bool(rng.integers(2))
        arguments = (kernel, stride, padding, dilation)
        pool = torch.nn.MaxPool1d(*arguments, ceil_mode=ceil_mode)
        try:
            (window,) = windows(np.zeros((1, size, 1)), 1, *arguments, ceil_mode=ceil_mode)
        except ValueError:
            with pytest.raises(RuntimeError, match="Invalid computed output size|too small|[Oo]utput size"):
                pool(torch.zeros((1, 1, size), device="meta"))
        else:
            assert window.count == pool(torch.zeros((1, 1, size), device="meta")).shape[-1], arguments
            compared += 1
    assert compared > 200


def test_any_number_of_batch_axes_none_and_vmap():
    x = RNG.normal(size=(2, 3, 4, 6, 5)).astype(np.float32)

    @jax.jit
    def pools(x):
        return F.max_pool(x, (2, 3)), F.avg_pool(x, (2, 3)), F.adaptive_avg_pool(x, (2, 2))

    whole = pools(x[0])
    assert {pooled.shape for pooled in whole} == {(3, 2, 2, 5)}
    for other, index in ((jax.vmap(pools)(x), (0,)), (pools(x), (0,)), (pools(x[0, 1]), ())):
        for pooled, again in zip(whole, other, strict=True):
            np.testing.assert_allclose(again[index], pooled if index else pooled[1], rtol=1e-6)
    assert {pooled.shape for pooled in pools(x[0, :0])} == {(0, 2, 2, 5)}


def test_sums_of_half_precision_are_formed_in_float32():
    x = jnp.full((1, 64, 1), 1 + 2**-7, jnp.bfloat16)
    for mean in jax.jit(lambda x: (F.avg_pool(x, 64), F.adaptive_avg_pool(x, 1)))(x):
        assert mean[0, 0, 0] == x[0, 0, 0]
