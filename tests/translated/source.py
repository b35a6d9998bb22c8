"""What can be said of a translation by its text."""

import ast
import re
import subprocess
import sys

import torch

# A local name after the operation that made it, with or without a number, or one that says nothing.
NUMBERED = re.compile(r"(?P<operation>[a-z]\w*?)_\d+")
MEANINGLESS = re.compile(r"getitem.*|v\d+|tmp.*|arg\d+(_\d+)?|primals?_\d+|unnamed.*")


def problems(source: str) -> list[str]:
    """What no translation may have."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [f"does not compile: {error}"]
    found = [f"ruff {' '.join(command)}: {words}" for command, words in ruff(source)]
    imported = {
        (node.names[0].name if isinstance(node, ast.Import) else node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return [*found, *(f"imports {name}" for name in sorted(imported & {"torch", "monai", "torchvision", "torchax"}))]


def ruff(source: str) -> list[tuple[list[str], str]]:
    """The commands that complain, and what about."""
    commands = ["check", "--select", "E,F,I,W"], ["format", "--diff"]
    complaints = []
    for command in commands:
        arguments = [*command, "--isolated", "--line-length", "120", "--stdin-filename", "written.py", "-"]
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments], input=source, capture_output=True, text=True, check=False
        )
        if run.returncode:
            complaints.append((command, " ".join(run.stdout.split())[:300] or run.stderr[:300]))
    return complaints


def warnings(source: str, module: torch.nn.Module) -> list[str]:
    """What a reader would stumble over."""
    tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    generated = sorted(name for name in names if looks_generated(name))
    found = [f"generated-looking names: {', '.join(generated)}"] if generated else []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    silent = [node.name for node in classes if not ast.get_docstring(node)]
    found += [f"no docstring: {', '.join(silent)}"] if silent else []
    missing = sorted({kind.__name__ for kind in own_classes(module)} - {node.name for node in classes})
    return found + ([f"no class for torch's {', '.join(missing)}"] if missing else [])


def looks_generated(name: str) -> bool:
    """Whether a tracer could have named a local variable so: `relu_3`, `getitem`, `v12`."""
    if MEANINGLESS.fullmatch(name):
        return True
    numbered = NUMBERED.fullmatch(name)
    places = (torch, torch.Tensor, torch.nn.functional)
    return numbered is not None and any(hasattr(place, numbered["operation"]) for place in places)


def own_classes(module: torch.nn.Module) -> set[type]:
    """The classes of a network's parts, without torch's."""
    return {type(part) for part in module.modules() if not type(part).__module__.startswith("torch.")}


def class_count(source: str) -> int:
    """How many classes the source has."""
    return sum(isinstance(node, ast.ClassDef) for node in ast.parse(source).body)
