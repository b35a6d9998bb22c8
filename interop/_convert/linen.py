"""Loading state dicts into the variables of linen modules, and exporting them."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn
from flax import traverse_util
from numpy.typing import NDArray

from .._layers.linen_walk import find_layers, initial_values
from .export import export
from .like import export_like
from .matching import Match, Options, make_plan
from .naming import Rename
from .placing import placed
from .report import Report


def linen_variables(
    module: nn.Module,
    state_dict: Mapping[str, Any],
    *example_inputs: Any,
    rename: Rename = None,
    match: Match = "name",
    flatten: Mapping[str, tuple[int, ...]] | None = None,
    layouts: Mapping[str, str] | None = None,
    strict: bool = True,
    downcast: bool = False,
    dry_run: bool = False,
) -> tuple[Any, Report]:
    """The variables of a linen module, with the values of a PyTorch state dict, and the report on them.

    A tensor `a.b.weight` fills the layer that linen names `a`, `b`; linen's names for the items of a list in `setup`
    and of an `nn.Sequential`, `blocks_0` and `layers_0`, are torch's `blocks.0` and `0`. LSTMs and GRUs are `nn.RNN`
    and `nn.Bidirectional`. Parts of PyTorch's that a module does without, it names in its class, such as
    `torch_only = ("head",)`: their tensors are dropped. Everything else is as in `load_state_dict`. Each array has the
    dtype that the module gives it.

    Args:
      module: the module.
      state_dict: names to tensors: of torch, numpy or JAX. A file is read with `interop.read`.
      *example_inputs: what the module is called with; only the shapes and dtypes of arrays matter, so
        `jax.ShapeDtypeStruct` works.
      rename, match, flatten, layouts, downcast: as in `load_state_dict`.
      strict: as in `load_state_dict`. Variables that are not filled keep what `module.init` gives them.
      dry_run: whether only to report: no variables are made, and nothing is raised for what does not fit.

    Returns:
      `(variables, report)`. The variables are what `module.apply` takes, `{"params": ..., "batch_stats": ...}`, or None
      with `dry_run`; the report is as in `load_state_dict`.

    Raises:
      StateDictError (a ValueError): what does not fit, all of it listed; its `report` has every tensor.
      TypeError, ValueError: an unusable argument.

    Example:
      >>> import jax, numpy as np
      >>> from jax_tconv import interop
      >>> from jax_tconv.linen import ConvTranspose
      >>> image = jax.ShapeDtypeStruct((1, 16, 16, 8), np.float32)
      >>> state_dict = {"weight": np.ones((8, 4, 2, 2), "float32"), "bias": np.zeros(4, "float32")}
      >>> variables, report = interop.linen_variables(ConvTranspose(4, (2, 2), strides=2), state_dict, image)
      >>> variables["params"]["kernel"].shape, report
      ((2, 2, 8, 4), Report(loaded=2))
    """
    options = Options(rename, match, flatten, layouts, downcast)
    shapes, layers = find_layers(module, example_inputs, options.hints)
    plan = make_plan(layers, state_dict, options)
    if dry_run:
        return None, plan.report
    plan.check(strict, "no variables are made")
    values: dict[Any, jax.Array] = {slot.place: placed(value) for slot, value in plan.values()}
    jax.block_until_ready(values)  # the caller may change the tensors afterwards
    values |= initial_values(module, example_inputs, shapes.keys() - values.keys())
    return traverse_util.unflatten_dict({place: values[place] for place in shapes}), plan.report


def linen_state_dict(
    module: nn.Module,
    variables: Mapping[str, Any],
    *example_inputs: Any,
    like: Mapping[str, Any] | None = None,
    rename: Rename = None,
    match: Match = "name",
    flatten: Mapping[str, tuple[int, ...]] | None = None,
    layouts: Mapping[str, str] | None = None,
    num_batches_tracked: int | Mapping[str, Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """The PyTorch state dict of a linen module with these variables: the inverse of `linen_variables`.

    Args:
      module: the module.
      variables: what `module.apply` takes.
      *example_inputs: what the module is called with, as in `linen_variables`.
      like, rename, match, flatten, layouts, num_batches_tracked: as in `state_dict`.

    Returns:
      A dict of names to numpy arrays, in torch's names, layouts and order, and the variables' dtypes; with `like` in
      its form, as `state_dict` has it.

    Raises:
      TypeError, ValueError: an unusable argument, variables that are not the module's, or as in `state_dict`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from flax import linen as nn
      >>> from jax_tconv import interop
      >>> module, image = nn.Sequential([nn.Conv(8, (5, 5)), nn.relu]), jnp.ones((1, 16, 16, 3))
      >>> variables = module.init(jax.random.key(0), image)
      >>> tensors = interop.linen_state_dict(module, variables, image)
      >>> {name: tensor.shape for name, tensor in tensors.items()}
      {'0.weight': (8, 3, 5, 5), '0.bias': (8,)}
    """
    options = Options(rename, match, flatten, layouts, downcast=True)
    shapes, layers = find_layers(module, example_inputs, options.hints)
    if not isinstance(variables, Mapping):
        raise TypeError(f"variables must be what module.init returns, got {type(variables).__name__}")
    given = traverse_util.flatten_dict(nn.meta.unbox(dict(variables)))
    for place, leaf in shapes.items():
        if place not in given or given[place].shape != leaf.shape:
            found = given[place].shape if place in given else "none"
            raise ValueError(f"variables must have {'.'.join(place)} of shape {leaf.shape}, got {found}")
    if like is None:
        return export(layers, given, options, num_batches_tracked)
    return export_like(layers, given, like, options, num_batches_tracked)
