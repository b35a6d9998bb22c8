"""Indices of checkpoints in several files that have too much in them, or name too many files."""

import os

import numpy as np
import safetensors.numpy

from tests.hostile.headers import EMOJI, LONG, repeated
from tests.hostile.making import Files
from tests.pickling import dictionary, tensor, write_zip
from tests.test_interop_bounds import expanding_shards, index

MAP = b'{"weight_map":{'


def text(content):
    """An index with the text that a function makes."""

    def make(folder):
        (folder / "x.index.json").write_bytes(content())
        return folder / "x.index.json"

    return make


def of_files(count, form="{}"):
    """An index of as many files as tensors, which are not there."""
    return lambda folder: index(folder / "x.index.json", {f"{n}": form.format(n) for n in range(count)})


def of_tensors(count):
    """An index of many tensors of a file that has one of them."""

    def make(folder):
        write_zip(folder / "x.pt", dictionary({"0": tensor()}))
        return index(folder / "x.index.json", {f"{number}": "x.pt" for number in range(count)})

    return make


def shards(count, each=1):
    """An index of small files that are there."""

    def make(folder):
        files = {}
        for number in range(count):
            names = [f"{number}.{n}" for n in range(each)]
            safetensors.numpy.save_file({name: np.ones(1, "f4") for name in names}, folder / f"{number}.safetensors")
            files |= dict.fromkeys(names, f"{number}.safetensors")
        return index(folder / "x.index.json", files)

    return make


def links(count):
    """An index of many names of one file, all of whose tensors each must list."""

    def make(folder):
        safetensors.numpy.save_file({f"{n}": np.ones(1, "f4") for n in range(20)}, folder / "0")
        for number in range(1, count):
            os.link(folder / "0", folder / f"{number}")
        return index(
            folder / "x.index.json", {f"{n}": "0" for n in range(20)} | {f"x{n}": f"{n}" for n in range(count)}
        )

    return make


def files() -> Files:
    yield "an index of spaces", text(lambda: b"{" + b" " * 30_000_000 + b"}")
    yield "an index of lists", text(lambda: b'{"weight_map":' + b"[" * 30_000_000)
    yield "an index of numbers", text(repeated(b"1", 15_000_000, b"[", b"]"))
    yield "an index of long numbers", text(repeated(b"9" * 4_000, 6_000, b'{"a":[', b"]}"))
    yield "an index of a long name", text(lambda: MAP + b'"' + LONG + b'":"a"}}')
    for what, emoji in EMOJI.items():
        yield f"an index of a long name with {what}", text(lambda emoji=emoji: MAP + b'"' + LONG + emoji + b'":"a"}}')
        yield f"an index of a long file with {what}", text(lambda emoji=emoji: MAP + b'"a":"' + LONG + emoji + b'"}}')
    yield "an index of many tensors", text(repeated(b'"%d":"a"', 240_000, MAP, b"}}"))
    yield "an index of many tensors that is there", of_tensors(240_000)
    yield "an index of many files", of_files(240_000)
    yield "an index of absent files", of_files(9_900)
    yield "an index of files in absent folders", of_files(9_900, "a/" * 400 + "{}")
    yield "an index of a thousand files", shards(1_000)
    yield "an index of seven thousand files", shards(7_000)
    yield "an index of files of many tensors", shards(20, 2_000)
    yield "an index of links", links(2_000)
    yield "shards that expand", expanding_shards
