import os
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from ppi_ml.config import DataSettings
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.events import load_tables
from ppi_ml.sources.complete_journey import SOURCE

FUEL, TEA, BERRIES, COUPON = 6534178, 100, 200, 300


def load(folder, zone="UTC", **settings):
    raw = SOURCE.read(DataSettings(source="complete_journey", path=str(folder)))
    return load_tables(raw, timezone=zone, **settings)


def line(**cells):
    sound = {
        "household_id": 7,
        "basket_id": 31198570044,
        "product_id": TEA,
        "quantity": 2,
        "sales_value": 5.0,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
        "transaction_timestamp": datetime(2017, 7, 2, 3, 30),
    }
    return {**sound, **cells}


@pytest.fixture
def folder(tmp_path):
    """Three products, and the lines that a test writes with `write`."""
    types, groups = ["GASOLINE-REG UNLEADED", "TEA DRY", None], ["COUPON/MISC ITEMS", "TEA", None]
    pl.DataFrame(
        {
            "product_id": [FUEL, TEA, BERRIES],
            "department": ["FUEL", "GROCERY", "PRODUCE"],
            "brand": ["Private", "National", "National"],
            "product_category": groups,
            "product_type": types,
            "package_size": [None, "6/12 OZ", "1 PT"],
        }
    ).write_parquet(tmp_path / "products.parquet")
    return tmp_path


def write(folder, *lines):
    pl.DataFrame(list(lines)).write_parquet(folder / "transactions.parquet")
    return folder


def test_what_was_paid_is_the_shelf_price_less_every_discount(folder):
    reduced = {"retail_disc": 0.6, "coupon_disc": 1.0, "coupon_match_disc": 0.4}
    log = load(write(folder, line(), line(product_id=BERRIES, **reduced)))
    lines = log.tables["order_lines"].frame
    assert lines["unit_price"].to_list() == [2.5, 3.0]
    assert lines["discount"].fill_null(0).to_list() == [0.0, 2.0]
    assert lines["value_e4"].to_list() == [50_000, 40_000]  # the coupon's maker paid the rest
    assert log.currency == "USD"


def test_lines_of_a_basket_are_numbered_and_ids_are_text(folder):
    other = {"basket_id": 31198570047, "household_id": 900}
    log = load(write(folder, line(), line(product_id=BERRIES), line(**other)))
    keys = log.tables["order_lines"].frame.select("customer_id", "order_id", "line_id", "sku")
    assert keys.rows() == [
        ("7", "31198570044", "1", "100"),
        ("7", "31198570044", "2", "200"),
        ("900", "31198570047", "1", "100"),
    ]


def test_fuel_is_in_gallons_for_the_same_money(folder):
    gallons = line(product_id=FUEL, quantity=10_000, sales_value=24.9, retail_disc=0.1)
    prepaid = line(product_id=FUEL, quantity=1, sales_value=15.0)
    many = line(quantity=10_000, sales_value=24.9)
    frame = load(write(folder, gallons, prepaid, many)).tables["order_lines"].frame
    assert frame["quantity_e3"].to_list() == [10_000, 1_000, 10_000_000]
    assert frame["unit_price"].to_list() == [2.5, 15.0, 0.00249]
    assert frame["value_e4"].to_list() == [249_000, 150_000, 249_000]


def test_lines_that_are_no_purchase_are_quarantined_or_free(folder):
    log = load(
        write(
            folder,
            line(),
            line(product_id=BERRIES, sales_value=0.0),
            line(product_id=BERRIES, sales_value=0.0, retail_disc=3.0),
            line(product_id=COUPON, quantity=0, sales_value=0.0, coupon_disc=1.0),
            line(product_id=COUPON, sales_value=1.0, coupon_disc=1.01),
        ),
        max_quarantined=0.5,
    )
    lines = log.tables["order_lines"].frame
    assert lines["order_type"].to_list() == ["one_off", "free", "one_off"]
    assert lines["value_e4"].to_list() == [50_000, 0, 0]
    assert log.report.tables["order_lines"].quarantined == {
        "quantity must be > 0": 1,
        "discount must not exceed quantity * unit_price": 1,
    }


def test_products_state_their_size(folder):
    frame = load(write(folder, line())).tables["products"].frame
    assert frame.drop("consumable").rows() == [
        ("100", "TEA DRY", "TEA", "GROCERY", "National", 72.0, "OZ"),
        ("200", None, None, "PRODUCE", "National", 1.0, "PT"),
        (str(FUEL), "GASOLINE-REG UNLEADED", "COUPON/MISC ITEMS", "FUEL", "Private", None, None),
    ]
    assert frame["consumable"].null_count() == 3


@pytest.mark.parametrize(("zone", "day"), [("UTC", 2), ("America/New_York", 1)])
def test_times_are_utc_whatever_the_zone_of_the_log(folder, zone, day):
    at = load(write(folder, line()), zone).order_lines["occurred_at"].iloc[0]
    assert at.tz_convert("UTC").hour == 3
    assert at.day == day


def test_the_path_must_be_given_and_be_such_a_folder(folder):
    with pytest.raises(ConfigError, match=r"^data\.path: .*transactions\.parquet"):
        SOURCE.read(DataSettings(source="complete_journey"))
    with pytest.raises(DataError, match=r"transactions\.parquet: no such file"):
        load(folder)
    pl.DataFrame({"basket_id": [1]}).write_parquet(folder / "transactions.parquet")
    with pytest.raises(DataError, match=r"columns household_id, product_id, .* are missing"):
        load(folder)


@pytest.fixture(scope="module")
def real():
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: Complete Journey is not part of the repository")
    folder = Path(root) / "completejourney"
    return load(folder), pl.read_parquet(folder / "transactions.parquet")


@pytest.mark.real
def test_counts_of_the_data_set(real):
    log, _ = real
    lines, products = log.report.tables["order_lines"], log.report.tables["products"]
    assert (lines.rows_in, lines.kept, lines.repaired) == (1_469_307, 1_459_909, {})
    assert lines.quarantined == {
        "quantity must be > 0": 8_869,
        "discount must not exceed quantity * unit_price": 529,
    }
    assert (lines.first, lines.last) == ("2017-01-01T11:53:26", "2018-01-01T04:01:20")
    assert len(log.customer_ids) == 2_469
    assert (products.rows_in, products.kept) == (92_331, 92_331)
    frame = log.tables["order_lines"].frame
    assert frame["order_id"].n_unique() == 155_518
    assert frame["sku"].n_unique() == 68_248
    assert dict(frame["order_type"].value_counts().iter_rows()) == {
        "one_off": 1_459_646,
        "free": 263,
    }
    assert frame["quantity"].max() == 144.0  # nobody bought 89,638 of anything


@pytest.mark.real
def test_the_money_agrees_with_sums_made_without_this_package(real):
    log, lines = real
    cents = {n: (lines[n] * 100).round().cast(pl.Int64) for n in ("sales_value", "coupon_disc")}
    paid = cents["sales_value"] - cents["coupon_disc"]
    kept = (lines["quantity"] > 0) & (paid >= 0)
    assert log.tables["order_lines"].frame["value_e4"].sum() == paid.filter(kept).sum() * 100


@pytest.mark.real
def test_a_coupon_and_its_match_leave_the_shelf_price_as_it_is(real):
    """Of one product, shop and week: lines without a discount, and with a coupon or a match."""
    _, lines = real
    single = lines.filter(pl.col("quantity") == 1, pl.col("retail_disc") == 0)
    where = ["product_id", "store_id", "week"]
    coupon, match = pl.col("coupon_disc"), pl.col("coupon_match_disc")
    plain = single.filter(coupon == 0, match == 0).group_by(where).agg(
        shelf=pl.col("sales_value").min(), prices=pl.col("sales_value").n_unique()
    ).filter(pl.col("prices") == 1)  # fmt: skip
    both = single.filter((coupon > 0) | (match > 0)).join(plain, on=where)
    ours = both["sales_value"] + both["coupon_match_disc"]
    assert both.height == 127
    assert ((ours - both["shelf"]).abs() < 0.005).all()


@pytest.mark.real
def test_share_of_products_whose_size_is_understood(real):
    log, _ = real
    products = log.tables["products"].frame
    sized = products.filter(pl.col("unit_size").is_not_null())
    assert sized.height == 60_798  # of the 61,745 that state one
    assert sized.filter(unit_of_measure="OZ").height == 48_868
    lines = log.tables["order_lines"].frame
    share = lines.join(sized, on="sku", how="semi").height / lines.height
    assert round(share, 3) == 0.814
