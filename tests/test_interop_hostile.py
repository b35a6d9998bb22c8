"""Files that mean harm, that run code, name other files or lie about what they hold: each is refused, and none does."""

import contextlib
import copyreg
import json
import sys

import numpy as np
import pytest
import safetensors.numpy

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from tests import pickling
from tests.pickling import (
    FLOATS,
    call,
    dictionary,
    integer,
    items,
    name,
    refusal,
    safetensors_file,
    string,
)

write = pickling.write  # the fixture


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
            assert f"asks for {wanted}, but nothing except tensors is unpickled" in message
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


# Names


def test_names_that_are_no_names(write):
    for keys in (integer(0) + write.tensor() + string("0"), b"N"):
        value = b"}(" + keys + write.tensor() + b"u"
        assert "tensors under keys that are not names, or that are the same when written as text" in refusal(
            write(value)
        )


def test_names_that_would_fill_a_terminal_or_command_it(write, caplog):
    names = ["\x1b[31mred\x1b[0m\n" + "x" * 10_000_000, "\ud800", "\u202e", "ok"]
    message = refusal(write(dictionary(dict.fromkeys(names, b"N")), storages={}))
    assert message.isprintable()
    assert "ok (NoneType)" in message
    nested = {names[0]: dictionary({"a": write.tensor()}), names[1]: b"N"}
    caplog.set_level("INFO")
    interop.read(write(dictionary(nested)))  # the only dict of tensors, which the log names
    assert caplog.records[-1].getMessage().isprintable()
    assert refusal(write(dictionary(nested | {"b": dictionary({"a": write.tensor()})}))).isprintable()
    assert refusal(write(call("x." + "y" * 10_000_000), storages={})).isprintable()


# safetensors


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
