"""One transposed convolution's weight, from and to PyTorch's layout, and from Flax's."""

from typing import Any

from numpy.typing import NDArray

from .._tensors import to_numpy
from .layer_types import CONV_TRANSPOSE, FLAX_KERNELS

_KERNEL = CONV_TRANSPOSE.parameters[0]


def kernel_from_torch(weight: Any) -> NDArray[Any]:
    """A `torch.nn.ConvTranspose*d` weight as a kernel of this library; the exact inverse of `kernel_to_torch`.

    Args:
      weight: `(in, out // groups, *kernel_size)`, any number of spatial axes: a numpy or JAX array, a torch tensor or
        Parameter, on any device, of any dtype, bfloat16 included.

    Returns:
      A C-contiguous numpy array, `(*kernel_size, in, out // groups)`, of the same dtype.

    Raises:
      TypeError, ValueError: not an array, or one without a spatial axis.

    Example:
      >>> import numpy as np
      >>> from jax_tconv.interop import kernel_from_torch
      >>> kernel_from_torch(np.zeros((64, 32, 4, 4))).shape
      (4, 4, 64, 32)
    """
    array = _with_spatial_axes("weight", weight, "(in, out // groups, *kernel_size)")
    return _KERNEL.to_flax({_KERNEL.torch_name: array}, ())


def kernel_to_torch(kernel: Any) -> NDArray[Any]:
    """A kernel of this library as a `torch.nn.ConvTranspose*d` weight; the exact inverse of `kernel_from_torch`.

    Args:
      kernel: `(*kernel_size, in, out // groups)`, any number of spatial axes.

    Returns:
      A C-contiguous numpy array, `(in, out // groups, *kernel_size)`, of the same dtype.

    Raises:
      TypeError, ValueError: not an array, or one without a spatial axis.

    Example:
      >>> import numpy as np
      >>> from jax_tconv.interop import kernel_to_torch
      >>> kernel_to_torch(np.zeros((4, 4, 64, 32))).shape
      (64, 32, 4, 4)
    """
    array = _with_spatial_axes("kernel", kernel, "(*kernel_size, in, out // groups)")
    return _KERNEL.to_torch(array)


def kernel_from_flax(kernel: Any, *, transpose_kernel: bool = False) -> NDArray[Any]:
    """The kernel of a `flax` ConvTranspose (linen or nnx) as a kernel of this library, for the same numbers.

    The layer it goes into takes the same `strides` and `kernel_dilation`, and `"SAME"` and `"VALID"` as they are. A
    padding in numbers means something else in Flax: rows `(low, high)` there are
    `(extent - 1 - low, extent - 1 - high)` here, with `extent = kernel_dilation * (kernel_size - 1) + 1`. Flax's own
    default is `"SAME"`, ours is 0.

    Args:
      kernel: the layer's kernel, `(*kernel_size, in, out)`, or `(*kernel_size, out, in)` with `transpose_kernel`.
      transpose_kernel: the Flax layer's argument of that name.

    Returns:
      A C-contiguous numpy array, `(*kernel_size, in, out)`, of the same dtype.

    Raises:
      TypeError, ValueError: not an array, or one without a spatial axis.

    Example:
      >>> import numpy as np
      >>> from jax_tconv.interop import kernel_from_flax
      >>> kernel_from_flax(np.arange(3.0).reshape(3, 1, 1)).ravel().tolist()
      [2.0, 1.0, 0.0]
    """
    if not isinstance(transpose_kernel, bool):
        raise TypeError(f"transpose_kernel must be True or False, as in the Flax layer; got {transpose_kernel!r}")
    form = "(*kernel_size, out, in)" if transpose_kernel else "(*kernel_size, in, out)"
    array = _with_spatial_axes("kernel", kernel, form)
    return kernel_from_torch(FLAX_KERNELS[transpose_kernel].to_torch(array))


def _with_spatial_axes(name: str, value: Any, form: str) -> NDArray[Any]:
    array = to_numpy(name, value)
    if array.ndim < 3:
        raise ValueError(f"{name} must have shape {form} with at least one spatial axis, got {array.shape}")
    return array
