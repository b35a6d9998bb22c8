"""The calls of torch's recurrent layers, and of their cells, which carry their state where torch gives and takes it."""

import inspect
from typing import Any

from .code import Expression, attribute, call, literal, subscript
from .emitting import Emitter, Out, Untranslatable, dtype
from .graph import Node, Value
from .orders import Order, plain

# torch's functions that make a state of zeros, which Flax begins with.
_ZEROS = ("zeros", "new_zeros", "zeros_like")
# Words for what is carried on.
_CARRY = ["carry", "carry2", "carry3"]


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
        named: dict[str, Any] = {} if carries is None else {"initial_carry": carries[layer]}
        if wanted:
            words = [f"carry{layer + 1}", f"carry_{layer + 1}"] if m.num_layers > 1 else _CARRY
            carry, array = e.unpacked(call(part, array, **named, return_carry=True), words, result.hints[:1])
            made.append(carry)
        else:
            array = call(part, array, **named)
        if m.dropout and layer < m.num_layers - 1:
            array = call(_item(function, 2 * layer + 1), array)
    if not wanted:
        return Out(array, order), _nothing(m)
    e.carries[lasts] = made
    outs = tuple(_stacked(e, m, value, made, word) for value, word in zip(lasts, "hc", strict=False))
    return Out(array, order), outs if m.mode == "LSTM" else outs[0]


def _stacked(e: Emitter, m: Any, value: Value, carries: list[Expression], word: str) -> Out:
    """One of torch's states, from the carries of the layers."""
    one_way = [subscript(carry, n) for carry in carries for n in (0, 1)] if m.bidirectional else carries
    parts = one_way if m.mode == "GRU" else [subscript(carry, "ch".index(word)) for carry in one_way]
    e.items[value] = [Out(part, plain(value.ndim - 1)) for part in parts]
    if len(parts) == 1:
        return Out(subscript(parts[0], None), plain(value.ndim))
    is_carry = m.mode == "GRU" and m.num_layers == 1
    return Out(call("jnp.stack", carries[0] if is_carry else parts), plain(value.ndim))


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
    """The carries to begin with, one for each layer; None where they are zeros."""
    if given is None:
        return None
    states = tuple(given) if m.mode == "LSTM" else (given,)
    if all(_is_zero(e, state) for state in states):
        return None
    if states in e.carries:
        return e.carries[states]
    count = m.num_layers * (1 + m.bidirectional)
    one_way = [_carry([_part(e, state, n) for state in states]) for n in range(count)]
    return [literal((one_way[n], one_way[n + 1])) for n in range(0, count, 2)] if m.bidirectional else one_way


def _is_zero(e: Emitter, state: Value) -> bool:
    return any(node.result is state and node.target in _ZEROS for node in e.frame.nodes)


def _part(e: Emitter, state: Value, n: int) -> Expression:
    if state in e.items:
        return e.items[state][n].expression
    return subscript(e.array(state, plain(state.ndim)), n)


def _carry(states: list[Expression]) -> Expression:
    """Flax's carry from torch's states."""
    return states[0] if len(states) == 1 else literal((states[1], states[0]))


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
        carry = _carry([zeros] * (1 + is_lstm))
    elif states in e.carries:
        (carry,) = e.carries[states]
    else:
        carry = _carry([e.array(state, plain(state.ndim)) for state in states])
    order: Order = plain(x.ndim)
    made = call(function, carry, e.array(x, order))
    if not is_lstm:
        hidden, _ = e.unpacked(made, [], [])
        return Out(hidden, order)
    carry, hidden = e.unpacked(made, _CARRY, [])
    e.carries[node.result] = [carry]
    return Out(hidden, order), Out(subscript(carry, 0), order)


def _zeros(e: Emitter, m: Any, x: Value) -> Expression:
    """A state of zeros for a cell that is given none."""
    shape = (*(e.size(x, axis) for axis in range(x.ndim - 1)), m.hidden_size)
    kind = {} if x.dtype == "float32" else {"dtype": dtype(x.dtype)}
    return e.temporary(call("jnp.zeros", literal(shape), **kind), "zeros")
