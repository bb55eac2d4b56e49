"""Olist: orders, parcels and reviews of a Brazilian marketplace, 2016-09-15 to 2018-08-29.

Reads the eight Parquet files in the folder `data.path`; they do not ship with the package. The
orders are a 29 % sample of those that were paid, a union of four public samples. So most second
orders are missing: **repeat purchase and churn are invalid here**; parcels, lateness and stars are
fine.

- A customer is `customer_unique_id`, the person; `customer_id` is one per order. The region is the
  state of the first order (3 of 28,473 people ordered from two).
- An order line is an item, one unit each. Freight is no line, nor are payments, which only tell how
  many orders are missing. 155 orders name no item (cancelled or unavailable, but for one): their
  row has no line number, so the contract quarantines it.
- 146 orders ended cancelled and 121 unavailable. The status is that of the day of the export, and
  when it came about is not told. So there are no `cancellations`, and no order is left out for what
  became of it later: to order was the customer's decision, whatever followed.
- A parcel is an order: there is one time of handing over, even where several sellers sent it (357
  orders). Its lane is "state of the seller -> state of the customer"; of several sellers the state
  that sent most lines, then the first by name. What was promised is a date: kept until it is over.
  A few times contradict each other (51 parcels left before the order, 4 arrived before they left)
  and stay as they are.
- A review occurred when the customer answered. `review_creation_date` is the day on which the
  question was sent: mostly the day after the arrival, else two days after a missed promise. So of
  the 20,212 reviews of parcels that arrived, 5.1 % (1,040) were asked for on an earlier day, and
  4.9 % (983) answered before the arrival. That is no error of the clock: these customers were
  waiting, and said so. 12 reviews, of cancelled orders, are older than their order, and stay.
  Questions end on 2018-08-31; of what arrived later nobody was asked, so the record ends there.
- One answer may be about two orders of a customer (35 are), so the key is both ids together.
- One of the four samples (8,496 orders, all delivered) came without its reviews: 7 % of its orders
  have one, of the others 99 %. **That an order has no review says nothing of its customer.**
- Products have the English name of their category, or the Portuguese one where there is none;
  measures are those of the parcel, not of what is used up, so there is no `unit_size`.
- Times are those of the local clock: the questions of the day that begins at 01:00 there, because
  the clock skips an hour, are dated 01:00. With `data.timezone: America/Sao_Paulo` instants are
  right too.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml.declare import Source
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import lacks_path, read_columns

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings

_WHEN = pl.Datetime("us")
ORDERS = pl.Schema(
    {
        "order_id": pl.String(),
        "customer_id": pl.String(),
        "order_status": pl.String(),
        "order_purchase_timestamp": _WHEN,
        "order_delivered_carrier_date": _WHEN,
        "order_delivered_customer_date": _WHEN,
        "order_estimated_delivery_date": _WHEN,
    }
)
CUSTOMERS = pl.Schema(
    dict.fromkeys(("customer_id", "customer_unique_id", "customer_state"), pl.String())
)
ITEMS = pl.Schema(
    {
        "order_id": pl.String(),
        "order_item_id": pl.Int64(),
        "product_id": pl.String(),
        "seller_id": pl.String(),
        "price": pl.Float64(),
    }
)
SELLERS = pl.Schema(dict.fromkeys(("seller_id", "seller_state"), pl.String()))
REVIEWS = pl.Schema(
    {
        "review_id": pl.String(),
        "order_id": pl.String(),
        "review_score": pl.Int64(),
        "review_comment_title": pl.String(),
        "review_comment_message": pl.String(),
        "review_creation_date": _WHEN,
        "review_answer_timestamp": _WHEN,
    }
)
PRODUCTS = pl.Schema(dict.fromkeys(("product_id", "product_category_name"), pl.String()))
ENGLISH = pl.Schema(
    dict.fromkeys(("product_category_name", "product_category_name_english"), pl.String())
)
PAYMENTS = pl.Schema({"order_id": pl.String()})
_CALLED_OFF = ("canceled", "unavailable")
_ORIGIN = "orders.parquet"
_PROMISED = pl.col("order_estimated_delivery_date").dt.date()


def read(settings: DataSettings) -> dict[str, RawTable]:
    """Order lines, shipments, deliveries, reviews, products and customers of `data.path`."""
    if settings.path is None:
        what = "orders.parquet, order_items.parquet and the other files of the Olist data"
        raise lacks_path("olist", f"a folder that holds {what}")
    folder = Path(settings.path)

    def file(name: str, types: pl.Schema) -> pl.DataFrame:
        return read_columns(folder / f"{name}.parquet", types)

    accounts = file("customers", CUSTOMERS)
    orders = file("orders", ORDERS).join(
        accounts, on="customer_id", how="left", maintain_order="left"
    )
    items, reviews = file("order_items", ITEMS), file("order_reviews", REVIEWS)
    products = _products(file("products", PRODUCTS), file("category_translation", ENGLISH))
    lanes = _lanes(orders, items, file("sellers", SELLERS))
    tables = {
        "order_lines": (_order_lines(orders, items), "order_items.parquet"),
        "shipments": (_shipments(orders, lanes), _ORIGIN),
        "deliveries": (_deliveries(orders), _ORIGIN),
        "reviews": (_reviews(reviews, orders), "order_reviews.parquet"),
        "products": (products, "products.parquet"),
        "customers": (_customers(accounts, orders), "customers.parquet"),
    }
    # One export holds everything, so all of it was observed from the first order on.
    begin = _day(orders["order_purchase_timestamp"].min())
    asked = _day(reviews["review_creation_date"].max())
    ends = {"reviews": None if asked is None else asked + timedelta(days=1)}
    notes = _notes(orders, items, reviews, file("order_payments", PAYMENTS))
    return {
        name: RawTable(
            frame,
            origin=origin,
            observed_from=begin,
            observed_until=ends.get(name),
            notes=tuple(f"{name}: {note}" for note in notes.get(name, ())),
        )
        for name, (frame, origin) in tables.items()
    }


def _day(moment: object) -> date | None:
    return moment.date() if isinstance(moment, datetime) else None


def _notes(
    orders: pl.DataFrame, items: pl.DataFrame, reviews: pl.DataFrame, paid: pl.DataFrame
) -> dict[str, list[str]]:
    """What the load report has to say of a table, beyond the counts of its rows."""
    paid = paid.unique()
    missing = paid.join(orders, on="order_id", how="anti").height
    bare = orders.join(items, on="order_id", how="anti").height
    gone = orders["order_status"].is_in(_CALLED_OFF).sum()
    silent = orders.join(reviews, on="order_id", how="anti").height
    of_lines, of_reviews = [], []
    if missing:
        of_lines.append(
            f"{missing:,} of {paid.height:,} orders that were paid are not in {_ORIGIN}; in such a "
            "sample repeat purchase and churn are invalid"
        )
        of_reviews.append(
            f"{silent:,} orders have none, most of them because a part of the sample came without "
            "its reviews; so that an order has none says nothing of its customer"
        )
    if bare:
        of_lines.append(f"{bare:,} orders name no item, so they have no line_id")
    if gone:
        of_lines.append(
            f"{gone:,} orders are cancelled or unavailable; since when is not told, so there are "
            "no cancellations, and those of them that name items count as purchases"
        )
    return {"order_lines": of_lines, "reviews": of_reviews}


def _order_lines(orders: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    # Orders without an item and items without an order are kept, for the contract to judge.
    lines = orders.join(
        items, on="order_id", how="full", coalesce=True, maintain_order="left_right"
    )
    return lines.select(
        order_id="order_id",
        line_id="order_item_id",
        customer_id="customer_unique_id",
        occurred_at="order_purchase_timestamp",
        sku="product_id",
        quantity=pl.lit(1),
        unit_price="price",
        currency=pl.lit("BRL"),
    )


def _lanes(orders: pl.DataFrame, items: pl.DataFrame, sellers: pl.DataFrame) -> pl.DataFrame:
    """One row per order of known states: order_id, region."""
    senders = (
        items.join(sellers, on="seller_id")
        .drop_nulls("seller_state")
        .group_by("order_id", "seller_state")
        .len()
        .sort("order_id", "len", "seller_state", descending=[False, True, False])
        .unique("order_id", keep="first", maintain_order=True)
    )
    way = pl.concat_str("seller_state", "customer_state", separator=" -> ")
    return senders.join(orders, on="order_id").select("order_id", region=way)


def _shipments(orders: pl.DataFrame, lanes: pl.DataFrame) -> pl.DataFrame:
    left = orders.drop_nulls("order_delivered_carrier_date")
    return left.join(lanes, on="order_id", how="left", maintain_order="left").select(
        shipment_id="order_id",
        order_id="order_id",
        customer_id="customer_unique_id",
        occurred_at="order_delivered_carrier_date",
        promised_at=_PROMISED,
        region="region",
    )


def _deliveries(orders: pl.DataFrame) -> pl.DataFrame:
    return orders.drop_nulls("order_delivered_customer_date").select(
        shipment_id="order_id",
        order_id="order_id",
        customer_id="customer_unique_id",
        occurred_at="order_delivered_customer_date",
        promised_at=_PROMISED,
    )


def _reviews(reviews: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    who = orders.select("order_id", "customer_unique_id")
    title, message = (
        pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name))
        for name in ("review_comment_title", "review_comment_message")
    )
    written = pl.concat_str(title, message, separator="\n", ignore_nulls=True)
    return reviews.join(who, on="order_id", how="left", maintain_order="left").select(
        review_id=pl.concat_str("review_id", "order_id", separator="-"),
        order_id="order_id",
        customer_id="customer_unique_id",
        occurred_at="review_answer_timestamp",
        rating="review_score",
        text=written,
    )


def _products(products: pl.DataFrame, english: pl.DataFrame) -> pl.DataFrame:
    named = products.join(english, on="product_category_name", how="left", maintain_order="left")
    category = pl.coalesce("product_category_name_english", "product_category_name")
    return named.select(sku="product_id", category=category)


def _customers(accounts: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """One row per person; accounts without an order come last."""
    when = orders.select("customer_id", "order_id", at="order_purchase_timestamp")
    first = (
        accounts.join(when, on="customer_id", how="left")
        .sort("at", "order_id", nulls_last=True)
        .unique("customer_unique_id", keep="first", maintain_order=True)
    )
    return first.select(customer_id="customer_unique_id", region="customer_state")


SOURCE = Source(
    name="olist",
    description=(
        "orders, parcels and reviews of a Brazilian marketplace, a sample in which repeat purchase "
        "and churn are invalid; path: the folder of its Parquet"
    ),
    attribution="Brazilian E-Commerce Public Dataset by Olist, CC BY-NC-SA 4.0",
    read=read,
    takes_tables=False,
)
