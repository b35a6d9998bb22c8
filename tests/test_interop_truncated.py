"""Files that something else makes shorter while they are read, or afterwards: an error at most, never a bus error."""

import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from jax_tconv.interop._files import mapped

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to shorten a mapped file")
ARRAYS = {"a": np.arange(2**15, dtype="f4"), "b": np.arange(2**15) % 3 == 0, "c": np.arange(2**14, dtype="c8")}


@pytest.fixture(params=["safetensors", "pt", "legacy", "shards"])
def checkpoint(request, tmp_path):
    """A file of several pages, with bools and conjugates, which are never views; and the file with the tensors."""
    whole = tmp_path / f"x.{request.param}"
    if request.param in ("safetensors", "shards"):
        safetensors.numpy.save_file(ARRAYS, whole)
    else:
        torch = pytest.importorskip("torch")
        tensors = {name: torch.from_numpy(array.copy()) for name, array in ARRAYS.items()}
        tensors["c"] = tensors["c"].conj()
        torch.save(tensors, whole, _use_new_zipfile_serialization=request.param == "pt")
    if request.param == "shards":
        index = tmp_path / "x.index.json"
        index.write_text('{"weight_map": {"a": "x.shards", "b": "x.shards", "c": "x.shards"}}')
        return index, whole
    return whole, whole


def in_another_process(code, *arguments):
    """What some code that may die prints."""
    prelude = """
    import os, shutil, sys
    import numpy as np
    from jax_tconv import interop
    from jax_tconv.interop import CheckpointError
    from jax_tconv.interop._files import mapped
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(code)
    child = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, (child.returncode, child.stderr)
    return child.stdout


def test_made_shorter_while_it_is_read(checkpoint, tmp_path):
    """At fifty places in the run of `read`, which are lines of its code, the file is cut to nothing or to a quarter."""
    path, whole = checkpoint
    shutil.copy(whole, tmp_path / "kept")
    code = """
    path, whole, kept = sys.argv[1:]
    mapped.SMALL = 0

    def run(cut_at, length):
        lines = 0

        def trace(frame, event, _):
            nonlocal lines
            if event == "call" and "_files" not in frame.f_code.co_filename:
                return None
            lines += 1
            if lines == cut_at:
                os.truncate(whole, length)
            return trace

        shutil.copyfile(kept, whole)
        sys.settrace(trace)
        try:
            interop.read(path)
            return "read", lines
        except CheckpointError:
            return "refused", lines
        finally:
            sys.settrace(None)

    _, total = run(0, 0)
    lengths = 0, os.stat(kept).st_size // 4
    outcomes = [run(cut_at, length)[0] for cut_at in range(1, total, 1 + total // 50) for length in lengths]
    print(outcomes.count("refused"), outcomes.count("read"))
    """
    refused, read = map(int, in_another_process(code, path, whole, tmp_path / "kept").split())
    assert refused > 20
    assert refused + read > 60


def test_made_shorter_afterwards(checkpoint):
    """Small files and copies are in memory by then."""
    code = """
    path, whole = sys.argv[1:]
    several = [interop.read(path), interop.read(path, copy=True)]
    mapped.SMALL = 0
    several.append(interop.read(path, copy=True))
    os.truncate(whole, 0)
    for tensors in several:
        print(sum(float(abs(array).sum()) for array in tensors.values()))
    """
    wanted = sum(float(abs(array).sum()) for array in ARRAYS.values())
    np.testing.assert_allclose([float(line) for line in in_another_process(code, *checkpoint).split()], [wanted] * 3)


def test_a_view_sees_what_is_written_in_place_and_a_copy_does_not(checkpoint, monkeypatch):
    monkeypatch.setattr(mapped, "SMALL", 0)
    path, whole = checkpoint
    views, copies = interop.read(path), interop.read(path, copy=True)
    with open(whole, "r+b") as file:
        file.write(bytes(whole.stat().st_size))
    assert views["a"].any() == (whole.suffix == ".legacy")  # where tensors lie at odd addresses, and are copied
    for name, array in copies.items():
        wanted = ARRAYS[name].conj() if name == "c" and whole.suffix in (".pt", ".legacy") else ARRAYS[name]
        np.testing.assert_array_equal(array, wanted)
        assert not array.flags.writeable


def test_a_copy_is_one_of_each_storage(tmp_path):
    torch = pytest.importorskip("torch")
    weight = torch.arange(1000.0)
    torch.save({"a": weight, "tied": weight, "part": weight[10:20], "often": weight[:1].expand(10**6)}, tmp_path / "x")
    read = interop.read(tmp_path / "x", copy=True)
    assert all(np.shares_memory(read["a"], array) for array in read.values())
    assert read["part"].tolist() == list(range(10, 20))
    assert read["often"].strides == (0,)


def test_a_file_that_shrank_before_it_was_mapped_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "SMALL", 0)
    safetensors.numpy.save_file(ARRAYS, tmp_path / "x")
    raw = mapped.map_file(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"short")
    for use in (lambda: raw.mapped, lambda: raw.copied, lambda: raw.truths, raw.tobytes):
        with pytest.raises(mapped.Refused, match="is cut short: something else wrote to it while it was read"):
            use()
    with pytest.raises(CheckpointError):
        interop.read(tmp_path / "x")


def test_where_the_library_cannot_be_given_a_file_of_its_own(tmp_path, monkeypatch):
    """Other systems have none, and a user may have a limit on the size of files."""
    safetensors.numpy.save_file(ARRAYS, tmp_path / "x")
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert interop.read(tmp_path / "x").keys() == ARRAYS.keys()
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="is not a readable safetensors file, but broken or cut short"):
        interop.read(tmp_path / "x")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_limit_on_the_size_of_files_is_none_on_reading(tmp_path):
    safetensors.numpy.save_file(ARRAYS, tmp_path / "x")
    code = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))
    print(*interop.read(sys.argv[1]))
    """
    assert sorted(in_another_process(code, tmp_path / "x").split()) == sorted(ARRAYS)
