import os
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest
from numpy.testing import assert_array_equal

from ppi_ml import dataset
from ppi_ml.config import DataSettings
from ppi_ml.entities import PAIR, PRODUCT, Entity, in_no_pair, prepared
from ppi_ml.errors import DataError
from ppi_ml.events import load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past
from ppi_ml.sources.online_retail import SERVICES, SHIPPED, SOURCE


def load(path=None):
    settings = DataSettings(source="online_retail", path=path, timezone="Europe/London")
    return load_tables(SOURCE.read(settings), timezone=settings.timezone, max_quarantined=0.30)


@pytest.fixture(scope="module")
def shipped():
    return load()


def test_every_line_ships():
    lines = pl.read_parquet(SHIPPED)
    assert lines.height == 1_044_847
    assert lines["customer_id"].drop_nulls().n_unique() == 5_942
    assert lines["customer_id"].null_count() == 235_287
    assert SHIPPED.stat().st_size < 4_000_000


def test_what_becomes_of_every_line(shipped):
    orders, returns = shipped.report.tables["order_lines"], shipped.report.tables["returns"]
    assert orders.rows_in + returns.rows_in == 1_044_847
    assert (orders.kept, orders.repaired) == (789_707, {"order time unified": 1_407})
    assert orders.quarantined == {"customer_id missing": 234_568}
    assert (returns.kept, returns.repaired) == (18_446, {})
    assert returns.quarantined == {"customer_id missing": 719}
    assert (orders.first, orders.last) == ("2009-12-01T07:45:00", "2011-12-09T12:50:00")
    assert len(shipped.customer_ids) == 5_942


def test_the_log_agrees_with_counts_made_without_this_package(shipped):
    lines = pl.read_parquet(SHIPPED).filter(pl.col("customer_id").is_not_null())
    bought = lines.filter(~pl.col("invoice").str.starts_with("C"))
    frame = shipped.tables["order_lines"].frame
    assert frame["order_id"].n_unique() == bought["invoice"].n_unique()
    assert frame["quantity_e3"].sum() == bought["quantity"].sum() * 1000
    pence = (bought["quantity"] * (bought["price"] * 10_000).round().cast(pl.Int64)).sum()
    assert frame["value_e4"].sum() == pence
    assert dict(frame["order_type"].value_counts().iter_rows()) == {"one_off": 791_044, "free": 70}
    sold = frame.filter(pl.col("order_type") == "one_off")
    assert sold["order_id"].n_unique() == 36_969
    back = lines.filter(pl.col("invoice").str.starts_with("C"))
    assert shipped.tables["returns"].frame["quantity_e3"].sum() == -back["quantity"].sum() * 1000


def test_the_past_of_one_instant_is_exact(shipped):
    past = shipped.until("2011-09-11T00:00:00+00:00").tables
    sold = past["order_lines"].frame.filter(pl.col("order_type") == "one_off")
    assert (sold.height, past["returns"].frame.height) == (629_518, 15_289)


def test_the_period_is_that_of_the_export(shipped):
    periods = {(str(t.observed_from), str(t.observed_until)) for t in shipped.tables.values()}
    assert periods == {("2009-12-01", "2011-12-09")}


def test_a_copy_elsewhere_is_the_same_log_and_other_columns_do_not_matter(shipped, tmp_path):
    copy = pl.read_parquet(SHIPPED).with_columns(
        pl.col("ts").cast(pl.Datetime("ns")), country=pl.lit("UK"), quantity=pl.col("quantity") * 1
    )
    copy.write_parquet(tmp_path / "copy.parquet")
    assert load(str(tmp_path / "copy.parquet")).fingerprint == shipped.fingerprint


def test_services_are_not_consumable_and_nothing_is_said_of_the_rest(shipped):
    products = shipped.tables["products"].frame
    services = products.filter(pl.col("consumable") == "no")["sku"].to_list()
    vouchers = [f"gift_0001_{pounds}" for pounds in range(10, 100, 10)]
    assert services == sorted([*SERVICES, *vouchers])
    assert len(services) == 27
    assert products["consumable"].null_count() == products.height - 27
    assert (shipped.report.tables["products"].rows_in, products.height) == (5_304, 5_304)
    assert any("27 of 5,304 stock codes" in note for note in shipped.report.notes)
    codes = pl.read_parquet(SHIPPED)["stock_code"].str.strip_chars()
    assert set(products["sku"]) == set(codes)


def test_lines_of_services_stay_lines(shipped):
    products = shipped.tables["products"].frame
    services = products.filter(pl.col("consumable") == "no")["sku"].implode()
    lines = shipped.tables["order_lines"].frame.filter(pl.col("sku").is_in(services))
    counts = dict(lines["sku"].value_counts().iter_rows())
    assert counts == {
        "POST": 1_802, "M": 698, "C2": 248, "23444": 79, "ADJUST": 32, "BANK CHARGES": 31,
        "PADS": 18, "DOT": 16, "23574": 14, "TEST001": 11, "D": 5, "ADJUST2": 3, "TEST002": 1,
    }  # fmt: skip
    assert lines.height == 2_958


def test_services_are_in_no_pair(shipped):
    entity = Entity(PAIR, "sku", "category", least=3)
    log = prepared(shipped, entity)
    assert in_no_pair(log, entity) == (
        "2,958 order lines are of what is not consumable; they are in no pair",
    )
    at = Cutoff.parse("2011-12-09", "Europe/London")
    pairs = Past(log, at, entity).purchases[PRODUCT].unique()
    lines = pl.read_parquet(SHIPPED).filter(
        pl.col("customer_id").is_not_null(), ~pl.col("invoice").str.starts_with("C"),
        pl.col("price") > 0, pl.col("ts") < datetime(2011, 12, 9),
    )  # fmt: skip
    assert set(pairs) == set(lines["stock_code"].str.strip_chars()) - set(SERVICES)
    assert len(pairs) == 4_617


def test_customers_and_lines_are_the_same_with_and_without_products(shipped):
    """What is not consumable matters to pairs alone: no number about customers may move."""
    few = shipped.bucket(0, 40)
    bare = replace(few, tables={n: t for n, t in few.tables.items() if n != "products"})
    at = [Cutoff.parse(day, "Europe/London") for day in ("2011-03-01", "2011-09-11")]
    data, same = (dataset.build(log, at, dataset.families("all")) for log in (few, bare))
    assert data.names == same.names
    assert_array_equal(data.values, same.values)


def line(**cells):
    sound = {
        "invoice": "500001",
        "stock_code": "85048",
        "quantity": 1,
        "ts": datetime(2011, 7, 1, 10),
        "price": 2.5,
        "customer_id": 12345,
    }
    return {**sound, **cells}


def load_lines(tmp_path, *lines):
    pl.DataFrame(list(lines)).write_parquet(tmp_path / "lines.parquet")
    settings = DataSettings(source="online_retail", path=str(tmp_path / "lines.parquet"))
    return load_tables(SOURCE.read(settings), timezone="Europe/London", max_quarantined=0.9)


def test_lines_go_to_their_tables(tmp_path):
    log = load_lines(
        tmp_path,
        line(),
        line(),
        line(invoice="500002", price=0.0),
        line(invoice="500003", quantity=-4),
        line(invoice="A500004", price=-9.0),
        line(invoice="C500005", quantity=-4),
        line(invoice="C500005", quantity=4),
    )
    frame = log.tables["order_lines"].frame
    assert frame.select("order_id", "line_id", "order_type").rows() == [
        ("500001", "1", "one_off"),
        ("500001", "2", "one_off"),  # a repeated line is another line, not a duplicate
        ("500002", "1", "free"),
    ]
    assert log.report.tables["order_lines"].quarantined == {
        "quantity must be > 0": 1,
        "unit_price must be >= 0": 1,
    }
    back = log.tables["returns"].frame
    assert back.select("return_id", "order_id", "quantity").rows() == [("C500005-1", None, 4.0)]
    assert log.report.tables["returns"].quarantined == {"quantity must be > 0": 1}


def test_times_are_those_of_london(tmp_path):
    log = load_lines(tmp_path, line(), line(invoice="500002", ts=datetime(2011, 12, 1, 10)))
    at = log.order_lines["occurred_at"].dt.tz_convert("UTC")
    assert list(at.dt.hour) == [9, 10]


def test_another_layout_is_refused(tmp_path):
    pl.DataFrame({"Invoice": ["1"]}).write_parquet(tmp_path / "raw.parquet")
    with pytest.raises(DataError, match=r"columns invoice, stock_code, .* found: Invoice"):
        load(str(tmp_path / "raw.parquet"))


def test_codes_are_listed_once_however_they_are_spaced(tmp_path):
    log = load_lines(
        tmp_path, line(stock_code="POST "), line(stock_code="POST"), line(stock_code="85048 "),
        line(stock_code=None), line(stock_code="gift_0001_25"), line(stock_code="m"),
        line(stock_code="POSTER"), line(invoice="C500005", stock_code="CRUK", quantity=-1),
    )  # fmt: skip
    products = log.tables["products"].frame
    assert products.select("sku", "consumable").rows() == [
        ("85048", None), ("CRUK", "no"), ("POST", "no"), ("POSTER", None), ("gift_0001_25", "no"),
        ("m", "no"),
    ]  # fmt: skip
    assert log.report.tables["products"].quarantined == {}


def test_products_are_called_what_they_were_sold_as_last(tmp_path):
    """Lines without a price or a customer hold remarks, such as `damaged`."""
    assert load_lines(tmp_path, line()).tables["products"].frame["name"].to_list() == [None]
    when = datetime(2011, 8, 1)
    log = load_lines(
        tmp_path,
        line(description="OLD NAME"),
        line(description=" NEW NAME ", ts=when),
        line(description="nan", ts=when + timedelta(days=1)),
        line(description="damaged", ts=when + timedelta(days=2), price=0.0),
        line(description="check", ts=when + timedelta(days=3), customer_id=None),
        line(description="thrown away", ts=when + timedelta(days=4), quantity=-3),
        line(stock_code="POST", description="POSTAGE"),
        line(stock_code="S", description="nan"),
    )
    found = log.tables["products"].frame.select("sku", "name", "consumable").rows()
    assert found == [("85048", "NEW NAME", None), ("POST", "POSTAGE", "no"), ("S", None, "no")]


@pytest.mark.real
def test_services_are_called_so_in_the_published_data():
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: the copy that ships has no descriptions")
    lines = pl.read_parquet(f"{root}/online_retail_ii/lines.parquet",
                            columns=["stock_code", "description"])  # fmt: skip
    said = lines.filter(pl.col("description") != "nan")
    named = said.group_by("stock_code").agg(pl.col("description").mode().sort().first())
    called = dict(named.iter_rows())
    assert {code: called[code].strip().split(" on ")[0].split(" by ")[0] for code in SERVICES} == {
        "23444": "Next Day Carriage", "23574": "PACKING CHARGE", "ADJUST": "Adjustment",
        "ADJUST2": "Adjustment", "AMAZONFEE": "AMAZON FEE", "B": "Adjust bad debt",
        "BANK CHARGES": "Bank Charges", "C2": "CARRIAGE", "CRUK": "CRUK Commission",
        "D": "Discount", "DOT": "DOTCOM POSTAGE", "M": "Manual",
        "PADS": "PADS TO MATCH ALL CUSHIONS", "POST": "POSTAGE", "S": "SAMPLES",
        "TEST001": "This is a test product.", "TEST002": "This is a test product.", "m": "Manual",
    }  # fmt: skip


@pytest.mark.real
def test_the_shipped_copy_is_the_data_set():
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: only the copy that ships is here")
    shipped = pl.read_parquet(SHIPPED)
    lines = pl.read_parquet(f"{root}/online_retail_ii/lines.parquet", columns=shipped.columns)
    assert lines.cast(shipped.schema).equals(shipped)
