"""ppi-ml schema: what a config and the tables of a log may hold."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, columns, say
from ppi_ml.declare import Command


def run(
    what: Annotated[Literal["config", "tables"], typer.Argument(help="config or tables.")],
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Print the JSON schema of a config, for editors, or the columns of every table."""
    del quiet, threads  # accepted everywhere; here is nothing to hide or to hurry
    from ppi_ml import config, schema

    if what == "config":
        say(config.json_schema())
    else:
        say(schema.rows() if json else columns(schema.rows()))


COMMAND = Command("schema", "Print the schema of a config or of the tables.", run)
