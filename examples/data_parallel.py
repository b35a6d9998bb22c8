"""Trains a small generator on eight devices, each with its share of every batch.

Run it from the root of the repository; on a CPU it takes some seconds:

    python -m examples.data_parallel

The batch is sharded, the parameters are on every device, and `jax.jit` does the rest. The only thing that the devices
send one another is their share of the loss and of each gradient, to be summed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from examples.devices import collectives, mesh
from jax_tconv.linen import ConvTranspose

BATCH, STEPS, RATE = 64, 60, 0.02


class Generator(nn.Module):
    """Turns the place of a dot, (N, 2), into its picture (N, 16, 16, 1)."""

    @nn.compact
    def __call__(self, place: jax.Array) -> jax.Array:
        x = nn.relu(nn.Dense(4 * 4 * 32)(place)).reshape(-1, 4, 4, 32)
        x = nn.relu(ConvTranspose(16, (4, 4), strides=2, padding=1)(x))
        return ConvTranspose(1, (4, 4), strides=2, padding=1)(x)


def pictures(places: np.ndarray) -> np.ndarray:
    """A soft dot at each place in [-1, 1]^2: (N, 16, 16, 1)."""
    pixels = np.linspace(-1, 1, 16)
    rows, columns = (np.exp(-8 * (pixels - places[:, axis, None]) ** 2) for axis in (0, 1))
    return (rows[:, :, None, None] * columns[:, None, :, None]).astype(np.float32)


def main() -> list[float]:
    """Trains, prints what happens, and returns the loss of every step."""
    devices = mesh("data")
    shared, sharded = NamedSharding(devices, P()), NamedSharding(devices, P("data"))
    generator, rng = Generator(), np.random.default_rng(0)

    def loss(parameters, places, wanted):
        return ((generator.apply(parameters, places) - wanted) ** 2).mean()

    def step(parameters, places, wanted):
        value, gradients = jax.value_and_grad(loss)(parameters, places, wanted)
        # Normalized, as plain gradients of such a loss are tiny.
        scale = RATE / jnp.sqrt(sum((each**2).sum() for each in jax.tree.leaves(gradients)))
        return value, jax.tree.map(lambda v, gradient: v - scale * gradient, parameters, gradients)

    def batch():
        places = rng.uniform(-0.8, 0.8, (BATCH, 2)).astype(np.float32)
        return jax.device_put((places, pictures(places)), sharded)

    parameters = jax.device_put(generator.init(jax.random.key(0), jnp.zeros((1, 2))), shared)
    program = jax.jit(step, out_shardings=shared, donate_argnums=0).lower(parameters, *batch()).compile()
    print(f"{devices.size} devices, {BATCH // devices.size} pictures of a batch on each. In a step they send:")
    for line in collectives(program):
        print(f"  {line}")
    losses = []
    for number in range(STEPS):
        value, parameters = program(parameters, *batch())
        losses.append(float(value))
        if number % 10 == 0 or number == STEPS - 1:
            print(f"step {number:2}: loss {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main()
