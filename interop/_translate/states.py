"""The calls of torch's recurrent layers, and of their cells, which carry their state where torch gives and takes it."""

import inspect
from typing import Any

from .code import Expression, attribute, call, literal, subscript
from .emitting import Emitter, Out, Untranslatable, dtype
from .graph import Node, Value
from .orders import Order, plain

# torch's functions that make a state of zeros, which Flax begins with.
_ZEROS = ("zeros", "new_zeros", "zeros_like")


def call_rnn(e: Emitter, node: Node, function: Expression) -> Any:
    """What a call of an LSTM or a GRU becomes: what comes out, and the last states where something is made of them."""
    m = node.module
    _check_biases(m)
    bound = inspect.signature(m.forward).bind(*node.args, **node.kwargs).arguments
    x, initial = bound["input"], bound.get("hx")
    if not isinstance(x, Value):
        raise Untranslatable("it takes a packed sequence", "give it the padded one, and mask what comes out")
    result, last = node.result
    lasts = last if m.mode == "LSTM" else (last,)
    wanted = any(one in e.needed for one in lasts)
    carries = _initial(e, m, initial)
    array, order = e.array(x, plain(x.ndim)), plain(x.ndim)
    if not wanted and carries is None:
        return Out(call(function, array), order), _nothing(m)
    made: list[Expression] = []
    for layer, part in enumerate(_layers(m, function)):
        named: dict[str, Any] = {} if carries is None else {"initial_carry": _of_layer(m, carries, layer)}
        if wanted:
            words = f"carry{layer + 1}" if m.num_layers > 1 else "carry", next(iter(result.hints), "")
            carry, array = e.unpacked(call(part, array, **named, return_carry=True), *words)
            made += [subscript(carry, 0), subscript(carry, 1)] if m.bidirectional else [carry]
        else:
            array = call(part, array, **named)
        if m.dropout and layer < m.num_layers - 1:
            array = call(_item(function, 2 * layer + 1), array)
    if not wanted:
        return Out(array, order), _nothing(m)
    e.carries[lasts] = made
    states = [[_state(m, carry, word) for carry in made] for word in ("h", "c")[: len(lasts)]]
    outs = []
    for value, parts in zip(lasts, states, strict=True):
        inner = plain(value.ndim - 1)
        e.items[value] = [Out(part, inner) for part in parts]
        outs.append(Out(call("jnp.stack", parts) if len(parts) > 1 else subscript(parts[0], None), plain(value.ndim)))
    return Out(array, order), tuple(outs) if m.mode == "LSTM" else outs[0]


def _check_biases(m: Any) -> None:
    if not m.bias:
        raise Untranslatable(
            "bias=False, and Flax's cells always have biases", "give it biases of zeros, which are the same"
        )


def _nothing(m: Any) -> Any:
    return (None, None) if m.mode == "LSTM" else None


def _layers(m: Any, function: Expression) -> list[Expression]:
    """The layers of an RNN: Flax has several as a Sequential, with Dropout between."""
    if m.num_layers == 1:
        return [function]
    return [_item(function, n * (2 if m.dropout else 1)) for n in range(m.num_layers)]


def _item(function: Expression, n: int) -> Expression:
    return subscript(attribute(function, "layers"), n)


def _initial(e: Emitter, m: Any, given: Any) -> list[Expression] | None:
    """The carries to begin with, one for each layer and direction; None where they are zeros."""
    if given is None:
        return None
    states = tuple(given) if m.mode == "LSTM" else (given,)
    if all(_is_zero(e, state) for state in states):
        return None
    if states in e.carries:
        return e.carries[states]
    count = m.num_layers * (1 + m.bidirectional)
    parts = [[_part(e, state, n) for state in states] for n in range(count)]
    return [_carry(m, *part) for part in parts]


def _is_zero(e: Emitter, state: Value) -> bool:
    return any(node.result is state and node.target in _ZEROS for node in e.frame.nodes)


def _part(e: Emitter, state: Value, n: int) -> Expression:
    if state in e.items:
        return e.items[state][n].expression
    return subscript(e.array(state, plain(state.ndim)), n)


def _of_layer(m: Any, carries: list[Expression], layer: int) -> Expression:
    if not m.bidirectional:
        return carries[layer]
    return literal((carries[2 * layer], carries[2 * layer + 1]))


def _carry(m: Any, hidden: Expression, cell: Expression | None = None) -> Expression:
    """Flax's carry from torch's states."""
    return hidden if cell is None else literal((cell, hidden))


def _state(m: Any, carry: Expression, word: str) -> Expression:
    """One of torch's states from Flax's carry."""
    return carry if m.mode == "GRU" else subscript(carry, "ch".index(word))


# Cells


def call_cell(e: Emitter, node: Node, function: Expression) -> Any:
    """What a call of an LSTMCell or of a GRUCell becomes."""
    m = node.module
    _check_biases(m)
    bound = inspect.signature(m.forward).bind(*node.args, **node.kwargs).arguments
    x, given = bound["input"], bound.get("hx")
    is_lstm = isinstance(node.result, tuple)
    states = None if given is None else tuple(given) if is_lstm else (given,)
    if states is None:
        zeros = _zeros(e, m, x)
        carry = literal((zeros, zeros)) if is_lstm else zeros
    elif states in e.carries:
        (carry,) = e.carries[states]
    else:
        arrays = [e.array(state, plain(state.ndim)) for state in states]
        carry = literal((arrays[1], arrays[0])) if is_lstm else arrays[0]
    order: Order = plain(x.ndim)
    made = call(function, carry, e.array(x, order))
    if not is_lstm:
        hidden, _ = e.unpacked(made, "", "")
        return Out(hidden, order)
    carry, hidden = e.unpacked(made, "carry", "")
    e.carries[node.result] = [carry]
    return Out(hidden, order), Out(subscript(carry, 0), order)


def _zeros(e: Emitter, m: Any, x: Value) -> Expression:
    """A state of zeros for a cell that is given none."""
    shape = (*(e.size(x, axis) for axis in range(x.ndim - 1)), m.hidden_size)
    kind = {} if x.dtype == "float32" else {"dtype": dtype(x.dtype)}
    return e.temporary(call("jnp.zeros", literal(shape), **kind), "zeros")
