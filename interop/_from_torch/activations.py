"""PyTorch's functions without weights that Flax has too, by their names: each as a function and as a module.

Those by which `torch.nn.functional` (or `torch`) calls them; an Activation says which class of `torch.nn` it is.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_tconv import functional

from .made import Apply


@dataclasses.dataclass(frozen=True)
class Argument:
    """What one of torch's arguments is in JAX: its name, torch's default, and the value if that is another."""

    name: str
    default: Any
    value: Callable[[Any], Any] = lambda given: given


@dataclasses.dataclass(frozen=True)
class Activation:
    """A function of one array in JAX, and what torch has it as.

    `arguments` has torch's names, which are the same in the function and in the module, in the function's order.
    """

    torch_class: str
    function: Callable[..., Any]
    arguments: Mapping[str, Argument] = dataclasses.field(default_factory=dict)

    def apply(self, **given: Any) -> Apply:
        """The function with these of torch's arguments, and with torch's defaults of the others."""
        return Apply(
            self.function,
            {ours.name: ours.value(given.get(theirs, ours.default)) for theirs, ours in self.arguments.items()},
        )


# Those that work on each number by itself.
ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation("ReLU", nnx.relu),
    "relu6": Activation("ReLU6", nnx.relu6),
    "leaky_relu": Activation("LeakyReLU", nnx.leaky_relu, {"negative_slope": Argument("negative_slope", 0.01)}),
    "elu": Activation("ELU", nnx.elu, {"alpha": Argument("alpha", 1.0)}),
    "celu": Activation("CELU", nnx.celu, {"alpha": Argument("alpha", 1.0)}),
    "selu": Activation("SELU", nnx.selu),
    "gelu": Activation(
        "GELU", nnx.gelu, {"approximate": Argument("approximate", "none", lambda given: given == "tanh")}
    ),
    "silu": Activation("SiLU", nnx.silu),
    "mish": Activation("Mish", jax.nn.mish),
    "hardtanh": Activation("Hardtanh", jnp.clip, {"min_val": Argument("min", -1.0), "max_val": Argument("max", 1.0)}),
    "hardswish": Activation("Hardswish", nnx.hard_swish),
    "hardsigmoid": Activation("Hardsigmoid", nnx.hard_sigmoid),
    "sigmoid": Activation("Sigmoid", nnx.sigmoid),
    "logsigmoid": Activation("LogSigmoid", nnx.log_sigmoid),
    "tanh": Activation("Tanh", nnx.tanh),
    "softplus": Activation(
        "Softplus", functional.softplus, {"beta": Argument("beta", 1.0), "threshold": Argument("threshold", 20.0)}
    ),
    "hardshrink": Activation("Hardshrink", functional.hardshrink, {"lambd": Argument("lambd", 0.5)}),
    "softshrink": Activation("Softshrink", functional.softshrink, {"lambd": Argument("lambd", 0.5)}),
    "tanhshrink": Activation("Tanhshrink", functional.tanhshrink),
    "softsign": Activation("Softsign", nnx.soft_sign),
}

# Those that work along one axis, torch's `dim`.
ALONG_AN_AXIS: dict[str, Activation] = {
    "softmin": Activation("Softmin", functional.softmin, {"dim": Argument("axis", None)}),
    "softmax": Activation("Softmax", nnx.softmax, {"dim": Argument("axis", None)}),
    "glu": Activation("GLU", nnx.glu, {"dim": Argument("axis", -1)}),
    "log_softmax": Activation("LogSoftmax", nnx.log_softmax, {"dim": Argument("axis", None)}),
}
