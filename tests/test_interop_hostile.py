"""Broken files, and files that mean harm: each loads right or is refused; none runs, hangs or fills memory."""

import contextlib
import copyreg
import json
import re
import struct
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from tests import limits
from tests.pickling import (
    call,
    dictionary,
    integer,
    items,
    name,
    storage,
    string,
    tensor,
    write_legacy,
    write_zip,
)

FLOATS = np.arange(16, dtype="u1").view("f4").tolist()


def refusal(path, **options):
    with pytest.raises(CheckpointError) as caught:
        interop.read(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path.parent}")
    assert "\n" not in message
    assert len(message) < 1000
    return message


@pytest.fixture(params=["zip", "legacy"])
def write(request, tmp_path):
    """Writes a pickled value in either of torch's formats."""

    def write(value, **options):
        path = tmp_path / "x.pt"
        (write_zip if request.param == "zip" else write_legacy)(path, value, **options)
        return path

    write.legacy = request.param == "legacy"
    write.tensor = lambda **options: tensor(legacy=write.legacy, **options)
    return write


def test_the_files_of_these_tests_are_checkpoints(write):
    path = write(dictionary({"a": write.tensor()}))
    assert interop.read(path)["a"].tolist() == FLOATS
    torch = pytest.importorskip("torch")
    assert torch.load(path, weights_only=True)["a"].tolist() == FLOATS


# Files that are broken


def small_checkpoints(folder):
    """A checkpoint of every kind, with nothing in it that could be missing unnoticed."""
    write_zip(folder / "x.pt", dictionary({"a": tensor()}))
    write_legacy(folder / "legacy.pt", dictionary({"a": tensor(legacy=True)}))
    safetensors.numpy.save_file({"a": np.ones(4, "f4")}, folder / "x.safetensors")
    (folder / "x.index.json").write_text(json.dumps({"weight_map": {"a": "x.safetensors"}}))
    return [folder / name for name in ("x.pt", "legacy.pt", "x.safetensors", "x.index.json")]


def test_cut_short_anywhere(tmp_path):
    for path in small_checkpoints(tmp_path):
        content = path.read_bytes()
        assert interop.read(path)["a"].shape == (4,)
        lengths = {len(content) * tenths // 10 for tenths in range(10)} | {1, 7, 8, 9, len(content) - 1}
        for length in lengths:
            path.write_bytes(content[:length])
            refusal(path)
        path.write_bytes(content)


def test_a_flipped_bit_anywhere(tmp_path):
    """What loads in spite of it, loads the same values as ever, except where the bit is one of a value's."""
    for path in small_checkpoints(tmp_path):
        content = path.read_bytes()
        wanted = interop.read(path)["a"].tobytes()
        values = content.rfind(wanted)
        for at in range(len(content)):
            flipped = bytearray(content)
            flipped[at] ^= 1 << at % 8
            path.write_bytes(flipped)
            try:
                read = interop.read(path)
            except CheckpointError:
                continue
            if not values <= at < values + len(wanted):
                assert all(array.tobytes() in wanted for array in read.values()), at
        path.write_bytes(content)


def test_storages_that_are_not_there(write):
    for options, reason in [
        ({"storages": {}}, "has no storage 0|storages are not those that its tensors name"),
        (
            {"storages": {"0": bytes(15)} if not write.legacy else {"0": (4, bytes(15))}},
            "cut short: .*16 bytes, and 15",
        ),
    ]:
        path = write(dictionary({"a": write.tensor()}), **options)
        with pytest.raises(CheckpointError, match=reason):
            interop.read(path)


def test_a_legacy_storage_of_another_length(tmp_path):
    for numel in (3, 5, 0, -1, 2**62):
        write_legacy(tmp_path / "x.pt", dictionary({"a": tensor(legacy=True)}), {"0": (numel, bytes(16))})
        assert f"a storage has {numel % 2**64:,} elements, and its tensors say 16 bytes" in refusal(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (4,), (1,)),
        (0, (5,), (1,)),
        (0, (2, 2), (3, 1)),
        (-1, (1,), (1,)),
        (0, (4,), (-1,)),
        (0, (-1,), (1,)),
        (0, (2**62, 2**62), (0, 1)),
        (2**70, (1,), (1,)),
        (0, (1,) * 65, (1,) * 65),
        (0, (4,), (1, 1)),
        (0, (2**40, 2), (2**40, 1)),
    ],
)
def test_tensors_beyond_their_storage(write, offset, shape, strides):
    path = write(dictionary({"a": write.tensor(offset=offset, shape=shape, strides=strides)}))
    assert "is broken: " in refusal(path)


def test_tensors_at_the_ends_of_their_storage(write):
    tensors = {
        "last": write.tensor(offset=3, shape=(1,)),
        "empty": write.tensor(offset=4, shape=(0,)),
        "empty far out": write.tensor(offset=99, shape=(0, 2**40), strides=(2**40, 1)),
        "expanded": write.tensor(offset=3, shape=(2, 1000), strides=(0, 0)),
    }
    read = interop.read(write(dictionary(tensors)))
    assert read["last"].tolist() == FLOATS[3:]
    assert {name: array.shape for name, array in read.items() if "empty" in name} == {
        "empty": (0,),
        "empty far out": (0, 2**40),
    }
    assert read["expanded"].tolist() == [[FLOATS[3]] * 1000] * 2


def test_one_storage_declared_in_two_ways(write):
    tensors = {"a": write.tensor(), "b": write.tensor(content=storage("torch.IntStorage", legacy=write.legacy))}
    assert "declares storage 0 in two ways" in refusal(write(dictionary(tensors)))


def test_the_other_byte_order(tmp_path):
    write_zip(tmp_path / "x.pt", dictionary({"a": tensor()}))
    path = tmp_path / "x.pt"
    path.write_bytes(path.read_bytes().replace(b"little", b"big\0\0\0"))
    assert "other byte order" in refusal(path)


def test_a_bool_that_is_neither(write):
    numel = (4, bytes([0, 1, 2, 255])) if write.legacy else bytes([0, 1, 2, 255])
    content = storage("torch.BoolStorage", legacy=write.legacy)
    read = interop.read(write(dictionary({"a": write.tensor(content=content)}), storages={"0": numel}))["a"]
    assert read.view("u1").tolist() == [0, 1, 1, 1]


# Pickles that run code


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that must not even be imported, and a function that must not be called."""
    (tmp_path / "trap_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    called = []
    monkeypatch.setattr(sys.modules[__name__], "spring", lambda *args: called.append(args), raising=False)
    yield f"{__name__}.spring"
    assert not called
    assert "trap_module" not in sys.modules


def test_no_code_is_run(write, trap):
    builtin = call("builtins.exec", string("raise SystemExit"))
    attacks = {
        trap: call(trap, string("x")),
        "trap_module.run": call("trap_module.run"),
        "builtins.exec": builtin,
        "builtins.getattr": call("builtins.getattr", name("os"), string("system")) + items(string("x")) + b"R",
        "os.system": name("os.system") + items(string("exit")) + b"\x81",  # NEWOBJ
        "posix.system": name("posix.system") + items() + b"}\x92",  # NEWOBJ_EX
        "nt.system": string("nt") + string("system") + b"\x93" + items() + b"R",  # STACK_GLOBAL
        "io.open": call("io.open", string("/tmp/x")) + dictionary({"x": builtin}) + b"b",  # BUILD
        "torch.load": call("torch.load", string("/etc/passwd")),
        "torch.storage.UntypedStorage.from_file": call("torch.storage.UntypedStorage.from_file", string("/etc/passwd")),
    }
    for wanted, attack in attacks.items():
        for value in (attack, dictionary({"a": write.tensor(), "b": attack})):
            options = {} if value is not attack or not write.legacy else {"storages": {}}
            message = refusal(write(value, **options))
            assert f"asks for {wanted}, and nothing but tensors is unpickled" in message
            assert "torch.save(model.state_dict(), path)" in message
    # What is beside the entry that is wanted is not run either.
    path = write(dictionary({"state_dict": dictionary({"a": write.tensor()}), "b": builtin, "c": call(trap)}))
    assert interop.read(path, entry="state_dict")["a"].tolist() == FLOATS


def test_operations_of_pickles_that_torch_never_writes(write, trap):
    module, _, function = trap.rpartition(".")
    copyreg.add_extension(module, function, 241)
    try:
        programs = {
            "INST": f"(i{module}\n{function}\n".encode(),
            "OBJ": b"(" + name(trap) + b"o",
            "EXT1": b"\x82\xf1" + items() + b"R",
            "PERSID": b"P0\n",
            "GET": b"g0\n",
            "UNICODE": b"Vx\n",
        }
        for operation, value in programs.items():
            assert f"its pickle uses {operation}, which" in refusal(write(value))
    finally:
        copyreg.remove_extension(module, function, 241)


def test_code_in_unexpected_places(write, trap):
    attack = call(trap)
    places = [
        write.tensor(content=attack),
        write.tensor(content=items(string("storage"), attack, string("0"), string("cpu"), integer(4)) + b"Q"),
        call("torch._utils._rebuild_parameter", attack, b"\x89", attack),
        call("torch._tensor._rebuild_from_type_v2", name(trap), name("torch.Tensor"), items(attack), b"N"),
        call("torch._tensor._rebuild_from_type_v2", name("torch._tensor._rebuild_from_type_v2"), name(trap), items()),
        call("collections.OrderedDict", attack),
        call("collections.defaultdict", name(trap)),
        attack + b"Q",
        attack + string("x") + b"s",
        b"]" + attack + items() + b"R",
        b"}" + attack + integer(1) + b"s",
    ]
    for place in places:
        for value in (place, dictionary({"a": place})):
            for options in ({}, {"storages": {}}):
                with contextlib.suppress(CheckpointError):
                    assert not interop.read(write(value, **options))


# Archives


def patched(path, old, new, count=-1):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, count))
    return path


def test_archives_that_are_compressed_or_encrypted(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
    assert "is a compressed or encrypted archive, which torch.save never writes" in refusal(path)
    write_zip(path, dictionary({"a": tensor()}))
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert "is a compressed or encrypted archive" in refusal(path)


def test_archives_whose_directory_lies(tmp_path):
    path = tmp_path / "x.pt"

    def broken(**fields):
        """The entry of the storage in the archive's directory, with other values."""
        write_zip(path, dictionary({"a": tensor()}))
        content = bytearray(path.read_bytes())
        start = content.rfind(b"PK\1\2")
        for field, value in fields.items():
            struct.pack_into("<I", content, start + {"size": 20, "length": 24, "offset": 42}[field], value)
        path.write_bytes(content)
        return path

    assert interop.read(broken(length=16))["a"].tolist() == FLOATS
    for length in (0, 15, 17, 100):
        assert f"x/data/0 in it, of {length} bytes, does not fit the file" in refusal(
            broken(length=length, size=length)
        )
    for length in (10_000, 2**31, 2**32 - 2):
        assert re.search(r"its archive declares [\d,]{6,} bytes, and the file has \d", refusal(broken(length=length)))
    for offset in (0, 1, 10, 2**31, 2**32 - 2):
        assert re.search("x/data/0 in it, of 16 bytes, does not fit|cut short", refusal(broken(offset=offset)))


def test_archives_with_one_name_twice(tmp_path):
    path = tmp_path / "x.pt"
    write_zip(path, dictionary({"a": tensor()}), {"0": bytes(16), "1": bytes(16)})
    patched(path, b"x/data/1", b"x/data/0")
    assert "several entries of its archive have one name" in refusal(path)


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    key = "../../../etc/passwd"
    write_zip(tmp_path / "x.pt", dictionary({key: tensor(storage(key=key))}), {key: bytes(range(16))})
    assert interop.read(tmp_path / "x.pt")[key].tolist() == FLOATS


# safetensors


def safetensors_file(path, header, content=bytes(16), length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + content)
    return path


A = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
SAFETENSORS = {
    "a length of nothing": {"header": {"a": A}, "length": 0},
    "a length too long by one": {"header": {"a": A}, "content": b"", "length": len(json.dumps({"a": A})) + 1},
    "a length of gigabytes": {"header": {"a": A}, "length": 2**33},
    "the longest length": {"header": {"a": A}, "length": 2**64 - 1},
    "offsets outside the file": {"header": {"a": A | {"data_offsets": [16, 32]}}},
    "offsets that overlap": {"header": {"a": A, "b": A}},
    "offsets with a hole": {"header": {"a": A | {"data_offsets": [4, 20]}}, "content": bytes(20)},
    "offsets the wrong way": {"header": {"a": A | {"data_offsets": [16, 0]}}},
    "offsets below nothing": {"header": {"a": A | {"data_offsets": [-16, 0]}}},
    "a shape that is larger": {"header": {"a": A | {"shape": [5]}}},
    "a shape that wraps around": {"header": {"a": A | {"shape": [2**62, 4, 4]}}},
    "a shape below nothing": {"header": {"a": A | {"shape": [-4]}}},
    "a dtype that nobody knows": {"header": {"a": A | {"dtype": "F31"}}},
    "no dtype": {"header": {"a": {"shape": [4], "data_offsets": [0, 16]}}},
    "bytes after the end": {"header": {"a": A}, "content": bytes(17)},
    "one name twice": {"header": json.dumps({"a": A})[:-1].encode() + b', "a": ' + json.dumps(A).encode() + b"}"},
    "a list": {"header": [A]},
    "deep brackets": {"header": b'{"a":' + b"[" * 100_000},
    "no text": {"header": b'{"\xff": 1}'},
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors_that_lie(tmp_path, case):
    message = refusal(safetensors_file(tmp_path / "x.safetensors", **SAFETENSORS[case]))
    assert "x.safetensors is " in message


def test_the_safetensors_of_these_tests_are_checkpoints(tmp_path):
    read = interop.read(safetensors_file(tmp_path / "x.safetensors", {"a": A}, bytes(range(16))))
    assert read["a"].tolist() == FLOATS
    metadata = {"__metadata__": {"format": "pt"}, "../a": A}
    assert interop.read(safetensors_file(tmp_path / "x.safetensors", metadata)).keys() == {"../a"}
    packed = {"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}
    assert "holds a as F4, which numpy has no type for" in refusal(
        safetensors_file(tmp_path / "x.safetensors", packed, bytes(2))
    )


# Index files


@pytest.mark.parametrize(
    "file",
    ["../x.safetensors", "/etc/passwd", "a/../../x.safetensors", "..", "..\\x.safetensors", "C:\\x", "\\x", "x\0y", ""],
)
def test_an_index_that_leaves_its_folder(tmp_path, file):
    folder = tmp_path / "a"
    folder.mkdir()
    safetensors.numpy.save_file({"a": np.ones(1)}, tmp_path / "x.safetensors")
    (folder / "m.index.json").write_text(json.dumps({"weight_map": {"a": file}}))
    assert "m.index.json names a file outside its folder: " in refusal(folder / "m.index.json")


def test_a_link_that_leaves_the_folder(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    safetensors.numpy.save_file({"a": np.ones(1)}, tmp_path / "x.safetensors")
    (folder / "x.safetensors").symlink_to("../x.safetensors")
    (folder / "m.index.json").write_text(json.dumps({"weight_map": {"a": "x.safetensors"}}))
    assert "names a file that is a link to outside its folder: x.safetensors" in refusal(folder / "m.index.json")


def test_an_index_that_lies(tmp_path):
    safetensors.numpy.save_file({"a": np.ones(1), "b": np.ones(1)}, tmp_path / "x.safetensors")
    safetensors.numpy.save_file({"b": np.ones(1)}, tmp_path / "y.safetensors")
    elsewhere = "lists elsewhere, or not at all, tensors that x.safetensors holds: b$"
    cases = {
        '{"weight_map": {"a": "x.safetensors"}}': elsewhere,
        '{"weight_map": {"a": "x.safetensors", "b": "x.safetensors", "c": "x.safetensors"}}': (
            "lists tensors that x.safetensors does not hold: c$"
        ),
        '{"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}': elsewhere,
        '{"weight_map": {"a": "one", "b": "two", "c": "one"}}': "needs files that are not beside it: one, two$",
        '{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}': "is broken: it has a twice$",
        '{"weight_map": {"a": ["x.safetensors"]}}': 'that has a "weight_map" of tensors to files',
        '{"weight_map": []}': 'that has a "weight_map" of tensors to files',
        '{"weight_map": {"a": "m.index.json"}}': "is an index, where another index says that it holds tensors$",
        "{" * 5_000: "is not readable JSON: ",
        '{"a":' * 5_000: "is not readable JSON: ",
        '{"a":' * 20_000: "full of brackets",
        '{"a": %s}' % ("9" * 5000): "is not readable JSON: ",
    }
    for content, reason in cases.items():
        (tmp_path / "m.index.json").write_text(content)
        with pytest.raises(CheckpointError, match=reason):
            interop.read(tmp_path / "m.index.json")


# Files that would fill memory, or never end


def tower(height):
    """A tuple of a tuple of itself twice: hashing, comparing or printing it takes two to the power of its height."""
    return b")" + b"q\x01h\x01\x86" * height


def bombs(folder):
    """Each is small, and asks for gigabytes or for years."""
    paths = []

    def bomb(stem, value):
        for write in (write_zip, write_legacy):
            legacy = write is write_legacy
            paths.append(folder / f"{stem} {'legacy' if legacy else 'zip'}.pt")
            made = value(legacy=legacy) if callable(value) else value
            write(paths[-1], made, **({} if b"torch\nFloatStorage" in made else {"storages": {}}))

    with zipfile.ZipFile(folder / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/data/0", bytes(10**8))
    paths.append(folder / "deflated.pt")

    bomb("expanded", lambda legacy: dictionary({"a": tensor(shape=(2**20, 2**20), strides=(0, 0), legacy=legacy)}))
    many = lambda legacy: dictionary({f"{n}": tensor(shape=(2**24,), strides=(0,), legacy=legacy) for n in range(9)})
    bomb("expanded a little, often", many)
    bomb("a storage of petabytes", lambda legacy: dictionary({"a": tensor(storage(numel=2**47, legacy=legacy))}))
    bomb("a storage of a googol", lambda legacy: dictionary({"a": tensor(storage(numel=10**100, legacy=legacy))}))
    bomb("bytearray", call("builtins.bytearray", integer(10**12)))
    bomb("FloatTensor", call("torch.FloatTensor", integer(10**12)))
    bomb("a tower as a key", b"}" + tower(100) + integer(1) + b"s")
    bomb("a tower as a value", dictionary({"a": tower(100)}))
    bomb("a tower as a function", tower(100) + items() + b"R")
    towers = lambda legacy: (storage(legacy=legacy), integer(0), tower(100), b"h\x01")
    bomb("a tower as a shape", lambda legacy: call("torch._utils._rebuild_tensor_v2", *towers(legacy)))
    bomb("a tower in a set", b"\x8f(" + tower(100) + b"\x90")
    bomb("a tower of dicts", b"}q\x01" + (b"}(" + string("a") + b"h\x01" + string("b") + b"h\x01uq\x01") * 100)
    prime = 2**61 - 1  # Python's ints hash by their remainder
    bomb("keys that collide", b"}(" + b"".join(integer(n * prime) + b"N" for n in range(1, 60_000)) + b"u")
    pairs = b"](" + items(string("a"), b"N") * 20_000 + b"eq\x010"
    bomb("one list into many dicts", pairs + b"](" + (name("collections.OrderedDict") + b"h\x01\x85R") * 20_000 + b"e")
    nones = b"](" + b"N" * 10**5 + b"eq\x010"
    bomb("one list into many sizes", nones + b"](" + (name("torch.Size") + b"h\x01\x85R") * 20_000 + b"e")
    bomb("itself inside itself", b"}q\x01" + string("a") + b"h\x01s")
    bomb("lists in lists", b"]" * 100_000 + b"a" * 99_999)
    bomb("tuples in tuples", b")" + b"\x85" * 100_000)
    bomb("a large memo", b"]r\xff\xff\xff\xff")
    bomb("a long string that is not there", b"\x8d" + struct.pack("<Q", 2**40) + b"x")
    bomb("long bytes that are not there", b"\x8e" + struct.pack("<Q", 2**62) + b"x")
    bomb("a long int that is not there", b"\x8b" + struct.pack("<I", 2**31 - 1) + b"x")
    ints = b"(" + integer(256 ** (4 * 10**6)) + b"2" * 59 + b"t"
    views = lambda legacy: (storage(legacy=legacy), integer(0), ints, b"(" + integer(0) * 60 + b"t", b"\x89", b"N")
    bomb("ints to multiply", lambda legacy: dictionary({"a": call("torch._utils._rebuild_tensor_v2", *views(legacy))}))
    rebuild = "torch._tensor._rebuild_from_type_v2"
    calls = b"N"
    for _ in range(1000):
        calls = call(rebuild, name(rebuild), name("torch.Tensor"), items(calls), b"N")
    bomb("calls of calls", calls)
    return paths


def large_bombs(folder):
    """As many megabytes as are read of any file, which make as many objects as they can."""
    paths = [folder / name for name in ("operations.pt", "lists.pt", "string.pt", "legacy.pt", "lists.index.json")]
    write_zip(paths[0], b"N0" * 3 * 10**6)
    write_zip(paths[1], b"](" + b"]" * 4_900_000 + b"e")
    write_zip(paths[2], string("x" * 70_000_000))
    write_legacy(paths[3], b"](" + b"]" * 4_900_000 + b"e", storages={})
    paths[4].write_bytes(b'{"a":[' + b"[]," * 10**7 + b"[]]}")
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 8) + bytes(16) + b"x/data/0"
    end = b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 65535, 65535, len(entry) * 400_000, 4, 0)
    (folder / "entries.pt").write_bytes(b"PK\3\4" + entry * 400_000 + end)
    lists = safetensors_file(folder / "lists.safetensors", b'{"a":[' + b"[]," * 10**7)
    return [*paths, folder / "entries.pt", lists]


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
@pytest.mark.parametrize("make", [bombs, pytest.param(large_bombs, marks=pytest.mark.slow)])
def test_bombs(tmp_path, make):
    paths = make(tmp_path)
    for path, outcome in zip(paths, limits.outcomes(paths), strict=True):
        assert isinstance(outcome, str), path
        assert "MemoryError" not in outcome, outcome
        assert len(outcome) < 1000, path


def test_a_reasonable_expansion_is_no_bomb(tmp_path):
    write_zip(tmp_path / "x.pt", dictionary({"mask": tensor(shape=(1, 1, 4096, 4096), strides=(0, 0, 0, 1 // 2))}))
    assert interop.read(tmp_path / "x.pt")["mask"].shape == (1, 1, 4096, 4096)
    write_zip(tmp_path / "x.pt", dictionary({"mask": tensor(shape=(2**20, 2**20), strides=(0, 0))}))
    assert "would expand to 4,398,046,511,104, mask alone to 4,398,046,511,104" in refusal(tmp_path / "x.pt")
