"""Checkpoints in a process of its own, with little memory and time: `python -m tests.limits read|inspect PATH...`."""

import contextlib
import io
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

SECONDS = 20
MEGABYTES = 700  # of private memory, beyond what the imports took


def limit_memory():
    """From here on, private memory beyond the limit is refused, as if the machine had no more."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    used = int(status["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEGABYTES * 2**20,) * 2)


def limit_time():
    """Ends the process after so many seconds of its own, or a multiple of them on a busy machine.

    Unless it is called again.
    """
    signal.alarm(6 * SECONDS)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + SECONDS, hard))


def outcomes(paths, how="read"):
    """What `read` makes of each file: the names of its tensors, or the message it is refused with.

    With "inspect", what that prints of it, in its short form and in its long one.
    """
    command = [sys.executable, "-m", "tests.limits", how, *map(str, paths)]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def main(how, paths):
    from jax_tconv.cli.inspect import inspect
    from jax_tconv.interop import CheckpointError, read

    def inspected(path):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            inspect(Path(path))
            inspect(Path(path), everything=True)
        return printed.getvalue()

    limit_memory()
    for path in paths:
        print(path, file=sys.stderr, flush=True)
        limit_time()
        try:
            result = sorted(read(path)) if how == "read" else inspected(path)
        except CheckpointError as error:
            result = str(error)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
