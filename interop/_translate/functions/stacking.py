"""Tensors put together in other ways than by `cat` and `stack`, and views by other names."""

import ast
from collections.abc import Callable
from typing import Any

from ..code import call
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import plain
from .shapes import concatenated, flipped, reshaped, sizes_of, spread


def _side_by_side(function: str, dim: int, least: int) -> Callable[..., Any]:
    """Along an axis; tensors with fewer axes are put together by numpy's rules."""

    def handle(e: Emitter, tensors: Any) -> Out:
        if all(value.ndim >= least for value in tensors):
            return concatenated(e, tensors, dim)
        if function == "jnp.hstack" and all(value.ndim == 1 for value in tensors):
            return concatenated(e, tensors, 0)
        result: Value = e.node.result  # type: ignore[union-attr]
        arrays = ast.List([e.array(value, plain(value.ndim)) for value in tensors], ast.Load())
        return Out(call(function, arrays), plain(result.ndim))

    return handle


def _block_diag(e: Emitter, *tensors: Any) -> Out:
    arrays = [e.array(value, plain(value.ndim)) for value in spread(tensors)]
    return Out(call("jax.scipy.linalg.block_diag", *arrays), (0, 1))


def _broadcast_tensors(e: Emitter, *tensors: Any) -> Any:
    shape = e.node.result[0].shape  # type: ignore[union-attr]
    order = plain(len(shape))
    given = spread(tensors)
    whole = next((value for value in given if value.shape == shape), None)
    if whole is None:
        target: Any = call("jnp.broadcast_shapes", *(e.number(tuple(sizes_of(e, value))) for value in given))
    else:
        order = e.order(whole)
        target = ast.Attribute(e.array(whole), "shape", ast.Load())
    made = [
        e.array(value, order) if value.shape == shape else call("jnp.broadcast_to", e.broadcast(value, order), target)
        for value in given
    ]
    return tuple(Out(one, order) for one in made)


def _atleast(ndim: int) -> Callable[..., Any]:
    def handle(e: Emitter, *tensors: Any) -> Any:
        if len(tensors) != 1 or not isinstance(tensors[0], Value):
            raise Untranslatable("atleast of several tensors", "call it with one")
        (x,) = tensors
        result: Value = e.node.result  # type: ignore[union-attr]
        if x.ndim >= ndim:
            return Out(e.array(x), e.order(x))
        return Out(call(f"jnp.atleast_{ndim}d", e.array(x, plain(x.ndim))), plain(result.ndim))

    return handle


def _ravel(e: Emitter, x: Value) -> Out:
    return reshaped(e, x, [-1], e.node.result.shape)  # type: ignore[union-attr]


def _flipped(dim: int) -> Callable[..., Any]:
    return lambda e, x: flipped(e, x, dim)


def _pad_sequence(
    e: Emitter, sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Out:
    longest = max(value.shape[0] for value in sequences)
    made = []
    for value in sequences:
        less = longest - value.shape[0]
        widths = [(0, 0)] * value.ndim
        widths[0] = (0, less) if padding_side == "right" else (less, 0)
        more = {"constant_values": padding_value} if padding_value else {}
        array = e.array(value, plain(value.ndim))
        made.append(call("jnp.pad", array, tuple(widths), **more) if less else array)
    found = call("jnp.stack", ast.List(made, ast.Load()))
    order = plain(sequences[0].ndim + 1)
    return Out(found, order if batch_first else (1, 0, *order[2:]))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "hstack": _side_by_side("jnp.hstack", 1, 2),
    "vstack": _side_by_side("jnp.vstack", 0, 2),
    "row_stack": _side_by_side("jnp.vstack", 0, 2),
    "dstack": _side_by_side("jnp.dstack", 2, 3),
    "column_stack": _side_by_side("jnp.column_stack", 1, 2),
    "block_diag": _block_diag,
    "broadcast_tensors": _broadcast_tensors,
    "atleast_1d": _atleast(1),
    "atleast_2d": _atleast(2),
    "atleast_3d": _atleast(3),
    "ravel": _ravel,
    "flipud": _flipped(0),
    "fliplr": _flipped(1),
    "__reversed__": _flipped(0),
    "pad_sequence": _pad_sequence,
}
