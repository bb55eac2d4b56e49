"""ppi-ml evaluate: judge a bundle by what came after its training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppi_ml.commands import _kit
from ppi_ml.commands._kit import Json, Memory, Quiet, Threads
from ppi_ml.declare import Command
from ppi_ml.errors import UsageError
from ppi_ml.progress import Progress

_SUFFIXES = (".md", ".json")


def run(
    model: Annotated[Path, typer.Option(help="The bundle/ folder of a run.")],
    data: Annotated[Path, typer.Option(help="A config, a file of lines, or a folder.")],
    cutoffs: Annotated[
        list[str] | None,
        typer.Option(
            "--cutoff", help="Predict as known at this date; again for more. Else the latest ones."
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the data, such as data.path=exports."),
    ] = None,
    in_sample: Annotated[
        bool, typer.Option("--in-sample", help="Dates before the end of the training, too.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Save the scorecard: .md or .json.", metavar="FILE")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
    memory: Memory = None,
) -> None:
    """Judge a bundle on dates after its training; exit code 5: worse than a baseline.

    DATA holds the events of the training and what came since. The baselines learn from the former.

    Example: ppi-ml evaluate --model live --data shop.yaml
    """
    _kit.limit_threads(threads)
    if out is not None and out.suffix not in _SUFFIXES:
        raise UsageError(f"--out: expected a name that ends in {' or '.join(_SUFFIXES)}, got {out}")
    from ppi_ml import hindsight, inputs, scoring
    from ppi_ml.runs import write_json

    progress = Progress(quiet)
    scorer = scoring.Scorer.load(model, threads=threads or 2, memory=memory)
    with progress.stage("reading events"):
        log = inputs.log_as_trained(data, scorer.config.data, sets or [])
    card = hindsight.evaluate(scorer, log, cutoffs or None, in_sample=in_sample, progress=progress)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".json":
            write_json(out, card.to_dict())
        else:
            out.write_text(card.to_markdown(), encoding="utf-8")
    _kit.say(card.to_dict() if json else card.to_text())
    if card.verdict.status == "worse":
        raise typer.Exit(_kit.WORSE)


COMMAND = Command("evaluate", "Judge a bundle by what came after its training.", run)
