"""Translates one network, and judges its source, its values and its layers by torch's.

The source is run as a person would: in a file of its own, `build/translated/NAME.py`, with torch hidden, and filled by
`interop.load_state_dict(model, state_dict)` with no other argument.
"""

import dataclasses
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx
from safetensors.torch import save_file

from jax_tconv import interop
from tests.translated import compare, source, written
from tests.translated.network import Network, arrays, trained

# Of the largest value. What was hoped for is AIM; float32 in torch itself differs from float64 by 7e-6 at most.
LIMIT, AIM = 1e-4, 2e-5
FOLDER = Path(__file__).parents[2] / "build" / "translated"


@dataclasses.dataclass
class Result:
    """What became of one network.

    Attributes:
      parameters: torch's.
      modules: how many parts torch has, itself among them.
      torch_classes, flax_classes: torch's classes that are not of `torch.nn`, and all of the source.
      lines: the length of the source.
      differences: the largest relative difference of each run: "example", "jit", "batch" and "size".
      verified: whether `verify` agreed.
      layers: how many layers it compared that count as one on both sides; torch's own weight norm makes several.
      refusal: why it is not translated, all of it.
      failures: what is wrong.
      warnings: what a reader would stumble over.
      seconds: of `from_torch` and `verify` together.
    """

    network: Network
    package: str
    parameters: int = 0
    modules: int = 0
    torch_classes: int = 0
    flax_classes: int = 0
    lines: int = 0
    differences: dict[str, float] = dataclasses.field(default_factory=dict)
    verified: bool = False
    layers: int = 0
    refusal: str = ""
    failures: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0

    @property
    def ok(self) -> bool:
        """Whether it is translated, and right in every way that is asked for here."""
        return not self.refusal and not self.failures

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Notes what is raised within as a failure of this step."""
        try:
            yield
        except Exception as error:
            words = " ".join(str(error).split())
            self.failures.append(f"{what}: {type(error).__name__}: {words[:600]}")


def judge(network: Network, package: str, alone: bool = False) -> Result:
    """All of it; `alone` runs the source once more, in a process that has no torch."""
    result = Result(network, package)
    module = trained(network)
    inputs = arrays(network.inputs)
    with torch.inference_mode():
        wanted = module(*inputs)
    result.parameters = sum(parameter.numel() for parameter in module.parameters())
    result.modules = len(list(module.modules()))
    result.torch_classes = len(source.own_classes(module))
    try:
        text = interop.translate(module, *inputs)
    except interop.TranslationError as error:
        result.refusal = str(error)
        return result
    except Exception as error:
        result.failures.append(f"translate: {type(error).__name__}: {error}")
        return result
    judge_text(result, module, text)
    path = FOLDER / f"{re.sub(r'[^a-z0-9]+', '_', network.name.lower()).strip('_')}.py"
    FOLDER.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    judge_values(result, module, path, wanted, alone)
    judge_layers(result, module, inputs)
    jax.clear_caches()
    return result


def judge_text(result: Result, module: torch.nn.Module, text: str) -> None:
    """The source as it stands."""
    result.lines = len(text.splitlines())
    result.failures += source.problems(text)
    with result.step("reading the source"):
        result.flax_classes = source.class_count(text)
        result.warnings += source.warnings(text, module)


def judge_values(result: Result, module: torch.nn.Module, path: Path, wanted: Any, alone: bool) -> None:
    """What the model in the file computes, by itself and under transforms, for the example and for other inputs."""
    model = None
    with result.step("the file"):
        model = written.filled(written.load(path), type(module).__name__, module.state_dict())
    if model is None:
        return
    network = result.network
    inputs = arrays(network.inputs)
    layout = None
    with result.step("example"), jax.default_matmul_precision("highest"):
        layout, result.differences["example"] = best_layout(model, inputs, wanted)
    if layout is None:
        return
    jitted = nnx.jit(lambda model, *given: model(*given))
    batch = network.inputs[0].shape[0] if not isinstance(network.inputs[0], tuple) else network.inputs[0][0]
    runs = {"jit": inputs, "batch": arrays(network.inputs, batch=batch + 1, seed=3)}
    if network.other is not None:
        runs["size"] = arrays(network.other)
    for name, x in runs.items():
        with result.step(name), torch.inference_mode(), jax.default_matmul_precision("highest"):
            result.differences[name] = compare.difference(jitted(model, *compare.given(x, layout)), module(*x))
    result.failures += [
        f"{name}: differs by {value:.1e} of the largest value"
        for name, value in result.differences.items()
        if not value <= LIMIT
    ]
    if alone:
        with result.step("without torch"):
            run_alone(module, path, inputs, layout, wanted)


def best_layout(model: Callable[..., Any], inputs: tuple[torch.Tensor, ...], wanted: Any) -> tuple[Any, float]:
    """The order of the inputs' axes that the model was written for, and the difference with it."""
    found, first_error = [], None
    for layout in compare.layouts(inputs):
        try:
            value = compare.difference(model(*compare.given(inputs, layout)), wanted)
        except Exception as error:
            first_error = first_error or error
            continue
        if value <= LIMIT:
            return layout, value
        found.append((value, layout))
    if not found:
        raise first_error
    value, layout = min(found)
    return layout, value


def run_alone(module: torch.nn.Module, path: Path, inputs: Any, layout: compare.Layout, wanted: Any) -> None:
    """In a process of its own; raises where it fails or differs."""
    with tempfile.TemporaryDirectory() as folder:
        weights, given, outputs = (Path(folder) / name for name in ("weights.safetensors", "given.npz", "outputs.npz"))
        save_file({name: tensor.contiguous().clone() for name, tensor in module.state_dict().items()}, weights)
        np.savez(given, *compare.given(inputs, layout))
        arguments = [path, type(module).__name__, weights, given, outputs]
        command = [sys.executable, "-m", "tests.translated.alone", *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(run.stderr[-600:])
        found = np.load(outputs)
        value = compare.difference([found[name] for name in found.files], [leaf for _, leaf in compare.leaves(wanted)])
        if not value <= LIMIT:
            raise ValueError(f"differs by {value:.1e} of the largest value")


def judge_layers(result: Result, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """What `from_torch` returns, by `verify`."""
    start = time.perf_counter()
    with result.step("from_torch and verify"):
        model = interop.from_torch(module, *inputs)
        if any(trains(part) for _, part in nnx.iter_modules(model)):
            result.failures.append("from_torch: the model is in training mode")
        found = interop.verify(module, model, *inputs, tolerance=LIMIT)
        result.layers = sum(layer.counts for layer in found.layers)
        result.warnings += [str(one) for one in found.arguments if one.severity == "warning"]
        result.verified = found.ok and bool(found.layers)
        if not found.ok:
            result.failures.append(f"verify: {found.verdict}")
        elif not found.layers:
            result.failures.append("verify: no layer was compared")
    result.seconds = time.perf_counter() - start


def trains(part: nnx.Module) -> bool:
    """Whether it is a layer of two modes, in that of training."""
    return getattr(part, "deterministic", None) is False or getattr(part, "use_running_average", None) is False
