"""The commands, one file each, and what is said when one of them fails."""

import logging
import sys
from typing import Annotated

import typer
from typer import Option

import jax_tconv.interop
from jax_tconv.interop import StateDictError, TranslationError
from jax_tconv.interop._text import printable_lines

from . import bench, convert, explain, inspect, rules, translate, verify
from .output import note
from .spelling import as_options

app = typer.Typer(
    name="jax-tconv",
    help="Transposed convolution with PyTorch's semantics: checkpoints, and what one layer does.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    inspect.inspect,
    convert.convert,
    verify.verify,
    translate.translate,
    explain.explain,
    rules.rules,
    bench.bench,
):
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


class _Notes(logging.Handler):
    """What the library says of itself, on the error stream."""

    def emit(self, record: logging.LogRecord) -> None:
        note(as_options(record.getMessage()))


def main() -> None:
    """Runs the command. What the user can fix is one line on the error stream, and exit code 1."""
    log, notes = logging.getLogger(jax_tconv.interop.__name__), _Notes()
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    try:
        app()
        return
    except StateDictError as error:
        message = f"the checkpoint does not fit the model\n{error.report.faults()}"
    except TranslationError as error:
        message = str(error)
    except (ValueError, TypeError, ImportError, OSError) as error:
        message = " ".join(str(error).split())
    except KeyboardInterrupt:
        message = "stopped"
    finally:
        log.removeHandler(notes)
    print(f"jax-tconv: error: {as_options(printable_lines(message))}", file=sys.stderr)
    sys.exit(1)
