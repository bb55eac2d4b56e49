"""The log that a training is given: read or cut, looked at as a whole, refused if it ends badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppi_ml import consent, customer_columns, inputs, log_checks, log_end
from ppi_ml.config import Config, DataSettings
from ppi_ml.errors import UsageError
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
        DataError: the events break their contract, a few orders lie far after all others, or a
            column of `data.segments` tells customers apart, and not kinds of them.
    """
    log = inputs.load_log(config.data, plugins) if log is None else _cut(log, config)
    if "customers" in log.tables:
        customer_columns.refuse_ids(log.tables["customers"].frame, log.segments)
    lines = log.tables["order_lines"]
    log_end.check(
        lines.frame, TABLES["order_lines"], lines.observed_until, cut=config.data.until is not None
    )
    return replace(log, report=log_checks.checked(log, Cutoff.now(log.timezone)))


def stated(config: Config, log: EventLog) -> Config:
    """The config with what a log that is given was loaded with.

    `UsageError` if it asks for purchases, rules, segments or rates that the log does not have.
    """
    for name in ("purchases", "exclude", "segments", "rates"):
        asked, usual = getattr(config.data, name), DataSettings.model_fields[name].default
        if asked not in (usual, getattr(log, name)):
            raise UsageError(
                f"data.{name}: the log that is given was loaded otherwise; load it with "
                f"{name}=..., or let the training read the events"
            )
    sets: dict[str, object] = {"data.timezone": log.timezone, "data.currency": log.currency}
    sets["data.purchases"] = list(log.purchases)
    sets["data.segments"] = list(log.segments)
    sets["data.rates"] = dict(log.rates)
    sets["data.exclude"] = {name: rule.model_dump() for name, rule in log.exclude.items()}
    sets |= {f"data.known_lag.{name}": f"{lag}d" for name, lag in log.known_lag.items()}
    return Config.read(config.to_dict(), sets, {})


def remarks(log: EventLog) -> tuple[str, ...]:
    """What the whole log tells of more than a hundredth of the rows, a clause each."""
    checks = log.report.checks
    return () if checks is None else checks.notable(NOTABLE)


def said(log: EventLog) -> tuple[str, ...]:
    """What a scorecard says of the log: how consent was heeded, and what was found in it."""
    found = remarks(log)
    whole = [f"In the log as a whole: {'; '.join(found)}."] if found else []
    return (consent.said(log), *_left_out(log), *whole)


def _left_out(log: EventLog) -> tuple[str, ...]:
    """How many order lines each rule of the shop has left out; nothing without rules."""
    if not log.exclude:
        return ()
    counts = log.report.tables["order_lines"].excluded
    told = ", ".join(f"{name} {counts.get(name, 0):,}" for name in log.exclude)
    return (f"Order lines left out by rule: {told}. Other tables: see the load report.",)


def _cut(log: EventLog, config: Config) -> EventLog:
    """A log that was given, as `data.until` and `data.keep_months` leave it."""
    until, months = config.data.until, config.data.keep_months
    log = log if until is None else log.until(until)
    return log if months is None else newest_months(log, months)
