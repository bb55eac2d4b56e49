"""ppi-ml simulate: a brand with every type of event, and why everything happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, columns, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import UsageError
from ppi_ml.progress import Progress


def run(
    customers: Annotated[int, typer.Option(help="How many customers it has.", metavar="N")],
    out: Annotated[Path, typer.Option(help="The folder to write; new, or empty.", metavar="DIR")],
    days: Annotated[int, typer.Option(help="How many days the log covers.", metavar="D")] = 730,
    seed: Annotated[int, typer.Option(help="The same seed, the same shop.", metavar="S")] = 0,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A dial of ppi_ml.simulate.Brand, such as late_wait=0."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Write a simulated shop: one Parquet file per table, and its truth.

    The folder is DATA for all other commands; truth/ in it says which parcel was late, what that
    did to the next order, and all dials.
    """
    limit_threads(threads)
    from ppi_ml import simulate

    brand = simulate.Brand.dialled(dict(_dial(text) for text in sets or ()))
    progress = Progress(quiet)
    with progress.stage("simulating", total=customers) as step:
        about = simulate.write_brand(out, customers, days, seed, brand, step)
    if json:
        say({"out": str(out), **about})
        return
    rows = [{"table": name, "rows": f"{count:,}"} for name, count in about["rows"].items()]
    said = f"{customers:,} customers, {about['from']} to {about['until']}, seed {seed}"
    say(f"{out}: {said}\n{columns(rows)}\ntruth: {out / 'truth'}")


def _dial(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageError(f'--set: expected a dial and a number such as late_wait=0, got "{text}"')
    return name.strip(), number


COMMAND = Command("simulate", "Write a simulated shop with every event and known truth.", run)
