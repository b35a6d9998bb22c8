"""The command line, `jax-tconv`: look at a checkpoint, convert it, prove it; explain and time a layer."""
