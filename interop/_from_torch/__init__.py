"""PyTorch modules as nnx models: the conversion, the tables of twins, and the forms of tensors on their way."""
