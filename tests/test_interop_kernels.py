"""One weight at a time: exact inverses, contiguous, for every dtype and kind of array."""

import ml_dtypes
import numpy as np
import pytest

from jax_tconv import interop

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


def test_flax_kernels_are_turned_as_flax_applies_them():
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for r, c, i, o in np.ndindex(*kernel.shape):
        assert interop.kernel_from_flax(kernel)[1 - r, 2 - c, i, o] == kernel[r, c, i, o]
        assert interop.kernel_from_flax(kernel, transpose_kernel=True)[r, c, o, i] == kernel[r, c, i, o]
