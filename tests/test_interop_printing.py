"""Text from files that would steer a terminal or forge lines: whatever is raised, logged or printed has none of it."""

import json
import logging
import traceback
import zipfile

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from jax_tconv import interop
from jax_tconv.interop import CheckpointError, StateDictError
from jax_tconv.interop._text import plain, printable, printable_lines
from tests.pickling import (
    call,
    dictionary,
    integer,
    integers,
    items,
    safetensors_file,
    storage,
    string,
    tensor,
    write_legacy,
    write_zip,
)

FORGED = "all is well"
# Each stands between letters, since some parsers strip what is at the ends.
HOSTILE = {
    "escape": "a\x1b[2J\x1b[31mb",
    "title": "a\x1b]0;owned\x07b",
    "C1 escape": "a\x9b31mb",
    "bell": "a\x07b",
    "null": "a\0b",
    "delete": "a\x7f\x08b",
    "newline": f"a\n{FORGED}",
    "return": f"a\r{FORGED}",
    "line separator": f"a\u2028{FORGED}\u2029b\x85c\x0bd\x1ce",
    "tab": "a\tb",
    "bidirectional override": "a\u202eb\u2066c\u200fd",
    "invisible": "a\u200bb\ufeffc\U000e0041d",
    "lone surrogate": "a\ud800b\udfffc",
    "quotes and braces": "a'}\x1b[2J{\"\n" + FORGED,
    "an argument": "a rename={[]: 1} flatten={" + "-" * 9000 + "1}",
    "endless": "a\x1b" * 100_000,
}
# All of them but for lone surrogates, which many parsers refuse at once.
EVERYTHING = "".join(text for name, text in HOSTILE.items() if name != "lone surrogate")
ORDINARY = ["up.0.weight", "größe", "重み", "вес", "🙂", "a b", "a'b", 'a"b', "a\\x1b", "e\u0301"]
F32 = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
STACK_GLOBAL, REDUCE = b"\x93", b"R"


class Net(nnx.Module):
    def __init__(self, rngs):
        self.up = nnx.Linear(1, 4, use_bias=False, rngs=rngs)


def clean(text):
    """Whether text is printable, and all its newlines stand where a layout puts them, never within a name."""
    lines = text.split("\n")
    return all(line.isprintable() and not line.strip().startswith(FORGED) for line in lines)


# The function


@given(st.text(st.characters(exclude_categories=())))
def test_printable_is_one_line_that_can_be_encoded(text):
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown
    assert (shown == text) == text.isprintable()
    assert plain(text).isprintable()
    assert len(plain(text)) <= 80
    assert printable_lines(text).split("\n") == [printable(line) for line in text.split("\n")]


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_stay_as_they_are(name):
    assert printable(name) == plain(name) == name


def test_what_is_not_printable_is_shown_as_python_types_it():
    assert printable("a\x1b[31m\n\ud800\u202e\0b") == r"a\x1b[31m\n\ud800\u202e\x00b"


# Files with such text in each field


def whole_module(name):
    """A pickled module with a parameter of that name."""
    state = dictionary({"_parameters": dictionary({name: tensor()}), "_buffers": b"}", "_modules": b"}"})
    return call("nets.Net") + state + b"b"


def global_name(text):
    """The name of something to call; the older operation ends its two parts with newlines."""
    return string("x") + string(text) + STACK_GLOBAL


def persistent(kind, key="0"):
    return items(string("storage"), kind, string(key), string("cpu"), integer(4)) + b"Q"


def rebuilt(dtype):
    """A tensor that names its dtype."""
    untyped = storage("torch.UntypedStorage", numel=16)
    arguments = untyped, integer(0), integers((4,)), integers((1,)), b"\x89", call("collections.OrderedDict"), dtype
    return call("torch._utils._rebuild_tensor_v3", *arguments)


# What a pickle holds, with some text in one of its fields.
PICKLED = {
    "tensor name": lambda text: dictionary({text: tensor()}),
    "name beside tensors": lambda text: dictionary({"a": tensor(), text: string("x")}),
    "name of something called": lambda text: dictionary({"a": tensor(), text: call("x.y")}),
    "name of a sparse tensor": lambda text: dictionary({"a": tensor(), text: call("torch._utils._rebuild_qtensor")}),
    "entry": lambda text: dictionary({text: dictionary({"up.weight": tensor()}), "epoch": integer(3)}),
    "one entry of two": lambda text: dictionary({name: dictionary({"a": tensor()}) for name in (text, "b")}),
    "tensor name in an entry": lambda text: dictionary({"a": dictionary({text: tensor()}), text: string("x")}),
    "global name": lambda text: dictionary({"a": tensor(), "b": global_name(text) + items() + REDUCE}),
    "global module": lambda text: string(text) + string("x") + STACK_GLOBAL + items() + REDUCE,
    "old global name": lambda text: f"cx\n{text.splitlines()[0]}\n".encode(errors="replace") + items() + REDUCE,
    "something called": lambda text: string(text) + items() + REDUCE,
    "something appended to": lambda text: string(text) + string("x") + b"a",
    "something with items": lambda text: string(text) + string("x") + string("y") + b"s",
    "storage type": lambda text: dictionary({"a": tensor(persistent(global_name(text)))}),
    "storage key": lambda text: dictionary({"a": tensor(storage(key=text))}),
    "dtype": lambda text: dictionary({"a": rebuilt(string("torch") + string(text) + STACK_GLOBAL)}),
    "part of a module": whole_module,
    "part of a module that is none": lambda text: (
        call("nets.Net")
        + dictionary({"_parameters": b"}", "_buffers": b"}", "_modules": dictionary({text: string("x")})})
        + b"b"
    ),
}


def zip_file(field):
    def make(folder, text):
        write_zip(folder / "x.pt", PICKLED[field](text))
        return folder / "x.pt"

    return make


def legacy_file(field):
    def make(folder, text):
        # In this format a storage's description has one more part.
        value = PICKLED[field](text).replace(integer(4) + b"tQ", integer(4) + b"NtQ")
        write_legacy(folder / "x.pt", value.replace(integer(16) + b"tQ", integer(16) + b"NtQ"))
        return folder / "x.pt"

    return make


def safetensors_with(header):
    return lambda folder, text: safetensors_file(folder / "x.safetensors", header(text))


def archive(*names):
    """A zip archive with entries of these names, and a pickle that nothing is wrong with."""

    def make(folder, text):
        with zipfile.ZipFile(folder / "x.pt", "w") as file:
            for name in names:
                # zipfile itself ends names at a null, and writes no lone surrogates.
                file.writestr(name.format(text[:60000].replace("\0", "").encode(errors="replace").decode()), b"x")
        return folder / "x.pt"

    return make


def index_with(content):
    def make(folder, text):
        safetensors.numpy.save_file({"a": np.ones(4, "f4")}, folder / "x.safetensors")
        (folder / "m.index.json").write_text(content(text))
        return folder / "m.index.json"

    return make


def index(weight_map):
    return index_with(lambda text: json.dumps({"weight_map": weight_map(text)}))


def on_disk(text):
    """The text as a file's name can have it."""
    return text[:40].replace("\0", "").encode(errors="replace").decode()


def folder_of_several(folder, text):
    for name in ("b", on_disk(text)):
        safetensors.numpy.save_file({"a": np.ones(4, "f4")}, folder / name)
    return folder


def folder_of_one_broken(folder, text):
    (folder / f"{on_disk(text)}.index.json").write_text("{")
    return folder


FILES = {
    **{f"zip, {field}": zip_file(field) for field in PICKLED},
    **{f"legacy, {field}": legacy_file(field) for field in PICKLED},
    "safetensors, tensor name": safetensors_with(lambda text: {text: F32}),
    "safetensors, metadata": safetensors_with(lambda text: {"__metadata__": {text: text}, "up.weight": F32}),
    "safetensors, metadata that is none": safetensors_with(lambda text: {"__metadata__": {text: 1}, "a": F32}),
    "safetensors, dtype": safetensors_with(lambda text: {"a": F32 | {"dtype": text}}),
    "safetensors, tensor without a type": safetensors_with(
        lambda text: {text: {"dtype": "F4", "shape": [32], "data_offsets": [0, 16]}}
    ),
    "safetensors, name twice": safetensors_with(
        lambda text: f"{{{json.dumps(text)}: {json.dumps(F32)}, {json.dumps(text)}: {json.dumps(F32)}}}".encode()
    ),
    "safetensors, other fields": safetensors_with(lambda text: {"a": F32 | {text: text}, text: text}),
    "archive, entry name": archive("x/{}"),
    "archive, folder name": archive("{}/data.pkl"),
    "archive, compressed": archive("x/data.pkl", "x/{}"),
    "index, shard name": index(lambda text: {"a": text}),
    "index, shard outside": index(lambda text: {"a": f"../{text}"}),
    "index, tensor that is not there": index(lambda text: {"a": "x.safetensors", text: "x.safetensors"}),
    "index, tensor elsewhere": index(lambda text: {"a": text, "b": "x.safetensors"}),
    "index, name twice": index_with(
        lambda text: f'{{"weight_map": {{{json.dumps(text)}: "b", {json.dumps(text)}: "b"}}}}'
    ),
    "folder, several files": folder_of_several,
    "folder, broken file": folder_of_one_broken,
}


@pytest.mark.parametrize("file", FILES)
def test_what_read_raises_and_logs(file, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for number, text in enumerate(HOSTILE.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = FILES[file](folder, text)
        tensors, error = attempt(CheckpointError, interop.read, path)
        if error:
            assert str(error).isprintable(), text
            assert len(str(error)) < 2500, text
            assert clean("".join(traceback.format_exception(error))), text
        else:
            assert all(record.getMessage().isprintable() for record in caplog.records)
            check_loading(tensors)


def attempt(kind, function, *arguments, **options):
    """What a function returns, or else the error of this kind that it raises."""
    try:
        return function(*arguments, **options), None
    except kind as error:
        return None, error


def check_loading(tensors):
    """Loads what does not fit a model: what is raised and reported, in words and as data."""
    for options in ({}, {"rename": {next(iter(tensors)): "up.weight"}}, {"match": "order"}):
        report = interop.load_state_dict(Net(nnx.Rngs(0)), tensors, dry_run=True, **options)
        for text in (str(report), repr(report), report.table(all=True), report.faults()):
            assert clean(text)
        assert all(repr(row).isprintable() for row in report.rows)
        assert json.dumps(report.as_dicts()).isprintable()
        _, error = attempt(StateDictError, interop.load_state_dict, Net(nnx.Rngs(0)), tensors, **options)
        assert clean(str(error))


@pytest.mark.parametrize("file", FILES)
def test_what_the_commands_print(file, tmp_path, command):
    model = f"{__name__}:Net"
    for number, text in enumerate((EVERYTHING, HOSTILE["lone surrogate"], HOSTILE["an argument"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        path, out = FILES[file](folder, text), tmp_path / f"{number}.safetensors"
        for arguments in (
            ("inspect", path, "--all"),
            ("inspect", path, "--json"),
            ("convert", path, out),
            ("convert", path, out, "--model", model, "--dry-run", "--all"),
        ):
            _, printed, said = command(*arguments)
            assert clean(printed), (arguments, text)
            assert clean(said), (arguments, text)
            assert printed or said
            if "--json" in arguments and printed:
                json.loads(printed)


# Names that come from elsewhere, or reach other messages


def broken_model():
    raise ValueError(EVERYTHING)


def untraceable_model(rngs):
    model = Net(rngs)
    if isinstance(model.up.kernel.get_value(), jax.core.Tracer):
        raise ValueError("a\x1b[2Jb")
    return model


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_of_a_state_dict(text, tmp_path):
    up, other = np.ones((4, 1), "f4"), np.ones(3, "f4")
    norm = {f"{text}.weight_g": other, f"{text}.weight_v": up}
    for tensors, rename in (
        ({"up.weight": up, text: other}, {text: None}),
        ({"up.weight": up, text: other}, {text: "up.weight"}),
        ({text: up, f"{text}2": up}, {text: "up.weight"}),
        ({"up.weight": up, f"{text}.num_batches_tracked": other, f"{text}.running_mean": other}, None),
        ({"up.weight": up, **norm}, None),
        ({f"{text}.up.weight": up}, None),
    ):
        report, error = attempt(
            ValueError, interop.load_state_dict, Net(nnx.Rngs(0)), tensors, rename=rename, dry_run=True
        )
        assert clean(str(report))
        assert clean(str(error))
        _, error = attempt(ValueError, interop.state_dict, Net(nnx.Rngs(0)), like=tensors, rename=rename)
        assert clean(str(error))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_that_are_written_or_loaded_again(text, tmp_path):
    for function, arguments in (
        (interop.to_torch, ({text: 3},)),
        (interop.write, (tmp_path / "x.safetensors", {text: 3})),
        (interop.write, (tmp_path / "x.safetensors", {text: np.array("x")})),
        (interop.load_state_dict, (Net(nnx.Rngs(0)), {text: 3})),
    ):
        _, error = attempt((TypeError, ImportError), function, *arguments)
        assert str(error).isprintable()
        assert error
    path = tmp_path / "x.pt"
    write_zip(path, dictionary({text: tensor(), "up.kernel": tensor()}))
    _, error = attempt(CheckpointError, interop.load, Net(nnx.Rngs(0)), path)
    assert clean(str(error))
    assert "unexpected in the file (1):" in str(error)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_the_commands_say_of_files_and_models(text, tmp_path, command):
    missing = tmp_path / on_disk(text)
    path = tmp_path / f"{on_disk(text)}.pt"
    write_zip(
        path, dictionary({f"{text}.weight_g": tensor(), f"{text}.weight_v": tensor(shape=(2, 2), strides=(2, 1))})
    )
    for arguments in (
        ("inspect", missing),
        ("inspect", path),
        ("inspect", path, "--entry", text.replace("\0", "")[:100]),
        ("convert", path, tmp_path / "out", "--model", f"{__name__}:broken_model"),
        ("convert", path, tmp_path / "out", "--model", f"{__name__}:untraceable_model"),
        ("convert", path, tmp_path / "out" / on_disk(text)),
    ):
        _, printed, said = command(*arguments)
        assert clean(printed), arguments
        assert clean(said), arguments
        assert printed or said


def test_a_lone_surrogate_in_a_name_that_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"^a \.safetensors file cannot hold the name 'a\\ud800', .*; a \.pt file can$"):
        interop.write(tmp_path / "x.safetensors", {"a\ud800": np.ones(2)})
    assert not list(tmp_path.iterdir())


def test_an_entry_is_named_as_it_can_be_typed(tmp_path):
    names = ["gen.\x1b[1m 'x'", "größe"]
    write_zip(tmp_path / "x.pt", dictionary({name: dictionary({name: tensor()}) for name in names}))
    _, error = attempt(CheckpointError, interop.read, tmp_path / "x.pt")
    for name in names:
        assert f"entry={name!r}" in str(error)
        assert list(interop.read(tmp_path / "x.pt", entry=name)) == [name]


def test_names_in_json_are_those_in_the_file(tmp_path, command):
    names = [text for text in HOSTILE.values() if len(text) < 1000]
    write_zip(tmp_path / "x.pt", dictionary(dict.fromkeys(names, tensor())))
    _, printed, _ = command("inspect", tmp_path / "x.pt", "--json")
    assert list(json.loads(printed)["tensors"]) == names
    assert printed.isascii()


def test_what_verify_found():
    layer = interop.LayerDifference(EVERYTHING, EVERYTHING, EVERYTHING, (1,), (1,), 1.0, 1.0, None, ok=False)
    found = interop.Verification((layer,), (), 1e-4, missing="a\x1b[2J", error="b\x9b31m", explanation="c\u202e")
    for text in (str(found), found.table(all=True), found.verdict):
        assert clean(text)
