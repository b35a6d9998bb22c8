"""The rooms of the package and which of them may import which: any other import fails here."""

import ast
import tomllib
from pathlib import Path
from typing import get_args

import jax_tconv
from jax_tconv._methods import METHODS

ROOT = Path(__file__).parents[1]
# Where each package of the repository stands, innermost first.
PLACES = {"jax_tconv.interop": ROOT / "interop", "jax_tconv": ROOT / "jax_tconv"}

# What the modules of a room may import from the package besides one another; a room is named by its longest entry here.
CORE = {"jax_tconv._call", "jax_tconv._methods", "jax_tconv._selection", "jax_tconv._op"}
LAYERS = {"jax_tconv.linen", "jax_tconv.nnx", "jax_tconv._nnx_layers"}
SHARED = {f"jax_tconv.interop.{module}" for module in ("_text", "_tables", "_tensors")}
ALLOWED = {
    "jax_tconv._call": set(),
    "jax_tconv._methods": {"jax_tconv._call"},
    "jax_tconv._selection": {"jax_tconv._call", "jax_tconv._methods"},
    "jax_tconv._op": CORE,
    "jax_tconv._functional": {"jax_tconv._call"},
    "jax_tconv.functional": {"jax_tconv._functional"},
    "jax_tconv.initializers": set(),
    "jax_tconv.linen": {"jax_tconv._call", "jax_tconv._op", "jax_tconv.initializers"},
    "jax_tconv._nnx_layers": {"jax_tconv._call"},
    "jax_tconv.nnx": {"jax_tconv._call", "jax_tconv._op", "jax_tconv.initializers", "jax_tconv._nnx_layers"},
    "jax_tconv": CORE,
    "jax_tconv.interop._text": set(),
    "jax_tconv.interop._tables": {"jax_tconv.interop._text"},
    "jax_tconv.interop._tensors": {"jax_tconv.interop._text"},
    "jax_tconv.interop._layers": {*LAYERS, *SHARED},
    "jax_tconv.interop._files": SHARED,
    "jax_tconv.interop._convert": {*SHARED, "jax_tconv.interop._layers", "jax_tconv.interop._files"},
    "jax_tconv.interop._from_torch": {"jax_tconv.nnx", "jax_tconv.functional", "jax_tconv.interop._convert"},
    "jax_tconv.interop._translate": {
        "jax_tconv.nnx",
        *(f"jax_tconv.interop.{room}" for room in ("_layers", "_convert", "_from_torch")),
    },
    "jax_tconv.interop._verify": {
        *LAYERS,
        *SHARED,
        *(f"jax_tconv.interop.{room}" for room in ("_layers", "_convert", "_from_torch")),
    },
    "jax_tconv.benchmarks": {"jax_tconv"},
}
ALLOWED["jax_tconv.interop"] = {room for room in ALLOWED if room.startswith("jax_tconv.interop.")}
ALLOWED["jax_tconv.cli"] = {*ALLOWED} - {"jax_tconv._op", *LAYERS}
# The libraries that a room may import anywhere, in functions too.
JAX_FREE = {"jax_tconv._call.geometry", "jax_tconv._call.call"}
FLAX_FREE = {*CORE, "jax_tconv._functional", "jax_tconv.functional", "jax_tconv.initializers", "jax_tconv"}
TORCH_FREE = {*FLAX_FREE, *LAYERS}


def modules():
    """Every module of the package: its name, and its syntax tree."""
    seen = set()
    for package, folder in PLACES.items():
        for path in sorted(folder.rglob("*.py")):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            parts = path.relative_to(folder).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join((package, *(parts[:-1] if is_package else parts)))
            yield name, is_package, ast.parse(path.read_text())


def imported(name, is_package, tree):
    """The full names of what a module imports, wherever in it, with the names taken out of packages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")
            base = base[: len(base) - node.level + is_package] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room(name):
    """The room of a module, or of what is imported from one."""
    return max((known for known in ALLOWED if f"{name}.".startswith(f"{known}.")), key=len, default=None)


def test_imports_go_one_way():
    found, wrong = 0, []
    for name, is_package, tree in modules():
        for target in imported(name, is_package, tree):
            if target.split(".")[0] in ("jax_tconv", "interop", "tests", "examples"):
                found += 1
                if room(target) not in {room(name), *ALLOWED[room(name)]}:
                    wrong.append(f"{name} imports {target}")
    assert not wrong
    assert found > 200


def test_no_room_is_above_itself():
    above = {name: set(rooms) - {name} for name, rooms in ALLOWED.items()}
    while above:
        free = [name for name, rooms in above.items() if not rooms & above.keys()]
        assert free, f"a circle among {sorted(above)}"
        for name in free:
            del above[name]


def test_the_arithmetic_knows_no_arrays_the_methods_no_flax_and_the_core_no_torch():
    wrong = []
    for name, is_package, tree in modules():
        libraries = {target.split(".")[0] for target in imported(name, is_package, tree)}
        if name in JAX_FREE:
            wrong += [(name, library) for library in libraries & {"jax", "numpy", "flax", "torch"}]
        if room(name) in FLAX_FREE:
            wrong += [(name, library) for library in libraries & {"flax", "torch"}]
        if room(name) in TORCH_FREE:
            wrong += [(name, library) for library in libraries & {"torch"}]
    assert not wrong


def test_only_what_is_public_looks_so():
    public = {name for name in dir(jax_tconv) if not name.startswith("_")}
    submodules = {"benchmarks", "cli", "functional", "initializers", "interop", "linen", "nnx"}
    assert public - submodules == set(jax_tconv.__all__)
    opened = {path.stem for path in (ROOT / "jax_tconv").iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert opened | {"interop"} == submodules


def test_every_room_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(name for name, is_package, _ in modules() if is_package)


def test_the_names_of_the_methods_stand_in_one_place():
    assert tuple(METHODS) == get_args(jax_tconv.Method)
