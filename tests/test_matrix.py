"""The matrix of the tutorials, and that it is the op's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import conv_transpose, transposed_conv_matrix
from tests.cases import CASES


def test_the_tutorials_matrix():
    K = [
        [1, 2, 0, 3, 4, 0, 0, 0, 0],
        [0, 1, 2, 0, 3, 4, 0, 0, 0],
        [0, 0, 0, 1, 2, 0, 3, 4, 0],
        [0, 0, 0, 0, 1, 2, 0, 3, 4],
    ]
    matrix = transposed_conv_matrix(np.array([[1.0, 2], [3, 4]], np.float32), (2, 2))
    assert matrix.T.tolist() == K
    assert (matrix @ jnp.array([27.0, 37, 57, 67])).tolist() == (np.transpose(K) @ [27, 37, 57, 67]).tolist()


@pytest.mark.parametrize("case", [case for case in CASES if len(case.size) < 3], ids=str)
def test_it_is_the_op(case):
    x, kernel = case.draw(np.float32)
    # As one program: it is made of many little ones, each of which would be compiled for every case.
    written_out = jax.jit(functools.partial(transposed_conv_matrix, input_size=case.size, **case.arguments))
    matrix = np.asarray(written_out(kernel))
    y = np.asarray(conv_transpose(x, kernel, **case.arguments))
    assert matrix.shape == (y[0].size, x[0].size)
    for one, wanted in zip(x, y, strict=True):
        np.testing.assert_allclose(matrix @ one.ravel(), wanted.ravel(), rtol=0, atol=1e-5 * abs(y).max())


def test_bad_arguments():
    with pytest.raises(NotImplementedError, match=r"input_size \(400, 400\) is too large for the matrix"):
        transposed_conv_matrix(np.ones((3, 3), np.float32), (400, 400))
    with pytest.raises(TypeError, match="input_size must be an int"):
        transposed_conv_matrix(np.ones((3, 3, 1, 1), np.float32), 4.0)
    with pytest.raises(ValueError, match="kernel must have shape"):
        transposed_conv_matrix(np.ones(3, np.float32), 3)
    with pytest.raises(TypeError, match="kernel must be a JAX or NumPy array"):
        transposed_conv_matrix([[1.0]], (2, 2))
