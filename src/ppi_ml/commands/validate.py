"""ppi-ml validate: what becomes of every row, what the log as a whole tells, and what has moved."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import DataError, UsageError
from ppi_ml.inputs import data_settings, load_log, plugins_of
from ppi_ml.progress import Progress

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings
    from ppi_ml.drift import Drift
    from ppi_ml.load_report import LoadReport

_SUFFIXES = (".json", ".html", ".txt")
_ALONE = "drift: no training on these data to compare with; --against names a run or a report"


def run(
    data: Annotated[Path, typer.Argument(help="A config, a file of order lines, or a folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Save the report: .json, .html or .txt.", metavar="FILE")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Compare with this run or load report; else with the newest training on DATA.",
            metavar="RUN|FILE",
        ),
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Write the unusable rows to this folder.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Print the load report, and what has moved since the last training.

    Exit code 3 if more rows are unusable than the config allows, or if a table or column is gone
    that the model of that training reads.
    """
    limit_threads(threads)
    if out is not None and out.suffix not in _SUFFIXES:
        raise UsageError(f"--out: expected a name that ends in {', '.join(_SUFFIXES)}, got {out}")
    settings = data_settings(data)
    report, place, drifts = _looked_at(data, settings, against, Progress(quiet))
    told = report.to_dict() | {"drift": _as_data(place, drifts)}
    text = "\n".join([report.to_text(), *_as_lines(place, drifts)])
    if quarantine is not None:
        report.write_quarantine(quarantine)
    if out is not None:
        _save(out, told, text)
    say(told if json else text)
    _judge(report, settings, place, drifts)


def _looked_at(
    data: Path, settings: DataSettings, against: Path | None, progress: Progress
) -> tuple[LoadReport, Path | None, tuple[Drift, ...]]:
    """The report with its checks, the training it is compared with, and what differs."""
    import time

    from ppi_ml import drift, last_training, log_checks, staleness
    from ppi_ml.instants import Cutoff

    place = against or last_training.newest(data, settings)
    last = None if place is None else last_training.read(place)
    with progress.stage("reading events"):
        lenient = settings.model_copy(update={"max_quarantined": 1.0})
        log = load_log(lenient, plugins_of(data))
    with progress.stage("checking the whole log"):
        now = Cutoff.from_instant(time.time_ns() // 1000, log.timezone)
        report = log_checks.checked(log, now)
    if last is None:
        return report, None, ()
    end, most = log.observed_until, settings.max_staleness
    fresh, _ = staleness.check(log, end, most, allow_stale=True)
    stale = log.tables.keys() - fresh.tables.keys()
    found = drift.between(last.report, report.to_dict(), stale=stale, read=last.reads)
    return report, place, found


def _as_data(place: Path | None, drifts: tuple[Drift, ...]) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"against": str(place), "found": [drift.to_dict() for drift in drifts]}


def _as_lines(place: Path | None, drifts: tuple[Drift, ...]) -> list[str]:
    if place is None:
        return [_ALONE]
    title = f"drift since {place}"
    return [f"{title}:" if drifts else f"{title}: none", *(drift.to_text() for drift in drifts)]


def _save(out: Path, told: dict[str, Any], text: str) -> None:
    from ppi_ml.runs import write_json

    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".json":
        write_json(out, told)
    else:
        page = f"<!doctype html><meta charset=utf-8><pre>{escape(text)}</pre>"
        out.write_text(f"{text if out.suffix == '.txt' else page}\n", encoding="utf-8")


def _judge(
    report: LoadReport, settings: DataSettings, place: Path | None, drifts: tuple[Drift, ...]
) -> None:
    """`DataError` where a table has too many unusable rows, or a model lacks what it reads."""
    for name, table in report.tables.items():
        share = table.rows_quarantined / max(table.rows_in, 1)
        if share > settings.max_quarantined:
            limit = f"data.max_quarantined is {settings.max_quarantined:.1%}"
            raise DataError(f"{name}: {share:.1%} of the rows are unusable; {limit}")
    gone = [drift.place for drift in drifts if drift.gone]
    if gone:
        raise DataError(
            f"the model of {place} reads what is not there any more: {', '.join(gone)}; mend the "
            "export, or train again without it"
        )


COMMAND = Command("validate", "Check a log: rows by rule, orphans, clock skew, and drift.", run)
