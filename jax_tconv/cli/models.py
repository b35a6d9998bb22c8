"""The Flax model of `--model`, made without its initial values, which the checkpoint replaces."""

from typing import Any

import jax
from flax import nnx

from .loading import call_factory, factory_call


def make_model(argument: str, text: str) -> tuple[Any, str]:
    """What `package.module:factory` makes, and why an nnx model has its initial values; empty if it has only shapes.

    Its attributes keep the order in which the factory defines them.
    """
    orders: dict[tuple[Any, ...], list[str]] = {}

    def traced() -> Any:
        model = call_factory(argument, text)
        if not isinstance(model, nnx.Module):
            return None
        for path, module in nnx.iter_modules(model, graph=True):
            if any(isinstance(value, jax.core.Tracer) for value in vars(module).values()):
                raise TypeError(f"{_dotted(path)} holds an array that is not in an nnx.Variable")
            orders[path] = list(vars(module))
        return model

    try:
        model = nnx.eval_shape(traced)
    except Exception as error:  # whatever the factory does that cannot be traced, or its own error, raised again here
        first_line = str(error).strip().partition("\n")[0]
        return call_factory(argument, text), f"{type(error).__name__}: {first_line}"
    if model is None:
        return call_factory(argument, text), ""
    for path, module in nnx.iter_modules(model, graph=True):
        attributes = vars(module)
        held = dict(attributes)
        attributes.clear()
        attributes.update({name: held[name] for name in orders[path] if name in held} | held)
    return model, ""


def without_values(model: Any) -> str:
    """The arrays of an nnx model that have only shapes; empty if there are none."""
    if not isinstance(model, nnx.Module):
        return ""
    state = nnx.to_flat_state(nnx.state(model))
    values = {path: leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf for path, leaf in state}
    return ", ".join(_dotted(path) for path, value in values.items() if isinstance(value, jax.ShapeDtypeStruct))


def load_lines(text: str, out: str, inputs: list[jax.ShapeDtypeStruct] | None, abstract: bool) -> list[str]:
    """Three lines of Python that load `out`, which is of a linen module if there are inputs."""
    module, _, name = text.partition(":")
    call, imported = factory_call("--model", text), f"from {module} import {name.partition('.')[0]}"
    if inputs is not None:
        examples = [f"jax.ShapeDtypeStruct({x.shape}, {str(x.dtype)!r})" for x in inputs]
        return [
            f"import jax; from jax_tconv import interop; {imported}",
            f"examples = [{', '.join(examples)}]",
            f"variables = interop.load({call}, {out!r}, *examples)",
        ]
    return [
        f"from flax import nnx; from jax_tconv import interop; {imported}",
        f"model = nnx.eval_shape(lambda: {call})" if abstract else f"model = {call}",
        f"interop.load(model, {out!r})",
    ]


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path)) or "the model itself"
