"""Logs of a few events written down by hand, and what a family says of the customer `a`."""

from datetime import datetime, timedelta

import polars as pl

from ppi_ml import dataset
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff

START = datetime(2018, 1, 1)
KEYS = {"exposures": "exposure_id", "messages": "message_id", "surveys": "survey_id",
        "usage": "usage_id", "cancellations": "cancellation_id"}  # fmt: skip


def log_of(orders, *, days=500, customers=None, **tables):
    """A log in UTC from events (customer, day, columns?), each order of one line.

    Every order is `o<number>` unless it says otherwise; keys of other tables likewise.
    """
    lines = _frame(orders, "order_id", line_id="1")
    raw = {"order_lines": lines} | {
        name: _frame(events, KEYS[name]) for name, events in tables.items()
    }
    if customers is not None:
        raw["customers"] = pl.DataFrame(customers, infer_schema_length=None)
    until = START + timedelta(days=days)
    return load_tables(
        {n: RawTable(f, observed_from=START, observed_until=until) for n, f in raw.items()},
        timezone="UTC", currency="GBP",
    )  # fmt: skip


def _frame(events, key, **columns):
    rows = [
        {"customer_id": who, "occurred_at": START + timedelta(days=day), key: f"{key[0]}{i}",
         **columns, **(more[0] if more else {})}
        for i, (who, day, *more) in enumerate(events)
    ]  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def built(log, name, day):
    """The matrix of one family on a day."""
    cutoff = Cutoff.parse(START + timedelta(days=day), log.timezone)
    return dataset.build(log, [cutoff], dataset.families(name))


def says(log, name, day, customer="a"):
    """Column (without the name of the family) -> what it says of a customer; null is None."""
    data = built(log, name, day)
    row = data.values[data.customers.to_list().index(customer)]
    said = zip(data.names, row.tolist(), strict=True)
    return {n.removeprefix(f"{name}__"): None if v != v else round(v, 5) for n, v in said}  # NaN
