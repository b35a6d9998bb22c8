"""Gradients of translated networks, and steps of training, next to torch's: `python -m tests.translated.training`."""

import argparse
import copy
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jax_tconv import interop
from tests.translated import compare, monai, other_fields
from tests.translated.judge import best_layout
from tests.translated.network import Network, arrays, trained
from tests.translated.text import table

DIFFERENTIATED = (
    "UNet, 3-d",
    "UNet, 2-d, swish and group norm",
    "BasicUNetPlusPlus, 2-d, deep supervision",
    "SwinUNETR, 2-d, version 2",
    "ResNet, 3-d",
    "ViT, 3-d, classification",
    "DiffusionModelUNet, 2-d",
    "Quicknat, 2-d",
    "ESRGAN",
    "SegFormer",
)
# Those that draw nothing in training but Dropout, which is taken out.
TRAINED = (
    "UNet, 3-d",
    "DynUNet, 2-d, deep supervision",
    "AutoEncoder, 3-d",
    "Generator, 2-d",
    "Classifier, 2-d",
    "ResNet, 3-d",
    "Quicknat, 2-d",
    "PatchDiscriminator, 2-d",
    "CenterNet",
    "UNet2DModel",
)
GRADIENT_LIMIT = 1e-3
LOSS_LIMIT = 1e-8
STEPS = 5
TEXT = f"""## Gradients and training

All of it in float64: in float32 torch's own gradients are off by a hundredth in places.

Gradients of a weighted sum of all outputs in every parameter: the largest difference from torch's, as a part of the
largest gradient in that tensor, or of a thousandth of the largest of all where that is more. At most
{GRADIENT_LIMIT:.0e}.

{STEPS} steps of gradient descent from equal weights in training mode, without Dropout: the largest relative difference
of a loss, and of a tensor after the last step, running statistics among them. At most {LOSS_LIMIT:.0e}. Flax keeps the
running variance of a batch, torch an estimate of the population's, n / (n - 1) of it, which is allowed for."""


def networks(names: tuple[str, ...]) -> list[Network]:
    """Those of the lists that may be looked at."""
    by_name = {network.name: network for network in (*monai.NETWORKS, *other_fields.NETWORKS)}
    return [by_name[name] for name in names]


def gradients(network: Network) -> float:
    """The largest difference of any, in the measure of the page."""
    module = trained(network).double()
    inputs = doubled(arrays(network.inputs))
    outputs = module(*inputs)
    theirs = [leaf for _, leaf in compare.leaves(outputs) if leaf.is_floating_point()]
    weights = random_like(theirs)
    sum((weight * leaf).sum() for weight, leaf in zip(weights, theirs, strict=True)).backward()
    wanted = {
        name: np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        for name, parameter in module.named_parameters()
    }
    module.zero_grad(set_to_none=True)
    with jax.enable_x64(True):
        model = interop.from_torch(module, *inputs)
        layout, _ = best_layout(model, inputs, outputs)
        given = compare.given(inputs, layout)
        ours = in_our_axes(weights, theirs, model(*given))

        def loss(model: nnx.Module, *given: Any) -> jax.Array:
            return sum((weight * leaf).sum() for weight, leaf in zip(ours, floating(model(*given)), strict=True))

        found = nnx.jit(nnx.grad(loss))(model, *given)
        nnx.update(model, found)  # so that the gradients get torch's names and axes
        return largest_difference(interop.state_dict(model), wanted)


def largest_difference(found: Mapping[str, Any], wanted: Mapping[str, np.ndarray]) -> float:
    """Of any tensor, as a part of its largest value, or of a thousandth of the largest of all."""
    floor = max(abs(array).max() for array in wanted.values()) / 1000
    return max(float(abs(found[name] - array).max() / max(abs(array).max(), floor)) for name, array in wanted.items())


def training(network: Network) -> tuple[float, float]:
    """The largest relative difference of a loss, and of a tensor after the last step."""
    module = trained(network).double().train()
    for part in module.modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.p = 0
    inputs = doubled(arrays(network.inputs))
    original = copy.deepcopy(module)
    outputs = copy.deepcopy(module)(*inputs)  # a copy, for a call changes running statistics
    theirs = [leaf.detach() for _, leaf in compare.leaves(outputs)]
    targets = random_like(theirs)
    their_losses, rate, counts = torch_steps(module, inputs, targets)
    with jax.enable_x64(True):
        model = interop.from_torch(original, *inputs)
        layout, _ = best_layout(nnx.clone(model), inputs, outputs)
        given = compare.given(inputs, layout)
        our_targets = in_our_axes(targets, theirs, nnx.clone(model)(*given))
        our_losses = flax_steps(model, given, our_targets, rate)
        found = interop.state_dict(model)
    losses = max(abs(ours - theirs) / abs(theirs) for ours, theirs in zip(our_losses, their_losses, strict=True))
    return losses, largest_difference(found, expected(module, original, counts))


def torch_steps(
    module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], targets: list[torch.Tensor]
) -> tuple[list[float], float, dict[str, float]]:
    """The losses, the rate, at which the first step goes a hundredth of the way that the parameters are long, and how
    many values each BatchNorm's statistics are of."""
    counts: dict[str, float] = {}
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.register_forward_pre_hook(
                lambda part, given, name=name: counts.update({name: given[0].numel() / given[0].shape[1]})
            )
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    losses, rate = [], None
    for _ in range(STEPS):
        module.zero_grad()
        outputs = [leaf for _, leaf in compare.leaves(module(*inputs))]
        loss = sum(((leaf - target) ** 2).mean() for leaf, target in zip(outputs, targets, strict=True))
        loss.backward()
        losses.append(loss.item())
        moving = [parameter for parameter in parameters if parameter.grad is not None]
        if rate is None:
            lengths = [sum(float((x**2).sum()) for x in xs) for xs in (moving, [one.grad for one in moving])]
            rate = 0.01 * (lengths[0] / lengths[1]) ** 0.5
        with torch.no_grad():
            for parameter in moving:
                parameter -= rate * parameter.grad
    return losses, rate, counts


def flax_steps(model: nnx.Module, given: list[np.ndarray], targets: list[np.ndarray], rate: float) -> list[float]:
    """The losses of the same steps."""

    def loss(model: nnx.Module, *given: Any) -> jax.Array:
        return sum(((leaf - target) ** 2).mean() for leaf, target in zip(floating(model(*given)), targets, strict=True))

    @nnx.jit
    def step(model: nnx.Module, *given: Any) -> jax.Array:
        value, found = nnx.value_and_grad(loss)(model, *given)
        nnx.update(model, jax.tree.map(lambda x, gradient: x - rate * gradient, nnx.state(model, nnx.Param), found))
        return value

    return [float(step(model, *given)) for _ in range(STEPS)]


def expected(module: torch.nn.Module, original: torch.nn.Module, counts: dict[str, float]) -> dict[str, np.ndarray]:
    """torch's floating tensors after the steps, with the running variances that Flax has after as many."""
    before = original.state_dict()
    wanted = {name: tensor.numpy() for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    for name, count in counts.items():
        kept = (1 - module.get_submodule(name).momentum) ** STEPS * before[f"{name}.running_var"].numpy()
        wanted[f"{name}.running_var"] = kept + (wanted[f"{name}.running_var"] - kept) * (count - 1) / count
    return wanted


def doubled(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The inputs in float64."""
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)


def random_like(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Normally distributed, the same at each call."""
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in tensors]


def floating(outputs: Any) -> list[Any]:
    """The floating arrays of what a Flax model returns."""
    return [leaf for _, leaf in compare.leaves(outputs) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def in_our_axes(values: list[torch.Tensor], theirs: list[torch.Tensor], outputs: Any) -> list[np.ndarray]:
    """Values of the shapes of torch's outputs with the axes of the Flax model's."""
    orders = [
        compare.order(np.asarray(ours), compare.as_numpy(leaf))
        for ours, leaf in zip(floating(outputs), theirs, strict=True)
    ]
    return [compare.to_order(value.numpy(), axis) for value, axis in zip(values, orders, strict=True)]


def cells(network: Network, judge: Callable[[Network], Any]) -> Any:
    """What one judge says of a network, or what was raised."""
    try:
        return judge(network)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def report(only: str = "") -> tuple[str, bool]:
    """The part of docs/translated.md, and whether all is as it should be."""
    rows, right = [], True
    for network in networks(tuple(dict.fromkeys((*DIFFERENTIATED, *TRAINED)))):
        if only.lower() not in network.name.lower():
            continue
        row = [network.name, "", "", ""]
        if network.name in DIFFERENTIATED:
            found = cells(network, gradients)
            right &= not isinstance(found, str) and found <= GRADIENT_LIMIT
            row[1] = found if isinstance(found, str) else f"{found:.1e}"
        if network.name in TRAINED:
            found = cells(network, training)
            right &= not isinstance(found, str) and max(found) <= LOSS_LIMIT
            row[2:] = [found, ""] if isinstance(found, str) else [f"{value:.1e}" for value in found]
        print(" | ".join(row), flush=True)
        rows.append(row)
    return f"{TEXT}\n\n{table(('network', 'gradients', 'losses', 'tensors after'), rows)}", right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.translated.training")
    parser.add_argument("--only", default="", metavar="WORDS", help="only networks with these words in their names")
    warnings.simplefilter("ignore")  # of the packages, about torch
    words, right = report(parser.parse_args().only)
    print(words)
    sys.exit(not right)
