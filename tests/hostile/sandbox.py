"""Opens files, each in a process of its own with little time and memory: `with Sandbox() as box: box.open(path, how)`.

One process imports what is needed, and forks for each file, so that imports count for nothing. It has one thread: it
imports jax, but nothing here has jax do anything.
"""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SECONDS = 10  # of its own
ADDRESSES = 2 * 10**9
# A busy machine has others to serve.
_PATIENCE = 120

WAYS = {
    "read": [],
    "inspect": ["inspect"],
    "all": ["inspect", "--all"],
    "json": ["inspect", "--json"],
}


@dataclass
class Outcome:
    """What came of a file: how its process ended, what it printed, and what it took.

    `held` are the bytes of the tensors that `read` returned, those that several share counted once; None if refused.
    """

    ended: str
    printed: Path
    said: Path
    seconds: float
    memory: int
    held: int | None


class Sandbox:
    """The process that forks."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.sandbox", self._folder.name],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_):
        self._process.communicate()
        self._folder.cleanup()

    def open(self, path, how) -> Outcome:
        """Opens a file in one of `WAYS`. What it printed is there until the next one is opened."""
        self._process.stdin.write(json.dumps([str(path), how]) + "\n")
        self._process.stdin.flush()
        result = json.loads(self._process.stdout.readline())
        folder = Path(self._folder.name)
        return Outcome(printed=folder / "printed", said=folder / "said", **result)


def main(folder):
    """Answers each line of the standard input with one of JSON."""
    importlib.import_module("jax_tconv.cli.main")  # for those that it forks
    for line in sys.stdin:
        path, how = json.loads(line)
        ours, theirs = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(ours)
            _become_quiet(folder)
            os.write(theirs, json.dumps(_measured(how, path)).encode())
            os._exit(0)
        os.close(theirs)
        with open(ours, "rb") as answer:
            result = json.loads(answer.read() or b"{}")
        _, status, usage = os.wait4(process, 0)
        code = os.waitstatus_to_exitcode(status)
        seconds = result.pop("seconds", usage.ru_utime + usage.ru_stime)
        result.setdefault("ended", f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}")
        print(json.dumps({"memory": 0, "held": None, "seconds": seconds} | result), flush=True)


def _become_quiet(folder):
    """Takes no more input, and prints to files."""
    for number, name in ((0, os.devnull), (1, f"{folder}/printed"), (2, f"{folder}/said")):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    signal.alarm(_PATIENCE)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))


def _measured(how, path):
    from jax_tconv import interop

    before, held = _kilobytes("VmRSS"), None
    start = time.process_time()
    try:
        held, ended = _held(interop.read(path)) if how == "read" else _run(WAYS[how], path)
    except interop.CheckpointError as error:
        ended = "refused"
        sys.stderr.write(f"{error}\n")
    except BaseException as error:
        ended = f"{type(error).__name__}: {error}"[:500]
    seconds = time.process_time() - start
    sys.stdout.flush()
    sys.stderr.flush()
    memory = (_kilobytes("VmHWM") - before) * 1024
    return {"ended": ended, "seconds": seconds, "memory": memory, "held": held}


def _held(tensors):
    """The bytes of tensors, each once."""
    import numpy as np

    total, end = 0, 0
    for low, high in sorted(np.lib.array_utils.byte_bounds(array) for array in tensors.values() if array.size):
        total += max(0, high - max(low, end))
        end = max(end, high)
    return total, "read"


def _run(arguments, path):
    """The command, which ends in an exit code."""
    from jax_tconv.cli import main

    sys.argv = ["jax-tconv", *arguments, path]
    try:
        main.main()
    except SystemExit as end:
        return None, "read" if not end.code else "refused" if end.code == 1 else f"exit code {end.code}"
    return None, "ended without an exit code"


def _kilobytes(field):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0])


if __name__ == "__main__":
    main(sys.argv[1])
