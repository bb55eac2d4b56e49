"""ppi-ml train: from a config to a judged bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands._kit import WORSE, Json, Memory, Quiet, Threads, limit_threads, say, where
from ppi_ml.declare import Command
from ppi_ml.progress import Progress


def run(
    config: Annotated[Path, typer.Argument(help="A config such as configs/churn.yaml.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, such as tune.trials=50.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Pretend that the log ends at this date.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    resume: Annotated[Path | None, typer.Option(help="Go on with this interrupted run.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Train, judge out of time, and write a run folder; exit code 5: worse than a baseline.

    Example: ppi-ml train shop.yaml --set tune.trials=50 --set target.horizon=60d
    """
    limit_threads(threads)
    from ppi_ml.config import Config
    from ppi_ml.inputs import check_config

    extra = {"data.until": until, "engine.threads": threads, "engine.memory": memory}
    given = [f"{path}={value}" for path, value in extra.items() if value is not None]
    check_config(config)
    settings = Config.read(config, [*(sets or ()), *given])
    from ppi_ml import training
    from ppi_ml.dry_run import describe

    if dry_run:
        text = describe(settings)
        say({"plan": text.splitlines()} if json else text)
        return
    done = training.train(config=settings, resume=resume, progress=Progress(quiet))
    say(done.to_json() if json else f"{done.scorecard.to_text()}\n\n{where(done)}")
    if done.verdict.status == "worse":
        raise typer.Exit(WORSE)


COMMAND = Command("train", "Train a model, judge it, and write its bundle.", run)
