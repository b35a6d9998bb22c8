"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

File = Annotated[Path, Argument(help="A checkpoint: a file of any kind, an index, or a folder.")]
Entry = Annotated[str | None, Option(help="The file's dict of tensors, such as state_dict or model.generator.")]
Model = Annotated[str, Option("--model", help="What makes the Flax model: package.module:factory.")]
Renames = Annotated[
    list[str], Option("--rename", metavar="OLD=NEW", help="Replace a prefix of the tensors' names; repeatable.")
]
Drops = Annotated[
    list[str], Option("--drop", metavar="PREFIX", help="Drop tensors whose names begin with this; repeatable.")
]
Inputs = Annotated[
    list[str],
    Option("--input", metavar="SHAPE[:DTYPE]", help="An input's whole shape in PyTorch: 1,3,64,64; repeatable."),
]
Flattens = Annotated[
    list[str],
    Option(
        "--flatten", metavar="LAYER=HEIGHT,WIDTH,CHANNELS", help="The map that a Linear takes flattened; * fits any."
    ),
]
Layouts = Annotated[
    list[str], Option("--layout", metavar="ARRAY=RULE", help="How arrays are laid out: 'norm.*=c h w -> h w c'.")
]
Match = Annotated[str, Option(help="name, or order: pair what no name matches by type, shape and order.")]
Downcast = Annotated[bool, Option("--downcast", help="Round values that the model's dtypes cannot hold.")]
All = Annotated[bool, Option("--all", help="Show every row, also of what is only summed up otherwise.")]
Force = Annotated[bool, Option("--force", help="Replace what is there: a file or an Orbax checkpoint.")]
Json = Annotated[bool, Option("--json", help="One JSON document instead of text.")]
