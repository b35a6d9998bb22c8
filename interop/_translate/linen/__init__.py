"""linen, as another form of the classes that are written in nnx."""
