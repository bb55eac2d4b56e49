"""What the customer was shown: how much, what, how lately, and whether an order followed.

Tags may be many and new ones come every week, so no column bears the name of one: a tag counts by
its two codes (`_words`), and by how much of it the customer was shown who saw it last. Only what
was shown from the first order on counts in windows, as rates are over the time since then; what was
shown last may be the link that brought the customer.

An order within 14 days follows an exposure. That the exposure caused it is not said: who buys much
is shown much, so the orders that followed are also told over those of the customer's own pace.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Seen, State, View
from ppi_ml.features._kit import trend
from ppi_ml.features._orders import firsts, orders, with_following
from ppi_ml.features._words import CODE, CODES, codes
from ppi_ml.instants import DAY_US

WITHIN_DAYS = 14
_PRIOR_ORDERS = 1.0
_ORDERS_E6 = 1_000_000
_UNSEEN = "no table of exposures, or less than a quarter of the window was observed"
_NONE = "no table of exposures, or nothing shown yet"
_NO_TAG = "no table of exposures, or no tag known"
_NO_RIPE = (
    "nothing shown in the window after the first order and 14 days ago or more, or less than a "
    "quarter of it observed"
)
_FOLLOWING = "content__following__sum__365d"
_EXPECTED = "content__expected__sum__365d"


def _shown(seen: Seen, _state: State) -> pl.DataFrame:
    """Exposures with the codes of their tag and what followed.

    `ours`: from the first order on. `following` orders within 14 days, and whether there was one
    (`followed`), of those that are ours and 14 days old (`ripe`). `expected_e6` are the orders of
    14 days at the customer's own pace, in millionths.
    """
    known = orders(seen)
    own = firsts(known).join(known.group_by("customer_id").len("orders"), on="customer_id")
    rows = seen("exposures").join(own, on="customer_id", how="left", maintain_order="left")
    rows = with_following(rows, known, WITHIN_DAYS)
    tag = pl.col("content_tag")
    ours = (pl.col("age_us") <= pl.col("first_us")).fill_null(value=False)
    ripe = ours & (pl.col("age_us") >= WITHIN_DAYS * DAY_US)
    pace = (pl.col("orders").cast(pl.Int64) - 1) / pl.col("first_us")
    expected = (pace * (WITHIN_DAYS * DAY_US * _ORDERS_E6)).round().cast(pl.Int64)
    last = tag.drop_nulls().last().over("customer_id")
    return rows.with_columns(
        *codes(rows["content_tag"], "tag"),
        ours=ours,
        of_last=ours & (tag == last).fill_null(value=False),
        ripe=ripe,
        followed=pl.col("following") > 0,
        following=pl.when(ripe).then("following"),
        expected_e6=pl.when(ripe).then(expected),
    )


def _over_own_pace() -> pl.Expr:
    """(orders that followed + 1) / (orders that the own pace would have brought + 1)."""
    return (pl.col(_FOLLOWING) + _PRIOR_ORDERS) / (pl.col(_EXPECTED) + _PRIOR_ORDERS)


FAMILY = Family(
    name="content",
    entity="customer",
    needs=("order_lines", "cancellations", "exposures"),
    views=(View("shown", "exposures", _shown),),
    features=(
        Feature("shown", "count", "shown", "exposures", _UNSEEN, where="ours", windows=(30, 90)),
        Feature("shown", "rate", "shown", "per day", _UNSEEN, where="ours", windows=(30, 90)),
        Feature("last_tag", "count", "shown", "exposures to the tag shown last", _UNSEEN,
                where="of_last", windows=(30, 90)),
        Feature("last_tag", "rate", "shown", "exposures per day to the tag shown last", _UNSEEN,
                where="of_last", windows=(90,)),
        Feature("tags", "distinct", "shown", "tags", _UNSEEN, of="content_tag", where="ours",
                windows=(90,)),
        Feature("last", "days_since", "shown", "days", _NONE),
        *(Feature(f"tag_{code}", "last", "shown", "code of the tag shown last, 0 to 1", _NO_TAG,
                  of=f"tag_{code}", scale=CODE) for code in CODES),
        *(Feature(f"tag_{code}", "mean", "shown", "mean code of the tags shown, 0 to 1",
                  f"{_NO_TAG} in the window, or less than a quarter of it observed",
                  of=f"tag_{code}", where="ours", scale=CODE, windows=(90,)) for code in CODES),
        Feature("followed", "share", "shown",
                "share of exposures with an order in the 14 days after", _NO_RIPE,
                of="ripe", where="followed", windows=(90, 365)),
        Feature("following", "mean", "shown", "orders in the 14 days after an exposure", _NO_RIPE,
                of="following", windows=(365,)),
        Feature("following", "sum", "shown", "orders in the 14 days after exposures", _NO_RIPE,
                of="following", windows=(365,), trees=False),
        Feature("expected", "sum", "shown", "orders of these days at the own pace", _NO_RIPE,
                of="expected_e6", scale=_ORDERS_E6, windows=(365,), trees=False),
    ),
    expressions=(
        Expression("following_over_own_pace",
                   "times the orders of the own pace, shrunk to 1 by one order", _NO_RIPE, "shown",
                   _over_own_pace),
        trend("content", "shown", 30, 90, "shown"),
    ),
)  # fmt: skip
