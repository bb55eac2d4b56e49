"""What the brand wrote to the customer, and what of it was opened and clicked.

`sent` is the brand's act, not the customer's: who writes more to those it fears to lose will see
silence and messages go together, and a model learns that habit of the brand, not of its customers.
It stops being true on the day on which the brand writes by other rules, such as this model's. So
what was opened is told per message sent; the counts of what was sent are named for what they are.
A mailing goes to everybody on one day: when the last one was sent, and how many were, would tell a
tree the date, and so, less, would the day of the last open. Trees do not see these columns.

A message counts as opened if it was opened or clicked, as far as is known; those sent within the
last three days are not asked about yet. Only what came after the first order counts in windows.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Learned, Seen, State, View
from ppi_ml.features._orders import firsts, lines
from ppi_ml.instants import DAY_US

SETTLED_DAYS = 3
"""By then most of those who open a message have done so."""
LEARNED_DAYS = 365
_PRIOR_MESSAGES = 10.0
"""The shop's own share weighs as much as ten messages to this customer."""
_TIMES_E6 = 1_000_000
_MESSAGE = ("customer_id", "message_id")
_UNSEEN = "no table of messages, or less than a quarter of the window was observed"
_NO_TABLE = "no table of messages, or no such message yet"
_NONE_SENT = (
    "no message in the window that was sent 3 days ago or more, or less than a quarter observed"
)
_TIMES = "messages__opened_times__sum__365d"
_SETTLED = "messages__settled__count__365d"


def _answered(seen: Seen, which: pl.Expr | None = None) -> pl.DataFrame:
    """The rows that are meant (all); of those sent after the first order and 3 days ago: what came.

    `was_opened` and `was_clicked` look at every row of the message.
    """
    everything, action = seen("messages"), pl.col("action")
    acts = everything.filter(action.is_in(["opened", "clicked"]))
    acts = acts.group_by(_MESSAGE).agg(
        was_opened=pl.len() > 0, was_clicked=(action == "clicked").any()
    )
    rows = everything if which is None else everything.filter(which)
    rows = rows.join(firsts(lines(seen)), on="customer_id", how="left", maintain_order="left")
    after_first = (pl.col("age_us") <= pl.col("first_us")).fill_null(value=False)
    settled = after_first & (action == "sent") & (pl.col("age_us") >= SETTLED_DAYS * DAY_US)
    joined = rows.join(acts, on=_MESSAGE, how="left", maintain_order="left")
    return joined.with_columns(
        pl.col("was_opened", "was_clicked").fill_null(value=False),
        after_first=after_first,
        settled=settled,
    )


def _collect(seen: Seen) -> pl.DataFrame:
    """Messages of the last year to all customers, and how many of them were opened."""
    recent = (pl.col("action") == "sent") & (pl.col("age_us") <= LEARNED_DAYS * DAY_US)
    return _answered(seen, recent).filter("settled").select(
        opened=pl.col("was_opened").cast(pl.Int64).sum(), sent=pl.len().cast(pl.Int64)
    )  # fmt: skip


def _fit(parts: pl.DataFrame) -> State:
    """The shop's share of messages that are opened; none if nobody opens anything."""
    opened, sent = parts.select(pl.col("opened", "sent").sum()).row(0)
    return {"opened": opened / sent if opened else None}


def _mail(seen: Seen, state: State) -> pl.DataFrame:
    """The rows with their actions apart, and the messages sent since the last one was opened.

    `times_e6` of a message that was settled: 0, or one over the shop's share if it was opened; null
    where nobody opens anything.
    """
    share = state["opened"]
    worth = None if share is None else round(_TIMES_E6 / share)
    rows = _answered(seen)
    ours, action = pl.col("after_first"), pl.col("action")
    last_open = pl.col("age_us").filter(action.is_in(["opened", "clicked"])).min()
    since = pl.col("age_us") < last_open.over("customer_id")
    return rows.with_columns(
        sent=ours & (action == "sent"),
        opened=ours & (action == "opened"),
        clicked=ours & (action == "clicked"),
        any_sent=action == "sent",
        any_opened=action == "opened",
        any_clicked=action == "clicked",
        unsubscribed=action == "unsubscribed",
        unheard=ours & (action == "sent") & since.fill_null(value=True),
        times_e6=pl.when("settled").then(pl.col("was_opened") * pl.lit(worth, dtype=pl.Int64)),
    )


def _opens_over_shop() -> pl.Expr:
    """The customer's share of messages opened over the shop's, shrunk to 1 by ten messages.

    So the state touches only those who opened something. A share shrunk to the shop's own would
    hold that date's number in every row.
    """
    times, sent = pl.col(_TIMES), pl.col(_SETTLED)
    over = (times + _PRIOR_MESSAGES) / (sent + _PRIOR_MESSAGES)
    return pl.when(sent > 0).then(over).when(sent == 0).then(1.0)


def _clicks_per_open() -> pl.Expr:
    opened = pl.col("messages__opens__share__365d")
    return pl.col("messages__clicks__share__365d") / pl.when(opened > 0).then(opened)


FAMILY = Family(
    name="messages",
    entity="customer",
    needs=("order_lines", "cancellations", "messages"),
    learned=Learned(_collect, _fit),
    views=(View("mail", "messages", _mail),),
    features=(
        Feature("sent", "count", "mail", "messages (the brand's act)", _UNSEEN, where="sent",
                windows=(30, 90), trees=False),
        Feature("sent", "rate", "mail", "messages per day (the brand's act)", _UNSEEN,
                where="sent", windows=(30, 90), trees=False),
        Feature("opened", "count", "mail", "opens", _UNSEEN, where="opened", windows=(90,)),
        Feature("opened", "rate", "mail", "opens per day", _UNSEEN, where="opened",
                windows=(90,)),
        Feature("clicked", "count", "mail", "clicks", _UNSEEN, where="clicked", windows=(90,)),
        Feature("clicked", "rate", "mail", "clicks per day", _UNSEEN, where="clicked",
                windows=(90,)),
        Feature("unheard", "count", "mail", "messages sent since one was last opened", _UNSEEN,
                where="unheard", windows=(90,)),
        Feature("opens", "share", "mail", "share of messages sent", _NONE_SENT,
                of="settled", where="was_opened", windows=(90, 365)),
        Feature("clicks", "share", "mail", "share of messages sent", _NONE_SENT,
                of="settled", where="was_clicked", windows=(90, 365)),
        Feature("last_sent", "days_since", "mail", "days (the brand's act)", _NO_TABLE,
                where="any_sent", trees=False),
        Feature("last_opened", "days_since", "mail", "days", _NO_TABLE, where="any_opened",
                trees=False),
        Feature("last_clicked", "days_since", "mail", "days", _NO_TABLE, where="any_clicked",
                trees=False),
        Feature("unsubscribed", "days_since", "mail", "days", "not unsubscribed, or no table",
                where="unsubscribed"),
        Feature("opened_times", "sum", "mail", "messages opened over the shop's share of them",
                f"{_NONE_SENT}; or nobody opens anything", of="times_e6", scale=_TIMES_E6,
                windows=(365,), trees=False),
        Feature("settled", "count", "mail", "messages sent 3 days ago or more", _UNSEEN,
                where="settled", windows=(365,), trees=False),
    ),
    expressions=(
        Expression("clicks_per_open", "share of the messages opened",
                   "no message of the last 365 days was opened", "mail", _clicks_per_open),
        Expression("opens_over_shop", "times the shop's share of messages opened, shrunk to 1",
                   f"{_UNSEEN}; or nobody opens anything", "mail", _opens_over_shop),
    ),
)  # fmt: skip
