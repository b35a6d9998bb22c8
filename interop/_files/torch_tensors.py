"""Tensors as a pickle of `torch.save` describes them: a storage of bytes, and a shape and strides over it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._tensors import DTYPES
from .._text import plain
from .allowance import Allowance
from .mapped import Bytes, view
from .pickles import MOST_ARGUMENTS, Name, Unmade, as_dict
from .refusal import Refused

MOST_AXES = 64  # numpy's
_STEPS = 14  # of making a tensor without axes

# The dtypes of torch's types of storage.
_PAIRS = """
    Bool=bool Byte=uint8 Char=int8 Short=int16 Int=int32 Long=int64 Half=float16 BFloat16=bfloat16
    Float=float32 Double=float64 ComplexFloat=complex64 ComplexDouble=complex128 Untyped=uint8
"""
_STORAGES = {f"{theirs}Storage": ours for theirs, ours in (pair.split("=") for pair in _PAIRS.split())}


@dataclass(eq=False, slots=True)
class Storage:
    """Bytes that tensors share. `raw` is where they are, once that is known, and `copies` what was made of them."""

    dtype: np.dtype[Any]
    nbytes: int
    raw: Bytes | None = None
    copies: dict[Any, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """A view of a storage; `offset` and `strides` count elements."""

    storage: Storage
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    conjugate: bool
    negative: bool

    @property
    def nbytes(self) -> int:
        """The size of the tensor when written out: for an expanded one, more than it takes in the file."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def copies(self) -> tuple[Any, ...]:
        """What `array` copies: where that begins, its shape and strides, and what is done to it. Empty if nothing."""
        if not self.nbytes or not (self.conjugate or self.negative or self.dtype == np.bool_):
            return ()
        span = 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if span > math.prod(self.shape):  # of a few elements far apart
            return (self.offset, self.shape, self.strides, self.dtype, self.conjugate, self.negative)
        return (self.offset, (span,), (1,), self.dtype, self.conjugate, self.negative)

    def array(self, copy: bool = False) -> NDArray[Any]:
        """The tensor as a view of the file, if its alignment there allows one, or with `copy` of its storage's copy.

        One that has to be computed is a view of a copy, of those elements alone and one for all tensors that share
        them: no copy is larger than its storage, however often a tensor repeats it.
        """
        if self.storage.raw is None:
            raise Refused("is broken: the bytes of one of its storages are missing")
        key = self.copies
        if not key or self.dtype == np.bool_:
            return _elements(self.storage.raw, self.dtype, self.shape, self.offset, self.strides, copy)
        offset, shape, strides, *_ = key
        if key not in self.storage.copies:
            # Computing with mapped memory is not safe.
            array = _elements(self.storage.raw, self.dtype, shape, offset, strides, copy=True)
            array = np.conj(array) if self.conjugate else array
            array = np.asarray(np.negative(array) if self.negative else array)
            array.flags.writeable = False
            self.storage.copies[key] = array
        array = self.storage.copies[key]
        if shape == self.shape:
            return array
        return np.ndarray(
            self.shape, self.dtype, array, strides=tuple(stride * self.dtype.itemsize for stride in self.strides)
        )


def _elements(
    raw: Bytes, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int, strides: tuple[int, ...], copy: bool
) -> NDArray[Any]:
    """An array over `raw` whose `offset` and `strides` count elements."""
    size = dtype.itemsize
    array = view(raw, dtype, shape, offset * size, tuple(stride * size for stride in strides), copy=copy)
    array.flags.writeable = False
    return array


def storage(kind: Any, numel: Any) -> Storage | Unmade:
    """The storage of a persistent id's type and length; `Unmade` for one that numpy lacks, such as a quantized one."""
    if not isinstance(kind, Name) or not _is_size(numel):
        raise Refused("is broken: one of its storages has no type or no size")
    name = _STORAGES.get(kind.name.rpartition(".")[2]) if kind.name.startswith("torch.") else None
    return Storage(DTYPES[name], numel * DTYPES[name].itemsize) if name else Unmade(kind.name)


def place(storage: Storage, raw: Bytes) -> None:
    """Says where a storage's bytes are."""
    if len(raw) != storage.nbytes:
        raise Refused(f"is cut short: it declares a storage of {storage.nbytes:,} bytes, but {len(raw):,} are there")
    # Bytes without a type may be any tensor's, whose alignment is at most 8.
    storage.raw = raw.aligned(8 if storage.dtype == np.uint8 else storage.dtype.alignment)


def _rebuild(
    storage: Any, offset: Any, shape: Any, strides: Any, dtype: np.dtype[Any] | None = None, metadata: Any = None
) -> Tensor | Unmade:
    if isinstance(storage, Unmade):
        return storage
    if not isinstance(storage, Storage):
        raise Refused("is broken: one of its tensors has no storage")
    dtype = dtype or storage.dtype
    axes = (
        len(shape) if isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) else None
    )
    if axes is None or axes > MOST_AXES or not all(map(_is_size, (offset, *shape, *strides))):
        raise Refused("is broken: one of its tensors has no valid shape and strides")
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if all(shape) and (offset + last + 1) * dtype.itemsize > storage.nbytes:
        raise Refused(
            f"is broken: a tensor of shape {shape} begins at element {offset} of a storage, and ends beyond its "
            f"{storage.nbytes:,} bytes"
        )
    flags = metadata if isinstance(metadata, dict) else {}
    # An empty tensor may begin anywhere.
    offset = offset if all(shape) else 0
    return Tensor(storage, dtype, offset, shape, strides, bool(flags.get("conj")), bool(flags.get("neg")))


def _rebuild_v2(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Tensor | Unmade:
    return _rebuild(storage, offset, shape, strides, None, *rest[2:3])


def _rebuild_v3(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Tensor | Unmade:
    name = rest[2].name.removeprefix("torch.")
    if name not in DTYPES:
        return Unmade(f"torch.{plain(name)}")
    return _rebuild(storage, offset, shape, strides, DTYPES[name], *rest[3:4])


def _rebuild_on_device(tensor: Any, dtype: Any, *_: Any) -> Any:
    return tensor if tensor.dtype.name == dtype.name.removeprefix("torch.") else Unmade(dtype.name)


def _rebuild_from_type(function: Any, cls: Any, arguments: Any, *_: Any) -> Any:
    plain_types = {"torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"}
    if cls.name in plain_types and function.name in _REBUILDS and len(arguments) <= MOST_ARGUMENTS:
        return _REBUILDS[function.name](*arguments)
    return Unmade(cls.name)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48  # checked before any product: Python's ints are unlimited


_REBUILDS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_v2,
    "torch._utils._rebuild_tensor_v2": _rebuild_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_v3,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch.nn.parameter.Parameter": lambda tensor, *_: tensor,  # torch before 0.4
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _rebuild_on_device,  # of a TPU, as torch_xla saves
}
_CALLS = _REBUILDS | {
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch.Size": lambda sizes: sizes,
    "collections.defaultdict": lambda *_: {},
    # A set would hash its items.
    "__builtin__.set": lambda items=(): items,
    "builtins.set": lambda items=(): items,
}


def calls(allowance: Allowance) -> dict[str, Callable[..., Any]]:
    """What answers the calls of a pickle of `torch.save`."""
    make_dict = partial(as_dict, allowance)
    counted = {name: partial(_counted, allowance, function) for name, function in _CALLS.items()}
    return counted | {"collections.OrderedDict": make_dict, "collections.Counter": make_dict}


def _counted(allowance: Allowance, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns; a tensor takes work by its axes."""
    made = function(*arguments)
    if isinstance(made, Tensor):
        allowance.take(_STEPS + len(made.shape))
    return made
