"""Runs two trained PyTorch networks in JAX and compares them with PyTorch, layer by layer.

Run it from the root of the repository:

    python -m examples.demo [--output DIR]
"""

import argparse
import sys
from pathlib import Path

import jax
from rich.console import Console

from examples.common import DemoError
from examples.dcgan import demo as dcgan_demo
from examples.deepcr import demo as deepcr_demo


def main() -> int:
    """Runs both halves; returns 1 if a network differs from PyTorch's by more than its limit."""
    parser = argparse.ArgumentParser(description="Run two trained PyTorch networks in JAX, next to PyTorch.")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder for the pictures")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    # On a GPU or TPU, JAX would otherwise round what it multiplies to fewer bits than PyTorch keeps on the CPU.
    jax.config.update("jax_default_matmul_precision", "highest")
    console = Console(highlight=False)
    try:
        dcgan_demo.run(console, output)
        deepcr_demo.run(console, output)
    except DemoError as error:
        console.print(f"FAILED: {error}", style="bold red", markup=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
