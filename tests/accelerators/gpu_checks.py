"""What the rules for a GPU are there for, asserted of the programs that XLA compiles for an H200.

Run as a program, with the Python that has the plugin: each check in a process of its own, since one that fails may end
it. Names of checks as arguments run just these, here.
"""

import contextlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable

import jax.numpy as jnp

from jax_tconv import select_method
from jax_tconv._call.call import OPS
from jax_tconv.benchmarks.layers import Layer
from tests.accelerators.compiling import Facts, compiled
from tests.accelerators.hlo import parse
from tests.accelerators.layers import find
from tests.accelerators.running import ROOT
from tests.programs import program

# Rows that a program computes beyond the output, and taps that pad a phase, come to less than this.
FEW_MORE_FLOPS = 1.5
# `pad`, and zeros between rows: the third number of an axis.
STUFFED = re.compile(r" pad\(.*padding=\S*?-?\d+_-?\d+_[1-9]")


def facts(op: str, x: tuple[int, ...], kernel: tuple[int, ...], dtype: str = "float32", **arguments) -> Facts:
    function, *operands = program(op, x, kernel, dtype, **arguments)
    return compiled("h200", function, operands, dtype)


def of_layer(op: str, name: str, dtype: str = "float32", **arguments) -> tuple[Layer, Facts]:
    layer = find(name)
    return layer, facts(op, *layer.shapes[:2], dtype, **layer.arguments | arguments)


def cudnn(found: Facts) -> list[str]:
    return [call.removeprefix("__cudnn$") for call in found.calls if "cudnn" in call]


def any_number_of_axes_and_any_kernel() -> None:
    """1: the compiler's process lives, and a named method that would end it is refused."""
    for op in OPS:
        of_layer(op, "four axes")
        facts(op, (2, 3, 3, 4, 4, 8), (3, 3, 3, 3, 8, 4), stride=2, padding=1)
    for method in ("lhs_dilation", "vjp", None):
        facts("forward", (2, 6, 4, 32), (2, 8, 32, 16), stride=2, padding=(1, 0), method=method)
    for method in ("lhs_dilation", "vjp", "subpixel"):
        with contextlib.suppress(NotImplementedError):
            of_layer("forward", "four axes", method=method)
            raise AssertionError(f"{method} was not refused")


def no_swapped_operands() -> None:
    """2: what is computed is what there is to compute, also where the kernel is larger than the image."""
    for name in ("bilinear 32x32, kernel beyond the input", "4x4 pixels, 7x7", "bilinear 64x64"):
        layer, found = of_layer("forward", name)
        # Around so few pixels much of what is computed lies beyond the output; swapped, it is 16 to 240 times as much.
        assert found.flops < 3 * layer.flops("forward"), (name, found.flops / layer.flops("forward"))


def kernel_gradients() -> None:
    """3: cuDNN's backward-filter, and elsewhere a product; zeros nowhere."""
    for name in ("cyclegan_up1", "pose_deconv2", "padding as the kernel, stride 2", "2 groups"):
        _, found = of_layer("kernel_gradient", name)
        assert cudnn(found) == ["convBackwardFilter"], (name, found.calls)
    odd = {
        "small and asymmetric": ((16, 16, 1024), (25, 1024, 512), {"stride": 4, "padding": 11, "output_padding": 1}),
        "dilated": ((8, 32, 32, 64), (3, 3, 64, 64), {"stride": 2, "padding": 2, "dilation": 2}),
        "negative padding": ((8, 32, 32, 64), (3, 3, 64, 64), {"stride": 2, "padding": ((-1, 1), (-1, 1))}),
    }
    for name, (x, kernel, arguments) in odd.items():
        found = facts("kernel_gradient", x, kernel, **arguments)
        necessary = 2 * math.prod(x) * math.prod(kernel[:-2]) * kernel[-1]
        assert found.flops < FEW_MORE_FLOPS * necessary, (name, found.flops / necessary)
        assert not STUFFED.search(found.text), name


def no_pad_of_the_cotangent() -> None:
    """4: output padding costs the input gradient no copy of the cotangent."""
    for name in ("cyclegan_up1", "3x3, output padding, batch 32", "6x6, stride 3", "8 groups, output padding"):
        _, found = of_layer("input_gradient", name)
        assert cudnn(found) == ["convForward"], (name, found.calls)
        assert not any(one.opcode == "pad" for one in parse(found.text).everywhere()), name


def depthwise_by_taps() -> None:
    """5: one kernel reads the image and writes the output."""
    for name in ("centernet_dw", "depthwise 7x7", "depthwise 3d", "depthwise, batch 32"):
        for op in ("forward", "input_gradient"):
            _, found = of_layer(op, name)
            assert not found.calls, (name, op, found.calls)
            assert len(list(parse(found.text).runs())) == 1, (name, op)


def heavy_kernels_as_they_are_stored() -> None:
    """6: no kernel of the program but one reads or writes as many values as the layer's kernel has."""
    for name in ("2x2 pixels, heavy", "2x2 pixels, heavy, batch 16", "one voxel to 4x4x4"):
        for op in OPS:
            layer, found = of_layer(op, name)
            values = math.prod(layer.shapes[1])
            large = [
                array
                for one, read, times in parse(found.text).runs()
                for array in [*one.arrays, *read] * times
                if math.prod(array.shape) >= values
            ]
            assert len(large) == 1, (name, op, large)


def mixed_and_complex_dtypes() -> None:
    """7: no zeros between rows, whatever the dtypes."""
    x, kernel, arguments = (4, 16, 16, 32), (4, 4, 32, 16), {"stride": 2, "padding": 1}
    for halves in ("bfloat16", "float16"):
        found = facts("forward", x, kernel, halves, **arguments, preferred_element_type=jnp.float32)
        assert cudnn(found) == ["convBackwardInput"], found.calls
    for op in OPS:
        found = facts(op, x, kernel, "complex64", **arguments)
        assert not cudnn(found), (op, found.calls)
        assert not STUFFED.search(found.text), op


def named_methods() -> None:
    """8: each compiles, where it is not refused, for shapes that XLA has failed at."""
    for method, op, name in (
        ("taps", "forward", "dcgan_g5"),
        ("taps", "forward", "bilinear 32x32"),
        ("subpixel", "kernel_gradient", "2x2 pixels, heavy"),
        ("subpixel", "kernel_gradient", "20 taps, stride 10, 1d"),
        ("subpixel", "kernel_gradient", "depthwise 31x31"),
        ("im2col", "forward", "depthwise 31x31"),
    ):
        layer, _ = of_layer(op, name, method=method)
        assert select_method(*layer.shapes[:2], **layer.arguments, op=op, method=method).method == method


CHECKS: dict[str, Callable[[], None]] = {
    check.__name__: check
    for check in (
        any_number_of_axes_and_any_kernel,
        no_swapped_operands,
        kernel_gradients,
        no_pad_of_the_cotangent,
        depthwise_by_taps,
        heavy_kernels_as_they_are_stored,
        mixed_and_complex_dtypes,
        named_methods,
    )
}


def main() -> int:
    """How many checks failed."""
    if names := sys.argv[1:]:
        for name in names:
            CHECKS[name]()
        return 0
    failed = 0
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    for name, check in CHECKS.items():
        command = [sys.executable, "-m", "tests.accelerators.gpu_checks", name]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        failed += done.returncode != 0
        print("FAILED" if done.returncode else "ok", check.__doc__, flush=True)
        if done.returncode:
            # What a dying compiler says, or the last line of a traceback.
            lines = done.stderr.strip().splitlines()
            print("   ", done.returncode, next((line for line in lines if "Check failed" in line), lines[-1])[:300])
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
