"""ppi-ml demo: a training on the data that ships, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, limit_threads, say, where
from ppi_ml.config import Config
from ppi_ml.declare import Command
from ppi_ml.inputs import demo_config
from ppi_ml.progress import Progress

NEXT = """
Next:
  ppi-ml score --model {bundle} --data {config} --cutoff 2011-12-09 --out scores.csv
  ppi-ml validate {config}
  mlflow ui --backend-store-uri {store}"""


def run(
    out: Annotated[Path | None, typer.Option(help="Where the run folder is made.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Train on Online Retail II, which ships with the package; minutes on two cores."""
    limit_threads(threads)
    extra = {"output.folder": out and str(out), "engine.threads": threads}
    sets = {path: value for path, value in extra.items() if value is not None}
    settings = Config.read(demo_config(), sets)
    from ppi_ml import tracking, training

    done = training.train(config=settings, progress=Progress(quiet))
    store = tracking.MlflowTracker("", settings.tracking.uri).uri
    steps = NEXT.format(bundle=Path(done.folder) / "bundle", config=demo_config(), store=store)
    say(done.to_json() if json else f"{done.scorecard.to_text()}\n\n{where(done)}\n{steps}")


COMMAND = Command("demo", "See it work: scorecard, predictions and bundle in minutes.", run)
