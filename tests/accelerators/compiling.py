"""One op of one layer compiled for a device that is not there. Run as a program, it reads jobs and prints facts."""

import dataclasses
import functools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

H200 = Path(__file__).with_name("h200.txtpb")
TPU_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Chip(NamedTuple):
    """What a device can do: flops per second by dtype, bytes per second, and a TPU's clock."""

    platform: str
    peak: dict[str, float]
    bandwidth: float
    clock: float = 0.0


# Dense peaks as the makers state them; float32 on a TPU at JAX's default precision is one pass in bfloat16. A complex
# product is four real ones.
CHIPS = {
    "h200": Chip("cuda", {"float32": 495e12, "bfloat16": 989e12, "float16": 989e12, "complex64": 495e12 / 4}, 4.8e12),
    "v5e": Chip("tpu", {"float32": 197e12, "bfloat16": 197e12}, 819e9, 1.5e9),
    "v6e": Chip("tpu", {"float32": 918e12, "bfloat16": 918e12}, 1640e9, 1.75e9),
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a compiled program; seconds are estimates, but for `compile_seconds`, those of all cores."""

    seconds: float
    compile_seconds: float
    temporary_bytes: int
    output_bytes: int
    flops: float
    calls: list[str]
    text: str


def described(chip: str, mesh: str = "1x1x1") -> list[Any]:
    """Devices of this kind as the compiler knows them; of GPUs, so many."""
    from jax.experimental import topologies

    if CHIPS[chip].platform == "tpu":
        return topologies.get_topology_desc(platform="tpu", topology_name=f"{chip}:2x2").devices
    return topologies.get_topology_desc(platform="cuda", target_config=H200.read_text(), topology=mesh).devices


def compiled(
    chip: str, function: Any, operands: Any, dtype: str, cycles: Callable[[], Mapping[str, int]] = Counter
) -> Facts:
    """`function` of arrays of these shapes, compiled for one such device; `cycles` tells those of Pallas kernels."""
    import jax

    from tests.accelerators import gpu, hlo, tpu

    here = jax.sharding.SingleDeviceSharding(described(chip)[0])
    arguments = [jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=here) for v in operands]
    lowered = jax.jit(function).lower(*arguments)
    start = time.process_time()
    executable = lowered.compile()
    took = time.process_time() - start
    text, memory, spec = executable.as_text(), executable.memory_analysis(), CHIPS[chip]
    program = hlo.parse(text)
    if spec.platform == "tpu":
        of_kernels = cycles() if tpu.kernels(program) else {}
        estimate, flops, calls = tpu.seconds(program, spec.clock, spec.bandwidth, of_kernels), 0.0, list(of_kernels)
    else:
        estimate = gpu.seconds(program, spec.peak[dtype], spec.bandwidth)
        flops, calls = gpu.flops(program), gpu.calls(program)
    return Facts(estimate, took, memory.temp_size_in_bytes, memory.output_size_in_bytes, flops, calls, text)


def main() -> None:
    """Reads one job per line from standard input, a JSON object; prints what came of each.

    With the argument "only" it compiles and no more, for what the compiler writes meanwhile.
    """
    import jax

    from tests.accelerators import schedule
    from tests.accelerators.layers import find
    from tests.programs import program

    only = sys.argv[1:] == ["only"]
    for line in sys.stdin:
        job = json.loads(line)
        layer = find(job["layer"], job.get("batch"))
        x, kernel, _ = layer.shapes
        try:
            function, *operands = program(job["op"], x, kernel, job["dtype"], method=job["method"], **layer.arguments)
            cycles = Counter if only else functools.partial(schedule.cycles, job)
            facts = dataclasses.asdict(compiled(job["chip"], function, operands, job["dtype"], cycles))
            del facts["text"]
        except Exception as error:
            facts = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(job | facts), flush=True)
        jax.clear_caches()


if __name__ == "__main__":
    os.environ |= TPU_ENVIRONMENT | {"JAX_PLATFORMS": "cpu"}
    main()
