"""PyTorch networks as Flax source: a run is traced, its axes are followed, and classes are written."""
