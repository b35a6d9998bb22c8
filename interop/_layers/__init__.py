"""What a layer's arrays are on both sides, one table of layer types, and Flax models seen as their layers."""
