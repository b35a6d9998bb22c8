"""Times this library next to PyTorch and the JAX libraries that have the op; see `python -m benchmarks --help`."""
