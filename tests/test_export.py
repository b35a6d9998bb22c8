"""Exported programs: one artifact for every platform, each with its own algorithm, for any batch size."""

import re

import jax
import numpy as np
import pytest

from jax_tconv import conv_transpose, select_method

X, KERNEL = (
    np.random.default_rng(0).standard_normal((2, 5, 6, 4)),
    np.random.default_rng(1).standard_normal((3, 3, 4, 3)),
)
PLATFORMS = ["cpu", "cuda", "tpu"]


def apply(x, kernel):
    return conv_transpose(x, kernel, stride=2, padding=1, output_padding=1)


def exported(platforms, function=apply):
    (batch,) = jax.export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, *X.shape[1:]), np.float32)
    kernel = jax.ShapeDtypeStruct(KERNEL.shape, np.float32)
    return jax.export.export(jax.jit(function), platforms=platforms)(x, kernel)


def test_one_artifact_for_three_platforms_called_back():
    artifact = jax.export.deserialize(exported(PLATFORMS).serialize(vjp_order=2))
    x, kernel = X.astype(np.float32), KERNEL.astype(np.float32)
    np.testing.assert_allclose(artifact.call(x, kernel), apply(x, kernel), rtol=1e-5, atol=1e-5)
    for ours, wanted in zip(
        jax.grad(lambda x, k: (artifact.call(x, k) ** 2).sum(), (0, 1))(x, kernel),
        jax.grad(lambda x, k: (apply(x, k) ** 2).sum(), (0, 1))(x, kernel),
        strict=True,
    ):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_platform_holds_the_algorithm_that_the_rules_name(platform):
    shapes, arguments = ((None, *X.shape[1:]), KERNEL.shape), {"stride": 2, "padding": 1, "output_padding": 1}
    methods = {name: select_method(*shapes, **arguments, platform=name).method for name in PLATFORMS}
    stuffed = re.compile(r"lhs_dilate = \[2, 2\]|lhs_dilation = array<i64: 2, 2>")
    assert bool(stuffed.search(exported([platform]).mlir_module())) == (methods[platform] == "lhs_dilation")
    together = exported(PLATFORMS).mlir_module()
    assert len(stuffed.findall(together)) == list(methods.values()).count("lhs_dilation") == 1
    assert "stablehlo.case" in together


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precisions_reach_cudnn_as_they_are(dtype):
    # XLA matches cuDNN's backward-data only where the result has the operands' dtype; elsewhere float32 is asked for.
    def results(platform):
        x, kernel = jax.ShapeDtypeStruct(X.shape, dtype), jax.ShapeDtypeStruct(KERNEL.shape, dtype)
        both = lambda x, kernel: (lambda y, vjp: (y, vjp(y)))(*jax.vjp(apply, x, kernel))
        module = jax.export.export(jax.jit(both), platforms=[platform])(x, kernel).mlir_module()
        return re.findall(r"stablehlo.convolution.*->\s*tensor<[\dx]+x(\w+)>", module)

    assert results("cuda") == [{"bfloat16": "bf16", "float16": "f16"}[dtype]] * 3
    assert set(results("cpu") + results("tpu")) == {"f32"}
