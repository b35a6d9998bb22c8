"""The inputs and outputs of each layer, recorded while a model runs."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import nnx
from numpy.typing import NDArray

from .._layers.linen_walk import Paths
from .._layers.recurrent import dotted, is_torch_module
from .._tensors import to_numpy

Array = NDArray[Any]


@dataclasses.dataclass
class Run:
    """One run of a model.

    Attributes:
      calls: by a layer's names, in the order in which the layers finished: for each call, the first array of its
        input and of its output.
      output: the model's output.
      error: what it raised, if anything.
    """

    calls: dict[tuple[str, ...], list[tuple[Array | None, Array | None]]] = dataclasses.field(default_factory=dict)
    kinds: dict[tuple[str, ...], str] = dataclasses.field(default_factory=dict)
    output: Any = None
    error: Exception | None = None

    def note(self, names: tuple[str, ...], kind: str, given: Any, result: Any) -> None:
        """Adds a call of the layer with these names."""
        self.calls.setdefault(names, []).append((first_array(given), first_array(result)))
        self.kinds[names] = kind


def run_torch(module: Any, inputs: tuple[Any, ...]) -> Run:
    """A run in evaluation mode; the module is left as it was."""
    import torch

    run = Run()
    names: dict[int, tuple[str, ...]] = {}
    for name, submodule in module.named_modules(remove_duplicate=False):
        names[id(submodule)] = (*names.get(id(submodule), ()), name)
    modes = {submodule: submodule.training for submodule in module.modules()}
    parameter = next(iter(module.parameters()), None)
    place = {} if parameter is None else {"device": parameter.device}

    given: dict[int, Any] = {}

    def note_input(submodule: Any, args: Any) -> None:
        # An activation may work in place, so that its input must be copied at once.
        given[id(submodule)] = first_array(args)

    def note_call(submodule: Any, args: Any, result: Any) -> None:
        # torch describes a layer in one line, but one that holds others in many.
        kind = type(submodule).__name__ if list(submodule.children()) else repr(submodule)
        run.note(names[id(submodule)], kind, given.pop(id(submodule), None), result)

    handles = [m.register_forward_pre_hook(note_input) for m in module.modules()]
    handles += [m.register_forward_hook(note_call) for m in module.modules()]
    try:
        module.eval()
        with torch.no_grad():
            tensors = [torch.as_tensor(np.array(x) if isinstance(x, jax.Array) else x, **place) for x in inputs]
            run.output = _as_arrays(module(*tensors))
    finally:
        for handle in handles:
            handle.remove()
        for submodule, training in modes.items():
            submodule.training = training
    return run


def run_nnx(model: nnx.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any], names: Mapping[int, Any]) -> Run:
    """A run of the model as it is, outside of any transform; `names` has those of each module, by its identity."""
    run = Run()
    with _observed({type(module) for _, module in nnx.iter_modules(model, graph=True)}, names, run):
        try:
            run.output = _as_arrays(model(*inputs, **kwargs))
        except Exception as error:  # what went well until then shows where to look
            run.error = error
    return run


def run_linen(module: nn.Module, variables: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Run:
    """A run of the module with these variables."""
    run = Run()
    called = Paths()

    def note(call: Any, args: Any, named: Any, context: nn.module.InterceptorContext) -> Any:
        called.note(context.module)
        result = call(*args, **named)
        if context.method_name == "__call__":
            spellings = itertools.chain(*called.places(context.module.path))
            names = tuple(map(dotted, filter(is_torch_module, spellings)))
            run.note(names, type(context.module).__name__, args, _main_output(context.module, result))
        return result

    try:
        with nn.intercept_methods(note):
            run.output = _as_arrays(module.apply(variables, *inputs, **kwargs))
    except Exception as error:
        run.error = error
    return run


def first_array(value: Any) -> Array | None:
    """The first array of a nest of them, copied; None if there is none, or if it has no values."""
    found = next(_arrays(value), None)
    if found is None or isinstance(found, jax.core.Tracer):
        return None
    return np.array(to_numpy("a value", found))


@contextlib.contextmanager
def _observed(classes: set[type], names: Mapping[int, Any], run: Run) -> Iterator[None]:
    """Notes the calls of modules of these classes that have names: nnx has no hooks, so `__call__` is replaced."""
    inside: list[int] = []

    def observing(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            # A class that calls its base's `__call__` is one call.
            if id(self) not in names or id(self) in inside:
                return original(self, *args, **kwargs)
            inside.append(id(self))
            given = first_array(args)
            try:
                result = original(self, *args, **kwargs)
            finally:
                inside.remove(id(self))
            run.note(names[id(self)], type(self).__name__, given, _main_output(self, result))
            return result

        return call

    bases = {base for cls in classes for base in cls.__mro__ if issubclass(base, nnx.Module)}
    own = {cls: vars(cls)["__call__"] for cls in bases if "__call__" in vars(cls)}
    try:
        for cls, original in own.items():
            cls.__call__ = observing(original)  # type: ignore[method-assign]
        yield
    finally:
        for cls, original in own.items():
            cls.__call__ = original  # type: ignore[method-assign]


def _main_output(module: Any, result: Any) -> Any:
    """What torch's layer returns first, such as a recurrent cell's state, which Flax's returns after its carry."""
    cells = (nn.recurrent.RNNCellBase, nnx.RNNCellBase)
    return result[1] if isinstance(module, cells) and isinstance(result, tuple) else result


def _arrays(value: Any) -> Iterator[Any]:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _arrays(item)


def _as_arrays(value: Any) -> list[Array]:
    return [np.array(to_numpy("an output", array)) for array in _arrays(value)]
