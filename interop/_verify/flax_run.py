"""One run of a Flax model, with every layer's calls recorded."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import jax
from flax import linen as nn
from flax import nnx

from .._layers.layer_types import is_known
from .._layers.linen_walk import Paths
from .._layers.recurrent import both_directions, dotted, is_torch_module
from .runs import Call, Run, Traced, copied, described, first, leaves

# The modules whose call has begun and not ended, as their name and class: where an error is raised.
Entered: TypeAlias = list[tuple[str, str]]
# A module's place in the model, and what torch may call it.
Places: TypeAlias = Mapping[int, tuple[tuple[str, ...], tuple[str, ...]]]


def run_nnx(
    model: nnx.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    places: Places,
    precision: str | None,
) -> Run:
    """A run of the model as it is, outside of any transform; `places` has those of each module, by its identity."""
    run = Run()
    entered: Entered = []
    classes = {type(module) for _, module in nnx.iter_modules(model, graph=True)}
    with _observed(classes, places, run, entered), jax.default_matmul_precision(precision):
        _run(run, functools.partial(model, *inputs, **kwargs), entered, type(model).__name__)
    return run


def run_linen(
    module: nn.Module, variables: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any], precision: str | None
) -> tuple[Run, Paths]:
    """A run of the module with these variables, and the modules that it called."""
    run, called = Run(), Paths()
    entered: Entered = []
    parents: set[Any] = set()

    def note(call: Any, args: Any, named: Any, context: nn.module.InterceptorContext) -> Any:
        inner = context.module
        called.note(inner)
        parents.add(inner.path[:-1] if inner.path else None)
        if context.method_name != "__call__":
            return call(*args, **named)
        entered.append((".".join(inner.path), type(inner).__name__))
        result = call(*args, **named)
        entered.pop()
        spellings = filter(is_torch_module, itertools.chain(*called.places(inner.path)))
        names = tuple(dict.fromkeys(map(dotted, spellings)))
        leaf = _is_layer(inner) or inner.path not in parents
        made = Call(_traced(_main_input(inner, (args, named))), _traced(_main_output(inner, result)))
        run.note(inner.path, made, names=names, paths=_linen_paths(inner), module=inner, leaf=leaf)
        return result

    with nn.intercept_methods(note), jax.default_matmul_precision(precision):
        _run(run, functools.partial(module.apply, variables, *inputs, **kwargs), entered, type(module).__name__)
    return run, called


def _run(run: Run, model: Callable[[], Any], entered: Entered, kind: str) -> None:
    try:
        result = model()
        run.outputs = {place: Traced(array) for place, leaf in leaves(result) if (array := copied(leaf)) is not None}
    except Exception as error:  # what went well until then shows where to look
        name, inner = entered[-1] if entered else ("", kind)
        run.failed = described(error, f"{name!r} ({inner})" if name else inner)


def _traced(value: Any) -> Traced | None:
    array = copied(first(value))
    return None if array is None else Traced(array)


@contextlib.contextmanager
def _observed(classes: set[type], places: Places, run: Run, entered: Entered) -> Iterator[None]:
    """Notes the calls of modules of these classes that have names: nnx has no hooks, so `__call__` is replaced."""
    inside: list[int] = []

    def observing(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            # A class that calls its base's `__call__` is one call.
            if id(self) not in places or id(self) in inside:
                return original(self, *args, **kwargs)
            inside.append(id(self))
            entered.append((".".join(places[id(self)][0]), type(self).__name__))
            given = _traced(_main_input(self, (args, kwargs)))
            try:
                result = original(self, *args, **kwargs)
            finally:
                inside.remove(id(self))
            entered.pop()
            call = Call(given, _traced(_main_output(self, result)))
            path, spelled = places[id(self)]
            run.note(id(self), call, names=spelled, paths=(path,), module=self, leaf=_is_leaf(self))
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


def _is_leaf(module: nnx.Module) -> bool:
    inner = (part for _, part in nnx.iter_modules(module, graph=True) if part is not module)
    return _is_layer(module) or next(inner, None) is None


def _is_layer(module: Any) -> bool:
    """Whether it is one layer, whatever it holds."""
    recurrent = isinstance(module, nn.RNN | nnx.RNN | nn.Bidirectional | nnx.Bidirectional)
    return is_known(module) or recurrent


def _linen_paths(module: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The paths of a module and of the cells of a recurrent one, which linen may put elsewhere."""
    rnns = [module] if isinstance(module, nn.RNN) else both_directions(module) or ()
    return (module.path, *(rnn.cell.path for rnn in rnns))


# Flax's cells take and return their carry first, torch's after it; a recurrent layer may return it too.
_CELLS = (nn.recurrent.RNNCellBase, nnx.RNNCellBase)
_CARRYING = (*_CELLS, nn.RNN, nnx.RNN, nn.Bidirectional, nnx.Bidirectional)


def _main_input(module: Any, given: tuple[tuple[Any, ...], Mapping[str, Any]]) -> Any:
    """What torch's layer takes first."""
    args, named = given
    return (args[1:], named) if isinstance(module, _CELLS) else given


def _main_output(module: Any, result: Any) -> Any:
    """What torch's layer returns first."""
    return result[1] if isinstance(module, _CARRYING) and isinstance(result, tuple) else result
