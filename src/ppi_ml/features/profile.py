"""Where the customer comes from: region, source of acquisition, and the way to the first order.

Region and source are words; they count by their codes (`_words`), and so do the columns that
`data.segments` names. A row of `customers` tells of no event, so a sign-up that is still to come at
the cutoff is unknown; one of a mere date is known when that day is over. The age of a customer is
for smooth models alone; trees are told how long it took from the sign-up to the first order. Who
signed up more than a year before the first known order may have ordered before the log began, so
that is unknown, too.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from ppi_ml.customer_columns import held
from ppi_ml.declare import Family, Feature, Seen, State, View
from ppi_ml.features._kit import DAYS
from ppi_ml.features._orders import firsts, lines
from ppi_ml.features._words import CODE, CODES, codes
from ppi_ml.instants import DAY_US

_WAITED_DAYS = 365
_NO_SIGN_UP = "no table of customers, or no sign-up known before the cutoff"
_BOTH = "region and source"


def _who(seen: Seen, _state: State, segments: tuple[str, ...]) -> pl.DataFrame:
    """Every customer with an order once: the codes of their words, and how they came to order.

    `segments` are further columns of words; one that the log does not have is unknown of everybody.
    """
    who = seen("customers").join(firsts(lines(seen)), on="customer_id", maintain_order="left")
    who = who.with_columns(
        both=pl.concat_str("region", "acquisition_source", separator="\n"),
        age_us=pl.lit(1, dtype=pl.Int64),
    )
    absent = [name for name in segments if name not in who.columns]
    who = who.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in absent)
    signed = pl.when(pl.col("signed_up_age_us") > 0).then("signed_up_age_us")
    waited = signed - pl.col("first_us")
    return who.with_columns(
        *codes(who["region"], "region"),
        *codes(who["acquisition_source"], "source"),
        *codes(who["both"], "both"),
        *(code for name in segments for code in codes(who[name], name)),
        waited_us=pl.when(waited <= _WAITED_DAYS * DAY_US).then(waited),
    )


def _signed_up(seen: Seen, _state: State) -> pl.DataFrame:
    """The sign-ups that have happened."""
    known = seen("customers").filter(pl.col("signed_up_age_us") > 0)
    return known.select("customer_id", age_us="signed_up_age_us")


def _codes_of(name: str, words: str) -> list[Feature]:
    unit, null = f"code of the {words}, 0 to 1", f"{words} not known, or no table of customers"
    return [
        Feature(f"{name}_{code}", "last", "who", unit, null, of=f"{name}_{code}", scale=CODE)
        for code in CODES
    ]


def _family(segments: tuple[str, ...] = ()) -> Family:
    """The family with the columns of these segments."""
    columns = held(segments)
    words = dict(zip(columns, segments, strict=True))
    return Family(
        name="profile",
        entity="customer",
        needs=("order_lines", "cancellations", "customers"),
        views=(
            View("who", "customers", partial(_who, segments=columns)),
            View("signed_up", "customers", _signed_up),
        ),
        features=(
            *_codes_of("region", "region"),
            *_codes_of("source", "source of acquisition"),
            *_codes_of("both", _BOTH),
            *(feature for name in columns for feature in _codes_of(name, words[name])),
            Feature("first_order", "last", "who",
                    "days from sign-up to the first order; negative: ordered before it",
                    f"{_NO_SIGN_UP}, or more than a year before", of="waited_us", scale=DAYS),
            Feature("signed_up", "days_since", "signed_up", "days", _NO_SIGN_UP, trees=False),
        ),
        of_segments=_family,
    )  # fmt: skip


FAMILY = _family()
