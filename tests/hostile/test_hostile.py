"""Hostile files, each opened in a process of its own: a few, and as a slow test all of them.

The slow test alone asserts times: those of a process itself, the least of three, of files that take half of what they
may on a machine with nothing else to do.
"""

import sys

import pytest

from tests.hostile import judging
from tests.hostile.corpus import FILES, HELD_OUT
from tests.hostile.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")
SAMPLE = [
    "10000 tensors",
    "300000 tensors without layers",
    "a long string of emoji (zip)",
    "a magic call",
    "an index of a long name with escapes",
    "endless metadata",
    "entries with endless names",
    "lists of dicts (zip)",
    "modules in modules",
    "tensors with endless names",
]


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        yield box


def judged(name, tmp_path, box):
    return judging.judge(name, (FILES | HELD_OUT)[name](tmp_path), box)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_few(name, tmp_path, box):
    assert not judged(name, tmp_path, box).problems


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FILES, *HELD_OUT])
def test_all(name, tmp_path, box):
    verdict = judged(name, tmp_path, box)
    assert not verdict.problems + verdict.late


def test_what_takes_too_long_or_too_much_is_found(tmp_path, box, monkeypatch):
    monkeypatch.setattr(judging, "SECONDS", -1.0)
    monkeypatch.setattr(judging, "MEMORY", -(10**9))
    verdict = judged("modules in modules", tmp_path, box)
    assert "-1.00 s are allowed" in verdict.late[0]
    assert "beyond its tensors" in verdict.problems[0]


def test_a_process_that_dies_or_prints_is_found(tmp_path, box):
    """A file whose command is another one: it ends with a code of its own."""
    outcome = box.open(tmp_path / "absent", "read")
    assert outcome.ended.startswith("FileNotFoundError: no such file")
