"""The rules for a CPU: what suits which shape, and the measurements that say so.

Found on two cores with some fifty layers of published networks (`benchmarks/` times them), in float32:

- XLA's `dot` and its plain convolution in one or two axes run at the machine's rate of multiplication. Its grouped,
  dilated, three-dimensional and zero-stuffed convolutions do not, by factors of 2 to 100.
- What is left to save is copying: some 15 MB a millisecond in the cache, but 2.5 MB where an array beyond 32 MB is
  mapped and page-faulted afresh (`methods/rows.py`). So the form with the least between its steps wins: the columns of
  the product (taps x channels out), the input's patches (taps x channels in, over the phases), or blocks (neither).
- A product with fewer than some hundred columns, or a sum over fewer channels than that, is slower than its size says.
"""

import dataclasses
import math
from typing import Any

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.col2im import mostly_seams
from jax_tconv._selection.choice import Choice

# Channels from which on a product is fast enough to pay for laying out its operands.
WIDE = 128
# Taps from which on patches are many times larger than what they are taken from.
MANY_TAPS = 100
# Columns of patches up to which they are laid out for all taps at once.
MAX_PATCH = 2048
# Values in a kernel from which on a copy of it costs more than the products that it would speed up.
HEAVY_KERNEL = 2**21
# Groups computed one by one: compile time grows with each, and 64 of them take 2 s an op.
MAX_SEPARATE_GROUPS = 16


def choose(op: str, geometry: Geometry, c_in: int, c_out: int, batch: Any, several_devices: bool) -> Choice:
    """The rule for `op`, first for groups and devices, then in terms of one group's shape."""
    groups = geometry.groups
    if op == "W" and several_devices:
        return Choice(op, "col2im", "several devices: one product, so one sum over them", whole=True)
    if groups > 1 and c_in == c_out == groups:
        return Choice(op, "taps", "a channel a group: multiplications a tap, which XLA fuses")
    if 1 < groups <= MAX_SEPARATE_GROUPS:
        alone = choose(op, geometry.with_groups(1), c_in // groups, c_out // groups, batch, False)
        return dataclasses.replace(alone, by_group=True)
    rule = {"T": _forward, "C": _input_gradient, "W": _kernel_gradient}[op]
    return rule(_Layer(geometry, c_in // groups, c_out // groups, batch if isinstance(batch, int) else 1))


@dataclasses.dataclass(frozen=True)
class _Layer:
    """What the rules look at; `c_in` and `c_out` are one group's."""

    geometry: Geometry
    c_in: int
    c_out: int
    batch: int

    @property
    def taps(self) -> int:
        return math.prod(self.geometry.kernel_size)

    @property
    def apart(self) -> bool:
        """No two taps meet in an output row."""
        return all(axis.kernel_size <= axis.stride and axis.dilation == 1 for axis in self.geometry.axes)

    @property
    def even(self) -> bool:
        """All phases have as many taps."""
        return all(axis.kernel_size % axis.stride == 0 for axis in self.geometry.axes)

    @property
    def plain(self) -> bool:
        """XLA has a fast convolution for it, once no zeros are between rows."""
        geometry = self.geometry
        return geometry.groups == 1 and geometry.ndim <= 2 and set(geometry.dilation) == {1}

    @property
    def heavy(self) -> bool:
        """A few pixels meet a kernel of many megabytes, as at the bottom of a U-Net."""
        pixels, kernel = self.batch * math.prod(self.geometry.input_size), self.taps * self.c_in * self.c_out
        return self.geometry.ndim > 1 and pixels < self.c_out and kernel >= HEAVY_KERNEL


def _forward(layer: _Layer) -> Choice:
    geometry = layer.geometry
    # DCGAN's first layer, 1x1 to 4x4: 2 ms, where the others multiply fifteen zeros for each value and take 11.
    if math.prod(geometry.output_size) > 2 * math.prod(geometry.input_size + geometry.stride):
        return Choice(
            "T", "col2im", "few pixels and a large kernel: other methods would multiply the zeros around them"
        )
    # FCN-8s, k16 s8, 21 channels: 13 ms in chunks; as a convolution, all at once, 11 to 27 as the 27 MB between fall.
    if layer.taps > MANY_TAPS and geometry.ndim > 1:
        return Choice("T", "im2col", "a product for all phases of a block, a few rows at a time")
    if layer.taps > MANY_TAPS or (layer.plain and layer.even and not layer.apart and layer.c_out < WIDE) or layer.heavy:
        return Choice("T", "subpixel", "one plain convolution for all phases, which have as many taps each")
    # CycleGAN, k3 s2: 18 ms, where phases of equal size multiply 16 taps in place of 9 and take 27. U-Net, k2 s2: 9 ms.
    if layer.apart or not ((layer.even and geometry.ndim > 1) or mostly_seams(geometry, layer.batch, layer.c_out)):
        return Choice("T", "col2im", "a product with all taps at once, a few rows at a time, and their sum")
    # Pose ResNet, k4 s2, 256 channels: 48 ms; the sum of all taps' products moves four times as much and takes 65.
    return Choice("T", "im2col", "a product a phase, with the input's patches, a few rows at a time")


def _input_gradient(layer: _Layer) -> Choice:
    # U-Net, k2 s2: 9 ms, and 18 as a convolution. FCN-8s: 20 and 130.
    if layer.apart or layer.taps > MANY_TAPS:
        return Choice("C", "subpixel", "blocks of the cotangent: a copy of it, where patches would be more")
    # pix2pix, 1024 channels at 2x2: 2.5 ms, and 10 to 45 in the forms that lay the kernel out anew.
    if layer.heavy:
        return Choice("C", "taps", "fewer pixels than channels out: products a tap, which leave the kernel as it is")
    # Patches of 3 channels are copied 3 values at a time; in one axis they repeat each value kernel / stride times.
    if layer.plain and (layer.c_out < WIDE // 4 or layer.geometry.ndim == 1):
        return Choice("C", "lhs_dilation", "few channels out: a strided convolution, computed as such")
    # PSMNet, k3 s2 in three axes: 8 ms, and 14 as a convolution; in two axes the same or a little less.
    return Choice("C", "col2im", "a product with the cotangent's patches, a few rows at a time")


def _kernel_gradient(layer: _Layer) -> Choice:
    narrow = layer.c_in < WIDE or layer.c_out < WIDE // 2
    # DCGAN's last layer, 3 channels out: 8 ms, and 64 with a product of 3 columns a tap.
    if not layer.apart and narrow and layer.taps <= MANY_TAPS and layer.taps * layer.c_out <= MAX_PATCH:
        return Choice("W", "col2im", "few channels: all taps in one product, a few rows at a time")
    # SAM, k2 s2: 3 ms, and 5 with a product a tap. FCN-8s: 19 and 46.
    if layer.apart or layer.taps > MANY_TAPS:
        return Choice("W", "subpixel", "blocks of the cotangent: a copy of it, where patches would be more")
    # DCGAN's third layer: 28 ms, and 45 with patches, of which each chunk adds a whole kernel to the sum.
    return Choice("W", "taps", "a product a tap, and nothing the size of patches")
