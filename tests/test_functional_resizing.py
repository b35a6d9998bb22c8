"""`jax_tconv.functional`'s interpolate against torch: which rows it takes of thousands of sizes, values, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import functional as F
from jax_tconv._functional import resizing_rows

torch = pytest.importorskip("torch")

from tests.functional import agree, close, from_torch, to_torch  # noqa: E402

RNG = np.random.default_rng(0)
SIZES = [*range(1, 12), 17, 30, 64, 101]
# The last three round down to the same size from some sizes and not from others, and one is no exact double.
FACTORS = [2.0, 3.0, 0.5, 1.5, 1.2, 2.32, 0.37, 1 / 3, 0.1 * 7]


def sizes_and_factors(least=1):
    """Sizes before and after, each with the scale factor that gives the latter, or None where it is asked for."""
    for size in SIZES:
        yield from ((size, count, None) for count in (*range(least, 10), 2 * size, 3 * size, 33, 71) if count >= least)
        yield from ((size, int(size * factor), factor) for factor in FACTORS if int(size * factor) >= least)


def by_torch(size, count, factor, mode, dtype, n=1, width=2, **kwargs):
    """The matrix of torch's interpolation of one axis, the first of `n`; the others keep their size, `width`."""
    x = torch.eye(size, dtype=getattr(torch, dtype)).reshape(1, size, size, *[1] * (n - 1))
    x = x.expand(1, size, size, *[width] * (n - 1)).contiguous()
    if factor is None:
        kwargs["size"] = (count, *[width] * (n - 1))
    else:
        kwargs["scale_factor"] = (factor, *[1.0] * (n - 1))
    y = torch.nn.functional.interpolate(x, mode=mode, **kwargs)
    return y[0].reshape(size, count, -1)[..., 0].T.numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_rows(mode, dtype):
    """torch has two kernels: for images whose height and width add up to 128 at most, and for everything else."""
    for n, width in ((1, 1), (2, 2), (2, 127)):
        for size, count, factor in sizes_and_factors():
            rows = resizing_rows.nearest(
                size, count, factor, mode == "nearest-exact", n == 2 and count + width <= 128, dtype
            )
            wanted = by_torch(size, count, factor, mode, dtype, n, width).argmax(1)
            np.testing.assert_array_equal(rows, wanted, f"{n} {width} {size} {count} {factor}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", ["linear", "bilinear", "trilinear", "bicubic", "bilinear aa", "bicubic aa"])
def test_the_weights_of_rows(mode, align_corners, dtype):
    mode, _, antialias = mode.partition(" ")
    n = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}[mode]
    kwargs = {"align_corners": align_corners, **({"antialias": True} if antialias else {})}
    # In float32, an index of up to 300 is rounded in its 24th bit, and a weight with it; torch's machine code rounds
    # some products and sums at once.
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for size, count, factor in sizes_and_factors():
        step = resizing_rows.step(size, count, factor, align_corners, dtype)
        rows, weights = resizing_rows.weighted(mode, size, count, step, align_corners, bool(antialias))
        matrix = np.zeros((count, size))
        np.add.at(matrix, (np.arange(count)[:, None], rows), weights)
        wanted = by_torch(size, count, factor, mode, dtype, n, **kwargs)
        np.testing.assert_allclose(matrix, wanted, atol=tolerance, err_msg=f"{size} {count} {factor}")


CASES = [
    ((5,), "nearest", {"scale_factor": 3}),
    ((4, 6), "nearest", {"size": (7, 3)}),
    ((4, 5, 3), "nearest", {"scale_factor": (1.5, 2.0, 1.0)}),
    ((4, 6), "nearest-exact", {"size": (7, 3)}),
    ((5,), "linear", {"scale_factor": 1.7, "align_corners": True}),
    ((4, 5), "bilinear", {"scale_factor": (1.7, 0.6)}),
    ((4, 5), "bilinear", {"scale_factor": (1.7, 0.6), "recompute_scale_factor": True}),
    ((4, 1), "bilinear", {"size": (1, 3), "align_corners": True}),
    ((3, 4, 2), "trilinear", {"size": (5, 2, 4)}),
    ((3, 5), "bicubic", {"scale_factor": 2.5}),
    ((9, 6), "bicubic", {"size": (4, 8), "antialias": True}),
    ((4, 6), "area", {"scale_factor": 0.7}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("float64")
def test_values_and_gradients(case):
    size, mode, kwargs = case
    agree(
        lambda x: F.interpolate(x, mode=mode, **kwargs),
        lambda x: torch.nn.functional.interpolate(x, mode=mode, **kwargs),
        [RNG.normal(size=(2, *size, 3))],
        len(size),
    )


def test_float32_half_precision_and_ints():
    x = RNG.normal(size=(2, 6, 5, 3)).astype(np.float32)
    resize = jax.jit(lambda x: F.interpolate(x, scale_factor=(1.6, 2.3), mode="bilinear"))
    wanted = torch.nn.functional.interpolate(to_torch(x, 2), scale_factor=(1.6, 2.3), mode="bilinear")
    close(resize(x), from_torch(wanted, 2), 2e-6)
    half = resize(jnp.asarray(x, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), from_torch(wanted, 2), atol=0.02)
    np.testing.assert_array_equal(
        F.interpolate(np.arange(3, dtype=np.uint8).reshape(1, 3, 1), 6).ravel(), [0, 0, 1, 1, 2, 2]
    )


@pytest.mark.usefixtures("float64")
def test_shuffles():
    x = RNG.normal(size=(2, 4, 6, 12))
    agree(lambda x: F.pixel_shuffle(x, 2), lambda x: torch.nn.functional.pixel_shuffle(x, 2), [x], 2)
    agree(lambda x: F.pixel_unshuffle(x, 2), lambda x: torch.nn.functional.pixel_unshuffle(x, 2), [x], 2)
    agree(lambda x: F.channel_shuffle(x, 3), lambda x: torch.channel_shuffle(x, 3), [x], 2)
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x[0], 2), 2), x[0])


PADS = [
    ("constant", (2, -1, 0, 3)),
    ("reflect", (-1, 2, 2, -1)),
    ("replicate", (5, 0, -2, 6)),
    ("circular", (4, 1, 2, 3)),
    ("circular", (-1, 2, 0, -1)),
]


@pytest.mark.parametrize("case", PADS, ids=str)
@pytest.mark.usefixtures("float64")
def test_pads(case):
    mode, widths = case
    kwargs = {"value": 1.5} if mode == "constant" else {}
    pairs = ((0, 0), widths[2:], widths[:2], (0, 0))
    agree(
        lambda x: F.pad(x, pairs, mode, **kwargs),
        lambda x: torch.nn.functional.pad(x, widths, mode, **kwargs),
        [RNG.normal(size=(2, 3, 4, 2))],
        2,
    )
