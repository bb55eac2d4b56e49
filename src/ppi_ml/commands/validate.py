"""ppi-ml validate: what becomes of every row, what the log as a whole tells, and what has moved."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ppi_ml.commands._kit import Json, Quiet, Threads, limit_threads, say
from ppi_ml.declare import Command
from ppi_ml.errors import DataError, NothingLeftError, UsageError
from ppi_ml.progress import Progress
from ppi_ml.shelf import load_plugins

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings
    from ppi_ml.drift import Drift
    from ppi_ml.last_training import LastTraining
    from ppi_ml.load_report import LoadReport
    from ppi_ml.shelf import Plugin

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
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the data, such as data.path=exports."),
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Write the unusable rows to this folder.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Print the load report, and what has moved since the last training.

    A file or folder is read as that training was: in its zone, its currency, with its names of
    columns. Exit code 3 if more rows are unusable than the config allows, if a table or column is
    gone that the model of that training reads, or if days or money are counted otherwise.
    """
    limit_threads(threads)
    if out is not None and out.suffix not in _SUFFIXES:
        raise UsageError(f"--out: expected a name that ends in {', '.join(_SUFFIXES)}, got {out}")
    from ppi_ml import inputs

    last = _last(data, against, sets or [])
    plugins = _plugins(data, last, sets or [])
    settings = inputs.data_settings(data, last.settings if last else None, sets or [])
    lenient = settings.model_copy(update={"max_quarantined": 1.0})
    try:
        report, drifts = _looked_at(lenient, plugins, last, Progress(quiet))
    except NothingLeftError as error:
        _tell_nothing_left(error, quarantine, json)
        raise
    place = last.place if last else None
    told = report.to_dict() | {"drift": _as_data(place, drifts)}
    read_as = _read_as(settings) if last and data.suffix not in (".yaml", ".yml") else []
    text = "\n".join([report.to_text(), *_as_lines(place, drifts), *read_as])
    if quarantine is not None:
        report.write_quarantine(quarantine)
    if out is not None:
        _save(out, told, text)
    say(told if json else text)
    _judge(report, settings, place, drifts)


def _tell_nothing_left(error: NothingLeftError, quarantine: Path | None, json: bool) -> None:
    """The report on an export of which no line can be used: now it is needed most."""
    report = cast("LoadReport", error.report)
    if quarantine is not None:
        report.write_quarantine(quarantine)
    say(report.to_dict() if json else report.to_text())


def _last(data: Path, against: Path | None, sets: Sequence[str]) -> LastTraining | None:
    """The training that is compared with; None if there is none."""
    from ppi_ml import inputs, last_training

    place = against or last_training.newest(data, inputs.data_settings(data, sets=sets), sets)
    return None if place is None else last_training.read(place)


def _plugins(data: Path, last: LastTraining | None, sets: Sequence[str]) -> tuple[Plugin, ...]:
    """Files of one's own that may bring tables: those of a config, else those of the training."""
    if data.suffix in (".yaml", ".yml") or last is None:
        from ppi_ml.inputs import plugins_of

        return plugins_of(data, sets)
    return load_plugins(last.plugins, last.hashes)


def _looked_at(
    settings: DataSettings, plugins: Sequence[Plugin], last: LastTraining | None, progress: Progress
) -> tuple[LoadReport, tuple[Drift, ...]]:
    """The report with its checks, and what differs from that of the training."""
    from ppi_ml import customer_columns, drift, inputs, log_checks, staleness
    from ppi_ml.instants import Cutoff

    with progress.stage("reading events"):
        log = inputs.load_log(settings, plugins)
        if "customers" in log.tables:
            customer_columns.refuse_ids(log.tables["customers"].frame, log.segments)
    with progress.stage("checking the whole log"):
        report = log_checks.checked(log, Cutoff.now(log.timezone))
    if last is None:
        return report, ()
    end, most = log.observed_until, settings.max_staleness
    fresh, _ = staleness.check(log, end, most, allow_stale=True)
    stale = log.tables.keys() - fresh.tables.keys()
    told = report.to_dict()
    return report, drift.between(
        last.report, told, stale=stale, read=last.reads, unread=last.unread
    )


def _as_data(place: Path | None, drifts: tuple[Drift, ...]) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"against": str(place), "found": [drift.to_dict() for drift in drifts]}


def _as_lines(place: Path | None, drifts: tuple[Drift, ...]) -> list[str]:
    if place is None:
        return [_ALONE]
    title = f"drift since {place}"
    return [f"{title}:" if drifts else f"{title}: none", *(drift.to_text() for drift in drifts)]


def _read_as(settings: DataSettings) -> list[str]:
    """What a file or folder does not say itself."""
    money = f", money in {settings.currency}" if settings.currency else ""
    rates = f", converted from {', '.join(settings.rates)}" if settings.rates else ""
    rules = f", without {', '.join(settings.exclude)}" if settings.exclude else ""
    return [f"read in days of {settings.timezone}{money}{rates}{rules}"]


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
    from ppi_ml.limits import exceeded

    for lost in exceeded(report, settings.max_quarantined):
        raise DataError(
            f"{lost.table}: {lost.share:.1%} of the rows are unusable; data.max_quarantined is "
            f"{lost.most:.1%}"
        )
    gone = [drift.place for drift in drifts if drift.gone]
    other = [drift.place for drift in drifts if drift.refused]
    wrong = []
    if gone:
        wrong.append(
            f"the model of {place} reads what is not there any more: {', '.join(gone)}; mend the "
            "export, or train again without it"
        )
    if other:
        wrong.append(
            f"the model of {place} counts otherwise: {', '.join(other)}; read the data as it was "
            "trained, or train again"
        )
    if wrong:
        raise DataError("\n".join(wrong))


COMMAND = Command("validate", "Check a log: rows by rule, orphans, clock skew, and drift.", run)
