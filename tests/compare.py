"""How results are compared where rounding is all that may differ."""

import jax
import numpy as np


def close(ours, wanted):
    """Asserts that two trees of float64 arrays agree to 1e-12 of each array's largest value, or of one."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(np.abs(b).max(), 1))
