"""Pickles that repeat what takes a parser longest, far more often than any checkpoint does."""

from tests.hostile.making import Files, either, filled
from tests.pickling import integer, integers, items, name, storage, string

REBUILD = "torch._utils._rebuild_tensor_v2"
LIST, APPENDS, REDUCE, POP = b"](", b"e", b"R", b"0"


def put(number):
    return b"q" + bytes([number])


def get(number):
    return b"h" + bytes([number])


def kept(number, value):
    """A value that goes into the memo alone."""
    return value + put(number) + POP


# What is put into a list, over and over: what comes before, and what is repeated.
LISTED = {
    "nones": (b"", b"N"),
    "numbers": (b"", b"K\x01"),
    "floats": (b"", b"G" + bytes(8)),
    "large numbers": (b"", integer(2**62)),
    "larger numbers": (b"", integer(2**2000)),
    "short strings": (b"", string("abc")),
    "short strings, shared": (kept(0, string("abc")), get(0)),
    "strings that are not ASCII": (b"", string("é重🙂")),
    "bytes": (b"", b"C\x03abc"),
    "lists": (b"", b"]"),
    "dicts": (b"", b"}"),
    "sets": (b"", b"\x8f"),
    "tuples of one": (b"", b"N\x85"),
    "tuples of three": (b"", b"NNN\x87"),
    "tuples of many": (b"", b"(NNNNNNNNt"),
    "names": (b"", b"ca\nb\n"),
    "names of two strings": (kept(0, string("x")), get(0) * 2 + b"\x93"),
    "things made": (kept(0, name("x.y")), get(0) + b")R"),
    "things made anew": (b"", b"cx\ny\n)R"),
    "things with attributes": (kept(0, name("x.y")), get(0) + b")R}b"),
    "dicts made": (kept(0, name("collections.OrderedDict")), get(0) + b")R"),
    "default dicts": (kept(0, name("collections.defaultdict")), get(0) + b")R"),
    "sizes": (kept(0, name("torch.Size")) + kept(1, integers(range(16))), get(0) + get(1) + b"\x85R"),
    "lists of a few": (b"", b"](NNNe"),
    "dicts of one": (kept(0, string("a")), b"}" + get(0) + b"Ns"),
    "objects in the memo": (b"", b"]\x94"),
}
# What leaves nothing behind.
POPPED = {
    "nones": (b"", b"N0"),
    "copies": (b"N", b"20"),
    "marks": (b"", b"(1"),
    "tuples from marks": (b"", b"(t0"),
    "the memo written": (b"N", b"q\x00"),
    "the memo read": (b"Nq\x00", b"h\x000"),
    "protocols": (b"", b"\x80\x02"),
    "frames": (b"", b"\x95" + bytes(8)),
    "attributes": (kept(0, b"}") + name("x.y") + b")R", get(0) + b"b"),
    "one item set again": (b"}" + kept(0, string("a")), get(0) + b"Ns"),
    "one item appended": (b"]", b"Na"),
    "many items set in a few": (kept(0, string("a")) + b"}", b"(" + (get(0) + b"N") * 8 + b"u"),
}


def views(axes, legacy):
    """What makes the same tensor again and again, of so many axes: what comes first, and what is repeated."""
    arguments = get(1), integer(0), get(2), get(2), b"\x89", b"N"
    kept_values = storage(legacy=legacy), integers((1,) * axes)
    first = kept(0, name(REBUILD)) + kept(1, kept_values[0]) + kept(2, kept_values[1]) + kept(3, items(*arguments))
    return first, get(0) + get(3) + REDUCE


def storages(legacy):
    """What asks for the same storage again and again."""
    parts = string("storage"), name("torch.FloatStorage"), string("0"), string("cpu"), integer(4), b"N" * legacy
    return kept(0, items(*parts)), get(0) + b"Q0"


def listed(made) -> bytes:
    first, often = made
    return filled(first + LIST, often, APPENDS)


def dropped(made) -> bytes:
    first, often = made
    return filled(first, often + POP)


def files() -> Files:
    for what, made in LISTED.items():
        yield from either(f"a list of {what}", lambda _, made=made: listed(made))
    for what, made in POPPED.items():
        yield from either(f"endless {what}", lambda _, made=made: filled(*made))
    for axes in (0, 2, 64):
        yield from either(f"a list of one tensor of {axes} axes", lambda legacy, axes=axes: listed(views(axes, legacy)))
        yield from either(f"endless tensors of {axes} axes", lambda legacy, axes=axes: dropped(views(axes, legacy)))
    yield from either("endless storages", lambda legacy: filled(*storages(legacy)))
