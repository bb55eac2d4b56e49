"""The log that a training is given: read or cut, looked at as a whole, refused if it ends badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppi_ml import consent, inputs, log_checks, log_end
from ppi_ml.config import Config
from ppi_ml.events import EventLog, newest_months
from ppi_ml.instants import Cutoff
from ppi_ml.schema import TABLES
from ppi_ml.shelf import Plugin

NOTABLE = 0.01
"""Share of the rows above which a finding of the whole log is told, and not only kept."""


def read(config: Config, plugins: Sequence[Plugin], log: EventLog | None = None) -> EventLog:
    """The log to train on, with what only all tables together tell in its report.

    Args:
        config: the training; says where the events are, and where the log ends.
        plugins: a user's own files.
        log: events that were read before; None: they are read as the config says.

    Raises:
        DataError: the events break their contract, or a few orders lie far after all others.
    """
    log = inputs.load_log(config.data, plugins) if log is None else _cut(log, config)
    lines = log.tables["order_lines"]
    log_end.check(
        lines.frame, TABLES["order_lines"], lines.observed_until, cut=config.data.until is not None
    )
    return replace(log, report=log_checks.checked(log, Cutoff.now(log.timezone)))


def remarks(log: EventLog) -> tuple[str, ...]:
    """What the whole log tells of more than a hundredth of the rows, a clause each."""
    checks = log.report.checks
    return () if checks is None else checks.notable(NOTABLE)


def said(log: EventLog) -> tuple[str, ...]:
    """What a scorecard says of the log: how consent was heeded, and what was found in it."""
    found = remarks(log)
    return (consent.said(log), *([f"In the log as a whole: {'; '.join(found)}."] if found else []))


def _cut(log: EventLog, config: Config) -> EventLog:
    """A log that was given, as `data.until` and `data.keep_months` leave it."""
    until, months = config.data.until, config.data.keep_months
    log = log if until is None else log.until(until)
    return log if months is None else newest_months(log, months)
