"""`jax-tconv convert`: a checkpoint into a Flax model's variables, in a file."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from flax import linen as nn
from flax import nnx, traverse_util
from typer import Argument, Option

from jax_tconv import interop
from jax_tconv.interop._files.writing import replace_orbax

from . import options
from .loading import conversion, flax_shapes
from .models import load_lines, make_model, without_values
from .output import check_free, note, show, show_json
from .spelling import as_options


def convert(
    file: options.File,
    out: Annotated[Path, Argument(help="A .safetensors file, or a folder for an Orbax checkpoint.")],
    model: options.Model = "",
    entry: options.Entry = None,
    rename: options.Renames = [],  # noqa: B006 (typer wants the type's own empty value)
    drop: options.Drops = [],  # noqa: B006
    inputs: options.Inputs = [],  # noqa: B006
    flatten: options.Flattens = [],  # noqa: B006
    layout: options.Layouts = [],  # noqa: B006
    match: options.Match = "name",
    downcast: options.Downcast = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only show what would be done.")] = False,
    force: options.Force = False,
    everything: options.All = False,
    as_json: options.Json = False,
) -> None:
    """Convert a PyTorch checkpoint into the variables of a Flax model, and show what became of every tensor.

    OUT gets what nnx.state(model) holds, or a linen module's variables: as an Orbax checkpoint if it is the name of a
    folder, as arrays by their paths if it ends in .safetensors. Without --model the tensors are kept as they are, in
    another kind of file: .safetensors, .pt, .pth or .bin. The last three lines that are printed are Python that loads
    OUT into the model.

    A linen module needs the shapes of its inputs, as PyTorch has them: --input 1,3,64,64.

    Example: jax-tconv convert decoder.pth decoder --model my_models:Decoder --rename generator.=
    """
    state_dict = interop.read(file, entry=entry)
    if not dry_run:
        check_free("OUT", out, force)
    target = None if dry_run else out
    document: dict[str, Any] = {"out": None if target is None else str(target)}
    if model:
        arguments = conversion(rename, drop, match, flatten, layout, downcast)
        made, reason = make_model("--model", model)
        if reason:
            note(f"the model is made with its initial values, since nnx.eval_shape cannot make it: {reason}")
        given = flax_shapes(inputs)
        variables, report = filled(made, state_dict, given, arguments, dry_run)
        if target is not None and target.suffix:
            flat = traverse_util.flatten_dict(variables)
            interop.write(target, {".".join(map(str, path)): np.asarray(array) for path, array in flat.items()})
        elif target is not None:
            replace_orbax(target, variables)
        document |= {"ok": report.ok, "rows": report.as_dicts()}
        hint = "" if everything else "--all shows every tensor"
        lines = [as_options(report.table(all=everything)), hint]
        if target is not None:
            is_linen = isinstance(made, nn.Module)
            abstract = not reason and not without_values(made)
            code = load_lines(model, str(target), given if is_linen else None, abstract)
            lines += [f"wrote {target}; these lines load it:", *code]
            document |= {"load": code}
    elif any((rename, drop, inputs, flatten, layout, downcast, match != "name")):
        raise ValueError("--model must say what the tensors are for: package.module:factory")
    else:
        if target is not None:
            interop.write(target, state_dict)
        document |= {"tensors": len(state_dict)}
        lines = [f"{len(state_dict)} tensors"]
    if as_json:
        show_json(document)
    else:
        show("\n".join(line for line in lines if line))
    if not document.get("ok", True):
        raise typer.Exit(1)


def filled(
    model: Any, state_dict: Any, inputs: Any, arguments: dict[str, Any], dry_run: bool = False
) -> tuple[Any, interop.Report]:
    """The model's variables, None after a dry run, and the report."""
    if isinstance(model, nnx.Module):
        report = interop.load_state_dict(model, state_dict, dry_run=dry_run, **arguments)
        return None if dry_run else nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))), report
    if not isinstance(model, nn.Module):
        raise TypeError(f"--model must make an nnx model or a linen module, got {type(model).__name__}")
    return interop.linen_variables(model, state_dict, *inputs, dry_run=dry_run, **arguments)
