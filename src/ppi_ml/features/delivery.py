"""What the customer went through until the goods came: the wait, promises kept or broken, mishaps.

A parcel is a shipment with its delivery, joined by `shipment_id`; a delivery known later than the
cutoff leaves its parcel in transit. Being late is measured against the promise of the shipment, or
of the delivery where the shipment says none. What is true of now (in transit, overdue) looks at
parcels shipped within 90 days: an older one was lost, or nobody wrote its arrival down.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Fitted, Seen, State, View
from ppi_ml.features._kit import DAYS, ordered

CODES = ("delay", "damage", "failed_attempt", "lost")
"""What can go wrong on the way, as `delivery_exceptions.code` says it."""
_PARCEL = ("customer_id", "shipment_id")
_ORDER = ("customer_id", "order_id")
_WINDOW = (180,)
_AWAITED = (90,)
_UNSEEN = "no table of exceptions, or less than a quarter of the window was observed"
_NO_WAY = "no delivery known whose shipment is known"
_NO_ORDER = "no delivery known whose order is known"
_NO_PROMISE = "no delivery with a promise known"
_NO_TABLE = "no table of deliveries"
_NO_SHIPMENTS = "no table of shipments, or none of deliveries"
_NONE_AWAITED = f"{_NO_SHIPMENTS}, or no such parcel"
_STEPS = 10.0
_PRIOR_PARCELS = 5.0
"""The shop's own share weighs as much as five parcels of this customer."""


def _arrived(seen: Seen, _state: State) -> pl.DataFrame:
    """Parcels that came: `age_us` of the arrival; `way_us` since shipping, `wait_us` since the
    order (the first parcel of each order alone), `late_us` after the promise, negative if early.
    """
    sent = seen("shipments").select(
        *_PARCEL, sent_us="age_us", sent_for="order_id", sent_promise_us="promised_age_us"
    )
    came = seen("deliveries").join(sent, on=_PARCEL, how="left", maintain_order="left")
    came = came.with_columns(order_id=pl.coalesce("order_id", "sent_for"))
    came = came.join(ordered(seen), on=_ORDER, how="left", maintain_order="left")
    first = pl.col("order_id").is_not_null() & pl.struct(_ORDER).is_first_distinct()
    late = pl.coalesce("sent_promise_us", "promised_age_us") - pl.col("age_us")
    return came.select(
        "customer_id",
        "age_us",
        way_us=(pl.col("sent_us") - pl.col("age_us")).clip(lower_bound=0),
        wait_us=pl.when(first).then(pl.col("ordered_us") - pl.col("age_us")).clip(lower_bound=0),
        late_us=late,
        promised=late.is_not_null(),
        late=late > 0,
        was_late=(late > 0).cast(pl.Int64),
    )


def _in_transit(seen: Seen, _state: State) -> pl.DataFrame:
    """Parcels shipped and not known to have come: `age_us` of the shipment, `overdue_us`."""
    sent = seen("shipments").join(seen("deliveries"), on=_PARCEL, how="anti", maintain_order="left")
    return sent.select(
        "customer_id",
        "age_us",
        order=pl.coalesce("order_id", "shipment_id"),
        overdue_us="promised_age_us",
        overdue=pl.col("promised_age_us") > 0,
    )


def _exceptions() -> Mapping[str, pl.Expr]:
    return {code: pl.col("code") == code for code in CODES}


def _per_parcel() -> pl.Expr:
    """Exceptions over parcels shipped, both of the window."""
    shipped = pl.col("delivery__shipped__count__180d")
    return pl.col("delivery__exceptions__count__180d") / pl.when(shipped > 0).then(shipped)


def _collect(frame: pl.DataFrame) -> pl.DataFrame:
    """Parcels that came late, and those that had a promise, over all customers."""
    counts = {"late": "delivery__late__count", "promised": "delivery__promised__count"}
    return frame.select(
        pl.col(name).fill_null(0).cast(pl.Int64).sum().alias(short)
        for short, name in counts.items()
    )


def _fit(partial: pl.DataFrame) -> State:
    """The shop's share of parcels that came late, to a tenth of a natural logarithm.

    Few customers have many parcels, so their shares over the shop's are a few numbers. If these
    were a little different at every cutoff, a tree could read the cutoff from them.
    """
    late, promised = partial.select("late", "promised").row(0)
    return {"share": exp(round(log(late / promised) * _STEPS) / _STEPS) if late else 0.0}


def _columns(state: State) -> Mapping[str, pl.Expr]:
    """The customer's share of late parcels over the shop's, shrunk to 1.

    (late / shop's share + 5) / (parcels + 5): so the state touches only those to whom something
    came late. A share shrunk to the shop's own would hold that date's number in every row.
    """
    times = pl.col("delivery__late__count") / max(state["share"], 1e-9)
    parcels = pl.col("delivery__promised__count")
    return {"delivery__late_over_shop": (times + _PRIOR_PARCELS) / (parcels + _PRIOR_PARCELS)}


FAMILY = Family(
    name="delivery",
    entity="customer",
    needs=("order_lines", "shipments", "deliveries", "delivery_exceptions"),
    views=(
        View("arrived", "deliveries", _arrived),
        View("in_transit", "shipments", _in_transit),
    ),
    rows={"delivery_exceptions": _exceptions},
    features=(
        Feature("wait", "mean", "arrived", "days from order to its first parcel", _NO_ORDER,
                of="wait_us", scale=DAYS),
        Feature("wait", "last", "arrived", "days from order to its first parcel", _NO_ORDER,
                of="wait_us", scale=DAYS),
        Feature("way", "mean", "arrived", "days from shipping to delivery", _NO_WAY,
                of="way_us", scale=DAYS),
        Feature("way", "last", "arrived", "days from shipping to delivery", _NO_WAY,
                of="way_us", scale=DAYS),
        Feature("way", "std", "arrived", "days from shipping to delivery",
                "fewer than two deliveries known whose shipment is known",
                of="way_us", scale=DAYS),
        Feature("late_days", "mean", "arrived", "days after the promise; negative: early",
                _NO_PROMISE, of="late_us", scale=DAYS),
        Feature("late_days", "last", "arrived", "days after the promise; negative: early",
                _NO_PROMISE, of="late_us", scale=DAYS),
        Feature("late_days", "max", "arrived", "days after the promise; negative: early",
                "no delivery with a promise in the window, or less than a quarter of it observed",
                of="late_us", scale=DAYS, windows=_WINDOW),
        Feature("late", "share", "arrived", "share of deliveries with a promise",
                "no delivery with a promise in the window, or less than a quarter of it observed",
                of="promised", where="late", windows=_WINDOW),
        Feature("late", "last", "arrived", "1 if the last delivery with a promise came late",
                _NO_PROMISE, of="was_late"),
        Feature("late", "first", "arrived", "1 if the first delivery with a promise came late",
                _NO_PROMISE, of="was_late"),
        Feature("late", "days_since", "arrived", "days since the last late delivery",
                "no table of deliveries, or nothing known to have come late", where="late"),
        Feature("last", "days_since", "arrived", "days since the last delivery",
                "no delivery known"),
        Feature("late", "count", "arrived", "deliveries after the promise", _NO_TABLE,
                where="late", trees=False),
        Feature("promised", "count", "arrived", "deliveries with a promise", _NO_TABLE,
                where="promised", trees=False),
        Feature("in_transit", "distinct", "in_transit",
                "orders with a parcel shipped in 90 days and not known to have come",
                _NO_SHIPMENTS, of="order", since="deliveries", windows=_AWAITED, honest=False),
        Feature("overdue", "distinct", "in_transit",
                "orders in transit with a parcel whose promise has passed",
                _NO_SHIPMENTS, of="order", where="overdue", since="deliveries", windows=_AWAITED,
                honest=False),
        Feature("undelivered", "max", "in_transit", "days since the oldest parcel was shipped",
                _NONE_AWAITED, of="age_us", since="deliveries", scale=DAYS, windows=_AWAITED,
                honest=False),
        Feature("overdue_days", "max", "in_transit", "days since the oldest broken promise",
                _NONE_AWAITED, of="overdue_us", where="overdue", since="deliveries", scale=DAYS,
                windows=_AWAITED, honest=False),
        Feature("exceptions", "count", "delivery_exceptions", "exceptions", _UNSEEN,
                windows=_WINDOW),
        Feature("exceptions", "rate", "delivery_exceptions", "per day", _UNSEEN, windows=_WINDOW),
        *(Feature(code, "rate", "delivery_exceptions", "per day", _UNSEEN, where=code,
                  windows=_WINDOW) for code in CODES),
        Feature("shipped", "count", "shipments", "parcels",
                "no table of shipments, or less than a quarter of the window was observed",
                windows=_WINDOW, since="delivery_exceptions", trees=False),
    ),
    expressions=(
        Expression("exceptions_per_parcel", "exceptions of 180 days per parcel shipped in them",
                   f"{_UNSEEN}, or nothing was shipped in it", "delivery_exceptions", _per_parcel),
    ),
    fitted=Fitted(
        collect=_collect,
        fit=_fit,
        columns=_columns,
        describes=(
            Expression("late_over_shop", "times the shop's share of late deliveries", _NO_TABLE,
                       "arrived", lambda: pl.col("delivery__late_over_shop")),
        ),
    ),
)  # fmt: skip
