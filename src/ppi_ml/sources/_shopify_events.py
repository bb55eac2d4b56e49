"""What followed an order of Shopify: parcels, arrivals, returns, refunds, cancellations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from ppi_ml.sources._shopify_orders import (
    KEPT,
    Line,
    Order,
    Record,
    instant,
    kept,
    money,
    text,
)

_WHO = ("customer_id", "occurred_at", "order_id")
TABLES: Mapping[str, tuple[str, ...]] = {
    "order_lines": (
        *_WHO, "line_id", "sku", "quantity", "unit_price", "discount", "currency", "promo_code",
        "channel", "order_type",
    ),
    "cancellations": (*_WHO, "cancellation_id", "line_id", "reason"),
    "shipments": (*_WHO, "shipment_id", "carrier", "service", "region"),
    "deliveries": (*_WHO, "shipment_id"),
    "delivery_exceptions": (*_WHO, "shipment_id", "code"),
    "returns": (*_WHO, "return_id", "sku", "quantity"),
    "refunds": (*_WHO, "refund_id", "sku", "amount", "currency"),
    "products": ("sku", "name"),
}  # fmt: skip
_NOT_SENT = ("cancelled", "error", "failure", "pending", "open")
_EXCEPTIONS = {"delayed": "delay", "attempted_delivery": "failed_attempt"}
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass
class Apart:
    """Records that came on pages of their own, by the id of their order or parcel."""

    refunds: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    fulfillments: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, record: Record) -> None:
        """Keep a record of `refunds`, `fulfillments` or `fulfillment_events`."""
        record = kept(record, KEPT[kind])
        if kind == "fulfillment_events":
            self.events[str(record.get("fulfillment_id"))].append(record)
        else:
            into = self.refunds if kind == "refunds" else self.fulfillments
            into[str(record.get("order_id"))].append(record)


class Rows:
    """The rows of all tables, order by order, and counts of what is in none of them."""

    def __init__(self, apart: Apart) -> None:
        self.counts: Counter[str] = Counter()
        self.first: datetime | None = None  # of the orders
        self.last: datetime | None = None  # of anything
        self._apart = apart
        self._rows: dict[str, list[tuple[str | None, ...]]] = {name: [] for name in TABLES}
        self._names: dict[str, tuple[tuple[datetime, str, int], str]] = {}

    def frames(self) -> dict[str, pl.DataFrame]:
        """Table -> its rows, every cell as text."""
        named = [(sku, name) for sku, (_, name) in sorted(self._names.items())]
        self._rows["products"] = list(named)
        return {
            name: pl.DataFrame(
                self._rows[name], schema=dict.fromkeys(columns, pl.String), orient="row"
            )
            for name, columns in TABLES.items()
        }

    def add(self, order: Order) -> None:
        """Everything that is known of one order."""
        for line in order.lines:
            self._add(
                "order_lines", order, order.at, line.number, line.sku, line.quantity, line.price,
                line.discount, order.currency, order.code, order.channel, _type_of(order, line),
            )  # fmt: skip
            self._name(order, line)
        if (at := instant(order.at)) is not None:
            self.first = at if self.first is None else min(self.first, at)
        number = str(order.id)
        parcels = _once((*order.fulfillments, *self._apart.fulfillments.pop(number, ())))
        refunds = _once((*order.refunds, *self._apart.refunds.pop(number, ())))
        refunds.sort(key=lambda refund: _when(_at(refund)))
        for parcel in parcels:
            self._add_parcel(order, parcel)
        gone: Counter[int] = Counter()
        for refund in refunds:
            self._add_refund(order, refund)
            self._add_units(order, refund, parcels, gone)
        self.counts["lines with some units called off, others not: no cancellation"] += sum(
            0 < gone[line.number] < _units(line) for line in order.lines
        )
        if order.cancelled_at is not None:
            number = f"{order.id}-all"
            self._add("cancellations", order, order.cancelled_at, number, None, order.cancel_reason)
        if order.owes_time:
            self.counts[
                "orders with a Refunded Amount, which has no time: no refunds, no returns (the "
                "JSON of the Admin API dates both)"
            ] += 1

    def _name(self, order: Order, line: Line) -> None:
        """What people call the product of a line: by the newest order that says so."""
        if line.sku is None or line.name is None:
            return
        when = (instant(order.at) or _FIRST, str(order.id), line.number)
        known = self._names.get(line.sku)
        if known is None or when > known[0]:
            self._names[line.sku] = when, line.name

    def count_strangers(self) -> None:
        """Count the records of pages of their own whose order or parcel is nowhere."""
        for what, left in (
            ("refunds", self._apart.refunds),
            ("fulfillments", self._apart.fulfillments),
            ("fulfillment events", self._apart.events),
        ):
            records = sum(len(found) for found in left.values())
            self.counts[f"{what} of orders that are not there set aside"] += records

    def _add(self, table: str, order: Order, at: str | None, *cells: object) -> None:
        self._rows[table].append((order.customer, at, order.id, *map(text, cells)))
        if (moment := instant(at)) is not None:
            self.last = moment if self.last is None else max(self.last, moment)

    def _add_parcel(self, order: Order, parcel: Record) -> None:
        number = text(parcel.get("id"))
        events = self._apart.events.pop(str(number), [])
        if str(parcel.get("status")).lower() in _NOT_SENT:
            self.counts["fulfillments that failed, were cancelled or not sent set aside"] += 1
            return
        carrier = text(parcel.get("tracking_company"))
        sent = text(parcel.get("created_at"))
        self._add("shipments", order, sent, number, carrier, order.service, order.region)
        events = [*events, *(parcel.get("events") or []), *(parcel.get("fulfillment_events") or [])]
        told = {(str(event.get("status")), text(event.get("happened_at"))) for event in events}
        arrived = [at for status, at in told if status == "delivered"]
        arrived += [at for at in [text(parcel.get("delivered_at"))] if at]
        if arrived:
            self._add("deliveries", order, min(arrived, key=_when), number)
        elif str(parcel.get("shipment_status")).lower() == "delivered":
            self.counts["parcels that arrived nobody says when: no deliveries"] += 1
        for status, at in sorted(told, key=str):
            if status in _EXCEPTIONS:
                self._add("delivery_exceptions", order, at, number, _EXCEPTIONS[status])

    def _add_refund(self, order: Order, refund: Record) -> None:
        amount = self._amount(order, refund)
        if money(amount) == 0:
            self.counts["refunds by which no money was paid (yet) set aside"] += 1
            return
        skus = {_sku(order, item) for item in refund.get("refund_line_items") or []}
        sku = skus.pop() if len(skus) == 1 else None
        self._add("refunds", order, _at(refund), refund.get("id"), sku, amount, order.currency)

    def _amount(self, order: Order, refund: Record) -> str | None:
        """What was paid back, as text; None where that is not known."""
        parts = refund.get("transactions")
        if not parts:
            total = text(refund.get("total_refunded"))
            return "0" if parts is not None and total is None else total
        paid = [
            part
            for part in parts
            if part.get("kind") == "refund" and part.get("status") in (None, "success")
        ]
        if any(part.get("currency") not in (None, order.currency) for part in paid):
            self.counts["refunds paid in another currency: amount unknown"] += 1
            return None
        amounts = [money(part.get("amount")) for part in paid]
        if None in amounts:
            return text(paid[amounts.index(None)].get("amount"))
        return str(sum((amount for amount in amounts if amount is not None), Decimal(0)))

    def _add_units(
        self, order: Order, refund: Record, parcels: Iterable[Record], gone: Counter[int]
    ) -> None:
        """Units that came back, and lines of which none was left to send.

        `gone` counts, per line, the units that were called off so far.
        """
        at = _at(refund)
        items = refund.get("refund_line_items")
        if items is None:
            self.counts["refunds that do not name their lines: no returns"] += 1
        for place, item in enumerate(items or [], start=1):
            what = _restocked(item, at, parcels)
            if what == "return":
                number = f"{refund.get('id')}-{place}"
                self._add("returns", order, at, number, _sku(order, item), item.get("quantity"))
            elif what == "cancel":
                self._call_off(order, item, at, gone)
            else:
                self.counts["refunded lines that were not restocked: no returns"] += 1

    def _call_off(self, order: Order, item: Record, at: str | None, gone: Counter[int]) -> None:
        line = _line_of(order, item)
        if line is None:
            self.counts["refunded lines that their order does not have set aside"] += 1
            return
        if order.cancelled_at is not None:
            return  # told by the one cancellation of the order
        before = gone[line.number]
        gone[line.number] += int(money(item.get("quantity")) or 0)
        if before < _units(line) <= gone[line.number]:
            number = f"{order.id}-{line.number}"
            self._add("cancellations", order, at, number, line.number, None)


def _units(line: Line) -> Decimal:
    return money(line.quantity) or Decimal(0)


def _type_of(order: Order, line: Line) -> str:
    if line.free:
        return "free"
    return "subscription" if order.subscription else "one_off"


def _once(records: Iterable[Record]) -> list[Record]:
    """The newest record of each id; those without one stay, for the contract to judge."""
    return list({record.get("id") or id(record): record for record in records}.values())


def _at(refund: Record) -> str | None:
    return text(refund.get("processed_at")) or text(refund.get("created_at"))


def _when(at: str | None) -> datetime:
    """An instant to sort by; what cannot be read comes last."""
    return instant(at) or _LAST


def _line_of(order: Order, item: Record) -> Line | None:
    number = text(item.get("line_item_id"))
    return next((line for line in order.lines if line.item == number), None) if number else None


def _sku(order: Order, item: Record) -> str | None:
    line = _line_of(order, item)
    return line.sku if line else text((item.get("line_item") or {}).get("sku"))


def _restocked(item: Record, at: str | None, parcels: Iterable[Record]) -> str:
    """`return`, `cancel` or `no_restock`; what a `legacy_restock` was, the parcels tell."""
    what = str(item.get("restock_type")).lower()
    if what != "legacy_restock":
        return what
    number = text(item.get("line_item_id"))
    sent = any(
        _when(text(parcel.get("created_at"))) <= _when(at)
        and any(text(part.get("id")) == number for part in parcel.get("line_items") or [])
        for parcel in parcels
        if str(parcel.get("status")).lower() not in _NOT_SENT
    )
    return "return" if sent else "cancel"
