"""Loading state dicts into nnx models, and exporting them."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from numpy.typing import NDArray

from .._layers.nnx_walk import find_layers, keeps_definition_order
from .export import export
from .like import export_like
from .matching import Match, Options, make_plan
from .naming import Rename
from .placing import placed
from .report import Report
from .streams import start_streams


def load_state_dict(
    model: nnx.Module,
    state_dict: Mapping[str, Any],
    *,
    rename: Rename = None,
    match: Match = "name",
    flatten: Mapping[str, tuple[int, ...]] | None = None,
    layouts: Mapping[str, str] | None = None,
    strict: bool = True,
    downcast: bool = False,
    dry_run: bool = False,
) -> Report:
    """Fills an nnx model, in place, with the tensors of a PyTorch state dict.

    A tensor `a.b.0.weight` fills the layer at `model.a.b[0]`; the items of an `nnx.Sequential` or a list are numbered
    as in torch. torch's LSTM and GRU, with all their layers and directions under one name, are an `nnx.RNN`, an
    `nnx.Bidirectional`, a module of your own that holds two RNNs, one of them with `reverse=True`, and nothing else
    with arrays, or a list of such layers that fit each other. How a tensor is laid out follows from the layer's type,
    never from its shape. Weight norm and spectral norm are folded. Prefixes that torch's wrappers leave, such as
    `module.` and `_orig_mod.`, are removed.

    Args:
      model: the model; it is changed only if everything fits. Only its arrays' shapes, dtypes and shardings matter, so
        `nnx.eval_shape(lambda: Model(...))` works, and saves the time and the memory of initial values. Random streams
        of such a model, as a Dropout has them, begin at seed 0.
      state_dict: names to tensors: of torch, numpy or JAX. A file is read with `interop.read`.
      rename: what the model calls a tensor: a mapping of name prefixes (the longest that fits is used) or of compiled
        regular expressions to their replacements, or a function of a name. None as the new name drops the tensor.
      match: `"name"`, or `"order"` to pair the layers that no name matches by type, shape and order of definition;
        it is an error if they could be paired in two ways. A model that went through `nnx.eval_shape`, `nnx.clone` or
        `nnx.jit` has lost its order, and is paired by type and shape alone.
      flatten: for each Linear that takes a flattened channels-last feature map, by its name, the map's shape
        `(*spatial, channels)`: torch flattens the channels first. A name may be a pattern, where `*` stands for any
        characters, such as `"heads.*"`: all that it fits is meant, unless it is named itself or by a longer pattern.
      layouts: for each array with several axes that a module of your own holds itself, by its name in Flax or a
        pattern, its layout in torch and in Flax, in the notation of einops, such as `"1 c h w -> 1 h w c"`. So too
        for the scale and the bias of a norm over several axes, which are in torch's order unless this says otherwise:
        `{"norm.*": "c h w -> h w c"}` is torch's `LayerNorm([C, H, W])` over a map.
      strict: whether a missing, an unexpected or a misshapen tensor, or an array that has no rule, is an error.
        Otherwise what fits is loaded, and the report lists the rest.
      downcast: whether values may be rounded to the dtypes of the model, such as float64 to float32.
      dry_run: whether only to report: nothing is changed, and nothing is raised for what does not fit.

    Returns:
      The report on what became of every tensor: `print` it. It also has torch's `missing_keys` and `unexpected_keys`,
      under the renamed names.

    Raises:
      StateDictError (a ValueError): what does not fit, all of it listed; its `report` has every tensor.
      TypeError, ValueError: an unusable argument.

    Example:
      >>> import numpy as np
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> from jax_tconv.nnx import ConvTranspose
      >>> model = nnx.Sequential(ConvTranspose(8, 4, (2, 2), strides=2, rngs=nnx.Rngs(0)), nnx.relu)
      >>> state_dict = {"0.weight": np.ones((8, 4, 2, 2), "float32"), "0.bias": np.zeros(4, "float32")}
      >>> interop.load_state_dict(model, state_dict)
      Report(loaded=2)
    """
    options = Options(rename, match, flatten, layouts, downcast)
    layers, variables = find_layers(model, options.hints)
    plan = make_plan(layers, state_dict, options, ordered=lambda: keeps_definition_order(model))
    if not dry_run:
        plan.check(strict, "the model is left unchanged")
        old = {place: variable.get_value() for place, variable in variables.items()}
        values = {slot.place: placed(value, old[slot.place]) for slot, value in plan.values()}
        jax.block_until_ready(values)  # the caller may change the tensors afterwards
        for place, value in values.items():
            variables[place].set_value(value)
        if any(isinstance(array, jax.ShapeDtypeStruct) for array in old.values()):
            start_streams(model)
    return plan.report


def state_dict(
    model: nnx.Module,
    *,
    like: Mapping[str, Any] | None = None,
    rename: Rename = None,
    match: Match = "name",
    flatten: Mapping[str, tuple[int, ...]] | None = None,
    layouts: Mapping[str, str] | None = None,
    num_batches_tracked: int | Mapping[str, Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """The PyTorch state dict of an nnx model: the inverse of `load_state_dict`.

    `torch_module.load_state_dict(interop.to_torch(interop.state_dict(model)))` takes it. Each value comes back bit for
    bit; a weight that was folded from weight norm or spectral norm comes back as a plain weight, and where torch has
    two biases for Flax's one, the first has the sum and the second is zero. RNNs that could have been loaded from one
    LSTM or GRU, as its layers or directions, come back as one; `rename` makes them several.

    With `like`, the state dict that was loaded, its form comes back instead: its names, in its order, with prefixes,
    norms, both biases, counters, and the tensors that Flax has no use for. Where the model has the values that loading
    `like` gives, the tensors are those of `like`, bit for bit; if nothing was trained, all are. Of what changed:

    - Weight norm and spectral norm get tensors that stand for the new weight, to one part in a million.
    - A change of the sum of two biases goes into the first; where rounding would spoil the sum, the second is zero.
    - A tensor has the dtype that it has in `like`, if that holds all its values, and otherwise the model's, or float32
      for a norm's tensors of a model in half precision: a trained float32 model makes float32 of float16.

    Args:
      model: the model.
      like: the state dict that the model was loaded from: of torch, numpy or JAX; its tensors are copied.
      rename: as in `load_state_dict`, but from the model's names to torch's; with `like` the very one that it was
        loaded with, from the names of `like` to the model's.
      match: as in `load_state_dict`, for `like`, which it needs.
      flatten, layouts: as in `load_state_dict`.
      num_batches_tracked: BatchNorm's counter, which Flax does not keep: one for all layers, or a mapping by tensor
        name. If left out, what `like` has, or 0.

    Returns:
      A dict of names to numpy arrays, in torch's names, layouts and order, and the model's dtypes.

    Raises:
      TypeError, ValueError: an unusable argument, a layer whose type has no rule, a `like` that does not fit the
        model, or a norm in it that cannot stand for the new weight.

    Example:
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> model = nnx.Sequential(nnx.Conv(3, 8, (5, 5), rngs=nnx.Rngs(0)), nnx.relu)
      >>> {name: tensor.shape for name, tensor in interop.state_dict(model).items()}
      {'0.weight': (8, 3, 5, 5), '0.bias': (8,)}
      >>> import numpy as np
      >>> original = {"module.0.bias": np.zeros(8, "float32"), "module.0.weight": np.ones((8, 3, 5, 5), "float32")}
      >>> report = interop.load_state_dict(model, original)
      >>> list(interop.state_dict(model, like=original))
      ['module.0.bias', 'module.0.weight']
    """
    options = Options(rename, match, flatten, layouts, downcast=True)
    layers, variables = find_layers(model, options.hints)
    arrays = {place: variable.get_value() for place, variable in variables.items()}
    if like is None:
        return export(layers, arrays, options, num_batches_tracked)
    order = functools.partial(keeps_definition_order, model)
    return export_like(layers, arrays, like, options, num_batches_tracked, ordered=order)
