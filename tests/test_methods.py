"""Every method, on every case, against the numpy reference in float64: T, and its vjp, which is C and W."""

import jax
import numpy as np
import pytest

from jax_tconv import conv_transpose
from tests import reference
from tests.cases import CASES, METHODS

TOLERANCE = 1e-12


pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("method", [*METHODS, None])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case, method):
    x, kernel = case.draw()
    y, vjp = jax.vjp(lambda x, kernel: conv_transpose(x, kernel, method=method, **case.arguments), x, kernel)
    expected = reference.conv_transpose(x, kernel, **case.reference_arguments)
    cotangent = np.random.default_rng(1).standard_normal(expected.shape)
    assert y.shape == expected.shape
    for ours, theirs in zip(
        (y, *vjp(cotangent)),
        (expected, *reference.gradients(x, kernel, cotangent, **case.reference_arguments)),
        strict=True,
    ):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())
