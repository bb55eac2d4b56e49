"""An order that is called off is no purchase from the moment on which that is known."""

import polars as pl
import pytest

from ppi_ml.events import RawTable, load_tables
from ppi_ml.future import Future
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past

ZONE = "Europe/London"


@pytest.fixture
def log():
    lines = pl.DataFrame({
        "customer_id": ["a", "a", "a", "b"], "order_id": ["1", "2", "2", "3"],
        "line_id": ["1", "1", "2", "1"], "quantity": [1, 1, 5, 1],
        "occurred_at": ["2020-01-10T10:00", "2020-02-10T10:00", "2020-02-10T10:00",
                        "2020-02-20T10:00"],
    })  # fmt: skip
    called_off = pl.DataFrame({
        "customer_id": ["a", "a", "b"], "cancellation_id": ["x", "y", "z"],
        "order_id": ["1", "2", "3"], "line_id": [None, "2", None],
        "occurred_at": ["2020-01-12T10:00", "2020-02-11T10:00", "2020-02-21T10:00"],
        "known_at": ["2020-01-15T10:00", "2020-02-11T10:00", "2020-03-10T10:00"],
    })  # fmt: skip
    raw = {"order_lines": RawTable(lines), "cancellations": RawTable(called_off)}
    return load_tables(raw, timezone=ZONE)


def at(day):
    return Cutoff.parse(day, ZONE)


@pytest.mark.parametrize(
    ("day", "customers"),
    [("2020-01-14", ["a"]), ("2020-01-16", []), ("2020-02-12", ["a"]),
     ("2020-03-01", ["a", "b"]), ("2020-03-11", ["a"])],
)  # fmt: skip
def test_who_has_bought_is_what_was_known_then(log, day, customers):
    assert Past(log, at(day)).entities["customer_id"].to_list() == customers


def test_of_an_order_the_line_that_was_called_off_is_no_part(log):
    past = Past(log, at("2020-03-01"))
    assert past.purchases.filter(customer_id="a")["units_e3"].to_list() == [1000]


def test_what_comes_is_a_purchase_unless_it_is_called_off_as_known_then(log):
    early, late = (Future(log, at("2020-02-15"), at(day)) for day in ("2020-03-01", "2020-04-01"))
    assert early.next_purchase()["customer_id"].to_list() == ["b"]
    assert late.next_purchase().height == 0


def test_a_family_sees_ages_and_no_dates(log):
    seen = Past(log, at("2020-02-12")).seen
    assert seen("cancellations").columns == [
        "customer_id", "cancellation_id", "order_id", "line_id", "reason", "age_us",
    ]  # fmt: skip
    assert seen("cancellations").height == 2
    nothing = seen("shipments")
    assert nothing.height == 0
    assert {"age_us", "promised_age_us", "carrier"} <= set(nothing.columns)
    assert "age_us" not in seen("customers").columns
