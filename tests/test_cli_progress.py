"""The progress bar of a long conversion, on a pseudo-terminal and without one."""

import os
import re
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="only Unix has pseudo-terminals")

# Ten arrays, of which the first is nine tenths of all bytes, each taking as long as a large one would.
PROGRAM = """
import sys, time
import numpy as np
from flax import nnx
from jax_tconv import interop
from jax_tconv.interop._convert import plan

if sys.argv[1] == "large":
    plan.LARGE = 1000
value = plan.Filling.value


def slow(filling):
    time.sleep(0.12 if sys.argv[1] == "large" else 0)
    if sys.argv[2] == "fails" and filling.slot.shape == (9, 1):
        raise MemoryError("no memory left")
    return value(filling)


plan.Filling.value = slow
sizes = (405, *range(1, 10))
model = nnx.Sequential(*[nnx.Linear(n, 1, use_bias=False, rngs=nnx.Rngs(0)) for n in sizes])
tensors = interop.state_dict(model)
print("before")
try:
    print(interop.load_state_dict(model, tensors).table())
except MemoryError as error:
    print(error)
"""


def on_a_terminal(*arguments):
    """What the program sends to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux ends it
                break
            if not part:
                break
            sent += part
    os.close(ours)
    assert process.returncode == 0, sent.decode()
    return sent.decode()


def screen(sent):
    """The lines that are left on the screen: carriage returns, line feeds, and the two codes that move and erase."""
    lines, row = [""], 0
    for text, code in re.findall(r"([^\x1b\r\n]+)|(\r|\n|\x1b\[[0-9;?]*[A-Za-z])", sent):
        if code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code == "\x1b[1A":
            row -= 1
        elif code == "\x1b[2K":
            lines[row] = ""
        lines[row] += text
    return [line for line in lines if line]


def percents(sent):
    return [int(number) for number in re.findall(r"(\d+)%", sent)]


def test_a_long_conversion_shows_a_bar_which_grows_with_the_bytes_and_disappears():
    sent = on_a_terminal("large", "works")
    assert "converting" in sent
    found = percents(sent)
    assert (found[0], found[-1]) == (0, 100)
    assert found == sorted(found)
    # The first array, which is nine tenths, at once.
    assert not {number for number in found if 0 < number < 90}
    assert len(set(found)) > 4
    assert screen(sent) == ["before", "10 tensors loaded"]
    # The cursor is back.
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")


def test_the_bar_disappears_when_the_conversion_fails():
    sent = on_a_terminal("large", "fails")
    assert "converting" in sent
    assert screen(sent) == ["before", "no memory left"]
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")


def test_a_short_conversion_has_none():
    sent = on_a_terminal("small", "works")
    assert "converting" not in sent
    assert "\x1b" not in sent
    assert screen(sent) == ["before", "10 tensors loaded"]


def test_without_a_terminal_there_is_none():
    done = subprocess.run([sys.executable, "-c", PROGRAM, "large", "works"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("before\n10 tensors loaded\n", "")
