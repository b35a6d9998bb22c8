"""Checkpoints written by hand, so that they may hold what nothing else writes; torch is not needed."""

import json
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jax_tconv import interop

# What the tensors here hold.
FLOATS = np.arange(16, dtype="u1").view("f4").tolist()
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def name(dotted):
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def string(text):
    content = text.encode(errors="surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def integer(value):
    content = pickle.encode_long(value)
    short = len(content) < 256
    return (b"\x8a" + bytes([len(content)]) if short else b"\x8b" + struct.pack("<I", len(content))) + content


def items(*parts):
    return b"(" + b"".join(parts) + b"t"


def integers(values):
    return items(*map(integer, values))


def call(function, *arguments):
    return name(function) + items(*arguments) + b"R"


def dictionary(entries):
    return b"}(" + b"".join(string(key) + value for key, value in entries.items()) + b"u"


def storage(kind="torch.FloatStorage", key="0", numel=4, legacy=False):
    return items(string("storage"), name(kind), string(key), string("cpu"), integer(numel), b"N" * legacy) + b"Q"


def tensor(content=None, offset=0, shape=(4,), strides=(1,), legacy=False):
    content = content or storage(legacy=legacy)
    places = integer(offset), integers(shape), integers(strides)
    return call("torch._utils._rebuild_tensor_v2", content, *places, b"\x89", call("collections.OrderedDict"))


def program(value):
    return b"\x80\x02" + value + b"."


def write_zip(path, value, storages=None):
    """What `torch.save` writes, with any pickled value and any storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", program(value))
        archive.writestr("x/version", b"3")
        archive.writestr("x/byteorder", b"little")
        for key, content in ({"0": bytes(range(16))} if storages is None else storages).items():
            archive.writestr(f"x/data/{key}", content)


def write_legacy(path, value, storages=None):
    """The same in the legacy format; a storage is its number of elements and its bytes."""
    storages = {"0": (4, bytes(range(16)))} if storages is None else storages
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, system)]
    parts += [program(value), pickle.dumps(list(storages), 2)]
    parts += [struct.pack("<q", numel) + content for numel, content in storages.values()]
    path.write_bytes(b"".join(parts))


def safetensors_file(path, header, content=bytes(16), length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + content)
    return path


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


def refusal(path, **options):
    """The message that a file is refused with: a line about it."""
    with pytest.raises(interop.CheckpointError) as caught:
        interop.read(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path.parent}")
    assert "\n" not in message
    assert len(message) < 1000
    return message
