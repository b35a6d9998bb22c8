"""Writing what the system refuses: one clear line for every format, the old file as it was, and nothing left behind."""

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from jax_tconv.interop._files import replacing as replacing_module
from jax_tconv.interop._files.replacing import replacing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="modes, owners and limits as Linux has them")
SMALL = {"old": np.ones(3, "f4")}
LARGE = {"new": np.random.default_rng(0).random(10**6).astype("f4")}
MODELS = """
from flax import nnx
class Twin(nnx.Module):
    def __init__(self, *, rngs):
        self.up = nnx.Linear(1000, 1000, rngs=rngs)
"""


def in_another_process(code, folder):
    """What some code writes to its two streams."""
    prelude = """
    import ctypes, os, resource, sys
    import numpy as np
    from jax_tconv import interop
    from jax_tconv.cli.main import main

    def attempt(call, *arguments):
        try:
            call(*arguments)
        except ValueError as error:
            print(error)

    def command(*arguments):
        sys.argv = ["jax-tconv", *arguments]
        try:
            main()
        except SystemExit as stop:
            assert stop.code == 1, stop.code

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))

    def like_anyone():
        # Gives up what lets root open everything; the other rights of root stay.
        version, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        library = ctypes.CDLL(None, use_errno=True)
        assert library.capget(version, data) == 0
        data[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        assert library.capset(version, data) == 0

    large = {"new": np.random.default_rng(0).random(10**6).astype("f4")}
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(code)
    paths = os.pathsep.join(map(str, [Path(__file__).parents[1], *filter(None, [os.environ.get("PYTHONPATH")])]))
    environment = os.environ | {"PYTHONPATH": paths}
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines(), child.stderr.splitlines()


def test_a_disk_that_is_full(tmp_path):
    """No file may be larger than a megabyte, which every writer meets as it meets a full disk."""
    pytest.importorskip("torch")
    files = [f"x.{suffix}" for suffix in ("safetensors", "pt", "pth", "bin")]
    for file in files:
        interop.write(tmp_path / file, SMALL)
    (tmp_path / "nets.py").write_text(MODELS)
    weights = {"up.weight": np.random.default_rng(0).random((1000, 1000)).astype("f4"), "up.bias": np.ones(1000, "f4")}
    interop.write(tmp_path / "large.pt", weights)
    interop.write_orbax(tmp_path / "orbax", SMALL)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    out, err = in_another_process(
        """
        limited()
        for suffix in ("safetensors", "pt", "pth", "bin"):
            attempt(interop.write, f"x.{suffix}", large)
        attempt(interop.write_orbax, "y", large)
        command("convert", "large.pt", "x.safetensors", "--force")
        command("convert", "large.pt", "x.pt", "--force")
        command("convert", "large.pt", "orbax", "--model", "nets:Twin", "--force")
        """,
        tmp_path,
    )
    reason = "cannot be written: File too large; nothing was changed"
    assert out == [*(f"{file} {reason}" for file in files), f"{tmp_path / 'y'} {reason}"]
    assert err == [f"jax-tconv: error: {file} {reason}" for file in ("x.safetensors", "x.pt", "orbax")]
    after = {path: path.stat() for path in tmp_path.rglob("*") if "__pycache__" not in str(path)}
    assert after.keys() == before.keys()
    for file in files:
        assert interop.read(tmp_path / file)["old"].tolist() == [1, 1, 1]
        assert after[tmp_path / file].st_ino == before[tmp_path / file].st_ino


@pytest.mark.parametrize(
    "text",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        "RESOURCE_EXHAUSTED: Failed to write 5427200 bytes to file 11: No space left on device [os_error_code='28']",
        "Error writing: [OS error 28: ENOSPC No space left on device]",
    ],
)
def test_what_libraries_make_of_a_full_disk(tmp_path, text):
    """As safetensors and two versions of TensorStore say it, which are not what the operating system raises."""
    with (
        pytest.raises(CheckpointError, match="x cannot be written: No space left on device; nothing was changed"),
        replacing(tmp_path / "x"),
    ):
        raise RuntimeError(text)
    assert not list(tmp_path.iterdir())


def test_other_errors_are_as_they_were(tmp_path):
    with pytest.raises(RuntimeError, match="^of another kind$"), replacing(tmp_path / "x"):
        raise RuntimeError("of another kind")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "x", folder=True) as new:
        new.mkdir()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [241, 250, 255])
def test_the_longest_names(tmp_path, length):
    pytest.importorskip("torch")
    for suffix in (".safetensors", ".pt"):
        path = tmp_path / ("x" * (length - len(suffix)) + suffix)
        interop.write(path, SMALL)
        assert interop.read(path)["old"].tolist() == [1, 1, 1]
    interop.write_orbax(tmp_path / ("y" * length), SMALL)
    assert {len(path.name) for path in tmp_path.iterdir()} == {length}


def test_names_that_are_too_long(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    name = "x" * 300
    for suffix in (".safetensors", ".pt"):
        with pytest.raises(CheckpointError, match=f"{suffix} cannot be written: File name too long"):
            interop.write(name + suffix, SMALL)
    with pytest.raises(CheckpointError, match="x cannot be written: File name too long"):
        interop.write_orbax(name, SMALL)
    for path in (name, f"folder/{name}.pt", f"{name}/x.pt"):
        Path("folder").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError, match="cannot be read: File name too long"):
            interop.read(path)
    with pytest.raises(CheckpointError, match="cannot be read: File name too long"):
        interop.load({"old": np.ones(3, "f4")}, name)


def test_folders_that_may_not_be_searched(tmp_path):
    pytest.importorskip("torch")
    locked, readable = tmp_path / "locked", tmp_path / "readable"
    for folder in (locked, readable):
        folder.mkdir()
    interop.write(locked / "x.pt", SMALL)
    interop.write(readable / "x.pt", SMALL)
    readable.chmod(0o555)
    locked.chmod(0)
    code = """
    like_anyone()
    name = "x" * 300
    attempt(interop.read, "locked/x.pt")
    attempt(interop.read, "locked")
    attempt(interop.write, "locked/x.pt", large)
    attempt(interop.write, "readable/y.pt", large)
    attempt(interop.write_orbax, "locked/y", large)
    for file in ("locked/x.pt", "locked", name):
        command("inspect", file)
    for out in ("locked/y.pt", "locked/y", f"{name}.pt", f"readable/{name}", "locked/y/z.pt"):
        command("convert", "readable/x.pt", out)
    """
    try:
        out, err = in_another_process(code, tmp_path)
    finally:
        locked.chmod(0o755)
    assert out == [
        "locked/x.pt cannot be read: Permission denied",
        "locked cannot be read: Permission denied",
        "locked/x.pt cannot be written: Permission denied; nothing was changed",
        "readable/y.pt cannot be written: Permission denied; nothing was changed",
        f"{tmp_path}/locked/y cannot be written: Permission denied; nothing was changed",
    ]
    name = "x" * 300
    reasons = [f"{file} cannot be read: Permission denied" for file in ("locked/x.pt", "locked")]
    reasons += [f"{name} cannot be read: File name too long"]
    changes = {"locked/y.pt": "Permission denied", "locked/y": "Permission denied", f"{name}.pt": "File name too long"}
    changes |= {f"readable/{name}": "File name too long", "locked/y/z.pt": "Permission denied"}
    reasons += [f"{file} cannot be written: {why}; nothing was changed" for file, why in changes.items()]
    assert err == [f"jax-tconv: error: {reason}" for reason in reasons]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400, 0o444, 0o666])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_the_mode_of_the_old_file_from_the_first_byte(tmp_path, suffix, mode, monkeypatch):
    """At every line of Python that runs while the file is written, and whatever files there are by then."""
    pytest.importorskip("torch")
    path = tmp_path / f"x.{suffix}"
    interop.write(path, SMALL)
    path.chmod(mode)
    seen = set()

    def look(*_):
        for file in tmp_path.rglob("*"):
            if file != path and file.is_file():
                seen.add(stat.S_IMODE(file.stat().st_mode))
                assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        return look

    umask = os.umask(0)
    sys.settrace(look)
    try:
        interop.write(path, LARGE)
    finally:
        sys.settrace(None)
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert seen <= {mode, mode | 0o600, 0o600}
    assert seen
    assert interop.read(path)["new"].shape == (10**6,)


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    umask = os.umask(0o027)
    try:
        interop.write(tmp_path / "x.safetensors", SMALL)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_the_owner_of_the_old_file(tmp_path, suffix):
    pytest.importorskip("torch")
    path = tmp_path / f"x.{suffix}"
    interop.write(path, SMALL)
    os.chown(path, 65534, 12345)
    path.chmod(0o640)
    interop.write(path, SMALL)
    kept = path.stat()
    assert (kept.st_uid, kept.st_gid, stat.S_IMODE(kept.st_mode)) == (65534, 12345, 0o640)


def test_a_group_that_cannot_be_kept_gives_the_other_one_nothing(tmp_path, monkeypatch):
    """The file was for its own group; the group of who writes it now is another."""
    interop.write(tmp_path / "x.safetensors", SMALL)
    mode = (tmp_path / "x.safetensors").stat()

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    for old, new in [(0o640, 0o600), (0o644, 0o644), (0o664, 0o644), (0o4755, 0o755)]:
        other = os.stat_result((0o100000 | old, *mode[1:5], mode.st_gid + 1, *mode[6:]))
        replacing_module._become(tmp_path / "x.safetensors", other)
        assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == new


def test_a_folder_that_appears_meanwhile_is_left_alone(tmp_path):
    with (
        pytest.raises(CheckpointError, match="x cannot be written: something else has been written there meanwhile"),
        replacing(tmp_path / "x", folder=True) as new,
    ):
        new.mkdir()
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "thesis.tex").write_text("years")
    assert (tmp_path / "x" / "thesis.tex").read_text() == "years"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_old_folder_that_cannot_be_put_back_is_not_deleted(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "old").touch()
    rename = Path.rename

    def once(path, target):
        if path.name in ("new", "old"):
            raise OSError("no rename")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", once)
    message = r"x cannot be replaced, nor put back: what was there is now .*\.tmp/old$"
    with pytest.raises(CheckpointError, match=message), replacing(tmp_path / "x", folder=True) as new:
        new.mkdir()
    assert len(list(tmp_path.glob(".*.tmp/old/old"))) == 1
