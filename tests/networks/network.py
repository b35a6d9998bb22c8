"""How a small network is described: in torch, in nnx and in linen, under the same names."""

import dataclasses
import warnings
from collections.abc import Callable

import torch
from flax import linen, nnx

MakeTorch = Callable[[], torch.nn.Module]
Parametrize = Callable[[torch.nn.Module], torch.nn.Module]


@dataclasses.dataclass(frozen=True)
class Network:
    """A torch network and its two Flax twins.

    `plain` makes the torch network without weight or spectral norm, and is None where it has none. The input's shape is
    torch's, channels first. `flatten` is what the loader needs to know of Linear layers after a flatten.
    `pairs_by_order` is False where a convolution and a transposed one have weights of equal shapes, so that the order
    alone, without names, would have to tell them apart.
    """

    name: str
    make_torch: MakeTorch
    make_nnx: Callable[[], nnx.Module]
    make_linen: Callable[[], linen.Module]
    input_shape: tuple[int, ...]
    plain: MakeTorch | None = None
    flatten: dict[str, tuple[int, ...]] | None = None
    pairs_by_order: bool = True

    def trained(self) -> torch.nn.Module:
        """The torch network as if trained: whatever PyTorch starts at zero or one is random, the same at each call."""
        torch.manual_seed(0)
        network = self.make_torch()
        network(self.inputs())  # in training mode: spectral norm's vectors settle
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm | torch.nn.GroupNorm):
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.3)
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.running_mean.normal_(0, 0.5)
                    module.running_var.uniform_(0.5, 2)
                    module.num_batches_tracked.zero_()
            for name, parameter in network.named_parameters():
                # Weight norm starts with g = ||v||, where a fold that forgets both changes nothing.
                if name.endswith(("weight_g", "weight.original0")):
                    parameter.mul_(torch.empty_like(parameter).uniform_(0.7, 1.6))
        return network.eval()

    def fresh(self) -> torch.nn.Module:
        """Another torch network, without parametrizations and with other weights: what an export is loaded into."""
        torch.manual_seed(1)
        return (self.plain or self.make_torch)().eval()

    def unparametrized(self) -> torch.nn.Module:
        """The trained network after torch's own removal of weight norm and spectral norm."""
        trained, plain = self.trained(), self.fresh()
        for module in trained.modules():
            if torch.nn.utils.parametrize.is_parametrized(module):
                torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
            elif hasattr(module, "weight_g"):
                torch.nn.utils.remove_weight_norm(module)
            elif hasattr(module, "weight_orig"):
                torch.nn.utils.remove_spectral_norm(module)
        plain.load_state_dict(trained.state_dict())
        return plain

    def inputs(self) -> torch.Tensor:
        """Random inputs, the same at each call."""
        return torch.randn(self.input_shape, generator=torch.Generator().manual_seed(2))


def old_weight_norm(layer: torch.nn.Module) -> torch.nn.Module:
    """Weight norm under the keys `weight_g` and `weight_v`: deprecated, and what most checkpoints were saved with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.nn.utils.weight_norm(layer)


def no_norm(layer: torch.nn.Module) -> torch.nn.Module:
    """In place of weight norm or spectral norm: the layer as it is."""
    return layer
