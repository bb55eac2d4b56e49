"""Orders of Shopify's GraphQL Admin API in the shape of its REST API, which everything else reads.

camelCase becomes snake_case, a connection its list of nodes, a global id its number, a bag of money
the amount in the currency of the shop, and what GraphQL shouts (`RETURN`) small letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ppi_ml.errors import DataError

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ID = re.compile(r"gid://shopify/(\w+)/(\d+)(?:\?.*)?")
_SMALL = ("status", "display_status", "restock_type", "kind", "cancel_reason")
_CHILDREN = {"LineItem": "lineItems"}  # what a bulk export writes as lines of their own

Record = Mapping[str, Any]


def is_graphql(record: Record) -> bool:
    """Whether a record looks like GraphQL and not like REST."""
    return "lineItems" in record or _ID.fullmatch(str(record.get("id"))) is not None


def together(records: Iterable[Record]) -> Iterator[Record]:
    """Records of a bulk export, line items put into their orders by `__parentId`.

    `DataError` for a line item whose order does not stand before it.
    """
    parents: dict[str, dict[str, Any]] = {}
    apart = False
    for record in records:
        found = _ID.fullmatch(str(record.get("id")))
        parent = record.get("__parentId")
        if parent is None:
            parents[str(record.get("id"))] = {**record}
        elif found and (into := _CHILDREN.get(found[1])):
            if parent not in parents:
                raise DataError("a line item comes before its order, or without it; export anew")
            apart = True
            parents[parent].setdefault(into, []).append(record)
    empty: dict[str, Any] = {name: [] for name in _CHILDREN.values()} if apart else {}
    for order in parents.values():
        yield {**empty, **order}


def as_rest(record: Record) -> dict[str, Any]:
    """One order of GraphQL as REST has it; `DataError` if a list in it was cut off."""
    order: dict[str, Any] = _plain(record)
    order["currency"] = order.pop("currency_code", None) or _currency(record)
    order["financial_status"] = str(order.get("display_financial_status") or "").lower()
    order["tags"] = ", ".join(order.get("tags") or [])
    order["discount_codes"] = [{"code": code} for code in order.get("discount_codes") or []]
    if "shipping_line" in order:
        order["shipping_lines"] = [order["shipping_line"] or {}]
    address = order.get("shipping_address") or {}
    address["country_code"] = address.get("country_code_v2") or address.get("country_code")
    order["shipping_address"] = address
    for line in order.get("line_items") or []:
        line["price"] = line.get("original_unit_price")
        for part in line.get("discount_allocations") or []:
            part["amount"] = part.get("allocated_amount")
    for parcel in order.get("fulfillments") or []:
        tracked = parcel.get("tracking_info") or [{}]
        parcel["tracking_company"] = tracked[0].get("company")
        parcel["shipment_status"] = parcel.get("display_status")
        if "fulfillment_line_items" in parcel:
            parcel["line_items"] = [part["line_item"] for part in parcel["fulfillment_line_items"]]
    for refund in order.get("refunds") or []:
        for part in refund.get("refund_line_items") or []:
            part["line_item_id"] = (part.get("line_item") or {}).get("id")
    return order


def _plain(value: Any) -> Any:  # noqa: ANN401  # JSON is of any type
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        found = _ID.fullmatch(value)
        return found[2] if found else value
    if not isinstance(value, dict):
        return value
    if "edges" in value or "nodes" in value:
        if (value.get("pageInfo") or {}).get("hasNextPage"):
            raise DataError(
                "a list inside an order was cut off (hasNextPage); ask for more of it at a time"
            )
        nodes = value.get("nodes") or [edge["node"] for edge in value.get("edges") or []]
        return [_plain(node) for node in nodes]
    if "shopMoney" in value:
        return _plain(value["shopMoney"])
    if "currencyCode" in value and "amount" in value:
        return value["amount"]
    plain = {
        _HUMP.sub("_", name).lower().removesuffix("_set"): _plain(item)
        for name, item in value.items()
    }
    return {
        name: item.lower() if name in _SMALL and isinstance(item, str) else item
        for name, item in plain.items()
    }


def _currency(record: Record) -> str | None:
    """The currency of the shop as the first bag of money says."""
    for value in record.values():
        if isinstance(value, dict) and "shopMoney" in value:
            return str(value["shopMoney"].get("currencyCode"))
    return None
