"""A shop whose customers consume what they buy, with known truth.

Purchases follow from consumption, trips, promotions, other shops, stock-outs and lapse; every one
of them is a setting of `Shop` that can be turned off. So one can see what a model of the shop's log
makes of what the log does not show: when the house is really empty.

    simulated = simulate(1_000, seed=7)
    truth = run_out_after(simulated, "2025-06-01")     # days until each house is empty
    events = log(simulated)                            # what the shop knows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from ppi_ml.errors import UsageError
from ppi_ml.events import EventLog, RawTable, load_tables
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.schema import TABLES
from ppi_ml.simulation.appetite import Appetite, day_factors
from ppi_ml.simulation.buying import Block, balance
from ppi_ml.simulation.catalogue import Catalogue, stock_the_shelves
from ppi_ml.simulation.clock import INSTANT, START, stream
from ppi_ml.simulation.households import move_in
from ppi_ml.simulation.shop import Shop, require
from ppi_ml.simulation.tables import (
    CURRENCY,
    PARTS,
    TRUTH,
    World,
    pair_frame,
    refill_frame,
    run_outs,
    stops,
)

__all__ = ["Shop", "Simulated", "log", "run_out_after", "simulate", "simulate_shop"]

BLOCK = 1_000
"""Customers who are simulated together: few enough that their appetites stay in memory."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a shop wrote down, and the truth; all instants are UTC.

    tables
        The tables of the event contract by name: `order_lines`, `products`, `stock`, and
        `deliveries` and `usage` where the shop has them. The amount of a usage event is that of the
        refill that was opened.
    truth
        One row per pair: `customer_id`, `sku`, `rate` (amount a day, in the product's unit of
        measure), `starts_at` (when it would first be consumed), `lapsed_at` (when it was for the
        last time; null: never) and `left_at` (when the customer stopped everything; null: never).
        Both may lie after the log. Then amounts at the end of the log: `bought_here`,
        `bought_elsewhere`, `consumed`, `in_house`, `on_the_way`.
    runouts
        `customer_id`, `sku`, `run_out_at`, `from_purchase_at`: every instant inside the log at
        which a house was really empty of what was still consumed, and when the refill before it
        was ordered, here or elsewhere.
    refills
        Everything that was bought, here and `elsewhere`: `pair` (row of `truth`), `ordered_at`,
        `arrived_at`, `opened_at` (when the stock before it was used up), `empty_at` (when the house
        is empty if nothing arrives after this refill and consumption goes on; after the end of the
        log at its mean rate), `packs`, `amount`, `promoted`. Sorted by pair and time.
    observed_from, observed_until
        The period of the log.
    """

    tables: Mapping[str, pl.DataFrame]
    truth: pl.DataFrame
    runouts: pl.DataFrame
    refills: pl.DataFrame
    observed_from: Cutoff
    observed_until: Cutoff


def simulate(customers: int, days: int = 730, seed: int = 0, shop: Shop | None = None) -> Simulated:
    """Simulate a shop from its first day; the same arguments give the same bytes.

    `shop` None: `Shop()`. `UsageError` if a number is out of its range.
    """
    require("customers", customers, 1, 9_999_999, whole=True)
    require("days", days, 1, 10_000, whole=True)
    require("seed", seed, 0, 2**63, whole=True)
    shop = shop or Shop()
    catalogue = stock_the_shelves(shop, days, seed)
    pairs: list[pl.DataFrame] = []
    refills: list[pl.DataFrame] = []
    known = 0
    for block, first in enumerate(range(0, customers, BLOCK)):
        size = min(BLOCK, customers - first)
        more, bought = _block(shop, catalogue, days, seed, block, size)
        pairs.append(more)
        refills.append(bought.with_columns(pl.col("pair") + known))
        known += more.height
    world = World(shop, catalogue, days, pl.concat(pairs), pl.concat(refills))
    tables = {name: table for name, part in PARTS.items() if (table := part(world)) is not None}
    return Simulated(
        tables, world.pairs.select(TRUTH), run_outs(world), world.refills, START, world.until
    )


def simulate_shop(
    customers: int, *, days: int = 730, seed: int = 0, shop: Shop | None = None
) -> EventLog:
    """The log of a simulated shop: `simulate` for those who need no truth."""
    return log(simulate(customers, days, seed, shop))


def log(simulated: Simulated) -> EventLog:
    """The log as the shop would load it, over the whole simulated time.

    A table that the schema does not know is left out; it stays in `simulated.tables`. `DataError`
    if nobody bought anything.
    """
    period = (simulated.observed_from, simulated.observed_until)
    raw = {
        name: RawTable(frame, "instant", f"simulated {name}", *period, sure=True)
        for name, frame in simulated.tables.items()
        if name in TABLES
    }
    return load_tables(raw, timezone="UTC", currency=CURRENCY, max_quarantined=0.0)


def run_out_after(simulated: Simulated, cutoff: object) -> pl.DataFrame:
    """When each house would be empty if nothing more were bought from the cutoff on.

    `cutoff` is what `Cutoff.parse` reads. One row per pair that has bought anything, here or
    elsewhere, before the cutoff, sorted like `truth`:

        customer_id, sku
        days                until what is in the house at the cutoff is consumed; 0 if it is empty
                            already, null if the pair has lapsed or the customer has left by then
        days_with_parcels   the same with what is ordered and still on its way; the house may be
                            empty until it comes
        lapses_first        whether the pair will really stop before `days_with_parcels` are over,
                            so that the house never gets empty; null where the days are

    Both times are those of a pair that goes on consuming. `UsageError` if the cutoff lies outside
    the simulated time.
    """
    cut = Cutoff.parse(cutoff, "UTC")
    if not simulated.observed_from <= cut <= simulated.observed_until:
        raise UsageError(
            f"cutoff: expected a time from {simulated.observed_from} to "
            f"{simulated.observed_until}, which was simulated, got {cut}"
        )
    now = pl.lit(cut.at).cast(INSTANT)
    bought = simulated.refills.filter(pl.col("ordered_at") < now).group_by(
        "pair", maintain_order=True
    )
    # every refill empties later than those before it
    empty = bought.agg(
        house=pl.col("empty_at").filter(pl.col("arrived_at") < now).max(),
        parcels=pl.col("empty_at").max(),
    )
    truth = simulated.truth.with_columns(stops=stops(simulated.truth))[empty["pair"]]
    frame = pl.concat([truth, empty], how="horizontal")
    consumes = (pl.col("stops") > now).fill_null(True)
    return frame.select(
        "customer_id",
        "sku",
        days=pl.when(consumes).then(_days_between(now, "house")),
        days_with_parcels=pl.when(consumes).then(_days_between(now, "parcels")),
        lapses_first=pl.when(consumes).then((pl.col("stops") < pl.col("parcels")).fill_null(False)),
    )


def _block(
    shop: Shop, catalogue: Catalogue, days: int, seed: int, block: int, customers: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The pairs and the refills of one block, numbered from 0 on."""

    def draw(part: str) -> np.random.Generator:
        return stream(seed, part, block)

    homes = move_in(shop, catalogue, days, customers, draw)
    factors = day_factors(draw("days"), len(homes.customer), days, shop.day_spread)
    appetite = Appetite.of(factors)
    refills = Block(shop, catalogue, homes, appetite, draw).buy()
    pairs = pair_frame(homes, balance(homes, appetite, refills), BLOCK * block)
    return pairs, refill_frame(homes, refills)


def _days_between(start: pl.Expr, end: str) -> pl.Expr:
    """Days from the start to a column; 0 where that is over or null."""
    away = (pl.col(end) - start).dt.total_microseconds() / DAY_US
    return away.fill_null(0.0).clip(lower_bound=0.0)
