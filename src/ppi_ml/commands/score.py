"""ppi-ml score: predictions of a bundle for the customers of a log, their products or orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands import _kit
from ppi_ml.commands._kit import Json, Memory, Quiet, Threads
from ppi_ml.declare import Command
from ppi_ml.errors import UsageError
from ppi_ml.progress import Progress


def run(
    model: Annotated[Path, typer.Option(help="The bundle/ folder of a run.")],
    data: Annotated[Path, typer.Option(help="A config, a file of lines, or a folder.")],
    cutoff: Annotated[
        str, typer.Option(help="Predict as known at this date; end: the end of the log.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the data, such as data.path=exports."),
    ] = None,
    kind: Annotated[str | None, typer.Option("--format", help="parquet, csv or jsonl.")] = None,
    curve: Annotated[str, typer.Option(help="Days such as 7,14,30: P(no event by then).")] = "",
    ids: Annotated[
        Path | None,
        typer.Option(help="Only these: one id a line, or CSV with a column customer_id."),
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Not only the eligible.")] = False,
    explain: Annotated[
        int, typer.Option(min=0, help="Add so many reasons to each score; slow.", metavar="N")
    ] = 0,
    top: Annotated[
        int, typer.Option(min=0, help="Pairs: only the N that run out soonest.", metavar="N")
    ] = 0,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Score although a table is old.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Score the customers of a log, what they buy, or their orders, as known at a cutoff.

    --top N keeps, for each customer, the N products that run out soonest.

    Example: ppi-ml score --model bundle --data shop.yaml --cutoff end --out s.csv
    """
    _kit.limit_threads(threads)
    written, days = _kit.format_of(out, kind), _kit.whole_numbers("--curve", curve)
    wanted = None if ids is None else _wanted(ids)
    if wanted is not None and everyone:
        raise UsageError("--ids and --all: give one of them")
    import polars as pl

    from ppi_ml import inputs, score_table, scoring
    from ppi_ml.entities import CUSTOMER
    from ppi_ml.instants import Cutoff
    from ppi_ml.nouns import NOUNS
    from ppi_ml.run_outs import soonest
    from ppi_ml.scorer_base import END

    progress, scorer = (
        Progress(quiet),
        scoring.Scorer.load(model, threads=threads or 2, memory=memory),
    )
    many = NOUNS[scorer.model.entity.name].many
    if explain and scorer.model.entity.name != CUSTOMER:
        raise UsageError(f"--explain: reasons are told of customers; this model scores {many}")
    if top and not scorer.of_pairs:
        raise UsageError(f"--top: this model scores {many}; expected a model of pairs")
    if cutoff != END:
        Cutoff.parse(cutoff, scorer.config.data.timezone)
    scorer.check_days(days)
    with progress.stage("reading events"):
        log = inputs.log_as_trained(data, scorer.config.data, sets or [])
    empty = (
        f"no {many} are eligible at {log.observed_until if cutoff == END else cutoff}, so there "
        f"are no rows; the log goes from {log.observed_from} to {log.observed_until}"
    )
    if scorer.of_pairs and wanted is None and not explain:
        with progress.stage("scoring"):
            notes = scorer.notes(log, cutoff, allow_stale=allow_stale)
            parts = scorer.score_parts(
                log, cutoff, everyone=everyone, days=days, allow_stale=allow_stale
            )
            kept = (soonest(part, top) if top else part for part in parts)
            counts = _kit.write_parts(kept, out, written)
            _say(out, counts, notes if counts else [*notes, empty], progress, json)
        return
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
    if top:
        notes = table.attrs["notes"]
        table = score_table.to_pandas(soonest(pl.from_pandas(table), top))
        table.attrs["notes"] = notes
    _kit.write_table(table, out, written)
    counts = {str(status): int(n) for status, n in table["status"].value_counts().items()}
    notes = table.attrs["notes"]
    _say(out, counts, notes if counts else [*notes, empty], progress, json)


def _wanted(ids: Path) -> list[str]:
    from ppi_ml import customer_list

    return customer_list.ids_in(ids)


def _say(
    out: Path, counts: Mapping[str, int], notes: Sequence[str], progress: Progress, json: bool
) -> None:
    """What was written, and what there is to say of it."""
    for note in notes:
        progress.note(note)
    said = ", ".join(f"{n:,} {status}" for status, n in counts.items()) or "no rows"
    answer = {"out": str(out), "rows": sum(counts.values()), **counts, "notes": list(notes)}
    _kit.say(answer if json else f"{out}: {said}")


COMMAND = Command("score", "Predict for customers, their products or orders, with a bundle.", run)
