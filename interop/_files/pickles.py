"""Pickles as plain data: nothing that a pickle names is looked up, imported or called.

`torch.save` describes tensors in a pickle, and a pickle is a program: it may name any function and have it called. Here
its operations build dicts, lists, tuples, strings and numbers, and nothing else. A call is answered by the caller's own
function for that name, or leaves an `Unmade` in its place.

An operation may name something large that is already there, by a byte or two. So each takes a time that does not grow
with what it names, or that is counted: altogether a pickle takes no more than its `Allowance`.
"""

import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeAlias

from .._text import plain
from .allowance import LONG_KEY, Allowance
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
    machine = _Machine(file, allowance, calls, load_persistent)
    read = file.read
    while True:
        code = read(1)
        operation = _OPERATIONS.get(code)
        if operation is None:
            raise _unknown(code)
        operate, argument, steps, nbytes = operation
        allowance.steps -= steps
        allowance.objects -= nbytes
        if allowance.steps < 0 or allowance.objects < 0:
            allowance.take(0)
        if argument:
            (number,) = argument.unpack(read(argument.size))
            operate(machine, number)
        elif code == _STOP:
            return machine.stack.pop()
        else:
            operate(machine, None)


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

    __slots__ = ("allowance", "calls", "file", "load_persistent", "marked", "memo", "puts", "stack")

    def __init__(
        self,
        file: BytesIO,
        allowance: Allowance,
        calls: Mapping[str, Callable[..., Any]],
        load_persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.file = file
        self.allowance = allowance
        self.calls = calls
        self.load_persistent = load_persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # the stacks below each mark
        self.memo: list[Any] = []
        self.puts = 0

    def value(self, value: Any) -> None:
        self.stack.append(value)

    def unicode(self, length: int) -> None:
        self.stack.append(str(self._content(length, width=4), "utf-8", "surrogatepass"))

    def string(self, length: int) -> None:
        self.stack.append(str(self._content(length), "latin-1"))

    def binary(self, length: int) -> None:
        self.stack.append(self._content(length))

    def long(self, length: int) -> None:
        self.stack.append(int.from_bytes(self._content(length), "little", signed=True))

    def _content(self, length: int, width: int = 1) -> bytes:
        """The next bytes. What becomes of them has so many for each, unless they are ASCII."""
        content = self.file.read(length) if length >= 0 else b""
        if len(content) != length:
            raise ValueError(f"{length:,} bytes wanted, but {len(content):,} are left")
        self.allowance.take(length // _BYTES_PER_STEP, length * (1 if content.isascii() else width))
        return content

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

    def global_(self, _: None) -> None:
        module, name = self._line(), self._line()
        self._name(f"{module}.{name}")

    def _line(self) -> str:
        line = self.file.readline(_LONGEST_NAME + 1)
        if not line.endswith(b"\n"):
            raise Refused("is broken: its pickle names something without an end")
        return str(line[:-1], "utf-8")

    def stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(f"{plain(module)}.{plain(name)}")

    def _name(self, name: str) -> None:
        self.allowance.take(0, len(name))
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
        allowance.take(_PAIR_STEPS * (len(items) // 2), _PAIR * (len(items) // 2))
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
# Steps of half a microsecond: what some operations take besides one.
_READING, _CALL, _LINES, _ITEM, _PAIR_STEPS = 2, 3, 4, 3, 5
_BYTES_PER_STEP = 1_000
# Bytes that objects take at most, with their places in what holds them.
_NUMBER, _TEXT, _TUPLE, _LIST, _DICT, _MARK, _PAIR, _MADE, _PLACE = 40, 80, 72, 112, 320, 112, 100, 120, 16
# By name: what it does, what it takes, and the steps besides one.
_OPERATORS: dict[str, tuple[_Operate, int, int]] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "BINFLOAT"), (_Machine.value, _NUMBER, 0)),
    **dict.fromkeys(("LONG1", "LONG4"), (_Machine.long, _TEXT, _READING)),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), (_Machine.unicode, _TEXT, _READING)),
    **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING"), (_Machine.string, _TEXT, _READING)),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"), (_Machine.binary, _TEXT, _READING)),
    "NONE": (_constant(lambda: None), _PLACE, 0),
    "NEWTRUE": (_constant(lambda: True), _PLACE, 0),
    "NEWFALSE": (_constant(lambda: False), _PLACE, 0),
    "EMPTY_TUPLE": (_constant(tuple), _PLACE, 0),
    "EMPTY_LIST": (_constant(list), _LIST, 0),
    "EMPTY_SET": (_constant(list), _LIST, 0),  # a set would hash its items
    "EMPTY_DICT": (_constant(dict), _DICT, 0),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), (_Machine.put, _PLACE, 0)),
    "MEMOIZE": (_Machine.memoize, _PLACE, 0),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), (_Machine.get, _PLACE, 0)),
    "MARK": (_Machine.mark, _MARK, 0),
    **dict.fromkeys(("TUPLE", "FROZENSET"), (_Machine.tuple_since_mark, _TUPLE, 1)),
    "TUPLE1": (_Machine.tuple_of_1, _TUPLE, 0),
    "TUPLE2": (_Machine.tuple_of_2, _TUPLE, 0),
    "TUPLE3": (_Machine.tuple_of_3, _TUPLE, 0),
    "APPEND": (_Machine.append, _PLACE, 0),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), (_Machine.appends, _PLACE, 0)),
    "SETITEM": (_Machine.set_item, _PLACE, _ITEM),
    "SETITEMS": (_Machine.set_items, _PLACE, _ITEM),
    "GLOBAL": (_Machine.global_, _MADE + _TEXT, _LINES),
    "STACK_GLOBAL": (_Machine.stack_global, _MADE + _TEXT, _LINES),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), (_Machine.reduce, _MADE, _CALL)),
    "NEWOBJ_EX": (_Machine.new_object, _MADE, _CALL),
    "BUILD": (_Machine.build, _PLACE, 0),
    "BINPERSID": (_Machine.persistent, 2 * _MADE, 2 * _CALL),
    "POP": (_Machine.pop, 0, 0),
    "POP_MARK": (_Machine.pop_mark, 0, 0),
    "DUP": (_Machine.duplicate, _PLACE, 0),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), (_Machine.nothing, 0, 0)),
}
# The number that follows an operation's code, which for texts is their length; by the names that `pickletools` has.
_FORMS = {
    "<B": "uint1 string1 unicodestring1 bytes1 long1",
    "<H": "uint2",
    "<i": "int4 string4 long4",
    "<I": "uint4 unicodestring4 bytes4",
    "<Q": "uint8 unicodestring8 bytes8 bytearray8",
    ">d": "float8",
}
_ARGUMENTS = {name: struct.Struct(form) for form, names in _FORMS.items() for name in names.split()}
# By code: what it does, the form of its number, and what it takes.
_OPERATIONS = {
    opcode.code.encode("latin-1"): (operate, argument, 1 + more, nbytes)
    for opcode in pickletools.opcodes
    if opcode.name in _OPERATORS
    for operate, nbytes, more in [_OPERATORS[opcode.name]]
    for argument in [_ARGUMENTS.get(opcode.arg.name) if opcode.arg else None]
}
