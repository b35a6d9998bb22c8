"""Times this library next to PyTorch and the JAX libraries that have the op; see `python -m benchmarks --help`.

Installed, it is `jax_tconv.benchmarks`, and `jax-tconv bench` times one layer with it.
"""

import os

# Else JAX takes most of a GPU's memory at once and leaves torch none. Read when jax first looks for devices.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
