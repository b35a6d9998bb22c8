"""A torch network, its Flax twin, and both run by hand, without `verify`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jax_tconv import interop


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two networks to be compared.

    Attributes:
      original, twin: the torch network, and the nnx model or bound linen module.
      inputs: what the torch network is called with.
      options: of `verify`: `flax_inputs` and the like.
      as_flax: one of torch's outputs with its axes as the Flax twin should return them.
    """

    original: torch.nn.Module
    twin: Any
    inputs: tuple[torch.Tensor, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    as_flax: Callable[[np.ndarray], np.ndarray] = lambda array: channels_last(array)

    def verify(self) -> interop.Verification:
        """What is judged."""
        return interop.verify(self.original, self.twin, *self.inputs, **self.options)

    def difference(self) -> float:
        """The largest difference of any output, as a part of torch's largest; infinite if they are not comparable."""
        for module in torch.nn.Module.modules(self.original):
            module.training = False
        with torch.no_grad():
            wanted = jax.tree.map(lambda tensor: self.as_flax(tensor.numpy()), self.original(*self.inputs))
        given = self.options.get("flax_inputs") or [channels_last(x.numpy()) for x in self.inputs]
        model = self.twin
        if isinstance(model, nnx.Module):
            model = nnx.clone(model)
            model.eval()
        with jax.default_matmul_precision("highest"):
            output = jax.tree.map(np.asarray, model(*given, **self.options.get("flax_kwargs", {})))
        if jax.tree.structure(output) != jax.tree.structure(wanted):
            return float("inf")
        return max(map(relative, jax.tree.leaves(wanted), jax.tree.leaves(output)))


def relative(wanted: np.ndarray, array: np.ndarray) -> float:
    """The largest difference as a part of the largest value wanted; infinite for other shapes and for NaN."""
    if wanted.shape != array.shape or not np.isfinite(array).all():
        return float("inf")
    return float(abs(wanted - array).max() / abs(wanted).max())


def channels_last(array: np.ndarray) -> np.ndarray:
    """Images as Flax takes them."""
    return np.moveaxis(array, 1, -1) if array.ndim > 2 and array.dtype.kind == "f" else array


def as_it_is(array: np.ndarray) -> np.ndarray:
    """Sequences have their features last in both."""
    return array


class TorchNet(torch.nn.Module):
    """Layers under these names, and what is done with them; as if trained: no parameter has its initial value."""

    def __init__(self, run: Callable[..., Any], **layers: torch.nn.Module):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)
        torch.manual_seed(1)
        with torch.no_grad():
            for name, tensor in [*self.named_parameters(), *self.named_buffers()]:
                if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
                    tensor.uniform_(0.5, 1.5)
                elif tensor.ndim == 1:
                    tensor.normal_(0, 0.3)
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.run(self, *inputs)


class NnxNet(nnx.Module):
    """The same in nnx."""

    def __init__(self, run: Callable[..., Any], **layers: nnx.Module):
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)

    def __call__(self, *inputs: jax.Array) -> Any:
        return self.run(self, *inputs)


class LinenNet(nn.Module):
    """The same in linen, whose layers have to be made where they are used."""

    run: Callable[..., Any]
    make: Callable[[], Mapping[str, Any]]

    def setup(self) -> None:
        for name, layer in self.make().items():
            setattr(self, name, layer)

    def __call__(self, *inputs: jax.Array) -> Any:
        return self.run(self, *inputs)


def images(*shape: int) -> torch.Tensor:
    """Random numbers, the same at each call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def sequences(*tensors: torch.Tensor) -> dict[str, Any]:
    """The option for inputs that Flax takes as torch does: by convention they would be images."""
    return {"flax_inputs": tuple(tensor.numpy() for tensor in tensors)}


def made(make: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
    """The model with zeros for its initial values, which would take most of the time to compile."""
    graph, state = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    def zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key(0) if is_key else jnp.zeros(leaf.shape, leaf.dtype)

    return nnx.merge(graph, jax.tree.map(zeros, state))


def nnx_pair(
    original: torch.nn.Module,
    make: Callable[[nnx.Rngs], nnx.Module],
    *inputs: torch.Tensor,
    loading: Any = None,
    **pair: Any,
) -> Pair:
    """A pair whose nnx model holds torch's weights; `loading` are the options of loading them."""
    twin = made(make)
    interop.load_state_dict(twin, original.state_dict(), **(loading or {}))
    return Pair(original, twin, inputs, **pair)


def linen_pair(
    original: torch.nn.Module, module: nn.Module, *inputs: torch.Tensor, loading: Any = None, **pair: Any
) -> Pair:
    """A pair whose linen module holds torch's weights."""
    given = pair.get("options", {}).get("flax_inputs") or [channels_last(x.numpy()) for x in inputs]
    variables, _ = interop.linen_variables(module, original.state_dict(), *given, **(loading or {}))
    return Pair(original, module.bind(variables), inputs, **pair)


def changed(pair: Pair, **values: Callable[[Any], Any]) -> Pair:
    """The pair after a change of some of the Flax model's arrays, by their last two names: `head_kernel=...`."""
    if isinstance(pair.twin, nnx.Module):
        for path, variable in nnx.to_flat_state(nnx.state(pair.twin)):
            if change := values.pop("_".join(map(str, path[-2:])), None):
                variable.set_value(change(variable[...]))
        assert not values
        return pair
    module, variables = pair.twin.unbind()

    def change_one(path: Any, value: Any) -> Any:
        return values.pop("_".join(key.key for key in path[-2:]), lambda value: value)(value)

    variables = jax.tree_util.tree_map_with_path(change_one, variables)
    assert not values
    return dataclasses.replace(pair, twin=module.bind(variables))
