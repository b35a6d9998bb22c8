"""`jax-tconv rules`: the tables by which methods are chosen."""

from typing import Annotated

from typer import Option

from jax_tconv._selection.rules import Rules, cells
from jax_tconv._selection.select import TABLES
from jax_tconv.interop._tables import text_table

from .output import heading

HEADINGS = ("when", "method", "because", "measured")


def rules(
    platform: Annotated[str, Option(help=f"One of {', '.join(TABLES)}.")] = "cpu",
    markdown: Annotated[bool, Option("--markdown", help="The tables of all platforms, as the docs have them.")] = False,
) -> None:
    """Show the rules by which the method of each op is chosen: of each table the first row that holds decides.

    Example: jax-tconv rules --platform tpu
    """
    if markdown:
        print(document(), end="")
        return
    if platform not in TABLES:
        raise ValueError(f"--platform must be one of {', '.join(TABLES)}; got {platform!r}")
    for op, rows in TABLES[platform].items():
        heading(f"{op} on {platform}")
        print(text_table(HEADINGS, map(cells, rows)))


def document() -> str:
    """All tables in Markdown, platforms with the same rules taken together."""
    platforms: dict[int, tuple[list[str], Rules]] = {}
    for platform, tables in TABLES.items():
        platforms.setdefault(id(tables), ([], tables))[0].append(platform)
    lines = [
        "# How the method is chosen",
        "",
        "In each table the first row that holds decides. Times are in float32 on two cores: with AVX2 and `dot` at 160",
        "GFLOP/s or, where it says AVX-512, at 280; on cuda and rocm they are estimates for an H200, on tpu for a v5e,",
        "of the programs that XLA compiles for these. Written by `jax-tconv rules --markdown`.",
    ]
    for names, tables in platforms.values():
        for op, rows in tables.items():
            lines += ["", f"## `{op}` on {' and '.join(names)}", ""]
            table = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, rows)]
            lines += [f"| {' | '.join(row)} |" for row in table]
    return "\n".join(lines) + "\n"
