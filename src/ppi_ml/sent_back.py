"""Which line a returned unit came from: the oldest that it can be, first in, first out.

A return names the customer and the product, sometimes the order. Its units are taken from the
lines of that customer and product (and order, where it is named) that were bought before it, the
oldest first; a unit that was taken is gone. What no line can have sent is unmatched: it is counted
and belongs to nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import polars as pl

_KEY = ("customer_id", "sku")
MATCHED = {
    "customer_id": pl.String, "order_id": pl.String, "line_id": pl.String, "at": pl.Int64,
    "known": pl.Int64, "quantity_e3": pl.Int64,
}  # fmt: skip


@dataclass
class _Item:
    """A line that was bought at `at`, and the thousandths of units that are not back yet."""

    order: str
    line: str
    at: int
    units: int


def matched(
    lines: pl.DataFrame, returns: pl.DataFrame, apart: Sequence[str] = ()
) -> tuple[pl.DataFrame, int]:
    """(one row per return and line that sent units of it, thousandths of units unmatched).

    Args:
        lines: order lines as a log holds them, with `at` and `quantity_e3`.
        returns: returns likewise.
        apart: columns that both frames have; what differs in them has nothing to do with each
            other, as what is known at one moment and at another.

    The rows hold the line's key, `at`, `known` and `quantity_e3` of what came back, and `apart`.
    """
    key = (*_KEY, *apart)
    asked = returns.select(*key, "order_id", "at", "known", "quantity_e3")
    bought = lines.join(asked, on=key, how="semi").sort("at", "order_id", "line_id")
    left: dict[Hashable, list[_Item]] = defaultdict(list)
    for *group, order, line, at, units in bought.select(
        *key, "order_id", "line_id", "at", "quantity_e3"
    ).iter_rows():
        left[tuple(group)].append(_Item(order, line, at, units))
    found: list[tuple[object, ...]] = []
    lost = 0
    for *group, order, at, known, units in asked.sort(
        "at", "known", "order_id", "quantity_e3"
    ).iter_rows():
        customer, _, *cases = group
        for item in left.get(tuple(group), ()):
            if units <= 0 or item.at > at:
                break
            if item.units <= 0 or (order is not None and item.order != order):
                continue
            taken = min(units, item.units)
            item.units -= taken
            units -= taken
            found.append((customer, item.order, item.line, at, known, taken, *cases))
        lost += units
    schema = MATCHED | {name: returns.schema[name] for name in apart}
    return pl.DataFrame(found, schema=schema, orient="row"), lost
