"""A made-up shop of many customers, drawn fast: what a fit on a million rows is measured on.

Not a shop to judge a model by. But its customers must be worth a tree's while, or the trees would
stop at once and cost nothing: they differ in pace, in how regular they are, in what they spend and
send back, and sent goods and large baskets foretell who stops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.events import EventLog, load_tables
from ppi_ml.intake import RawTable

FloatArray = NDArray[np.float64]
FIRST_DAY, DAYS = np.datetime64("2022-01-01", "us"), 930
_MOST_PURCHASES = 80
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Orders:
    """Orders (n,): customer number, day of the log, money per line, and whether one came back."""

    customer: NDArray[np.int64]
    day: FloatArray
    value: FloatArray
    returned: NDArray[np.bool_]


def orders(customers: int, seed: int) -> Orders:
    """The orders of customers who join over the whole time and stop by chance."""
    draw = np.random.default_rng(seed)
    number = np.arange(customers)
    day = draw.uniform(0, DAYS, customers)
    pace = draw.lognormal(np.log(32), 0.7, customers)
    regular = draw.choice([1.0, 4.0], customers)
    spends = draw.lognormal(3, 0.6, customers)
    careless = draw.beta(1, 8, customers)
    parts = []
    for _ in range(_MOST_PURCHASES):
        value = spends * draw.lognormal(0, 0.4, len(number))
        returned = draw.random(len(number)) < careless
        parts.append((number, day, value, returned))
        stops = 0.06 + 0.2 * returned + 0.1 * (value > 2 * spends)
        day = day + pace * draw.gamma(regular) / regular
        stays = (draw.random(len(number)) > stops) & (day < DAYS)
        number, day, pace, regular, spends, careless = (
            array[stays] for array in (number, day, pace, regular, spends, careless)
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Orders(*columns)


def log_of(found: Orders, seed: int) -> EventLog:
    """The log of these orders, one to four lines each, and of their returns a week later."""
    draw = np.random.default_rng(seed + 1)
    n = len(found.day)
    lines = 1 + draw.binomial(3, 0.25, n)
    of = np.repeat(np.arange(n), lines)
    noon = np.floor(found.day) + np.clip(draw.normal(0.6, 0.15, n), 0, 0.999)
    when = FIRST_DAY + (noon * _DAY_US).astype("timedelta64[us]")
    text = pl.col("customer_id").cast(pl.String)
    order_lines = pl.DataFrame(
        {
            "order_id": of,
            "line_id": np.arange(len(of)),
            "customer_id": found.customer[of],
            "occurred_at": when[of],
            "sku": draw.integers(0, 400, len(of)),
            "quantity": draw.integers(1, 4, len(of)),
            "unit_price": np.round(found.value[of], 2),
        }
    ).with_columns(text, pl.col("order_id", "line_id", "sku").cast(pl.String))
    back = np.flatnonzero(found.returned & (found.day + 7 < DAYS))
    returns = pl.DataFrame(
        {
            "return_id": back,
            "order_id": back,
            "customer_id": found.customer[back],
            "occurred_at": when[back] + np.timedelta64(7, "D"),
            "quantity": np.ones(len(back), dtype=np.int64),
        }
    ).with_columns(text, pl.col("return_id", "order_id").cast(pl.String))
    until = str(FIRST_DAY.astype("datetime64[D]") + DAYS)
    tables = {"order_lines": order_lines, "returns": returns}
    return load_tables(
        {
            name: RawTable(frame, observed_from=str(FIRST_DAY.astype("datetime64[D]")),
                           observed_until=until)
            for name, frame in tables.items()
        }
    )  # fmt: skip
