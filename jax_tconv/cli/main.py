"""The commands, one file each, and what is said when one of them fails."""

import sys
from typing import Annotated

import typer
from typer import Option

import jax_tconv
from jax_tconv.interop import StateDictError

from . import bench, convert, explain, inspect, rules, verify
from .spelling import as_options

app = typer.Typer(
    name="jax-tconv",
    help="Transposed convolution with PyTorch's semantics: checkpoints, and what one layer does.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (inspect.inspect, convert.convert, verify.verify, explain.explain, rules.rules, bench.bench):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"jax-tconv {jax_tconv.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command. What the user can fix is one line on the error stream, and exit code 1."""
    try:
        app()
        return
    except StateDictError as error:
        message = f"the checkpoint does not fit the model\n{error.report.faults()}"
    except (ValueError, TypeError, ImportError, OSError) as error:
        message = " ".join(str(error).split())
    except KeyboardInterrupt:
        message = "stopped"
    print(f"jax-tconv: error: {as_options(message)}", file=sys.stderr)
    sys.exit(1)
