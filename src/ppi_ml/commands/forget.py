"""ppi-ml forget: customers out of runs, predictions and quarantine, and out of events if asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import IntegrityError
from ppi_ml.progress import Progress


def run(
    ids: Annotated[Path, typer.Option(help="One id a line, or CSV with a column customer_id.")],
    root: Annotated[Path, typer.Option(help="The folder with the runs.")] = Path("mlruns"),
    data: Annotated[
        Path | None,
        typer.Option(help="Events to remove them from too: a folder, a file, or a config."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Remove customers from every table below a folder, and list the bundles trained on them.

    No id is printed. Exit code 4: a damaged file may still name one of them.
    """
    limit_threads(threads)
    from ppi_ml import customer_list, erasure

    done = erasure.forget(
        customer_list.read(ids), root, data, dry_run=dry_run, progress=Progress(quiet)
    )
    say(done.to_dict() if json else done.to_text())
    if done.damaged:
        raise IntegrityError(
            f"{len(done.damaged):,} files cannot be read and may still name them: delete these, or "
            f"mend them and forget once more: {', '.join(done.damaged)}"
        )


COMMAND = Command("forget", "Remove customers from runs, predictions and events.", run)
