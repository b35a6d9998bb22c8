"""Broken files: cut short, with flipped bits, or at odds with themselves. Each loads right or is refused."""

import json
import re
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from tests import pickling
from tests.pickling import FLOATS, dictionary, refusal, storage, tensor, write_legacy, write_zip

write = pickling.write  # the fixture


def test_the_files_of_these_tests_are_checkpoints(write):
    path = write(dictionary({"a": write.tensor()}))
    assert interop.read(path)["a"].tolist() == FLOATS
    torch = pytest.importorskip("torch")
    assert torch.load(path, weights_only=True)["a"].tolist() == FLOATS


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
            "cut short: .*16 bytes, but 15",
        ),
    ]:
        path = write(dictionary({"a": write.tensor()}), **options)
        with pytest.raises(CheckpointError, match=reason):
            interop.read(path)


def test_a_legacy_storage_of_another_length(tmp_path):
    for numel in (3, 5, 0, -1, 2**62):
        write_legacy(tmp_path / "x.pt", dictionary({"a": tensor(legacy=True)}), {"0": (numel, bytes(16))})
        assert f"a storage has {numel % 2**64:,} elements, but its tensors say 16 bytes" in refusal(tmp_path / "x.pt")


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
        assert re.search(r"its archive declares [\d,]{6,} bytes, but the file has \d", refusal(broken(length=length)))
    for offset in (0, 1, 10, 2**31, 2**32 - 2):
        assert re.search("x/data/0 in it, of 16 bytes, does not fit|cut short", refusal(broken(offset=offset)))


def test_archives_whose_directory_swaps_two_storages(tmp_path):
    path = tmp_path / "x.pt"
    write_zip(path, dictionary({"a": tensor()}), {"0": bytes(16), "1": bytes(range(16))})
    content = bytearray(path.read_bytes())
    second = content.rfind(b"PK\1\2")
    first = content.rfind(b"PK\1\2", 0, second)
    content[first + 42 : first + 46] = content[second + 42 : second + 46]
    path.write_bytes(content)
    assert "x/data/0 in it, of 16 bytes, does not fit the file" in refusal(path)


def test_archives_with_one_name_twice(tmp_path):
    path = tmp_path / "x.pt"
    write_zip(path, dictionary({"a": tensor()}), {"0": bytes(16), "1": bytes(16)})
    path.write_bytes(path.read_bytes().replace(b"x/data/1", b"x/data/0"))
    assert "several entries of its archive have the same name" in refusal(path)


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    key = "../../../etc/passwd"
    write_zip(tmp_path / "x.pt", dictionary({key: tensor(storage(key=key))}), {key: bytes(range(16))})
    assert interop.read(tmp_path / "x.pt")[key].tolist() == FLOATS
