"""Long texts: names, strings and numbers of many megabytes, which Python may need four bytes a character for."""

from tests.hostile.dense import POP, kept
from tests.hostile.making import Files, either
from tests.pickling import dictionary, name, string

MANY = 40_000_000
WIDE = "x" * MANY + "🙂"


TEXTS = {
    "a long string": lambda: string("x" * MANY),
    "a long string of emoji": lambda: string(WIDE),
    "a long string of emoji, dropped": lambda: string(WIDE) + POP + b"}",
    "a long string that is not UTF-8": lambda: string("x" * MANY)[:-1] + b"\xff",
    "a long name": lambda: name("torch." + "x" * MANY),
    "a long module": lambda: name("x" * MANY + ".y"),
    "a long name of emoji": lambda: f"ctorch\n{WIDE}\n".encode(),
    "a name without an end": lambda: b"ctorch\n" + b"x" * MANY,
    "a long name of two strings": lambda: string("torch") + string("x" * MANY) + b"\x93",
    "long bytes": lambda: b"B" + MANY.to_bytes(4, "little") + b"x" * MANY,
    "a long number": lambda: b"\x8b" + MANY.to_bytes(4, "little") + b"\x7f" * MANY,
    "a long number as a key": lambda: b"}\x8b" + MANY.to_bytes(4, "little") + b"\x7f" * MANY + b"Ns",
    "a long line where none is allowed": lambda: b"V" + b"x" * MANY + b"\n",
    "long strings of emoji, dropped": lambda: kept(0, string("x" * 1_000_000 + "🙂")) * 40 + b"}",
    "many strings of emoji": lambda: b"](" + string("x" * 1_000 + "🙂") * 40_000 + b"e",
    "names of emoji": lambda: dictionary({"x" * 4_000 + f"🙂{n}": b"N" for n in range(9_000)}),
}


def files() -> Files:
    for what, make in TEXTS.items():
        yield from either(what, lambda _, make=make: make())
