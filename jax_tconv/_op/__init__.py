"""The op itself: three JAX primitives, their rules for `vmap` and for several devices, and the functions over them."""
