"""ppi-ml demo: a training on the data that ships, and what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Memory, Quiet, Threads, limit_threads, near, say, where
from ppi_ml.declare import Command
from ppi_ml.progress import Progress

NEXT = """
Next:
  {bin}ppi-ml score --model {bundle} --data {config} --cutoff 2011-12-09 --out scores.csv
  {bin}ppi-ml validate {config}
  {bin}mlflow ui --backend-store-uri {store}"""


def run(
    out: Annotated[Path | None, typer.Option(help="Where the run folder is made.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Train on Online Retail II, which ships with the package; minutes on two cores."""
    limit_threads(threads)
    from ppi_ml import tracking, training
    from ppi_ml.config import Config
    from ppi_ml.inputs import demo_config

    extra = {"output.folder": out and str(out), "engine.threads": threads, "engine.memory": memory}
    sets = {path: value for path, value in extra.items() if value is not None}
    settings = Config.read(demo_config(), sets)
    done = training.train(config=settings, progress=Progress(quiet))
    store = tracking.MlflowTracker("", settings.tracking.uri).uri
    steps = NEXT.format(
        bin=_folder_of_commands(), bundle=near(done.bundle), config=near(demo_config()), store=store
    )
    say(done.to_json() if json else f"{done.scorecard.to_text()}\n\n{where(done)}\n{steps}")


def _folder_of_commands() -> str:
    """Where the commands lie as this one was called, such as `.venv/bin/`; empty on the PATH."""
    called = Path(sys.argv[0])
    return "" if which(called.name) else f"{near(called.parent)}/"


COMMAND = Command("demo", "See it work: scorecard, predictions and bundle in minutes.", run)
