"""Settings for every test."""

import os

import pytest

# Eight CPU devices, for the tests of sharding; read when jax first looks for devices.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"


@pytest.fixture
def float64():
    """Runs the test with JAX's 64-bit types."""
    import jax

    with jax.enable_x64(True):
        yield
