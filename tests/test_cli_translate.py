"""`jax-tconv translate`: what it writes, what it prints, and what it refuses."""

import functools
import json
import sys

import pytest

torch = pytest.importorskip("torch")
NETS = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.up = torch.nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, x):
        return self.up(torch.relu(self.conv(x)))


class Branching(Net):
    def forward(self, x):
        y = self.conv(x)
        return self.up(y) if y.mean() > 0 else y
"""
SHAPE = ("--input", "2,3,6,5")


@pytest.fixture
def run(tmp_path, command, monkeypatch):
    """`jax-tconv translate` where the networks and a checkpoint are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "translated_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("translated_nets", None)
    import translated_nets

    torch.manual_seed(0)
    torch.save(translated_nets.Net().state_dict(), "net.pt")
    return functools.partial(command, "translate")


def test_a_file_and_the_verdict(run, tmp_path):
    code, out, err = run("translated_nets:Net", *SHAPE, "-o", "net_flax.py", "--weights", "net.pt")
    assert (code, err) == (0, "")
    assert "layers and the output agree" in out
    assert "wrote net_flax.py, whose class Net is the network" in out
    source = (tmp_path / "net_flax.py").read_text()
    assert "self.up = ConvTranspose(4, 2, (2, 2), strides=2, rngs=rngs)" in source
    sys.modules.pop("net_flax", None)
    space = {}
    for line in out.splitlines()[-3:]:
        exec(line, space)
    assert space["model"].conv.kernel.shape == (3, 3, 3, 4)


def test_linen(run, tmp_path):
    code, out, err = run("translated_nets:Net", *SHAPE, "-o", "net_flax.py", "--weights", "net.pt", "--linen")
    assert (code, err) == (0, "")
    assert "layers and the output agree" in out
    assert "self.up = ConvTranspose(2, (2, 2), strides=2)" in (tmp_path / "net_flax.py").read_text()
    sys.modules.pop("net_flax", None)
    space = {}
    for line in out.splitlines()[-2:]:
        exec(line, space)
    assert space["variables"]["params"]["conv"]["kernel"].shape == (3, 3, 3, 4)


def test_json(run):
    code, out, _ = run("translated_nets:Net", *SHAPE, "-o", "net_flax.py", "--weights", "net.pt", "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["class"], document["out"]) == (0, True, "Net", "net_flax.py")


def test_what_is_there_stays(run, tmp_path):
    (tmp_path / "net_flax.py").write_text("mine")
    code, _, err = run("translated_nets:Net", *SHAPE, "-o", "net_flax.py")
    assert (code, "--force replaces it" in err) == (1, True)
    assert (tmp_path / "net_flax.py").read_text() == "mine"
    assert run("translated_nets:Net", *SHAPE, "-o", "net_flax.py", "--force")[0] == 0


def test_what_cannot_be_translated_is_listed_and_nothing_is_written(run, tmp_path):
    code, _, err = run("translated_nets:Branching", *SHAPE, "-o", "net_flax.py")
    assert code == 1
    assert "translated_nets.py:" in err
    assert "a branch depends on the values of a tensor" in err
    assert not (tmp_path / "net_flax.py").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("translated_nets:Net", *SHAPE, "-o", "net.txt"), "--out must be a Python file whose name can be imported"),
        (("translated_nets:Net", *SHAPE, "-o", "net-flax.py"), "--out must be a Python file"),
        (("translated_nets:None_", *SHAPE, "-o", "net_flax.py"), "has no 'None_'"),
        (("translated_nets:Net", "--input", "2,4,6,5", "-o", "net_flax.py"), "the PyTorch model raised RuntimeError"),
        (("translated_nets:Net", *SHAPE, "-o", "net_flax.py", "--weights", "none.pt"), "no such file"),
    ],
)
def test_bad_input(run, arguments, words, tmp_path):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "net_flax.py").exists()
