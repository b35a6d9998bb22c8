"""`jax-tconv translate`: a PyTorch network as Flax source, and the proof that it computes the same."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from flax import linen as nn
from flax import nnx
from typer import Argument, Option

from jax_tconv import interop
from jax_tconv.interop._files.replacing import replacing
from jax_tconv.interop._translate.translation import Translation, translated
from jax_tconv.interop._verify.parity import flax_inputs

from . import options
from .loading import random_arrays, shapes
from .output import check_free, show, show_json
from .spelling import as_options
from .torch_models import fill, make_torch_model


def translate(
    torch_module: Annotated[str, Argument(metavar="MODULE", help="What makes it: package.module:factory.")],
    inputs: Annotated[
        list[str],
        Option("--input", metavar="SHAPE[:DTYPE]", help="An input's shape in PyTorch: 1,3,64,64; repeatable."),
    ],
    out: Annotated[Path, Option("-o", "--out", help="The Python file to write.")],
    weights: Annotated[
        Path | None, Option(help="A checkpoint: it is loaded into both networks, and every layer compared.")
    ] = None,
    entry: options.Entry = None,
    linen: Annotated[bool, Option("--linen", help="Write linen rather than nnx.")] = False,
    partial: Annotated[
        bool, Option("--partial", help="Write what can be translated, and mark the rest with NotImplementedError.")
    ] = False,
    tolerance: Annotated[float, Option(help="The largest relative difference that counts as equal.")] = 1e-4,
    force: options.Force = False,
    everything: options.All = False,
    as_json: options.Json = False,
) -> None:
    """Write the Flax source of a PyTorch network, nnx or linen: a class for each of its classes, channels last.

    The network is run once, on random inputs of these shapes. What cannot be translated is listed, with the line of
    PyTorch code, the reason, and what to do. With --weights a checkpoint is loaded into both networks, and every layer
    is compared; the exit code is 1 if anything differs.

    Example: jax-tconv translate my_nets:Decoder --input 1,64,16,16 -o decoder_flax.py --weights decoder.pth
    """
    if out.suffix != ".py" or not out.stem.isidentifier():
        raise ValueError(f"--out must be a Python file whose name can be imported, such as net_flax.py; got {out.name}")
    check_free("--out", out, force)
    module = make_torch_model("MODULE", torch_module, "translate")
    if weights is not None:
        fill(module, interop.read(weights, entry=entry))
    given = tuple(interop.to_torch({str(n): array for n, array in enumerate(random_arrays(shapes(inputs)))}).values())
    found = translated(module, given, partial, linen)
    document: dict[str, Any] = {"out": str(out), "class": found.name}
    lines = [f"wrote {out}, whose class {found.name} is the network"]
    ok, loading = True, []
    if weights is not None:
        model, loading = (_in_linen if linen else _in_nnx)(found, module, given, _read(weights, entry), out.stem)
        verdict = interop.verify(module, model, *given, axes=found.axes, tolerance=tolerance)
        ok = verdict.ok
        document |= {"ok": ok, "verdict": verdict.verdict, **dataclasses.asdict(verdict)}
        lines = [verdict.table(all=everything), as_options(verdict.verdict), *lines]
    with replacing(out) as temporary:
        temporary.write_text(found.source, encoding="utf-8")
    lines += ["these lines load it:", *loading] if loading else []
    if as_json:
        show_json(document)
    else:
        show("\n".join(filter(None, lines)))
    if not ok:
        raise typer.Exit(1)


def _read(weights: Path, entry: str | None) -> str:
    """The checkpoint, as Python reads it."""
    more = "" if entry is None else f", entry={entry!r}"
    return f"interop.read({str(weights)!r}{more})"


def _in_nnx(
    found: Translation, module: Any, given: tuple[Any, ...], read: str, file: str
) -> tuple[nnx.Module, list[str]]:
    """The model with the module's weights, and lines of Python that make it and load the checkpoint."""
    model = found.make()
    interop.load_state_dict(model, module.state_dict())
    return model, [
        f"from flax import nnx; from jax_tconv import interop; from {file} import {found.name}",
        f"model = nnx.eval_shape(lambda: {found.name}(rngs=nnx.Rngs(0)))",
        f"interop.load_state_dict(model, {read})",
    ]


def _in_linen(
    found: Translation, module: Any, given: tuple[Any, ...], read: str, file: str
) -> tuple[nn.Module, list[str]]:
    """The same in linen: bound to the weights."""
    network, examples = found.load()(), flax_inputs(module, given, found.axes)
    variables, _ = interop.linen_variables(network, module.state_dict(), *examples)
    arrays = ", ".join(f"jnp.ones({tuple(array.shape)}, {str(array.dtype)!r})" for array in examples)
    return network.bind(variables), [
        f"import jax.numpy as jnp; from jax_tconv import interop; from {file} import {found.name}",
        f"variables, report = interop.linen_variables({found.name}(), {read}, {arrays})",
    ]
