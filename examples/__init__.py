"""Two trained PyTorch networks, loaded and run in JAX; see README.md in this folder."""
