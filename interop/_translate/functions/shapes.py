"""Functions that change shapes: what they mean depends on where each of torch's axes stands."""

import ast
from collections.abc import Callable
from typing import Any

from ..code import Expression, call, literal, method, subscript
from ..emitting import Emitter, Out, Several, Untranslatable
from ..graph import Value
from ..orders import Order, channels_last, groups, place, plain, with_new, without
from ..sizes import is_traced


def spread(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes or axes, given one by one or as one sequence."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], tuple | list) else args


# Order alone


def _permute(e: Emitter, x: Value, *dims: Any) -> Out:
    axes = [axis % x.ndim for axis in spread(dims)]
    return Out(e.array(x), tuple(axes.index(axis) for axis in e.order(x)))


def _transpose(e: Emitter, x: Value, dim0: int, dim1: int) -> Out:
    axes = list(range(x.ndim))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return _permute(e, x, *axes)


def _t(e: Emitter, x: Value) -> Out:
    return _transpose(e, x, 0, 1) if x.ndim == 2 else Out(e.array(x), e.order(x))


def _reversed_axes(e: Emitter, x: Value) -> Out:
    return _permute(e, x, *range(x.ndim - 1, -1, -1))


def _matrix_transposed(e: Emitter, x: Value) -> Out:
    return _transpose(e, x, -2, -1)


def _movedim(e: Emitter, x: Value, source: Any, destination: Any) -> Out:
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    moves = dict(zip([axis % x.ndim for axis in targets], [axis % x.ndim for axis in sources], strict=True))
    rest = iter([axis for axis in range(x.ndim) if axis not in moves.values()])
    return _permute(e, x, *(moves[n] if n in moves else next(rest) for n in range(x.ndim)))


# Other shapes


def _reshape(e: Emitter, x: Value, *shape: Any, **named: Any) -> Out:
    wanted = list(spread(shape or (named.get("shape") or named.get("size"),)))
    result: Value = e.node.result  # type: ignore[union-attr]
    return reshaped(e, x, wanted, result.shape)


def reshaped(e: Emitter, x: Value, wanted: list[Any], shape: tuple[int, ...]) -> Out:
    """`x` with another shape, as torch gives it: `wanted` as the program has it, `shape` in numbers."""
    if x.shape == shape:
        return Out(e.array(x), e.order(x))
    order = e.order(x)
    if order == plain(x.ndim):
        # Vectors as maps of one row, such as factors of channels.
        made_maps = x.ndim == 2 and shape[:2] == x.shape and len(shape) > 2
        target = channels_last(len(shape)) if made_maps else plain(len(shape))
        return Out(_reshape_call(e, e.array(x), [wanted[axis] for axis in target]), target)
    found = groups(x.shape, shape)
    if found is None:
        return Out(_reshape_call(e, e.array(x, plain(x.ndim)), wanted), plain(len(shape)))
    group_of = {axis: ins_outs for ins_outs in found for axis in ins_outs[0]}
    # Axes that become one, or that one was made of, must be neighbours in torch's order.
    have: list[int] = []
    made: list[int] = []
    for axis in order:
        ins, outs = group_of[axis]
        if axis not in have:
            have += ins
            made += outs
    made = _with_ones(made, [outs for ins, outs in found if not ins])
    array = e.array(x)
    if _really_moves(order, have, x.shape):
        array = e.array(x, tuple(have))
        if order == channels_last(x.ndim) and len(group_of[1][0]) > 1:
            e.comment("PyTorch joins the channels with other axes, and has them first.")
    return Out(_reshape_call(e, array, [wanted[axis] for axis in made]), tuple(made))


def _really_moves(order: tuple[int, ...], have: list[int], shape: tuple[int, ...]) -> bool:
    """Whether more than axes of one row change places."""
    return [axis for axis in order if shape[axis] > 1] != [axis for axis in have if shape[axis] > 1]


def _with_ones(made: list[int], ones: list[list[int]]) -> list[int]:
    """The order with the new axes of one row each: after the axis before them in torch, but before channels."""
    for axis in sorted(axis for outs in ones for axis in outs):
        channels_are_last = 1 in made[-1:] and len(made) > 1
        if axis == 0:
            at = 0
        elif axis > 1 and channels_are_last:
            at = len(made) - 1
        else:
            at = made.index(axis - 1) + 1
        made.insert(at, axis)
    return made


def _reshape_call(e: Emitter, array: Expression, wanted: list[Any]) -> Expression:
    return method(array, "reshape", *(e.number(size) for size in wanted))


def _flatten(e: Emitter, x: Value, start_dim: int = 0, end_dim: int = -1) -> Out:
    start, end = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    result: Value = e.node.result  # type: ignore[union-attr]
    if start == end:
        return Out(e.array(x), e.order(x))
    sizes = sizes_of(e, x)
    wanted = [*sizes[:start], -1, *sizes[end + 1 :]]
    return reshaped(e, x, wanted, result.shape)


def _unflatten(e: Emitter, x: Value, dim: int, sizes: Any) -> Out:
    dim %= x.ndim
    own = sizes_of(e, x)
    return reshaped(e, x, [*own[:dim], *sizes, *own[dim + 1 :]], e.node.result.shape)  # type: ignore[union-attr]


def sizes_of(e: Emitter, x: Value) -> list[Any]:
    """The sizes of torch's axes as expressions that are right for other inputs too."""
    order = e.order(x)
    shape = ast.Attribute(e.array(x), "shape", ast.Load())
    return [subscript(shape, literal(_short(order, axis))) for axis in range(x.ndim)]


def _short(order: tuple[int, ...], axis: int) -> int:
    found = order.index(axis)
    return -1 if found == len(order) - 1 and len(order) > 1 else found


def _view_as(e: Emitter, x: Value, other: Value) -> Out:
    return reshaped(e, x, sizes_of(e, other), other.shape)


def _unsqueeze(e: Emitter, x: Value, dim: int) -> Out:
    dim %= x.ndim + 1
    order = e.order(x)
    at = place_of_new(order, dim)
    index: tuple[Any, ...] = (*[slice(None)] * at, None)
    if at == x.ndim and at > 1:
        index = (Ellipsis, None)
    return Out(subscript(e.array(x), index if len(index) > 1 else None), with_new(order, dim, at))


def place_of_new(order: Order, dim: int) -> int:
    """Where a new torch axis goes in Flax: after the one before it, but before channels that are last."""
    ndim = len(order)
    if order != plain(ndim) and dim > 1 and order == channels_last(ndim):
        return channels_last(ndim + 1).index(dim)
    if dim == 0:
        return 0
    # Vectors become maps of one row, such as factors of channels.
    return 1 if (ndim, dim) == (2, 2) else order.index(dim - 1) + 1


def _squeeze(e: Emitter, x: Value, dim: Any = None) -> Out:
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = [axis % x.ndim for axis in axes if x.shape[axis] == 1]
    if not axes:
        return Out(e.array(x), e.order(x))
    return Out(call("jnp.squeeze", e.array(x), axis=places(e, x, axes)), without(e.order(x), axes))


def places(e: Emitter, x: Value, axes: Any) -> Any:
    """Where torch's axes are in the Flax array: one number or several."""
    order = e.order(x)
    if isinstance(axes, int):
        return place(order, axes)
    found = sorted(place(order, axis) % x.ndim for axis in axes)
    return found[0] if len(found) == 1 else tuple(found)


def _expand(e: Emitter, x: Value, *sizes: Any) -> Out:
    wanted = list(spread(sizes))
    shape = e.node.result.shape  # type: ignore[union-attr]
    if x.shape == shape:
        return Out(e.array(x), e.order(x))
    own = sizes_of(e, x)
    new = len(wanted) - x.ndim
    wanted = [own[n - new] if not is_traced(size) and size == -1 else size for n, size in enumerate(wanted)]
    order = e.order(x) if new == 0 else plain(len(wanted))
    array = e.array(x) if new == 0 else e.array(x, plain(x.ndim))
    return Out(
        call("jnp.broadcast_to", array, ast.Tuple([e.number(wanted[axis]) for axis in order], ast.Load())), order
    )


def _expand_as(e: Emitter, x: Value, other: Value) -> Out:
    return _expand(e, x, *sizes_of(e, other))


def _repeat(e: Emitter, x: Value, *times: Any) -> Out:
    counts = list(spread(times))
    if len(counts) > x.ndim:
        return Out(call("jnp.tile", e.array(x, plain(x.ndim)), e.number(tuple(counts))), plain(len(counts)))
    order = e.order(x)
    return Out(call("jnp.tile", e.array(x), e.number(tuple(counts[axis] for axis in order))), order)


def _repeat_interleave(e: Emitter, x: Value, repeats: Any, dim: int | None = None, *, output_size: Any = None) -> Out:
    if dim is None or isinstance(repeats, Value):
        raise Untranslatable("repeat_interleave without dim, or with repeats that are a tensor", "give it a dim")
    return Out(call("jnp.repeat", e.array(x), e.number(repeats), axis=places(e, x, dim)), e.order(x))


# Several tensors


def concatenated(e: Emitter, tensors: Any, dim: int = 0, *, axis: int | None = None) -> Out:
    """Tensors one after the other along an axis."""
    dim = dim if axis is None else axis
    given = [value for value in tensors if value.shape != (0,)]
    order = e.order(given[0])
    if any(e.order(value) != order for value in given):
        order = next((e.order(value) for value in given if e.order(value) != plain(value.ndim)), order)
    arrays = ast.List([e.array(value, order) for value in given], ast.Load())
    return Out(call("jnp.concatenate", arrays, axis=place(order, dim)), order)


def _stack(e: Emitter, tensors: Any, dim: int = 0) -> Out:
    ndim = tensors[0].ndim
    order = e.order(tensors[0]) if all(e.order(one) == e.order(tensors[0]) for one in tensors) else plain(ndim)
    dim %= ndim + 1
    at = 0 if dim == 0 else order.index(dim - 1) + 1
    arrays = ast.List([e.array(value, order) for value in tensors], ast.Load())
    named = -1 if at == ndim else at
    return Out(call("jnp.stack", arrays, **({"axis": named} if named else {})), with_new(order, dim, at))


def _chunk(e: Emitter, x: Value, chunks: int, dim: int = 0) -> Any:
    results = e.node.result  # type: ignore[union-attr]
    axis = place(e.order(x), dim)
    sizes = [value.shape[dim] for value in results]
    cuts: Any = len(sizes)
    if len(set(sizes)) > 1:
        cuts = [sum(sizes[: n + 1]) for n in range(len(sizes) - 1)]
    return Several(call("jnp.split", e.array(x), cuts, axis=axis), [e.order(x)] * len(results))


def _split(e: Emitter, x: Value, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None) -> Any:
    return _chunk(e, x, 0, dim)


def _unbind(e: Emitter, x: Value, dim: int = 0) -> Any:
    axis = place(e.order(x), dim)
    order = without(e.order(x), [dim])
    array = e.array(x) if axis == 0 else call("jnp.moveaxis", e.array(x), axis, 0)
    return Several(array, [order] * x.shape[dim])


def flipped(e: Emitter, x: Value, *dims: Any) -> Out:
    """The tensor with these of its axes the other way round."""
    axes = spread(dims)
    return Out(call("jnp.flip", e.array(x), axis=places(e, x, list(axes))), e.order(x))


def _roll(e: Emitter, x: Value, shifts: Any, dims: Any = None) -> Out:
    if dims is None:
        raise Untranslatable("roll without dims", "give it dims")
    steps, axes = ([one] if isinstance(one, int) else list(one) for one in (shifts, dims))
    where = tuple(place(e.order(x), axis) for axis in axes)
    if len(axes) == 1:
        return Out(call("jnp.roll", e.array(x), e.number(steps[0]), axis=where[0]), e.order(x))
    return Out(call("jnp.roll", e.array(x), e.number(tuple(steps)), axis=where), e.order(x))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "permute": _permute,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "swapdims": _transpose,
    "t": _t,
    "T": _reversed_axes,
    "mT": _matrix_transposed,
    "movedim": _movedim,
    "moveaxis": _movedim,
    "view": _reshape,
    "reshape": _reshape,
    "view_as": _view_as,
    "reshape_as": _view_as,
    "flatten": _flatten,
    "unflatten": _unflatten,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "expand": _expand,
    "expand_as": _expand_as,
    "broadcast_to": _expand,
    "repeat": _repeat,
    "tile": _repeat,
    "repeat_interleave": _repeat_interleave,
    "cat": concatenated,
    "concat": concatenated,
    "concatenate": concatenated,
    "stack": _stack,
    "chunk": _chunk,
    "split": _split,
    "tensor_split": _split,
    "unbind": _unbind,
    "flip": flipped,
    "roll": _roll,
}
