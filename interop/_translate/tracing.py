"""A run of a PyTorch module, recorded: what each module is called with, what it calls, and what it gives.

The module runs on its example, so that its Python code does what it does, and every function of torch that it calls is
noted on the way. Sizes are numbers that remember their source (`sizes.py`). Modules that Flax has too, and
activations and the like, are not looked into.
"""

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name

from .graph import Frame, Node, Refusal, Value, leaves, tree_map, values
from .hints import note_names
from .sizes import AxisSize, Given, Result, TracedInt, is_traced, traced

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)

# What tells something of a tensor's values, so that the program may go on differently for others.
_DATA = {
    "__bool__": "a branch depends on the values of a tensor",
    "__int__": "the value of a tensor is used as a Python number",
    "__float__": "the value of a tensor is used as a Python number",
    "__index__": "the value of a tensor is used as a Python number",
    "item": "the value of a tensor is used as a Python number",
    "tolist": "the values of a tensor are used as Python numbers",
    "numpy": "the values of a tensor leave torch for numpy",
    "__array__": "the values of a tensor leave torch for numpy",
    "equal": "a branch depends on the values of a tensor",
    "allclose": "a branch depends on the values of a tensor",
    "is_nonzero": "a branch depends on the values of a tensor",
    "__contains__": "a branch depends on the values of a tensor",
}
# What gives the tensor itself where there is nothing to do, rather than writing into it.
_SAME = {"contiguous", "requires_grad_", "detach_", "clone", "alias"}


def trace(
    module: torch.nn.Module, args: tuple[Any, ...], is_layer: Callable[[Any], bool]
) -> tuple[Frame, list[Refusal]]:
    """The record of `module(*args)` in evaluation mode, and what in it cannot be followed."""
    tracer = _Tracer(module, is_layer)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with _slow_attention(), torch.no_grad(), tracer.watching(), tracer:
            module(*args)
    finally:
        for part, mode in modes:
            part.training = mode
    assert tracer.root is not None
    return tracer.root, list(dict.fromkeys(tracer.refused))


@contextlib.contextmanager
def _slow_attention() -> Iterator[None]:
    """torch's transformers compute step by step for a while, not with one function that does it all."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Tracer(TorchFunctionMode):
    """Notes what happens while it is entered."""

    def __init__(self, module: torch.nn.Module, is_layer: Callable[[Any], bool]) -> None:
        super().__init__()
        self.is_layer = is_layer
        self.refused: list[Refusal] = []
        self.root: Frame | None = None
        self._frames: list[_Open] = []
        self._quiet = False
        self._part: Any = None
        self._paths = _paths(module)
        self._attributes = _attributes(module)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Calls of modules come here for a while."""
        original = torch.nn.Module.__call__

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self._quiet or id(module) not in self._paths:
                return original(module, *args, **kwargs)
            return self._call_module(original, module, args, kwargs)

        torch.nn.Module.__call__ = call  # type: ignore[method-assign]
        try:
            yield
        finally:
            torch.nn.Module.__call__ = original  # type: ignore[method-assign]

    # Functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._quiet or not self._frames:
            return func(*args, **kwargs)
        name = _short_name(func)
        if name in ("shape", "size", "numel", "nelement"):
            return self._size(name, func, args, kwargs)
        here = self._frames[-1]
        before = [self._replaced(args), self._replaced(kwargs)]
        with self._silently():
            result = func(*args, **kwargs)
        given = values(before)
        if name == "__setitem__":
            here.know(args[0])
            node = Node("function", name, before[0], before[1], here.values[id(args[0])], self._where())
            here.frame.nodes.append(node)
            return result
        if not _has_tensor(result):
            if name in _DATA and not all(value.fixed for value in given):
                self.refuse(_DATA[name], "make it depend on shapes or arguments alone, or write that part in Flax")
            return result
        if given and name in _SAME and result is args[0]:
            return result
        written = (name.endswith("_") and not name.endswith("__")) or kwargs.get("inplace") is True
        fixed = all(value.fixed for value in given)
        known = tree_map(lambda leaf: here.know(leaf, fixed) if isinstance(leaf, torch.Tensor) else leaf, result)
        target = name[:-1] if written and name.endswith("_") else name
        here.frame.nodes.append(Node("function", target, *before, known, self._where(), part=self._part))
        return result

    def _size(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        with self._silently():
            sizes = func(*args, **kwargs)
        value = self._lookup(args[0])
        if value.attribute is not None or value.constant is not None:
            return sizes
        whole = [TracedInt(size, AxisSize(value, n)) for n, size in enumerate(value.shape)]
        if name in ("numel", "nelement"):
            product: Any = 1
            for n, size in enumerate(whole):
                product = size if n == 0 else product * size
            return product
        if isinstance(sizes, int):
            return whole[args[1] if len(args) > 1 else kwargs["dim"]]
        return torch.Size(whole)

    # Modules

    def _call_module(self, original: Callable[..., Any], module: Any, args: Any, kwargs: Any) -> Any:
        path = self._paths[id(module)]
        if self._frames and _is_inline(module) and not self.is_layer(module):
            before, self._part = self._part, module
            try:
                return original(module, *args, **kwargs)
            finally:
                self._part = before
        outside = self._frames[-1] if self._frames else None
        before = (self._replaced(args), self._replaced(kwargs)) if outside else ((), {})
        where = self._where()
        frame = None
        if outside and self.is_layer(module):
            with self._silently():
                result = original(module, *args, **kwargs)
        else:
            opened = _Open(Frame(module, path))
            with self._silently():
                args, kwargs = opened.enter(module, args, kwargs)
            self._frames.append(opened)
            try:
                result = _run(original, module, args, kwargs)
                opened.frame.result = self._replaced(result)
            finally:
                self._frames.pop()
            frame = opened.frame
        if outside is None:
            self.root = frame
            return result
        # Seen from the outside, a module lies below the one that calls it.
        node = Node("module" if frame else "layer", path, *before, None, where, frame)
        node.module = module
        result = _rooted(result, lambda place: Result(node, place))
        with self._silently():
            node.result = tree_map(lambda leaf: outside.know(leaf) if isinstance(leaf, torch.Tensor) else leaf, result)
        node.holder = outside.keep(result)
        outside.frame.nodes.append(node)
        return result

    # Tensors

    def _replaced(self, tree: Any) -> Any:
        """A structure with values in the place of tensors."""
        self._note_names()
        return tree_map(lambda leaf: self._lookup(leaf) if isinstance(leaf, torch.Tensor) else leaf, tree)

    def _lookup(self, tensor: torch.Tensor) -> Value:
        here = self._frames[-1]
        with self._silently():
            if id(tensor) in here.values:
                value = here.values[id(tensor)]
                if value.version != tensor._version:
                    self.refuse(
                        "a tensor is used after another that shares its memory was written into",
                        "compute a new tensor in place of writing into this one",
                    )
                return value
            if id(tensor) in here.attributes:
                value = here.know(tensor)
                value.attribute = here.attributes[id(tensor)]
                return value
            if id(tensor) in self._attributes:
                self.refuse(
                    f"it uses {'.'.join(self._attributes[id(tensor)])}, a parameter of a module that is not in it",
                    "give it the tensor as an argument",
                )
                return here.know(tensor)
            if any(id(tensor) in outer.values for outer in self._frames[:-1]):
                self.refuse("it uses a tensor that it was not called with", "give it the tensor as an argument")
            value = here.know(tensor, fixed=True)
            value.constant = tensor.detach().clone()
            return value

    def refuse(self, reason: str, advice: str) -> None:
        """Notes that what happens here cannot be translated."""
        self.refused.append(Refusal(self._frames[-1].frame.path, self._where(), reason, advice))

    @contextlib.contextmanager
    def _silently(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _note_names(self) -> None:
        with self._silently():
            here = self._frames[-1]
            note_names(_stack(), here.values, here.frame.size_names)

    def _where(self) -> str:
        for frame in _stack():
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        return ""


class _Open:
    """A frame in the making: its values by the tensors that they are."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.values: dict[int, Value] = {}
        self.attributes = _attributes(frame.module)
        # Nothing may be freed, or another tensor would get its place in memory and so its number.
        self._kept: list[Any] = []

    def know(self, tensor: torch.Tensor, fixed: bool = False) -> Value:
        """A new value for what the tensor holds now."""
        value = Value(tuple(map(int, tensor.shape)), str(tensor.dtype).removeprefix("torch."))
        value.version, value.fixed = tensor._version, fixed
        self.values[id(tensor)] = value
        self._kept.append(tensor)
        return value

    def keep(self, thing: Any) -> int:
        """The number of any object, which stays its own."""
        self._kept.append(thing)
        return id(thing)

    def enter(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Takes the arguments of the frame's module, and gives those to call it with."""
        signature = inspect.signature(module.forward)
        bound = signature.bind(*args, **kwargs)
        given = {}
        for name, tree in bound.arguments.items():
            new = _rooted(tree, lambda place, name=name: Given((name, *place)))
            given[name] = new
            self.frame.parameters[name] = tree_map(
                lambda leaf: self._parameter(leaf) if isinstance(leaf, torch.Tensor) else leaf, new
            )
        bound.arguments.update(given)
        return bound.args, bound.kwargs

    def _parameter(self, tensor: torch.Tensor) -> Value:
        known = self.values.get(id(tensor))
        return known if known is not None else self.know(tensor)


def _rooted(tree: Any, source: Callable[[tuple[Any, ...]], Any]) -> Any:
    """The structure with traced numbers that come from here."""
    if not any(is_traced(leaf) for _, leaf in leaves(tree)):
        return tree
    places = iter([place for place, _ in leaves(tree)])
    return tree_map(
        lambda leaf: traced(leaf, source(next(places))) if is_traced(leaf) else (next(places), leaf)[1], tree
    )


def _short_name(func: Any) -> str:
    name = resolve_name(func) or getattr(func, "__name__", str(func))
    return name.removesuffix(".__get__").rpartition(".")[2]


def _has_tensor(tree: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for _, leaf in leaves(tree))


def _is_inline(module: Any) -> bool:
    """Whether a module is one of torch's own without anything in it, so that what it calls is what counts."""
    return type(module).__module__.startswith("torch.nn.modules") and not module._modules and not module._parameters


def _paths(module: Any) -> dict[int, tuple[str, ...]]:
    """Each module's place, the first where it has several."""
    found: dict[int, tuple[str, ...]] = {}
    for name, part in module.named_modules():
        found.setdefault(id(part), tuple(name.split(".")) if name else ())
    return found


def _attributes(module: Any) -> dict[int, tuple[str, ...]]:
    """The places of all parameters and buffers."""
    tensors = (*module.named_parameters(), *module.named_buffers())
    return {id(tensor): tuple(name.split(".")) for name, tensor in tensors}


def _run(function: Callable[..., Any], module: Any, args: Any, kwargs: Any) -> Any:
    """The call of a module, by itself so that `_stack` finds where its code begins."""
    return function(module, *args, **kwargs)


def _stack() -> list[FrameType]:
    """The frames of the user's code from the innermost out, up to the call of the innermost module."""
    frame: FrameType | None = sys._getframe(1)
    inside = []
    while frame is not None and frame.f_code is not _run.__code__:
        inside.append(frame)
        frame = frame.f_back
    own = [one for one in inside if not one.f_code.co_filename.startswith((_TORCH, _HERE))]
    return own or [one for one in inside if f"{_TORCH}/nn/modules" in one.f_code.co_filename]
