"""The argument sets that every method runs through: one list, with what each is there for."""

import dataclasses

import numpy as np

from jax_tconv._call.call import checked_call
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import METHODS as ALL_METHODS
from tests import reference

# Those that run here, on a CPU.
METHODS = {name: module for name, module in ALL_METHODS.items() if "cpu" in getattr(module, "PLATFORMS", ("cpu",))}


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of the op: sizes, arguments as PyTorch takes them, and why it is here."""

    why: str
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    c_in: int = 2
    c_out: int = 3
    batch: int = 2

    @property
    def arguments(self) -> dict:
        """The keyword arguments of `jax_tconv.conv_transpose`, and of torch's."""
        names = ("stride", "padding", "output_padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def reference_arguments(self) -> dict:
        """The same for the numpy reference, which takes padding in pairs."""
        return self.arguments | {"padding": tuple((p, p) for p in self.padding)}

    def draw(self, dtype=np.float64, seed=0):
        """Input and kernel in the canonical layout."""
        rng = np.random.default_rng(seed)
        shapes = (
            (self.batch, *self.size, self.c_in * self.groups),
            (*self.kernel, self.c_in * self.groups, self.c_out),
        )
        x, kernel = (rng.standard_normal(shape) for shape in shapes)
        if np.issubdtype(dtype, np.complexfloating):
            x, kernel = (v + 1j * rng.standard_normal(v.shape) for v in (x, kernel))
        return x.astype(dtype), kernel.astype(dtype)

    def judged(self, op, dtype=np.float64) -> tuple:
        """The two operands of `op`, drawn and rounded to `dtype`, and what the reference makes of them in float64."""
        x, kernel = (v.astype(dtype).astype(np.float64) for v in self.draw())
        y = reference.conv_transpose(x, kernel, **self.reference_arguments)
        g = np.random.default_rng(1).standard_normal(y.shape).astype(dtype).astype(np.float64)
        if op == "forward":
            return (x, kernel), y
        x_bar, kernel_bar = reference.gradients(x, kernel, g, **self.reference_arguments)
        return ((g, kernel), x_bar) if op == "input_gradient" else ((x, g), kernel_bar)

    def geometry(self) -> Geometry:
        """The case as the methods take it."""
        shapes = (v.shape for v in self.draw())
        return checked_call(*shapes, **self.arguments, output_size=None).geometry

    def __str__(self) -> str:
        return self.why.replace(" ", "-")


def _case(why, size, kernel, stride=1, padding=0, output_padding=0, dilation=1, **rest):
    n = len(size)
    spread = ((v,) * n if isinstance(v, int) else v for v in (kernel, stride, padding, output_padding, dilation))
    return Case(why, size, *spread, **rest)


CASES = [
    _case("plain 1d", (5,), 3),
    _case("kernel a multiple of stride 1d", (6,), 8, 4, 2),
    _case("kernel less than stride 1d", (4,), 2, 5),
    _case("phases out of order 1d", (7,), 8, 5, 3, 2, 2),
    _case("phases out of order 2d", (4, 5), (5, 9), (5, 7), 2, 0, (2, 3)),
    _case("doubling 2d", (4, 5), 4, 2, 1),
    _case("output padding 2d", (3, 4), 3, 2, 1, 1),
    _case("nothing overlaps 2d", (3, 2), 2, 2),
    _case("kernel three times the stride 2d", (4, 3), 9, 3, 4, 2),
    _case("uneven axes 2d", (4, 3), (3, 2), (2, 3), (0, 1), (1, 0), (1, 2)),
    _case("padding beyond the kernel 2d", (6, 7), 3, 2, (4, 3)),
    _case("output padding beyond the stride 2d", (3, 3), 2, (2, 1), 0, (3, 2), (4, 3)),
    _case("stride and dilation share a factor 2d", (3, 4), 3, 4, 2, 1, 2),
    _case("stride divides dilation 2d", (4, 4), 3, 2, 1, 3, 4),
    _case("one axis that XLA takes for a batch 2d", (6, 4), (2, 8), 2, (1, 0)),
    _case("grouped 2d", (3, 4), 3, 2, 1, 1, groups=3),
    _case("depthwise 2d", (4, 4), 4, 2, 1, groups=4, c_in=1, c_out=1),
    _case("grouped and dilated 2d", (5, 4), 3, 1, (4, 1), 0, (3, 1), groups=2),
    _case("one pixel 2d", (1, 1), 4, groups=2),
    _case("one tap 2d", (3, 3), 1, 3, 0, 2),
    _case("many taps and dilated 2d", (3, 4), (11, 10), (3, 2), (4, 9), (0, 1), (2, 3)),
    _case("doubling 3d", (2, 3, 2), 3, 2, 1, 1),
    _case("uneven axes 3d", (2, 1, 3), (2, 3, 1), (2, 1, 3), (1, 0, 0), (0, 1, 2), (1, 2, 1), groups=2),
]
