"""Both models run on the same inputs, and every layer compared."""
