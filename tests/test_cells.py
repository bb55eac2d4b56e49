from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from ppi_ml import cells
from ppi_ml.errors import DataError
from ppi_ml.schema import TABLES, Column

ID = Column("customer_id", "id", "", "quarantined", required=True)
LONDON = "Europe/London"


def at(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


def rules(found):
    return {rule: rows.arg_true().to_list() for rule, rows in found.items() if rows.any()}


@pytest.mark.parametrize(
    ("given_cells", "values", "repaired"),
    [
        (["007", "12345"], ["007", "12345"], {}),
        (["12345.0", "0012.0"], ["12345", "0012"], {"id written as a decimal number": [0, 1]}),
        (["1.20", "v1.0", "1.0.0"], ["1.20", "v1.0", "1.0.0"], {}),
        ([" a1 ", "b\t"], ["a1", "b"], {"surrounding spaces stripped": [0, 1]}),
        (["Zoë 🛒", "=1+1", "a\nb"], ["Zoë 🛒", "=1+1", "a\nb"], {}),
        ([12345, 7], ["12345", "7"], {}),
        ([12345.0, 7.5], ["12345", "7.5"], {"id written as a decimal number": [0]}),
        ([True, False], ["true", "false"], {}),
        ([Decimal("12.50")], ["12.50"], {}),
    ],
)
def test_ids_become_text(given_cells, values, repaired):
    read = cells.read_id(pl.Series(given_cells), ID)
    assert read.values.to_list() == values
    assert rules(read.repaired) == repaired
    assert rules(read.broken) == {}


@pytest.mark.parametrize("empty", [None, "", "   ", "nan", "None", "<NA>", "NaT", "NULL"])
def test_an_empty_id_is_missing_not_a_customer_of_that_name(empty):
    read = cells.read_id(pl.Series(["a", empty]), ID)
    assert read.values.to_list() == ["a", None]
    assert rules(read.broken) == {"customer_id missing": [1]}


@pytest.mark.parametrize("empty", [float("nan"), float("inf"), None])
def test_a_float_id_that_is_no_number_is_missing(empty):
    read = cells.read_id(pl.Series([1.0, empty]), ID)
    assert read.values.to_list() == ["1", None]
    assert rules(read.broken) == {"customer_id missing": [1]}


QUANTITY = Column("quantity", "number", "units", "", default=1.0, above=0, most=1e9)
PRICE = Column("unit_price", "number", "money", "", least=0, most=1e11)


@pytest.mark.parametrize(
    ("column", "cell", "rule"),
    [
        (QUANTITY, 0, "quantity must be > 0"),
        (QUANTITY, -3, "quantity must be > 0"),
        (QUANTITY, None, "quantity missing"),
        (QUANTITY, float("nan"), "quantity must be a number"),
        (QUANTITY, float("inf"), "quantity must be a number"),
        (QUANTITY, 1e12, "quantity must be <= 1e+09"),
        (QUANTITY, "three", "quantity must be a number"),
        (QUANTITY, "1,5", "quantity must be a number"),
        (QUANTITY, "", "quantity missing"),
        (PRICE, -0.01, "unit_price must be >= 0"),
        (PRICE, 1e12, "unit_price must be <= 1e+11"),
        (PRICE, "inf", "unit_price must be a number"),
    ],
)
def test_numbers_out_of_bounds_are_named_by_rule(column, cell, rule):
    assert rules(cells.read_number(pl.Series([cell]), column).broken) == {rule: [0]}


@pytest.mark.parametrize("cell", [2, 2.0, "2", " 2.0 ", "2e0", Decimal("2.0")])
def test_a_number_is_read_however_it_is_written(cell):
    read = cells.read_number(pl.Series([cell]), QUANTITY)
    assert (read.values.to_list(), rules(read.broken)) == ([2.0], {})


def test_an_empty_price_is_unknown_and_not_broken():
    read = cells.read_number(pl.Series([None, "", "-0.0"]), PRICE)
    assert str(read.values.to_list()) == "[None, None, 0.0]"
    assert rules(read.broken) == {}


CHOICE = Column("t", "choice", "", "one", default="one", fills=True, choices=("one", "two"))


def test_a_choice_is_one_of_its_words_or_the_default():
    read = cells.read_choice(pl.Series(["two", None, "three", " one"]), CHOICE)
    assert read.values.to_list() == ["two", "one", "three", "one"]
    assert rules(read.broken) == {"t must be one of one, two": [2]}


YES_NO = next(column for column in TABLES["stock"].own if column.name == "available")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["yes", " no", "YES", "No"], ["yes", "no", "yes", "no"]),
        (["true", "False", "1", "0"], ["yes", "no", "yes", "no"]),
        ([True, False], ["yes", "no"]),
        ([1, 0], ["yes", "no"]),
        ([1.0, 0.0], ["yes", "no"]),
        (["Y", "n", " N", "y"], ["yes", "no", "no", "yes"]),
        (["t", "f"], ["yes", "no"]),
    ],
)
def test_yes_and_no_are_read_however_they_are_written(column, words):
    read = cells.read_choice(pl.Series(column), YES_NO)
    assert (read.values.to_list(), rules(read.broken)) == (words, {})


@pytest.mark.parametrize("column", [["maybe"], ["10"], [2], [0.5], ["yes.0"]])
def test_what_is_neither_yes_nor_no_is_broken(column):
    read = cells.read_choice(pl.Series(column), YES_NO)
    rule = "available must be one of yes, no (or true, false, 1, 0, y, n, t, f)"
    assert rules(read.broken) == {rule: [0]}


def test_a_cell_that_must_not_be_lost_is_taken_for_the_word_that_the_column_names():
    granted = next(column for column in TABLES["consents"].own if column.name == "granted")
    read = cells.read_choice(pl.Series(["granted", "Denied", "perhaps", None, " ", "2"]), granted)
    assert read.values.to_list() == ["yes", "no", "no", "no", "no", "no"]
    assert read.broken == {}
    words = "yes, no (or true, false, 1, 0, y, n, t, f, granted, denied)"
    assert list(rules(read.repaired).items())[:2] == [
        ("granted missing; taken as no", [3, 4]),
        (f"granted must be one of {words}; taken as no", [2, 5]),
    ]


def test_a_word_is_read_in_any_case():
    read = cells.read_choice(pl.Series(["ONE", "Two", "tWo ", "oNe.0"]), CHOICE)
    assert read.values.to_list()[:3] == ["one", "two", "two"]
    assert rules(read.broken) == {"t must be one of one, two": [3]}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2011-12-09", at(2011, 12, 9)),
        ("2011-07-09", at(2011, 7, 8, 23)),
        ("2011-07-09 12:50", at(2011, 7, 9, 11, 50)),
        ("2011-07-09T12:50:01", at(2011, 7, 9, 11, 50, 1)),
        (" 2011-07-09 12:50:01.000000 ", at(2011, 7, 9, 11, 50, 1)),
        ("2011-07-09T12:50:01Z", at(2011, 7, 9, 12, 50, 1)),
        ("2011-07-09 12:50:01+02:00", at(2011, 7, 9, 10, 50, 1)),
        ("2011-07-09 12:50:01.0+0200", at(2011, 7, 9, 10, 50, 1)),
        ("2011-07-09 12:50:01+02", at(2011, 7, 9, 10, 50, 1)),
        ("2011-07-09 12:50+02:00", at(2011, 7, 9, 10, 50)),
        (date(2011, 7, 9), at(2011, 7, 8, 23)),
        (datetime(2011, 7, 9, 12, 50), at(2011, 7, 9, 11, 50)),
        (datetime(2011, 7, 9, 12, 50, tzinfo=UTC), at(2011, 7, 9, 12, 50)),
    ],
)
def test_a_time_is_an_instant(cell, expected):
    read = cells.read_times(pl.Series([cell]), "occurred_at", LONDON)
    assert (read.values.to_list(), rules(read.broken)) == ([expected], {})


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_every_unit_of_a_datetime_column_gives_the_same_instant(unit):
    column = pl.Series([datetime(2011, 7, 9, 12, 50)]).cast(pl.Datetime(unit))
    assert cells.read_times(column, "t", "UTC").values.to_list() == [at(2011, 7, 9, 12, 50)]


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("", "t missing"),
        (None, "t missing"),
        ("NaT", "t missing"),
        ("2011-02-30", "t must be an ISO date or time"),
        ("09/12/2011", "t must be an ISO date or time"),
        ("yesterday", "t must be an ISO date or time"),
        ("1970-01-01 00:00:00", "t must lie between 1970-01-02 and 2200-01-01"),
        ("1899-12-30", "t must lie between 1970-01-02 and 2200-01-01"),
        ("2200-01-01", "t must lie between 1970-01-02 and 2200-01-01"),
        ("9999-12-31T23:59:59Z", "t must lie between 1970-01-02 and 2200-01-01"),
    ],
)
def test_a_cell_that_is_no_time_is_named_by_rule(cell, rule):
    read = cells.read_times(pl.Series([cell], dtype=pl.String), "t", LONDON)
    assert (read.values.to_list(), rules(read.broken)) == ([None], {rule: [0]})


def test_an_absurd_tick_is_out_of_bounds_and_does_not_overflow():
    ticks = pl.Series([2**62, -(2**62), 86_399_999]).cast(pl.Datetime("ms"))
    read = cells.read_times(ticks, "t", "UTC")
    assert read.values.null_count() == 3
    assert rules(read.broken) == {"t must lie between 1970-01-02 and 2200-01-01": [0, 1, 2]}


def test_naive_and_aware_texts_in_one_column_are_an_error():
    mixed = pl.Series(["2011-07-09 12:50:01", "2011-07-09T12:50:01Z"])
    with pytest.raises(DataError, match="column t mixes times with and without an offset"):
        cells.read_times(mixed, "t", "UTC")


@pytest.mark.parametrize("column", [pl.Series([1_300_000_000]), pl.Series([1.5]), pl.Series([[1]])])
def test_numbers_are_not_times(column):
    with pytest.raises(DataError, match="expected dates, times, or ISO text"):
        cells.read_times(column, "t", "UTC")


@pytest.mark.parametrize(
    ("local", "instant", "moved"),
    [
        (datetime(2011, 3, 27, 0, 59), at(2011, 3, 27, 0, 59), False),
        (datetime(2011, 3, 27, 1, 30), at(2011, 3, 27, 1, 30), True),  # skipped: shows 02:30
        (datetime(2011, 3, 27, 2, 0), at(2011, 3, 27, 1, 0), False),
        (datetime(2011, 10, 30, 1, 30), at(2011, 10, 30, 0, 30), False),  # shown twice: the earlier
        (datetime(2011, 10, 30, 2, 0), at(2011, 10, 30, 2, 0), False),
    ],
)
def test_days_of_a_clock_change(local, instant, moved):
    read = cells.read_times(pl.Series([local]), "t", LONDON)
    assert read.values.to_list() == [instant]
    assert rules(read.repaired) == ({"t skipped by the clock, moved on": [0]} if moved else {})


def test_a_date_whose_midnight_is_skipped_is_no_repair():
    read = cells.read_times(pl.Series([date(2018, 11, 4)]), "t", "America/Sao_Paulo")
    assert read.values.to_list() == [at(2018, 11, 4, 3)]
    assert rules(read.repaired) == {}


@pytest.mark.parametrize(("rows", "dated"), [(49, False), (50, True)])
def test_naive_midnights_are_dates_where_there_are_enough_of_them(rows, dated):
    column = pl.Series([datetime(2011, 7, 9)] * rows)
    assert cells.read_times(column, "t", LONDON).dated.all() == dated
    late = pl.concat([column, pl.Series([datetime(2011, 7, 9, 9)])])
    assert not cells.read_times(late, "t", LONDON).dated.any()


@pytest.mark.parametrize("read", [cells.read_id, cells.read_number])
def test_a_column_of_lists_is_an_error_that_names_it(read):
    with pytest.raises(DataError, match="column customer_id holds List"):
        read(pl.Series([[1, 2]]), ID)
