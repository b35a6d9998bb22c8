"""The arithmetic of transposed convolution, on Python ints: where each row lands and how many there are. No arrays.

Input row `i` meets kernel tap `t` and lands on output row `i * stride + t * dilation - padding_low`, if there is such
a row. Everything else follows from that sentence; V. Dumoulin and F. Visin, "A guide to convolution arithmetic for
deep learning" (2016), chapter 4, draws it, and PyTorch's ConvTranspose documentation states the output size.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jax_tconv._call.arguments import IntOrInts, Padding, is_int, listed, padding_pairs, per_axis


class Axis(NamedTuple):
    """One spatial axis of a `Geometry`."""

    input_size: int
    kernel_size: int
    output_size: int
    stride: int
    dilation: int
    padding_low: int


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Both spatial sizes of one transposed convolution and all that lies between them; each tuple has one int per axis.

    `padding_low` counts the rows removed from the start of the full output; negative, it adds rows there. What is
    removed at the end follows from `output_size`.
    """

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    output_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding_low: tuple[int, ...]
    groups: int = 1

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.kernel_size)

    @property
    def axes(self) -> list[Axis]:
        """The same, axis by axis."""
        sizes = (self.input_size, self.kernel_size, self.output_size)
        return [Axis(*values) for values in zip(*sizes, self.stride, self.dilation, self.padding_low, strict=True)]

    @property
    def padding_high(self) -> tuple[int, ...]:
        """Rows removed from the end of the full output; negative where output padding adds more than that."""
        full = _full_size(self.input_size, self.kernel_size, self.stride, self.dilation)
        return tuple(n - low - out for n, low, out in zip(full, self.padding_low, self.output_size, strict=True))

    def with_groups(self, groups: int) -> "Geometry":
        """The same sizes with another number of groups."""
        return dataclasses.replace(self, groups=groups)


@dataclasses.dataclass(frozen=True)
class Window:
    """The arguments that do not depend on the input, checked and spelled out: one value per spatial axis each."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    padding_name: str | None

    def geometry(self, input_size: Sequence[int], output_size: IntOrInts | None = None, groups: int = 1) -> Geometry:
        """The geometry for this input size; ValueError where no output, or not the output asked for, results."""
        sizes = per_axis("input_size (of x's spatial axes)", input_size, len(self.kernel_size), least=1)
        full = _full_size(sizes, self.kernel_size, self.stride, self.dilation)
        smallest = tuple(n - low - high for n, (low, high) in zip(full, self.padding, strict=True))
        if output_size is None:
            chosen = tuple(n + extra for n, extra in zip(smallest, self.output_padding, strict=True))
        else:
            chosen = self._reachable(output_size, smallest, sizes)
        if min(chosen) < 1:
            raise ValueError(
                f"the output would be empty, of size {chosen}, for input size {sizes}, kernel_size {self.kernel_size}, "
                f"stride {self.stride}, dilation {self.dilation}, padding {self.padding}; use less padding"
            )
        low = tuple(low for low, _ in self.padding)
        return Geometry(sizes, self.kernel_size, chosen, self.stride, self.dilation, low, groups)

    def _reachable(self, output_size: IntOrInts, smallest: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
        if self.padding_name:
            raise ValueError(
                f'output_size must be left out with padding="{self.padding_name}", which makes it {smallest}; '
                f"got {output_size!r}"
            )
        chosen = per_axis("output_size", output_size, len(smallest))
        # PyTorch's range, narrower than what output_padding alone may reach where dilation exceeds the stride.
        largest = tuple(n + s - 1 for n, s in zip(smallest, self.stride, strict=True))
        if any(not lo <= n <= hi for n, lo, hi in zip(chosen, smallest, largest, strict=True)):
            ranges = ", ".join(
                f"{lo} to {hi}" if lo < hi else f"{lo}" for lo, hi in zip(smallest, largest, strict=True)
            )
            raise ValueError(
                f"output_size {output_size!r} is out of reach of input size {sizes}; reachable, axis by axis: {ranges}"
            )
        return chosen


def window(
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    names: Mapping[str, str] | None = None,
) -> Window:
    """Checks the arguments and spells them out; the length of `kernel_size` is the number of spatial axes.

    `names` maps an argument's name to what the user at hand knows it by, so that an error names what was written.
    Raises TypeError for values that are not ints, ValueError for ints out of range or the wrong number of them.
    """
    called = {name: name for name in ("stride", "dilation")} | dict(names or {})
    n_axes = 1 if is_int(kernel_size) else len(listed("kernel_size", kernel_size))
    if n_axes == 0:
        raise ValueError("kernel_size must hold one int per spatial axis, got none")
    kernel = per_axis("kernel_size", kernel_size, n_axes, least=1)
    strides = per_axis(called["stride"], stride, n_axes, least=1)
    dilations = per_axis(called["dilation"], dilation, n_axes, least=1)
    extra = per_axis("output_padding", output_padding, n_axes, least=0)
    for axis, (o, s, d) in enumerate(zip(extra, strides, dilations, strict=True)):
        if o >= max(s, d):
            raise ValueError(
                f"output_padding must be less than max({called['stride']}, {called['dilation']}) = {max(s, d)} on "
                f"spatial axis {axis}, got {output_padding!r}"
            )
    pads = padding_pairs(padding, n_axes)
    if isinstance(pads, str):
        if any(extra):
            raise ValueError(
                f'output_padding must be 0 with padding="{pads}", which fixes the size; got {output_padding!r}'
            )
        return Window(kernel, strides, _named_padding(pads, kernel, strides, dilations), extra, dilations, pads)
    return Window(kernel, strides, pads, extra, dilations, None)


def output_shape(
    input_size: IntOrInts,
    kernel_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: IntOrInts | None = None,
    dilation: IntOrInts = 1,
) -> tuple[int, ...]:
    """The spatial size of a transposed convolution's output, by PyTorch's formula, without any array.

    On each axis `(input - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`.

    Args:
      input_size: an int for one spatial axis, or one int per axis.
      kernel_size: an int (the same on every axis), or one int per axis.
      stride, padding, output_padding, output_size, dilation: as in `conv_transpose`.

    Returns:
      One int per spatial axis.

    Raises:
      TypeError, ValueError: as `conv_transpose` does.

    Example:
      >>> from jax_tconv import output_shape
      >>> output_shape((32, 32), 3, stride=2, padding=1, output_padding=1)
      (64, 64)
      >>> output_shape(12, 5, stride=2), output_shape(12, 5, stride=2, output_size=28)
      ((27,), (28,))
    """
    sequences = [(n, v) for n, v in (("input_size", input_size), ("kernel_size", kernel_size)) if not is_int(v)]
    n_axes = len(listed(*sequences[0])) if sequences else 1
    sizes = per_axis("input_size", input_size, n_axes, least=1)
    kernel = per_axis("kernel_size", kernel_size, n_axes, least=1)
    arguments = window(kernel, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation)
    return arguments.geometry(sizes, output_size).output_size


def _full_size(
    input_size: tuple[int, ...], kernel_size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """The output's size before any padding is taken off."""
    axes = zip(input_size, kernel_size, stride, dilation, strict=True)
    return tuple((n - 1) * s + d * (k - 1) + 1 for n, k, s, d in axes)


def _named_padding(
    name: str, kernel_size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """What jax.lax.conv_transpose (so Flax with transpose_kernel=True, and Keras) means by the name, as our padding.

    SAME makes the output `input * stride`, VALID makes it `input * stride + max(extent - stride, 0)`.
    """
    excess = [d * (k - 1) + 1 - s for k, s, d in zip(kernel_size, stride, dilation, strict=True)]
    if name == "SAME":
        return tuple((max(e, 0) // 2, e - max(e, 0) // 2) for e in excess)
    return tuple((0, min(e, 0)) for e in excess)
