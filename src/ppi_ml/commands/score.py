"""ppi-ml score: predictions of a bundle for the customers of a log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml import inputs
from ppi_ml.commands import _kit
from ppi_ml.commands._kit import Json, Memory, Quiet, Threads
from ppi_ml.declare import Command
from ppi_ml.errors import UsageError
from ppi_ml.progress import Progress


def run(
    model: Annotated[Path, typer.Option(help="The bundle/ folder of a run.")],
    data: Annotated[Path, typer.Option(help="A config, a file of order lines, or a folder.")],
    cutoff: Annotated[str, typer.Option(help="Predict as known at this date.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    kind: Annotated[str | None, typer.Option("--format", help="parquet, csv or jsonl.")] = None,
    curve: Annotated[str, typer.Option(help="Days such as 7,14,30: P(no event by then).")] = "",
    ids: Annotated[Path | None, typer.Option(help="Only these customers, one id a line.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Not only the eligible.")] = False,
    explain: Annotated[
        int, typer.Option(min=0, help="Add so many reasons to each score; slow.", metavar="N")
    ] = 0,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Score although a table is old.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Score the customers of a log as known at a cutoff."""
    _kit.limit_threads(threads)
    written, days = _kit.format_of(out, kind), _kit.whole_numbers("--curve", curve)
    wanted = None if ids is None else _kit.lines_of(ids)
    if wanted is not None and everyone:
        raise UsageError("--ids and --all: give one of them")
    from ppi_ml import scoring

    progress, scorer = (
        Progress(quiet),
        scoring.Scorer.load(model, threads=threads or 2, memory=memory),
    )
    with progress.stage("reading events"):
        settings = inputs.data_settings(data, like=scorer.config.data)
        log = inputs.load_log(settings, inputs.plugins_of(data))
    with progress.stage("scoring"):
        table = scorer.score(
            log, cutoff, everyone=everyone, ids=wanted, days=days, allow_stale=allow_stale
        )
    if explain:
        from ppi_ml.explain import with_reasons

        with progress.stage("explaining"):
            scored = table.loc[table["status"] == "scored", "customer_id"].tolist()
            reasons = scorer.explain(log, cutoff, scored, allow_stale=allow_stale)
            table = with_reasons(table, reasons, explain)
    for note in table.attrs.get("notes", ()):
        progress.note(note)
    _kit.write_table(table, out, written)
    counts = {str(status): int(n) for status, n in table["status"].value_counts().items()}
    said = ", ".join(f"{n:,} {status}" for status, n in counts.items())
    answer = {"out": str(out), "rows": len(table), **counts, "notes": table.attrs["notes"]}
    _kit.say(answer if json else f"{out}: {said}")


COMMAND = Command("score", "Predict for customers with a trained bundle.", run)
