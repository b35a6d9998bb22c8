"""How many cycles a step of a Pallas kernel takes: the instruction bundles that the compiler scheduled, one per cycle.

The compiler writes its schedules to a folder that is named when its library is loaded, so it compiles once more, in a
process of its own. A kernel's name tells the number of its steps (`_methods/fused/blocks.py`).
"""

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


def steps(name: str) -> int:
    """The number of a kernel's steps, from its name."""
    found = KERNEL.match(f"%{name} = ")
    if not found:
        raise ValueError(f"a kernel whose name does not tell its steps: {name}")
    return int(found[2])


def cycles(job: dict[str, Any]) -> dict[str, int]:
    """For each kernel of the job's program, the cycles of all its steps."""
    with tempfile.TemporaryDirectory() as folder:
        flags = f"--xla_jf_dump_to={folder} --xla_jf_dump_llo_text=true --xla_jf_dump_hlo_text=false"
        subprocess.run(
            [sys.executable, "-m", "tests.accelerators.compiling", "only"],
            input=json.dumps(job) + "\n",
            env=os.environ | {"LIBTPU_INIT_ARGS": flags},
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found: dict[str, int] = {}
        for path in Path(folder).glob("*schedule-analysis_final_bundles.txt"):
            text = path.read_text()
            kernel, bundles = KERNEL.search(text), BUNDLES.search(text)
            if kernel and bundles and "tpu_custom_call" in text:
                found[kernel[1]] = max(found.get(kernel[1], 0), int(bundles[1]) * int(kernel[2]))
    return found
