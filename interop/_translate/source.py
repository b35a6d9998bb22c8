"""The text of the file: imports and classes, formatted as ruff formats."""

import shutil
import subprocess
import sys
from collections.abc import Sequence

from .classes import Class
from .linen.classes import LinenClass
from .linen.source import training, write_classes
from .nnx_source import write_class
from .printing import WIDTH


def write_source(classes: Sequence[Class], words: str) -> str:
    """The whole file: in linen if the classes are linen's."""
    linen = [cls for cls in classes if isinstance(cls, LinenClass)]
    texts = write_classes(linen) if linen else [write_class(cls) for cls in classes]
    words += training(classes[-1].name, texts) if linen else ""
    if any("missing(" in text for text in texts):
        texts.insert(0, _MISSING)
    imports = f"{_IMPORTS}\nfrom jax_tconv.{'linen' if linen else 'nnx'} import {', '.join(_LAYERS)}"
    return formatted("\n\n\n".join([f'"""{words}"""\n\n{imports}', *texts, ""]))


# Those that nothing needs are taken out.
_IMPORTS = """import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx

from jax_tconv import conv_transpose, functional"""
_LAYERS = ("ConvTranspose", "GRUCell", "LayerNorm", "PReLU")
_MISSING = '''def missing(reason: str, *arrays: jax.Array) -> Any:
    """Stands where a part of the network could not be translated."""
    raise NotImplementedError(reason)'''


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
