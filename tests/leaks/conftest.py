"""The checks themselves, so that the tests of planted leaks run the very same ones."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from tests import bazaar

from ppi_ml import dataset, rows
from ppi_ml.instants import Cutoff
from ppi_ml.schema import TABLES

ABSURD_COPIES = 3
WHERE = ("2018-10-28", "2019-03-31T13:00:00", "2019-07-01")
"""Cutoffs: midnight before a clock change, midday after one, and months later."""


@pytest.fixture(scope="session")
def every_table(make_shop):
    """The frames of a shop with every table of events."""
    return bazaar.frames(make_shop())


@pytest.fixture(scope="session")
def shop(every_table):
    """Its log."""
    return bazaar.load(every_table)


@pytest.fixture(params=WHERE)
def cutoff(request):
    return request.param


@pytest.fixture(scope="session")
def answers():
    """answers(log, families, cutoff) -> name -> bytes of every feature and every state there."""

    def ask(log, families, cutoff):
        instant = Cutoff.parse(cutoff, log.timezone)
        data = dataset.build(log, [instant], families)
        told = {name: data.values[:, i].tobytes() for i, name in enumerate(data.names)}
        told["who is a row"] = json.dumps(data.customers.to_list()).encode()
        told["silent_days"] = data.silent_days.tobytes()
        for family, state in data.states[str(instant)].items():
            told[f"state of {family}"] = json.dumps(state).encode()
        if "cadence__age__max" in data.names:
            processes = rows.fit_processes(data, ["mbg_nbd", "bg_nbd", "gaps"], log.observed_from)
            for process, state in processes.by_cutoff[str(instant)].items():
                told[f"state of {process}"] = json.dumps(state).encode()
        return told

    return ask


@pytest.fixture(scope="session")
def poison():
    """poison(tables, cutoff) -> tables in which all that was known later is absurd."""

    def spoil(tables, cutoff):
        instant = Cutoff.parse(cutoff, "Europe/London").at
        return {name: _spoil(frame, instant) for name, frame in tables.items()}

    return spoil


def _spoil(frame, cutoff):
    """Rows known later get absurd values, and absurd copies of other times and customers."""
    if "known_at" not in frame.columns:
        return frame  # without dates: always known
    later = pl.col("known_at").dt.epoch("us") >= cutoff
    past, rest = frame.filter(~later), frame.filter(later)
    assert past.height
    assert rest.height
    absurd = {"quantity": 999_999.0, "unit_price": 88_888.0, "order_type": "one_off",
              "sku": "poison", "rating": 1.0, "text": "poison poison poison", "score": 10.0,
              "csat": 10.0, "amount": 77_777.0, "topic": "wismo", "code": "lost",
              "content_tag": "poison", "promo_code": "poison",
              "discount": 50_000.0, "carrier": "poison",
              "promised_at": frame["known_at"].min()}  # fmt: skip
    rest = rest.with_columns(
        pl.lit(value).cast(frame.schema[name]).alias(name)
        for name, value in absurd.items()
        if frame.schema.get(name, pl.Null) != pl.Null
    )
    return pl.concat([past, rest, *(_copy(rest, frame, i) for i in range(ABSURD_COPIES))])


def _copy(rest, frame, number):
    """The rows again as events of anybody, also of strangers, at any time before they were known.

    Their own keys: a row that repeats the key of an earlier one is a question for the intake.
    """
    draw = np.random.default_rng(number)
    people = [*frame["customer_id"].unique().sort(), *(f"stranger{i}" for i in range(20))]
    back = [timedelta(seconds=float(s)) for s in draw.uniform(0, 120 * 86_400, rest.height)]
    first = frame["occurred_at"].min()
    key = KEYS[_table_of(frame)]
    return rest.with_columns(
        pl.Series(draw.choice(people, rest.height)).alias("customer_id"),
        pl.Series([f"poison{number}_{i}" for i in range(rest.height)]).alias(key),
        pl.max_horizontal(pl.col("known_at") - pl.Series(back), first).alias("occurred_at"),
    )


KEYS = {name: table.key[0] for name, table in TABLES.items()}


def _table_of(frame):
    """The table whose columns these are: of all that have them, the one with the fewest others."""
    fits = [t for t in TABLES.values() if set(frame.columns) <= set(t.names)]
    return min(fits, key=lambda t: len(t.names)).name


@pytest.fixture(scope="session")
def found_by_poison(every_table, answers, poison):
    """Rule 1: what changes when all that was known at or after the cutoff is absurd.

    `families_of(log, cutoff)` makes the families for each of the two logs.
    """

    def check(families_of, cutoff):
        logs = [bazaar.load(t) for t in (every_table, poison(every_table, cutoff))]
        return _differing(*(answers(log, families_of(log, cutoff), cutoff) for log in logs))

    return check


@pytest.fixture(scope="session")
def found_by_truncation(shop, answers):
    """Rule 2: what changes when the log is cut at the cutoff."""

    def check(families_of, cutoff):
        logs = [shop, shop.until(cutoff)]
        return _differing(*(answers(log, families_of(log, cutoff), cutoff) for log in logs))

    return check


def _differing(left, right):
    assert left.keys() == right.keys()
    return [name for name in left if left[name] != right[name]]
