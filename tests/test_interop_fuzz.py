"""Thousands of mutated checkpoints, each of which loads or is refused with one line that says why."""

import collections
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fuzz

BATCH = 500  # a process's


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
@pytest.mark.parametrize("count", [BATCH, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutations(tmp_path, count):
    pytest.importorskip("torch")
    fuzz.write_seeds(tmp_path)
    outcomes = collections.Counter()
    for first in range(0, count, BATCH):
        command = [sys.executable, "-m", "tests.fuzz", str(first), str(BATCH), str(tmp_path)]
        run = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"ended with {run.returncode} at mutation {run.stderr[-2000:]}"
        result = json.loads(run.stdout)
        assert not result["failures"], "\n".join(result["failures"])
        outcomes.update(result["outcomes"])
    print(json.dumps(outcomes, indent=1, sort_keys=True))
    assert outcomes.total() == count
    # Each kind of file was met, and mutations that leave it readable as well as such that do not.
    seeds = {path.name for path in tmp_path.glob("**/*") if path.is_file()}
    assert {name.split(": ")[0] for name in outcomes} == seeds
    assert sum(number for name, number in outcomes.items() if name.endswith(": loaded")) > count / 50
