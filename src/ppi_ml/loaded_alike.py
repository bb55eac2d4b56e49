"""Whether a log was loaded as the model's was: money, days, purchases, rates, rows left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ppi_ml import exclusion, stated_rates
from ppi_ml.conversion import NO_CURRENCY
from ppi_ml.errors import DataError

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings
    from ppi_ml.events import EventLog


def checked(log: EventLog, trained: DataSettings, currency: str | None) -> None:
    """`DataError` if the log counts money or days otherwise than the model does.

    Args:
        log: events to be scored.
        trained: how those of the training were read.
        currency: that of the training log, where `trained` leaves it to the table.
    """
    money = trained.currency or currency
    if len({money, log.currency} - {None, NO_CURRENCY}) > 1:
        raise DataError(
            f"the model was trained on {money}, this log is in {log.currency}; convert "
            "the money before loading, or train on this log"
        )
    if log.timezone != trained.timezone:
        raise DataError(
            f"the model was trained on days of {trained.timezone}, this log has days of "
            f"{log.timezone}; load it with that zone"
        )


def as_trained(log: EventLog, trained: DataSettings) -> tuple[EventLog, list[str]]:
    """The log with the purchases of the model; notes on what was stated otherwise when loading.

    The arguments are those of `checked`. Rows that rules have left out cannot be brought back, nor
    left out now, and money is converted already: other rules and rates are told and nothing else.
    """
    notes = []
    if log.purchases != trained.purchases:
        notes.append(
            f"purchases: this log was loaded with {', '.join(log.purchases)}; what counts are "
            f"those of the model, {', '.join(trained.purchases)}"
        )
        log = replace(log, purchases=trained.purchases)
    if log.exclude != trained.exclude:
        here = exclusion.named(log.exclude)
        if set(log.exclude) == set(trained.exclude):
            here = "others of these names"
        notes.append(
            f"exclude: the model was trained with the rules {exclusion.named(trained.exclude)}; "
            f"this log was loaded with {here}"
        )
    if log.rates != trained.rates:
        notes.append(
            f"rates: the model was trained with {stated_rates.named(trained.rates)}; this log was "
            f"loaded with {stated_rates.named(log.rates)}"
        )
    return log, notes
