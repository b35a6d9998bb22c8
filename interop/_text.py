"""Text from outside, such as the names in a file, made safe to print: it cannot steer a terminal or add lines."""

# Nothing in earnest is longer, but a name in a file may have millions of characters.
_LONGEST_LINE = 10_000


def printable(text: str, limit: int = _LONGEST_LINE) -> str:
    """The text in one line, with control characters, bidirectional marks, lone surrogates and such as their escapes.

    Letters of any script and most emoji stay as they are. What is longer than `limit` ends in dots.
    """
    text = shortened(text, limit)
    if text.isprintable():
        return text
    # Again, since escapes are longer.
    return shortened("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text), limit)


def printable_lines(text: str) -> str:
    """The same for text that has lines of its own: nothing but these newlines is left of what steers a terminal."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning if it is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def plain(name: object, limit: int = 80) -> str:
    """A name from a file as one short line, whatever it holds: for anything but text and small ints, its type."""
    is_short_int = isinstance(name, int) and abs(name) < 2**60
    text = name if isinstance(name, str) else str(name) if is_short_int else type(name).__name__
    return printable(text, limit)
