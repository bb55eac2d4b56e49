"""ppi-ml validate: what becomes of every row when a log is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import DataError
from ppi_ml.inputs import data_settings, load_log, plugins_of
from ppi_ml.progress import Progress


def run(
    data: Annotated[Path, typer.Argument(help="A config, a file of order lines, or a folder.")],
    quarantine: Annotated[
        Path | None, typer.Option(help="Write the unusable rows to this folder.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Print the load report; exit code 3 if more rows are unusable than the config allows."""
    limit_threads(threads)
    settings = data_settings(data)
    with Progress(quiet).stage("reading events"):
        lenient = settings.model_copy(update={"max_quarantined": 1.0})
        report = load_log(lenient, plugins_of(data)).report
    if quarantine is not None:
        report.write_quarantine(quarantine)
    say(report.to_dict() if json else report.to_text())
    for name, table in report.tables.items():
        share = table.rows_quarantined / max(table.rows_in, 1)
        if share > settings.max_quarantined:
            limit = f"data.max_quarantined is {settings.max_quarantined:.1%}"
            raise DataError(f"{name}: {share:.1%} of the rows are unusable; {limit}")


COMMAND = Command("validate", "Check a log: rows kept, repaired and quarantined, by rule.", run)
