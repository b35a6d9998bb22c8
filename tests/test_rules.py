"""The tables of rules: each row is reached, the reason it gives is true of what it decides, and the docs show it."""

import dataclasses
import math
import re
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import conv_transpose, select_method
from jax_tconv._call.call import OPS, checked_call
from jax_tconv._selection.select import TABLES, choose
from jax_tconv.benchmarks import layers
from jax_tconv.cli import rules
from tests.cases import CASES
from tests.programs import lowered, operations
from tests.test_meshes import LAYERS as ON_SEVERAL_DEVICES

ON_SEVERAL = "split over several devices"
ROOT = Path(__file__).parents[1]
SQUARE = {"stride": 2, "padding": 1}

# Input and kernel (both channels last) and arguments, by the words of the reason that each is to get on a CPU.
ON_A_CPU = {
    "forward": {
        "one multiplication per tap": ((1, 64, 64, 64), (4, 4, 64, 1), SQUARE | {"groups": 64}),
        "other methods would multiply the zeros": ((64, 1, 1, 100), (4, 4, 100, 512), {}),
        "one product for all phases of a block": ((1, 70, 70, 21), (16, 16, 21, 21), {"stride": 8}),
        "one convolution for all phases, and no patches": ((1, 500, 64), (128, 64, 64), {"stride": 32}),
        "one convolution for all phases, and no product": ((1, 2, 2, 1024), (4, 4, 1024, 512), SQUARE),
        "no two taps meet": ((1, 64, 64, 512), (2, 2, 512, 256), {"stride": 2}),
        "one fast convolution for all phases": ((64, 32, 32, 64), (4, 4, 64, 3), SQUARE),
        "one product per phase, and nothing is added": ((4, 32, 24, 256), (4, 4, 256, 256), SQUARE),
        "one product per phase; col2im would": ((64, 8, 8, 256), (5, 5, 256, 128), {"stride": 2, "padding": 2}),
        "one product with all taps, and their sum": ((1, 64, 64, 256), (3, 3, 256, 128), SQUARE),
    },
    "input_gradient": {
        "one multiplication per tap": ((1, 64, 64, 64), (4, 4, 64, 1), SQUARE | {"groups": 64}),
        "one product with blocks": ((1, 64, 64, 512), (2, 2, 512, 256), {"stride": 2}),
        "one product with blocks ": ((1, 70, 70, 21), (16, 16, 21, 21), {"stride": 8}),
        "one product per tap leaves the kernel": ((1, 2, 2, 1024), (4, 4, 1024, 512), SQUARE),
        "patches would repeat values": ((1, 128, 512), (16, 512, 256), {"stride": 8, "padding": 4}),
        "patches would be copied a few values": ((64, 32, 32, 64), (4, 4, 64, 3), SQUARE),
        "one product with the cotangent's patches": ((1, 12, 16, 32, 64), (3, 3, 3, 64, 32), SQUARE),
    },
    "kernel_gradient": {
        "one multiplication per tap": ((1, 64, 64, 64), (4, 4, 64, 1), SQUARE | {"groups": 64}),
        "one product with blocks": ((1, 128, 128, 64), (2, 2, 64, 32), {"stride": 2}),
        "one product with blocks ": ((1, 70, 70, 21), (16, 16, 21, 21), {"stride": 8}),
        "all taps in one product": ((64, 32, 32, 64), (4, 4, 64, 3), SQUARE),
        "one product per tap, and no patches": ((64, 8, 8, 256), (4, 4, 256, 128), SQUARE),
    },
}
PATCHES, COMPLEX = {"stride": 2, "padding": 1, "groups": 8}, {"stride": 2, "dtype": "complex64"}
ON_A_GPU = {
    "forward": {
        "one multiplication per tap": ((1, 64, 64, 64), (4, 4, 64, 1), SQUARE | {"groups": 64}),
        "one channel of the input": ((8, 32, 32, 8), (4, 4, 8, 2), PATCHES),
        "one product for each tap, in one batch": ((1, 2, 2, 1024), (4, 4, 1024, 512), SQUARE),
        "cuBLAS multiplies complex matrices": ((4, 16, 16, 32), (4, 4, 32, 16), COMPLEX),
        "one product and its order": ((1, 16, 16, 16, 256), (2, 2, 2, 256, 128), {"stride": 2}),
        "one product, where XLA has no convolution": ((2, 3, 3, 4, 4, 8), (3, 3, 3, 3, 8, 4), SQUARE),
        "other methods would multiply the zeros": ((1, 7, 64, 512), (9, 9, 512, 512), {"stride": 2, "dilation": 3}),
        "cuDNN's backward-data": ((1, 64, 64, 256), (3, 3, 256, 128), SQUARE | {"output_padding": 1}),
        "a plain convolution": ((8, 32, 32, 64), (3, 3, 64, 64), {"padding": 2, "dilation": 2}),
        "no form of cuDNN's backward-data": ((1, 32, 32, 512), (3, 3, 512, 64), {"stride": 2, "groups": 4}),
    },
    "input_gradient": {
        "one multiplication per tap": ((1, 64, 64, 64), (4, 4, 64, 1), SQUARE | {"groups": 64}),
        "one channel of the input": ((8, 32, 32, 8), (4, 4, 8, 2), PATCHES),
        "one product for each tap, in one batch": ((1, 2, 2, 1024), (4, 4, 1024, 512), SQUARE),
        "cuBLAS multiplies complex matrices": ((4, 16, 16, 32), (4, 4, 32, 16), COMPLEX),
        "one product, where a convolution of three": ((1, 16, 16, 16, 256), (2, 2, 2, 256, 128), {"stride": 2}),
        "one product, where XLA has no convolution": ((2, 3, 3, 4, 4, 8), (3, 3, 3, 3, 8, 4), SQUARE),
        "a strided convolution: cuDNN's forward": ((1, 64, 64, 256), (3, 3, 256, 128), SQUARE),
    },
    "kernel_gradient": {
        "one product for each channel": ((2, 9, 9, 9, 32), (3, 3, 3, 32, 1), SQUARE | {"groups": 32}),
        "one product for each tap, in one batch": ((1, 2, 2, 1024), (4, 4, 1024, 512), SQUARE),
        "cuBLAS multiplies complex matrices": ((4, 16, 16, 32), (4, 4, 32, 16), COMPLEX),
        "one product, where XLA has no convolution": ((2, 3, 3, 4, 4, 8), (3, 3, 3, 3, 8, 4), SQUARE),
        "no form of cuDNN's backward-filter": ((32, 3, 3, 256), (5, 5, 256, 128), {"stride": 2, "padding": 2}),
        "a dilated filter and no dilated image": ((1, 64, 64, 256), (3, 3, 256, 128), SQUARE),
    },
}
REACHED = [
    (platform, op, reason, layer)
    for platform, table in (("cpu", ON_A_CPU), ("cuda", ON_A_GPU))
    for op, layers in table.items()
    for reason, layer in layers.items()
]


LAYERS = [(*layer.shapes[:2], layer.arguments) for layer in layers.load()]
LAYERS += [(*(v.shape for v in case.draw()), case.arguments) for case in CASES]


@pytest.mark.parametrize(("platform", "op", "reason", "layer"), REACHED)
def test_a_layer_for_each_row(platform, op, reason, layer):
    x, kernel, arguments = layer
    choice = select_method(x, kernel, **arguments, op=op, platform=platform)
    assert choice.reason.startswith(reason.strip())
    assert fact(choice)(op, x, kernel, arguments | {"platform": platform}, choice)


@pytest.mark.parametrize(("platform", "layers"), [("cpu", ON_A_CPU), ("cuda", ON_A_GPU)])
def test_no_row_is_left_out(platform, layers):
    for op, rows in TABLES[platform].items():
        decided = Counter(
            select_method(x, kernel, **arguments, op=op, platform=platform).when
            for x, kernel, arguments in layers[op].values()
        )
        # Each layer has a row of its own. Of groups the rows for one of them decide.
        alone = (rule.when.words for rule in rows if not rule.when.words.endswith(ON_SEVERAL))
        assert decided == Counter({words: 1 for words in alone if words != "2 to 16 groups"})


def test_no_row_is_left_out_elsewhere():
    assert TABLES["rocm"] is TABLES["cuda"]


@pytest.mark.parametrize("platform", ["cpu", "cuda", "rocm", "tpu"])
@pytest.mark.parametrize("op", OPS)
def test_rows_for_several_devices(op, platform):
    # Several devices are no argument of `select_method`: where an op is lowered it knows of them.
    decided = set()
    for x, kernel, arguments in ON_SEVERAL_DEVICES.values():
        defaults = dict.fromkeys(("stride", "dilation", "groups"), 1) | {"padding": 0, "output_padding": 0}
        call = checked_call(x, kernel, output_size=None, **defaults | arguments)
        choice = choose(op, dataclasses.replace(call, several_devices=True), platform)
        decided.add(choice.when)
        if platform == "cpu" and choice.when.endswith(ON_SEVERAL):
            found = operations(op, x, kernel, devices=2, **arguments)
            convolutions, products = found["convolution"], found["dot_general"]
            assert {
                "taps": convolutions == products == 0,
                "subpixel": 1 <= convolutions <= 4 and not products,
                "im2col": 1 <= products <= 8 and not convolutions,
                "col2im": (convolutions, products) == (0, 1),
                "lhs_dilation": (convolutions, products) == (1, 0),
            }[choice.method], (choice, found)
    assert {rule.when.words for rule in TABLES[platform][op] if rule.when.words.endswith(ON_SEVERAL)} <= decided


def test_groups_are_decided_as_one_of_them():
    for op in OPS:
        alone = select_method((1, 8, 8, 8), (4, 4, 8, 8), stride=2, op=op, platform="cpu")
        grouped = select_method((1, 8, 8, 32), (4, 4, 32, 8), stride=2, groups=4, op=op, platform="cpu")
        assert (grouped.method, grouped.when, grouped.by_group) == (alone.method, alone.when, True)


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
@pytest.mark.parametrize("op", OPS)
def test_reasons_are_true_of_what_they_decide(op, platform):
    for x, kernel, arguments in LAYERS:
        choice = select_method(x, kernel, **arguments, op=op, platform=platform)
        holds = fact(choice)
        if choice.by_group:
            groups = arguments["groups"]
            x, kernel = (*x[:-1], x[-1] // groups), (*kernel[:-2], kernel[-2] // groups, kernel[-1])
            arguments = arguments | {"groups": 1}
        assert holds(op, x, kernel, arguments | {"platform": platform}, choice), (x, kernel, arguments, str(choice))


def test_the_docs_show_the_tables():
    assert (ROOT / "docs" / "rules.md").read_text() == rules.document()


# What the reasons say, found out from the numbers alone or from the program.


def spelled(value, kernel):
    return value if isinstance(value, list | tuple) else [value] * (len(kernel) - 2)


def axes(x, kernel, arguments):
    """For each axis its sizes, and for each output row of the full output the number of inputs that meet there."""
    given = [spelled(arguments.get(name, default), kernel) for name, default in (("stride", 1), ("dilation", 1))]
    for n, k, s, d in zip(x[1:-1], kernel[:-2], *given, strict=True):
        landing = np.add.outer(np.arange(n) * s, np.arange(k) * d)
        yield n, k, s, d, np.bincount(landing.ravel())


def no_two_taps_meet(op, x, kernel, arguments, choice):
    return all(counts.max() == 1 for *_, counts in axes(x, kernel, arguments))


def mostly_zeros(op, x, kernel, arguments, choice):
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (x, kernel))
    arguments = {name: value for name, value in arguments.items() if name != "platform"}
    y = jax.eval_shape(lambda x, k: conv_transpose(x, k, **arguments), *shapes)
    taps = math.prod(k / s for _, k, s, _, _ in axes(x, kernel, arguments))
    # What a product per phase reads, on average so many taps for each output pixel; and what there is to read.
    return math.prod(y.shape[1:-1]) * taps > 2 * math.prod(x[1:-1]) * math.prod(kernel[:-2])


def even_phases(op, x, kernel, arguments, choice):
    # Away from the border every output row is met equally often.
    rows = [counts[(k - 1) * d : n * s] for n, k, s, d, counts in axes(x, kernel, arguments)]
    return all(len(set(inner)) <= 1 for inner in rows) and one_convolution(op, x, kernel, arguments, choice)


def one_convolution(op, x, kernel, arguments, choice):
    found = operations(op, x, kernel, **arguments)
    return (found["convolution"], found["dot_general"]) == (1, 0)


def one_product(op, x, kernel, arguments, choice):
    found = operations(op, x, kernel, **arguments)
    return (found["convolution"], found["dot_general"]) == (0, 1)


def product_per_phase(op, x, kernel, arguments, choice):
    found = operations(op, x, kernel, **arguments)
    phases = math.prod(min(s // math.gcd(s, d), k) for _, k, s, d, _ in axes(x, kernel, arguments))
    return found["dot_general"] == phases and not found["convolution"]


def product_per_tap(op, x, kernel, arguments, choice):
    # A loop over the taps has its product once; the input gradient's first one stands before it.
    found, taps = operations(op, x, kernel, **arguments), math.prod(kernel[:-2])
    assert choice.method == "taps"
    return found["dot_general"] in (1, 2, taps) and not found["convolution"]


def multiplications(op, x, kernel, arguments, choice):
    found = operations(op, x, kernel, **arguments)
    return not found["dot_general"] and not found["convolution"]


def few_pixels(op, x, kernel, arguments, choice):
    groups = arguments.get("groups", 1)
    few = math.prod(x[:-1]) < min(kernel[-2] // groups, kernel[-1])
    return few and one_product(op, x, kernel, arguments, choice)


def dilations(which, op, x, kernel, arguments):
    """Those of the one convolution's image (`lhs`) or filter (`rhs`)."""
    ((values,),) = [re.findall(rf"{which}_dilate = \[([\d, ]+)\]", lowered(op, x, kernel, **arguments))]
    return [int(value) for value in values.split(",")]


def undilated_image(op, x, kernel, arguments, choice):
    """One convolution, and no zeros between the rows of its image."""
    alone = one_convolution(op, x, kernel, arguments, choice)
    return alone and set(dilations("lhs", op, x, kernel, arguments)) == {1}


def backward_data(op, x, kernel, arguments, choice):
    return operations(op, x, kernel, **arguments)["reverse"] == 1 and one_convolution(op, x, kernel, arguments, choice)


def backward_filter(op, x, kernel, arguments, choice):
    strides = list(spelled(arguments.get("stride", 1), kernel))
    alike = dilations("rhs", op, x, kernel, arguments) == strides
    return alike and undilated_image(op, x, kernel, arguments, choice)


FACTS = {
    "one product for each tap, in one batch": few_pixels,
    "one product for each channel": one_product,
    "one channel of the input": lambda op, x, kernel, arguments, choice: (
        kernel[-2] == arguments["groups"] and one_product(op, x, kernel, arguments, choice)
    ),
    "cuBLAS multiplies complex matrices": one_product,
    "one product and its order": one_product,
    "one product, where": one_product,
    "cuDNN's backward-data": backward_data,
    "a plain convolution": undilated_image,
    "no form of cuDNN's backward-data": undilated_image,
    "a strided convolution": undilated_image,
    "no form of cuDNN's backward-filter": one_product,
    "a dilated filter and no dilated image": backward_filter,
    "one multiplication per tap": multiplications,
    "other methods would multiply the zeros": mostly_zeros,
    "one product for all phases of a block": one_product,
    "one convolution for all phases": one_convolution,
    "no two taps meet in an output row": no_two_taps_meet,
    "one fast convolution for all phases": even_phases,
    "one product per phase": product_per_phase,
    "one product with all taps, and their sum": one_product,
    "one product with blocks": one_product,
    "one product per tap": product_per_tap,
    "patches would repeat values": lambda op, x, kernel, arguments, choice: (
        kernel[0] > spelled(arguments.get("stride", 1), kernel)[0] and one_convolution(op, x, kernel, arguments, choice)
    ),
    "patches would be copied a few values": lambda op, x, kernel, arguments, choice: (
        kernel[-1] < 32 and one_convolution(op, x, kernel, arguments, choice)
    ),
    "one product with the cotangent's patches": one_product,
    "all taps in one product": one_product,
}


def fact(choice):
    """The function that finds out whether the reason is true."""
    return next(fact for start, fact in FACTS.items() if choice.reason.startswith(start))
