"""One weight at a time: exact inverses, contiguous, for every dtype and kind of array."""

import ml_dtypes
import numpy as np
import pytest

from jax_tconv import interop
from jax_tconv.interop.layouts import BATCH_NORM, CONV, CONV_TRANSPOSE, LINEAR, reorder

WEIGHT = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


def test_every_element_lands_where_it_should():
    kernel = interop.kernel_from_torch(WEIGHT)
    for i, o, r, c in np.ndindex(*WEIGHT.shape):
        assert kernel[r, c, i, o] == WEIGHT[i, o, r, c]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", ml_dtypes.bfloat16])
@pytest.mark.parametrize("rank", [3, 4, 5, 6])
def test_exact_inverses(rank, dtype):
    weight = np.random.default_rng(0).integers(-9, 9, (3, 2, 4, 2, 3, 1)[:rank]).astype(dtype)
    kernel = interop.kernel_from_torch(weight)
    back = interop.kernel_to_torch(kernel)
    assert kernel.flags.c_contiguous
    assert back.flags.c_contiguous
    assert kernel.dtype == back.dtype == weight.dtype
    assert back.tobytes() == weight.tobytes()
    assert interop.kernel_from_torch(interop.kernel_to_torch(kernel)).tobytes() == kernel.tobytes()


def test_jax_arrays_and_lists():
    jnp = pytest.importorskip("jax.numpy")
    np.testing.assert_array_equal(interop.kernel_from_torch(jnp.asarray(WEIGHT)), interop.kernel_from_torch(WEIGHT))
    with pytest.raises(TypeError, match="weight must be an array or a torch tensor"):
        interop.kernel_from_torch([1.0])
    with pytest.raises(ValueError, match=r"weight must have shape \(in, out // groups, \*kernel_size\).*\(2, 3\)"):
        interop.kernel_from_torch(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"kernel must have shape \(\*kernel_size, in, out // groups\)"):
        interop.kernel_to_torch(np.ones((2, 3)))
    with pytest.raises(TypeError, match="transpose_kernel must be True or False"):
        interop.kernel_from_flax(np.ones((2, 2, 2)), transpose_kernel="yes")


def test_torch_tensors_and_parameters():
    torch = pytest.importorskip("torch")
    weight = torch.tensor(WEIGHT, dtype=torch.bfloat16)
    for given in (
        weight,
        torch.nn.Parameter(weight),
        weight.clone().requires_grad_(),
        weight.transpose(2, 3).transpose(2, 3),
    ):
        kernel = interop.kernel_from_torch(given)
        assert kernel.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(kernel.astype(int), interop.kernel_from_torch(WEIGHT))
    conjugate = torch.tensor(WEIGHT + 1j).conj()
    np.testing.assert_array_equal(interop.kernel_from_torch(conjugate), interop.kernel_from_torch(WEIGHT - 1j))


def test_square_kernels_by_type_not_by_shape():
    # Four equal axes: only the type says which is which.
    weight = np.random.default_rng(0).standard_normal((3, 3, 3, 3))
    transposed, plain = (
        reorder(weight, t.parameters[0].torch_axes, t.parameters[0].flax_axes) for t in (CONV_TRANSPOSE, CONV)
    )
    assert transposed[0, 1, 2, 0] == weight[2, 0, 0, 1]
    assert plain[0, 1, 2, 0] == weight[0, 2, 0, 1]


@pytest.mark.parametrize("layer", [CONV_TRANSPOSE, CONV, LINEAR, BATCH_NORM])
def test_every_layout_reverses(layer):
    for parameter in layer.parameters:
        rank = 4 if "*" in parameter.torch_axes else len(parameter.torch_axes)
        array = np.arange(np.prod((2, 3, 4, 5)[:rank])).reshape((2, 3, 4, 5)[:rank])
        there = reorder(array, parameter.torch_axes, parameter.flax_axes)
        assert reorder(there, parameter.flax_axes, parameter.torch_axes).tolist() == array.tolist()
