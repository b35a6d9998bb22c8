"""What a file may have: far more than checkpoints do, and no more than is read in two seconds and 200 MB."""

import json
import struct
import sys

import pytest

from jax_tconv import interop
from jax_tconv.interop._files import allowance
from jax_tconv.interop._files.refusal import Refused
from tests.pickling import (
    FLOATS,
    call,
    dictionary,
    integer,
    integers,
    name,
    refusal,
    safetensors_file,
    storage,
    string,
    tensor,
    write_legacy,
    write_zip,
)
from tests.test_interop_bounds import index, many_tensors

EMOJI = "x" * 30_000_000 + "🙂"
KEPT, GET = b"q\x090", b"h\x09"  # into the memo alone, and from there
FEW_TENSORS = "has more than 30,000 tensors"
FEW_PARTS = "has far more parts than a checkpoint of its size"
REBUILD = "torch._utils._rebuild_tensor_v2"


def pickled(value, write=write_zip):
    def make(folder):
        content = value()
        write(folder / "x.pt", content, **({} if b"torch\nFloatStorage" in content else {"storages": {}}))
        return folder / "x.pt"

    return make


def header(content):
    return lambda folder: safetensors_file(folder / "x", content(), b"")


def directory(folder):
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 8) + bytes(16) + b"x/data/0"
    end = b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 65535, 65535, len(entry) * 90_000, 4, 0)
    (folder / "x.pt").write_bytes(b"PK\3\4" + entry * 90_000 + end)
    return folder / "x.pt"


def before_many_bytes(folder):
    """A legacy file, of which as much is read at once as a pickle may have."""
    write_legacy(folder / "x.pt", b"](" + b"]" * 700_000 + b"e", storages={})
    with open(folder / "x.pt", "ab") as file:
        file.truncate(100_000_000)
    return folder / "x.pt"


def shaped(*shape):
    return header(lambda: {"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 0]}})


def module():
    state = b"".join(string(kind) + b"}" for kind in ("_parameters", "_buffers", "_modules"))
    return call("x.Module") + b"}(" + state + b"ub"


def views(count):
    """The arguments for a tensor of so many axes, in the memo."""
    sizes = integers((1,) * count)
    return b"(" + storage() + integer(0) + sizes + sizes + b"\x89N" + b"t" + KEPT


# Each took seconds, or hundreds of megabytes.
TOO_MUCH = {
    "tensors in a header": (lambda folder: many_tensors(folder / "x", map(str, range(31_000))), FEW_TENSORS),
    "one tensor under many names": (
        pickled(lambda: tensor() + KEPT + b"}(" + b"".join(string(f"{n}") + GET for n in range(60_000)) + b"u"),
        FEW_TENSORS,
    ),
    "tensors of many axes": (
        pickled(lambda: name(REBUILD) + b"q\x080" + views(64) + (b"h\x08" + GET + b"R0") * 60_000 + b"}"),
        FEW_PARTS,
    ),
    "calls": (pickled(lambda: (name("x.y") + b")R0") * 300_000 + b"}"), FEW_PARTS),
    "names": (pickled(lambda: b"](" + b"ca\nb\n" * 600_000 + b"e"), FEW_PARTS),
    "names of nothing": (
        pickled(lambda: b"}(" + b"".join(string(f"{n}") + b"N" for n in range(300_000)) + b"u"),
        FEW_PARTS,
    ),
    "objects in a legacy file": (before_many_bytes, "more than 128 MiB"),
    "lists": (pickled(lambda: b"](" + (b"](" + b"]" * 900 + b"e") * 150 + b"e"), "more than 100,000 dicts, lists"),
    "modules in many places": (
        pickled(lambda: module() + KEPT + b"](" + (b"](" + GET * 900 + b"e") * 150 + b"e"),
        "more than 100,000 others",
    ),
    "a string that Python makes four times as long": (pickled(lambda: string(EMOJI)), "more than 128 MiB"),
    "the same in a header": (header(lambda: b'{"' + EMOJI.encode()[8_000_000:] + b'":1}'), "endless texts"),
    "a name without an end": (pickled(lambda: b"cx\n" + b"y" * 30_000_000), "names something without an end"),
    "a shape of large numbers": (shaped(0, *[2**60] * 100_000), "100,001 axes"),
    "folders in folders": (
        lambda folder: index(folder / "x.index.json", {f"{n}": "a/" * 400 + f"{n}" for n in range(100)}),
        "names a file that is 401 folders deep: a/a/",
    ),
    "entries of an archive": (directory, "its archive's directory is larger than 4,194,304 bytes"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="has files that other systems are slow with")
@pytest.mark.parametrize("case", TOO_MUCH)
def test_too_much(case, tmp_path):
    make, reason = TOO_MUCH[case]
    with pytest.raises(interop.CheckpointError) as caught:
        interop.read(make(tmp_path))
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_as_much_as_is_allowed(tmp_path):
    assert len(interop.read(many_tensors(tmp_path / "x", map(str, range(30_000))))) == 30_000
    entry = {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    metadata = {"__metadata__": {"a": "x" * 22_000_000, "b": "{}" * 10_000}}
    assert interop.read(safetensors_file(tmp_path / "x", metadata | entry)).keys() == {"a"}
    write_zip(tmp_path / "x.pt", dictionary({"x" * 20_000_000: tensor()}))
    assert [array.tolist() for array in interop.read(tmp_path / "x.pt").values()] == [FLOATS]


def test_larger_checkpoints_may_have_more():
    small, large, huge = (allowance.Allowance() for _ in range(3))
    small.begin_file(1)
    large.begin_file(100 * 10**6)
    large.begin_file(100 * 10**6)
    huge.begin_file(10**12)
    assert [one.most_tensors for one in (small, large, huge)] == [30_000, 60_000, 240_000]
    assert small.steps < large.steps < huge.steps


def test_many_files_are_work():
    read = allowance.Allowance()
    with pytest.raises(Refused, match=FEW_PARTS):
        for _ in range(3_000):
            read.begin_file(1_000)


def test_many_things_beside_tensors_are_counted_and_a_few_named(tmp_path):
    write_zip(tmp_path / "x.pt", b"}(" + b"".join(string(f"{n}") + b"N" for n in range(5_000)) + b"u", storages={})
    message = refusal(tmp_path / "x.pt")
    assert "holds more than tensors: 0 (NoneType), 1 (NoneType), 2 (NoneType), " in message
    assert "7 (NoneType) and 4992 more; save it without them" in message


def test_inspect_as_json(command, tmp_path):
    path = many_tensors(tmp_path / "x.safetensors", ["a.weight", 'quo"te\n.weight'])
    code, printed, _ = command("inspect", path, "--json")
    document = json.loads(printed)
    assert code == 0
    assert document["tensors"]['quo"te\n.weight'] == {"shape": [1], "dtype": "uint8"}
    assert [layer["name"] for layer in document["layers"]] == ["a", 'quo"te\n']
    # A line for each tensor, and not one for each number in it.
    assert ' "tensors": {\n  "a.weight": {"shape": [1], "dtype": "uint8"},\n' in printed
