"""Text from outside, such as the names in a file, made safe to print: it cannot steer a terminal or add lines."""


def printable(text: str) -> str:
    """The text in one line, with control characters, bidirectional marks, lone surrogates and such as their escapes.

    Letters of any script and most emoji stay as they are. What is printable already stays the same.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """The same for text that has lines of its own: nothing but these newlines is left of what steers a terminal."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, limit: int = 80) -> str:
    """The text, or its beginning if it is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def plain(name: object, limit: int = 80) -> str:
    """A name from a file as one short line, whatever it holds: for anything but text and small ints, its type."""
    is_short_int = isinstance(name, int) and abs(name) < 2**60
    text = name if isinstance(name, str) else str(name) if is_short_int else type(name).__name__
    # Shortened first, since the name may be endless, and again, since escapes are longer.
    return shortened(printable(shortened(text, limit)), limit)
