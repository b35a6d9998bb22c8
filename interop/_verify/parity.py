"""Whether a Flax model computes what its PyTorch original computes, layer by layer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flax import linen as nn
from flax import nnx, traverse_util

from .._convert.matching import Match, Options, make_plan
from .._convert.naming import Rename
from .._layers.linen_walk import arrange
from .._layers.nnx_walk import find_layers, keeps_definition_order, module_places
from .flax_run import run_linen, run_nnx
from .pairing import Pair, pair_layers
from .runs import Run
from .verification import Verification


def verify(
    torch_module: Any,
    flax_model: nnx.Module | nn.Module,
    *inputs: Any,
    flax_inputs: tuple[Any, ...] | None = None,
    flax_kwargs: Mapping[str, Any] | None = None,
    rename: Rename = None,
    match: Match = "name",
    flatten: Mapping[Any, Any] | None = None,
    layouts: Mapping[Any, str] | None = None,
    axes: Mapping[str, str] | None = None,
    skip: Collection[str] = (),
    tolerance: float = 1e-4,
    precision: str | None = "highest",
) -> Verification:
    """Runs a PyTorch module and its Flax twin on the same inputs and compares every layer that both have.

    Layers are paired as the conversion pairs them: a Flax layer with arrays belongs to the module whose tensors fill
    them, any other to the module of its name. Their outputs are compared, and their arguments. In which order a layer
    has its axes follows from its type and from what flows in; that of a model's own inputs and outputs from what its
    layers do with them. Where nothing shows it, torch's second axis is Flax's last, which the verdict then says.

    Both models run in evaluation mode and are left as they were; an nnx model runs as a copy, a linen module takes its
    mode from its attributes or from `flax_kwargs`. Calls inside `nnx.jit` and other transforms are not seen.

    Args:
      torch_module: the original.
      flax_model: an nnx model, or a linen module bound to its variables, `module.bind(variables)`.
      *inputs: what the torch module is called with: tensors, arrays, or anything else, which both models get as it is.
      flax_inputs: what the Flax model is called with; None for the same inputs with their axes in Flax's order.
      flax_kwargs: named arguments for the Flax model alone, such as `{"train": False}`.
      rename, match, flatten, layouts: those that the Flax model was loaded with.
      axes: where the order of the axes is another than `verify` takes: by a layer's name in torch, its output's axes in
        torch and in Flax, in the notation of einops, such as `"n c l -> n l c"`. `"(output)"` is what the model
        returns, `"(output)[1]"` and `"(output)['mask']"` an array of it, `"(input)"` and `"(input)[1]"` what it takes.
      skip: names of layers that are not to be compared, or patterns such as `"decoder.*"`.
      tolerance: the largest difference that counts as equal, as a fraction of the largest value. The default is about
        ten times the rounding error of float32 in deep networks.
      precision: the precision of Flax's products, as `jax.default_matmul_precision` takes it. With "highest", torch
        does without TF32 too; None leaves both as they are.

    Returns:
      A `Verification`: `ok`, `verdict`, `first_difference`, `layers`, `arguments`, `not_compared`, and as a string a
      table with the verdict. What the Flax model raises is part of it.

    Raises:
      TypeError, ValueError: an unusable argument, or what the torch module raises, with the place.

    Example:
      >>> import torch
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> from jax_tconv.nnx import ConvTranspose
      >>> original = torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 4, 2, stride=2, padding=1), torch.nn.Tanh())
      >>> twin = nnx.Sequential(ConvTranspose(3, 4, (2, 2), strides=2, rngs=nnx.Rngs(0)), nnx.tanh)
      >>> _ = interop.load_state_dict(twin, original.state_dict())
      >>> found = interop.verify(original, twin, torch.ones(1, 3, 5, 5))
      >>> found.first_difference.name, found.first_difference.torch_shape, found.first_difference.flax_shape
      ('0', (1, 8, 8, 4), (1, 10, 10, 4))
      >>> print(found.arguments[0])
      '0' has padding=((0, 0), (0, 0)) in Flax, where PyTorch's asks for ((1, 1), (1, 1))
    """
    import torch

    from . import judging
    from .torch_run import run_torch

    if not isinstance(torch_module, torch.nn.Module):
        raise TypeError(f"torch_module must be a torch.nn.Module, got {type(torch_module).__name__}")
    if not inputs:
        raise TypeError("inputs must be what the torch module is called with; got none")
    if not isinstance(flax_model, nnx.Module) and getattr(flax_model, "scope", None) is None:
        words = " without variables; bind it: module.bind(variables)" if isinstance(flax_model, nn.Module) else ""
        kind = type(flax_model).__name__
        raise TypeError(f"flax_model must be an nnx model or a bound linen module, got {kind}{words}")
    options = Options(rename, match, flatten, layouts, downcast=True)
    rules = _checked_axes(axes)
    if isinstance(skip, str):
        raise TypeError(f"skip must be a collection of names, got the string {skip!r}; pass [{skip!r}]")
    theirs = run_torch(torch_module, inputs, full_precision=precision == "highest")
    given = judging.flax_inputs(inputs, theirs, rules) if flax_inputs is None else tuple(flax_inputs)
    state_dict = torch.nn.Module.state_dict(torch_module)
    more = (given, flax_kwargs or {}, precision, theirs, state_dict, options)
    ours, pairs = _run_nnx(flax_model, *more) if isinstance(flax_model, nnx.Module) else _run_linen(flax_model, *more)
    return judging.judge(theirs, ours, pairs, rules, tuple(skip), tolerance, precision)


def flax_inputs(torch_module: Any, inputs: Sequence[Any], axes: Mapping[str, str] | None = None) -> tuple[Any, ...]:
    """What the Flax twin of a torch module is called with, for what the module is called with."""
    from . import judging
    from .torch_run import run_torch

    return judging.flax_inputs(inputs, run_torch(torch_module, inputs, full_precision=True), _checked_axes(axes))


def _checked_axes(axes: Mapping[str, str] | None) -> Mapping[str, str]:
    for name, rule in (axes or {}).items():
        if not isinstance(rule, str) or rule.count("->") != 1:
            raise ValueError(
                f"axes must say PyTorch's axes and Flax's, such as 'n c l -> n l c'; for {name!r} got {rule!r}"
            )
    return axes or {}


def _run_nnx(
    flax_model: nnx.Module, given: Any, kwargs: Any, precision: Any, theirs: Run, state_dict: Any, options: Options
) -> tuple[Run, list[Pair]]:
    model = nnx.clone(flax_model)
    model.eval()
    ours = run_nnx(model, given, kwargs, module_places(model), precision)
    # The copy has lost the order of definition.
    layers, variables = find_layers(flax_model, options.hints)
    arrays = {place: variable.get_value() for place, variable in variables.items()}
    plan = make_plan(layers, state_dict, options, ordered=lambda: keeps_definition_order(flax_model), advised=False)
    return ours, pair_layers(theirs, ours, plan.fillings, arrays, options.rename, collections=False)


def _run_linen(
    flax_model: nn.Module, given: Any, kwargs: Any, precision: Any, theirs: Run, state_dict: Any, options: Options
) -> tuple[Run, list[Pair]]:
    module, variables = flax_model.unbind()
    ours, called = run_linen(module, variables, given, kwargs, precision)
    arrays = traverse_util.flatten_dict(nn.meta.unbox(dict(variables)))
    plan = make_plan(arrange(arrays, called, options.hints), state_dict, options, advised=False)
    return ours, pair_layers(theirs, ours, plan.fillings, arrays, options.rename, collections=True)
