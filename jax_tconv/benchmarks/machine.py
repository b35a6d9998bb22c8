"""What the times were measured on, and with: versions, hardware, and how fast it multiplies and copies."""

import importlib.metadata
import math
import os
import platform
import re
import statistics
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

PACKAGES = ("jax_tconv", "jax", "jaxlib", "flax", "equinox", "torch", "numpy")
# Rows, summed, columns. Which shape a library likes best differs; the best of them is the rate.
PRODUCTS = ((1024, 1024, 1024), (1536, 1536, 1536), (2048, 2048, 2048), (16384, 512, 512), (4096, 256, 2048))
COPIED_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Machine:
    """Versions and hardware; `dot_rate` in operations a second, `copy_rate` in bytes read and written a second."""

    versions: dict[str, str]
    platform: str
    cpu: str
    cores: int
    torch_threads: int
    backend: str
    device: str
    torch_device: str
    dot_rate: float
    copy_rate: float


def set_precision(tf32: bool) -> None:
    """Makes JAX and torch multiply float32 alike: as float32, or both free to round to TF32 where the device has it."""
    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "highest")
    torch = _torch()
    if torch is not None:
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cuda.matmul.allow_tf32 = tf32
        # XLA tries cuDNN's algorithms out when it compiles; this lets torch do the same.
        torch.backends.cudnn.benchmark = True


def inspect() -> Machine:
    """Looks around, and measures both rates; takes a few seconds."""
    dot_rate = max(_dot_rate(*sizes) for sizes in PRODUCTS)
    copying = _seconds(lambda array: array + 1, jnp.ones(COPIED_BYTES // 4))
    return Machine(**look(), dot_rate=dot_rate, copy_rate=2.0 * COPIED_BYTES / copying)


def look() -> dict[str, Any]:
    """The fields of a `Machine` that need no measuring."""
    torch = _torch()
    torch_device = "nothing: not installed"
    if torch is not None:
        torch_device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "torch_threads": torch.get_num_threads() if torch else 0,
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "torch_device": torch_device,
    }


def _torch() -> Any:
    """torch, or None where it is not installed; not imported before it is needed, since that takes seconds."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    return torch


def _dot_rate(rows: int, summed: int, columns: int) -> float:
    # An accelerator needs larger ones to show what it can.
    scale = 1 if jax.default_backend() == "cpu" else 4
    sizes = (rows * scale, summed * scale, columns * scale)
    a, b = jnp.ones(sizes[:2]), jnp.ones(sizes[1:])
    return 2.0 * math.prod(sizes) / _seconds(jnp.dot, a, b)


def _seconds(function: Callable[..., jax.Array], *arrays: jax.Array) -> float:
    compiled = jax.jit(function)
    taken = timeit.repeat(lambda: jax.block_until_ready(compiled(*arrays)), number=1, repeat=8)
    # The first one compiles.
    return statistics.median(taken[1:])


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
