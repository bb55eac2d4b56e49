"""How much the customer uses what they bought, over all products: first uses, refills, telemetry.

The family `usage` asks the same of one product of a customer. A report belongs to the last purchase
of its product before it, if that was at most 180 days ago: what was bought before the log began is
not known, so an older one would tell how old the log is.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Seen, State, View
from ppi_ml.features._kit import DAYS, QUANTITY, trend
from ppi_ml.features._orders import lines
from ppi_ml.instants import DAY_US

_BOUGHT_WITHIN_DAYS = 180
_UNSEEN = "no usage table, or less than a quarter of the window was observed"
_NONE = "no usage table, or nothing reported yet"
_SINGLE = "no usage table, or fewer than two reports"
_NO_GAP = "no report in the window after another one, or less than a quarter of it observed"
_NO_PURCHASE = "no report of a product that was bought at most 180 days before"
_NO_KIND = "no report of a known kind in the window, or less than a quarter of it observed"
_NO_AMOUNT = "no amount reported in the window, or less than a quarter of it observed"
_LAST = "usage_of_customer__last__days_since"


def _reports(seen: Seen, _state: State) -> pl.DataFrame:
    """Reports with the time since the one before, and since the product was last bought."""
    bought = lines(seen).select("customer_id", "sku", bought_us="age_us").sort("bought_us")
    rows = seen("usage").with_row_index("_row").sort("age_us")
    # the youngest purchase of the product that is not younger than the report
    rows = rows.join_asof(
        bought,
        left_on="age_us",
        right_on="bought_us",
        by=["customer_id", "sku"],
        strategy="forward",
        check_sortedness=False,
    ).sort("_row")
    kind, age = pl.col("kind"), pl.col("age_us")
    since = pl.col("bought_us") - age
    return rows.with_columns(
        # in an hour that the clock shows twice, a later report may show an earlier time
        gap_us=(age.shift(1).over("customer_id") - age).clip(lower_bound=0),
        since_bought_us=pl.when(since <= _BOUGHT_WITHIN_DAYS * DAY_US).then(since),
        has_kind=kind.is_not_null(),
        first_use=kind == "first_use",
        refill=kind == "refill",
    )


def _silence() -> pl.Expr:
    gap = pl.col("usage_of_customer__gap__mean__180d")
    return pl.col(_LAST) / pl.when(gap > 0).then(gap)


FAMILY = Family(
    name="usage_of_customer",
    entity="customer",
    needs=("order_lines", "cancellations", "usage"),
    views=(View("reports", "usage", _reports),),
    features=(
        Feature("reports", "count", "reports", "reports", _UNSEEN, windows=(30, 90)),
        Feature("reports", "rate", "reports", "per day", _UNSEEN, windows=(30, 90)),
        Feature("last", "days_since", "reports", "days", _NONE),
        Feature("amount", "sum", "reports", "units", _NO_AMOUNT, of="amount_e3", scale=QUANTITY,
                windows=(90,)),
        Feature("amount", "mean", "reports", "units per report", _NO_AMOUNT, of="amount_e3",
                scale=QUANTITY, windows=(365,)),
        Feature("first_use", "share", "reports", "share of reports of a known kind", _NO_KIND,
                of="has_kind", where="first_use", windows=(365,)),
        Feature("refill", "share", "reports", "share of reports of a known kind", _NO_KIND,
                of="has_kind", where="refill", windows=(365,)),
        Feature("gap", "mean", "reports", "days between reports", _NO_GAP, of="gap_us",
                scale=DAYS, windows=(180,)),
        Feature("gap", "last", "reports", "days between the last two reports", _SINGLE,
                of="gap_us", scale=DAYS),
        Feature("since_bought", "mean", "reports", "days from the purchase of a product to its use",
                f"{_NO_PURCHASE}, or less than a quarter of the window was observed",
                of="since_bought_us", scale=DAYS, windows=(180,)),
        Feature("since_bought", "last", "reports", "days from the purchase of a product to its use",
                _NO_PURCHASE, of="since_bought_us", scale=DAYS),
    ),
    expressions=(
        Expression("silence_over_gap", "times the usual time between reports", _NO_GAP, "reports",
                   _silence),
        trend("usage_of_customer", "reports", 30, 90, "reports"),
    ),
)  # fmt: skip
