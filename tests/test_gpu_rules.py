"""What the rules for a GPU avoid, one by one, in the programs handed to XLA; `tests/accelerators` compiles them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import conv_transpose, select_method
from jax_tconv._call.call import OPS, checked_call
from jax_tconv._methods.swapped import swaps_operands
from tests import reference
from tests.cases import METHODS
from tests.programs import lowered, operations

SQUARE = {"stride": 2, "padding": 1}
FOUR_AXES = ((1, 3, 3, 3, 3, 4), (2, 2, 2, 2, 4, 2))


def chosen(x, kernel, op="forward", **arguments):
    return select_method(x, kernel, **arguments, op=op, platform="cuda").method


@pytest.mark.parametrize("op", OPS)
def test_no_convolution_in_four_axes(op):
    assert operations(op, *FOUR_AXES, platform="cuda", stride=2)["convolution"] == 0


@pytest.mark.parametrize("platform", ["cuda", "rocm"])
@pytest.mark.parametrize(
    ("method", "op"),
    [(method, op) for method in ("lhs_dilation", "vjp") for op in ("forward", "kernel_gradient")]
    + [("subpixel", "forward")],
)
def test_a_named_convolution_in_four_axes_is_refused(method, op, platform):
    message = rf'method="{method}" cannot compute {op} on {platform}: .* in 4 axes.*; method=None has no such limit'
    with pytest.raises(NotImplementedError, match=message):
        select_method(*FOUR_AXES, op=op, method=method, platform=platform)
    with pytest.raises(NotImplementedError, match=message):
        lowered(op, *FOUR_AXES, platform=platform, method=method)


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_it_is_not_refused_elsewhere(platform):
    assert select_method(*FOUR_AXES, method="lhs_dilation", platform=platform).method == "lhs_dilation"


# Input size, kernel size, stride, padding, dilation; whether XLA swaps the operands of the op as one convolution.
SWAPPED = [
    ((3, 3), (5, 5), 2, 2, 1, True),
    ((5, 5), (5, 5), 2, 2, 1, False),
    ((4, 7), (7, 4), 1, 0, 1, False),
    ((4, 7), (7, 5), 1, 0, 1, True),
    ((3,), (4,), 2, 1, 1, True),
    ((3,), (4,), 2, 1, 2, True),
    # One pixel is counted as if it were as large as the kernel, but not with padding, stride or dilation.
    ((1, 1), (4, 4), 1, 0, 1, False),
    ((1, 1), (4, 4), 1, 1, 1, True),
    ((1, 2), (4, 2), 1, 0, 1, False),
    ((1, 2), (4, 2), 1, 0, 2, True),
    # An axis whose rows all meet in one row of the output is not counted.
    ((4, 4), (4, 5), 1, (3, 0), 1, True),
    ((4, 5), (4, 5), 1, (3, 0), 1, False),
    # Nor is one with kernel 2, stride 2 and padding 1, and two pixels.
    ((2, 6), (2, 7), 2, (1, 0), 1, True),
    ((2, 7), (2, 7), 2, (1, 0), 1, False),
    # With more pixels it would end the process; with a row to spare it is counted.
    ((6, 4), (2, 8), 2, (1, 0), 1, False),
    ((3, 4), (2, 8), 2, (1, 0), 1, True),
    ((3, 2, 4), (2, 2, 9), 2, (1, 1, 0), 1, True),
]


@pytest.mark.parametrize("method", ["lhs_dilation", "vjp"])
def test_where_xla_swaps_the_operands(method):
    rng = np.random.default_rng(0)
    for size, kernel_size, stride, padding, dilation, swapped in SWAPPED:
        x, kernel = rng.standard_normal((2, *size, 3)), rng.standard_normal((*kernel_size, 3, 2))
        arguments = {"stride": stride, "padding": padding, "dilation": dilation}
        call = checked_call(x.shape, kernel.shape, **arguments, output_padding=0, output_size=None, groups=1)
        assert swaps_operands(call.geometry) == swapped, call.geometry
        compute = jax.jit(lambda x, kernel, a=arguments: conv_transpose(x, kernel, **a, method=method))
        program = compute.lower(*(jnp.asarray(v, jnp.float32) for v in (x, kernel))).compile()
        # The kernel, which the input slides over backwards, and an input that is a filter already.
        assert ("rhs_reversal" in program.as_text()) == swapped, call.geometry
        pads = ((padding,) * len(size) if isinstance(padding, int) else padding, (stride,) * len(size))
        wanted = reference.conv_transpose(
            x,
            kernel,
            padding=[(p, p) for p in pads[0]],
            stride=pads[1],
            dilation=(dilation,) * len(size),
            output_padding=(0,) * len(size),
            groups=1,
        )
        ours = program(*(jnp.asarray(v, jnp.float32) for v in (x, kernel)))
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_what_would_be_swapped_is_no_such_convolution():
    assert chosen((1, 30, 30, 21), (32, 32, 21, 21), stride=16) == "subpixel"
    assert chosen((8, 3, 3, 8), (9, 9, 8, 4), stride=2) == "col2im"
    assert chosen((1, 33, 33, 21), (32, 32, 21, 21), stride=16) == "lhs_dilation"
    # In one axis or three XLA cannot hand on what it would swap, and leaves it.
    assert chosen((64, 7, 21), (32, 21, 21), stride=16) == "lhs_dilation"


def test_kernel_gradients_that_are_no_backward_filter():
    filters = lambda x, **arguments: chosen((8, *x, 64), (4, 4, 64, 64), op="kernel_gradient", **arguments)
    assert filters((32, 32), **SQUARE) == "lhs_dilation"
    assert filters((3, 5), **SQUARE) == "lhs_dilation"
    assert filters((3, 4), **SQUARE) == "col2im"
    assert filters((32, 32), dilation=2) == "lhs_dilation"
    assert filters((32, 32), stride=2, dilation=2) == "col2im"
    assert filters((32, 32), stride=2, padding=((-1, 1), (0, 0))) == "col2im"


def test_backward_data_takes_any_padding_but_one_that_is_negative():
    forward = lambda **arguments: chosen((None, 8, 8, 4), (3, 3, 4, 2), stride=2, **arguments)
    assert forward() == "lhs_dilation"
    assert forward(dilation=2) == "subpixel"
    assert forward(groups=2) == "subpixel"
    assert forward(padding=4) == "lhs_dilation"
    assert forward(padding=((0, 1), (2, 0))) == "lhs_dilation"
    assert forward(padding=((-1, 1), (0, 0))) == "subpixel"
    # One row fewer than a stride at the end is only the end of a step that is not made.
    assert forward(padding=((0, -1), (0, 0))) == "lhs_dilation"
    assert forward(padding=((0, -2), (0, 0))) == "subpixel"


@pytest.mark.parametrize(
    ("padding", "output_padding", "written"),
    [
        (1, 1, "[[1, 1], [1, 1]]"),
        (0, 1, "[[0, 0], [0, 0]]"),
        (1, 0, "[[1, 1], [1, 1]]"),
        # Two more would be a row of the result more; and where there is more at the end, it is needed.
        (((2, 0), (1, 0)), 0, "[[2, 0], [1, 1]]"),
        (((0, 1), (1, 2)), 0, "[[0, 1], [1, 2]]"),
    ],
)
def test_both_ends_of_the_cotangent_are_padded_alike(padding, output_padding, written):
    arguments = {"stride": 2, "padding": padding, "output_padding": output_padding}
    text = lowered("input_gradient", (1, 8, 8, 4), (3, 3, 4, 4), platform="cuda", **arguments)
    assert re.findall(r"pad = (\[\[.*?\]\])", text) == [written]


@pytest.mark.parametrize("op", ["forward", "input_gradient"])
@pytest.mark.parametrize("size", [(8,), (8, 8), (4, 4, 4)])
def test_depthwise_is_multiplied_tap_by_tap(op, size):
    found = operations(op, (1, *size, 6), (*(3 for _ in size), 6, 1), platform="cuda", groups=6, **SQUARE)
    assert (found["convolution"], found["dot_general"], found["while"]) == (0, 0, 0)


@pytest.mark.parametrize("op", OPS)
def test_a_heavy_kernel_stays_as_it_is_stored(op):
    text = lowered(op, (1, 2, 2, 256), (4, 4, 256, 128), platform="cuda", **SQUARE)
    # One product, batched over the taps of the kernel as it comes in or goes out, which nothing turns over.
    assert re.findall(r"batching_dims = (\S+) x (\S+),", text) == [("[0]", "[0]")]
    assert not re.search(r"stablehlo\.transpose.*(256x128|128x256)x(f32|\d+xf32)", text)


@pytest.mark.parametrize("halves", ["bfloat16", "float16"])
def test_halves_with_a_wider_result_are_widened(halves):
    text = lowered(
        "forward", (1, 8, 8, 4), (4, 4, 4, 4), "cuda", dtype=halves, preferred_element_type="float32", **SQUARE
    )
    (types,) = re.findall(
        r"stablehlo\.convolution.* : \(tensor<\S+x(\w+)>, tensor<\S+x(\w+)>\) -> tensor<\S+x(\w+)>", text
    )
    assert types == ("f32", "f32", "f32")


@pytest.mark.parametrize("op", OPS)
def test_complex_numbers_are_products(op):
    found = operations(op, (1, 8, 8, 4), (4, 4, 4, 4), platform="cuda", dtype="complex64", **SQUARE)
    assert (found["convolution"], found["dot_general"]) == (0, 1)


def test_every_method_but_those_refused_is_taken_at_its_name():
    for method in METHODS:
        assert chosen((1, 4, 4, 4), (3, 3, 4, 4), method=method) == method
