"""Whether a Flax model computes what its PyTorch original computes, layer by layer."""

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
from flax import linen as nn
from flax import nnx
from numpy.typing import NDArray

from .._convert.naming import Rename, check_rename, new_names
from .._layers.nnx_walk import module_names
from .._tensors import to_numpy
from .capture import Run, run_linen, run_nnx, run_torch
from .verification import LayerDifference, Verification

Array = NDArray[Any]
Shape = tuple[int, ...]


def verify(
    torch_module: Any,
    flax_model: nnx.Module | nn.Module,
    *inputs: Any,
    flax_inputs: tuple[Any, ...] | None = None,
    flax_kwargs: Mapping[str, Any] | None = None,
    rename: Rename = None,
    tolerance: float = 1e-4,
) -> Verification:
    """Runs a PyTorch module and its Flax twin on the same inputs and compares every layer that both have.

    Layers are paired by name, as tensors are when a state dict is loaded. Outputs are compared channel by channel:
    torch's second axis is Flax's last. Both models run in evaluation mode and are left as they were; an nnx model runs
    as a copy, a linen module takes its mode from its attributes or from `flax_kwargs`. Calls inside `nnx.jit` and other
    transforms are not seen.

    Args:
      torch_module: the original.
      flax_model: an nnx model, or a linen module bound to its variables, `module.bind(variables)`.
      *inputs: what the torch module is called with: tensors or arrays.
      flax_inputs: what the Flax model is called with; None for the same inputs, where arrays of real numbers
        with three axes or more have their second axis moved last.
      flax_kwargs: named arguments for the Flax model alone, such as `{"train": False}`.
      rename: the `rename` that the Flax model was loaded with.
      tolerance: the largest difference that counts as equal, as a fraction of the largest value. The default is about
        ten times the rounding error of float32 in deep networks.

    Returns:
      A `Verification`: `ok`, `first_difference`, `layers`, and as a string a table with a verdict.

    Raises:
      TypeError, ValueError: an unusable argument. What the torch module raises is raised.

    Example:
      >>> import torch
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> from jax_tconv.nnx import ConvTranspose
      >>> original = torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 4, 2, stride=2, padding=1), torch.nn.Tanh())
      >>> twin = nnx.Sequential(ConvTranspose(3, 4, (2, 2), strides=2, rngs=nnx.Rngs(0)), nnx.tanh)
      >>> _ = interop.load_state_dict(twin, original.state_dict())
      >>> layer = interop.verify(original, twin, torch.ones(1, 3, 5, 5)).first_difference
      >>> layer.name, layer.torch_shape, layer.flax_shape
      ('0', (1, 8, 8, 4), (1, 10, 10, 4))
    """
    import torch

    if not isinstance(torch_module, torch.nn.Module):
        raise TypeError(f"torch_module must be a torch.nn.Module, got {type(torch_module).__name__}")
    if not inputs:
        raise TypeError("inputs must be what the torch module is called with; got none")
    check_rename(rename)
    kwargs = flax_kwargs or {}
    given = tuple(channels_last(x) for x in inputs) if flax_inputs is None else tuple(flax_inputs)
    if isinstance(flax_model, nnx.Module):
        model = nnx.clone(flax_model)
        model.eval()
        theirs = run_torch(torch_module, inputs)
        ours = run_nnx(model, given, kwargs, module_names(model))
    elif isinstance(flax_model, nn.Module) and flax_model.scope is not None:
        module, variables = flax_model.unbind()
        theirs = run_torch(torch_module, inputs)
        ours = run_linen(module, variables, given, kwargs)
    else:
        bound = " without variables; bind it: module.bind(variables)" if isinstance(flax_model, nn.Module) else ""
        kind = type(flax_model).__name__
        raise TypeError(f"flax_model must be an nnx model or a bound linen module, got {kind}{bound}")
    return _compared(theirs, ours, rename, tolerance)


def _compared(theirs: Run, ours: Run, rename: Rename, tolerance: float) -> Verification:
    flax_names = {name: names for names in ours.calls for name in names if name}
    wanted = {f"{name}.weight" for name in flax_names}
    layers = []
    for torch_names, calls in theirs.calls.items():
        named = [(name, new) for name in torch_names if name and (new := _flax_name(name, rename, wanted))]
        if not named:
            continue
        (name, new), *_ = named
        twin = flax_names[new]
        pairs = list(zip(calls, ours.calls[twin], strict=False))
        compared = [
            _layer(name, theirs.kinds[torch_names], ours.kinds[twin], a, b, tolerance)
            for a, b in pairs
            if a[1] is not None and b[1] is not None
        ]
        if compared:
            layers.append(max(compared, key=lambda layer: layer.relative))
    flax_output = [] if ours.error else ours.output
    outputs = [
        _layer("", "", "", (None, a), (None, b), tolerance) for a, b in zip(theirs.output, flax_output, strict=False)
    ]
    return Verification(tuple(layers), tuple(outputs), tolerance, ours.error)


def _flax_name(name: str, rename: Rename, wanted: Set[str]) -> str | None:
    """What the Flax model calls a module: what it calls one of its tensors, without the tensor's own name."""
    weight = f"{name}.weight"
    new = new_names([weight], rename, wanted)[weight]
    return new.removesuffix(".weight") if new is not None and new in wanted else None


def _layer(name: str, torch_layer: str, flax_layer: str, a: Any, b: Any, tolerance: float) -> LayerDifference:
    (torch_in, torch_out), (flax_in, flax_out) = a, b
    moved = _as_flax(torch_out, flax_out.shape)
    difference, relative = _difference(moved, flax_out)
    before = None
    if torch_in is not None and flax_in is not None:
        before = _difference(_as_flax(torch_in, flax_in.shape), flax_in)[1]
    return LayerDifference(
        name, torch_layer, flax_layer, moved.shape, flax_out.shape, difference, relative, before, relative <= tolerance
    )


def _as_flax(array: Array, shape: Shape) -> Array:
    """A torch array with its channels last, or as it is if only that has the shape or if it has no spatial axes."""
    moved = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
    return array if array.shape == shape and moved.shape != shape else moved


def _difference(a: Array, b: Array) -> tuple[float, float]:
    """The largest difference, and the same as a fraction of the largest value of `a`."""
    if a.shape != b.shape:
        return float("inf"), float("inf")
    if not a.size:
        return 0.0, 0.0
    kind = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    x, y = a.astype(kind), b.astype(kind)
    with np.errstate(invalid="ignore"):
        gap = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
    largest = float(np.max(np.nan_to_num(gap, nan=np.inf)))
    scale = float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))
    return largest, largest / scale if scale else largest


def channels_last(value: Any) -> Array:
    """An input as Flax takes it: of three axes or more, the second is moved last, except in ints, which are indices."""
    array = to_numpy("inputs", value)
    return np.moveaxis(array, 1, -1) if array.ndim > 2 and array.dtype.kind not in "iub" else array
