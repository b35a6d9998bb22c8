"""PyTorch's modules without weights as functions: activations, padding, and changes of shape."""

import functools
from collections.abc import Callable, Set
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from .forms import ANY, MAPS, VECTOR, Site

Function: TypeAlias = Callable[..., Any]
Build: TypeAlias = Callable[[Any, Site], Any]


def _plain(function: Function) -> Build:
    return lambda m, site: function


def _with(function: Function, **names: str) -> Build:
    """A function with arguments, each taken from the torch module's attribute of the given name."""
    return lambda m, site: functools.partial(function, **{name: getattr(m, theirs) for name, theirs in names.items()})


def softplus(x: jax.Array, *, beta: float, threshold: float) -> jax.Array:
    """torch's softplus: the identity where `beta * x` is above the threshold."""
    return jnp.where(beta * x > threshold, x, jax.nn.softplus(beta * x) / beta)


def _along_channels(function: Function) -> Build:
    def build(m: Any, site: Site) -> Function:
        if not site.has_channels_moved() and m.dim is not None:
            return functools.partial(function, axis=m.dim)
        if m.dim == 1 or any(site.forms == {form} and m.dim == -1 - spatial for spatial, form in MAPS.items()):
            return functools.partial(function, axis=-1)
        raise ValueError(f"dim={m.dim} is not the channels of an input {site}; set it to their axis, 1")

    return build


def _pad(mode: str) -> Build:
    def build(m: Any, site: Site) -> Function:
        if min(m.padding) < 0:
            raise ValueError(f"padding={tuple(m.padding)}: a negative one crops, and jnp.pad does not; slice in Flax")
        # torch lists the last axis first.
        widths = zip(m.padding[-2::-2], m.padding[-1::-2], strict=True)
        value = {"constant_values": m.value} if mode == "constant" else {}
        return functools.partial(jnp.pad, pad_width=((0, 0), *widths, (0, 0)), mode=mode, **value)

    return build


def _flatten(m: Any, site: Site) -> Function:
    if (m.start_dim, m.end_dim) != (1, -1):
        raise ValueError(f"start_dim={m.start_dim}, end_dim={m.end_dim}: only Flatten(1, -1) has a twin; use that")
    moved = site.has_channels_moved()
    site.forms = frozenset({VECTOR})
    return functools.partial(flatten, channels_first=moved)


def flatten(x: jax.Array, *, channels_first: bool) -> jax.Array:
    """`x` as vectors; with `channels_first`, as if the channels, which are last in `x`, were first."""
    return (jnp.moveaxis(x, -1, 1) if channels_first else x).reshape(x.shape[0], -1)


def _unflatten(m: Any, site: Site) -> Function:
    sizes = m.unflattened_size
    if m.dim not in (1, -1) or len(sizes) - 1 not in MAPS or not all(isinstance(n, int) for n in sizes):
        raise ValueError(
            f"dim={m.dim!r}, unflattened_size={sizes}: it has a twin where vectors, dim=1, become channels and one to "
            "three spatial axes; reshape in Flax"
        )
    site.forms = frozenset({MAPS[len(sizes) - 1]})
    return functools.partial(unflatten, sizes=tuple(sizes))


def unflatten(x: jax.Array, *, sizes: tuple[int, ...]) -> jax.Array:
    """Vectors as maps of `sizes`, `(channels, *spatial)`, with the channels then moved last."""
    return jnp.moveaxis(x.reshape(x.shape[0], *sizes), 1, -1)


FUNCTIONS: dict[str, tuple[Build, Set[str]]] = {
    "Identity": (_plain(jax.nn.identity), ANY),
    "ReLU": (_plain(jax.nn.relu), ANY),
    "ReLU6": (_plain(jax.nn.relu6), ANY),
    "LeakyReLU": (_with(jax.nn.leaky_relu, negative_slope="negative_slope"), ANY),
    "ELU": (_with(jax.nn.elu, alpha="alpha"), ANY),
    "CELU": (_with(jax.nn.celu, alpha="alpha"), ANY),
    "SELU": (_plain(jax.nn.selu), ANY),
    "GELU": (lambda m, site: functools.partial(jax.nn.gelu, approximate=m.approximate == "tanh"), ANY),
    "SiLU": (_plain(jax.nn.silu), ANY),
    "Mish": (_plain(jax.nn.mish), ANY),
    "Hardtanh": (_with(jnp.clip, min="min_val", max="max_val"), ANY),
    "Hardswish": (_plain(jax.nn.hard_swish), ANY),
    "Hardsigmoid": (_plain(jax.nn.hard_sigmoid), ANY),
    "Sigmoid": (_plain(jax.nn.sigmoid), ANY),
    "LogSigmoid": (_plain(jax.nn.log_sigmoid), ANY),
    "Tanh": (_plain(jnp.tanh), ANY),
    "Softplus": (_with(softplus, beta="beta", threshold="threshold"), ANY),
    "Softsign": (_plain(jax.nn.soft_sign), ANY),
    "Softmax": (_along_channels(jax.nn.softmax), ANY),
    "LogSoftmax": (_along_channels(jax.nn.log_softmax), ANY),
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
