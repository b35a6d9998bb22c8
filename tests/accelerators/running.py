"""Jobs in processes of their own: a compiler that dies takes one job with it, and the next process goes on."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Job = dict[str, Any]


def run(python: Path, jobs: Sequence[Job]) -> Iterator[Job]:
    """Each job with what came of it, as `compiling.py` prints it, in order; `error` where there is no program."""
    command = [python, "-m", "tests.accelerators.compiling"]
    left = list(jobs)
    while left:
        # A file and no pipe: one of us would wait for the other once both pipes are full.
        with tempfile.TemporaryFile("w+") as lines:
            lines.writelines(json.dumps(job) + "\n" for job in left)
            lines.seek(0)
            process = subprocess.Popen(
                command,
                stdin=lines,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                text=True,
            )
        with process:
            for line in process.stdout or ():
                left.pop(0)
                yield json.loads(line)
        if left and process.returncode:
            yield left.pop(0) | {"error": f"the compiler's process died with {process.returncode}"}
