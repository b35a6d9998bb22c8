"""The bilinear map as a table: three arrays, three ops, and the letters that join them. Every rule derives from it.

    x  the input          (N, *input_size, I)
    w  the kernel         (*kernel_size, I, O // groups)
    y  the output         (N, *output_size, O)

The channels behave as in a matrix product `y[N, O] = x[N, I] w[I, O]`: each letter joins two of the arrays, and an op
sums over the letter that its two operands share. The channels of x and y, and I in w, are ordered by group.
"""

from collections.abc import Sequence
from typing import Any

from jax_tconv._call.geometry import Geometry

OPERANDS = {"T": ("x", "w"), "C": ("y", "w"), "W": ("x", "y")}
RESULT = {"T": "y", "C": "x", "W": "w"}
OP_COMPUTING = {role: op for op, role in RESULT.items()}

AXES = {"x": {"N": 0, "I": -1}, "w": {"I": -2, "O": -1}, "y": {"N": 0, "O": -1}}
GROUPED_LETTER = {"x": "I", "w": "I", "y": "O"}


def shared_letter(role: str, other: str) -> str:
    """The letter that joins two of the arrays."""
    (letter,) = AXES[role].keys() & AXES[other].keys()
    return letter


def groups_within(role: str, letter: str, groups: int) -> int:
    """How many groups the axis `letter` of array `role` runs through: the batch has none, nor has O in w."""
    return groups if GROUPED_LETTER[role] == letter else 1


def result_shape(op: str, a: Sequence[Any], b: Sequence[Any], geometry: Geometry) -> tuple[Any, ...]:
    """The shape of `op`'s result, from those of its operands."""
    shapes = dict(zip(OPERANDS[op], (a, b), strict=True))
    match op:
        case "T":
            return (shapes["x"][0], *geometry.output_size, shapes["w"][-1] * geometry.groups)
        case "C":
            return (shapes["y"][0], *geometry.input_size, shapes["w"][-2])
        case _:
            return (*geometry.kernel_size, shapes["x"][-1], shapes["y"][-1] // geometry.groups)


def channels(op: str, a: Sequence[Any], b: Sequence[Any], geometry: Geometry) -> tuple[int, int]:
    """The numbers of input and output channels, from the shapes of `op`'s operands."""
    shapes = dict(zip(OPERANDS[op], (a, b), strict=True))
    shapes[RESULT[op]] = result_shape(op, a, b, geometry)
    return shapes["x"][-1], shapes["y"][-1]
