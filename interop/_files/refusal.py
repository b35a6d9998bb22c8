"""Why a checkpoint is not read, in words that are safe to print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        raise CheckpointError(f"{path} {error}") from error.__cause__
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a broken file makes its parser fail in any way at all
        detail = "".join(str(error).splitlines()[:1])[:200]
        raise CheckpointError(
            f"{path} is broken or cut short; fetch or save it again ({type(error).__name__}: {detail})"
        ) from error


def plain(name: object, limit: int = 80) -> str:
    """A name from a file as one short line, whatever it holds."""
    is_short_int = isinstance(name, int) and abs(name) < 2**60
    text = name if isinstance(name, str) else str(name) if is_short_int else type(name).__name__
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return text if text.isprintable() else repr(text)


def listed(items: list[str], limit: int = 8) -> str:
    """Up to `limit` of them, and how many more there are."""
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")
