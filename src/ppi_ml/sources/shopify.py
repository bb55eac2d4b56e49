"""Shopify: orders, parcels, returns, refunds, from the order export (CSV) or the Admin API (JSON).

`data.path` is a .csv, .json or .jsonl file, a glob, or a folder of them; JSON is that of the REST
API or of GraphQL, pages or bulk exports, see `_shopify_json`. Written from the public documentation
of both. Which rows are fit for use is the contract's decision; this file only says what they mean.

- An order is named by its id, its lines by their place in it, so both kinds of export give the same
  rows. Its time is `processed_at`, which an imported order keeps from its old shop, else
  `created_at`. A line without a SKU goes by its name.
- The customer is the customer's id; in the CSV, which has none, the sha256 of the e-mail in small
  letters. Neither e-mail, name, street nor postal code is read further. Orders without either (of
  the till in a shop, mostly) have no customer and are quarantined by the contract.
- Test orders and voided ones (never paid) are set aside with all that hangs on them, and counted;
  so are tips, orders without lines, and older copies of an order that stands in several files.
- Titles change, so the table `products` calls each SKU what its newest order does: a label for
  people, and no feature.
- Discounts: see `_shopify_orders`. Codes stand on every line of their order.
- A line with price 0 was given away (`free`). An order that a subscription made by itself (source
  `subscription_contract...`, or tagged Subscription Recurring Order) is one of type `subscription`;
  the first one, which the customer decided on, is `one_off`. Buying a gift card is a purchase.
- A parcel leaves when its fulfillment is created; the CSV knows one per order, `Fulfilled at`. One
  that failed or was cancelled did not leave. It arrived at its event `delivered` or its
  `deliveredAt`; that its status says so is not enough, for the time of the status is unknown. The
  estimated arrival is no promise: it moves with the parcel.
- Refunded money is the sum of the transactions of kind `refund` that succeeded, tax and shipping
  included. The CSV's `Refunded Amount` has no time, so it is not used, and counted.
- Refunded units came back where `restock_type` is `return`, or `legacy_restock` of what had been
  shipped; the request itself has no time, so they are dated by the refund. `cancel` takes units
  off an order before they are shipped: a cancellation of the line once none is left. `no_restock`
  is a refund alone. An order that was cancelled as a whole is one cancellation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ppi_ml.declare import Source
from ppi_ml.errors import DataError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.intake import RawTable
from ppi_ml.sources import _shopify_csv, _shopify_json
from ppi_ml.sources._kit import lacks_path
from ppi_ml.sources._shopify_events import Apart, Rows
from ppi_ml.sources._shopify_orders import Order, Record, instant, order_of

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings

_CSV, _JSON = (".csv",), (".json", ".jsonl", ".ndjson")
_QUIET_DAYS = 7  # as in event_table: how long after its last event a log may be said to end
_WITH_THE_ORDER = ("cancellations", "shipments", "returns", "refunds")


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The tables of the exports at `data.path`.

    Raises:
        ConfigError: there is no path.
        DataError: no file there, or one that is no export of Shopify.
    """
    if settings.path is None:
        what = "a .csv, .json or .jsonl file, a glob such as exports/orders-*.csv, or a folder"
        raise lacks_path("shopify", f"order exports: {what} of them")
    apart, notes = Apart(), Counter[str]()
    rows = Rows(apart)
    files, encoding = _files(settings.path), settings.encoding
    for order in _wanted(_newest(files, encoding, apart, notes), notes):
        with _as_documented(settings.path):
            rows.add(order)
    rows.count_strangers()
    notes.update(rows.counts)
    frames = rows.frames()
    told = tuple(f"shopify: {count:,} {what}" for what, count in notes.items() if count)
    if not frames["order_lines"].height:
        raise DataError(f"{settings.path}: no order lines are left. {'; '.join(told)}")
    begin, end = _period(rows, settings)
    tables = {"order_lines": RawTable(frames.pop("order_lines"), origin=settings.path, notes=told)}
    products = frames.pop("products")
    if products.height:
        tables["products"] = RawTable(products, origin=settings.path)
    for name, frame in frames.items():
        # Exported with their orders, so observed for as long as these; but where there is nothing
        # at all, it may not have been asked for.
        if frame.height:
            start = begin if name in _WITH_THE_ORDER else None
            tables[name] = RawTable(
                frame, origin=settings.path, observed_from=start, observed_until=end
            )
    return tables


def _files(path: str) -> list[Path]:
    """The files at a path, in the order of their names, all of one kind."""
    place = Path(path).expanduser()
    if place.is_dir():
        found = sorted(file for file in place.rglob("*") if file.suffix.lower() in (*_CSV, *_JSON))
    elif place.is_file():
        found = [place]
    else:
        root = Path(place.anchor)
        found = sorted(file for file in root.glob(str(place.relative_to(root))) if file.is_file())
    if not found:
        raise DataError(
            f"{path}: no such file, no match, or no .csv, .json or .jsonl in the folder"
        )
    kinds = {_kind(file) for file in found}
    if len(kinds) > 1:
        raise DataError(
            f"{path}: holds CSV and JSON; an order would stand there twice, under different "
            "customers. Keep one kind: JSON tells more"
        )
    return found


def _kind(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in (*_CSV, *_JSON):
        raise DataError(f"{file}: expected a name that ends in .csv, .json or .jsonl")
    return "csv" if suffix in _CSV else "json"


def _records(file: Path, encoding: str | None) -> Iterator[tuple[str, Record]]:
    if _kind(file) == "csv":
        yield from (("orders", order) for order in _shopify_csv.orders(file, encoding))
    else:
        yield from _shopify_json.records(file)


def _newest(
    files: Iterable[Path], encoding: str | None, apart: Apart, notes: Counter[str]
) -> Iterable[Order]:
    """Every order once, in its newest copy; what stands on pages of its own goes to `apart`."""
    orders: dict[object, Order] = {}
    for file in files:
        with _as_documented(str(file)):
            for kind, record in _records(file, encoding):
                if kind != "orders":
                    apart.add(kind, record)
                    continue
                order = order_of(record)
                key = order.id or len(orders)  # one without an id is left to the contract
                if (older := orders.get(key)) is not None:
                    order, older = (order, older) if _follows(order, older) else (older, order)
                    lines = len(older.lines) + older.tips
                    notes["order lines in older copies of an order set aside"] += lines
                orders[key] = order
    return orders.values()


def _follows(order: Order, other: Order) -> bool:
    """Whether an order that is read later is the newer copy, as it is where neither says."""
    now, before = instant(order.updated_at), instant(other.updated_at)
    return now is None or before is None or now >= before


@contextmanager
def _as_documented(where: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError):
        raise DataError(
            f"{where}: a record does not have the shape that Shopify documents; export it anew"
        ) from None


def _wanted(orders: Iterable[Order], notes: Counter[str]) -> Iterator[Order]:
    """The orders that are some; the others are counted."""
    for order in orders:
        notes["line items that are tips set aside"] += order.tips
        if order.set_aside is not None:
            notes[f"{order.set_aside} set aside"] += 1
            notes[f"order lines of {order.set_aside} set aside"] += len(order.lines)
        elif not order.lines:
            notes["orders without lines set aside"] += 1
        else:
            yield order


def _period(rows: Rows, settings: DataSettings) -> tuple[Cutoff | None, Cutoff | None]:
    """Local midnights: of the first order, and of the last event of any kind or `data.until`."""
    if rows.first is None or rows.last is None:
        return None, None
    begin, end = (_midnight(at, settings.timezone) for at in (rows.first, rows.last))
    if settings.until is not None:
        cut = Cutoff.parse(settings.until, settings.timezone)
        end = cut if end < cut <= end.plus(_QUIET_DAYS) else end
    return begin, end


def _midnight(at: datetime, zone: str) -> Cutoff:
    wall = Cutoff.parse(at, zone).wall
    return Cutoff.from_wall(wall // DAY_US * DAY_US, zone)


SOURCE = Source(
    name="shopify",
    description="Shopify's order export (CSV) or Admin API (JSON); path: a file, glob or folder",
    attribution="",
    read=read,
    takes_tables=False,
)
