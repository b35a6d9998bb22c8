"""One run of a PyTorch model, in evaluation mode, with every layer's calls recorded."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from .._tensors import to_numpy, torch_tensor
from .alignment import SEQUENCES
from .axes import Axes, Role, Symbol, mark
from .runs import Call, Run, Traced, copied, described, first, leaves
from .tracing import Tracing

# What a module's attribute may hide: `self.modules = []` is allowed.
WALKS = ("modules", "named_modules", "children", "named_children", "train", "eval")


def run_torch(module: torch.nn.Module, inputs: Sequence[Any], full_precision: bool) -> Run:
    """A run; the module is left as it was. ValueError, naming the place, for what it raises."""
    run, trace = Run(), Tracing()
    names: dict[int, tuple[str, ...]] = {}
    modules: dict[int, torch.nn.Module] = {}
    for name, submodule in named_modules(module):
        names[id(submodule)] = (*names.get(id(submodule), ()), name)
        modules[id(submodule)] = submodule
    entered: list[tuple[torch.nn.Module, Traced | None]] = []

    def note_input(submodule: Any, args: Any, kwargs: Any) -> None:
        tensor = first((args, kwargs))
        _mark_batch(submodule, tensor, trace)
        # An activation may work in place, so that its input must be copied at once.
        entered.append((submodule, _traced(tensor, trace)))

    def note_call(submodule: Any, args: Any, kwargs: Any, result: Any) -> None:
        _, before = entered.pop()
        if isinstance(submodule, torch.nn.RNNBase):
            _mark_recurrent(submodule, first((args, kwargs)), result, trace)
        leaf = isinstance(submodule, SEQUENCES) or not submodule._modules
        call = Call(before, _traced(first(result), trace))
        run.note(id(submodule), call, names=names[id(submodule)], paths=(), module=submodule, leaf=leaf)

    handles = [m.register_forward_pre_hook(note_input, with_kwargs=True) for m in modules.values()]
    handles += [m.register_forward_hook(note_call, with_kwargs=True) for m in modules.values()]
    device = next(
        (tensor.device for m in modules.values() for tensor in m._parameters.values() if tensor is not None), None
    )
    try:
        with _evaluating(module, [*modules.values()]), _precision(full_precision), torch.no_grad(), trace:
            given = [_tensor(value, device) for value in inputs]
            run.inputs = [_traced(value, trace) for value in given]
            result = module(*given)
            run.outputs = {place: found for place, leaf in leaves(result) if (found := _traced(leaf, trace))}
    except Exception as error:
        inner = entered[-1][0] if entered else module
        name = names[id(inner)][0]
        place = f"{name!r} ({type(inner).__name__})" if name else type(inner).__name__
        raise ValueError(f"the PyTorch model raised {described(error, place)}") from None
    finally:
        for handle in handles:
            handle.remove()
    called = {name for layer in run.layers.values() if layer.leaf for name in layer.names}
    for key, submodule in modules.items():
        within = any(name == outer or name.startswith(f"{outer}.") for name in names[key] for outer in called)
        if key not in run.layers and submodule._parameters and not within:
            run.silent.append(names[key][0])
    return run


def named_modules(
    module: torch.nn.Module, name: str = "", above: tuple[int, ...] = ()
) -> Iterator[tuple[str, torch.nn.Module]]:
    """Every module at every place, as torch's method of that name has it, which an attribute may hide."""
    yield name, module
    for key, child in module._modules.items():
        if child is not None and id(child) not in above:
            yield from named_modules(child, f"{name}.{key}" if name else key, (*above, id(module)))


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module, modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Evaluation mode for a while, by the module's own method unless an attribute hides what that needs."""
    modes = [m.training for m in modules]
    hidden = any(walk in vars(m) or walk in m._modules for m in modules for walk in WALKS)
    try:
        if hidden:
            for m in modules:
                m.training = False
        else:
            module.eval()
        yield
    finally:
        if not hidden and modes[0]:
            module.train()
        for m, mode in zip(modules, modes, strict=True):
            m.training = mode


@contextlib.contextmanager
def _precision(full: bool) -> Iterator[None]:
    """All products in full float32 for a while, if `full`."""
    flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [flag.allow_tf32 for flag in flags]
    try:
        for flag in flags if full else ():
            flag.allow_tf32 = False
        yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


def _tensor(value: Any, device: Any) -> Any:
    """An array of any library as a tensor on the device, a copy; anything else as it is."""
    if not hasattr(value, "shape"):
        return value
    tensor = value if isinstance(value, torch.Tensor) else torch_tensor("inputs", np.array(to_numpy("inputs", value)))
    return tensor.to(device, copy=True)


def _traced(value: Any, trace: Tracing) -> Traced | None:
    array = copied(value)
    return None if array is None else Traced(array, trace.of(value) if isinstance(value, torch.Tensor) else None)


def _mark_batch(module: torch.nn.Module, tensor: Any, trace: Tracing) -> None:
    """Of a sequence, torch's second axis is the batch, unless the layer says otherwise."""
    if (
        isinstance(module, SEQUENCES)
        and isinstance(tensor, torch.Tensor)
        and tensor.ndim == 3
        and not module.batch_first
    ):
        mark(trace.of(tensor)[1], Role.BATCH)


def _mark_recurrent(module: torch.nn.RNNBase, given: Any, result: Any, trace: Tracing) -> None:
    """What a recurrent layer gives has the axes of its input, and new features."""
    axes = trace.of(given)
    mark(axes[-1], Role.FEATURES)
    trace.know(result[0], (*axes[:-1], (Symbol(result[0].shape[-1], Role.FEATURES),)))
    batch: Axes = axes[:-1] if given.ndim == 2 else (axes[0 if module.batch_first else 1],)
    for _, state in leaves(result[1]):
        known = batch if given.ndim == 3 else ()
        trace.know(state, ((Symbol(state.shape[0], Role.SPATIAL),), *known, (Symbol(state.shape[-1], Role.FEATURES),)))
