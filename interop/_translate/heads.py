"""The calls of torch's MultiheadAttention. Where a mask is true, Flax's attends; torch's does not."""

import ast
import inspect
from typing import Any

import torch

from .code import Expression, attribute, call, method, operation, subscript
from .emitting import Emitter, Out, Untranslatable
from .graph import Node, Value
from .orders import Order, plain


def call_attention(e: Emitter, node: Node, function: Expression) -> Any:
    """What a call of an attention layer becomes: its output; the weights that torch gives besides are left out."""
    m = node.module
    bound = inspect.signature(m.forward).bind(*node.args, **node.kwargs)
    bound.apply_defaults()
    given = bound.arguments
    if isinstance(node.result[1], Value) and node.result[1] in e.needed:
        raise Untranslatable(
            "it uses the weights that its attention gives besides the output, and Flax's gives the output alone",
            "call it with need_weights=False, or compute the weights by functions of torch",
        )
    q, k, v = (given[word] for word in ("query", "key", "value"))
    order = _order(m, q)
    arrays = [e.array(q, order)]
    if not (q is k is v):
        arrays += [e.array(k, order)] + ([] if k is v else [e.array(v, order)])
    causal = given["is_causal"] and given["key_padding_mask"] is None and not given["need_weights"]
    if causal or _is_causal(given["attn_mask"], given["key_padding_mask"]):
        return Out(call(function, *arrays, is_causal=True), order), None
    masks = _Masks(e, m, q.ndim, given["attn_mask"], given["key_padding_mask"])
    if masks.bias is None:
        return Out(call(function, *arrays, **masks.named()), order), None
    return Out(_with_bias(m, function, arrays, masks), order), None


def _order(m: Any, x: Value) -> Order:
    """Where Flax has the axes of what attends."""
    return plain(x.ndim) if m.batch_first or x.ndim == 2 else (1, 0, 2)


def _is_causal(mask: Any, other: Any) -> bool:
    """Whether a mask is known to let every place attend to those up to itself."""
    if mask is None or other is not None or mask.example is None or mask.ndim != 2 or max(mask.shape) < 3:
        return False  # smaller ones may be anything for other lengths
    later = torch.ones(mask.shape, dtype=torch.bool).triu(1)
    added = torch.zeros(mask.shape).masked_fill(later, -torch.inf)
    return bool((mask.example == (later if mask.dtype == "bool" else added)).all())


class _Masks:
    """The masks of one call as Flax takes them: where to attend, and numbers to add."""

    def __init__(self, e: Emitter, m: Any, ndim: int, attn_mask: Value | None, padding: Value | None) -> None:
        self.bias: Expression | None = None
        # Where not to attend, and where to.
        self.out: list[Expression] = []
        self.kept: list[Expression] = []
        if attn_mask is not None:
            array = e.array(attn_mask, plain(attn_mask.ndim))
            if attn_mask.ndim == 3 and ndim == 3:
                # torch has the batch and the heads as one axis.
                lengths = subscript(attribute(array, "shape"), slice(1, None))
                array = method(array, "reshape", -1, m.num_heads, ast.Starred(lengths, ast.Load()))
            self._take(attn_mask, array)
        if padding is not None:
            array = e.array(padding, plain(padding.ndim))
            self._take(padding, subscript(array, (slice(None), None, None)) if padding.ndim == 2 else array)

    def _take(self, mask: Value, array: Expression) -> None:
        if mask.dtype == "bool":
            self.out.append(array)
        elif mask.example is not None and {*mask.example.flatten().tolist()} in ({0, -torch.inf}, {-torch.inf}):
            self.kept.append(operation("==", array, 0))
        else:
            self.bias = array if self.bias is None else operation("+", self.bias, array)

    def named(self) -> dict[str, Expression]:
        """The argument `mask`, if there is one."""
        kept = list(self.kept)
        if self.out:
            kept.append(operation("~", self.out[0] if len(self.out) == 1 else operation("|", *self.out)))
        if not kept:
            return {}
        return {"mask": kept[0] if len(kept) == 1 else operation("&", *kept)}


def _with_bias(m: Any, function: Expression, arrays: list[Expression], masks: _Masks) -> Expression:
    """Attention step by step, as numbers that are added to the scores ask for."""

    def of(word: str) -> Expression:
        return attribute(function, word)

    q, k, v = arrays[0], arrays[min(1, len(arrays) - 1)], arrays[-1]
    projected = [call(of(word), array) for word, array in (("query", q), ("key", k), ("value", v))]
    more: dict[str, Any] = {"bias": masks.bias, **masks.named()}
    if m.dropout:
        more |= {
            "dropout_rng": call(of("rngs")),
            "dropout_rate": of("dropout_rate"),
            "broadcast_dropout": False,
            "deterministic": of("deterministic"),
        }
    return call(of("out"), call("nnx.dot_product_attention", *projected, **more))
