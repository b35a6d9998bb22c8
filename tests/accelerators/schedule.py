"""How many cycles a step of a Pallas kernel takes: the instruction bundles that the compiler scheduled, one per cycle.

The compiler writes its schedules, and much else, to a folder that is named when its library is loaded; so a process of
its own compiles once more what has kernels. A kernel's name tells the number of its steps (`_methods/fused/kernel.py`).
"""

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KERNEL = re.compile(r"%(conv_transpose_\w+?_(\d+)_steps[\w.]*) = ")
BUNDLES = re.compile(r"total scheduled bundles:\s+(\d+)")


class Schedules:
    """A process that compiles what it is told to, with its schedules in a folder of its own."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        flags = f"--xla_jf_dump_to={self.folder.name} --xla_jf_dump_llo_text=true --xla_jf_dump_hlo_text=false"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.accelerators.compiling", "only"],
            env=os.environ | {"LIBTPU_INIT_ARGS": flags},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def cycles(self, job: dict[str, Any]) -> dict[str, int]:
        """For each kernel of the job's program, the cycles of all its steps."""
        print(json.dumps(job), file=self.process.stdin, flush=True)
        if not (self.process.stdout and self.process.stdout.readline()):
            raise RuntimeError(f"the process that compiles for schedules died with {self.process.wait()}")
        found: dict[str, int] = {}
        for path in Path(self.folder.name).iterdir():
            if path.name.endswith("schedule-analysis_final_bundles.txt"):
                text = path.read_text()
                kernel, bundles = KERNEL.search(text), BUNDLES.search(text)
                if kernel and bundles and "tpu_custom_call" in text:
                    found[kernel[1]] = max(found.get(kernel[1], 0), int(bundles[1]) * int(kernel[2]))
            path.unlink()
        return found


@functools.cache
def _schedules() -> Schedules:
    return Schedules()


def cycles(job: dict[str, Any]) -> dict[str, int]:
    """As `Schedules.cycles`, by one process for all jobs of this one."""
    return _schedules().cycles(job)
