"""Pickles as plain data: nothing that a pickle names is looked up, imported or called.

`torch.save` describes tensors in a pickle, and a pickle is a program: it may name any function and have it called. Here
its operations, whose arguments the standard library's `pickletools` decodes, build dicts, lists, tuples, strings and
numbers, and nothing else. A call is answered by the caller's own function for that name, or leaves an `Unmade` in its
place.

An operation may name something large that is already there, by a byte or two. So each takes a time that does not grow
with what it names, or that is counted: altogether a pickle takes no more than its `Allowance`.
"""

import pickletools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeAlias

from .._text import plain
from .allowance import LONG_KEY, MOST_OPERATIONS, Allowance
from .refusal import Refused

MOST_BYTES = 64 * 2**20
MOST_ARGUMENTS = 16
_LONGEST_NAME = 1_000
_FIRST_INTEGERS = 256
_LARGEST_INTEGER_KEY = 2**60  # below it, no two integers have the same hash

NO_STATE: Mapping[str, Any] = {}


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A function or a class that the pickle names."""

    name: str


@dataclass(eq=False, slots=True)
class Unmade:
    """What calling `name` would have made, and the attributes that it would have, as the plain data they are."""

    name: str
    state: Mapping[str, Any] = field(default_factory=lambda: NO_STATE)


# Stands for all keys of a dict whose hashes could take forever, or collide: of nested tuples, or of large ints.
_OTHER_KEY = object()
_UNSET = object()


def unpickle(
    file: BytesIO,
    allowance: Allowance,
    calls: Mapping[str, Callable[..., Any]],
    load_persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The next pickle in `file`, which is left at the pickle's end.

    Args:
      file: the bytes.
      allowance: what the pickle may take.
      calls: by name, what answers the pickle's calls, each in a time that does not grow with its arguments.
      load_persistent: what answers its persistent ids.

    Raises:
      Refused: more operations than a checkpoint has, or one that none has.
      Exception: of any type, for a pickle that is broken.
    """
    machine = _Machine(allowance, calls, load_persistent)
    read = file.read
    for left in range(allowance.operations - 1, -1, -1):
        allowance.operations = left
        code = read(1)
        if code not in _OPERATIONS:
            raise _unknown(code)
        operate, read_argument, nbytes = _OPERATIONS[code]
        allowance.objects -= nbytes
        if allowance.objects < 0:
            allowance.hold(0)
        if read_argument:
            operate(machine, read_argument(file))
        elif code == _STOP:
            return machine.stack.pop()
        else:
            operate(machine, None)
    raise Refused(f"is not read: its pickle has more than {MOST_OPERATIONS:,} operations")


def as_dict(allowance: Allowance, pairs: Any = None) -> dict[Any, Any]:
    """A plain dict of a dict, or of a list of pairs, which is emptied: a pickle may pass it a million times."""
    result: dict[Any, Any] = {}
    if pairs is not None:
        for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
            _update(result, [key, value], allowance)
        pairs.clear()
    return result


class _Machine:
    """A pickle's stack and its memo, and what each operation does to them."""

    __slots__ = ("allowance", "calls", "load_persistent", "marked", "memo", "puts", "stack")

    def __init__(
        self,
        allowance: Allowance,
        calls: Mapping[str, Callable[..., Any]],
        load_persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.allowance = allowance
        self.calls = calls
        self.load_persistent = load_persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # the stacks below each mark
        self.memo: list[Any] = []
        self.puts = 0

    def value(self, value: Any) -> None:
        self.stack.append(value)

    def text(self, text: Any) -> None:
        # Once here, and once in the file, which is in memory too.
        self.allowance.hold(2 * sys.getsizeof(text))
        self.stack.append(text)

    def put(self, number: int) -> None:
        memo = self.memo
        self.puts += 1
        if number >= len(memo):
            # They count up, so the memo is no larger than what is put there.
            if number > 2 * self.puts + _FIRST_INTEGERS:
                raise Refused("is broken: its pickle does not number its objects in order")
            memo.extend([_UNSET] * (number + 1 - len(memo)))
        memo[number] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.memo.append(self.stack[-1])

    def get(self, number: int) -> None:
        found = self.memo[number]
        if found is _UNSET:
            raise KeyError(number)
        self.stack.append(found)

    def mark(self, _: None) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        self.allowance.objects += _MARK
        return items

    def tuple_since_mark(self, _: None) -> None:
        items = tuple(self.since_mark())
        self.stack.append(items)

    def tuple_of_1(self, _: None) -> None:
        self.stack[-1] = (self.stack[-1],)

    def tuple_of_2(self, _: None) -> None:
        last = self.stack.pop()
        self.stack[-1] = (self.stack[-1], last)

    def tuple_of_3(self, _: None) -> None:
        last, middle = self.stack.pop(), self.stack.pop()
        self.stack[-1] = (self.stack[-1], middle, last)

    def append(self, _: None) -> None:
        item = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, list):
            target.append(item)
        else:
            _extend(target, [item])

    def appends(self, _: None) -> None:
        items = self.since_mark()
        _extend(self.stack[-1], items)

    def set_item(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _update(self.stack[-1], [key, value], self.allowance)

    def set_items(self, _: None) -> None:
        items = self.since_mark()
        _update(self.stack[-1], items, self.allowance)

    def global_(self, name: str) -> None:
        self._name(name.replace(" ", ".", 1))

    def stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(f"{plain(module)}.{plain(name)}")

    def _name(self, name: str) -> None:
        name = name[:_LONGEST_NAME]
        self.allowance.hold(sys.getsizeof(name))
        self.stack.append(Name(name))

    def reduce(self, _: None) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self.stack.append(self._call(called, arguments))

    def new_object(self, _: None) -> None:
        _, _, called = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.stack.append(_unmade(called))

    def _call(self, called: Any, arguments: Any) -> Any:
        if not isinstance(called, Name) or called.name not in self.calls:
            return _unmade(called)
        if not isinstance(arguments, tuple) or len(arguments) > MOST_ARGUMENTS:
            raise Refused(f"is broken: its pickle calls {plain(called.name)} with arguments that it does not take")
        return self.calls[called.name](*arguments)

    def build(self, _: None) -> None:
        """Keeps the attributes of something unmade: of a whole pickled model, its tensors are there."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Unmade) and isinstance(state, dict):
            target.state = state

    def persistent(self, _: None) -> None:
        if self.load_persistent is None:
            raise Refused("is not read: its pickle uses BINPERSID where torch.save does not")
        self.stack.append(self.load_persistent(self.stack.pop()))

    def pop(self, _: None) -> None:
        self.stack.pop()

    def pop_mark(self, _: None) -> None:
        self.since_mark()

    def duplicate(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def nothing(self, _: Any) -> None:
        pass


def _unmade(called: Any) -> Unmade:
    if not isinstance(called, Name | Unmade):
        raise Refused(f"is not read: its pickle calls something that is not a function ({plain(called)})")
    return Unmade(called.name)


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Unmade):
        raise Refused(f"is not read: its pickle appends to something that is not a list ({plain(target)})")


def _update(target: Any, items: list[Any], allowance: Allowance) -> None:
    if isinstance(target, dict):
        allowance.hold(_PAIR * (len(items) // 2))
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key if _is_harmless(key, target, allowance) else _OTHER_KEY] = value
    elif not isinstance(target, Unmade):
        raise Refused(f"is not read: its pickle sets items of something that is not a dict ({plain(target)})")


def _is_harmless(key: Any, target: dict[Any, Any], allowance: Allowance) -> bool:
    """Whether a key of a dict takes little time: the hashes of strings are random, those of ints chosen by the file."""
    if isinstance(key, str):
        if len(key) > LONG_KEY:
            allowance.use_long_key(len(key))
        return True
    if not isinstance(key, int):
        return False
    if 0 <= key <= 2 * len(target) + _FIRST_INTEGERS:
        return True
    return abs(key) < _LARGEST_INTEGER_KEY and allowance.use_integer_key()


def _unknown(code: bytes) -> Exception:
    names = {opcode.code.encode("latin-1"): opcode.name for opcode in pickletools.opcodes}
    if code not in names:
        return ValueError(f"opcode {code!r} unknown" if code else "pickle exhausted before seeing STOP")
    return Refused(f"is not read: its pickle uses {names[code]}, which torch.save never does")


def _constant(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make())


_Operate: TypeAlias = Callable[[_Machine, Any], None]
_STOP = b"."
# Bytes that objects take at most, with their places in what holds them.
_NUMBER, _TUPLE, _LIST, _DICT, _MARK, _PAIR, _MADE, _PLACE = 40, 72, 112, 320, 112, 100, 120, 16
_NUMBERS = ("BININT", "BININT1", "BININT2", "BINFLOAT")
_TEXTS = (
    *("LONG1", "LONG4", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_OPERATORS: dict[str, tuple[_Operate, int]] = {
    **dict.fromkeys(_NUMBERS, (_Machine.value, _NUMBER)),
    **dict.fromkeys(_TEXTS, (_Machine.text, _PLACE)),
    "NONE": (_constant(lambda: None), _PLACE),
    "NEWTRUE": (_constant(lambda: True), _PLACE),
    "NEWFALSE": (_constant(lambda: False), _PLACE),
    "EMPTY_TUPLE": (_constant(tuple), _PLACE),
    "EMPTY_LIST": (_constant(list), _LIST),
    "EMPTY_SET": (_constant(list), _LIST),  # a set would hash its items
    "EMPTY_DICT": (_constant(dict), _DICT),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), (_Machine.put, _PLACE)),
    "MEMOIZE": (_Machine.memoize, _PLACE),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), (_Machine.get, _PLACE)),
    "MARK": (_Machine.mark, _MARK),
    **dict.fromkeys(("TUPLE", "FROZENSET"), (_Machine.tuple_since_mark, _TUPLE)),
    "TUPLE1": (_Machine.tuple_of_1, _TUPLE),
    "TUPLE2": (_Machine.tuple_of_2, _TUPLE),
    "TUPLE3": (_Machine.tuple_of_3, _TUPLE),
    "APPEND": (_Machine.append, _PLACE),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), (_Machine.appends, _PLACE)),
    "SETITEM": (_Machine.set_item, _PLACE),
    "SETITEMS": (_Machine.set_items, _PLACE),
    "GLOBAL": (_Machine.global_, _MADE),
    "STACK_GLOBAL": (_Machine.stack_global, _MADE),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), (_Machine.reduce, _MADE)),
    "NEWOBJ_EX": (_Machine.new_object, _MADE),
    "BUILD": (_Machine.build, _PLACE),
    "BINPERSID": (_Machine.persistent, 2 * _MADE),
    "POP": (_Machine.pop, 0),
    "POP_MARK": (_Machine.pop_mark, 0),
    "DUP": (_Machine.duplicate, _PLACE),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), (_Machine.nothing, 0)),
}
# By code: what it does, what reads its argument, and what it takes.
_OPERATIONS = {
    opcode.code.encode("latin-1"): (operate, opcode.arg and opcode.arg.reader, nbytes)
    for opcode in pickletools.opcodes
    for operate, nbytes in [_OPERATORS.get(opcode.name, (None, 0))]
    if operate is not None
}
