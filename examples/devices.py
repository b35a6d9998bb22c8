"""Eight devices made of one CPU, and what a program that is compiled for them sends between them."""

import os
import re

import jax
import numpy as np
from jax.sharding import Mesh
from jax.stages import Compiled

COUNT = 8
OPTION = "--xla_force_host_platform_device_count"
COLLECTIVES = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"


def mesh(axis: str) -> Mesh:
    """A mesh of eight CPU devices with one axis; RuntimeError where JAX has started with fewer."""
    # Read when JAX first looks for devices, and not when it is imported.
    if OPTION not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {OPTION}={COUNT}"
    devices = jax.devices("cpu")
    if len(devices) < COUNT:
        raise RuntimeError(
            f"this example takes {COUNT} CPU devices, and JAX has started with {len(devices)}; "
            f"set XLA_FLAGS={OPTION}={COUNT} before anything asks JAX for its devices"
        )
    return Mesh(np.array(devices[:COUNT]), (axis,))


def collectives(program: Compiled) -> list[str]:
    """The communication in a compiled program, one line each: its kind, and the arrays that each device gets."""
    found = re.findall(rf"= (.*?) ({COLLECTIVES})(?:-start)?\(", program.as_text())
    return [" ".join([kind, *re.findall(r"\w+\[[\d,]*\]", arrays)]) for arrays, kind in found]
