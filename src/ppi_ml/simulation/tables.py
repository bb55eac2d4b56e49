"""What happened in the houses as frames: what the shop wrote down, and what it never knew.

A part of the shop is one function from the `World` to one table of the event contract. Another
type of event is another function in `PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.instants import Cutoff
from ppi_ml.simulation.buying import Balance, Refills
from ppi_ml.simulation.catalogue import KINDS, Catalogue, Spells
from ppi_ml.simulation.clock import INSTANT, START, instants
from ppi_ml.simulation.households import Households
from ppi_ml.simulation.shop import Shop

CURRENCY = "EUR"

AMOUNTS = ("bought_here", "bought_elsewhere", "consumed", "in_house", "on_the_way")
TRUTH = ("customer_id", "sku", "rate", "starts_at", "lapsed_at", "left_at", *AMOUNTS)
"""The columns of the truth of the pairs."""


@dataclass(frozen=True, eq=False)
class World:
    """All that happened: one row per pair, and one per refill, sorted by pair and time.

    `pairs` has the columns of `TRUTH`, the numbers `customer` and `product`, and `scans`.
    `refills` has those that `simulate.Simulated` describes; its `pair` is a row of `pairs`, as is
    that of `readings` (`devices.read`).
    """

    shop: Shop
    catalogue: Catalogue
    days: int
    pairs: pl.DataFrame
    refills: pl.DataFrame
    readings: pl.DataFrame

    @property
    def until(self) -> Cutoff:
        """The end of the simulated time, exclusive."""
        return START.plus(self.days)

    @cached_property
    def orders(self) -> pl.DataFrame:
        """The refills bought here in the order of time, with the numbers `order` and `line`.

        All that a customer buys on one trip is one order.
        """
        columns = ("pair", "ordered_at", "arrived_at", "packs", "promoted")
        # refills are sorted by pair, so one customer's of one instant stay together
        here = self.refills.filter(~pl.col("elsewhere")).select(columns)
        here = here.sort("ordered_at", maintain_order=True)
        customer, at, row = (
            self.of_pair("customer", here),
            here["ordered_at"],
            pl.int_range(pl.len()),
        )
        begins = ((customer != customer.shift(1)) | (at != at.shift(1))).fill_null(True)
        first = pl.when(begins).then(row).forward_fill()
        return here.with_columns(
            order=begins.cum_sum().cast(pl.UInt32), line=(row - first + 1).cast(pl.UInt16)
        )

    def of_pair(self, column: str, refills: pl.DataFrame) -> pl.Series:
        """A column of `pairs` for each of the refills."""
        return self.pairs[column].gather(refills["pair"])

    def of_product(self, values: NDArray[np.float64], refills: pl.DataFrame) -> pl.Series:
        """What the catalogue says of the product of each of the refills."""
        return pl.Series(values).gather(self.of_pair("product", refills))


def pair_frame(homes: Households, balance: Balance, first_customer: int) -> pl.DataFrame:
    """The pairs of a block whose first customer has that number."""
    customer = homes.customer + first_customer
    return pl.DataFrame(
        {
            "customer_id": _names("c", customer, 7),
            "sku": _names("p", homes.product, 4),
            "rate": homes.rate,
            "starts_at": instants(homes.starts),
            "lapsed_at": instants(homes.lapses),
            "left_at": instants(homes.leaves[homes.customer]),
            **{name: getattr(balance, name) for name in AMOUNTS},
            "customer": customer.astype(np.uint32),
            "product": homes.product.astype(np.uint32),
            "scans": homes.scans,
        }
    )


def refill_frame(homes: Households, refills: Refills) -> pl.DataFrame:
    """The refills of a block, whose pairs are numbered from 0 on."""
    amount = refills.packs * homes.pack_days[refills.pair] * homes.rate[refills.pair]
    return pl.DataFrame(
        {
            "pair": refills.pair.astype(np.uint32),
            "ordered_at": instants(refills.ordered),
            "arrived_at": instants(refills.arrived),
            "opened_at": instants(refills.opened),
            "empty_at": instants(refills.empty),
            "packs": refills.packs.astype(np.uint8),
            "amount": amount,
            "elsewhere": refills.elsewhere,
            "promoted": refills.promoted,
        }
    )


def order_lines(world: World) -> pl.DataFrame:
    """What was bought here; the discount is 0 and the code null without a promotion."""
    lines, depth = world.orders, world.shop.promotion_depth
    price = world.of_product(world.catalogue.price, lines)
    off = (depth * price * lines["packs"]).round(2)
    promoted = pl.col("promoted")
    return lines.select(
        order_id=_names("o", lines["order"], 9),
        line_id=pl.col("line").cast(pl.String),
        customer_id=world.of_pair("customer_id", lines),
        occurred_at="ordered_at",
        sku=world.of_pair("sku", lines),
        quantity=pl.col("packs").cast(pl.Int64),
        unit_price=price,
        discount=pl.when(promoted).then(off).otherwise(0.0),
        promo_code=pl.when(promoted).then(pl.lit(f"SAVE{round(100 * depth)}")),
        currency=pl.lit(CURRENCY),
    )


def products(world: World) -> pl.DataFrame:
    """The catalogue of a world."""
    return product_frame(world.catalogue)


def product_frame(catalogue: Catalogue) -> pl.DataFrame:
    """The catalogue; `unit_size` is the amount of one pack in `unit_of_measure`."""
    kinds = [KINDS[category % len(KINDS)] for category in catalogue.category]
    repeats = [category // len(KINDS) for category in catalogue.category]
    return pl.DataFrame(
        {
            "sku": _names("p", np.arange(len(catalogue)), 4),
            "category": [
                f"{kind[0]} {repeat + 1}" if repeat else kind[0]
                for kind, repeat in zip(kinds, repeats, strict=True)
            ],
            "brand": _names("brand ", catalogue.brand + 1, 1),
            "unit_size": catalogue.unit_size,
            "unit_of_measure": [kind[1] for kind in kinds],
        }
    )


def stock(world: World) -> pl.DataFrame:
    """What could be bought in a world, and when."""
    return stock_frame(world.catalogue, world.until)


def stock_frame(catalogue: Catalogue, until: Cutoff) -> pl.DataFrame:
    """Every product as available at the start, then each change before the end."""
    out: Spells = catalogue.stock_outs
    shelf = np.arange(len(catalogue))
    product = np.concatenate([shelf, out.product, out.product])
    time = np.concatenate([np.zeros(len(shelf)), out.start, out.end])
    available = np.repeat([True, False, True], [len(shelf), len(out.start), len(out.end)])
    frame = pl.DataFrame(
        {"sku": _names("p", product, 4), "occurred_at": instants(time), "available": available}
    )
    return frame.filter(_before(until, "occurred_at")).sort("occurred_at", "sku")


def deliveries(world: World) -> pl.DataFrame | None:
    """When each order arrived, if it has; None where what is bought is at home at once."""
    if not world.shop.delivery_days:
        return None
    parcels = world.orders.filter(pl.col("line") == 1).select("pair", "order", "arrived_at")
    parcels = parcels.filter(_before(world.until, "arrived_at")).sort("arrived_at", "order")
    return parcels.select(
        shipment_id=_names("s", parcels["order"], 9),
        customer_id=world.of_pair("customer_id", parcels),
        order_id=_names("o", parcels["order"], 9),
        occurred_at="arrived_at",
    )


def usage(world: World) -> pl.DataFrame | None:
    """First uses, refill scans and readings in packs, wherever these were bought.

    None where nobody reports and nothing is read.
    """
    if not (world.shop.usage or world.shop.telemetry):
        return None
    told = pl.concat([_scans(world), _readings(world)])
    told = told.sort("occurred_at", "pair", "kind")
    return told.select(
        usage_id=_names("u", np.arange(1, told.height + 1), 9),
        customer_id=world.of_pair("customer_id", told),
        occurred_at="occurred_at",
        sku=world.of_pair("sku", told),
        amount="amount",
        kind="kind",
    )


def _scans(world: World) -> pl.DataFrame:
    """The openings that are reported: the first of a pair is its first use."""
    scans = world.refills.filter(world.of_pair("scans", world.refills))
    first = (pl.col("pair") != pl.col("pair").shift(1)).fill_null(True)
    kind = pl.when(first).then(pl.lit("first_use")).otherwise(pl.lit("refill"))
    scans = scans.with_columns(kind=kind).filter(_before(world.until, "opened_at"))
    scans = scans.filter(_while_consumed(world, scans, "opened_at"))
    amount = pl.col("packs").cast(pl.Float64)
    return scans.select("pair", occurred_at="opened_at", amount=amount, kind="kind")


def _readings(world: World) -> pl.DataFrame:
    read = world.readings
    return read.select("pair", occurred_at="read_at", amount="packs", kind=pl.lit("telemetry"))


PARTS: Mapping[str, Callable[[World], pl.DataFrame | None]] = MappingProxyType(
    {
        "order_lines": order_lines,
        "products": products,
        "stock": stock,
        "deliveries": deliveries,
        "usage": usage,
    }
)
"""Table of the event contract -> how the shop writes it; None: this shop has none."""


def run_outs(world: World) -> pl.DataFrame:
    """The instants at which a house was empty of what it still consumed.

    Columns `customer_id`, `sku`, `run_out_at`, `from_purchase_at` (when the last refill before it
    was ordered, here or elsewhere), sorted by pair and time.
    """
    same = pl.col("pair") == pl.col("pair").shift(-1)
    following = pl.when(same).then(pl.col("arrived_at").shift(-1))
    ends = pl.min_horizontal(following, pl.lit(world.until.at).cast(INSTANT))
    dry = world.refills.filter(pl.col("empty_at") < ends)
    dry = dry.filter(_while_consumed(world, dry, "empty_at"))
    return dry.select(
        customer_id=world.of_pair("customer_id", dry),
        sku=world.of_pair("sku", dry),
        run_out_at="empty_at",
        from_purchase_at="ordered_at",
    )


def stops(pairs: pl.DataFrame) -> pl.Series:
    """When each pair lapsed or its customer left (p,); null: never."""
    return pairs.select(pl.min_horizontal("lapsed_at", "left_at")).to_series()


def _while_consumed(world: World, refills: pl.DataFrame, column: str) -> pl.Series:
    """Whether a time of each refill comes before its pair stops; null, like never, is later."""
    return (refills[column] < stops(world.pairs).gather(refills["pair"])).fill_null(True)


def _before(until: Cutoff, column: str) -> pl.Expr:
    return pl.col(column) < pl.lit(until.at).cast(INSTANT)


def _names(prefix: str, numbers: NDArray[np.integer] | pl.Series, width: int) -> pl.Series:
    return prefix + pl.Series(numbers).cast(pl.String).str.zfill(width)
