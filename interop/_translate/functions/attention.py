"""Attention as one function of torch's."""

from collections.abc import Callable
from typing import Any

from ..code import call
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import Order, plain

# Flax has the heads after the length.
_HEADS_LATER = (0, 2, 1, 3)


def _attention(
    e: Emitter,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Any = None,
    enable_gqa: bool = False,
) -> Out:
    if dropout_p:
        raise Untranslatable(
            f"its attention drops with dropout_p={dropout_p} in evaluation too", "set it to 0 unless self.training"
        )
    more: dict[str, Any] = {"is_causal": True} if is_causal else {}
    if scale is not None:
        more["scale"] = e.number(scale)
    given = (query, key, value)
    one_size = query.shape[:2] == key.shape[:2] == value.shape[:2] or enable_gqa
    # JAX's own computes the softmax in float32, and a query that may attend to nothing attends to everything.
    if all(one.ndim == 4 and e.order(one) == _HEADS_LATER for one in given) and (
        attn_mask is None and query.dtype == "float32" and one_size and query.shape[-1] == value.shape[-1]
    ):
        return Out(call("jax.nn.dot_product_attention", *map(e.array, given), **more), _HEADS_LATER)
    if enable_gqa:
        more["enable_gqa"] = True
    if attn_mask is not None:
        more = {"mask": e.array(attn_mask, plain(attn_mask.ndim)), **more}
    ndim = max(one.ndim for one in given)
    order = _common(e, given) if attn_mask is None else plain(ndim)
    arrays = [e.array(one, order if one.ndim == ndim else plain(one.ndim)) for one in given]
    return Out(call("functional.scaled_dot_product_attention", *arrays, **more), order)


def _common(e: Emitter, given: tuple[Value, ...]) -> Order:
    """The order of all three if they have the same one, with lengths and features last, or torch's."""
    orders = {e.order(value) for value in given}
    order = next(iter(orders))
    return order if len(orders) == 1 and order[-2:] == plain(len(order))[-2:] else plain(max(v.ndim for v in given))


FUNCTIONS: dict[str, Callable[..., Any]] = {"scaled_dot_product_attention": _attention}
