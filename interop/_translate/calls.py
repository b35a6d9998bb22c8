"""The functions of torch by their short names, and which of them are special to a trace."""

from typing import Any

import torch
from torch.overrides import resolve_name

# What tells something of a tensor's values, so that the program may go on differently for others.
OF_VALUES = {
    **dict.fromkeys(("__bool__", "equal", "allclose", "is_nonzero", "__contains__"),
                    "a branch depends on the values of a tensor"),
    **dict.fromkeys(("__int__", "__float__", "__complex__", "__index__", "item"),
                    "the value of a tensor is used as a Python number"),
    **dict.fromkeys(("numpy", "__array__", "__dlpack__"), "the values of a tensor leave torch for another library"),
    "tolist": "the values of a tensor are used as Python numbers",
}  # fmt: skip
NOT_OF_VALUES = "make it depend on shapes or arguments alone, or write that part in Flax"
# What draws random numbers, in evaluation too.
RANDOM = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "bernoulli",
    "multinomial", "poisson", "binomial", "gumbel_softmax", "uniform_", "normal_", "bernoulli_", "exponential_",
    "cauchy_", "geometric_", "log_normal_", "random_", "trunc_normal_", "fractional_max_pool2d",
    "fractional_max_pool3d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices",
}  # fmt: skip
# What drops in training, and gives its argument in evaluation.
DROPPING = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
    "dropout_", "alpha_dropout_", "feature_dropout_", "feature_alpha_dropout_",
}  # fmt: skip
# What gives a tensor another shape in place, and writes into no memory.
RESHAPING = {
    "squeeze_", "unsqueeze_", "transpose_", "t_", "swapaxes_", "swapdims_", "resize_", "resize_as_", "as_strided_",
    "detach_", "requires_grad_", "rename_", "share_memory_", "set_",
}  # fmt: skip


def short_name(function: Any) -> str:
    """The last part of a function's name; all of it for an operator that is not one of torch's own."""
    if isinstance(function, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        packet = getattr(function, "overloadpacket", function)
        name = str(packet)
        return name.removeprefix("aten.") if name.startswith("aten.") else name
    name = resolve_name(function) or getattr(function, "__name__", str(function))
    return name.removesuffix(".__get__").rpartition(".")[2]
