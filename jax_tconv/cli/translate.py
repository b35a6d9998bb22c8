"""`jax-tconv translate`: a PyTorch network as Flax source, and the proof that it computes the same."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from jax_tconv import interop
from jax_tconv.interop._files.replacing import replacing
from jax_tconv.interop._translate.translation import translated

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
    partial: Annotated[
        bool, Option("--partial", help="Write what can be translated, and mark the rest with NotImplementedError.")
    ] = False,
    tolerance: Annotated[float, Option(help="The largest relative difference that counts as equal.")] = 1e-4,
    force: options.Force = False,
    everything: options.All = False,
    as_json: options.Json = False,
) -> None:
    """Write the Flax nnx source of a PyTorch network: a class for each of its classes, channels last.

    The network is run once, on random inputs of these shapes. What cannot be translated is listed, with the line of
    PyTorch code, the reason, and what to do. With --weights a checkpoint is loaded into both networks, and every layer
    is compared; the exit code is 1 if anything differs.

    Example: jax-tconv translate my_nets:Decoder --input 1,64,16,16 -o decoder_flax.py --weights decoder.pth
    """
    if out.suffix != ".py" or not out.stem.isidentifier():
        raise ValueError(f"--out must be a Python file whose name can be imported, such as net_flax.py; got {out.name}")
    check_free("--out", out, force)
    module = make_torch_model("MODULE", torch_module, "translate")
    state_dict = None
    if weights is not None:
        state_dict = interop.read(weights, entry=entry)
        fill(module, state_dict)
    given = tuple(interop.to_torch({str(n): array for n, array in enumerate(random_arrays(shapes(inputs)))}).values())
    found = translated(module, given, partial)
    document: dict[str, Any] = {"out": str(out), "class": found.name}
    lines = [f"wrote {out}, whose class {found.name} is the network"]
    ok = True
    if state_dict is not None:
        model = found.make()
        interop.load_state_dict(model, module.state_dict())
        verdict = interop.verify(module, model, *given, axes=found.axes, tolerance=tolerance)
        ok = verdict.ok
        document |= {"ok": ok, "verdict": verdict.verdict, **dataclasses.asdict(verdict)}
        lines = [verdict.table(all=everything), as_options(verdict.verdict), *lines]
    with replacing(out) as temporary:
        temporary.write_text(found.source, encoding="utf-8")
    if weights is not None:
        lines += ["these lines load it:", *_loading(out, found.name, weights, entry)]
    if as_json:
        show_json(document)
    else:
        show("\n".join(filter(None, lines)))
    if not ok:
        raise typer.Exit(1)


def _loading(out: Path, name: str, weights: Path, entry: str | None) -> list[str]:
    """Lines of Python that make the model and load the checkpoint."""
    more = "" if entry is None else f", entry={entry!r}"
    return [
        f"from flax import nnx; from jax_tconv import interop; from {out.stem} import {name}",
        f"model = nnx.eval_shape(lambda: {name}(rngs=nnx.Rngs(0)))",
        f"interop.load_state_dict(model, interop.read({str(weights)!r}{more}))",
    ]
