"""Shops with known truth: one of households and their stocks, one with every type of event.

**A brand** (`simulate_brand`) has all tables: what follows an order, and what that does to the next
one. Every effect is a dial of `Brand`, absent at 0.

    made = simulate_brand(2_000, seed=7, brand=Brand(late_wait=0.5))
    made.truth["orders"]                               # which parcel was late, what that did
    events = log(made)                                 # what the brand knows

**A shop of households** (`simulate`) has customers who consume what they buy. Purchases follow from
consumption, trips, promotions, other shops, stock-outs and lapse; every one of them is a setting of
`Shop` that can be turned off. So one can see what a model of the shop's log makes of what the log
does not show: when the house is really empty.

    simulated = simulate(1_000, seed=7)
    truth = run_out_after(simulated, "2025-06-01")     # days until each house is empty
    events = log(simulated)                            # what the shop knows
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ppi_ml.errors import UsageError
from ppi_ml.events import EventLog, RawTable, load_tables
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.schema import TABLES
from ppi_ml.simulation import devices, folder
from ppi_ml.simulation.appetite import Appetite, day_factors
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.buying import Block, balance
from ppi_ml.simulation.catalogue import Catalogue, stock_the_shelves
from ppi_ml.simulation.clock import INSTANT, START, stream
from ppi_ml.simulation.history import History
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

__all__ = [
    "Brand",
    "Shop",
    "Simulated",
    "SimulatedBrand",
    "log",
    "run_out_after",
    "simulate",
    "simulate_brand",
    "simulate_shop",
    "write_brand",
]

BLOCK = 1_000
"""Customers who are simulated together: few enough that their appetites stay in memory."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a shop wrote down, and the truth; all instants are UTC.

    tables
        The tables of the event contract by name: `order_lines`, `products`, `stock`, and
        `deliveries` and `usage` where the shop has them. The amount of a usage event is in packs:
        those that were opened (`first_use`, `refill`), or used up since the reading before
        (`telemetry`).
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
    _require_size(customers, days, seed)
    shop = shop or Shop()
    catalogue = stock_the_shelves(shop, days, seed)
    pairs: list[pl.DataFrame] = []
    refills: list[pl.DataFrame] = []
    readings: list[pl.DataFrame] = []
    known = 0
    for block, first in enumerate(range(0, customers, BLOCK)):
        size = min(BLOCK, customers - first)
        more, bought, read = _block(shop, catalogue, days, seed, block, size)
        pairs.append(more)
        refills.append(bought.with_columns(pl.col("pair") + known))
        readings.append(read.with_columns(pl.col("pair") + known))
        known += more.height
    world = World(shop, catalogue, days, pl.concat(pairs), pl.concat(refills), pl.concat(readings))
    tables = {name: table for name, part in PARTS.items() if (table := part(world)) is not None}
    return Simulated(
        tables, world.pairs.select(TRUTH), run_outs(world), world.refills, START, world.until
    )


@dataclass(frozen=True, eq=False)
class SimulatedBrand:
    """What a brand wrote down, and the truth; all instants are UTC.

    tables
        The tables of the event contract by name.
    truth
        Why it happened: `customers` and `orders` have a row for each of them, `products`, `lanes`,
        `tags` and `days` say what holds for all (columns: `ppi_ml.simulation.truths`).
    brand
        The dials.
    observed_from, observed_until
        The period of the log; tables of `brand.begins` begin later.
    """

    tables: Mapping[str, pl.DataFrame]
    truth: Mapping[str, pl.DataFrame]
    brand: Brand
    observed_from: Cutoff
    observed_until: Cutoff


def simulate_brand(
    customers: int, days: int = 730, seed: int = 0, brand: Brand | None = None
) -> SimulatedBrand:
    """Simulate a brand from its first day; the same arguments give the same bytes.

    `brand` None: `Brand()`. Everybody has ordered by the end of the log. Luck is bound to the seed,
    the customer and the number of the order, so two brands that differ in one dial differ only by
    what the dial does. `UsageError` if a number is out of its range.
    """
    _require_size(customers, days, seed)
    history = History.of(brand or Brand(), days, seed)
    tables, truth = history.shared()
    parts = list(history.blocks(customers))
    for found, number in ((tables, 0), (truth, 1)):
        for name in list(parts[0][number]):
            found[name] = pl.concat([part[number].pop(name) for part in parts])
    return SimulatedBrand(tables, truth, history.brand, START, history.until)


def write_brand(
    out: Path,
    customers: int,
    days: int = 730,
    seed: int = 0,
    brand: Brand | None = None,
    done: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Simulate a brand into a folder with one Parquet file per table, and its truth below.

    What `simulate_brand` makes, block by block, so that the memory does not grow with the number
    of customers.

    Args:
        out: the folder; there is none yet, or an empty one.
        customers: how many.
        days: how long the log is.
        seed: the same seed, the same brand.
        brand: the dials; None: `Brand()`.
        done: is told how many customers more are done.

    Returns what stands in `truth/truth.json`: size, period, rows of every table, all dials.
    `UsageError` if the folder is not empty, or a number is out of its range.
    """
    _require_size(customers, days, seed)
    return folder.write(out, History.of(brand or Brand(), days, seed), customers, done)


def simulate_shop(
    customers: int, *, days: int = 730, seed: int = 0, shop: Shop | Brand | None = None
) -> EventLog:
    """The log of a simulated shop, for those who need no truth.

    `shop`: a `Brand`, with every type of event (None: `Brand()`), or a `Shop` of households.
    """
    if isinstance(shop, Shop):
        return log(simulate(customers, days, seed, shop))
    return log(simulate_brand(customers, days, seed, shop))


def log(simulated: Simulated | SimulatedBrand) -> EventLog:
    """The log as the shop would load it, over the whole simulated time.

    A table that the schema does not know is left out; it stays in `simulated.tables`. `DataError`
    if nobody bought anything.
    """
    begins = simulated.brand.begins if isinstance(simulated, SimulatedBrand) else {}
    start, end = simulated.observed_from, simulated.observed_until
    since = {name: start.plus(begins.get(name, 0)) for name in simulated.tables}
    raw = {
        name: RawTable(frame, "instant", f"simulated {name}", since[name], end, sure=True)
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


def _require_size(customers: int, days: int, seed: int) -> None:
    require("customers", customers, 1, 9_999_999, whole=True)
    require("days", days, 1, 10_000, whole=True)
    require("seed", seed, 0, 2**63, whole=True)


def _block(
    shop: Shop, catalogue: Catalogue, days: int, seed: int, block: int, customers: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The pairs, the refills and the readings of one block, numbered from 0 on."""

    def draw(part: str) -> np.random.Generator:
        return stream(seed, part, block)

    homes = move_in(shop, catalogue, days, customers, draw)
    factors = day_factors(draw("days"), len(homes.customer), days, shop.day_spread)
    appetite = Appetite.of(factors)
    refills = Block(shop, catalogue, homes, appetite, draw).buy()
    pairs = pair_frame(homes, balance(homes, appetite, refills), BLOCK * block)
    return pairs, refill_frame(homes, refills), devices.read(homes, appetite, refills)


def _days_between(start: pl.Expr, end: str) -> pl.Expr:
    """Days from the start to a column; 0 where that is over or null."""
    away = (pl.col(end) - start).dt.total_microseconds() / DAY_US
    return away.fill_null(0.0).clip(lower_bound=0.0)
