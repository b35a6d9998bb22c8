"""Why a checkpoint is not read, in words that are safe to print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._text import plain, printable


class CheckpointError(ValueError):
    """A checkpoint that is not read or not written; the message says why, and what to do."""


class Refused(Exception):
    """Why a checkpoint is not read: the end of a sentence that begins with its path."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever reading `path` raises into a CheckpointError about it."""
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Refused as error:
        raise CheckpointError(printable(f"{path} {error}")) from _safe(error.__cause__)
    except OSError as error:
        raise CheckpointError(printable(f"{path} cannot be read: {error.strerror or error}")) from _safe(error)
    except Exception as error:  # a broken file makes its parser fail in any way at all
        detail = plain("".join(str(error).splitlines()[:1]), 200)
        raise CheckpointError(
            printable(f"{path} is broken or cut short; fetch or save it again ({type(error).__name__}: {detail})")
        ) from _safe(error)


def _safe(cause: BaseException | None) -> BaseException | None:
    """The cause, which a traceback shows as it is, unless a library's message has text in it that must not be."""
    return cause if str(cause).isprintable() else None


def listed(items: list[str], limit: int = 8, besides: int = 0) -> str:
    """Up to `limit` of them, and how many more there are, with those that are not among them."""
    more = len(items) - limit + max(besides, 0)
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")
