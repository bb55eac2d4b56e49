"""ppi-ml forget: customers out of runs, predictions and quarantine, and out of events if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import IntegrityError
from ppi_ml.progress import Progress

_MOST_EXPLAINED = 5


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

    No id is printed. Exit code 4: a file that is damaged, or not in UTF-8, may still name one.
    """
    limit_threads(threads)
    from ppi_ml import customer_list, erasure

    done = erasure.forget(
        customer_list.read(ids), root, data, dry_run=dry_run, progress=Progress(quiet)
    )
    say(done.to_dict() if json else done.to_text())
    if rest := [*_unreadable(done.damaged), *_foreign(done.encoded)]:
        raise IntegrityError("\n".join(rest))


def _unreadable(paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    return [
        f"{len(paths):,} files cannot be read and may still name them: restore or export these "
        f"again and forget once more: {', '.join(paths)}"
    ]


def _foreign(encoded: Mapping[str, str]) -> list[str]:
    """Files in another encoding, and how to convert each: a copy beside it would leave it there."""
    if not encoded:
        return []
    more = len(encoded) - _MOST_EXPLAINED
    return [
        f"{len(encoded):,} files are not in UTF-8, were not looked into and may still name them: "
        "convert each in its place and forget once more",
        *(f"  {path}: {why}" for path, why in list(encoded.items())[:_MOST_EXPLAINED]),
        *([f"  and {more:,} more; --json says it of each"] if more > 0 else []),
    ]


COMMAND = Command("forget", "Remove customers from runs, predictions and events.", run)
