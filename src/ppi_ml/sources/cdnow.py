"""CDNOW: the purchases of a cohort of customers of a CD shop, 1997-01-01 to 1998-06-30.

Reads the master file (customer_id, date, units, amount) at `data.path`; it does not ship with the
package. Dates have no time. Lines of one customer and day are one order; the product is unknown
and called CD.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml.declare import Source
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import lacks_path, read_columns

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings

COLUMNS = pl.Schema(
    {
        "customer_id": pl.Int64(),
        "date": pl.Datetime("us"),
        "units": pl.Int64(),
        "amount": pl.Float64(),
    }
)


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The order lines of the master file at `data.path`."""
    if settings.path is None:
        what = "the CDNOW master file (columns customer_id, date, units, amount)"
        raise lacks_path("cdnow", what)
    day = pl.col("date").dt.date()
    lines = read_columns(settings.path, COLUMNS).select(
        order_id=pl.concat_str("customer_id", day, separator="-"),
        line_id=pl.int_range(1, pl.len() + 1).over("customer_id", "date"),
        customer_id="customer_id",
        occurred_at=day,
        sku=pl.lit("CD"),
        quantity="units",
        unit_price=pl.col("amount") / pl.col("units"),
        currency=pl.lit("USD"),
    )
    return {"order_lines": RawTable(lines, granularity="day", origin=Path(settings.path).name)}


SOURCE = Source(
    name="cdnow",
    description="the CDNOW cohort, whole days; path: the master file as Parquet",
    attribution="CDNOW, Fader and Hardie, brucehardie.com/datasets",
    read=read,
    takes_tables=False,
)
