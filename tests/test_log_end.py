"""Where a table really ends: stray rows, true pauses, and what loading and training say of them."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ppi_ml
from ppi_ml import log_end, training_log
from ppi_ml.config import Config
from ppi_ml.errors import DataError
from ppi_ml.events import load_tables
from ppi_ml.instants import DAY_US
from ppi_ml.sources.dataframes import raw_tables

FIRST = (date(2024, 1, 1) - date(1970, 1, 1)).days
DAYS = 600


def frame(*days):
    """A table with a row at each of these days after 2024-01-01, which may be fractions."""
    walls = (np.concatenate([np.atleast_1d(d) for d in days]) + FIRST) * DAY_US
    return pl.DataFrame({"wall": walls.astype(np.int64)})


def usual(rate, days=DAYS, seed=0, start=0.0):
    """Days of orders at so many a day."""
    draw = np.random.default_rng(seed)
    return start + draw.uniform(0, days, draw.poisson(rate * days))


# ------------------------------------------------------------------ the rule
@pytest.mark.parametrize("rate", [0.5, 1, 20, 200])
@pytest.mark.parametrize("far", [[80], [200], [547], [80, 200, 547], [13_900]])
def test_a_few_rows_far_after_the_rest_are_stray(rate, far):
    bulk = usual(rate)
    found = log_end.silence(frame(bulk, [DAYS + day for day in far]))
    assert found.rows == len(far)
    assert abs((found.last - date(2024, 1, 1)).days - DAYS) <= 10
    gaps = np.diff([bulk.max(), *(DAYS + day for day in far)])
    assert abs(found.days - gaps.max()) <= 2
    assert found.cure == f"data.until: {date.fromordinal(found.last.toordinal() + 1)}"


@pytest.mark.parametrize(("rate", "stray"), [(1, False), (3, True), (20, True)])
def test_three_in_a_week_are_stray_unless_that_is_half_of_what_is_usual(rate, stray):
    found = log_end.silence(frame(usual(rate), [DAYS + 60.1, DAYS + 62.2, DAYS + 64.3]))
    assert (found is not None) == stray


@pytest.mark.parametrize(("rate", "days"), [(1, 14), (3, 5), (20, 2), (200, 1)])
@pytest.mark.parametrize("pause", [40, 80, 365])
def test_a_shop_that_pauses_and_goes_on_is_not_stray(rate, days, pause):
    """So many days of the usual volume after the silence are enough."""
    for seed in range(10):
        after = usual(rate, days, seed, DAYS + pause)
        assert log_end.silence(frame(usual(rate, seed=seed), after)) is None


@pytest.mark.parametrize("power", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("rate", [1, 3, 20])
def test_growth_and_decline_are_no_silence(rate, power):
    for seed in range(20):
        assert log_end.silence(frame(DAYS * (usual(rate, seed=seed) / DAYS) ** power)) is None


def test_a_silence_that_came_before_is_usual():
    """The shop shuts for forty days each winter, and has sold one thing since it did again."""
    year = usual(5, 325)
    assert log_end.silence(frame(year, 365 + year, [730])) is None
    assert log_end.silence(frame(year, 365 + year, [750])).usual == 40


def test_the_lines_of_an_order_are_one_event():
    """A stray order of thirty lines is one order: no sign that the shop sells again."""
    far = frame(usual(2), [DAYS + 80] * 30)
    orders = pl.int_range(pl.len()).clip(upper_bound=far.height - 30)
    assert log_end.silence(far) is None
    assert log_end.silence(far.with_columns(order_id=orders), "order_id").rows == 30


def test_a_table_that_is_said_to_go_on_is_as_silent():
    table = frame(usual(20))
    end = (FIRST + DAYS) * DAY_US
    assert log_end.silence(table, until=end) is None
    found = log_end.silence(table, until=end + 40 * DAY_US)
    assert (found.rows, found.days) == (0, 40)
    assert str(found).startswith("the last event is of 2025-08-22, and then there is a silence of")


def test_of_a_few_rows_nothing_is_said():
    assert log_end.silence(frame(range(40), [500])) is None
    assert log_end.silence(frame(range(60), [500])).rows == 1


@given(st.lists(st.integers(0, 400), min_size=50, max_size=200), st.integers(0, 1000))
def test_no_order_of_rows_and_no_shift_of_days_changes_what_is_found(days, shift):
    found = log_end.silence(frame(days))
    moved = log_end.silence(frame([day + shift for day in days][::-1]))
    assert (found is None) == (moved is None)
    if found is not None:
        assert (found.rows, found.days, found.usual) == (moved.rows, moved.days, moved.usual)
        assert found.days >= log_end.LEAST_SILENCE_DAYS
        assert found.days > found.usual


# ------------------------------------------------------------------ loading and training
def shop(*far, key="order_lines"):
    """Order lines of a shop, or its returns beside them, with some more days far away."""
    days = usual(10)
    tables = {"order_lines": _rows(days, "order_id", ["line_id"])}
    if key == "order_lines":
        tables[key] = _rows(np.append(days, far), "order_id", ["line_id"])
    else:
        tables[key] = _rows(np.append(usual(3), far), "return_id", [])
    return tables


def _rows(days, key, others):
    at = pl.Series((days + FIRST) * DAY_US).cast(pl.Int64).cast(pl.Datetime("us"))
    number = pl.int_range(pl.len())
    return pl.DataFrame({"occurred_at": at}).with_columns(
        number.cast(pl.String).alias(key), *(pl.lit("1").alias(name) for name in others),
        customer_id=pl.format("c{}", number % 90),
    )  # fmt: skip


@pytest.mark.parametrize("table", ["order_lines", "returns"])
def test_loading_tells_of_it_in_a_note(table):
    told = [n for n in ppi_ml.load(shop(key=table)).report.notes if "silence" in n]
    assert told == []
    log = ppi_ml.load(shop(DAYS + 80, DAYS + 200, key=table))
    notes = [n for n in log.report.notes if "silence" in n]
    assert len(notes) == 1
    assert notes[0].startswith(f"{table}: 2 rows lie after 2025-08-22, up to 2026-03-11, behind")
    assert "mend them or set data.until: 2025-08-23" in notes[0]


def config(**data):
    return Config.read({"data": {"source": "dataframes", **data}, "target": {"name": "churn"}})


def test_training_refuses_and_names_rows_day_and_cure():
    log = ppi_ml.load(shop(DAYS + 80))
    with pytest.raises(DataError) as error:
        training_log.read(config(), (), log)
    assert str(error.value).startswith(
        "order_lines: 1 row lies after 2025-08-22, up to 2025-11-11, behind a silence of 80 days"
    )
    assert "set data.until: 2025-08-23" in str(error.value)


def test_the_cure_helps_whether_the_log_is_given_or_read():
    log = ppi_ml.load(shop(DAYS + 80))
    cut = training_log.read(config(until="2025-08-23"), (), log)
    assert str(cut.observed_until) == "2025-08-23"
    assert cut.tables["order_lines"].frame.height == log.tables["order_lines"].frame.height - 1
    training_log.read(config(), (), ppi_ml.load(shop(DAYS + 80), until="2025-08-23"))


def test_a_log_may_not_be_cut_in_the_silence_either():
    log = ppi_ml.load(shop(DAYS + 80))
    with pytest.raises(DataError, match=r"last event is of 2025-08-22.*data.until: 2025-08-23"):
        training_log.read(config(until="2025-11-01"), (), log)


def test_what_lies_after_a_period_that_is_stated_does_not_make_it_longer():
    raw = raw_tables({"order_lines": shop(DAYS + 80)["order_lines"]})
    stated = replace(raw["order_lines"], observed_from="2024-01-01", observed_until="2025-08-20")
    log = load_tables({"order_lines": stated})
    assert str(training_log.read(config(), (), log).observed_until) == "2025-08-20"
    late = replace(stated, observed_until="2026-08-20")
    with pytest.raises(DataError, match="1 row lies after 2025-08-22"):
        training_log.read(config(), (), load_tables({"order_lines": late}))


def test_a_stray_order_of_many_lines_is_one_order():
    thirty = shop(*[DAYS + 80] * 30)["order_lines"]
    assert [n for n in ppi_ml.load(thirty).report.notes if "silence" in n] == []
    last = pl.int_range(pl.len()) >= pl.len() - 30
    one = thirty.with_columns(
        order_id=pl.when(last).then(pl.lit("stray")).otherwise("order_id"),
        customer_id=pl.when(last).then(pl.lit("c1")).otherwise("customer_id"),
        line_id=pl.int_range(pl.len()),
    )
    log = ppi_ml.load(one)
    assert len([n for n in log.report.notes if "30 rows lie after 2025-08-22" in n]) == 1
    with pytest.raises(DataError, match="30 rows lie after 2025-08-22"):
        training_log.read(config(), (), log)


def test_where_rows_hold_on_a_silence_says_nothing():
    """The whole shelf on the first day, one change in the last year."""
    days = [0.0] * 200 + [500.0]
    at = pl.Series((np.array(days) + FIRST) * DAY_US).cast(pl.Int64).cast(pl.Datetime("us"))
    stock = pl.DataFrame(
        {"sku": [f"s{n}" for n in range(len(days))], "occurred_at": at}
    ).with_columns(available=pl.lit("yes"))
    log = ppi_ml.load({**shop(), "stock": stock})
    assert [note for note in log.report.notes if "silence" in note] == []


def test_a_shop_that_paused_trains():
    tables = shop(*usual(10, 5, 1, DAYS + 80))
    log = ppi_ml.load(tables)
    assert [n for n in log.report.notes if "silence" in n] == []
    assert training_log.read(config(), (), log).observed_until == log.observed_until
