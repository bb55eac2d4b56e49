"""ppi-ml features: the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, columns, limit_threads, say
from ppi_ml.declare import Command


def run(
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """List every feature with its unit and what an empty cell means."""
    del quiet  # there is no progress to hide
    limit_threads(threads)
    from ppi_ml import dataset

    rows = dataset.catalogue(dataset.families([family] if family else "all"))
    say(rows if json else columns(rows))


COMMAND = Command("features", "List the features: name, unit, meaning of null.", run)
