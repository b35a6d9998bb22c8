"""The differences that docs/precision.md states, from operands rounded as matrix units round them."""

import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tests import reference

PAGE = (Path(__file__).parents[1] / "docs" / "precision.md").read_text()
REST = {"stride": (2, 2), "dilation": (1, 1), "groups": 1}
LAYERS = {
    "CycleGAN": ((1, 6, 6, 256), (3, 3, 256, 128), {"padding": ((1, 1),) * 2, "output_padding": (1, 1)}),
    "U-Net": ((1, 6, 6, 1024), (2, 2, 1024, 32), {"padding": ((0, 0),) * 2, "output_padding": (0, 0)}),
}


def tf32(values):
    """Rounded to the nearest of 10 bits after the point."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0xFFF + (bits >> 13 & 1)) & ~np.uint32(0x1FFF)).view(np.float32).astype(np.float64)


def bfloat16(values):
    return values.astype(ml_dtypes.bfloat16).astype(np.float64)


def products(rounding):
    """The pairs of parts of the operands that are multiplied."""
    if rounding == "TF32":
        return lambda x, kernel: [(tf32(x), tf32(kernel))]

    def parts(x, kernel):
        found = []
        for values in (x, kernel):
            high = bfloat16(values)
            middle = bfloat16(values - high)
            found.append((high, middle, bfloat16(values - high - middle)))
        pairs = {"one product": ["00"], "three products": ["00", "01", "10"]}
        pairs["six products"] = [*pairs["three products"], "11", "02", "20"]
        return [(found[0][int(a)], found[1][int(b)]) for a, b in pairs[rounding]]

    return parts


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rounding", ["TF32", "one product", "three products", "six products"])
def test_the_stated_difference(rounding, layer):
    x_shape, kernel_shape, arguments = LAYERS[layer]
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(shape).astype(np.float32).astype(np.float64) for shape in (x_shape, kernel_shape))
    apply = lambda x, kernel: reference.conv_transpose(x, kernel, **REST, **arguments)
    wanted = apply(x, kernel)
    error = sum(apply(*pair) for pair in products(rounding)(x, kernel)) - wanted
    stated = float(re.search(rf"{rounding}[\w ]*: (\d[\d.e-]*)", PAGE)[1])
    found = np.sqrt((error**2).mean() / (wanted**2).mean())
    assert 0.9 * stated < found < 1.1 * stated
    assert abs(error).max() < 1.5 * stated * abs(wanted).max()
