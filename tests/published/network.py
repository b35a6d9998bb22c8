"""One published network: its twin filled, verified, run, and returned to PyTorch."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import torch
from flax import linen, nnx

from jax_tconv import interop

# Of the largest output. Correct twins of these depths differ by a tenth of it.
LIMIT = 2e-5


@dataclasses.dataclass(frozen=True)
class Published:
    """A torch network and its twin, `make_nnx` or `make_linen`; the input's shape is torch's."""

    name: str
    make_torch: Callable[[], torch.nn.Module]
    input_shape: tuple[int, ...]
    make_nnx: Callable[[nnx.Rngs], nnx.Module] | None = None
    make_linen: Callable[[], linen.Module] | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one."""

    network: Published
    parameters: int
    tensors: int
    difference: float
    verification: interop.Verification
    bit_exact: bool

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return self.verification.ok and self.bit_exact and self.difference <= LIMIT


def check(network: Published) -> Result:
    """Converts the network there and back and compares every value."""
    original = trained(network.make_torch())
    state_dict = original.state_dict()
    x = torch.randn(network.input_shape, generator=torch.Generator().manual_seed(2))
    given = x.movedim(1, -1).numpy()
    if network.make_nnx is not None:
        twin = nnx.eval_shape(lambda: network.make_nnx(nnx.Rngs(0)))
        interop.load_state_dict(twin, state_dict)
        twin.eval()
        plain = interop.state_dict(twin, num_batches_tracked=state_dict)
        back = interop.state_dict(twin, like=state_dict)
    else:
        module = network.make_linen()
        variables, _ = interop.linen_variables(module, state_dict, given)
        twin = module.bind(variables)
        plain = interop.linen_state_dict(module, variables, given, num_batches_tracked=state_dict)
        back = interop.linen_state_dict(module, variables, given, like=state_dict)
    with torch.inference_mode():
        wanted = original(x).movedim(1, -1).numpy()
    with jax.default_matmul_precision("highest"):
        output = np.asarray(twin(given))
    assert output.shape == wanted.shape, (output.shape, wanted.shape)
    return Result(
        network,
        sum(parameter.numel() for parameter in original.parameters()),
        len(state_dict),
        float(abs(output - wanted).max() / abs(wanted).max()),
        interop.verify(original, twin, x, tolerance=LIMIT),
        # `like` may give a tensor back from itself; `plain` has nothing but the twin to take it from.
        same_bits(back, state_dict)
        and plain.keys() == state_dict.keys()
        and same_bits({name: plain[name] for name in state_dict}, state_dict),
    )


def trained(network: torch.nn.Module) -> torch.nn.Module:
    """The network as if trained: whatever PyTorch starts at zero or one is random, the same at each call."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("num_batches_tracked"):
                tensor.random_(1, 10_000, generator=generator)
            elif name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1 and len(tensor) > 1):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim == 1 and len(tensor) == 1:  # the slope of a PReLU
                tensor.uniform_(0.1, 0.4, generator=generator)
            elif tensor.ndim == 1:
                tensor.normal_(0, 0.3, generator=generator)
            else:
                # He's variance, so that no depth makes the values vanish or grow.
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
    return network.eval()


def same_bits(tensors: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> bool:
    """Whether both have the same names in the same order, dtypes, shapes and bytes."""
    ours = interop.to_torch(tensors)
    return list(ours) == list(wanted) and all(
        ours[name].dtype == tensor.dtype
        and ours[name].shape == tensor.shape
        and ours[name].numpy().tobytes() == tensor.numpy().tobytes()
        for name, tensor in wanted.items()
    )
