"""A named method is what runs, and the variant that `select_method` tells is the one of its forms that does."""

import dataclasses

import pytest

from jax_tconv import select_method
from jax_tconv._call.call import OPS, checked_call
from jax_tconv._selection.select import choose
from tests.cases import CASES, METHODS
from tests.programs import operations

CONVOLUTIONS = {"lhs_dilation", "vjp", "subpixel"}
# One call for each variant: input, kernel, arguments, and what stands in the program (a word, and how often).
MANY = ((1, 9, 8, 3), (12, 12, 3, 2))
SMALL = ((1, 9, 8, 3), (3, 3, 3, 2))
DEPTHWISE = ((1, 9, 8, 4), (3, 3, 4, 1))
VARIANTS = [
    ("col2im", "forward", "slices", *SMALL, {"stride": 2}, {"dot_general": 1, "reduce": 0}),
    ("col2im", "forward", "apart", *SMALL, {"stride": 3}, {"dot_general": 3, "reduce": 0}),
    ("col2im", "forward", "skewed", *MANY, {"stride": 3}, {"dot_general": 1, "reduce": 2}),
    ("col2im", "input_gradient", "patches", *SMALL, {"stride": 2}, {"dot_general": 1, "slice": 10, "concatenate": 1}),
    ("col2im", "input_gradient", "axis by axis", *MANY, {"stride": 3}, {"slice": 25, "concatenate": 2}),
    ("col2im", "kernel_gradient", "patches", *SMALL, {"stride": 2}, {"dot_general": 1, "concatenate": 1}),
    ("col2im", "kernel_gradient", "axis by axis", *MANY, {"stride": 3}, {"dot_general": 1, "concatenate": 2}),
    ("im2col", "forward", "residues", *SMALL, {"stride": 2}, {"dot_general": 4}),
    ("im2col", "forward", "blocks", *MANY, {"stride": 3}, {"dot_general": 1, "gather": 0}),
    ("im2col", "forward", "dilated blocks", *MANY, {"stride": 3, "dilation": 2}, {"dot_general": 1, "gather": 2}),
    ("taps", "forward", "products", *SMALL, {"stride": 2}, {"dot_general": 4, "while": 0}),
    ("taps", "forward", "products in a loop", *SMALL, {"stride": 1}, {"dot_general": 2, "while": 1}),
    ("taps", "forward", "multiplications", *DEPTHWISE, {"stride": 2, "groups": 4}, {"multiply": 4, "while": 0}),
    ("taps", "input_gradient", "multiplications", *DEPTHWISE, {"groups": 4}, {"multiply": 9, "dot_general": 0}),
    ("taps", "input_gradient", "products", (1, 9, 8, 3), (2, 2, 3, 2), {}, {"dot_general": 4, "while": 0}),
    ("taps", "input_gradient", "products in a loop", *SMALL, {}, {"dot_general": 2, "while": 1}),
    ("taps", "kernel_gradient", "multiplications", *DEPTHWISE, {"groups": 4}, {"multiply": 9, "while": 0}),
    ("taps", "kernel_gradient", "products in a loop", *SMALL, {}, {"dot_general": 1, "while": 1}),
    *(("taps", op, "multiplications in a loop", (1, 9, 8, 4), (9, 9, 4, 1), {"groups": 4}, {"while": 1}) for op in OPS),
]


@pytest.mark.parametrize(("method", "op", "variant", "x", "kernel", "arguments", "found"), VARIANTS)
def test_the_variant_that_is_told_is_the_one_that_runs(method, op, variant, x, kernel, arguments, found):
    assert select_method(x, kernel, **arguments, method=method, op=op).variant == variant
    program = operations(op, x, kernel, method=method, **arguments)
    assert {word: program[word] for word in found} == found


def test_every_variant_is_tried():
    tried = {(method, op, variant) for method, op, variant, *_ in VARIANTS}
    for method, op in ((method, op) for method in METHODS for op in OPS if hasattr(METHODS[method], op)):
        for case in CASES:
            x, kernel = case.draw()
            variant = select_method(x.shape, kernel.shape, **case.arguments, method=method, op=op).variant
            assert (method, op, variant) in tried or not variant


@pytest.mark.parametrize(
    ("method", "op", "variant", "found"),
    [
        ("col2im", "input_gradient", "aligned patches", {"dot_general": 1}),
        ("col2im", "kernel_gradient", "aligned patches", {"dot_general": 1}),
        ("im2col", "forward", "aligned classes", {"dot_general": 4}),
        ("taps", "forward", "aligned", {"dot_general": 9}),
        ("taps", "input_gradient", "aligned", {"dot_general": 9}),
    ],
)
def test_variants_on_several_devices(method, op, variant, found):
    x, kernel = SMALL
    call = checked_call(x, kernel, stride=2, padding=0, output_padding=0, output_size=None, dilation=1, groups=1)
    assert choose(op, dataclasses.replace(call, several_devices=True), "cpu", method).variant == variant
    program = operations(op, x, kernel, devices=2, stride=2, method=method)
    assert {word: program[word] for word in found} == found
    assert not program["while"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_named_method_runs_no_other(case, method):
    x, kernel = case.draw()
    for op in (op for op in OPS if hasattr(METHODS[method], op)):
        program = operations(op, x.shape, kernel.shape, method=method, **case.arguments)
        convolves = method in CONVOLUTIONS and not (method == "subpixel" and op != "forward")
        assert (program["convolution"] > 0) == convolves
