"""What the documentation says holds: every public name has an example, and every example runs, the README's too."""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

import jax_tconv

ROOT = Path(__file__).parents[1]
MODULES = ["jax_tconv", "jax_tconv.functional", "jax_tconv.interop"]
# Literal types have no docstring of their own.
TYPES = ("Method", "Op", "Platform")
PUBLIC = [(module, name) for module in MODULES for name in importlib.import_module(module).__all__ if name not in TYPES]
PUBLIC += [("jax_tconv.linen", name) for name in ("ConvTranspose", "PReLU")]
PUBLIC += [("jax_tconv.nnx", name) for name in importlib.import_module("jax_tconv.nnx").__all__]
PUBLIC += [("jax_tconv.initializers", "torch_kernel_init")]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_public_names(module, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = getattr(importlib.import_module(module), name)
    assert value.__doc__
    if isinstance(value, type) and issubclass(value, Exception):
        return
    (test,) = doctest.DocTestFinder(recurse=False).find(value, name, globs={})
    assert test.examples, f"{name} has no example"
    call = value.__init__ if isinstance(value, type) else value
    for parameter in inspect.signature(call).parameters.keys() - {"self", "parent", "name"}:
        assert re.search(rf"\b{parameter}\b", value.__doc__) or parameter == "_", parameter
    if re.search(r">>> import .*\btorch\b|interop\.to_torch", value.__doc__):
        pytest.importorskip("torch")
    output = []
    failed, _ = doctest.DocTestRunner().run(test, out=output.append)
    assert not failed, "".join(output)


def test_readme(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S):
        exec(block, names)
    # What the README claims of its example, and does not check there itself.
    torch, model, decoder = names["torch"], names["model"], names["decoder"]
    x = torch.randn(2, 64, 5, 6)
    with torch.inference_mode():
        wanted = decoder(x).movedim(1, -1).numpy()
    assert abs(model(x.movedim(1, -1).numpy()) - wanted).max() < 1e-5 * abs(wanted).max()


def test_every_name_of_a_literal_type_is_explained():
    readme = (ROOT / "README.md").read_text()
    for name in get_args(jax_tconv.Method):
        assert f'| `"{name}"` |' in readme
        assert f'`"{name}"`' in jax_tconv.conv_transpose.__doc__
    for name in (*get_args(jax_tconv.Op), *get_args(jax_tconv.Platform)):
        assert f'`"{name}"`' in jax_tconv.select_method.__doc__


def test_importing_the_core_stays_light():
    code = "import sys, jax_tconv; sys.exit(any(m.split('.')[0] in ('flax', 'torch') for m in sys.modules))"
    import subprocess
    import sys

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_file_is_in_the_map():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = [path for path in ROOT.glob("jax_tconv/*") if path.name not in ("benchmarks", "cli", "interop")]
    for path in [*(path for room in rooms for path in room.rglob("*.py")), *ROOT.glob("interop/**/*.py")]:
        assert path.name.startswith("__") or path.name in text or path.parent.name in ("_methods", "oracles"), path
