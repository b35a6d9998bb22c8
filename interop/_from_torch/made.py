"""Calls that make the parts of a model, written down, so that they can be made and can be printed as source."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from flax import nnx


class _Rngs:
    def __repr__(self) -> str:
        return "rngs"


# Among the arguments of a call, this stands for the random numbers that the model is made with.
RNGS = _Rngs()


@dataclasses.dataclass(frozen=True)
class Make:
    """The call of a layer's class. Its arguments may hold other calls, which are made first."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    # What makes no difference once values are loaded and `train` or `eval` is called: it is never printed.
    initial: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self, rngs: nnx.Rngs) -> Any:
        """The layer, which draws from `rngs`."""

        def made(value: Any) -> Any:
            if isinstance(value, Make | Apply):
                return value.make(rngs)
            return rngs if value is RNGS else value

        kwargs = {**self.kwargs, **self.initial}
        return self.function(*map(made, self.args), **{name: made(value) for name, value in kwargs.items()})


@dataclasses.dataclass(frozen=True)
class Apply:
    """A function that takes the input, and the arguments that it takes besides."""

    function: Callable[..., Any]
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self, rngs: nnx.Rngs | None = None) -> Callable[..., Any]:
        """The function of the input alone."""
        return functools.partial(self.function, **self.kwargs) if self.kwargs else self.function


Twin: TypeAlias = Make | Apply
