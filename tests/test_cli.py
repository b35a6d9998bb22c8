"""`jax-tconv` as a user calls it: what it prints, writes and says, and its exit codes."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import orbax.checkpoint
import pytest

import jax_tconv
from jax_tconv import interop
from jax_tconv.cli import main

torch = pytest.importorskip("torch")

MODELS = """
import torch
from flax import linen, nnx
import jax_tconv.linen
from jax_tconv.nnx import ConvTranspose


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.ConvTranspose2d(3, 3, 3, 2)
        self.norm = torch.nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.up(x))


class Twin(nnx.Module):
    def __init__(self, rngs):
        self.up = ConvTranspose(3, 3, (3, 3), 2, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.up(x))


class LinenTwin(linen.Module):
    padding: int = 0

    def setup(self):
        self.up = jax_tconv.linen.ConvTranspose(3, (3, 3), 2, padding=self.padding)
        self.norm = linen.BatchNorm(use_running_average=True)

    def __call__(self, x):
        return self.norm(self.up(x))


def padded():
    return LinenTwin(padding=1)


NUMBER = 3


def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with models and a checkpoint, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(MODELS)
    torch.manual_seed(0)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("nets", None)
    net = importlib.import_module("nets").Net()
    torch.save({"generator": net.state_dict(), "epoch": 3}, "net.pth")
    torch.save({"a": {"x": torch.ones(2)}, "b c": {"x": torch.ones(2)}}, "two.pth")
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs the command; its exit code, what it prints, and what it prints on the error stream."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["jax-tconv", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.main()
        printed = capsys.readouterr()
        return end.value.code or 0, printed.out, printed.err

    return call


TAKEN = ("net.pth", "--entry", "generator")


def test_inspect(folder, run):
    code, out, _ = run("inspect", *TAKEN)
    assert code == 0
    assert out.startswith("net.pth: 7 tensors (6 float32, 1 int64), 97 values, 392 bytes\n")
    lines = {line.split()[0]: line for line in out.splitlines()[3:]}
    assert "weight 3x3x3x3, bias 3" in lines["up"]
    assert "Conv2d or ConvTranspose2d   channels out: 3, by its bias; the weight's first two axes: 3, 3" in lines["up"]
    assert "   BatchNorm                   running_mean" in lines["norm"]
    assert "Where two kinds fit, only the model can say which" in out
    document = json.loads(run("inspect", *TAKEN, "--json")[1])
    assert document["bytes"] == 392
    assert document["tensors"]["up.weight"] == {"shape": [3, 3, 3, 3], "dtype": "float32"}
    assert [layer["kind"] for layer in document["layers"]] == ["Conv2d or ConvTranspose2d", "BatchNorm"]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (lambda: torch.nn.Conv2d(3, 8, 3), "Conv2d"),
        (lambda: torch.nn.Conv2d(4, 4, 3, groups=2), "Conv2d"),
        (lambda: torch.nn.ConvTranspose1d(3, 8, 3), "ConvTranspose1d"),
        (lambda: torch.nn.ConvTranspose3d(4, 8, 3, groups=2), "ConvTranspose3d"),
        (lambda: torch.nn.Conv2d(3, 8, 3, bias=False), "Conv2d or ConvTranspose2d"),
        (lambda: torch.nn.Linear(3, 3), "Linear"),
        (lambda: torch.nn.Embedding(3, 3), "Linear or Embedding"),
        (lambda: torch.nn.LayerNorm(3), "LayerNorm, GroupNorm or InstanceNorm"),
        (lambda: torch.nn.RMSNorm(3), "RMSNorm or PReLU"),
        (lambda: torch.nn.PReLU(), "PReLU"),
        (lambda: torch.nn.LSTM(3, 4), "LSTM"),
        (lambda: torch.nn.GRUCell(3, 4), "GRU"),
        (lambda: torch.nn.MultiheadAttention(4, 2), "MultiheadAttention"),
        (lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 8, 3)), "Conv1d with weight norm"),
    ],
)
def test_inspect_names_the_kind_or_both_that_fit(folder, run, layer, kind):
    torch.save(torch.nn.ModuleDict({"x": layer()}).state_dict(), "one.pth")
    assert f"   {kind}   " in run("inspect", "one.pth")[1]


def test_convert_to_orbax(folder, run):
    code, out, _ = run("convert", *TAKEN, "out", "--model", "nets:Twin")
    assert code == 0
    assert " loaded    up.weight " in out
    assert "Report(loaded=6, dropped=1)\nwrote out; these lines load it:\n" in out
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        variables = checkpointer.restore(folder / "out")
    tensors = interop.read("net.pth", entry="generator")
    np.testing.assert_array_equal(variables["up"]["kernel"], interop.kernel_from_torch(tensors["up.weight"]))


def test_convert_linen_to_safetensors(folder, run):
    arguments = ("convert", *TAKEN, "out.safetensors", "--model", "nets:LinenTwin", "--input", "1,4,4,3")
    assert run(*arguments)[0] == 0
    assert interop.read("out.safetensors").keys() >= {"params.up.kernel", "batch_stats.norm.mean"}
    code, _, err = run(*arguments)
    assert (code, err) == (
        1,
        "jax-tconv: error: OUT must not exist yet, but out.safetensors does; --force replaces a file\n",
    )
    assert run(*arguments, "--force")[0] == 0


def test_convert_dry_run_writes_nothing(folder, run):
    code, out, _ = run("convert", *TAKEN, "out", "--model", "nets:Twin", "--dry-run", "--rename", "up.=down.")
    assert code == 1
    assert "missing from the state dict (2):\n  up.weight\n  up.bias" in out
    document = json.loads(run("convert", *TAKEN, "out", "--model", "nets:Twin", "--dry-run", "--json")[1])
    assert document["ok"]
    assert document["rows"][0]["name"] == "up.weight"
    assert not os.path.lexists("out")


def test_a_conversion_that_does_not_fit_writes_nothing(folder, run):
    code, _, err = run("convert", *TAKEN, "out", "--model", "nets:Twin", "--rename", "up.=down.")
    assert code == 1
    assert err.startswith("jax-tconv: error: the checkpoint does not fit the model\nmissing from the state dict (2):")
    assert not os.path.lexists("out")


def test_convert_between_kinds_of_files(folder, run):
    assert run("convert", *TAKEN, "out.safetensors")[0] == 0
    tensors, written = interop.read("net.pth", entry="generator"), interop.read("out.safetensors")
    assert written.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert written[name].tobytes() == tensor.tobytes()


def test_verify(folder, run):
    common = ("verify", *TAKEN, "--torch", "nets:Net", "--input", "1,3,5,5")
    for model in ("nets:Twin", "nets:LinenTwin"):
        code, out, _ = run(*common, "--model", model)
        assert code == 0
        assert "2 layers and the output agree" in out
    code, out, _ = run(*common, "--model", "nets:padded")
    assert code == 1
    assert "'up' differs in shape: (1, 11, 11, 3) in PyTorch, (1, 9, 9, 3) in Flax" in out
    code, out, _ = run(*common, "--model", "nets:padded", "--json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert (code, document["ok"], document["layers"][0]["difference"]) == (1, False, None)
    document = json.loads(run(*common, "--model", "nets:Twin", "--json")[1])
    assert document["ok"]
    assert [layer["name"] for layer in document["layers"]] == ["up", "norm", ""]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "none.pth"), "no such file: none.pth"),
        (("inspect", "two.pth"), "take one of its dicts, with --entry a (1 tensor) or --entry 'b c' (1 tensor)"),
        (("inspect", "net.pth", "--entry", "x"), "'x'"),
        (("convert", *TAKEN, "out", "--model", "nets"), "--model must be package.module:factory, such as"),
        (("convert", *TAKEN, "out", "--model", "none:Net"), "--model: there is no module 'none' here or"),
        (("convert", *TAKEN, "out", "--model", "nets:None"), "--model: module 'nets' has no 'None'"),
        (
            ("convert", *TAKEN, "out", "--model", "nets:NUMBER"),
            "must be a class or a function without arguments, got int",
        ),
        (
            ("convert", *TAKEN, "out", "--model", "nets:number"),
            "--model must make an nnx model or a linen module, got int",
        ),
        (
            ("convert", *TAKEN, "out", "--model", "nets:LinenTwin"),
            "--input must be what the module is called with",
        ),
        (("convert", *TAKEN, "out", "--rename", "a=b"), "--model must say what the tensors are for"),
        (("convert", *TAKEN, "out", "--model", "nets:Twin", "--rename", "a"), "--rename must be OLD=NEW"),
        (("convert", *TAKEN, "out", "--model", "nets:Twin", "--flatten", "a"), "--flatten must be LAYER=HEIGHT,WIDTH"),
        (
            ("convert", *TAKEN, "out", "--model", "nets:Twin", "--input", "1,x"),
            "--input must be ints separated by commas",
        ),
        (("convert", *TAKEN, "out", "--model", "nets:Twin", "--match", "x"), 'match must be "name" or "order"'),
        (("convert", *TAKEN, "out.txt"), "path must end in .safetensors"),
        (
            ("verify", *TAKEN, "--torch", "nets:Twin", "--model", "nets:Twin", "--input", "1"),
            "--torch must make a torch",
        ),
    ],
)
def test_errors_are_one_line(folder, run, arguments, words):
    code, out, err = run(*arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("jax-tconv: error: ")
    assert words in err
    assert err.count("\n") == 1
    assert not os.path.lexists("out")


def test_verify_without_torch_says_how_to_get_it(folder, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = run("verify", *TAKEN, "--torch", "nets:Net", "--model", "nets:Twin", "--input", "1,3,5,5")
    assert code == 1
    assert "verify runs the PyTorch module, so it needs torch: pip install 'jax_tconv[torch]'" in err
    assert run("inspect", *TAKEN)[0] == 0


def test_help_has_examples(run):
    code, out, _ = run("--help")
    assert code == 0
    for command in ("inspect", "convert", "verify", "explain", "bench"):
        assert f"  {command} " in out
        assert f"jax-tconv {command} " in " ".join(run(command, "--help")[1].split())


def test_the_only_dict_of_tensors_is_taken_and_named(folder, run):
    line = (
        "jax-tconv: net.pth: reading its only dict of tensors, --entry generator (7 tensors); not read: epoch (int)\n"
    )
    code, out, err = run("inspect", "net.pth")
    assert (code, err) == (0, line)
    assert (0, out, "") == run("inspect", *TAKEN)
    code, out, err = run("inspect", "net.pth", "--json")
    assert (len(json.loads(out)["tensors"]), err) == (7, line)


def test_version(run):
    assert run("--version") == (0, f"jax-tconv {jax_tconv.__version__}\n", "")


def test_the_installed_command(folder):
    # The same code through the console script's own entry.
    done = subprocess.run(
        [sys.executable, "-m", "jax_tconv.cli", "inspect", "none.pth"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "jax-tconv: error: no such file: none.pth\n")
