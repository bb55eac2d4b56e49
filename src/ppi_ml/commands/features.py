"""ppi-ml features: the catalogue, and the checks of a family of your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, columns, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import DataError, UsageError
from ppi_ml.progress import Progress

if TYPE_CHECKING:
    from ppi_ml.events import EventLog


def run(
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Check the family in this file of yours.", metavar="FILE")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """List every feature with its unit and what an empty cell means.

    With --check, run the checks of the shelf on a family of yours, on the data that ship, and on
    made-up rows of the tables it needs that these lack; exit code 3 if one fails.
    """
    limit_threads(threads)
    if check is not None:
        _check(check, json, Progress(quiet))
        return
    from ppi_ml import dataset

    known = {own.name: own for own in dataset.every_family()}
    if family is not None and family not in known:
        dataset.families([family])  # says what there is instead
    rows = dataset.catalogue([known[family]] if family else list(known.values()))
    say(rows if json else columns(rows))


def _check(path: Path, json: bool, progress: Progress) -> None:
    from ppi_ml import dataset, family_check, inputs, shelf

    plugins = shelf.load_plugins([path])
    if not hasattr(plugins[0].module, "FAMILY"):
        raise UsageError(f"{path}: it has no FAMILY, which is what is checked")
    (own,) = dataset.families([path.stem], plugins=plugins)
    with progress.stage("reading events"):
        log = _with_events(inputs.load_demo(), own.needs, progress)
    with progress.stage("checking"):
        found = family_check.check(own, log)
    lines = [f"{'ok    ' if f.holds else 'FAILED'}  {f.check}  {f.where}".rstrip() for f in found]
    say([asdict(f) for f in found] if json else "\n".join(lines))
    failed = sum(not f.holds for f in found)
    if failed:
        raise DataError(f"{path}: {failed} of {len(found)} checks failed")


def _with_events(log: EventLog, tables: Sequence[str], progress: Progress) -> EventLog:
    """A log with made-up rows of the tables of events that it lacks."""
    from ppi_ml import inputs, made_up
    from ppi_ml.schema import table_named

    declared = [table_named(name) for name in tables if name not in log.tables]
    lacking = [table for table in declared if table.of_customers and table.dated]
    if not lacking:
        return log
    progress.note(f"rows of {', '.join(t.name for t in lacking)} are made up: the data lack them")
    lines = log.tables["order_lines"].frame
    frames = {name: getattr(log, name) for name in log.tables}
    frames |= {t.name: made_up.rows(t, lines, log.currency) for t in lacking}
    # what was made up is nobody's fault: a row that a rule sets aside is left out
    return inputs.load(frames, timezone=log.timezone, currency=log.currency, max_quarantined=1.0)


COMMAND = Command("features", "List the features, or check a family of your own.", run)
