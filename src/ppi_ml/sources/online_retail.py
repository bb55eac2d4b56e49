"""Online Retail II: the invoice lines of a UK gift shop, 2009-12-01 to 2011-12-09.

The copy that ships with the package, or another of the same layout: invoice, stock_code, quantity,
ts (invoice date, on the local clock), price, customer_id. Which rows are fit for use is the
contract's decision; this file only says which table a line belongs to.

- Invoices that start with C are cancellations: their lines are returns, with the quantity made
  positive. They do not say which order they belong to.
- All other lines are order lines, numbered in the order of the file. Repeated lines of one invoice
  stay: the same article may be scanned twice.
- A line with price 0 was given away (order type `free`) and is no purchase.
"""

from __future__ import annotations

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


def read(settings: DataSettings) -> dict[str, RawTable]:
    """Order lines and returns of the copy at `data.path`, or of the one that ships."""
    path = Path(settings.path) if settings.path else SHIPPED
    lines = read_columns(path, COLUMNS).with_columns(
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
    tables = {"order_lines": orders, "returns": returns}
    return {
        name: RawTable(frame, origin=path.name, observed_from=begin)
        for name, frame in tables.items()
    }


SOURCE = Source(
    name="online_retail",
    description="Online Retail II, a UK gift shop; path: null reads the copy that ships",
    attribution=(
        "Online Retail II, Dr Daqing Chen, UCI Machine Learning Repository, "
        "doi 10.24432/C5CG6D, CC BY 4.0"
    ),
    read=read,
)
