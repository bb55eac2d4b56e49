"""Shopify's Admin API as JSON: the records of a file, orders in the shape of the REST API.

A .json file holds a page as the API answers (`{"orders": [...]}`, or `{"data": {"orders": ...}}` of
GraphQL), a list of records, or one record; a .jsonl file holds one of these a line, or the lines of
a bulk export. Refunds, fulfillments and fulfillment events may also have pages of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ppi_ml.errors import DataError
from ppi_ml.sources._shopify_graphql import as_rest, is_graphql, together

KINDS = ("orders", "refunds", "fulfillments", "fulfillment_events")
_TELLING = {  # keys that only a record of this kind has
    "orders": {"line_items", "financial_status", "order_number"},
    "fulfillment_events": {"happened_at", "fulfillment_id"},
    "refunds": {"refund_line_items"},
    "fulfillments": {"tracking_company", "shipment_status"},
}

Record = Mapping[str, Any]


def records(file: Path) -> Iterator[tuple[str, Record]]:
    """(kind, record) of everything in one file; an order of GraphQL is made one of REST.

    Money stays the text that it is. `DataError` naming the file if it is something else, or if an
    order comes without its line items.
    """
    try:
        if file.suffix.lower() == ".json":
            yield from _checked(_unpacked(_parsed(file.read_text(encoding="utf-8-sig"))))
            return
        with file.open(encoding="utf-8-sig") as lines:
            values = (_parsed(line) for line in lines if line.strip())
            yield from _checked(_lines(values))
    except (ValueError, UnicodeDecodeError, OSError) as error:
        # the parser's own words name a place, never a value
        raise DataError(f"{file}: cannot be read as JSON in UTF-8: {error}") from None
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def _parsed(text: str) -> object:
    return json.loads(text, parse_float=str)


def _lines(values: Iterator[object]) -> Iterator[tuple[str, Record]]:
    """Of a .jsonl file: as GraphQL's bulk export writes it, or a page or record a line."""
    bulk: list[Record] = []
    for value in values:
        if isinstance(value, dict) and (bulk or "__parentId" in value or is_graphql(value)):
            bulk.append(value)
        else:
            yield from _unpacked(value)
    for order in together(bulk):
        yield from _unpacked(order)


def _unpacked(value: object) -> Iterator[tuple[str, Record]]:
    if isinstance(value, list):
        for item in value:
            yield from _unpacked(item)
        return
    if not isinstance(value, dict):
        raise DataError("expected orders of Shopify's Admin API, found something else")
    inner = value.get("data")
    record: dict[str, Any] = inner if isinstance(inner, dict) else value
    pages = [kind for kind in KINDS if kind in record or kind.removesuffix("s") in record]
    if pages and not {"id", "line_items", "lineItems"} & record.keys():
        for kind in pages:
            for item in _listed(record.get(kind) or record.get(kind.removesuffix("s"))):
                yield kind, as_rest(item) if is_graphql(item) else item
        return
    if is_graphql(record):
        yield "orders", as_rest(record)
        return
    told = next((kind for kind, keys in _TELLING.items() if keys & record.keys()), None)
    if told is None:
        raise DataError(
            'expected orders of the Admin API, as in {"orders": [...]}; found an object with '
            f"{', '.join(list(record)[:5]) or 'nothing in it'}"
        )
    yield told, record


def _listed(page: object) -> list[dict[str, Any]]:
    """The records of a page: a list, one record alone, or a connection of GraphQL."""
    if isinstance(page, dict):
        nodes = page.get("nodes") or [edge["node"] for edge in page.get("edges") or []]
        page = nodes if nodes or "edges" in page or "nodes" in page else [page]
    if page is None:
        return []
    if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
        raise DataError("a page holds something else than records")
    return page


def _checked(found: Iterator[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    for kind, record in found:
        if kind == "orders" and not isinstance(record.get("line_items"), list):
            raise DataError(
                "an order comes without line_items; ask the API for them, with all their fields"
            )
        yield kind, record
