"""safetensors files whose headers ask for much more than they have bytes."""

import json

from tests.hostile.making import Files
from tests.pickling import safetensors_file
from tests.test_interop_bounds import many_tensors

F32 = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
LONG = b"x" * 22_000_000
EMOJI = {"emoji": "🙂".encode(), "escapes": rb"\ud83d\ude00"}  # one makes Python take four bytes for every character


def header(content, values=b""):
    """A file with the header that a function makes."""
    return lambda folder: safetensors_file(folder / "x.safetensors", content(), values)


def tensors(count, form="{}"):
    """A file of so many tensors of a byte each."""
    return lambda folder: many_tensors(folder / "x.safetensors", [form.format(number) for number in range(count)])


def repeated(often, count, first=b"{", last=b"}"):
    """JSON of many items; `often` may have a `%d` for the number of each."""
    return lambda: first + b",".join(often % n if b"%d" in often else often for n in range(count)) + last


def empty_tensors(count):
    return header(repeated(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}', count))


def shaped(first, size=0, count=0):
    """A tensor without values, with so many equal sizes after the first."""
    return header(lambda: {"a": {"dtype": "F32", "shape": [first] + [size] * count, "data_offsets": [0, 0]}})


def metadata(content):
    tensor = json.dumps(F32).encode()
    return header(lambda: b'{"__metadata__":' + content() + b',"a":' + tensor + b"}", bytes(16))


FORMS = ("{}.parametrizations.weight.original", "{}.weight_g", "weight{}_v", "a.{}.weight", "{}.weight_ih_l0")
NAMES = ((500, 30_000), (5_000, 4_000), (50_000, 400), (10_000_000, 1), (20_000_000, 1))


def files() -> Files:
    for count in (10_000, 45_000, 100_000, 300_000):
        yield f"{count} tensors", tensors(count, "layer{}.weight")
        yield f"{count} tensors without layers", tensors(count)
        yield f"{count} empty tensors", empty_tensors(count)
    yield "600000 empty tensors", empty_tensors(600_000)
    for form in FORMS:
        yield f"30000 tensors named {form}", tensors(30_000, form)
    for length, count in NAMES:
        yield f"{count} names of {length} characters", tensors(count, "x" * length + "{}")
        yield f"{count} layers' names of {length} characters", tensors(count, "x" * length + "{}.weight")
    yield "long names of layers", tensors(20_000, "x" * 400 + "{}." + "y" * 400)
    yield "endless metadata", metadata(lambda: b'{"a":"' + LONG + b'"}')
    for what, emoji in EMOJI.items():
        yield f"endless metadata with {what}", metadata(lambda emoji=emoji: b'{"a":"' + LONG + emoji + b'"}')
        yield (
            f"an endless dtype with {what}",
            header(lambda emoji=emoji: b'{"a":{"dtype":"' + LONG + emoji + b'","shape":[0],"data_offsets":[0,0]}}'),
        )
    yield "many metadata", metadata(repeated(b'"%d":""', 1_200_000))
    yield "metadata full of escapes", metadata(lambda: b'{"a":"' + rb"\u0000" * 3_500_000 + b'"}')
    yield "a shape of many ones", shaped(1, 1, 5_000_000)
    yield "a shape of many zeros", shaped(0, 0, 5_000_000)
    yield "a shape of nothing and much more", shaped(0, 2**60, 300_000)
    yield "a shape of nothing and a little more", shaped(0, 2**60, 63)
    yield "lists in lists", header(lambda: b'{"a":' + b"[" * 20_000_000)
    yield "dicts in dicts", header(lambda: b'{"a":' * 4_000_000)
    yield "endless numbers", header(lambda: b'{"a":' + b"9" * 20_000_000 + b"}")
    yield "many numbers", header(repeated(b"[1e9]", 3_000_000, b'{"a":[', b"]}"))
    yield "spaces", header(lambda: b"{" + b" " * 22_000_000 + json.dumps({"a": F32}).encode()[1:], bytes(16))
