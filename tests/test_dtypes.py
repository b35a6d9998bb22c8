"""Dtypes in and out, the width of the sums, and precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import conv_transpose
from tests.cases import METHODS

HALF = ["bfloat16", "float16"]


def ones(*shape, dtype):
    return jnp.ones(shape, dtype)


@pytest.mark.parametrize(
    ("x", "kernel", "out"),
    [
        ("float32", "float32", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float32", "float16", "float32"),
        ("bfloat16", "float16", "float32"),
        ("float16", "float16", "float16"),
        ("complex64", "float32", "complex64"),
        ("float32", "complex64", "complex64"),
        ("float64", "complex64", "complex128"),
        ("float64", "float32", "float64"),
    ],
)
def test_promotion_and_each_gradient_in_its_own_dtype(x, kernel, out):
    with jax.enable_x64(True):
        apply = lambda x, k, b: conv_transpose(x, k, b, stride=2)
        operands = ones(1, 4, 2, dtype=x), ones(3, 2, 2, dtype=kernel), ones(2, dtype=kernel)
        y, vjp = jax.vjp(apply, *operands)
        assert y.dtype == out
        gradients = vjp(jnp.ones_like(y))
        assert [g.dtype for g in gradients] == [x, kernel, kernel]
        # Every value is a small integer, exact in every dtype.
        np.testing.assert_array_equal(gradients[0].astype("complex128"), np.full((1, 4, 2), 6))
        np.testing.assert_array_equal(gradients[1].astype("complex128"), np.full((3, 2, 2), 4))
        np.testing.assert_array_equal(gradients[2].astype("complex128"), np.full(2, 9))


def test_a_wider_bias_promotes():
    y = conv_transpose(ones(1, 4, 2, dtype="bfloat16"), ones(3, 2, 2, dtype="bfloat16"), ones(2, dtype="float32"))
    assert y.dtype == "float32"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", HALF)
def test_half_precisions_are_summed_in_float32(dtype, method):
    # 4,096 ones: a bfloat16 sum stops growing at 256, a float16 one at 2,048.
    x, kernel = ones(1, 4, 4096, dtype=dtype), ones(3, 4096, 1, dtype=dtype)
    y = conv_transpose(x, kernel, padding=1, method=method)
    assert y.dtype == dtype
    assert y[0, 1, 0] == jnp.asarray(3 * 4096, dtype)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "matrix"])  # too large for it
@pytest.mark.parametrize("dtype", HALF)
def test_half_precisions_are_summed_over_the_taps_in_float32(dtype, method):
    # From 2,048 on float16 holds no odd number, from 256 on bfloat16 none: what is added to it, one by one, is lost. It
    # stands in the middle, so that half of the ones come after it whichever way the sum runs. And 129 taps are more
    # than any method takes one by one.
    x = np.ones((1, 129, 1))
    x[0, 64] = 2048
    y = conv_transpose(jnp.asarray(x, dtype), ones(129, 1, 1, dtype=dtype), method=method)
    assert y[0, 128, 0] == 2176


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name != "matrix"])  # too large for it
@pytest.mark.parametrize("dtype", HALF)
def test_half_precisions_are_summed_over_a_thousand_taps_in_float32(dtype, method):
    # Three, 1,024 times: from 2,048 on float16 holds no odd number, from 256 on bfloat16 none.
    y = conv_transpose(3 * ones(1, 1024, 1, dtype=dtype), ones(1024, 1, 1, dtype=dtype), method=method)
    assert y[0, 1023, 0] == 3072


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_gradients_are_summed_in_float32(dtype, method):
    # 4,096 samples and 4,096 output channels of one pixel each.
    x, kernel, bias = ones(4096, 1, 1, dtype=dtype), ones(1, 1, 4096, dtype=dtype), ones(4096, dtype=dtype)
    apply = lambda x, kernel, bias: conv_transpose(x, kernel, bias, method=method)
    y, vjp = jax.vjp(apply, x, kernel, bias)
    for gradient in vjp(jnp.ones_like(y)):
        assert gradient.dtype == dtype
        np.testing.assert_array_equal(gradient, jnp.full(gradient.shape, 4096, dtype))


def test_preferred_element_type():
    x, kernel, bias = ones(1, 4, 2, dtype="bfloat16"), ones(3, 2, 2, dtype="bfloat16"), ones(2, dtype="float32")
    # 1/3 in bfloat16, squared and summed, has more digits than bfloat16 holds.
    x = x / 3
    wide = conv_transpose(x, kernel / 3, preferred_element_type=jnp.float32)
    narrow = conv_transpose(x, kernel / 3)
    assert wide.dtype == "float32"
    assert narrow.dtype == "bfloat16"
    assert (wide != narrow.astype("float32")).any()
    np.testing.assert_array_equal(wide.astype("bfloat16"), narrow)
    assert conv_transpose(x, kernel, bias, preferred_element_type="bfloat16").dtype == "bfloat16"
    _, vjp = jax.vjp(lambda x, k: conv_transpose(x, k, preferred_element_type=jnp.float32), x, kernel)
    assert [g.dtype for g in vjp(jnp.ones_like(wide))] == ["bfloat16", "bfloat16"]


@pytest.mark.parametrize("method", [None, *METHODS])
def test_precision_reaches_all_three_ops(method):
    x, kernel = ones(1, 4, 2, dtype="float32"), ones(3, 2, 2, dtype="float32")

    def lowered(**arguments):
        def loss(x, kernel):
            return (conv_transpose(x, kernel, method=method, **arguments) ** 2).sum()

        return jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).as_text()

    assert "HIGHEST" not in lowered()
    check_every_product_is_highest(lowered(precision="highest"))
    with jax.default_matmul_precision("highest"):
        jaxpr = jax.make_jaxpr(jax.grad(lambda x, k: (conv_transpose(x, k, method=method) ** 2).sum(), (0, 1)))
        program = jaxpr(x, kernel)
    # Lowered only now, outside the context.
    text = jax.jit(jax.extend.core.jaxpr_as_fun(program)).lower(x, kernel).as_text()
    check_every_product_is_highest(text)


def check_every_product_is_highest(text):
    products = text.count("stablehlo.convolution(") + text.count("stablehlo.dot_general ")
    assert products >= 3
    assert text.count("HIGHEST") == 2 * products  # both operands of each
