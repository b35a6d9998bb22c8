"""Files and folders that take the place of others when they are whole."""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .refusal import CheckpointError


@contextmanager
def replacing(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """A name to write a file under, or a folder; what is there then takes the place of `path`.

    It is in a hidden folder of its own beside `path`, which nobody else may enter, and which is gone afterwards. What
    was at `path` stays until the new one is whole, and if anything is raised. A link stays a link. A file is there
    already, empty, with the mode of the old one, and its owner where that is permitted; what the new one ends up with
    is the same, whatever writes it.

    CheckpointError says what the operating system refused, whichever library met it.
    """
    with reported(path):
        path = Path(os.path.realpath(path))
        likeness = old = path.stat() if path.exists() else None
        if not path.parent.is_dir() or (not folder and path.is_dir()):
            raise CheckpointError(f"path must name a file in an existing folder, got {path}")
        # Short, whatever `path` is called: names have at most 255 bytes.
        room = path.with_name(f".{secrets.token_hex(4)}.tmp")
        room.mkdir(mode=0o700)
        try:
            new = room / "new"
            if not folder:
                os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if old is None else 0o600))
                likeness = old or new.stat()
                _become(new, likeness, stat.S_IRUSR | stat.S_IWUSR)
            yield new
            if not folder:
                with open(new, "rb+") as file:
                    os.fsync(file.fileno())
            if likeness is not None:
                _become(new, likeness)  # safetensors puts a file of its own there
            if folder or path.is_dir():
                _rename_folder(new, path, None if old is None else room / "old")
            else:
                os.replace(new, path)
        finally:
            # The old one is there only if it could not be put back.
            if os.path.lexists(path) or not os.path.lexists(room / "old"):
                shutil.rmtree(room, ignore_errors=True)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses, while `path` is written, into a CheckpointError about it."""
    try:
        yield
    except (CheckpointError, TypeError, ImportError):
        raise
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise CheckpointError(f"{path} cannot be written: {reason}; nothing was changed") from error


def _reason(error: BaseException | None) -> str | None:
    """What the operating system says, if an error comes from it."""
    while error is not None:
        if isinstance(error, OSError):
            return error.strerror or str(error)
        # As Rust and TensorStore write it.
        number = re.search(r"os[ _]error(?:_code)?[ =:']*(\d+)", str(error), re.IGNORECASE)
        if number:
            return os.strerror(int(number[1]))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _become(new: Path, old: os.stat_result, more: int = 0) -> None:
    """Gives `new` the mode of `old`, and its owner and group where permitted; nobody gets more than they had.

    `more` is what its owner needs besides while it is written.
    """
    if hasattr(os, "chown"):
        for owner in (old.st_uid, -1):
            try:
                os.chown(new, owner, old.st_gid)
                break
            except OSError:
                continue
    now, mode = new.stat(), stat.S_IMODE(old.st_mode)
    if now.st_gid != old.st_gid:
        mode &= ~0o070 | (mode & 0o007) << 3  # the other group gets what everyone has
    if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
        mode &= 0o777
    new.chmod(mode | more)


def _rename_folder(new: Path, path: Path, aside: Path | None) -> None:
    """Renames `new` to `path`; what was there goes `aside`, since no folder can be renamed to one that is there."""
    if aside is None and path.exists():
        raise FileExistsError(errno.EEXIST, "something else has been written there meanwhile")
    if aside is not None:
        path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        if aside is not None:
            _put_back(aside, path)
        raise


def _put_back(aside: Path, path: Path) -> None:
    try:
        aside.rename(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be replaced, nor put back: what was there is now {aside}") from error
