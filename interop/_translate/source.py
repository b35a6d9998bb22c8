"""The text of the file: imports and classes, formatted as ruff formats."""

import ast
import shutil
import subprocess
import sys

from .classes import Class
from .nnx_source import write_class
from .printing import WIDTH


def write_source(classes: list[Class], words: str) -> str:
    """The whole file."""
    text = "\n\n\n".join(write_class(cls) for cls in classes)
    if "missing" in _names(text):
        text = f"{_MISSING}\n\n\n{text}"
    return formatted("\n".join([f'"""{words}"""', "", *_imports(text), "", "", text, ""]))


_MISSING = '''def missing(reason: str, *arrays: jax.Array) -> Any:
    """Stands where a part of the network could not be translated."""
    raise NotImplementedError(reason)'''


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def _imports(text: str) -> list[str]:
    used = _names(text)
    standard = ["import math"] if "math" in used else []
    standard += ["from functools import partial"] if "partial" in used else []
    standard += ["from typing import Any"] if "Any" in used else []
    third = ["import jax"] if "jax" in used else []
    third += ["import jax.numpy as jnp"] if "jnp" in used else []
    third += ["from flax import nnx"]
    third += ["from jax_tconv import conv_transpose"] if "conv_transpose" in used else []
    third += ["from jax_tconv import functional"] if "functional" in used else []
    own = sorted(used & {"ConvTranspose", "PReLU", "LayerNorm", "GRUCell"})
    third += [f"from jax_tconv.nnx import {', '.join(own)}"] if own else []
    return [*standard, *([""] if standard else []), *third]


def formatted(text: str) -> str:
    """The text as ruff formats it, with its imports sorted."""
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(sys.prefix) + "/bin")
    if ruff is None:
        raise RuntimeError("translate formats what it writes with ruff, which is not here; pip install ruff")
    for arguments in (("check", "--select", "I,F401", "--fix", "--quiet"), ("format", "--quiet")):
        command = [ruff, *arguments, "--isolated", f"--line-length={WIDTH}", "--stdin-filename=translated.py", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ruff refuses the source: {done.stderr or done.stdout}")
        text = done.stdout
    return text
