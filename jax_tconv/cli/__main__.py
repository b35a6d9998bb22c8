"""`python -m jax_tconv.cli` is `jax-tconv`."""

from .main import main

main()
