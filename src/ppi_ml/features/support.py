"""How often the customer asked for help, what became of it, and what it was about.

A ticket is an opening with its closing, joined by `ticket_id`; a closing known later than the
cutoff leaves it open. What is open now looks at tickets of 90 days: an older one was forgotten.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Seen, State, View
from ppi_ml.features._kit import DAYS
from ppi_ml.features._orders import orders

POINTS = 1_000.0
"""Scores are stored in thousandths."""
_TICKET = ("customer_id", "ticket_id")
_ORDER = ("customer_id", "order_id")
_UNSEEN = "no table of tickets, or less than a quarter of the window was observed"
_NO_TABLE = "no table of tickets"
_NO_CLOSED = "no table of tickets, or none of closed ones"
_GOODS = "orders?|parcels?|packages?|delivery|shipment"
_SAID = rf"\bwismo\b|\bwhere ?(s|is) ?(my|our|the) ?({_GOODS})\b"
"""A topic in small letters, all else than letters and digits as one space, that asks for goods."""


def where_is_my_order(topic: pl.Expr) -> pl.Expr:
    """Whether a topic asks where the goods are; null where there is no topic.

    Case, hyphens, underscores and punctuation do not matter: `where-is-my-order`, `WISMO`,
    "Where's my parcel?". Other languages and words are for the shop to map to these.
    """
    plain = topic.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " ")
    return plain.str.contains(_SAID)


def _tickets(seen: Seen, _state: State) -> pl.DataFrame:
    """Tickets: `age_us` of the opening, `resolve_us` until the closing, what each was about."""
    closed = seen("tickets_closed").select(*_TICKET, closed_us="age_us")
    tickets = seen("tickets_opened").join(closed, on=_TICKET, how="left", maintain_order="left")
    tickets = tickets.join(_last_order(seen), on=_ORDER, how="left", maintain_order="left")
    return tickets.select(
        "customer_id",
        "age_us",
        resolve_us=(pl.col("age_us") - pl.col("closed_us")).clip(lower_bound=0),
        open=pl.col("closed_us").is_null(),
        has_topic=pl.col("topic").is_not_null(),
        where_is=where_is_my_order(pl.col("topic")),
        of_last=pl.col("of_last").fill_null(value=False),
    )


def _last_order(seen: Seen) -> pl.DataFrame:
    """The newest purchase of every customer: the order, or the orders of one instant."""
    newest = pl.col("age_us") == pl.col("age_us").min().over("customer_id")
    return orders(seen).filter(newest).select(*_ORDER, of_last=pl.lit(value=True))


FAMILY = Family(
    name="support",
    entity="customer",
    needs=("order_lines", "cancellations", "tickets_opened", "tickets_closed"),
    views=(View("tickets", "tickets_opened", _tickets),),
    features=(
        Feature("tickets", "count", "tickets", "tickets", _UNSEEN, windows=(30, 90)),
        Feature("tickets", "rate", "tickets", "per day", _UNSEEN, windows=(90,)),
        Feature("last", "days_since", "tickets", "days", "no ticket yet"),
        Feature("open", "count", "tickets", "tickets of 90 days not known to be closed",
                _NO_CLOSED, where="open", since="tickets_closed", windows=(90,), honest=False),
        Feature("open", "max", "tickets", "days since the oldest open one was opened",
                f"{_NO_CLOSED}, or nothing open", of="age_us", where="open",
                since="tickets_closed", scale=DAYS, windows=(90,), honest=False),
        Feature("resolve", "mean", "tickets", "days from opening to closing",
                "no ticket known to be closed", of="resolve_us", scale=DAYS),
        Feature("resolve", "last", "tickets", "days from opening to closing",
                "no ticket known to be closed", of="resolve_us", scale=DAYS),
        Feature("csat", "mean", "tickets_closed", "points", "no answer known",
                of="csat_e3", scale=POINTS),
        Feature("csat", "last", "tickets_closed", "points", "no answer known",
                of="csat_e3", scale=POINTS),
        Feature("where_is_my_order", "count", "tickets", "tickets", _UNSEEN, where="where_is",
                windows=(90,)),
        Feature("where_is_my_order", "rate", "tickets", "per day", _UNSEEN, where="where_is",
                windows=(90,)),
        Feature("where_is_my_order", "share", "tickets", "share of tickets with a topic",
                "no ticket with a topic yet", of="has_topic", where="where_is"),
        Feature("last_order", "count", "tickets", "tickets of 180 days about the last purchase",
                _NO_TABLE, where="of_last", windows=(180,), honest=False),
        Feature("any", "count", "tickets", "tickets", _NO_TABLE, trees=False),
        Feature("purchases", "count", "purchases", "purchase days", _NO_TABLE,
                since="tickets_opened", trees=False),
    ),
    expressions=(
        Expression("tickets_per_purchase", "tickets per purchase day",
                   "no purchase since tickets are recorded", "tickets",
                   lambda: pl.col("support__any__count") / pl.col("support__purchases__count")),
    ),
)  # fmt: skip
