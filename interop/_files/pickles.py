"""Pickles as plain data: nothing that a pickle names is looked up, imported or called.

`torch.save` describes tensors in a pickle, and a pickle is a program: it may name any function and have it called. Here
its operations, which the standard library's `pickletools` decodes, build dicts, lists, tuples, strings and numbers, and
nothing else. A call is answered by the caller's own function for that name, or leaves an `Unmade` in its place.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from .._text import plain
from .refusal import Refused

# A tensor takes about 40 operations and 200 bytes; an operation makes at most some 80 bytes of objects.
MOST_OPERATIONS = 5_000_000
MOST_BYTES = 64 * 2**20

NO_STATE: Mapping[str, Any] = {}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_VALUES |= {"BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # a set would hash its items
    "EMPTY_DICT": dict,
}


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A function or a class that the pickle names."""

    name: str


@dataclass(eq=False, slots=True)
class Unmade:
    """What calling `name` would have made, and the attributes that it would have, as the plain data they are."""

    name: str
    state: Mapping[str, Any] = field(default_factory=lambda: NO_STATE)


class _OtherKey:
    """Stands for a dict key whose hash could take forever: nested tuples, or huge ints made to collide."""


def unpickle(
    file: BytesIO, calls: Mapping[str, Callable[..., Any]], load_persistent: Callable[[Any], Any] | None = None
) -> Any:
    """The next pickle in `file`, which is left at the pickle's end.

    Args:
      file: the bytes.
      calls: by name, what answers the pickle's calls.
      load_persistent: what answers its persistent ids.

    Raises:
      Refused: more operations than a checkpoint has, or one that none has.
      Exception: of any type, for a pickle that is broken.
    """
    stack: list[Any] = []
    marked: list[list[Any]] = []  # the stacks below each mark
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count == MOST_OPERATIONS:
            raise Refused(f"is not read: its pickle has more than {MOST_OPERATIONS:,} operations")
        operation = opcode.name
        if operation in _VALUES:
            stack.append(argument)
        elif operation in _CONSTANTS:
            stack.append(_CONSTANTS[operation]())
        else:
            match operation:
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "MARK":
                    marked.append(stack)
                    stack = []
                case "TUPLE" | "FROZENSET":
                    items, stack = stack, marked.pop()
                    stack.append(tuple(items))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    length = int(operation[-1])
                    stack[-length:] = [tuple(stack[-length:])]
                case "APPEND":
                    item = stack.pop()
                    _extend(stack[-1], [item])
                case "APPENDS" | "ADDITEMS":
                    items, stack = stack, marked.pop()
                    _extend(stack[-1], items)
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    _update(stack[-1], [key, value])
                case "SETITEMS":
                    items, stack = stack, marked.pop()
                    _update(stack[-1], items)
                case "GLOBAL":
                    stack.append(Name(argument.replace(" ", ".", 1)))
                case "STACK_GLOBAL":
                    name, module = stack.pop(), stack.pop()
                    stack.append(Name(f"{plain(module)}.{plain(name)}"))
                case "REDUCE" | "NEWOBJ":
                    arguments, called = stack.pop(), stack.pop()
                    stack.append(_call(calls, called, arguments))
                case "NEWOBJ_EX":
                    _, _, called = stack.pop(), stack.pop(), stack.pop()
                    stack.append(_call({}, called, ()))
                case "BUILD":
                    _build(stack.pop(), stack[-1])
                case "BINPERSID" if load_persistent:
                    stack.append(load_persistent(stack.pop()))
                case "POP":
                    stack.pop()
                case "POP_MARK":
                    stack = marked.pop()
                case "DUP":
                    stack.append(stack[-1])
                case "PROTO" | "FRAME":
                    pass
                case "STOP":
                    return stack.pop()
                case _:
                    raise Refused(f"is not read: its pickle uses {operation}, which torch.save never does")
    raise Refused("is cut short")


def as_dict(pairs: Any = None) -> dict[Any, Any]:
    """A plain dict of a dict, or of a list of pairs, which is emptied: a pickle may pass it a million times."""
    result: dict[Any, Any] = {}
    if pairs is not None:
        for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
            _update(result, [key, value])
        pairs.clear()
    return result


def _call(calls: Mapping[str, Callable[..., Any]], called: Any, arguments: Any) -> Any:
    if not isinstance(called, Name | Unmade):
        raise Refused(f"is not read: its pickle calls something that is not a function ({plain(called)})")
    if isinstance(called, Name) and called.name in calls:
        return calls[called.name](*arguments)
    return Unmade(called.name)


def _build(state: Any, target: Any) -> None:
    """Keeps the attributes of something unmade: of a whole pickled model, its tensors are there."""
    if isinstance(target, Unmade) and isinstance(state, dict):
        target.state = state


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Unmade):
        raise Refused(f"is not read: its pickle appends to something that is not a list ({plain(target)})")


def _update(target: Any, items: list[Any]) -> None:
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            harmless = isinstance(key, str) or (isinstance(key, int) and abs(key) < 2**60)
            target[key if harmless else _OtherKey()] = value
    elif not isinstance(target, Unmade):
        raise Refused(f"is not read: its pickle sets items of something that is not a dict ({plain(target)})")
