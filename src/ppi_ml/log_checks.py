"""What only the whole log can tell: orphans, effects before their cause, more back than bought.

Nothing is quarantined here. Such rows stay in the log as they are; they are counted, so that a
person can see that an export is torn or that a clock is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from ppi_ml import clock
from ppi_ml.conversion import NO_CURRENCY
from ppi_ml.event_table import EventTable
from ppi_ml.events import EventLog
from ppi_ml.findings import Checks, Orphans, SentBack, Skew
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.load_report import LoadReport
from ppi_ml.schema import TABLES
from ppi_ml.sent_back import matched

_HOUR_US = DAY_US / 24
_PAIR = ["customer_id", "sku"]
_Tables = Mapping[str, EventTable]


@dataclass(frozen=True)
class _Link:
    """Events of `table` name by `key` what an event of `cause` began, and so come after it."""

    table: str
    key: str
    cause: str
    early: str
    """What it means if they do not."""
    orphan: str = ""
    """What it means if there is no such event; empty where that means nothing."""


_NO_ORDER = "an order that order_lines does not have"
_LINKS = (
    _Link("cancellations", "order_id", "order_lines", "called off before it was ordered",
          _NO_ORDER),
    _Link("shipments", "order_id", "order_lines", "shipped before it was ordered", _NO_ORDER),
    _Link("deliveries", "order_id", "order_lines", "delivered before it was ordered", _NO_ORDER),
    _Link("deliveries", "shipment_id", "shipments", "delivered before it was shipped",
          "a parcel that shipments does not have"),
    _Link("delivery_exceptions", "order_id", "order_lines", "went wrong before it was ordered",
          _NO_ORDER),
    _Link("delivery_exceptions", "shipment_id", "shipments", "went wrong before it was shipped",
          "a parcel that shipments does not have"),
    _Link("returns", "order_id", "order_lines", "sent back before it was ordered", _NO_ORDER),
    _Link("refunds", "order_id", "order_lines", "refunded before it was ordered", _NO_ORDER),
    _Link("reviews", "order_id", "order_lines", "reviewed before it was ordered", _NO_ORDER),
    _Link("reviews", "order_id", "deliveries", "reviewed before it was delivered"),
    _Link("tickets_opened", "order_id", "order_lines", "opened before it was ordered", _NO_ORDER),
    _Link("tickets_closed", "ticket_id", "tickets_opened", "closed before it was opened",
          "a ticket that tickets_opened does not have"),
    _Link("messages", "message_id", "messages", "answered before it was sent",
          "a message that was not sent"),
)  # fmt: skip


def checked(log: EventLog, now: Cutoff | None = None) -> LoadReport:
    """The load report of a log, with what the whole log tells; see `check`."""
    return replace(log.report, checks=check(log, now))


def check(log: EventLog, now: Cutoff | None = None) -> Checks:
    """What only all tables together tell.

    Args:
        log: all tables. One without rows is as if it were not there.
        now: the present instant, after which nothing can have happened; None: not looked at.
    """
    tables = {n: t for n, t in log.tables.items() if t.frame.height or n == "order_lines"}
    orphans: list[Orphans] = []
    skews: list[Skew] = []
    causes: dict[tuple[str, str], pl.DataFrame] = {}
    for link in _LINKS:
        if link.table in tables and link.cause in tables:
            place = (link.cause, link.key)
            if place not in causes:
                causes[place] = _began(tables[link.cause], link.key)
            found, skew = _follow(link, tables, causes[place])
            orphans += found
            skews.append(skew)
    orphans += _lines(tables) + _products(tables) + _customers(tables)
    skews += _promises(tables) + _purchases(tables)
    repeated = {name: _repeated(table) for name, table in tables.items() if _own_ids(name)}
    ahead = None
    if now is not None:
        ahead = {n: int((t.frame["at"] >= now.at).sum()) for n, t in tables.items() if t.dated}
    twice = {name: _twice(t, log.timezone) for name, t in tables.items() if t.dated}
    money = None if log.currency == NO_CURRENCY else log.currency
    back = _sent_back(tables)
    return Checks(tuple(orphans), tuple(skews), back, repeated, twice, ahead, money)


def _began(table: EventTable, key: str) -> pl.DataFrame:
    """The first event of every key: `key`, `cause_of` (the customer), `cause_at`, `cause_day`."""
    frame = table.frame
    if table.name == "messages":  # an id may be that of a mailing: then it is one per customer
        frame = frame.filter(pl.col("action") == "sent")
        frame = frame.unique(["customer_id", key], keep="first", maintain_order=True)
    elif TABLES[table.name].once_per == key:  # such rows lie together
        frame = frame.filter((pl.col(key) != pl.col(key).shift(1)).fill_null(True))
    else:
        frame = frame.filter(pl.col(key).is_not_null()).sort("at").unique(key, keep="first")
    return frame.select(
        key, cause_of="customer_id", cause_at="at", cause_day=pl.col("wall") // DAY_US
    )


def _follow(link: _Link, tables: _Tables, causes: pl.DataFrame) -> tuple[list[Orphans], Skew]:
    """How many rows have no cause, one of another customer, and one that comes later."""
    frame, on = tables[link.table].frame, [link.key]
    if link.table == "messages":
        frame, on = frame.filter(pl.col("action") != "sent"), [link.key, "customer_id"]
        causes = causes.with_columns(customer_id="cause_of")
    rows = frame.filter(pl.col(link.key).is_not_null()).select(*{*on, "customer_id"}, "at", "wall")
    joined = rows.join(causes, on=on, how="left")
    early = _early(tables[link.table], tables[link.cause])
    named, found, foreign, sooner, hours = joined.select(
        pl.len(),
        pl.col("cause_at").count(),
        (pl.col("cause_of") != pl.col("customer_id")).sum().alias("foreign"),
        early.sum().alias("early"),
        _hours(early),
    ).row(0)
    lost = {link.orphan: named - found} if link.orphan else {}
    if link.orphan == _NO_ORDER:
        lost["an order of another customer"] = foreign
    orphans = [Orphans(link.table, link.key, what, n, named) for what, n in lost.items()]
    return orphans, Skew(link.table, link.early, sooner, found, hours)


def _early(effect: EventTable, cause: EventTable) -> pl.Expr:
    """Whether the event comes before its cause; by days where one of them knows only days."""
    if "day" in (effect.granularity, cause.granularity):
        return (pl.col("wall") // DAY_US < pl.col("cause_day")).fill_null(False)
    return (pl.col("at") < pl.col("cause_at")).fill_null(False)


def _hours(early: pl.Expr) -> pl.Expr:
    ahead = (pl.col("cause_at") - pl.col("at")).filter(early).median()
    return (ahead / _HOUR_US).round(2).alias("hours")


def _lines(tables: _Tables) -> list[Orphans]:
    """Cancellations of a line that its order does not have."""
    if "cancellations" not in tables:
        return []
    key = ["order_id", "line_id"]
    rows = tables["cancellations"].frame.select(key).drop_nulls()
    lost = rows.join(tables["order_lines"].frame.select(key), on=key, how="anti").height
    return [Orphans("cancellations", "line_id", "a line that order_lines does not have", lost,
                    rows.height)]  # fmt: skip


def _products(tables: _Tables) -> list[Orphans]:
    """Rows with a sku that was neither sold nor is listed; lines with one that is not listed."""
    counts = {
        name: table.frame["sku"].drop_nulls().value_counts(name="rows")
        for name, table in tables.items()
        if "sku" in table.frame.columns
    }
    listed = counts.pop("products")["sku"] if "products" in counts else pl.Series(dtype=pl.String)
    known, found = pl.concat([counts["order_lines"]["sku"], listed]), []
    for name, skus in counts.items():
        there, what = known, "a product that is neither sold nor listed"
        if name == "order_lines":
            if listed.is_empty():
                continue
            there, what = listed, "a product that products does not have"
        lost = skus.filter(~pl.col("sku").is_in(there.implode()))["rows"].sum()
        found.append(Orphans(name, "sku", what, int(lost), int(skus["rows"].sum())))
    return found


def _customers(tables: _Tables) -> list[Orphans]:
    """Rows of customers who have never ordered: prospects, or ids of another system."""
    known = tables["order_lines"].frame["customer_id"].unique().implode()
    found = []
    for name, table in tables.items():
        if table.of_customers and name != "order_lines":
            lost = int((~table.frame["customer_id"].is_in(known)).sum())
            told = "a customer without an order"
            found.append(Orphans(name, "customer_id", told, lost, table.frame.height))
    return found


def _promises(tables: _Tables) -> list[Skew]:
    """Parcels that were promised for a time before they left."""
    if "shipments" not in tables:
        return []
    rows = tables["shipments"].frame.select("promised_at", cause_at="at").drop_nulls()
    rows = rows.rename({"promised_at": "at"})
    early = pl.col("at") < pl.col("cause_at")
    n, hours = rows.select(early.sum().alias("n"), _hours(early)).row(0)
    return [Skew("shipments", "promised for a time before it was shipped", n, rows.height, hours)]


def _purchases(tables: _Tables) -> list[Skew]:
    """Returns that name no order, before the customer's first purchase of that product."""
    if "returns" not in tables:
        return []
    back = tables["returns"].frame.filter(pl.col("order_id").is_null(), pl.col("sku").is_not_null())
    lines = tables["order_lines"].frame.join(back, on=_PAIR, how="semi")
    firsts = lines.group_by(_PAIR).agg(
        cause_at=pl.col("at").min(), cause_day=pl.col("wall").min() // DAY_US
    )
    early = _early(tables["returns"], tables["order_lines"])
    joined = back.join(firsts, on=_PAIR)
    n, hours = joined.select(early.sum().alias("n"), _hours(early)).row(0)
    return [Skew("returns", "sent back before it was first bought", n, joined.height, hours)]


def _sent_back(tables: _Tables) -> SentBack | None:
    """What no earlier line can have sent, as `sent_back.matched` tells; None without returns."""
    if "returns" not in tables:
        return None
    units = pl.col("quantity_e3").sum()
    back = tables["returns"].frame.filter(pl.col("sku").is_not_null())
    lines = tables["order_lines"].frame.join(back, on=_PAIR, how="semi")
    doubtful = _doubtful(lines, back)
    some, theirs = (frame.join(doubtful, on=_PAIR, how="semi") for frame in (back, lines))
    found, lost = matched(theirs, some)
    skus = theirs.select("customer_id", "order_id", "line_id", "sku")
    came = found.join(skus, on=["customer_id", "order_id", "line_id"]).group_by(_PAIR)
    short = some.group_by(_PAIR).agg(asked=units).join(
        came.agg(came=units), on=_PAIR, how="left"
    ).filter(pl.col("asked") > pl.col("came").fill_null(0))  # fmt: skip
    all_pairs = back.select(pl.struct(_PAIR).n_unique()).item()
    return SentBack(lost / 1000, float(back["quantity_e3"].sum()) / 1000, short.height, all_pairs)


def _doubtful(lines: pl.DataFrame, back: pl.DataFrame) -> pl.DataFrame:
    """The pairs of which some unit may lack a line; of all others every unit has one.

    None lacks one where as much was bought before the first return as came back in all: in the
    order where all returns name theirs, of the pair where none does.
    """
    order = pl.col("order_id").fill_null("")
    asked = back.group_by(*_PAIR, order).agg(
        first=pl.col("at").min(), asked=pl.col("quantity_e3").sum()
    )
    mixed = asked.group_by(_PAIR).agg(both=(pl.col("order_id") == "").n_unique() > 1)
    named = asked.filter(pl.col("order_id") != "").join(
        lines.select(*_PAIR, "order_id", "at", "quantity_e3"), on=[*_PAIR, "order_id"], how="left"
    )
    free = asked.filter(pl.col("order_id") == "").join(
        lines.select(*_PAIR, "at", "quantity_e3"), on=_PAIR, how="left"
    )
    bought = pl.col("quantity_e3").filter(pl.col("at") <= pl.col("first")).sum()
    lacking = (
        pl.concat([named, free])
        .group_by(*_PAIR, "order_id")
        .agg(lacks=bought < pl.col("asked").first())
    )
    found = [lacking.filter("lacks"), mixed.filter("both")]
    return pl.concat([part.select(_PAIR) for part in found]).unique()


def _own_ids(name: str) -> bool:
    """Whether the rows of a table are told apart by ids of their own, which may be made up."""
    table = TABLES[name]
    return table.dated and table.of_customers and not table.holds


def _repeated(table: EventTable) -> float:
    """Share of rows that say what another one says under another id: read in twice, it seems.

    Lines of one order may be alike, so there it is the id of the order that is not looked at.
    """
    own = TABLES[table.name].key[0]
    said = [name for name in table.frame.columns if name != own]
    # Rows that say the same have one customer and one time, and so lie together.
    same = ("customer_id", "at")
    near = pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in same).fill_null(False)
    rows = table.frame.filter(near | near.shift(-1, fill_value=False))
    different = rows.select(said).hash_rows().n_unique()
    return (rows.height - different) / max(table.frame.height, 1)


def _twice(table: EventTable, zone: str) -> int:
    """Rows whose time the clock shows again later, as it does when summer time ends."""
    if table.granularity == "day":
        return 0
    days = (table.frame["wall"] // DAY_US).unique() * DAY_US
    more = clock.instants_of(days + DAY_US, zone) - clock.instants_of(days, zone) - DAY_US
    count = 0
    for day, longer in zip(days.to_list(), more.to_list(), strict=True):
        if longer > 0:
            rows = table.frame.filter(pl.col("wall").is_between(day, day + DAY_US, closed="left"))
            count += int((clock.clock_of(rows["at"] + longer, zone) == rows["wall"]).sum())
    return count
