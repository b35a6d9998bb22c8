"""The communication in a compiled program, and what there must be where rows are split."""

from typing import NamedTuple

from jax.sharding import PartitionSpec as P

from tests.accelerators.hlo import Instruction, parse

KINDS = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")
KINDS += ("collective-broadcast", "ragged-all-to-all")


class Collective(NamedTuple):
    """One collective: its kind, the bytes of each array that it gives (some are combined), and how often it runs."""

    kind: str
    arrays: tuple[int, ...]
    times: int

    @property
    def largest(self) -> int:
        """The bytes of its largest array."""
        return max(self.arrays)

    @property
    def total(self) -> int:
        """The bytes of all its arrays, in all its runs."""
        return sum(self.arrays) * self.times


def collectives(text: str) -> list[Collective]:
    """Every collective of the program; the later half of a pair moves nothing more."""
    runs = ((one, one.opcode.removesuffix("-start"), times) for one, _, times in parse(text).runs())
    return [Collective(kind, _arrays(one, kind), times) for one, kind, times in runs if kind in KINDS]


def _arrays(one: Instruction, kind: str) -> tuple[int, ...]:
    """The bytes of each array that it gives; of one that is only started, these stand after its operands."""
    found = one.arrays
    if not one.opcode.endswith("-start") or kind == "all-reduce":
        return tuple(array.nbytes for array in found)
    if kind == "collective-permute":
        found = [array for array in found if array.shape]
    return tuple(array.nbytes for array in found[len(found) // 2 :])


def specs(split: str, n_axes: int, groups: int) -> tuple[P, P, P]:
    """How x, kernel and y are split by `batch`, `rows` or `channels`: those out, or whole groups."""
    between = [None] * n_axes
    if split == "batch":
        return P("devices"), P(), P("devices")
    if split == "rows":
        return P(None, "devices"), P(), P(None, "devices")
    last = P(None, *between, "devices")
    return (last, P(*between, "devices"), last) if groups > 1 else (P(), P(*between, None, "devices"), last)


def halo(rows: int, kernel: int, out: int, parts: int, stride=1, padding=0, dilation=1, **_) -> tuple[int, int]:
    """The rows of x, and of y, that a device needs from one of its neighbours where both are in so many parts.

    Tap `t` of input row `i` meets output row `i * stride + t * dilation - padding`.
    """
    of_x, of_y = rows // parts, out // parts
    pairs = [(i, i * stride + t * dilation - padding) for i in range(rows) for t in range(kernel)]
    away = [(i - j // of_y * of_x, j - i // of_x * of_y) for i, j in pairs if 0 <= j < out]
    return (
        max(max(-x, x - of_x + 1) for x, _ in away),
        max(max(-y, y - of_y + 1) for _, y in away),
    )
