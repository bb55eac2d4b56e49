import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ppi_ml import summaries
from ppi_ml.events import RawTable, load_tables
from ppi_ml.findings import Checks, Orphans, SentBack, Skew
from ppi_ml.ledger import QUARANTINE_SCHEMA, Ledger
from ppi_ml.load_report import LoadReport, TableReport
from ppi_ml.schema import TABLES


def mask(*rows):
    return pl.Series([row in rows for row in range(4)])


def test_a_row_is_entered_once_under_its_first_rule():
    ledger = Ledger(4)
    ledger.repair("trimmed", mask(0, 1))
    ledger.repair("moved", mask(1, 2))
    ledger.quarantine("empty", ("b",), mask(2))
    ledger.quarantine("negative", ("a", "b"), mask(2, 3))
    ledger.quarantine("never first", ("a",), mask(3))
    assert ledger.counts() == (0, {"trimmed": 2}, {"empty": 1, "negative": 1})
    assert ledger.sound.to_list() == [True, True, False, False]
    raw = pl.DataFrame({"a": [1, 2, 3, -4], "b": ["x", None, None, "y" * 500]})
    found = ledger.quarantined("t", raw)
    assert found.schema == QUARANTINE_SCHEMA
    assert found.rows() == [
        ("t", 2, "empty", "b", None),
        ("t", 3, "negative", "a, b", "-4, " + "y" * 196),
    ]


REPORT = LoadReport(
    tables={
        "order_lines": TableReport(
            10, 7, {"trimmed": 1}, {"empty": 2}, "2020-01-01T00:00:00", "2020-02-01T00:00:00", 0.125
        ),
        "returns": TableReport(0, 0, {}, {}, None, None, None),
    },
    notes=("a <note>",),
    quarantine={
        "order_lines": pl.DataFrame(
            [("order_lines", 3, "empty", "sku", "")], QUARANTINE_SCHEMA, orient="row"
        ),
        "returns": pl.DataFrame(schema=QUARANTINE_SCHEMA),
    },
)


def test_text_tells_every_number():
    assert REPORT.to_text() == (
        "order_lines: 10 rows in = 7 kept + 1 repaired + 2 quarantined\n"
        "  repaired             1  trimmed\n"
        "  quarantined          2  empty\n"
        "  from 2020-01-01T00:00:00 to 2020-02-01T00:00:00; "
        "12.5% known on a later day than they occurred\n"
        "returns: 0 rows in = 0 kept + 0 repaired + 0 quarantined\n"
        "note: a <note>"
    )
    assert "a &lt;note&gt;" in REPORT._repr_html_()


def test_times_are_told_with_their_zone_and_days_without(log_of):
    line = ("a", "2018-05-01T10:00:00", {"unit_price": 10.0, "quantity": 2, "sku": "x"})
    told = log_of([line], zone="Europe/London").report.to_text()
    assert "  from 2018-05-01T10:00:00 to 2018-05-01T10:00:00 (Europe/London); " in told
    line = ("a", "2018-05-01", {"unit_price": 10.0, "quantity": 2, "sku": "x"})
    told = log_of([line], granularity="day").report.to_text()
    assert "  from 2018-05-01T00:00:00 to 2018-05-01T00:00:00; " in told


def test_rows_of_fewer_than_no_units_are_said_to_take_nothing_back(log_of):
    log = load_tables(
        {"order_lines": RawTable(pl.DataFrame({
            "order_id": list("12345"), "line_id": ["1"] * 5, "customer_id": ["a"] * 5,
            "occurred_at": ["2026-05-01T12:00:00"] * 5,
            "quantity": ["1", "-1", " -2", "none", "-"],
        }))},
        timezone="UTC", currency="EUR", max_quarantined=0.9,
    )  # fmt: skip
    (told,) = [note for note in log.report.notes if "negative" in note]
    assert told.startswith("order_lines: 2 rows have a negative quantity")
    assert not [n for n in log_of([("a", "2026-05-01")]).report.notes if "negative" in n]


def test_ids_that_differ_by_capital_letters_alone_are_counted_and_not_shown(log_of):
    ids = ["anna", "Anna", "ANNA", "bert"]
    log = log_of([(name, f"2026-05-0{i}T12:00:00") for i, name in enumerate(ids, 1)])
    (told,) = [note for note in log.report.notes if "capital letters" in note]
    assert told.startswith("order_lines: 2 ids of customers") and "anna" not in told.lower()
    assert not [n for n in log_of([("a", "2026-05-01")]).report.notes if "capital" in n]


def test_report_is_json_without_the_quarantined_cells():
    stored = json.loads(json.dumps(REPORT.to_dict()))
    assert stored["tables"]["order_lines"]["quarantined"] == {"empty": 2}
    assert stored["tables"]["returns"]["lateness"] == "lateness not measured"
    assert stored["notes"] == ["a <note>"]
    assert set(stored) == {"tables", "notes", "duplicates", "summaries", "checks"}
    assert stored["duplicates"] == {"order_lines": 0.0, "returns": 0.0}
    assert (stored["summaries"], stored["checks"]) == ({}, None)


def test_quarantine_is_one_file_per_table_that_has_rows(tmp_path):
    paths = REPORT.write_quarantine(tmp_path / "q")
    assert [path.name for path in paths] == ["order_lines.parquet"]
    assert pl.read_parquet(paths[0]).equals(REPORT.quarantine["order_lines"])


CHECKS = Checks(
    orphans=(
        Orphans("returns", "order_id", "an order that order_lines does not have", 3, 200),
        Orphans("reviews", "order_id", "an order that order_lines does not have", 0, 0),
    ),
    clock_skew=(
        Skew("refunds", "refunded before it was ordered", 2, 40, 1.0),
        Skew("returns", "sent back before it was ordered", 0, 197, None),
    ),
    sent_back=SentBack(2.5, 210.0, 2, 90),
    repeated={"returns": 0.015, "reviews": 0.00001, "usage": 0.0},
    twice={"returns": 0},
    ahead={"returns": 4, "reviews": 0},
    currency=None,
)
CHECKED = LoadReport(tables={}, checks=CHECKS)


def test_text_tells_what_the_whole_log_tells():
    assert CHECKED.to_text() == (
        "orphans:\n"
        "           3 of 200 (1.50%)  returns.order_id: an order that order_lines does not have\n"
        "clock skew:\n"
        "           2 of 40 (5.00%)  refunds: refunded before it was ordered, by 1.0 hours in the "
        "median\n"
        "more sent back than bought:\n"
        "         2.5 of 210 units, of 2 of 90 pairs of a customer and a product\n"
        "repeated but for their ids:\n"
        "       1.50%  returns\n"
        "     < 0.01%  reviews\n"
        "in an hour that the clock shows twice: none\n"
        "in the future:\n"
        "           4  returns\n"
        "money: no currency is stated, so amounts are in an unknown one"
    )


def test_what_was_not_looked_at_is_not_said_to_be_fine():
    nothing = Checks((), (), None, {}, {}, None, "EUR")
    assert LoadReport(tables={}, checks=nothing).to_text() == (
        "orphans: no table to look at\n"
        "clock skew: no table to look at\n"
        "repeated but for their ids: no table to look at\n"
        "in an hour that the clock shows twice: no table to look at"
    )


def test_checks_are_json_with_their_shares():
    stored = json.loads(json.dumps(CHECKED.to_dict()))["checks"]
    assert [found["share"] for found in stored["orphans"]] == [0.015, 0.0]
    assert stored["clock_skew"][0] == {
        "table": "refunds", "what": "refunded before it was ordered", "rows": 2, "pairs": 40,
        "hours": 1.0, "share": 0.05,
    }  # fmt: skip
    assert stored["sent_back"] == {"units": 2.5, "all_units": 210.0, "pairs": 2, "all_pairs": 90}
    assert stored["repeated"] == {"returns": 0.015, "reviews": 0.00001, "usage": 0.0}
    assert (stored["twice"], stored["ahead"]) == ({"returns": 0}, {"returns": 4, "reviews": 0})


# ------------------------------------------------------------------ what a table looks like
DAYS, ROWS = 200, 4_000


def shipments(rows=ROWS, **columns):
    """Parcels of 400 customers on 200 days; the carrier is new in the last 30 of them."""
    draw = np.random.default_rng(0)
    days = np.sort(draw.uniform(0, DAYS, rows))
    at = [datetime(2026, 1, 1) + timedelta(days=float(day)) for day in days]
    told = {
        "shipment_id": [f"{number:06}" for number in range(rows)],
        "customer_id": [f"mail-{who}@example.com" for who in draw.integers(0, 400, rows)],
        "occurred_at": at,
        "promised_at": [moment + timedelta(days=3) for moment in at],
        "carrier": ["swift" if day > DAYS - 30 else None for day in days],
        "service": draw.choice(["parcel", "letter"], rows, p=[0.75, 0.25]),
        "region": ["" if draw.random() < 0.1 else "north" for _ in range(rows)],
    }
    return pl.DataFrame({k: v for k, v in {**told, **columns}.items() if v is not None})


def read(name, frame):
    """The report of one table, beside a line that a log must have."""
    line = pl.DataFrame({"order_id": ["o"], "line_id": ["1"], "customer_id": ["c"],
                         "occurred_at": [datetime(2026, 1, 1)]})  # fmt: skip
    tables = {"order_lines": RawTable(line, sure=True)} | {name: RawTable(frame)}
    report = load_tables(tables, timezone="Europe/Berlin", max_quarantined=0.9).report.tables[name]
    return report, report.summary


def test_the_newest_days_are_summed_up_beside_the_whole():
    report, summary = read("shipments", shipments())
    assert (summary.rows, summary.granularity, summary.timezone) == (ROWS, "instant",
                                                                    "Europe/Berlin")  # fmt: skip
    assert summary.newest_rows == pytest.approx(ROWS * 90 / DAYS, rel=0.1)
    assert summary.rows_per_day == pytest.approx(ROWS / DAYS, rel=0.1)
    carrier = summary.columns["carrier"]
    assert carrier.empty == pytest.approx(170 / 200, abs=0.02)
    assert carrier.empty_newest == pytest.approx(60 / 90, abs=0.03)
    assert carrier.words == {"swift": 1.0}
    service = summary.columns["service"]
    assert service.words["letter"] == pytest.approx(0.25, abs=0.04)
    assert sum(service.words.values()) == pytest.approx(1)
    assert summary.columns["promised_at"].quantiles == (3.0,) * 5
    assert summary.columns["shipment_id"].plain == summary.columns["shipment_id"].zeros == 1.0
    assert summary.columns["customer_id"].plain == 0.0
    assert summary.columns["customer_id"].words is None
    assert set(summary.columns) == set(TABLES["shipments"].names) - {"occurred_at"}
    told = LoadReport({"shipments": report}).to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["summaries"]["shipments"]["columns"]["region"]["given"]


def test_a_column_that_is_not_there_is_told_from_an_empty_one():
    _, summary = read("shipments", shipments(carrier=None, service=[""] * ROWS))
    carrier, service = summary.columns["carrier"], summary.columns["service"]
    assert (carrier.given, carrier.empty) == (False, 1.0)
    assert (service.given, service.empty, service.words) == (True, 1.0, None)


def test_one_wild_date_does_not_make_the_newest_days():
    frame = shipments()
    wild = frame.with_columns(
        occurred_at=pl.when(pl.int_range(pl.len()) == 0)
        .then(datetime(2099, 1, 1))
        .otherwise("occurred_at")
    )
    _, usual = read("shipments", frame)
    _, summary = read("shipments", wild)
    assert summary.newest_rows == pytest.approx(usual.newest_rows, rel=0.01)
    assert summary.rows_per_day == pytest.approx(usual.rows_per_day, rel=0.01)


def test_of_a_few_rows_no_share_and_no_word_is_told():
    _, summary = read("shipments", shipments(rows=summaries.FEWEST_ROWS - 1))
    region = summary.columns["region"]
    assert (region.empty_newest, region.words, region.distinct) == (None, None, None)
    assert 0 < region.empty < 1


def test_numbers_have_quantiles_of_four_digits():
    rating = np.tile([1, 2, 3, 4, 5], 60)
    reviews = pl.DataFrame(
        {
            "review_id": [str(number) for number in range(300)],
            "customer_id": ["c"] * 300,
            "occurred_at": [datetime(2026, 1, 1) + timedelta(hours=hour) for hour in range(300)],
            "rating": rating,
            "text": ["I am Jane Doe"] * 300,
        }
    )
    _, summary = read("reviews", reviews)
    assert summary.columns["rating"].quantiles == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert summary.columns["rating"].plain == 1.0
    assert summary.columns["text"].words is None
    refunds = reviews.select(
        refund_id="review_id", customer_id="customer_id", occurred_at="occurred_at",
        amount=pl.int_range(pl.len()) * 12.34567 + 1,
    )  # fmt: skip
    middle = read("refunds", refunds)[1].columns["amount"].quantiles[2]
    assert middle == float(f"{middle:.4g}") == pytest.approx(1 + 12.34567 * 149.5, rel=0.01)


def test_a_word_is_named_where_twenty_customers_share_it():
    """Who mapped the name of the customer to the region must not find it in a report."""
    region = ["north"] * (ROWS - 100) + ["Jane Doe, 1 High Street"] * 100
    mine = [f"c{n % 400}" for n in range(ROWS - 100)] + ["jane"] * 100
    report, summary = read("shipments", shipments(region=region, customer_id=mine))
    assert summary.columns["region"].distinct == 2
    assert list(summary.columns["region"].words) == ["north"]
    many = [f"c{n % 400}" for n in range(ROWS - 100)] + [f"j{n % 20}" for n in range(100)]
    _, shared = read("shipments", shipments(region=region, customer_id=many))
    assert set(shared.columns["region"].words) == set(region)
    assert "Jane" not in json.dumps(LoadReport({"shipments": report}).to_dict())


def test_a_vocabulary_of_many_words_is_only_counted():
    region = [f"{n % 60}" for n in range(ROWS)]
    _, summary = read("shipments", shipments(region=region, carrier=[f"{n}" for n in range(ROWS)]))
    assert (summary.columns["region"].distinct, summary.columns["region"].words) == (60, None)
    assert (summary.columns["carrier"].distinct, summary.columns["carrier"].words) == (None, None)


def test_a_large_table_is_summed_up_from_a_sample(monkeypatch):
    _, whole = read("shipments", shipments())
    monkeypatch.setattr(summaries, "SAMPLE", 300)
    _, sampled = read("shipments", shipments())
    assert sampled.columns["service"].words != whole.columns["service"].words
    share = sampled.columns["service"].words["letter"]
    assert share == pytest.approx(whole.columns["service"].words["letter"], abs=0.1)
    assert sampled.columns["carrier"].empty_newest == whole.columns["carrier"].empty_newest


def test_rows_that_repeat_a_key_have_a_share():
    frame = shipments()
    report, _ = read("shipments", pl.concat([frame, frame[:40], frame[:40].with_columns(
        service=pl.lit("other"))]))  # fmt: skip
    assert report.quarantined == {
        "duplicate of an earlier row": 40, "key repeated with other content": 40,
    }  # fmt: skip
    assert report.duplicate_share == 80 / (ROWS + 80)
    assert LoadReport({"shipments": report}).to_dict()["duplicates"]["shipments"] == 80 / (
        ROWS + 80
    )
    assert "  2.0% of the rows repeat a key" in LoadReport({"shipments": report}).to_text()


def test_a_table_without_dates_is_summed_up_whole():
    products = pl.DataFrame({"sku": [f"s{n}" for n in range(100)], "category": ["a", "b"] * 50})
    _, summary = read("products", products)
    assert (summary.rows, summary.newest_rows, summary.rows_per_day) == (100, 100, None)
    assert summary.columns["category"].words == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize("name", sorted(TABLES.keys() - {"order_lines"}))
def test_a_table_without_rows_has_a_summary(name):
    raw = RawTable(pl.DataFrame(), observed_from="2026-01-01", observed_until="2026-02-01")
    line = pl.DataFrame({"order_id": ["o"], "line_id": ["1"], "customer_id": ["c"],
                         "occurred_at": [datetime(2026, 1, 1)]})  # fmt: skip
    log = load_tables({"order_lines": RawTable(line, sure=True), name: raw})
    assert log.report.tables[name].summary.rows == 0
