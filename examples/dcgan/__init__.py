"""A DCGAN trained in PyTorch on handwritten digits, and its Flax (linen) twin."""
