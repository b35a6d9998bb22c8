"""deepCR's cosmic-ray mask network, fetched when the demo runs, and its Flax (nnx) twin."""
