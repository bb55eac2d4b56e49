"""When in the week and in the day the customer likes to buy: own habits, never today's date."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Family, Feature

_NO_TIME = "the order table knows days only"
_SATURDAY = 5
_NOON, _EVENING = 12 * 60, 17 * 60


def _rows() -> Mapping[str, pl.Expr]:
    return {
        "weekend": pl.col("weekday") >= _SATURDAY,
        "morning": pl.col("minute") < _NOON,
        "evening": pl.col("minute") >= _EVENING,
        "timed": pl.col("minute").is_not_null(),
    }


FAMILY = Family(
    name="calendar",
    entity="customer",
    needs=("order_lines",),
    rows={"purchases": _rows},
    features=(
        Feature("weekend", "share", "purchases", "share of purchases", "never null",
                where="weekend"),
        Feature("morning", "share", "purchases", "share of purchases before noon", _NO_TIME,
                where="morning", of="timed"),
        Feature("evening", "share", "purchases", "share of purchases from 17:00", _NO_TIME,
                where="evening", of="timed"),
        Feature("minute", "mean", "purchases", "minutes after midnight", _NO_TIME, of="minute"),
        Feature("weekday", "entropy", "purchases", "nats", "never null", of="weekday"),
    ),
)  # fmt: skip
