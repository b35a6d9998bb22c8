"""`jax-tconv verify`: its options, and what it prints for a person to type."""

import functools
import json
import sys

import pytest

torch = pytest.importorskip("torch")
NETS = """
import jax.numpy as jnp
import torch
from flax import nnx


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Linear(144, 5)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))


class Twin(nnx.Module):
    def __init__(self, rngs, slope=0.0):
        self.conv = nnx.Conv(3, 4, (3, 3), padding=1, rngs=rngs)
        self.head = nnx.Linear(144, 5, rngs=rngs)
        self.slope = slope

    def __call__(self, x):
        x = nnx.leaky_relu(self.conv(x), self.slope)
        return self.head(x.reshape(len(x), -1))


def leaky(rngs):
    return Twin(rngs, 0.1)


class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.scale


class FlaxTokens(nnx.Module):
    def __init__(self):
        self.scale = nnx.Param(jnp.ones(()))

    def __call__(self, x):
        return x.swapaxes(1, 2) * self.scale
"""


@pytest.fixture
def run(tmp_path, command, monkeypatch):
    """`jax-tconv verify` where the models and their checkpoints are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    sys.modules.pop("twins", None)
    (tmp_path / "twins.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import twins

    torch.manual_seed(0)
    torch.save(twins.Net().state_dict(), "net.pt")
    torch.save(twins.Tokens().state_dict(), "tokens.pt")
    return functools.partial(command, "verify")


NET = ("net.pt", "--torch", "twins:Net", "--input", "2,3,6,6")
TOKENS = ("tokens.pt", "--torch", "twins:Tokens", "--model", "twins:FlaxTokens", "--input", "2,4,4")


def test_what_it_says_to_type_repairs_it(run):
    code, out, _ = run(*NET, "--model", "twins:Twin")
    assert code == 1
    assert "load it with --flatten head=6,6,4 (at precision 'highest')" in out
    assert run(*NET, "--model", "twins:Twin", "--flatten", "head=6,6,4")[0] == 0


def test_skip_and_all(run):
    wrong = (*NET, "--model", "twins:leaky", "--flatten", "head=6,6,4")
    code, out, _ = run(*wrong)
    assert code == 1
    assert "differs   head " in out
    assert not any(line.split()[:1] == ["conv"] for line in out.splitlines())
    code, out, _ = run(*wrong, "--skip", "h*", "--skip", "(output)", "--all")
    assert code == 0
    assert any(line.split()[:1] == ["conv"] for line in out.splitlines())
    assert "not compared: 'head'" in out


def test_axes(run):
    code, out, err = run(*TOKENS)
    assert (code, err) == (1, "")
    assert "--axes '(output)=n c l -> n l c' says otherwise" in out
    rules = ("--axes", "(input)=n c l -> n c l", "--axes", "(output)=n c l -> n l c")
    assert run(*TOKENS, *rules)[0] == 0
    code, _, err = run(*TOKENS, "--axes", "output")
    words = "--axes must be LAYER=TORCH -> FLAX, such as '(output)=n c l -> n l c'; got 'output'"
    assert (code, err) == (1, f"jax-tconv: error: {words}\n")


def test_json_has_everything(run):
    code, out, _ = run(*NET, "--model", "twins:leaky", "--flatten", "head=6,6,4", "--json")
    document = json.loads(out)
    assert (code, document["ok"]) == (1, False)
    assert [layer["name"] for layer in document["layers"]] == ["conv", "head"]
    assert document["outputs"][0]["name"] == "(output)"
    assert document["precision"] == "highest"
    assert document["verdict"].startswith("'head' is the first layer that differs")
