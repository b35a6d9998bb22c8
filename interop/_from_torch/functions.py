"""PyTorch's modules without weights as functions: activations, padding, and changes of shape."""

from collections.abc import Callable, Set
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

from .activations import ACTIVATIONS, ALONG_AN_AXIS, Activation
from .forms import ANY, MAPS, VECTOR, Site
from .made import Apply, Twin

Build: TypeAlias = Callable[[Any, Site], Twin]


def _elementwise(activation: Activation) -> Build:
    return lambda m, site: activation.apply(**{name: getattr(m, name) for name in activation.arguments})


def _along_channels(activation: Activation) -> Build:
    def build(m: Any, site: Site) -> Apply:
        if not site.has_channels_moved() and m.dim is not None:
            return activation.apply(dim=m.dim)
        if m.dim == 1 or any(site.forms == {form} and m.dim == -1 - spatial for spatial, form in MAPS.items()):
            return activation.apply(dim=-1)
        raise ValueError(f"dim={m.dim} is not the channels of an input {site}; set it to their axis, 1")

    return build


def _pad(mode: str) -> Build:
    def build(m: Any, site: Site) -> Apply:
        if min(m.padding) < 0:
            raise ValueError(f"padding={tuple(m.padding)}: a negative one crops, and jnp.pad does not; slice in Flax")
        # torch lists the last axis first.
        widths = zip(m.padding[-2::-2], m.padding[-1::-2], strict=True)
        value = {"constant_values": m.value} if mode == "constant" and m.value else {}
        return Apply(jnp.pad, {"pad_width": ((0, 0), *widths, (0, 0)), "mode": mode, **value})

    return build


def _flatten(m: Any, site: Site) -> Apply:
    if (m.start_dim, m.end_dim) != (1, -1):
        raise ValueError(f"start_dim={m.start_dim}, end_dim={m.end_dim}: only Flatten(1, -1) has a twin; use that")
    moved = site.has_channels_moved()
    site.forms = frozenset({VECTOR})
    return Apply(flatten, {"channels_first": moved})


def flatten(x: jax.Array, *, channels_first: bool) -> jax.Array:
    """`x` as vectors; with `channels_first`, as if the channels, which are last in `x`, were first."""
    return (jnp.moveaxis(x, -1, 1) if channels_first else x).reshape(x.shape[0], -1)


def _unflatten(m: Any, site: Site) -> Apply:
    sizes = m.unflattened_size
    if m.dim not in (1, -1) or len(sizes) - 1 not in MAPS or not all(isinstance(n, int) for n in sizes):
        raise ValueError(
            f"dim={m.dim!r}, unflattened_size={sizes}: it has a twin where vectors, dim=1, become channels and one to "
            "three spatial axes; reshape in Flax"
        )
    site.forms = frozenset({MAPS[len(sizes) - 1]})
    return Apply(unflatten, {"sizes": tuple(sizes)})


def unflatten(x: jax.Array, *, sizes: tuple[int, ...]) -> jax.Array:
    """Vectors as maps of `sizes`, `(channels, *spatial)`, with the channels then moved last."""
    return jnp.moveaxis(x.reshape(x.shape[0], *sizes), 1, -1)


FUNCTIONS: dict[str, tuple[Build, Set[str]]] = {
    "Identity": (lambda m, site: Apply(nnx.identity), ANY),
    **{activation.torch_class: (_elementwise(activation), ANY) for activation in ACTIVATIONS.values()},
    **{activation.torch_class: (_along_channels(activation), ANY) for activation in ALONG_AN_AXIS.values()},
    "Flatten": (_flatten, ANY),
    "Unflatten": (_unflatten, {VECTOR}),
}
_PAD_MODES = {
    "Zero": "constant",
    "Constant": "constant",
    "Reflection": "reflect",
    "Replication": "edge",
    "Circular": "wrap",
}
for _spatial, _form in MAPS.items():
    for _name, _mode in _PAD_MODES.items():
        FUNCTIONS[f"{_name}Pad{_spatial}d"] = (_pad(_mode), {_form})
