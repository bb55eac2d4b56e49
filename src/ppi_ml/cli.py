"""ppi-ml: the command line, assembled from the files in commands/.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 internal error, 2 usage
or config, 3 data contract, 4 integrity, 5 trained but worse than a baseline, 130 interrupted.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, cast

import typer

from ppi_ml.declare import Command
from ppi_ml.errors import PpiError
from ppi_ml.shelf import shelf

INTERRUPTED = 130


def main() -> None:
    """Run the command line of this process; ends it with the exit code.

    A service manager that ends it (SIGTERM) interrupts it, as Ctrl-C does: what is half written is
    taken away, and a run is closed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()()


def app() -> typer.Typer:
    """All commands of the shelf as one application."""
    made = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback()(_root)
    commands = shelf("ppi_ml.commands", "COMMAND")
    for name in commands:
        command = cast(Command, commands[name])
        about = inspect.getdoc(command.run)
        made.command(command.name, help=about, short_help=command.help)(_guarded(command.run))
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ppi_ml {metadata.version('ppi_ml')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Who of your customers will not come back, and how sure can you be of that?"""


def _guarded(run: Callable[..., None]) -> Callable[..., None]:
    """The command with its errors as one line on stderr and an exit code."""

    @functools.wraps(run)
    def guarded(*args: object, **kwargs: object) -> None:
        try:
            run(*args, **kwargs)
        except (typer.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            _end("interrupted", INTERRUPTED)
        except PpiError as error:
            _end(str(error), error.exit_code)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _end(f"{where}{error.strerror or type(error).__name__}", PpiError.exit_code)
        except Exception as error:
            _end(_internal(error), PpiError.exit_code)

    return guarded


def _end(message: str, code: int) -> None:
    if os.environ.get("PPI_ML_DEBUG") == "1":
        traceback.print_exc()
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _internal(error: Exception) -> str:
    """What is safe to print: the text of a foreign error may hold a customer's values."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return f"internal error: {type(error).__name__} at {place}; PPI_ML_DEBUG=1 shows all of it"


if __name__ == "__main__":
    main()
