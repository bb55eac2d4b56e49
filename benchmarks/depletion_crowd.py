"""A made-up shop of many pairs, drawn fast and in blocks: what scoring ten million is measured on.

Not a shop to judge a model by. A customer buys some products, each at a pace of its own that comes
from product and customer, and stops each by chance; lines are written with dates and times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.events import EventLog, load_tables
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.intake import RawTable

FloatArray = NDArray[np.float64]
FIRST, DAYS = "2024-01-01", 420
PRODUCTS, GROUPS = 2_000, 40
EACH = 15
"""Products that a customer buys in all."""
BLOCK = 10_000
"""Customers who are drawn together, into one file: some 117,000 live pairs, of 920,000 lines."""
LIVE = 0.78
"""Share of the pairs with three purchases and one in the last 120 days; so many are drawn."""
_JOIN_WITHIN, _STOPS, _MOST = 0.6, 0.03, 60


def customers_for(pairs: int) -> int:
    """How many customers make about so many live pairs."""
    return max(1, round(pairs / (EACH * LIVE)))


def lines(first: int, customers: int, seed: int) -> pl.DataFrame:
    """The order lines of so many customers, from number `first` on."""
    draw = np.random.default_rng((seed, first))
    joined = draw.uniform(0, _JOIN_WITHIN * DAYS, customers)
    hurried = draw.lognormal(0.0, 0.3, customers)
    who = np.repeat(np.arange(customers), EACH)
    product = draw.integers(0, PRODUCTS, len(who))
    who, product = np.unique(np.column_stack([who, product]), axis=0).T
    lasts = np.random.default_rng(seed).lognormal(np.log(45), 0.4, PRODUCTS)
    pace = lasts[product] * hurried[who] * draw.lognormal(0.0, 0.25, len(who))
    day = joined[who] + draw.uniform(0, 1, len(who)) * pace
    pair = np.flatnonzero(day < DAYS)
    parts: list[tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]] = []
    for _ in range(_MOST):
        amount = 1 + (draw.random(len(pair)) < 0.25)
        parts.append((pair, day[pair], amount))
        stays = draw.random(len(pair)) > _STOPS
        pair, amount = pair[stays], amount[stays]
        day[pair] += pace[pair] * amount**0.6 * draw.gamma(8.0, 1 / 8.0, len(pair))
        pair = pair[day[pair] < DAYS]
    of, at, quantity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _frame(first, who[of], product[of], at, quantity)


def _frame(
    first: int,
    who: NDArray[np.int64],
    product: NDArray[np.int64],
    at: FloatArray,
    quantity: NDArray[np.int64],
) -> pl.DataFrame:
    """Lines as a shop exports them; those of a customer and day are one order."""
    day = np.floor(at)
    hours = np.random.default_rng(first).integers(8, 20, len(at))  # of an order: by its number
    order = (first + who) * 1_000 + day.astype(np.int64)
    start = np.datetime64(FIRST, "us")
    clock = day * 24 + hours[order % len(at)]
    return pl.DataFrame(
        {
            "order_id": order,
            "line_id": product,
            "customer_id": first + who,
            "occurred_at": start + clock.astype("timedelta64[h]").astype("timedelta64[us]"),
            "sku": product,
            "quantity": quantity,
            "unit_price": 2.0 + product % 7,
        }
    ).with_columns(pl.col("order_id", "line_id", "customer_id", "sku").cast(pl.String))


def write(folder: Path, customers: int, seed: int) -> Iterator[Path]:
    """One Parquet file of order lines per block of customers."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, customers, BLOCK):
        path = folder / f"order_lines-{first // BLOCK:05d}.parquet"
        lines(first, min(BLOCK, customers - first), seed).write_parquet(path)
        yield path


def log_of(order_lines: pl.DataFrame) -> EventLog:
    """The log of some of the order lines, over the whole time of the shop."""
    sku = np.arange(PRODUCTS)
    products = pl.DataFrame({"sku": sku, "category": sku % GROUPS}).with_columns(
        pl.all().cast(pl.String)
    )
    tables: Mapping[str, pl.DataFrame] = {"order_lines": order_lines, "products": products}
    return load_tables(
        {
            name: RawTable(frame, "instant", name, FIRST, end(), sure=True)
            for name, frame in tables.items()
        }
    )


def end() -> Cutoff:
    """Where the log ends."""
    return Cutoff.parse(FIRST, "UTC").plus(DAYS)


def live(order_lines: pl.DataFrame, within: int, least: int) -> int:
    """How many pairs have so many purchase days, one of them so lately."""
    start = end().at - within * DAY_US
    day = pl.col("occurred_at").dt.date()
    pairs = order_lines.group_by("customer_id", "sku").agg(
        n=day.n_unique(), last=pl.col("occurred_at").max().dt.epoch("us")
    )
    return pairs.filter((pl.col("n") >= least) & (pl.col("last") >= start)).height
