"""Settings for every test."""

import os
import sys
import tempfile

import pytest

# Eight CPU devices, for the tests of sharding; read when jax first looks for devices.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
# torch's threads wait busily, and would take the cores from the other processes; read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config):
    """Has every process of the session, xdist's workers and the commands that tests start, compile each program once.

    Compiling is most of what the tests cost, and many programs are the same: what None chooses, the ops that methods
    share, the many little ones around them. JAX reads these variables when it is first imported, which is after this.
    A folder that the caller names is used, and kept.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="jax_tconv_tests_")
        config.add_cleanup(folder.cleanup)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # One process may read what another has only half written. JAX then warns, and compiles the program itself.
    config.addinivalue_line("filterwarnings", "ignore:Error reading persistent compilation cache entry")
    import jax

    # JAX's own random numbers take most of a second to compile for each shape of a layer's initial values, these a
    # third of that. Which they are matters to no test but that of their distribution, which asks for JAX's own.
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")


@pytest.fixture
def float64():
    """Runs the test with JAX's 64-bit types, and has LLVM make machine code quickly rather than make it fast.

    What is judged to 1e-12 is the program. The tests of rounding, of dtypes and against torch go over the same methods
    and cases in float32, with the machine code that users get.
    """
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs `jax-tconv`: its exit code, what it prints, and what it prints on the error stream."""
    from jax_tconv.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["jax-tconv", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.main()
        printed = capsys.readouterr()
        return end.value.code or 0, printed.out, printed.err

    return call
