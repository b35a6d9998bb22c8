"""The rules for a TPU, without one: each row is reached by a layer, and is lowered to what its method says."""

import dataclasses
import functools
import itertools

import pytest

from jax_tconv import select_method
from jax_tconv._call.call import OPS, checked_call
from jax_tconv._selection import tpu
from jax_tconv._selection.rules import deciding
from jax_tconv._selection.select import choose
from tests.accelerators.layers import LAYERS, find
from tests.programs import lowered

DTYPES = ("float32", "bfloat16")
ON_SEVERAL = "split over several devices"


@functools.cache
def reached(op):
    """For each row, by its condition's words, the first layer that it decides, and in which dtype."""
    found = {}
    for dtype, batch, name in itertools.product(DTYPES, (1, 16), (layer.name for layer in LAYERS)):
        layer = find(name, batch)
        x, kernel, _ = layer.shapes
        call = checked_call(x, kernel, output_size=None, **layer.arguments)
        rule = deciding(tpu.RULES[op], dataclasses.replace(call, whole=True, dtype=dtype, result_dtype=dtype))
        found.setdefault(rule.when.words, (layer, dtype))
    return found


@pytest.mark.parametrize("op", OPS)
def test_every_row_is_reached_by_a_layer(op):
    rows = {rule.when.words for rule in tpu.RULES[op] if not rule.when.words.endswith(ON_SEVERAL)}
    assert rows <= reached(op).keys()


@pytest.mark.parametrize("op", OPS)
def test_what_each_row_is_lowered_to(op):
    for layer, dtype in reached(op).values():
        x, kernel, _ = layer.shapes
        choice = select_method(x, kernel, op=op, platform="tpu", dtype=dtype, **layer.arguments)
        text = lowered(op, x, kernel, platform="tpu", dtype=dtype, **layer.arguments)
        kernels, convolutions, products = (
            text.count(word) for word in ("@tpu_custom_call", "stablehlo.convolution", "stablehlo.dot_general")
        )
        assert {
            "fused": kernels == 1 and convolutions == products == 0,
            "lhs_dilation": convolutions == 1 and kernels == products == 0,
            "subpixel": kernels == 0 and convolutions + products == 1,
            "taps": kernels == convolutions == 0,
            "im2col": kernels == convolutions == 0 and products >= 1,
            "col2im": kernels == convolutions == 0 and products == 1,
        }[choice.method], (layer, choice)


@pytest.mark.parametrize(
    ("x", "kernel", "arguments", "methods"),
    [
        ((1, 64, 64, 256), (3, 3, 256, 128), {"stride": 2, "padding": 1}, "fused fused lhs_dilation"),
        ((32, 16, 16, 256), (4, 4, 256, 128), {"stride": 2, "padding": 1}, "fused lhs_dilation lhs_dilation"),
        ((1, 16, 16, 16, 256), (2, 2, 2, 256, 128), {"stride": 2}, "fused fused lhs_dilation"),
        # No kernel for one axis, half precision of the other kind, or a batch that is not known.
        ((1, 1024, 256), (16, 256, 128), {"stride": 8, "padding": 4}, "im2col taps lhs_dilation"),
        ((None, 64, 64, 256), (3, 3, 256, 128), {"stride": 2, "padding": 1}, "lhs_dilation lhs_dilation lhs_dilation"),
        # A stride as large as the kernel, or a kernel as large as the image.
        ((1, 30, 30, 21), (32, 32, 21, 21), {"stride": 16}, "im2col col2im subpixel"),
        ((1, 120, 160, 56), (9, 9, 56, 1), {"stride": 3, "padding": 4, "output_padding": 2}, "taps col2im col2im"),
    ],
)
def test_what_suits_common_layers(x, kernel, arguments, methods):
    for op, method in zip(OPS, methods.split(), strict=True):
        assert select_method(x, kernel, op=op, platform="tpu", **arguments).method == method


def test_small_groups_are_one_product():
    x, kernel, arguments = (1, 32, 32, 256), (4, 4, 256, 8), {"stride": 2, "padding": 1, "groups": 32}
    choice = select_method(x, kernel, platform="tpu", **arguments)
    assert (choice.method, choice.packs) == ("fused", 1)
    assert "the groups in packs, 1 in all" in str(choice)
    wide = select_method((1, 32, 32, 1024), (4, 4, 1024, 8), platform="tpu", **arguments | {"groups": 128})
    assert wide.packs == 2


def test_several_devices_get_no_kernel():
    x, kernel = (8, 64, 64, 256), (3, 3, 256, 128)
    for op in OPS:
        call = checked_call(x, kernel, stride=2, padding=1, output_padding=0, output_size=None, dilation=1, groups=1)
        split = dataclasses.replace(call, several_devices=True)
        assert choose(op, split, "tpu").method == "lhs_dilation"
        if op != "kernel_gradient":
            with pytest.raises(NotImplementedError, match="cannot split it over several devices"):
                choose(op, split, "tpu", "fused")
