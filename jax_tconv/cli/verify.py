"""`jax-tconv verify`: proof that a converted checkpoint gives PyTorch's numbers."""

import dataclasses
from typing import Annotated, Any

import typer
from flax import linen as nn
from typer import Option

from jax_tconv import interop
from jax_tconv.interop._verify.parity import flax_inputs

from . import options
from .convert import filled
from .loading import call_factory, conversion, pairs, random_arrays, shapes
from .models import make_model, without_values
from .output import show, show_json
from .spelling import as_options
from .torch_models import fill, make_torch_model


def verify(
    file: options.File,
    torch_module: Annotated[str, Option("--torch", help="What makes the PyTorch module: package.module:factory.")],
    model: options.Model,
    inputs: Annotated[
        list[str],
        Option("--input", metavar="SHAPE[:DTYPE]", help="An input's shape in PyTorch: 1,3,64,64; repeatable."),
    ],
    entry: options.Entry = None,
    rename: options.Renames = [],  # noqa: B006 (typer wants the type's own empty value)
    drop: options.Drops = [],  # noqa: B006
    flatten: options.Flattens = [],  # noqa: B006
    layout: options.Layouts = [],  # noqa: B006
    match: options.Match = "name",
    downcast: options.Downcast = False,
    axes: Annotated[
        list[str], Option(metavar="LAYER=RULE", help="A layer's axes in both, such as '(output)=n c l -> n l c'.")
    ] = [],  # noqa: B006
    skip: Annotated[list[str], Option(metavar="LAYER", help="A layer not to compare, or a pattern; repeatable.")] = [],  # noqa: B006
    tolerance: Annotated[float, Option(help="The largest relative difference that counts as equal.")] = 1e-4,
    everything: options.All = False,
    precision: Annotated[str, Option(help="Of products, as jax.default_matmul_precision takes it.")] = "highest",
    as_json: options.Json = False,
) -> None:
    """Load a checkpoint into the PyTorch module and into the Flax model, run both, and compare every layer.

    The inputs are random, given to PyTorch as they are and to Flax with their axes in Flax's order. The exit code is 1
    if anything differs.

    Example: jax-tconv verify decoder.pth --torch my_nets:Decoder --model my_models:Decoder --input 1,64,16,16
    """
    original = make_torch_model("--torch", torch_module, "verify")
    state_dict = interop.read(file, entry=entry)
    fill(original, state_dict)
    given = random_arrays(shapes(inputs))
    flax_model, _ = make_model("--model", model)
    arguments = conversion(rename, drop, match, flatten, layout, downcast)
    rules = pairs(axes, "--axes must be LAYER=TORCH -> FLAX, such as '(output)=n c l -> n l c'")
    # Only a linen module needs them, and to know them the PyTorch module is run.
    examples = flax_inputs(original, given, rules) if isinstance(flax_model, nn.Module) else ()
    variables, _ = filled(flax_model, state_dict, examples, arguments)
    if without_values(flax_model):  # what the checkpoint does not have, such as tables
        flax_model = call_factory("--model", model)
        filled(flax_model, state_dict, (), arguments)
    if isinstance(flax_model, nn.Module):
        flax_model = flax_model.bind(variables)
    del arguments["downcast"]
    more: Any = {"axes": rules, "skip": skip, "tolerance": tolerance, "precision": precision}
    found = interop.verify(original, flax_model, *given, **arguments, **more)
    if as_json:
        show_json({"ok": found.ok, "verdict": found.verdict, **dataclasses.asdict(found)})
    else:
        show("\n".join(filter(None, (found.table(all=everything), as_options(found.verdict)))))
    if not found.ok:
        raise typer.Exit(1)
