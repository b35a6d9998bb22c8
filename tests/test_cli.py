"""`jax-tconv` as a user calls it: what it prints, writes and says, and its exit codes."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import orbax.checkpoint
import pytest

import jax_tconv
from jax_tconv import interop
from jax_tconv.benchmarks import contest
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
def run(command, monkeypatch):
    """The command on a terminal so wide that what a test looks for is in one line."""
    monkeypatch.setenv("COLUMNS", "300")
    return command


TAKEN = ("net.pth", "--entry", "generator")


def test_inspect(folder, run):
    code, out, _ = run("inspect", *TAKEN)
    assert code == 0
    assert out.startswith("net.pth: 7 tensors (6 float32, 1 int64), 97 values, 392 bytes\n")
    lines = {line.split()[0]: line for line in out.splitlines()[3:]}
    assert "weight 3x3x3x3, bias 3" in lines["up"]
    assert (
        "not certain: Conv2d or ConvTranspose2d   as in Conv2d(3 * groups, 3) or ConvTranspose2d(3, 3)" in lines["up"]
    )
    assert "not certain: BatchNorm or InstanceNorm" in lines["norm"]
    assert "only the model can say which it is" in out
    document = json.loads(run("inspect", *TAKEN, "--json")[1])
    assert document["bytes"] == 392
    assert document["tensors"]["up.weight"] == {"shape": [3, 3, 3, 3], "dtype": "float32"}
    assert [layer["kinds"] for layer in document["layers"]] == [
        ["Conv2d", "ConvTranspose2d"],
        ["BatchNorm", "InstanceNorm"],
    ]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (lambda: torch.nn.Conv2d(3, 8, 3), "Conv2d"),
        (lambda: torch.nn.Conv2d(4, 4, 3, groups=2), "not certain: Conv2d or ConvTranspose2d"),
        (lambda: torch.nn.ConvTranspose1d(3, 8, 3), "ConvTranspose1d"),
        (lambda: torch.nn.ConvTranspose3d(4, 8, 3, groups=2), "ConvTranspose3d"),
        (lambda: torch.nn.Conv1d(3, 8, 3), "not certain: Conv1d or Bilinear"),
        (lambda: torch.nn.Conv2d(3, 8, 3, bias=False), "not certain: Conv2d, ConvTranspose2d, LayerNorm or RMSNorm"),
        (lambda: torch.nn.Linear(3, 3), "Linear"),
        (lambda: torch.nn.Embedding(3, 3), "not certain: Linear, Embedding, EmbeddingBag, LayerNorm or RMSNorm"),
        (lambda: torch.nn.LayerNorm(3), "not certain: LayerNorm, GroupNorm, InstanceNorm or BatchNorm"),
        (lambda: torch.nn.LayerNorm((3, 3)), "LayerNorm"),
        (
            lambda: torch.nn.PReLU(),
            "not certain: PReLU, LayerNorm, RMSNorm, GroupNorm, InstanceNorm or BatchNorm",
        ),
        (lambda: torch.nn.LSTM(3, 4), "LSTM"),
        (lambda: torch.nn.GRUCell(3, 4), "GRUCell"),
        (lambda: torch.nn.MultiheadAttention(4, 2), "MultiheadAttention"),
        (lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(3, 8, 3)), "Conv2d with weight norm"),
        (lambda: torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 8)), "unknown"),
    ],
)
def test_inspect_names_the_kind_or_both_that_fit(folder, run, layer, kind):
    torch.save(torch.nn.ModuleDict({"x": layer()}).state_dict(), "one.pth")
    assert f"   {kind}   " in run("inspect", "one.pth")[1]


def test_convert_to_orbax(folder, run):
    code, out, _ = run("convert", *TAKEN, "out", "--model", "nets:Twin")
    assert code == 0
    assert out.splitlines()[:5] == [
        "6 tensors loaded",
        "1 tensor dropped (Flax has no use for it):",
        "  norm.num_batches_tracked",
        "--all shows every tensor",
        "wrote out; these lines load it:",
    ]
    assert len(out.splitlines()) == 8
    assert " loaded    up.weight " in run("convert", *TAKEN, "out", "--model", "nets:Twin", "--dry-run", "--all")[1]
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        variables = checkpointer.restore(folder / "out")
    tensors = interop.read("net.pth", entry="generator")
    np.testing.assert_array_equal(variables["up"]["kernel"], interop.kernel_from_torch(tensors["up.weight"]))


def test_convert_linen_to_safetensors(folder, run):
    arguments = ("convert", *TAKEN, "out.safetensors", "--model", "nets:LinenTwin", "--input", "1,3,4,4")
    assert run(*arguments)[0] == 0
    assert interop.read("out.safetensors").keys() >= {"params.up.kernel", "batch_stats.norm.mean"}
    code, _, err = run(*arguments)
    assert (code, err) == (
        1,
        "jax-tconv: error: OUT must not exist yet, but out.safetensors does; --force replaces it\n",
    )
    assert run(*arguments, "--force")[0] == 0


def test_force_replaces_an_orbax_checkpoint_when_the_new_one_is_whole(folder, run, monkeypatch):
    arguments = ("convert", *TAKEN, "out", "--model", "nets:Twin")
    assert run(*arguments)[0] == 0
    code, _, err = run(*arguments)
    assert (code, err) == (1, "jax-tconv: error: OUT must not exist yet, but out does; --force replaces it\n")
    (folder / "out" / "old").touch()
    before = sorted(path.name for path in folder.iterdir())

    def half_written(_, path, variables):
        path.mkdir()
        (path / "half").touch()
        assert (folder / "out" / "old").exists()
        raise ValueError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(orbax.checkpoint.StandardCheckpointer, "save", half_written)
        assert run(*arguments, "--force")[2] == "jax-tconv: error: disk full\n"
    rename = Path.rename

    def fails_at_last(path, target):
        if path.name == "new":
            raise OSError("no rename")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails_at_last)
        patch.setattr(orbax.checkpoint.StandardCheckpointer, "save", lambda _, path, variables: path.mkdir())
        message = "jax-tconv: error: out cannot be written: no rename; nothing was changed\n"
        assert run(*arguments, "--force")[2] == message
    assert (folder / "out" / "old").exists()
    assert sorted(path.name for path in folder.iterdir()) == before
    assert run(*arguments, "--force")[0] == 0
    assert not (folder / "out" / "old").exists()
    assert sorted(path.name for path in folder.iterdir()) == before
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        assert "up" in checkpointer.restore(folder / "out")


def test_force_replaces_a_file_by_a_folder_and_keeps_links(folder, run):
    (folder / "real").write_text("a file")
    (folder / "out").symlink_to("real")
    assert run("convert", *TAKEN, "out", "--model", "nets:Twin", "--force")[0] == 0
    assert (folder / "out").is_symlink()
    assert (folder / "real" / "_CHECKPOINT_METADATA").exists()


def test_force_never_deletes_another_folder(folder, run):
    (folder / "project").mkdir()
    (folder / "project" / "thesis.tex").write_text("years")
    for out in ("project", "."):
        code, _, err = run("convert", *TAKEN, out, "--model", "nets:Twin", "--force")
        assert code == 1
        assert f"OUT must not be a folder that --force would delete, but {out} is no Orbax checkpoint" in err
    assert (folder / "project" / "thesis.tex").read_text() == "years"
    code, _, err = run("convert", *TAKEN, "none/out", "--model", "nets:Twin")
    assert (code, err) == (1, "jax-tconv: error: OUT must be in a folder that exists, and none does not\n")


LONG = "multi_scale_feature_pyramid_aggregation.decoder_blocks"


@pytest.fixture
def long_names(folder):
    """A checkpoint of 90 tensors with names of 60 characters and more, and a model for it."""
    (folder / "long_nets.py").write_text(LONG_MODEL)
    block = {"upsampling.weight": (2, 2, 2, 2), "upsampling.bias": (2,), "projection.weight": (2, 2)}
    tensors = {f"{LONG}.{n}.{name}": torch.zeros(shape) for n in range(30) for name, shape in block.items()}
    torch.save(tensors, "long.pth")
    sys.modules.pop("long_nets", None)
    return tensors


LONG_MODEL = """
from flax import nnx
from jax_tconv.nnx import ConvTranspose


class Block(nnx.Module):
    def __init__(self, rngs):
        self.upsampling = ConvTranspose(2, 2, (2, 2), rngs=rngs)
        self.projection = nnx.Linear(2, 2, use_bias=False, rngs=rngs)


class Group(nnx.Module):
    def __init__(self, rngs):
        self.decoder_blocks = nnx.List([Block(rngs) for _ in range(30)])


class Net(nnx.Module):
    def __init__(self, rngs):
        self.multi_scale_feature_pyramid_aggregation = Group(rngs)


class Wider(Net):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.multi_scale_feature_pyramid_aggregation.decoder_blocks[7].projection = nnx.Linear(3, 2, rngs=rngs)
"""


@pytest.mark.parametrize("width", [80, 120, 200])
def test_what_is_fine_is_summed_up_within_the_terminals_width(long_names, run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))

    def shown(*arguments):
        code, out, _ = run(*arguments)
        # A name alone in its line is not broken, so that it can be copied.
        lines = [line for line in out.split("\n") if len(line.split()) > 1 and not line.startswith(f"  {LONG}")]
        assert max(map(len, lines)) <= width
        return code, out

    code, out = shown("inspect", "long.pth")
    assert code == 0
    assert "29 more" in " ".join(out.split())
    assert len(out.split("\n")) < 30
    assert "--all shows every layer with its tensors." in out
    code, out = shown("inspect", "long.pth", "--all")
    assert "--all" not in out
    assert out.count("projection") == out.count("upsampling") == 30
    document = json.loads(run("inspect", "long.pth", "--json")[1])
    assert document["tensors"].keys() == long_names.keys()

    code, out = shown("convert", "long.pth", "out", "--model", "long_nets:Net", "--dry-run")
    assert (code, out) == (0, "90 tensors loaded\n--all shows every tensor\n")
    code, out = shown("convert", "long.pth", "out", "--model", "long_nets:Net", "--dry-run", "--all")
    assert len(out.split("\n")) > 90
    assert out.count(" loaded ") == 90
    code, out = shown("convert", "long.pth", "out", "--model", "long_nets:Wider", "--dry-run")
    assert code == 1
    assert out.startswith("89 tensors loaded\ntensors of the wrong shape (1):\n")
    assert f"  {LONG}.7.projection.weight (2, 2), where the model needs (2, 3)\n" in out
    assert f"missing from the state dict (1):\n  {LONG}.7.projection.bias\n" in out


def test_rules_fit_the_terminal(run, monkeypatch):
    for platform in ("cpu", "tpu"):
        for width in (80, 120, 200):
            monkeypatch.setenv("COLUMNS", str(width))
            assert max(map(len, run("rules", "--platform", platform)[1].split("\n"))) <= width


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
    assert [layer["name"] for layer in document["layers"]] == ["up", "norm"]


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


README = (Path(__file__).parents[1] / "README.md").read_text()
MINE = """
import torch
from flax import linen
import jax_tconv.linen


class Decoder(linen.Module):
    @linen.compact
    def __call__(self, x):
        return jax_tconv.linen.ConvTranspose(3, (2, 2), name="up")(x)


class TorchDecoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.ConvTranspose2d(64, 3, 2)

    def forward(self, x):
        return self.up(x)


Generator = Decoder
"""


def examples():
    """The commands that the README and the commands' own help show."""
    commands = re.findall(r"^jax-tconv .*?(?=  +#|$)", README, flags=re.M)
    for command in main.app.registered_commands:
        commands += re.findall(r"Example: (jax-tconv .*)", command.callback.__doc__)
    return list(dict.fromkeys(commands))


@pytest.mark.parametrize("line", examples())
def test_examples_run(folder, run, monkeypatch, line):
    (folder / "my_models.py").write_text(MINE)
    (folder / "my_nets.py").write_text(MINE.replace("class Decoder", "class Other").replace("TorchDecoder", "Decoder"))
    for module in ("my_models", "my_nets"):
        sys.modules.pop(module, None)
    arguments = shlex.split(line)[1:]
    tensors = torch.nn.ModuleDict({"up": torch.nn.ConvTranspose2d(64, 3, 2)}).state_dict()
    for name in ("generator.pth", "decoder.pth", "decoder.pt"):
        torch.save({"state_dict": tensors} if "--entry" in arguments else tensors, name)
    if arguments[0] == "convert" and "--input" not in arguments:
        # The example is of an nnx model, which needs none.
        arguments += ["--input", "1,64,16,16"]
    if arguments[0] == "bench":
        monkeypatch.setattr(contest, "QUICK", contest.Settings(rounds=1, seconds=0.0))
        arguments += [*(["--quick"] if "--quick" not in arguments else []), "--methods", "None", "--peers", "lax"]
        arguments += ["--mode", "forward"]
    code, _, err = run(*arguments)
    assert (code, err) == (0, "")


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
