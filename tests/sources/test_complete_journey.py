import os
from collections import defaultdict
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
    assert frame.drop("name", "consumable", "valid_from").rows() == [
        ("100", "TEA DRY", "TEA", "GROCERY", "National", 72.0, "OZ"),
        ("200", None, None, "PRODUCE", "National", 1.0, "PT"),
        (str(FUEL), "GASOLINE-REG UNLEADED", "COUPON/MISC ITEMS", "FUEL", "Private", None, None),
    ]
    assert frame["consumable"].null_count() == 3


def test_products_are_called_by_type_and_package_for_they_have_no_names(folder):
    frame = load(write(folder, line())).tables["products"].frame
    assert frame.select("sku", "name").rows() == [
        ("100", "TEA DRY, 6/12 OZ"), ("200", None), (str(FUEL), "GASOLINE-REG UNLEADED"),
    ]  # fmt: skip


@pytest.mark.parametrize(("zone", "day"), [("UTC", 2), ("America/New_York", 1)])
def test_times_are_utc_whatever_the_zone_of_the_log(folder, zone, day):
    at = load(write(folder, line()), zone).order_lines["occurred_at"].iloc[0]
    assert at.tz_convert("UTC").hour == 3
    assert at.day == day


NAMES = {
    "coupons": ("coupon_upc", "product_id", "campaign_id"),
    "coupon_redemptions": ("household_id", "coupon_upc", "campaign_id", "redemption_date"),
    "campaigns": ("campaign_id", "household_id"),
    "campaign_descriptions": ("campaign_id", "campaign_type", "start_date"),
}
JULY_1, JULY_2 = datetime(2017, 7, 1), datetime(2017, 7, 2)


def also(folder, **files):
    for name, rows in files.items():
        frame = pl.DataFrame(rows, schema=NAMES[name], orient="row")
        frame.write_parquet(folder / f"{name}.parquet")
    return folder


def codes(folder, *lines, **files):
    """The codes of the lines, in their order; and the notes that count redemptions."""
    log = load(also(write(folder, *lines), **files), max_quarantined=0.9)
    frame = log.tables["order_lines"].frame.sort("line_id")
    said = [note for note in log.report.notes if "redemptions" in note]
    return frame["promo_code"].to_list(), said


def test_a_redeemed_coupon_is_the_code_of_the_products_it_covers(folder):
    lines = (line(), line(product_id=BERRIES), line(product_id=FUEL))
    covers = [(51, TEA, 1), (51, TEA, 1), (51, BERRIES, 1), (51, FUEL, 2)]
    found, said = codes(
        folder, *lines, coupons=covers, coupon_redemptions=[(7, 51, 1, JULY_1)]
    )  # 03:30 UTC on July 2nd is late on July 1st in the shops
    assert (found, said) == (["51", "51", None], [])


def test_a_coupon_that_came_off_some_lines_is_the_code_of_these_only(folder):
    lines = (line(), line(coupon_disc=1.0), line(product_id=BERRIES))
    covers = [(51, TEA, 1), (51, BERRIES, 1)]
    redeemed = [(7, 51, 1, JULY_1)]
    found, _ = codes(folder, *lines, coupons=covers, coupon_redemptions=redeemed)
    assert found == [None, "51", None]


def test_a_line_that_is_not_fit_for_use_takes_no_coupon_away(folder):
    lines = (line(), line(coupon_disc=5.01), line(coupon_disc=1.0, quantity=0))
    redeemed = [(7, 51, 1, JULY_1)]
    found, said = codes(folder, *lines, coupons=[(51, TEA, 1)], coupon_redemptions=redeemed)
    assert (found, said) == (["51"], [])


def test_coupons_that_share_a_line_are_named_together(folder):
    redeemed = [(7, 52, 1, JULY_1), (7, 51, 1, JULY_1), (7, 51, 2, JULY_1)]
    covers = [(51, TEA, 1), (51, TEA, 2), (52, TEA, 1)]
    found, _ = codes(folder, line(), coupons=covers, coupon_redemptions=redeemed)
    assert found == ["51+52"]


def test_redemptions_that_concern_no_line_are_counted(folder):
    redeemed = [
        (7, 51, 1, JULY_1),
        (7, 51, 1, JULY_2),  # no basket that day, on the clock of the shops
        (8, 51, 1, JULY_1),  # another household
        (7, 52, 1, JULY_1),  # a product that was not bought
    ]
    covers = [(51, TEA, 1), (52, BERRIES, 1)]
    found, said = codes(folder, line(), coupons=covers, coupon_redemptions=redeemed)
    assert found == ["51"]
    assert [note.split(" redemptions")[0] for note in said] == ["order_lines: 3 of 4"]


def test_a_mailing_is_an_exposure_on_the_day_its_campaign_starts(folder):
    second = line(basket_id=5, transaction_timestamp=datetime(2017, 7, 20, 12))
    types = [(1, "Type A", JULY_1), (2, "Type C", datetime(2017, 6, 1))]
    mailed = [(1, 7), (2, 7), (1, 8)]
    log = load(
        also(write(folder, line(), second), campaigns=mailed, campaign_descriptions=types),
        "America/New_York",
    )
    names = ["customer_id", "exposure_id", "content_tag", "campaign", "channel"]
    assert log.exposures[names].to_numpy().tolist() == [
        ["7", "2-7", "Type C", "2", "mail"],
        ["7", "1-7", "Type A", "1", "mail"],
        ["8", "1-8", "Type A", "1", "mail"],
    ]
    table = log.tables["exposures"]
    assert table.granularity == "day"
    assert str(log.exposures["occurred_at"].iloc[1]) == "2017-07-01 00:00:00-04:00"
    # earlier campaigns are listed only if they went on, so the record begins with the baskets
    assert (str(table.observed_from), str(table.observed_until)) == ("2017-07-01", "2017-07-20")


def test_without_mailings_and_coupons_there_are_just_baskets(folder):
    log = load(write(folder, line()))
    assert set(log.tables) == {"order_lines", "products"}
    assert log.tables["order_lines"].frame["promo_code"].to_list() == [None]


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        ("coupons", "coupon_redemptions"),
        ("coupon_redemptions", "coupons"),
        ("campaigns", "campaign_descriptions"),
        ("campaign_descriptions", "campaigns"),
    ],
)
def test_half_of_the_mailings_or_coupons_is_refused(folder, there, lacking):
    rows = {
        "coupons": [(51, TEA, 1)],
        "coupon_redemptions": [(7, 51, 1, JULY_1)],
        "campaigns": [(1, 7)],
        "campaign_descriptions": [(1, "Type A", JULY_1)],
    }
    also(write(folder, line()), **{there: rows[there]})
    with pytest.raises(DataError, match=rf"{lacking}\.parquet: no such file"):
        load(folder)


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


@pytest.mark.real
def test_mailings_of_the_data_set(real):
    log, _ = real
    report, frame = log.report.tables["exposures"], log.tables["exposures"].frame
    assert (report.rows_in, report.kept) == (6_589, 6_589)
    assert (report.first, report.last) == ("2016-11-14T00:00:00", "2017-12-28T00:00:00")
    assert frame["customer_id"].n_unique() == 1_559
    assert frame["campaign"].n_unique() == 27
    assert dict(frame["content_tag"].value_counts().iter_rows()) == {
        "Type A": 3_647,
        "Type B": 2_368,
        "Type C": 574,
    }


@pytest.mark.real
def test_redemptions_of_the_data_set_beside_a_slow_search(real):
    """Every redemption looks for its lines among the raw ones, one after the other."""
    log, lines = real
    folder = Path(os.environ["PPI_ML_DATA"]) / "completejourney"
    covers, baskets, codes = defaultdict(set), defaultdict(list), defaultdict(set)
    for coupon, product, campaign in pl.read_parquet(folder / "coupons.parquet").iter_rows():
        covers[coupon, campaign].add(product)
    redemptions = pl.read_parquet(folder / "coupon_redemptions.parquet")
    shops = pl.col("transaction_timestamp").dt.replace_time_zone("UTC")
    names = ["basket_id", "product_id", "quantity", "sales_value", "coupon_disc"]
    some = lines.filter(pl.col("household_id").is_in(redemptions["household_id"].implode()))
    days = some.with_columns(day=shops.dt.convert_time_zone("America/New_York").dt.date())
    for household, day, *line in days.select("household_id", "day", *names).iter_rows():
        baskets[household, day].append(line)
    none = shopped = 0
    for household, coupon, campaign, when in redemptions.iter_rows():
        that_day = baskets[household, when.date()]
        shopped += bool(that_day)
        found = [
            (basket, product, off)
            for basket, product, quantity, sales, off in that_day
            if product in covers[coupon, campaign] and quantity > 0 and sales - off > -0.005
        ]
        none += not found
        reduced = [line for line in found if line[2] > 0]
        for basket, product, off in reduced or found:
            codes[str(basket), str(product), off].add(coupon)
    assert (shopped, none) == (2_102, 264)
    assert any("264 of 2,102 redemptions" in note for note in log.report.notes)
    frame = log.tables["order_lines"].frame.filter(pl.col("promo_code").is_not_null())
    assert (frame.height, frame["order_id"].n_unique()) == (3_188, 1_030)
    ours = defaultdict(set)
    for basket, product, code in frame.select("order_id", "sku", "promo_code").iter_rows():
        ours[basket, product] |= {int(part) for part in code.split("+")}
    theirs = defaultdict(set)
    for (basket, product, _), coupons in codes.items():
        theirs[basket, product] |= coupons
    assert ours == theirs


@pytest.mark.real
def test_days_of_redemptions_are_days_on_the_clock_of_the_east(real):
    """Every redemption has a basket on its day there; with days of UTC 233 have none."""
    _, lines = real
    folder = Path(os.environ["PPI_ML_DATA"]) / "completejourney"
    redemptions = pl.read_parquet(folder / "coupon_redemptions.parquet").select(
        "household_id", day=pl.col("redemption_date").dt.date()
    )
    utc = pl.col("transaction_timestamp").dt.replace_time_zone("UTC")
    met = {
        zone: redemptions.join(
            lines.select("household_id", day=utc.dt.convert_time_zone(zone).dt.date()).unique(),
            on=["household_id", "day"],
            how="semi",
        ).height
        for zone in ("America/New_York", "UTC")
    }
    assert met == {"America/New_York": 2_102, "UTC": 1_869}
