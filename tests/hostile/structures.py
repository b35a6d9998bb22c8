"""Values that are no trouble to parse, but to whoever goes over them in search of tensors."""

from tests.hostile.dense import APPENDS, LIST, REDUCE, get, kept
from tests.hostile.making import Files, either, filled, pickled
from tests.pickling import call, dictionary, integer, items, name, string, tensor


def grouped(often, group, groups):
    """A list of lists, since a long one is not gone over."""
    return LIST + (LIST + often * group + APPENDS) * groups + APPENDS


def numbered(count, value, key=lambda number: string(f"{number}")):
    """A dict of many keys to one value, which is made once."""
    return kept(9, value) + b"}(" + b"".join(key(number) + get(9) for number in range(count)) + b"u"


def module(parameters=b"}", modules=b"}", buffers=b"}", more=b""):
    """A pickled module, whose dicts are these."""
    kinds = {"_parameters": parameters, "_buffers": buffers, "_modules": modules}
    state = b"".join(string(kind) + value for kind, value in kinds.items())
    return call("x.Module") + b"}(" + state + more + b"ub"


def nested_modules(depth, more=b""):
    value = module(dictionary({"weight": tensor()}))
    for _ in range(depth):
        value = module(modules=dictionary({"part": value}), more=more)
    return value


def shared_modules(height):
    """A tower of modules, each with the one below in two places."""
    value = kept(9, module(dictionary({"w": tensor()})))
    for _ in range(height):
        value += kept(9, module(modules=dictionary({"a": get(9), "b": get(9)})))
    return value + get(9)


def chained(depth, often):
    """Dicts within dicts, as deep as entries are looked for, each with many others beside."""
    value = dictionary({"w": tensor()})
    for _ in range(depth):
        value = b"}(" + string("next") + value + b"".join(string(f"{n}") + often for n in range(10_000)) + b"u"
    return value


def counted(count):
    """A dict of so many things, of each kind that there may be many of."""
    return {
        "tensors, one storage": lambda: numbered(count, tensor()),
        "names of nothing": lambda: numbered(count, b"N"),
        "numbers of nothing": lambda: numbered(count, b"N", integer),
        "names of things made": lambda: numbered(count, call("x.y")),
        "dicts of one tensor": lambda: (
            kept(8, string("w"))
            + kept(7, tensor())
            + (b"}(" + b"".join(string(f"{n}") + b"}" + get(8) + get(7) + b"s" for n in range(count)) + b"u")
        ),
    }


def one():
    """A module with one parameter."""
    return module(dictionary({"w": tensor()}))


def twice():
    """A long string and a size, in the memo."""
    return kept(8, string("x" * 30_000_000)) + kept(7, name("torch.Size"))


def optimizer(count):
    state = numbered(count, dictionary({"step": tensor()}), integer)
    saved = dictionary({"state": state, "param_groups": b"]"})
    return dictionary({"net": dictionary({"w": tensor()}), "optimizer": saved})


def entries(*names, value=None):
    return dictionary(dict.fromkeys(names, value or dictionary({"w": tensor()})))


MANY = {
    "lists": b"]",
    "dicts": b"}",
    "tuples": b"N\x85",
    "lists of two": b"](NNe",
    "things made": b"ca\nb\n)R",
}
STRUCTURES = {
    "modules in modules": lambda: nested_modules(95),
    "modules in too many modules": lambda: nested_modules(2_000),
    "modules shared": lambda: shared_modules(40),
    "modules with other attributes": lambda: nested_modules(95, string("other") + grouped(b"}", 100, 10)),
    "a module of many parameters": lambda: module(numbered(200_000, tensor())),
    "a module of many modules": lambda: module(modules=numbered(200_000, module())),
    "many modules in a list": lambda: kept(8, one()) + grouped(get(8), 990, 300),
    "many modules in a dict": lambda: numbered(100_000, one()),
    "modules with endless names": lambda: (
        kept(9, string("x" * 1_000_000)) + module(modules=b"}(" + (get(9) + module()) * 500 + b"u")
    ),
    "dicts in dicts": lambda: chained(7, b"}"),
    "modules in dicts": lambda: chained(3, module()),
    "an optimizer of many dicts": lambda: optimizer(100_000),
    "entries with endless names": lambda: entries("x" * 5_000_000, "y" * 5_000_000),
    "tensors with endless names": lambda: entries("x" * 9_000_000, "y" * 9_000_000, value=tensor()),
    "a tensor with a name of emoji": lambda: entries("x" * 20_000_000 + "🙂", value=tensor()),
    "many tensors with long names": lambda: entries(*("x" * 900 + f"{n}" for n in range(20_000)), value=tensor()),
    "a long string many times": lambda: twice() + LIST + get(8) * 500_000 + APPENDS,
    "calls with a long string": lambda: twice() + LIST + (get(7) + get(8) + b"\x85" + REDUCE) * 300_000 + APPENDS,
    "a tuple of a long string as a key": lambda: twice() + b"}(" + items(get(8)) + b"Nu",
}


def files() -> Files:
    for count in (20_000, 100_000, 400_000):
        for what, make in counted(count).items():
            yield f"{count} {what}", pickled(lambda _, make=make: make())
    for what, often in MANY.items():
        yield from either(f"lists of {what}", lambda _, often=often: grouped(often, 990, 900))
        yield from either(f"pairs of {what}", lambda _, often=often: filled(LIST, LIST + often * 2 + APPENDS, APPENDS))
    for what, make in STRUCTURES.items():
        yield what, pickled(lambda _, make=make: make())
