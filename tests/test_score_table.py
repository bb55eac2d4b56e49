"""The score table: columns and types that no value can change, and nulls where nothing is said."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from ppi_ml import score_table
from ppi_ml.dataset import Dataset
from ppi_ml.entities import CUSTOMER, PAIR, Entity
from ppi_ml.errors import UsageError
from ppi_ml.instants import Cutoff
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import READINGS, Asked

CUTOFF = Cutoff.parse("2024-02-26", "Europe/London")
ASKED = Asked.at(CUTOFF, 40, 7)
FIXED = {"target": "t", "model_version": "v", "model_sha256": "s"}
KEYS = ["customer_id", "cutoff", "target", "status", "reason"]
VALUES = {
    "churn": ["churn_probability", "horizon_days"],
    "repurchase": [
        "churn_probability", "horizon_days",
        "p_order_7d", "p_order_14d", "p_order_30d", "p_order_40d",
        "next_p10_days", "next_p50_days", "next_p90_days",
        "next_p10_date", "next_p50_date", "next_p90_date", "later_than_horizon",
        "best_window_start", "best_window_end", "best_window_probability",
    ],
    "depletion": [
        "p_next_7d", "p_next_14d", "p_next_30d", "p_next_40d",
        "next_p10_date", "next_p50_date", "next_p90_date",
        "p_runout_7d", "p_runout_14d", "p_runout_30d", "p_runout_40d",
        "runout_p10_days", "runout_p50_days", "runout_p90_days",
        "runout_p10_date", "runout_p50_date", "runout_p90_date", "later_than_horizon",
        "best_window_start", "best_window_end", "best_window_probability",
        "nudge_date", "nudge_reason",
    ],
}  # fmt: skip
DATES = [
    "next_p10_date", "next_p50_date", "next_p90_date", "best_window_start", "best_window_end",
]  # fmt: skip
SOON, MAYBE, NEVER = [0.0, 9.0], [0.0, 1.0], [0.0, 0.0]
"""Cumulative hazards at days 0 and 100."""


def table(*hazards, reading="repurchase", days=()):
    """The table of customers a, b, c ... with these curves."""
    n, entity = len(hazards), Entity(PAIR if reading == "depletion" else CUSTOMER)
    names = pl.Series(list("abcdefgh")[:n], dtype=pl.String)
    data = Dataset(
        entity, (CUTOFF,), (0, n), pl.DataFrame(dict.fromkeys(entity.keys, names)),
        np.zeros((n, 1), np.float32), np.zeros(n), np.ones(n, np.int64), ("x",), (), {},
    )  # fmt: skip
    curves = Curves(np.array([0.0, 100.0]), np.array(hazards).reshape(-1, 2))
    curves = replace(curves, consuming=curves) if entity.is_pair else curves
    return score_table.scored(data, curves, days, reading, ASKED, FIXED)


def asked_for(made, ids, eligible, absent=(), denied=()):
    why = pl.Series([None if is_one else "silent" for is_one in eligible], dtype=pl.String)
    denied = pl.Series(list(denied), dtype=pl.String)
    always = {"cutoff": "c", **FIXED}
    return score_table.exactly(made, ids, why, dict(absent), always, denied)


def test_every_reading_is_pinned_here():
    assert VALUES.keys() == READINGS.keys()


@pytest.mark.parametrize("reading", READINGS)
def test_keys_then_values_then_the_curve_then_the_model(reading):
    made = table(SOON, NEVER, reading=reading, days=[7, 30])
    curve = ["no_event_by_7d", "no_event_by_30d"]
    model = ["model_version", "model_sha256"]
    keys = [*Entity(PAIR).keys, *KEYS[1:]] if reading == "depletion" else KEYS
    assert made.columns == [*keys, *VALUES[reading], *curve, *model]
    assert made["cutoff"].to_list() == ["2024-02-26"] * 2
    assert made["status"].to_list() == ["scored"] * 2


@pytest.mark.parametrize("reading", READINGS)
def test_no_value_changes_a_type(reading):
    """Neither curves that reach everything, nor none at all, nor rows that are not scored."""
    made = table(SOON, MAYBE, NEVER, reading=reading)
    others = [
        table(SOON, reading=reading),
        table(NEVER, reading=reading),
        table(reading=reading),
        asked_for(made, ["c", "x", "a"], [True, False, True]),
        asked_for(made, ["x", "y"], [True, True, True]),
    ]
    for other in others:
        assert other.schema == made.schema
        told = score_table.to_pandas(other)
        assert told.dtypes.equals(score_table.to_pandas(made).dtypes)
    types = score_table.to_pandas(made).dtypes.astype(str)
    if reading != "depletion":
        assert types["horizon_days"] == "Int64"
    if reading != "churn":
        dates = [name for name in made.columns if name.endswith(("_date", "_start", "_end"))]
        assert reading == "depletion" or dates == DATES
        assert types["later_than_horizon"] == "boolean"
        assert {made.schema[name] for name in dates} == {pl.Date}
        assert all(types[name].startswith("datetime64") for name in dates)


def test_what_the_curve_does_not_reach_is_null_and_never_nan():
    # S(100) of the three: .0001, .37, 1
    made = table(SOON, MAYBE, NEVER)
    nulls = {name: made[name].is_null().to_list() for name in made.columns if "next_" in name}
    assert nulls == {
        "next_p10_days": [False, False, True], "next_p10_date": [False, False, True],
        "next_p50_days": [False, False, True], "next_p50_date": [False, False, True],
        "next_p90_days": [False, True, True], "next_p90_date": [False, True, True],
    }  # fmt: skip
    assert not any(made[n].is_nan().any() for n, kind in made.schema.items() if kind.is_float())
    rest = [name for name in VALUES["repurchase"] if "next_" not in name]
    assert made.select(rest).null_count().sum_horizontal().item() == 0
    # ln 2 = .69 is reached at day 7.7 and 69.3
    assert made["next_p50_date"].to_list() == [date(2024, 3, 4), date(2024, 5, 5), None]
    assert made["later_than_horizon"].to_list() == [False, True, True]


def test_rows_that_are_not_scored_have_no_values():
    made = table(SOON, MAYBE, NEVER)
    found = asked_for(made, ["b", "x", "a"], [True, False, True])
    assert found["status"].to_list() == ["not_eligible", "no_history", "scored"]
    values = found.select(VALUES["repurchase"])
    assert values.row(2) == made.select(VALUES["repurchase"]).row(0)
    assert set(values.row(0)) == set(values.row(1)) == {None}
    told = score_table.to_pandas(found)
    assert told[VALUES["repurchase"]].isna().all(axis=1).tolist() == [True, True, False]


def test_who_is_not_scored_is_told_why():
    """A denial before anything else; who is in no table never ordered."""
    made = table(SOON, MAYBE, NEVER)
    found = asked_for(
        made, ["b", "x", "y", "a", "c", "z"], [True, False, True], {"y": "it was cancelled"}, "cz"
    )
    assert found.select("customer_id", "status", "reason").rows() == [
        ("b", "not_eligible", "silent"),
        ("x", "no_history", "no purchase before the cutoff"),
        ("y", "no_history", "it was cancelled"),
        ("a", "scored", None),
        ("c", "no_consent", "denied profiling"),
        ("z", "no_consent", "denied profiling"),
    ]


@pytest.mark.parametrize(
    ("least", "reasons"),
    [
        (1, [None, None, "no purchase in the last 180 days", "no purchase in the last 180 days"]),
        (3, ["bought on fewer than 3 days", None, "no purchase in the last 180 days",
             "no purchase in the last 180 days"]),
    ],
)  # fmt: skip
def test_a_row_is_not_asked_about_for_one_reason_that_holds(least, reasons):
    entity, names = Entity(PAIR, least=least), pl.Series(list("abcd"))
    silent, bought = np.array([180.0, 9.0, 181.0, 500.0]), np.array([2, 3, 2, 7])
    data = Dataset(
        entity, (CUTOFF,), (0, 4), pl.DataFrame(dict.fromkeys(entity.keys, names)),
        np.zeros((4, 1), np.float32), silent, bought, ("x",), (), {},
    )  # fmt: skip
    assert score_table.why_not(data, 180).to_list() == reasons
    assert [why is None for why in reasons] == data.eligible(180).tolist()


def test_a_day_beyond_the_curve_is_refused():
    with pytest.raises(UsageError, match="the curve reaches"):
        table(SOON, days=[101])


def test_one_row_as_python_values():
    """What `Prediction.values` holds."""
    row = table(SOON).row(0, named=True)
    assert row["next_p50_date"] == date(2024, 3, 4)
    assert row["best_window_start"] == date(2024, 2, 26)
    assert row["best_window_end"] == date(2024, 3, 3)
    assert row["later_than_horizon"] is False
    assert row["reason"] is None
