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
    ((4, 5), 2, None, 0, 1, False),
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
    values, indices = jax.jit(lambda x: F.max_pool_with_indices(x, **kwargs))(x)
    wanted = torch_pool("max", 2, **kwargs, return_indices=True)(to_torch(x, 2))
    np.testing.assert_array_equal(values, from_torch(wanted[0], 2))
    np.testing.assert_array_equal(F.max_pool(x, **kwargs), from_torch(wanted[0], 2))
    np.testing.assert_array_equal(indices, from_torch(wanted[1], 2))


@pytest.mark.usefixtures("float64")
def test_the_gradient_of_max_pool_with_indices_is_that_of_the_values():
    kwargs = {"kernel_size": (3, 2), "stride": 1, "padding": (1, 0)}
    agree(lambda x: F.max_pool_with_indices(x, **kwargs)[0], torch_pool("max", 2, **kwargs), [ties(2, 4, 5, 3)], 2)


def test_ints_and_half_precision_have_a_maximum():
    x = RNG.integers(-100, 100, (1, 5, 2)).astype(np.int32)
    np.testing.assert_array_equal(F.max_pool(x, 2, 1, 1), from_torch(torch_pool("max", 1, **CLOSE)(to_torch(x, 1)), 1))
    half = jnp.asarray(x, jnp.bfloat16)
    assert F.max_pool(half, 2).dtype == jnp.bfloat16


CLOSE = {"kernel_size": 2, "stride": 1, "padding": 1}

# Spatial size, and the arguments.
AVG = [
    ((7,), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((7,), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    ((6,), {"kernel_size": 4, "stride": 3, "ceil_mode": True}),
    ((4, 5), {"kernel_size": 2}),
    ((5, 6), {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "ceil_mode": True}),
    ((5, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
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


ADAPTIVE = [((7,), (3,)), ((5, 6), (2, 4)), ((6, 4), (None, 2)), ((3, 4), (5, 4)), ((5, 5), 1), ((4, 3, 5), (3, 1, 2))]


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
    values, indices = torch_pool(
        "max", n, kernel_size=kernel_size, stride=stride, padding=padding, return_indices=True
    )(to_torch(x, n))
    places = from_torch(indices, n)
    agree(
        lambda v: F.max_unpool(v, places, kernel_size, stride, padding, output_size),
        lambda v: getattr(torch.nn.functional, f"max_unpool{n}d")(
            v, indices, kernel_size, stride, padding, output_size
        ),
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
    for pool in (
        lambda x: F.max_pool(x, (2, 3)),
        lambda x: F.avg_pool(x, (2, 3)),
        lambda x: F.adaptive_avg_pool(x, (2, 2)),
    ):
        whole = pool(x)
        assert whole.shape == (2, 3, 2, 2, 5)
        np.testing.assert_array_equal(whole[1, 2], pool(x[1, 2]))
        np.testing.assert_array_equal(whole, jax.vmap(pool)(x))
        assert pool(x[:0]).shape == (0, 3, 2, 2, 5)


def test_sums_of_half_precision_are_formed_in_float32():
    x = jnp.full((1, 64, 1), 1 + 2**-7, jnp.bfloat16)
    assert F.avg_pool(x, 64)[0, 0, 0] == x[0, 0, 0]
    assert F.adaptive_avg_pool(x, 1)[0, 0, 0] == x[0, 0, 0]
