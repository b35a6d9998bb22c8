"""Doubles the size of a volume that lies in eight devices, an eighth of its rows in each.

Run it from the root of the repository; on a CPU it takes some seconds:

    python -m examples.sharded_volume

The volume is sharded by rows, its first spatial axis, and so is the result; `jax.jit` does the rest. Each device needs
only the rows next to its own from its neighbours: the halo. No device ever holds the whole volume.
"""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from examples.devices import collectives, mesh
from jax_tconv import conv_transpose


def upsample(volume: jax.Array, kernel: jax.Array) -> jax.Array:
    """`(batch, *spatial, in)` to twice the size on each axis."""
    return conv_transpose(volume, kernel, stride=2, padding=1, output_padding=1)


def loss(volume: jax.Array, kernel: jax.Array) -> jax.Array:
    """Something to differentiate."""
    return (upsample(volume, kernel) ** 2).mean()


def main() -> float:
    """Prints shapes and what is sent; returns the largest difference from one device, by the largest value."""
    devices = mesh("rows")
    rows, whole = NamedSharding(devices, P(None, "rows")), NamedSharding(devices, P())
    rng = np.random.default_rng(0)
    volume = rng.standard_normal((1, 64, 32, 32, 8), np.float32)
    kernel = rng.standard_normal((3, 3, 3, 8, 4), np.float32)
    on_one = jax.jit(upsample)(volume, kernel)
    volume, kernel = jax.device_put(volume, rows), jax.device_put(kernel, whole)

    forward = jax.jit(upsample, out_shardings=rows).lower(volume, kernel).compile()
    backward = jax.jit(jax.grad(loss, (0, 1)), out_shardings=(rows, whole)).lower(volume, kernel).compile()
    result = forward(volume, kernel)
    for name, array in (("volume", volume), ("result", result)):
        print(f"{name}: {array.shape}, on each device {array.addressable_shards[0].data.shape}")
    for name, program in (("forward", forward), ("gradients", backward)):
        print(f"{name}, each device gets:")
        for line in collectives(program):
            print(f"  {line}")
    difference = float(np.abs(np.asarray(result) - np.asarray(on_one)).max() / np.abs(np.asarray(on_one)).max())
    print(f"largest difference from one device: {difference:.1e} of the largest value")
    backward(volume, kernel)
    return difference


if __name__ == "__main__":
    main()
