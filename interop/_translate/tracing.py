"""A run of a PyTorch module, recorded: what each module is called with, what it calls, and what it gives.

The module runs on its example, so that its Python code does what it does, and every function of torch that it calls is
noted on the way. Sizes are numbers that remember their source (`sizes.py`). Modules that Flax has too, and
activations and the like, are not looked into.
"""

import contextlib
import copy
import dataclasses
import enum
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import einops
import torch
from torch.nn.utils.parametrize import ParametrizationList
from torch.overrides import TorchFunctionMode, resolve_name

from .calls import DROPPING, NOT_OF_VALUES, OF_VALUES, RANDOM, RESHAPING, short_name
from .checking import place_of, untraceable
from .folded import normed_by_hook
from .graph import Frame, Node, Refusal, Value, fields, holds_tensors, leaves, tree_map, values
from .hints import note_names, noting_returns
from .memory import Base, Memory, overlap, place
from .sizes import AxisSize, Given, Result, TracedInt, is_traced, traced
from .transformers import step_by_step
from .unchanged import Written, is_new, telling_new, unchanged

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)
# What a library of functions calls its tensors says nothing.
_EINOPS = str(Path(einops.__file__).parent)
# Where torch computes weights under weight norm and spectral norm.
_NORMS = tuple(
    str(Path(torch.nn.utils.__file__).parent / name)
    for name in ("weight_norm.py", "spectral_norm.py", "parametrize.py", "parametrizations.py")
)
# How many elements of a fixed tensor are kept.
MOST_KEPT = 4096


def trace(
    module: torch.nn.Module, args: tuple[Any, ...], is_layer: Callable[[Any], bool]
) -> tuple[Frame | None, list[Refusal]]:
    """The record of `module(*args)` in evaluation mode, and what in it cannot be followed; None if it cannot run.

    Raises ValueError, naming the place, for what the module raises.
    """
    refused = untraceable(module)
    if refused:
        return None, refused
    tracer = _Tracer(module, is_layer)
    given = _copies(args)
    with unchanged(module), tracer.transformers(), torch.no_grad():
        try:
            with telling_new(), tracer.watching(), noting_returns(tracer.note_return), tracer:
                module(*given)
        except Exception as error:
            only = "" if _raises(module, args) else ", though only as it was followed"
            raise ValueError(f"the PyTorch model raised {tracer.described(error)}{only}") from error
        finally:
            tracer.written.restore()
    return tracer.root, tracer.refused


def _copies(args: Any) -> Any:
    return _remade(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, args)


def _raises(module: torch.nn.Module, args: tuple[Any, ...]) -> bool:
    """Whether a module raises an error by itself."""
    try:
        module(*_copies(args))
    except Exception:
        return True
    return False


@contextlib.contextmanager
def _patched(holder: Any, word: str, new: Any) -> Iterator[None]:
    """Another attribute for a while."""
    before = vars(holder)[word]
    setattr(holder, word, new)
    try:
        yield
    finally:
        setattr(holder, word, before)


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
        self.written = Written()
        # Whether values that depend on the inputs went to numpy, from where they may come back.
        self._left = False
        # Tensors that the run makes without a function that is seen, and that are the same in every run.
        self._constants: list[torch.Tensor] = []
        self._failed: tuple[tuple[str, ...], Any] | None = None
        # The memory of tensors that outlast the run, and what they are called.
        tensors = (*module.named_parameters(), *module.named_buffers())
        self._outside = {place(tensor): name for name, tensor in tensors}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Calls of modules come here for a while."""
        original = torch.nn.Module.__call__

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self._quiet or not (self._frames or id(module) in self._paths):
                return original(module, *args, **kwargs)
            if isinstance(module, ParametrizationList):
                return self._normed(original, module)
            if id(module) in self._paths:
                return self._call_module(original, module, args, kwargs)
            if _is_inline(module) or not any(True for _ in (*module.parameters(), *module.buffers())):
                return original(module, *args, **kwargs)
            reason = f"it calls a {type(module).__name__} that is not one of its modules"
            advice = "make it an attribute, or an item of a ModuleList"
            return self._refuse_call(original, (module, *args), kwargs, type(module).__name__, reason, advice)

        with contextlib.ExitStack() as patches:
            for holder, word, new in (
                (torch.nn.Module, "__call__", call),
                (torch.nn.Module, "__setattr__", self._setattr(torch.nn.Module.__setattr__)),
                (torch.autograd.Function, "apply", self._apply(torch.autograd.Function.apply)),
                (torch, "from_numpy", self._from_numpy(torch.from_numpy)),
                (torch.jit.ScriptFunction, "__call__", self._scripted(torch.jit.ScriptFunction.__call__)),
            ):
                patches.enter_context(_patched(holder, word, new))
            yield

    def transformers(self) -> contextlib.AbstractContextManager[None]:
        """torch's own transformers do for a while what can be followed."""
        return step_by_step(lambda: bool(self._frames) and not self._quiet, self._knows, self._silently)

    def _knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor are the same for all inputs."""
        return self._lookup(tensor).example is not None

    def _setattr(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Attributes of modules that hold tensors from one run to the next."""

        def setattr_(module: Any, word: str, new: Any) -> None:
            old = module._buffers.get(word, module._parameters.get(word, vars(module).get(word)))
            is_state = word in module._buffers or word in module._parameters
            is_used = is_state or any(opened.uses(old) for opened in self._frames)
            if self._frames and not self._quiet and isinstance(old, torch.Tensor) and old is not new and is_used:
                self.refuse(f"it keeps {word} from one call to the next", "return it, and take it as an argument")
            original(module, word, new)

        return setattr_

    def _apply(self, original: Any) -> Any:
        """Autograd functions of one's own, whose derivatives a translation would lose."""

        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            function = original.__func__
            if self._quiet or not self._frames or cls.__module__.startswith("torch."):
                return function(cls, *args, **kwargs)
            reason = f"it calls {cls.__name__}, an autograd function of its own"
            advice = "compute it with functions of torch, or write that part in Flax, with jax.custom_vjp"
            return self._refuse_call(function, (cls, *args), kwargs, cls.__name__, reason, advice)

        return classmethod(apply)

    def _from_numpy(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Constants that no function of torch's is seen to make."""

        def from_numpy(array: Any) -> torch.Tensor:
            tensor: torch.Tensor = original(array)
            if self._left and self._frames and not self._quiet:
                with self._silently():
                    self._refused(tensor, OF_VALUES["numpy"], NOT_OF_VALUES)
            else:
                self._constants.append(tensor)
            return tensor

        return from_numpy

    def _scripted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Functions that TorchScript has compiled run as the Python that they were."""

        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            python = getattr(function, "_torchdynamo_inline", None)
            if self._quiet or not self._frames or python is None:
                return original(function, *args, **kwargs)
            return python(*args, **kwargs)

        return call

    def _normed(self, original: Callable[..., Any], entries: Any) -> Any:
        """A weight under weight norm or spectral norm, which is one weight in Flax."""
        here = self._frames[-1]
        with self._silently():
            result = original(entries)
            value = here.know(result)
        *place, _, word = self._paths[id(entries)]
        value.attribute = (*place[len(here.frame.path) :], word)
        return result

    def _refuse_call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, target: str, reason: str, advice: str
    ) -> Any:
        """The call of something that cannot be translated; what it gives is known for what follows."""
        here = self._frames[-1]
        before = [self._replaced(args[1:]), self._replaced(kwargs)]
        with self._silently():
            result = function(*args, **kwargs)
            known = self._known(result)
        node = Node("function", target, before[0], before[1], known, self._where(), refusal=(reason, advice))
        here.frame.nodes.append(node)
        return result

    # Functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._quiet or not self._frames:
            return func(*args, **kwargs)
        if sys._getframe(1).f_code.co_filename.startswith(_NORMS):
            with self._silently():
                return func(*args, **kwargs)
        name = short_name(func)
        if name in ("shape", "size", "numel", "nelement"):
            return self._size(name, func, args, kwargs)
        given = [self._replaced(args), self._replaced(kwargs)]
        first = next((one for one in (kwargs.get("out"), *args) if isinstance(one, torch.Tensor)), None)
        version = None if first is None else first._version
        if first is not None and place(first) in self._outside:
            self.written.keep(first)
        with self._silently():
            result = func(*args, **kwargs)
        written = first is not None and first._version != version
        if name == "__set__" and "data" in str(resolve_name(func)):
            self.refuse("it sets the data of a tensor", "compute a new tensor in its place")
        if not _has_tensor(result) and not written:
            if name in OF_VALUES and not all(value.fixed for value in values(given)):
                self.refuse(OF_VALUES[name], NOT_OF_VALUES)
                self._left = self._left or name in ("numpy", "__array__", "__dlpack__")
            return result
        if result is first and not written and name not in DROPPING:
            return result
        self._note_call(name, given, first if written and name == "__setitem__" else result, first if written else None)
        if first is not None and not written:
            self._frames[-1].memory.note_views(name, first, given[0][1:], given[1], result)
        return result

    def _note_call(self, name: str, given: list[Any], result: Any, written: torch.Tensor | None) -> None:
        here = self._frames[-1]
        old = None if written is None else here.values[id(written)]
        if name == "__setitem__" and written is not None and self._is_written_back(written, given[0]):
            here.values[id(written)].version = written._version
            return
        refusal = None
        if given[1].get("out") is not None:
            refusal = "its result is written into a tensor that is there already", "leave that argument out"
        fixed = all(value.fixed for value in values(given)) and name not in RANDOM
        known = self._known(result, fixed)
        sized = any(is_traced(leaf) for _, leaf in leaves(given)) or any(value.sized for value in values(given))
        for value in values(known):
            value.sized = sized
        target = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        node = Node("function", target, given[0], given[1], known, self._where(), part=self._part, refusal=refusal)
        here.frame.nodes.append(node)
        if written is not None:
            self._note_write(written, old, name)

    def _is_written_back(self, tensor: torch.Tensor, args: Any) -> bool:
        """Whether an element is set to its own view, as in `x[0] += 1` after the addition, which did it already."""
        here = self._frames[-1]
        _, index, value = args
        views = [view for view in here.memory.sharing(tensor) if here.values[id(view)] is value]
        return any(here.memory.base(view) == Base(tensor, "__setitem__", (index,)) for view in views)

    def _note_write(self, written: torch.Tensor, old: Value | None, name: str) -> None:
        """What a write into a tensor does to others in its memory."""
        here = self._frames[-1]
        if name in RESHAPING:
            here.memory.forget_view(written)
            return
        outside = self._outside.get(place(written))
        if outside is not None or (old is not None and old.constant is not None):
            words = outside or "a tensor that is there before it is called"
            self.refuse(f"it writes into {words}", "return the new value, and take it as an argument")
        up_to_date = {id(written)}
        tensor = written
        while (found := here.memory.base(tensor)) is not None and not here.values[id(found.tensor)].stale:
            before, part = here.values[id(found.tensor)], here.values[id(tensor)]
            first = (before,) if found.function == "__setitem__" else (part,)
            last = (part,) if found.function == "__setitem__" else (before,) if found.function == "view_as" else ()
            result = here.know(found.tensor)
            here.frame.nodes.append(
                Node("function", found.function, (*first, *found.args, *last), {}, result, self._where())
            )
            up_to_date.add(id(found.tensor))
            tensor = found.tensor
        for opened in self._frames:
            for other in opened.memory.sharing(written):
                if opened is here and id(other) in up_to_date:
                    continue
                value = opened.values[id(other)]
                if other is written or overlap(other, written):
                    value.stale = True
                elif value.version == written._version - 1:
                    value.version = written._version

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
            try:
                with self._silently():
                    result = original(module, *args, **kwargs)
            except Exception:
                self._failed = self._failed or (path, module)
                raise
        else:
            opened = _Open(Frame(module, path), outside)
            with self._silently():
                args, kwargs = opened.enter(module, args, kwargs)
            self._frames.append(opened)
            try:
                result = _run(original, module, args, kwargs)
                opened.ended = True
                opened.frame.result = self._replaced(tree_map(self._checked, result))
            except Exception:
                self._failed = self._failed or (path, module)
                raise
            finally:
                self._frames.pop()
            frame = opened.frame
        if outside is None:
            self.root = frame
            return result
        # Seen from the outside, a module lies below the one that calls it.
        node = Node("module" if frame else "layer", path, *before, None, where, frame)
        node.module = module
        with self._silently():
            result = _rooted(result, lambda place: Result(node, place))
            node.result = self._known(result)
        node.holder = outside.keep(result)
        outside.frame.nodes.append(node)
        return result

    def _checked(self, leaf: Any) -> Any:
        """What a module gives; in the place of a thing in which tensors may be hidden, which is refused, None."""
        if isinstance(
            leaf, torch.Tensor | int | float | complex | str | bytes | torch.dtype | torch.device | enum.Enum
        ):
            return leaf
        if leaf is not None:
            reason = f"it gives {type(leaf).__name__}, a thing in which tensors cannot be found"
            self.refuse(reason, "give tuples, lists, dicts or dataclasses")
        return None

    # Tensors

    def _known(self, tree: Any, fixed: bool = False) -> Any:
        """A structure of new tensors as one of new values."""
        here = self._frames[-1]
        return tree_map(lambda leaf: here.know(leaf, fixed) if isinstance(leaf, torch.Tensor) else leaf, tree)

    def _replaced(self, tree: Any) -> Any:
        """A structure with values in the place of tensors."""
        self._note_names()
        return tree_map(lambda leaf: self._lookup(leaf) if isinstance(leaf, torch.Tensor) else leaf, tree)

    def _lookup(self, tensor: torch.Tensor) -> Value:
        here = self._frames[-1]
        with self._silently():
            if id(tensor) in here.values:
                value = here.values[id(tensor)]
                if value.stale or value.version != tensor._version:
                    reason = "a tensor is used after a write into another that shares its memory"
                    return self._refused(tensor, reason, "compute a new tensor in place of writing into one")
                return value
            if id(tensor) in here.attributes:
                value = here.know(tensor)
                value.attribute = here.attributes[id(tensor)]
                if not isinstance(tensor, torch.nn.Parameter):
                    value.example = _example(tensor)
                return value
            if id(tensor) in self._attributes:
                name = ".".join(self._attributes[id(tensor)])
                reason = f"it uses {name}, a parameter of a module that is not in it"
                return self._refused(tensor, reason, "give it the tensor as an argument")
            normed = normed_by_hook(here.frame.module, tensor)
            if normed is not None:
                value = here.know(tensor)
                value.attribute = normed
                return value
            if any(id(tensor) in outer.values for outer in self._frames[:-1]):
                reason = "it uses a tensor that it was not called with"
                return self._refused(tensor, reason, "give it the tensor as an argument")
            if is_new(tensor) and not any(one is tensor for one in self._constants):
                reason = "it uses a tensor that was made where PyTorch does not show it, as by a scripted function"
                return self._refused(tensor, reason, "make it with torch's functions")
            value = here.know(tensor, fixed=True)
            value.constant = tensor.detach().clone()
            return value

    def refuse(self, reason: str, advice: str) -> None:
        """Notes that what happens here cannot be translated."""
        self._refuse(Refusal(self._frames[-1].frame.path, self._where(), reason, advice))

    def _refused(self, tensor: torch.Tensor, reason: str, advice: str) -> Value:
        """The same for the use of a tensor, which is known from here on."""
        value = self._frames[-1].know(tensor)
        self._refuse(Refusal(self._frames[-1].frame.path, self._where(), reason, advice), value)
        return value

    def _refuse(self, refusal: Refusal, value: Value | None = None) -> None:
        self.refused.append(refusal)
        node = Node("refusal", "a tensor", (), {}, value, refusal.where, refusal=(refusal.reason, refusal.advice))
        self._frames[-1].frame.nodes.append(node)

    def described(self, error: BaseException) -> str:
        """An error of the run in one line, with the module in which it was raised."""
        path, module = self._failed or ((), None)
        words = " ".join(str(error).split())
        place = f" in {'.'.join(path)!r} ({type(module).__name__})" if path else ""
        return f"{type(error).__name__}{place}" + (f": {words[:300]}" if words else "")

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
            note_names(_stack(), here.values, here.frame.size_names, here.frame.module_names)

    def note_return(self, frame: FrameType) -> None:
        """Notes the names that a module's method has when it returns."""
        if self._frames and frame.f_code is self._frames[-1].code:
            with self._silently():
                here = self._frames[-1]
                note_names([frame], here.values, here.frame.size_names, here.frame.module_names)

    def _where(self) -> str:
        if self._frames and self._frames[-1].ended:
            return place_of(self._frames[-1].frame.module)
        for frame in _stack():
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        return ""


class _Open:
    """A frame in the making: its values by the tensors that they are."""

    def __init__(self, frame: Frame, outside: "_Open | None") -> None:
        self.frame = frame
        self.outside = outside
        self.values: dict[int, Value] = {}
        self.attributes = _attributes(frame.module)
        self.code = getattr(frame.module.forward, "__code__", None)
        self.memory = Memory()
        self.ended = False
        # Nothing may be freed, or another tensor would get its place in memory and so its number.
        self._kept: list[Any] = []

    def know(self, tensor: torch.Tensor, fixed: bool = False) -> Value:
        """A new value for what the tensor holds now."""
        value = Value(tuple(map(int, tensor.shape)), str(tensor.dtype).removeprefix("torch."))
        value.version, value.fixed = tensor._version, fixed
        if fixed:
            value.example = _example(tensor)
        self.values[id(tensor)] = value
        self.memory.note(tensor)
        self._kept.append(tensor)
        return value

    def uses(self, tensor: Any) -> bool:
        """Whether anything was computed from a tensor."""
        value = self.values.get(id(tensor))
        return value is not None and any(value in values([node.args, node.kwargs]) for node in self.frame.nodes)

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
            new = _rooted(tree, functools.partial(_given, name))
            given[name] = new
            self.frame.parameters[name] = tree_map(
                lambda leaf: self._parameter(leaf) if isinstance(leaf, torch.Tensor) else leaf, new
            )
        bound.arguments.update(given)
        return bound.args, bound.kwargs

    def _parameter(self, tensor: torch.Tensor) -> Value:
        known = self.values.get(id(tensor))
        if known is None:
            known = self.know(tensor)
            outer = self.outside.values.get(id(tensor)) if self.outside is not None else None
            known.example = None if outer is None else outer.example
        return known


def _given(name: str, where: tuple[Any, ...]) -> Given:
    return Given((name, *where))


def _example(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.detach().clone() if tensor.numel() <= MOST_KEPT else None


def _rooted(tree: Any, source: Callable[[tuple[Any, ...]], Any]) -> Any:
    """The structure, of the types that it has, with traced numbers that come from here."""
    if not any(is_traced(leaf) for _, leaf in leaves(tree)):
        return tree
    places = iter([place for place, _ in leaves(tree)])

    def rooted(leaf: Any) -> Any:
        where = next(places)
        return traced(leaf, source(where)) if is_traced(leaf) else leaf

    return _remade(rooted, tree)


def _remade(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure, of the types that it has, with the function of each leaf."""
    if isinstance(tree, tuple | list):
        items = [_remade(function, item) for item in tree]
        return items if type(tree) is list else type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if isinstance(tree, dict):
        found = copy.copy(tree)
        for key, item in tree.items():
            found[key] = _remade(function, item)
        return found
    if holds_tensors(tree):
        return dataclasses.replace(tree, **{key: _remade(function, item) for key, item in fields(tree).items()})
    return tree_map(function, tree)


def _has_tensor(tree: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for _, leaf in leaves(tree))


def _is_inline(module: Any) -> bool:
    """Whether a module is one of torch's or einops' without anything in it, so that what it calls is what counts."""
    known = type(module).__module__.startswith(("torch.nn.modules", "einops.layers"))
    return known and not module._modules and not module._parameters


def _paths(module: Any) -> dict[int, tuple[str, ...]]:
    """Each module's place, the first where it has several."""
    found: dict[int, tuple[str, ...]] = {}
    for name, part in module.named_modules():
        found.setdefault(id(part), tuple(name.split(".")) if name else ())
    return found


def _attributes(module: Any) -> dict[int, tuple[str, ...]]:
    """The places of all parameters and buffers."""
    kept = ((name, tensor) for name, tensor in module.named_buffers() if not _is_fleeting(module, name))
    return {id(tensor): tuple(name.split(".")) for name, tensor in (*module.named_parameters(), *kept)}


def _is_fleeting(module: Any, name: str) -> bool:
    """Whether a buffer is left out of the state dict, so that a twin in Flax has it as a constant."""
    *path, word = name.split(".")
    for step in path:
        module = module._modules[step]
    return word in module._non_persistent_buffers_set


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
    own = [one for one in inside if not one.f_code.co_filename.startswith((_TORCH, _HERE, _EINOPS))]
    return own or [one for one in inside if f"{_TORCH}/nn/modules" in one.f_code.co_filename]
