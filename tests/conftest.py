"""Settings for every test."""

import os

# Eight CPU devices, for the tests of sharding; read when jax first looks for devices.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
