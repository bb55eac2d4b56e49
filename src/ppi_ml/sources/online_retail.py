"""Online Retail II: the invoice lines of a UK gift shop, 2009-12-01 to 2011-12-09.

The copy that ships with the package, or another of the same layout: invoice, stock_code, quantity,
ts (invoice date, on the local clock), price, customer_id, and description, if it is there, which
says what products are called. Which rows are fit for use is the contract's decision; this file only
says which table a line belongs to.

- Invoices that start with C are cancellations: their lines are returns, with the quantity made
  positive. They do not say which order they belong to.
- All other lines are order lines, numbered in the order of the file. Repeated lines of one invoice
  stay: the same article may be scanned twice.
- A line with price 0 was given away (order type `free`) and is no purchase.
- Postage, fees, adjustments and the like are invoiced as lines, too. They stay order lines, since
  they are part of an order, but the table products calls them not consumable (`SERVICES`): nobody
  runs out of postage. The file says nothing else of products, and what can be used up among the
  others nobody knows: theirs is null. Codes were taken for services by their descriptions in the
  published data, which the copy does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml.declare import Source
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import read_columns

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings

SHIPPED = Path(__file__).parents[1] / "data" / "online_retail_ii.parquet"
COLUMNS = pl.Schema(
    {
        "invoice": pl.String(),
        "stock_code": pl.String(),
        "quantity": pl.Int64(),
        "ts": pl.Datetime("us"),
        "price": pl.Float64(),
        "customer_id": pl.Int64(),
    }
)
DESCRIPTION = pl.Schema({"description": pl.String()})
"""The copy that ships is without it."""
_NO_DESCRIPTION = "nan"
SERVICES: Mapping[str, str] = {
    "23444": "next day carriage",
    "23574": "packing charge",
    "ADJUST": "adjustment",
    "ADJUST2": "adjustment",
    "AMAZONFEE": "fee of a marketplace",
    "B": "bad debt",
    "BANK CHARGES": "bank charges",
    "C2": "carriage",
    "CRUK": "commission of a charity",
    "D": "discount",
    "DOT": "postage of the web shop",
    "M": "entered by hand, for anything",
    "PADS": "pads that come with cushions, at a tenth of a penny",
    "POST": "postage",
    "S": "samples",
    "TEST001": "test",
    "TEST002": "test",
    "m": "entered by hand, for anything",
}
"""Stock codes that are no product, and what they are."""
_VOUCHERS = "gift_0001_"


def read(settings: DataSettings) -> dict[str, RawTable]:
    """Order lines, returns and products of the copy at `data.path`, or of the one that ships."""
    path = Path(settings.path) if settings.path else SHIPPED
    lines = read_columns(path, COLUMNS, optional=DESCRIPTION).with_columns(
        line=pl.int_range(1, pl.len() + 1).over("invoice").cast(pl.String),
        cancelled=pl.col("invoice").str.starts_with("C"),
    )
    # One export holds both tables, so returns were observed from its first day too.
    begin = lines["ts"].dt.date().min()
    shared = {"customer_id": "customer_id", "occurred_at": "ts", "sku": "stock_code"}
    orders = lines.filter(~pl.col("cancelled")).select(
        order_id="invoice",
        line_id="line",
        **shared,
        quantity="quantity",
        unit_price="price",
        currency=pl.lit("GBP"),
        order_type=pl.when(pl.col("price") == 0).then(pl.lit("free")).otherwise(pl.lit("one_off")),
    )
    returns = lines.filter("cancelled").select(
        return_id=pl.concat_str("invoice", "line", separator="-"),
        **shared,
        quantity=-pl.col("quantity"),
    )
    return {
        "order_lines": RawTable(orders, origin=path.name, observed_from=begin),
        "returns": RawTable(returns, origin=path.name, observed_from=begin),
        "products": _products(lines, path.name),
    }


def _products(lines: pl.DataFrame, origin: str) -> RawTable:
    """Every stock code, of the services that they are not consumable, and what each is called."""
    codes = lines.select(sku=pl.col("stock_code").str.strip_chars()).to_series()
    skus = codes.drop_nulls().unique().sort()
    service = skus.is_in(list(SERVICES)) | skus.str.starts_with(_VOUCHERS)
    frame = pl.DataFrame({"sku": skus}).with_columns(consumable=pl.when(service).then(pl.lit("no")))
    if "description" in lines.columns:
        frame = frame.join(_names(lines), on="sku", how="left", maintain_order="left")
    note = (
        f"products: {service.sum():,} of {len(skus):,} stock codes are postage, fees, vouchers and "
        "the like, and not consumable"
    )
    return RawTable(frame, origin=origin, notes=(note,))


def _names(lines: pl.DataFrame) -> pl.DataFrame:
    """What each stock code was called when it was sold last; other lines hold remarks instead."""
    name = pl.col("description").str.strip_chars()
    sold = (pl.col("price") > 0) & (pl.col("quantity") > 0) & pl.col("customer_id").is_not_null()
    told = lines.filter(sold, name != _NO_DESCRIPTION).select(
        "ts", sku=pl.col("stock_code").str.strip_chars(), name=name
    )
    newest = told.sort("ts", "name").group_by("sku").agg(pl.col("name").last())
    return newest.drop_nulls("sku")


SOURCE = Source(
    name="online_retail",
    description="Online Retail II, a UK gift shop; path: null reads the copy that ships",
    attribution=(
        "Online Retail II, Dr Daqing Chen, UCI Machine Learning Repository, "
        "doi 10.24432/C5CG6D, CC BY 4.0"
    ),
    read=read,
    takes_tables=False,
)
