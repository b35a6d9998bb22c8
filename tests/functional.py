"""How the tests of `jax_tconv.functional` ask torch: the same call on the same numbers, with the channels moved."""

import jax
import numpy as np
import torch


def to_torch(x, n):
    """A tensor of torch's axes with a gradient, of an array whose `n` axes before the last are spatial."""
    tensor = torch.from_numpy(np.array(x)) if n is None else torch.from_numpy(np.moveaxis(np.array(x), -1, -1 - n))
    tensor = tensor.contiguous()
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def from_torch(tensor, n):
    """An array with the channels last."""
    array = tensor.detach().numpy()
    return array if n is None else np.moveaxis(array, -1 - n, -1)


def close(got, wanted, tolerance):
    """Fails unless arrays agree within `tolerance` of the largest value, and in shape and dtype."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape, (got.shape, wanted.shape)
    assert got.dtype == wanted.dtype, (got.dtype, wanted.dtype)
    finite = wanted[np.isfinite(wanted)]
    scale = max(abs(finite).max(), 1) if finite.size else 1
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale)


def agree(ours, theirs, arrays, n, n_out="same", tolerance=1e-12):
    """Fails unless the functions agree on `arrays`, and so do all gradients of their output's product with numbers.

    `n` says how many axes before the channels are spatial: of all arrays, or a list with one for each; None for axes
    that are torch's own. `n_out` says the same of the output.
    """
    counts = n if isinstance(n, list) else [n] * len(arrays)
    n_out = counts[0] if n_out == "same" else n_out
    tensors = [to_torch(array, count) for array, count in zip(arrays, counts, strict=True)]
    wanted = theirs(*tensors)
    expected = from_torch(wanted, n_out)
    cotangent = np.random.default_rng(1).normal(size=expected.shape).astype(expected.dtype)
    got, gradients = jax.jit(_with_gradients, static_argnums=0)(ours, cotangent, *arrays)
    close(got, expected, tolerance)
    (wanted * to_torch(cotangent, n_out).detach()).sum().backward()
    for gradient, tensor, count in zip(gradients, tensors, counts, strict=True):
        if tensor.requires_grad:
            close(gradient, from_torch(tensor.grad, count), tolerance)


def _with_gradients(function, cotangent, *arrays):
    value, pull = jax.vjp(function, *arrays)
    return value, pull(cotangent)
