"""State dicts into Flax models and back: which tensor fills which array, and the report on each of them."""
