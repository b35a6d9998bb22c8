"""Two trained PyTorch networks in JAX, and two programs for several devices; see README.md in this folder."""
