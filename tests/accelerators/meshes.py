"""What several devices send one another for layers of each kind, next to what they must.

    python -m tests.accelerators.meshes cpu|cuda|tpu

prints a row for each layer, split and op, and fails where more is sent than must be, but for what is listed as beyond
the compilers. Nothing runs but compilers: for GPUs the CUDA plugin, for TPUs libtpu. The CPU's devices are eight made
of one, the GPUs four H200, the TPUs the four chips of a v5e.
"""

import functools
import math
import os
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jax_tconv import conv_transpose
from jax_tconv.benchmarks.layers import Layer
from tests.accelerators.compiling import TPU_ENVIRONMENT, described
from tests.accelerators.odd_layers import spread
from tests.collectives import Collective, collectives, halo, specs

LAYERS = [
    spread("k4 s2", (256, 128), 4, 2, 1, (16, 16), 64),
    spread("k3 s2", (256, 128), 3, 2, 1, (32, 32), 16, output_padding=1),
    spread("k2 s2", (128, 64), 2, 2, 0, (64, 64), 16),
    spread("k3 s2, dilated", (64, 64), 3, 2, 2, (32, 32), 16, dilation=2, output_padding=1),
    spread("k16 s8, one axis", (256, 128), 16, 8, 4, (1024,), 16),
    spread("k3 s2, three axes", (64, 32), 3, 2, 1, (8, 16, 32), 8, output_padding=1),
    spread("k16 s8, 24 channels", (24, 24), 16, 8, 4, (64, 64), 8),
    spread("8 groups", (512, 512), 3, 2, 1, (32, 32), 16, groups=8, output_padding=1),
    spread("32 groups", (256, 256), 4, 2, 1, (32, 32), 16, groups=32),
    spread("depthwise", (64, 64), 4, 2, 1, (64, 64), 16, groups=64),
    spread("k64 s32, 24 channels", (24, 24), 64, 32, 16, (16, 16), 8),
]
SPLITS = ("batch", "rows", "channels")
# What the compilers do not split as they might, by platform, layer, split and op. docs/devices.md has what it costs.
BEYOND: set[tuple[str, str, str, str]] = {
    ("cuda", "k64 s32, 24 channels", "rows", "forward"),
    ("cuda", "depthwise", "channels", "gradient"),
}


class Row(NamedTuple):
    """One program: what is sent in it, the bytes a device needs from each neighbour, and what is sent beyond that."""

    platform: str
    layer: str
    split: str
    op: str
    sent: list[Collective]
    halo: int
    excess: list[Collective]

    @property
    def known(self) -> bool:
        """Whether it is listed as beyond the compilers."""
        return self[:4] in BEYOND


def devices(platform: str) -> list[Any]:
    """The devices to compile for."""
    return jax.devices() if platform == "cpu" else described({"cuda": "h200", "tpu": "v5e"}[platform], "1x4x1")


def check(platform: str, layers: list[Layer] = LAYERS) -> list[Row]:
    """A row for each layer, split and op, compiled for the devices of this platform."""
    return [row(platform, layer, split, op) for layer in layers for split in SPLITS for op in ("forward", "gradient")]


def row(platform: str, layer: Layer, split: str, op: str) -> Row:
    """One of them; `gradient` is both gradients, for a given cotangent."""
    mesh = Mesh(np.array(devices(platform)), ("devices",))
    shardings = [NamedSharding(mesh, spec) for spec in specs(split, len(layer.input), layer.groups)]
    x, kernel, y = (
        jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)
        for shape, sharding in zip(layer.shapes, shardings, strict=True)
    )
    forward = functools.partial(conv_transpose, **layer.arguments)
    if op == "forward":
        program = jax.jit(forward, out_shardings=shardings[2]).lower(x, kernel)
    else:
        backward = lambda x, kernel, y: jax.vjp(forward, x, kernel)[1](y)
        program = jax.jit(backward, out_shardings=tuple(shardings[:2])).lower(x, kernel, y)
    sent = collectives(program.compile().as_text())
    needed = halo_bytes(layer, mesh.size, op) if split == "rows" else 0
    return Row(platform, layer.name, split, op, sent, needed, excess(layer, split, op, sent, needed))


def halo_bytes(layer: Layer, parts: int, op: str) -> int:
    """What a device needs from one neighbour: rows of x in the forward pass, of either for the gradients."""
    x, kernel, y = layer.shapes
    arguments = {name: values[0] for name, values in layer.arguments.items() if name != "groups"}
    of_x, of_y = halo(x[1], kernel[0], y[1], parts, **arguments)
    x_bytes, y_bytes = (4 * rows * math.prod(v) // v[1] for rows, v in ((of_x, x), (of_y, y)))
    return x_bytes if op == "forward" else max(x_bytes, y_bytes)


def excess(layer: Layer, split: str, op: str, sent: list[Collective], needed: int) -> list[Collective]:
    """What is sent beyond the halo and the sums: of the kernel's gradient, or over channels out of the input's."""
    x, kernel, _ = layer.shapes
    of_channels = math.prod(x) if layer.groups == 1 else 0
    summed = 0 if op == "forward" else 4 * (of_channels if split == "channels" else math.prod(kernel))
    sums = [each for each in sent if each.kind == "all-reduce"]
    rest = [each for each in sent if each.kind != "all-reduce"]
    too_much = sums if sum(each.total for each in sums) > summed else []
    # A halo from each of two neighbours, for each of two gradients, or of two convolutions in a forward pass.
    if sum(each.total for each in rest) > 4 * needed:
        return too_much + rest
    return too_much + [each for each in rest if each.kind != "collective-permute" or each.largest > needed]


def main() -> int:
    """Prints the table, in megabytes; 1 where more is sent than must be and than is listed."""
    platform = sys.argv[1] if len(sys.argv) == 2 else ""
    if platform not in ("cpu", "cuda", "tpu"):
        print(f"one platform, cpu, cuda or tpu; got {sys.argv[1:]}", file=sys.stderr)
        return 2
    jax.config.update("jax_platforms", "cpu")
    broken = 0
    for layer in LAYERS:
        for one in check(platform, [layer]):
            sent = ", ".join(f"{each.kind} {each.total / 1e6:.3f}" for each in one.sent) or "-"
            verdict = "" if not one.excess else "beyond the compiler" if one.known else "TOO MUCH"
            print(f"{one.layer:22}{one.split:10}{one.op:10}halo {one.halo / 1e6:.3f}  {sent}  {verdict}", flush=True)
            broken += bool(one.excess) and not one.known
    return min(broken, 1)


if __name__ == "__main__":
    os.environ |= TPU_ENVIRONMENT
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    sys.exit(main())
