"""The rows that are judged: what is refused, their own order, and the parts that are scored."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.backtests import PLANTED, shop

from ppi_ml.backtest import slices_of
from ppi_ml.errors import UsageError

ONES = np.ones((600, 1))


def test_an_event_is_a_purchase_that_was_seen_within_the_horizon():
    backtest = replace(
        shop((("model", 0.1),), customers=2, cutoffs=2),
        days=np.array([90.0, 90.0, 91.0, 1.0]),
        observed=np.array([True, False, True, True]),
    )
    assert backtest.event.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eligible": np.ones(3, dtype=bool)}, r"eligible: expected \(600,\), got \(3,\)"),
        ({"eligible": np.ones(600)}, "eligible: expected true or false"),
        ({"observed": np.ones(600)}, "observed: expected true or false"),
        ({"segments": {"new": np.ones(3, dtype=bool)}}, r"new: expected \(600,\)"),
        ({"segments": {"all": np.ones(600, dtype=bool)}}, r"\['all'\] are names of the scorecard"),
        ({"predictions": {"rule": ONES}}, 'expected "model"'),
        ({"untrainable": {"rule": "short"}}, r"not trainable \['rule'\]"),
        ({"predictions": {"model": 2 * ONES}}, r"model: .* \[0, 1\], got 2 to 2"),
        ({"predictions": {"model": np.nan * ONES}}, "600 of 600 that are not"),
        ({"predictions": {"model": ONES[:, 0]}}, r"model: expected \(600, 1\), got \(600,\)"),
        ({"predictions": {"model": ONES.astype(int)}}, "model: expected numbers"),
        ({"horizon_days": 91}, "expected 1 to 90"),
        ({"asked_days": 120, "horizon_days": 91}, "rise from 1 or more to the horizon of 91"),
        ({"grid": np.array([89.5])}, r"got \[89.5\]"),
        ({"metric": "auc"}, 'expected log_loss or ibs, got "auc"'),
        ({"days": np.zeros(600)}, "days: expected finite numbers above 0"),
        ({"days": np.full(600, 89.0), "observed": np.zeros(600, dtype=bool)}, "600 rows without"),
    ],
)
def test_a_backtest_that_cannot_be_judged_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        replace(shop(PLANTED), **change)


def test_a_rising_curve_is_refused_but_not_the_rounding_of_one():
    backtest = shop(PLANTED, metric="ibs")
    curves = backtest.predictions["rule"].copy()
    curves[7, 40] = curves[7, 39] + 1e-7
    replace(backtest, predictions={**backtest.predictions, "rule": curves})
    curves[7, 40] = curves[7, 39] + 1e-4
    with pytest.raises(UsageError, match="rule: must never rise with the days, got 1 rows"):
        replace(backtest, predictions={**backtest.predictions, "rule": curves})


@given(st.integers(0, 10_000), st.sampled_from(("log_loss", "ibs")))
def test_any_order_of_the_rows_becomes_the_same_one(seed, metric):
    backtest = shop(PLANTED, metric=metric, customers=20, cutoffs=3, seed=seed)
    backtest = replace(backtest, segments={"odd": backtest.customer % 2 == 1})
    order = np.random.default_rng(seed).permutation(len(backtest.days))
    one, two = backtest.in_order(), backtest.take(order).in_order()
    for name in ("customer", "cutoff", "days", "observed", "eligible"):
        assert (getattr(one, name) == getattr(two, name)).all()
    assert all((one.curves(m) == two.curves(m)).all() for m in one.predictions)
    assert (one.segments["odd"] == (one.customer % 2 == 1)).all()
    assert one.in_order() is one


def test_parts_are_all_eligible_rows_each_cutoff_each_segment_and_everybody():
    backtest = shop(PLANTED)
    first = backtest.cutoff == "2011-01-01"
    nobody = np.zeros(600, dtype=bool)
    parts = slices_of(replace(backtest, segments={"odd": first, "empty": nobody}))
    assert [(part.cutoff, part.segment) for part in parts] == [
        ("pooled", "eligible"),
        ("2011-01-01", "eligible"),
        ("2011-02-01", "eligible"),
        ("pooled", "odd"),
        ("pooled", "all"),
    ]
    assert (parts[3].mask == (backtest.eligible & first)).all()
    assert parts[4].mask.all()
