"""Shopify's order export as CSV: its rows as orders in the shape of the Admin REST API.

As documented, an order has a row per line item; `Name` stands in each, and what belongs to the
order as a whole (`Financial Status`, `Total`, `Discount Code`, ...) in its first row only. Some
tools fill these cells down, and some people paste exports together, so a file may also hold every
cell in every row, or an order twice. Only the columns named here are read: no name, no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from ppi_ml.errors import DataError
from ppi_ml.sources._kit import read_files

_REQUIRED = ("Name", "Created at", "Lineitem quantity", "Lineitem price")
_OF_ORDER = (  # in the first row of an order alone
    "Id", "Financial Status", "Paid at", "Fulfilled at", "Currency", "Subtotal", "Total",
    "Discount Code", "Discount Amount", "Shipping Method", "Cancelled at", "Payment Method",
    "Refunded Amount", "Source", "Tags", "Shipping Province", "Shipping Country",
)  # fmt: skip
_HEAD = ("Id", "Financial Status", "Currency", "Subtotal", "Total")
_OF_LINE = ("Lineitem name", "Lineitem sku", "Lineitem quantity", "Lineitem price")
_COLUMNS = (
    *("Name", "Created at", "Email", "Customer ID"),
    *_OF_ORDER,
    *_OF_LINE,
    "Lineitem discount",
)
_SPELLED = {"Canceled at": "Cancelled at"}
_SPACED = re.compile(r" (?=[+-]\d{2}:?\d{2}$)")

Row = dict[str, str | None]


def orders(file: Path, encoding: str | None = None) -> Iterator[dict[str, Any]]:
    """Every order of one file, a copy of it included where the file holds it twice.

    One that lacks its first row, because a file was cut in two, is marked as `beheaded`. `encoding`
    is that of a file that is no UTF-8.
    `DataError` if the file is no order export.
    """
    frame = _needed(read_files(file, encoding), file)
    headed = not frame.select(pl.all_horizontal(pl.col(_HEAD).is_null().all())).item()
    numbered = frame.with_row_index("row")
    frame = numbered.sort(pl.col("row").min().over("Name"), "row").drop("row")
    rows = (dict(zip(frame.columns, cells, strict=True)) for cells in frame.iter_rows())
    for _, group in groupby(rows, key=lambda row: row["Name"]):
        for part in _copies(list(group)):
            yield {**_order(part), "beheaded": headed and not any(map(_is_head, part))}


def _needed(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The columns of `_COLUMNS`, empty cells null; `DataError` if the file has others."""
    theirs = {name.strip().lower(): name for name in frame.columns}
    theirs |= {
        ours.lower(): theirs[other.lower()]
        for other, ours in _SPELLED.items()
        if other.lower() in theirs
    }
    missing = [name for name in _REQUIRED if name.lower() not in theirs]
    if "email" not in theirs and "customer id" not in theirs:
        missing.append("Email")
    if missing:
        raise DataError(
            f"{file}: no order export of Shopify: columns {', '.join(missing)} are missing; in the "
            "admin: Orders, Export, Plain CSV file"
        )
    cells = [
        pl.col(theirs[name.lower()]).cast(pl.String).str.strip_chars().replace("", None).alias(name)
        if name.lower() in theirs
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in _COLUMNS
    ]
    return frame.select(cells).with_columns(pl.col("Name").forward_fill())


def _is_head(row: Row) -> bool:
    return any(row[name] is not None for name in _HEAD)


def _copies(rows: list[Row]) -> list[list[Row]]:
    """The rows of one `Name`, apart by how often the file holds the order."""
    heads = [number for number, row in enumerate(rows) if _is_head(row)]
    if len(heads) <= 1:
        return [rows]
    if len(heads) < len(rows):
        ends = [*heads[1:], len(rows)]
        return [rows[start:end] for start, end in zip([0, *heads[1:]], ends, strict=True)]
    # Filled down: what differs is another line, what is the same in every cell is pasted twice.
    seen: list[list[Row]] = []
    for row in rows:
        part = next((part for part in seen if row not in part), None)
        if part is None:
            seen.append(part := [])
        part.append(row)
    return seen


def _order(rows: Sequence[Row]) -> dict[str, Any]:
    """One order as the REST API would have it; what the CSV does not say is left out."""

    def cell(name: str) -> str | None:
        return next((row[name] for row in rows if row[name] is not None), None)

    number = (cell("Id") or "").lstrip("'") or cell("Name")
    shipped, code, method = (
        _time(cell("Fulfilled at")),
        cell("Discount Code"),
        cell("Payment Method"),
    )
    return {
        "id": number,
        "created_at": _time(cell("Created at")),
        "cancelled_at": _time(cell("Cancelled at")),
        "financial_status": cell("Financial Status"),
        "test": "bogus" in (method or "").lower(),
        "currency": cell("Currency"),
        "customer": {"id": (cell("Customer ID") or "").lstrip("'")},
        "email": cell("Email"),
        "source_name": cell("Source"),
        "tags": cell("Tags"),
        "discount_codes": [{"code": code}] if code else [],
        "total_discounts": cell("Discount Amount"),
        "subtotal_price": cell("Subtotal"),
        "refunded_amount": cell("Refunded Amount"),
        "shipping_lines": [{"title": cell("Shipping Method")}],
        "shipping_address": {
            "country_code": cell("Shipping Country"),
            "province_code": cell("Shipping Province"),
        },
        "line_items": [_line(row) for row in rows if any(row[name] for name in _OF_LINE)],
        "fulfillments": [{"id": number, "created_at": shipped}] if shipped else [],
    }


def _line(row: Row) -> dict[str, Any]:
    return {
        "sku": row["Lineitem sku"],
        "name": row["Lineitem name"],
        "quantity": row["Lineitem quantity"],
        "price": row["Lineitem price"],
        "total_discount": row["Lineitem discount"],
    }


def _time(cell: str | None) -> str | None:
    """`2026-03-01 10:00:00 -0500` without the blank before the offset."""
    return cell and _SPACED.sub("", cell.removesuffix(" UTC") + "+0000" * cell.endswith(" UTC"))
