"""One order of Shopify's Admin REST API: who, when, which lines at what discount, what followed.

Everything personal ends here: of a customer only an id is kept, of an address country and province.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NamedTuple

_RECURRING = "subscription recurring order"  # the tag of Recharge and Skio
_CENT, _FINEST = Decimal("0.01"), Decimal("0.0001")  # no log holds money more finely
_ABSURD = Decimal(10) ** 15

# What is kept of the records that hang on an order; None keeps a value as it is.
_EVENT: Mapping[str, Any] = dict.fromkeys(("fulfillment_id", "status", "happened_at"))
KEPT: Mapping[str, Mapping[str, Any]] = {
    "fulfillments": {
        **dict.fromkeys(("id", "order_id", "status", "created_at", "delivered_at")),
        **dict.fromkeys(("tracking_company", "shipment_status")),
        "line_items": {"id": None},
        "events": _EVENT,
        "fulfillment_events": _EVENT,
    },
    "refunds": {
        **dict.fromkeys(("id", "order_id", "created_at", "processed_at", "total_refunded")),
        "transactions": dict.fromkeys(("kind", "status", "amount", "currency")),
        "refund_line_items": {
            **dict.fromkeys(("line_item_id", "quantity", "restock_type")),
            "line_item": {"sku": None},
        },
    },
    "fulfillment_events": _EVENT,
}

Record = Mapping[str, Any]


class Line(NamedTuple):
    """A line item, `number` its place in the order.

    `item` is the id that refunds and fulfillments call it by, None in a CSV.
    """

    number: int
    item: str | None
    sku: str | None
    name: str | None
    quantity: object
    price: object
    discount: object
    free: bool


@dataclass(frozen=True, slots=True)
class Order:
    """One order. Times are text with an offset; `set_aside` says why it is no order, if so."""

    id: str | None
    at: str | None
    customer: str | None
    currency: str | None
    code: str | None
    channel: str | None
    subscription: bool
    service: str | None
    region: str | None
    cancelled_at: str | None
    cancel_reason: str | None
    set_aside: str | None
    updated_at: str
    owes_time: bool  # something was refunded, and nobody says when
    lines: tuple[Line, ...]
    tips: int  # line items that are none of the lines
    fulfillments: tuple[Record, ...]
    refunds: tuple[Record, ...]


def order_of(record: Record) -> Order:
    """The order that a record tells of."""
    lines = _lines(record["line_items"], record)
    codes = [str(code["code"]) for code in record.get("discount_codes") or [] if code.get("code")]
    source = text(record.get("source_name"))
    tags = [tag.strip().lower() for tag in str(record.get("tags") or "").split(",")]
    shipping = record.get("shipping_lines") or [{}]
    refunded = money(record.get("refunded_amount"))
    return Order(
        id=text(record.get("id")),
        at=text(record.get("processed_at")) or text(record.get("created_at")),
        customer=_customer(record),
        currency=text(record.get("currency")),
        code=", ".join(codes) or None,
        channel=source,
        subscription=(source or "").startswith("subscription_contract") or _RECURRING in tags,
        service=text(shipping[0].get("title")),
        region=_region(record.get("shipping_address") or {}),
        cancelled_at=text(record.get("cancelled_at")),
        cancel_reason=text(record.get("cancel_reason")),
        set_aside=_reason(record),
        updated_at=str(record.get("updated_at") or ""),
        owes_time=refunded is not None and refunded > 0,
        lines=lines,
        tips=len(record["line_items"]) - len(lines),
        fulfillments=_all_kept(record, "fulfillments"),
        refunds=_all_kept(record, "refunds"),
    )


def kept(record: Record, names: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is named: an order of the API may take 10 kB, and much of it is private.

    `TypeError` where something else stands in the place of a record.
    """
    if not isinstance(record, Mapping):
        raise TypeError
    return {name: _kept(record[name], inner) for name, inner in names.items() if name in record}


def _kept(value: Any, names: Mapping[str, Any] | None) -> Any:  # noqa: ANN401  # JSON is any type
    if names is None or not value:
        return value
    return [kept(item, names) for item in value] if isinstance(value, list) else kept(value, names)


def text(value: object) -> str | None:
    """A cell as text, None where there is nothing in it."""
    return str(value).strip() or None if value is not None else None


def money(value: object) -> Decimal | None:
    """An amount; None where there is none, or where it is no number or absurd."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < _ABSURD else None


def instant(value: object) -> datetime | None:
    """A time with an offset; None where it cannot be read as one, or where its year is absurd."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo and 1970 < found.year < 2200 else None


def _all_kept(record: Record, kind: str) -> tuple[Record, ...]:
    return tuple(kept(item, KEPT[kind]) for item in record.get(kind) or ())


def _reason(record: Record) -> str | None:
    if record.get("beheaded"):
        return "orders without their first row"
    if record.get("test") is True:
        return "test orders"
    if str(record.get("financial_status") or "").lower() == "voided":
        return "voided orders (never paid)"
    return None


def _customer(record: Record) -> str | None:
    """The customer's id, else a hash of the e-mail: no address goes any further."""
    customer = record.get("customer") or {}
    if number := text(customer.get("id")):
        return number
    for mail in (record.get("email"), record.get("contact_email"), customer.get("email")):
        if address := text(mail):
            return hashlib.sha256(address.lower().encode()).hexdigest()
    return None


def _region(address: Record) -> str | None:
    """Country and province, such as `US-NY`."""
    parts = (text(address.get("country_code")), text(address.get("province_code")))
    return "-".join(part for part in parts if part) or None


def _lines(items: Sequence[Record], record: Record) -> tuple[Line, ...]:
    discounts = _discounts(items, record)
    return tuple(
        Line(
            number=number,
            item=text(item.get("id")),
            sku=text(item.get("sku")) or text(item.get("name")),
            name=text(item.get("name")) or text(item.get("title")),
            quantity=item.get("quantity"),
            price=item.get("price"),
            discount=discount,
            free=money(item.get("price")) == 0,
        )
        for number, (item, discount) in enumerate(zip(items, discounts, strict=True), start=1)
        if not _is_tip(item)
    )


def _is_tip(item: Record) -> bool:
    """What a customer gave to the staff is no product."""
    named = str(item.get("name") or item.get("title")).strip().lower() == "tip"
    return bool(item.get("tip")) or (named and not text(item.get("sku")))


def _discounts(items: Sequence[Record], record: Record) -> Sequence[object]:
    """The money off each line: as the API allocated it, else worked out from the order.

    `discount_allocations` of a line are all its discounts, those of the whole order included.
    `total_discount` is only what is shown at the line. Of an order without allocations, what comes
    off the lines is their worth less the subtotal, but never more than all its discounts: these
    may be off the shipping, which is no line.
    """
    allocated = [item.get("discount_allocations") for item in items]
    if all(isinstance(parts, list) for parts in allocated):
        return [_sum([part.get("amount") for part in parts or []]) for parts in allocated]
    shown = [item.get("total_discount") for item in items]
    known = [
        (worth, off)
        for item, cell in zip(items, shown, strict=True)
        if (worth := _worth(item)) is not None
        and (off := money(cell or 0)) is not None
        and off >= 0
    ]
    if len(known) < len(items):
        return shown  # the contract will say what is wrong
    left = [max(worth - off, Decimal(0)) for worth, off in known]
    total = sum(left, Decimal(0))
    rest = min(_rest(record, total, sum((off for _, off in known), Decimal(0))), total)
    if rest <= 0:
        return shown
    return [str(off + more) for (_, off), more in zip(known, _spread(rest, left), strict=True)]


def _sum(amounts: Sequence[object]) -> object:
    """The sum as text; the first amount that is no number where there is one."""
    parsed = [money(amount) for amount in amounts]
    total = sum((amount for amount in parsed if amount is not None), Decimal(0))
    return amounts[parsed.index(None)] if None in parsed else str(total)


def _worth(item: Record) -> Decimal | None:
    price, quantity = money(item.get("price")), money(item.get("quantity"))
    if price is None or quantity is None or not 0 <= price <= 10**9 or not 0 <= quantity <= 10**9:
        return None
    return price * quantity


def _rest(record: Record, left: Decimal, known: Decimal) -> Decimal:
    """What comes off the lines of an order beyond what is shown at each of them."""
    total, subtotal = money(record.get("total_discounts")), money(record.get("subtotal_price"))
    if subtotal is None:
        return (total or Decimal(0)) - known  # shown once at its line, once in the total
    return left - subtotal if total is None else min(left - subtotal, total)


def _spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """An amount over lines in proportion to their weights, in whole cents, exactly.

    The share of a line is what the rounded running total grows by there, so shares add up to the
    amount and none exceeds its weight. Where the shop itself uses parts of cents, these are the
    unit.
    """
    in_cents = all(value == value.quantize(_CENT) for value in (amount, *weights))
    unit = _CENT if in_cents else _FINEST
    whole, parts = int(amount / unit), [int(weight / unit) for weight in weights]
    running = [whole * part // sum(parts) for part in accumulate(parts)]
    return [(after - before) * unit for before, after in zip([0, *running], running, strict=False)]
