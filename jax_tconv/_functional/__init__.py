"""The functions of `jax_tconv.functional`, one idea per file."""
