"""What is known of the use of a product: first use, refill scans, readings of a device.

Each kind says something else: a first use begins the stock, a refill ends the one before, a reading
tells what is gone of it. A report of no kind counts as a report alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Aggregate, Expression, Family, Feature
from ppi_ml.entities import PAIR
from ppi_ml.features._kit import QUANTITY

_NONE = "no usage table, or nothing reported yet"
_NO_TABLE = "no usage table"


def _rows() -> Mapping[str, pl.Expr]:
    kind = pl.col("kind").fill_null("")
    read = kind == "telemetry"
    opens = kind.is_in(["first_use", "refill"])
    return {
        "first_use": kind == "first_use",
        "refill": kind == "refill",
        "reading": read,
        "opened_e3": pl.when(opens).then("amount_e3"),
        "metered_e3": pl.when(read).then("amount_e3"),
    }


def _none(of: str, since: str = "yet") -> str:
    return f"no usage table, or no {of} {since}"


_SINCE = "with an amount since the last purchase"


def _said(
    what: str,
    aggregate: Aggregate,
    unit: str,
    null: str,
    *,
    of: str | None = None,
    where: str | None = None,
    windows: tuple[int, ...] = (),
) -> Feature:
    """A column for the regression alone; what is summed are amounts.

    The run-out is read from a pair of which no report is known (`houses.as_usual`). For the
    regression that is the usual pair; trees of a shop in which every house reports have never seen
    one, and take it for a pair that has stopped.
    """
    scale = 1.0 if of is None else QUANTITY
    return Feature(
        what,
        aggregate,
        "usage",
        unit,
        null,
        of=of,
        where=where,
        windows=windows,
        scale=scale,
        trees=False,
    )


FAMILY = Family(
    name="usage",
    entity=PAIR,
    needs=("order_lines", "usage"),
    rows={"usage": _rows},
    features=(
        _said("last", "days_since", "days", _NONE),
        _said("first_use", "days_since", "days", _none("first use"), where="first_use"),
        _said("refill", "days_since", "days", _none("refill"), where="refill"),
        _said("reading", "days_since", "days", _none("reading"), where="reading"),
        _said("reports", "rate", "reports per day",
              "no usage table, or less than a quarter of the window was observed",
              windows=(30, 90)),
        _said("since_purchase", "count", "reports since the last purchase", _NO_TABLE,
              where="since_last"),
        _said("opened", "sum", "units opened since the last purchase",
              _none("first use or refill", _SINCE), of="opened_e3", where="since_last"),
        _said("opened", "mean", "units opened at a time",
              _none("first use or refill", "with an amount"), of="opened_e3"),
        _said("metered", "sum", "units read as used since the last purchase",
              _none("reading", _SINCE), of="metered_e3", where="since_last"),
        _said("metered", "mean", "units of a reading", _none("reading", "with an amount"),
              of="metered_e3"),
    ),
    expressions=(
        Expression("metered_over_reading", "times the usual reading", _none("reading", _SINCE),
                   "usage",
                   lambda: pl.col("usage__metered__sum") / pl.col("usage__metered__mean"),
                   trees=False),
    ),
)  # fmt: skip
