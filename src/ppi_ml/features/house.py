"""What is known of the house behind a pair: when goods came, what was opened, what else was sent.

Nothing is learned from these columns. They are what `houses` decides with when the stock of a
house began, for the reading of the run-out alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Family, Feature, Learned, Seen, State, View
from ppi_ml.entities import LOG_UNIT, PACK, PAIR, PRODUCT
from ppi_ml.features._kit import DAYS, MONEY, QUANTITY
from ppi_ml.instants import DAY_US
from ppi_ml.snapshot import without_cancelled

_KEYS = ("customer_id", PRODUCT)
_LONGEST_DAYS = 30
"""A parcel of which nothing is heard for longer was lost or not recorded; it counts as come."""
_ENOUGH = 0.5
"""Where fewer orders have a recorded delivery, an order without one need not be under way."""
_WAYS_OF_PRIOR, _RECORDS_OF_PRIOR = 3.0, 0.5
"""What is usual of all parcels weighs as much as so many of the customer's own."""
_RECENT_DAYS = 180
_OPENINGS = ("first_use", "refill")

_NO_TABLE = "no delivery table"
_NO_BOX = "nothing but purchases came"
_NOTHING = "no usage table, or no first use, refill or reading yet"
_NONE_SINCE = "no usage table, or nothing opened or read before the newest report since it came"
_UNOPENED = "no usage table, no amount, or the newest report is no first use and no refill"
_NO_GAP = "no usage table, or no two reports with amounts, a day apart, in half a year"
_SINGLE = "bought once only"


# ------------------------------------------------------------------ orders and parcels
def _lines(seen: Seen) -> pl.DataFrame:
    """The order lines that were not called off, with `bought`, whether they were decided upon.

    All of them fill the house: goods that are no purchase, such as a subscription's, do so too.
    """
    kept = without_cancelled(seen("order_lines"), seen("cancellations"))
    return kept.rename({"is_purchase": "bought"})


def _orders(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines as orders of pairs: keys, `order_id`, `bought`, `ordered_us` and `amount_e6`.

    The last is the ln of units times packs, in whole millionths.
    """
    units = pl.col("quantity_e3").clip(lower_bound=1) / QUANTITY
    packs = (units * (pl.col(PACK) / LOG_UNIT).exp()).sort()  # a sum must not depend on the order
    grouped = lines.drop_nulls(PRODUCT).group_by(*_KEYS, "order_id", "bought")
    return grouped.agg(
        ordered_us=pl.col("age_us").max(),
        amount_e6=(packs.sum().log() * LOG_UNIT).round().cast(pl.Int64),
    )


def _parcels(seen: Seen, orders: pl.DataFrame) -> pl.DataFrame:
    """The orders with `way_us`, how long the last parcel took; null: none is known to have come."""
    came = seen("deliveries").group_by("order_id").agg(_came_us=pl.col("age_us").min())
    way = (pl.col("ordered_us") - pl.col("_came_us")).clip(lower_bound=0)
    joined = orders.join(came, on="order_id", how="left")
    return joined.with_columns(way_us=way).drop("_came_us")


def _as_usual(parcels: pl.DataFrame, state: State) -> pl.DataFrame:
    """The parcels with what is usual for the customer, drawn to that of all: `usual_us`, how long
    they are under way, and `heard`, whether deliveries are recorded at all.
    """
    old = pl.col("ordered_us") > _LONGEST_DAYS * DAY_US
    own = (
        parcels.unique(["customer_id", "order_id"])
        .group_by("customer_id")
        .agg(
            _ways=_clipped().sum(), _count=pl.col("way_us").count(), _due=old.sum(),
            _heard=(old & pl.col("way_us").is_not_null()).sum(),
        )
    )  # fmt: skip
    k, all_ = _WAYS_OF_PRIOR, state["way_us"] or 0.0
    usual = (pl.col("_ways") + k * all_) / (pl.col("_count") + k)
    k, all_ = _RECORDS_OF_PRIOR, state["recorded"] or 0.0
    heard = (pl.col("_heard") + k * all_) / (pl.col("_due") + k) >= _ENOUGH
    own = own.select("customer_id", usual_us=usual.round().cast(pl.Int64), heard=heard)
    return parcels.join(own, on="customer_id", how="left")


def _clipped() -> pl.Expr:
    return pl.col("way_us").clip(upper_bound=_LONGEST_DAYS * DAY_US)


def _came(seen: Seen, state: State) -> pl.DataFrame:
    """How long ago the goods of each pair came, negative where they are under way; a row a pair."""
    parcels = _as_usual(_parcels(seen, _orders(_lines(seen))), state)
    due = pl.col("ordered_us") - pl.col("usual_us")
    waiting = pl.col("heard") & (pl.col("ordered_us") <= _LONGEST_DAYS * DAY_US)
    # what is late may come any moment, but it is not there
    guessed = pl.when(waiting).then(due.clip(upper_bound=0)).otherwise(due.clip(lower_bound=0))
    come = pl.coalesce(pl.col("ordered_us") - pl.col("way_us"), guessed)
    bought = pl.col("bought")
    return (
        parcels.with_columns(come_us=come)
        .sort(*_NEWEST)
        .group_by(_KEYS)
        .agg(
            come_us=pl.col("come_us").filter(bought).min(),
            box_come_us=pl.col("come_us").filter(~bought).first(),
        )
        .with_columns(
            age_us=pl.lit(1, dtype=pl.Int64), usual_us=pl.lit(state["way_us"], dtype=pl.Int64)
        )
    )


def _boxes(seen: Seen, _state: State) -> pl.DataFrame:
    """The newest order of each pair that is no purchase: a subscription, a replacement, a gift."""
    sent = _orders(_lines(seen).filter(~pl.col("bought")))
    newest = sent.sort(*_KEYS, *_NEWEST).unique(_KEYS, keep="first")
    return newest.rename({"ordered_us": "age_us"})


_NEWEST = (pl.col("ordered_us"), -pl.col("amount_e6"), pl.col("order_id"))
"""The newest order stands first; of one instant the largest."""


# ------------------------------------------------------------------ reports of use
def _uses(seen: Seen, state: State) -> pl.DataFrame:
    """What is reported of the stock since the last purchase came; a row a pair with reports.

    `age_us` of the newest report, `gone_e3` what was opened before it and what devices read since
    the goods came, and `opened_e6`, ln of what the newest report opened. Neither a report of no
    known kind nor a reading without an amount says anything of the stock. `lasted_us` and `gaps`:
    how long a pack lasted between reports (`_paces`).
    """
    known = pl.col("kind").is_in(list(_OPENINGS))
    read = (pl.col("kind") == "telemetry") & pl.col("amount_e3").is_not_null()
    reports = seen("usage").filter(known | read)
    if PRODUCT not in reports.columns:
        return pl.DataFrame(schema=_OF_USES)
    came = _came(seen, state).select(*_KEYS, "come_us")
    reports = reports.drop_nulls(PRODUCT).join(came, on=_KEYS, how="left")
    age, amount = pl.col("age_us"), pl.col("amount_e3")
    since = age <= pl.col("come_us")
    newest = age == age.min().over(_KEYS)
    opens = pl.col("kind").is_in(list(_OPENINGS))
    packs = amount.clip(lower_bound=1) / QUANTITY * (pl.col(PACK) / LOG_UNIT).exp()
    told = reports.with_columns(
        _opens=opens,
        _packs=packs,
        _gone=pl.when(since & ~(opens & newest)).then(amount),
        _opened=pl.when(opens & newest).then(packs),
    )
    opened = _known_sum(pl.col("_opened").sort())
    now = told.group_by(_KEYS).agg(
        age_us=age.min(),
        gone_e3=_known_sum(pl.col("_gone")),
        opened_e6=(opened.log() * LOG_UNIT).round().cast(pl.Int64),
    )
    return now.join(_paces(told), on=_KEYS, how="left")


_OF_USES = {
    "customer_id": pl.String, PRODUCT: pl.String, "age_us": pl.Int64, "gone_e3": pl.Int64,
    "opened_e6": pl.Int64, "lasted_us": pl.Int64, "gaps": pl.Int64,
}  # fmt: skip


def _paces(told: pl.DataFrame) -> pl.DataFrame:
    """How long a pack lasted by the reports of the last half year, and by how many gaps.

    What was opened is used up by the next opening; what was read was used since the reading before.
    Reports of less than a day say nothing: a scan that is sent twice is no second opening.
    """
    age, opens = pl.col("age_us"), pl.col("_opens")
    group = (*_KEYS, "_opens")
    used_up = age >= age.min().over(group) + DAY_US
    inside = pl.when(opens).then(used_up).otherwise(age < age.max().over(group))
    recent = told.filter((age <= _RECENT_DAYS * DAY_US) & pl.col("_packs").is_not_null())
    each = recent.with_columns(_inside=inside).group_by(group).agg(
        span=age.max() - age.min(),
        packs=pl.col("_packs").filter(pl.col("_inside")).sort().sum(),
        gaps=pl.col("_inside").sum().cast(pl.Int64),
    )  # fmt: skip
    lasted = (pl.col("span").sum() / pl.col("packs").sum()).round().cast(pl.Int64)
    apart = (pl.col("gaps") > 0) & (pl.col("span") >= DAY_US)
    return each.filter(apart).group_by(_KEYS).agg(
        lasted_us=lasted, gaps=pl.col("gaps").sum()
    )  # fmt: skip


def _known_sum(values: pl.Expr) -> pl.Expr:
    """The sum of what is known, null where nothing is."""
    return pl.when(values.count() > 0).then(values.sum())


# ------------------------------------------------------------------ what is learned
def _collect(seen: Seen) -> pl.DataFrame:
    """Sums over the orders of a bucket: ways of parcels, and how many of what was due was heard of.

    One row; times in microseconds.
    """
    parcels = _parcels(seen, _lines(seen).rename({"age_us": "ordered_us"}))
    parcels = parcels.unique(["customer_id", "order_id"])
    age, there = pl.col("ordered_us"), pl.col("way_us").is_not_null()
    days = _LONGEST_DAYS * DAY_US
    old = age.is_between(days, 2 * days, closed="right")
    return parcels.select(
        way_us=_clipped().sum(), ways=there.sum().cast(pl.Int64),
        due=old.sum().cast(pl.Int64), heard=(old & there).sum().cast(pl.Int64),
    )  # fmt: skip


def _fit(partial: pl.DataFrame) -> State:
    """The usual way in microseconds, and the share of deliveries that is recorded; null: unknown.

    The share is that of orders placed one to two months before the cutoff.
    """
    sums = partial.sum().row(0, named=True)
    return {
        "way_us": round(sums["way_us"] / sums["ways"]) if sums["ways"] else None,
        "recorded": sums["heard"] / sums["due"] if sums["due"] else None,
    }


# ------------------------------------------------------------------ what was usual before
def _before() -> Mapping[str, pl.Expr]:
    """The money of the purchases before the last one, and the price of a unit."""
    place = pl.int_range(pl.len()).over(_KEYS)
    earlier = place < pl.len().over(_KEYS) - 1
    units = pl.col("units_e3").clip(lower_bound=1) / QUANTITY
    return {
        "value_before_e4": pl.when(earlier).then("value_e4"),
        "price_e4": (pl.col("value_e4") / units).round().cast(pl.Int64),
    }


def _of(what: str, view: str, unit: str, null: str, of: str, scale: float) -> Feature:
    """A column that holds the one value that a pair has in a view."""
    return Feature(what, "last", view, unit, null, of=of, scale=scale, trees=False)


FAMILY = Family(
    name="house",
    entity=PAIR,
    needs=("order_lines", "cancellations", "deliveries", "usage"),
    views=(
        View("came", "deliveries", _came, _KEYS),
        View("boxes", "order_lines", _boxes, _KEYS),
        View("uses", "usage", _uses, _KEYS),
    ),
    learned=Learned(_collect, _fit),
    rows={"purchases": _before},
    features=(
        _of("came", "came", "days since purchases came, below 0 until they come", _NO_TABLE,
            "come_us", DAYS),
        _of("box_came", "came", "days since other goods came, below 0 until they come",
            f"{_NO_TABLE}, or {_NO_BOX}", "box_come_us", DAYS),
        _of("usual_way", "came", "days that parcels usually take, of all customers",
            f"{_NO_TABLE}, or no parcel came before training ended", "usual_us", DAYS),
        Feature("box", "days_since", "boxes", "days since other goods were sent", _NO_BOX,
                trees=False),
        _of("box_amount", "boxes", "ln(units times relative size of the pack)", _NO_BOX,
            "amount_e6", LOG_UNIT),
        Feature("used", "days_since", "uses", "days", _NOTHING, trees=False),
        _of("gone", "uses", "units", _NONE_SINCE, "gone_e3", QUANTITY),
        _of("opened", "uses", "ln(units times relative size of the pack)", _UNOPENED,
            "opened_e6", LOG_UNIT),
        _of("lasted", "uses", "days that a pack of the usual size lasted between reports", _NO_GAP,
            "lasted_us", DAYS),
        _of("gaps", "uses", "gaps between reports", _NO_GAP, "gaps", 1.0),
        Feature("value", "mean", "purchases", "currency, without the last purchase",
                f"{_SINGLE}, or no price known", of="value_before_e4", scale=MONEY, trees=False),
        Feature("price", "last", "purchases", "currency per unit", "no priced purchase",
                of="price_e4", scale=MONEY, trees=False),
    ),
)  # fmt: skip
