"""The parcels of an order: what was promised, how the lane usually does, and how they came."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Family, Feature, Learned, Seen, State, View
from ppi_ml.entities import LOG_UNIT, ORDER
from ppi_ml.features._kit import DAYS
from ppi_ml.features._shares import learned, odds, summed
from ppi_ml.instants import DAY_US

_PRIOR = 30.0
_LEAST_SD = 0.05
_NONE = "no parcel of the order is known"
_NO_PROMISE = "no parcel of the order was promised for a day"
_ON_THE_WAY = "no parcel of the order has come"
_HOUR_US = DAY_US // 24


def _ways(seen: Seen) -> pl.DataFrame:
    """Every known parcel with its delivery, if that is known.

    `way_us` on the way, `late_us` after the promise (below 0: before it), both null while it is on
    its way; `due_us` from shipping to the promise; `missed` whether the promise was not kept, null
    where nothing was promised or the promise is not over.
    """
    came = seen("deliveries").group_by("shipment_id").agg(came_us=pl.col("age_us").max())
    promise = pl.col("promised_age_us")
    missed = (
        pl.when(pl.col("came_us").is_not_null())
        .then(pl.col("came_us") < promise)
        .when(promise > 0)
        .then(statement=True)
    )
    return (
        seen("shipments")
        .join(came, on="shipment_id", how="left", maintain_order="left")
        .with_columns(
            way_us=(pl.col("age_us") - pl.col("came_us")).clip(lower_bound=_HOUR_US),
            late_us=promise - pl.col("came_us"),
            due_us=(pl.col("age_us") - promise).clip(lower_bound=_HOUR_US),
            left_us=-promise,
            missed=missed,
            lane=pl.col("region").fill_null(""),
        )
    )


def _collect(seen: Seen) -> pl.DataFrame:
    ln = ((pl.col("way_us") / DAY_US).log() * LOG_UNIT).round().cast(pl.Int64)
    square = ((pl.col("way_us") / DAY_US).log().pow(2) * LOG_UNIT).round().cast(pl.Int64)
    ways = _ways(seen).with_columns(ln=ln, square=square)
    return ways.group_by("lane").agg(
        ways=pl.col("ln").count().cast(pl.Int64),
        ln=pl.col("ln").sum(),
        square=pl.col("square").sum(),
        n=pl.col("missed").count().cast(pl.Int64),
        hits=pl.col("missed").sum().cast(pl.Int64),
    )


def _fit(parts: pl.DataFrame) -> State:
    """How long parcels are on their way (ln days), by lane, and how often they miss the promise."""
    lanes = summed(parts, "lane")
    n = max(int(lanes["ways"].sum() or 0), 1)
    mean = float(lanes["ln"].sum() or 0) / LOG_UNIT / n
    second = float(lanes["square"].sum() or 0) / LOG_UNIT / n
    own = (lanes["ln"] / LOG_UNIT + _PRIOR * mean) / (lanes["ways"] + _PRIOR)
    return {
        "missed": learned(lanes, "lane", _PRIOR),
        "ways": {"names": lanes["lane"].to_list(), "ln": (own - mean).round(6).to_list()},
        "ln": round(mean, 6),
        "sd": max(second - mean**2, _LEAST_SD**2) ** 0.5,
    }


def _parcels(seen: Seen, state: State) -> pl.DataFrame:
    """The parcels of the order itself, beside what their lane usually does."""
    ordered = (
        seen("order_lines")
        .filter("own")
        .group_by("customer_id")
        .agg(ordered_us=pl.col("age_us").max())
    )
    names = pl.Series(state["ways"]["names"], dtype=pl.String)
    ln = pl.Series(state["ways"]["ln"], dtype=pl.Float64)
    lane = pl.col("lane").replace_strict(names, ln, default=0.0, return_dtype=pl.Float64)
    usual = state["ln"] + lane
    return (
        _ways(seen)
        .filter("own")
        .join(ordered, on="customer_id", how="left", maintain_order="left")
        .with_columns(
            to_ship_us=(pl.col("ordered_us") - pl.col("age_us")).clip(lower_bound=0),
            spare=((pl.col("due_us") / DAY_US).log() - usual) / state["sd"],
            over_usual=(pl.col("way_us") / DAY_US).log() - usual,
            lane_missed=odds(state["missed"], "lane"),
            lane_way=lane,
        )
    )


def _troubles(seen: Seen, state: State) -> pl.DataFrame:
    return seen("delivery_exceptions").filter("own")


FAMILY = Family(
    name="parcel",
    entity=ORDER,
    needs=("order_lines", "shipments", "deliveries", "delivery_exceptions"),
    learned=Learned(_collect, _fit),
    views=(
        View("parcels", "shipments", _parcels),
        View("troubles", "delivery_exceptions", _troubles),
    ),
    features=(
        Feature("sent", "count", "parcels", "parcels", "no shipment table"),
        Feature("to_ship", "max", "parcels", "days from order to shipping", _NONE,
                of="to_ship_us", scale=DAYS),
        Feature("due", "min", "parcels", "days from shipping to the promise", _NO_PROMISE,
                of="due_us", scale=DAYS),
        Feature("left", "min", "parcels", "days from now to the promise, below 0: missed",
                _NO_PROMISE, of="left_us", scale=DAYS),
        Feature("spare", "min", "parcels",
                "ln(days promised over days usual on the lane), in standard deviations",
                _NO_PROMISE, of="spare"),
        Feature("lane_missed", "max", "parcels", "log odds of a missed promise over the shop's own",
                _NONE, of="lane_missed"),
        Feature("lane_way", "max", "parcels", "ln(days usual on the lane over the shop's usual)",
                _NONE, of="lane_way"),
        Feature("way", "max", "parcels", "days on the way", _ON_THE_WAY, of="way_us", scale=DAYS),
        Feature("over_usual", "max", "parcels", "ln(days on the way over days usual on the lane)",
                _ON_THE_WAY, of="over_usual"),
        Feature("late", "max", "parcels", "days after the promise, below 0: before it", _ON_THE_WAY,
                of="late_us", scale=DAYS),
        Feature("trouble", "count", "troubles", "delivery exceptions",
                "no table of delivery exceptions"),
    ),
)  # fmt: skip
