"""Tests of `translate`: what PyTorch networks become as Flax source, judged by torch's values."""
