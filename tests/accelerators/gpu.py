"""What a compiled GPU program takes, from its text: per kernel, the larger of bytes and flops, and a launch."""

import math

from tests.accelerators.hlo import Array, Instruction, Program

LAUNCH_SECONDS = 2e-6


def seconds(program: Program, peak: float, bandwidth: float) -> float:
    """The estimate; `peak` in flops per second of the products' dtype."""
    total = 0.0
    for one, read, times in program.runs():
        nbytes = sum(array.nbytes for array in [*one.arrays, *read])
        total += times * (max(nbytes / bandwidth, _flops(program, one, read) / peak) + LAUNCH_SECONDS)
    return total


def flops(program: Program) -> int:
    """Of all products and convolutions, zeros that stand in the arrays included."""
    return sum(times * _flops(program, one, read) for one, read, times in program.runs())


def _flops(program: Program, one: Instruction, read: list[Array]) -> int:
    if one.opcode == "fusion":
        inner = program.computations[one.attribute(r"calls=%?([\w.\-]+)")]
        return sum(
            _flops(program, each, [array for o in each.operands if o in inner for array in inner[o].arrays])
            for each in inner.values()
        )
    target = one.attribute(r'custom_call_target="([^"]+)"')
    if one.opcode == "convolution" or "conv" in target:
        return _convolution_flops(one, read, target)
    if one.opcode == "dot" or "gemm" in target or "matmul" in target:
        contracting = one.attribute(r'lhs_contracting_dim(?:ension)?s"?[=:][\[{]"?(\d+(?:[",]+\d+)*)')
        axes = [int(axis) for axis in contracting.replace('"', "").split(",") if axis]
        return 2 * math.prod(one.arrays[0].shape) * math.prod(read[0].shape[axis] for axis in axes)
    return 0


def _convolution_flops(one: Instruction, read: list[Array], target: str) -> int:
    """2 for each pair of a tap and what it meets: of the output, or of the operand that stands for it."""
    size = one.attribute(r"window=\{size=([\dx]+)")
    window = math.prod(int(n) for n in size.split("x")) if size else 1
    _, _, rest = one.attribute(r"dim_labels=([^\s,]+)").partition("_")
    kernel_labels, _, _ = rest.partition("->")
    made, (a, b) = one.arrays[0], read[:2]
    if "BackwardInput" in target:
        image, kernel = a, b
    elif "BackwardFilter" in target:
        image, kernel = b, made
    else:
        image, kernel = made, b
    return 2 * math.prod(image.shape) * window * kernel.shape[kernel_labels.index("i")]


def calls(program: Program) -> list[str]:
    """The library calls that the program makes, in order."""
    targets = (one.attribute(r'custom_call_target="([^"]+)"') for one, _, _ in program.runs())
    return [target for target in targets if target]
