"""The reading of pairs: by hand, as a contract, and against the two curves it is read from."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppi_ml.errors import UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.consuming import consuming
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import Asked, Nudge, depletion, repurchase

EDGES = np.array([0.0, 10.0, 100.0])
# hazards of the first pair: .05 a day to day 10, then .01; .06 and .03 if it is still consuming.
# The second pair never buys.
PAIRS = Curves(
    EDGES,
    np.array([[0.0, 0.5, 1.4], [0.0, 0.0, 0.0]]),
    consuming=Curves(EDGES, np.array([[0.0, 0.6, 3.3], [0.0, 0.0, 0.0]])),
)
DAY = date(2024, 2, 26)
ASKED = Asked(40, 7, DAY)
COLUMNS = [
    "p_next_7d", "p_next_14d", "p_next_30d", "p_next_40d",
    "next_p10_date", "next_p50_date", "next_p90_date",
    "p_runout_7d", "p_runout_14d", "p_runout_30d", "p_runout_40d",
    "runout_p10_days", "runout_p50_days", "runout_p90_days",
    "runout_p10_date", "runout_p50_date", "runout_p90_date", "later_than_horizon",
    "best_window_start", "best_window_end", "best_window_probability",
    "nudge_date", "nudge_reason",
]  # fmt: skip
NAMES = ("p10", "p50", "p90")
NEVER = "runs out later than can be foreseen"
NOW = "now: runs out before a delivery could arrive"


def days(columns, *names):
    """Dates as text, an empty one for null."""
    return [["" if np.isnat(day) else str(day) for day in columns[name]] for name in names]


def nudged(asked=ASKED, pairs=PAIRS, **nudge):
    """Day and reason of the first row."""
    found = depletion(pairs, replace(asked, nudge=Nudge(**nudge)))
    return days(found, "nudge_date")[0][0], found["nudge_reason"][0]


# ------------------------------------------------------------------ by hand
def test_depletion_by_hand():
    found = depletion(PAIRS, ASKED)
    assert list(found) == COLUMNS
    bought = 1 - np.exp([-0.35, -0.54, -0.7, -0.8])
    used_up = 1 - np.exp([-0.42, -0.72, -1.2, -1.5])
    for kind, expected in (("next", bought), ("runout", used_up)):
        for day, value in zip((7, 14, 30, 40), expected, strict=True):
            assert found[f"p_{kind}_{day}d"] == pytest.approx([value, 0.0])
    assert days(found, *(f"next_{name}_date" for name in NAMES)) == [
        ["2024-02-28", ""], ["2024-03-26", ""], ["", ""],
    ]  # fmt: skip
    # H = .105 lies in the first piece, ln 2 = .693 at day 13.1, ln 10 = 2.303 at day 66.8
    runs_out = -np.log(0.9) / 0.06, 10 + (np.log(2) - 0.6) / 0.03, 10 + (np.log(10) - 0.6) / 0.03
    for name, expected in zip(NAMES, runs_out, strict=True):
        assert found[f"runout_{name}_days"] == pytest.approx([expected, np.nan], nan_ok=True)
    assert days(found, *(f"runout_{name}_date" for name in NAMES)) == [
        ["2024-02-27", ""], ["2024-03-10", ""], ["2024-05-02", ""],
    ]  # fmt: skip
    assert found["later_than_horizon"].tolist() == [False, True]
    assert days(found, "best_window_start", "best_window_end") == [
        ["2024-02-26"] * 2, ["2024-03-03"] * 2,
    ]  # fmt: skip
    assert found["best_window_probability"] == pytest.approx([1 - np.exp(-0.35), 0.0])
    assert days(found, "nudge_date") == [["2024-03-10", ""]]
    assert found["nudge_reason"].tolist() == ["when it runs out (P50)", NEVER]


@pytest.mark.parametrize(
    ("nudge", "day", "reason"),
    [
        ({}, "2024-03-10", "when it runs out (P50)"),
        ({"lead_days": 1}, "2024-03-09", "1 day before it runs out (P50)"),
        ({"lead_days": 3}, "2024-03-07", "3 days before it runs out (P50)"),
        ({"lead_days": 13}, "2024-02-26", "13 days before it runs out (P50)"),
        ({"lead_days": 14}, "2024-02-26", NOW),
        ({"quantile": 0.1}, "2024-02-27", "when it runs out (P10)"),
        ({"quantile": 0.1, "lead_days": 3}, "2024-02-26", NOW),
        ({"quantile": 0.07}, "2024-02-27", "when it runs out (P7)"),
        ({"quantile": 0.125}, "2024-02-28", "when it runs out (P12.5)"),
        ({"quantile": 0.99}, "", NEVER),  # ln 100 = 4.6
    ],
)
def test_a_reminder_comes_the_lead_before_the_run_out(nudge, day, reason):
    assert nudged(**nudge) == (day, reason)


def test_what_is_out_of_stock_gets_no_reminder():
    for quantile in (0.5, 0.99):
        blocked = Nudge(quantile, 14, np.array([True, False]))
        found = depletion(PAIRS, replace(ASKED, nudge=blocked))
        assert days(found, "nudge_date") == [["", ""]]
        assert found["nudge_reason"].tolist() == ["out of stock", NEVER]
        # all else is as it was
        plain = depletion(PAIRS, ASKED)
        for name in COLUMNS[:-2]:
            assert np.array_equal(found[name], plain[name], equal_nan=True)


def test_a_cutoff_within_a_day_counts_from_its_own_time_of_day():
    """From 18:00 on a quarter of the day is left: day 1.76 lies on the second day after it."""
    evening = Asked.at(Cutoff.parse("2024-02-26T18:00", "Europe/London"), 40, 7)
    found = depletion(PAIRS, evening)
    assert days(found, *(f"runout_{name}_date" for name in NAMES)) == [
        ["2024-02-28", ""], ["2024-03-10", ""], ["2024-05-03", ""],
    ]  # fmt: skip
    assert days(found, "best_window_start", "best_window_end") == [
        ["2024-02-26"] * 2, ["2024-03-04"] * 2,
    ]  # fmt: skip
    late = {"quantile": 0.1, "lead_days": 2}
    assert nudged(evening, **late) == ("2024-02-26", "2 days before it runs out (P10)")
    assert nudged(**late) == ("2024-02-26", NOW)
    # day .2 and the end of the day are still today, day .3 is tomorrow
    for day, expected in ((0.2, "2024-02-26"), (0.25 - 1e-9, "2024-02-26"), (0.3, "2024-02-27")):
        soon = {"quantile": 1 - np.exp(-0.06 * day)}
        assert nudged(evening, **soon)[0] == expected


def test_a_median_between_horizon_and_reach_is_a_date_and_later_than_the_horizon():
    found = depletion(PAIRS, Asked(13, 7, DAY))
    assert found["later_than_horizon"].tolist() == [True, True]
    assert days(found, "runout_p50_date") == [["2024-03-10", ""]]
    # by day 14 more than half have run out, and fewer than half have bought
    assert depletion(PAIRS, Asked(14, 7, DAY))["later_than_horizon"].tolist() == [False, True]
    assert repurchase(PAIRS, Asked(14, 7, DAY))["later_than_horizon"].tolist() == [True, True]


def test_rounding_between_the_curves_does_not_move_the_run_out_behind_the_purchase():
    """Where the curve is flat, a hair less of hazard would be seventy days."""
    half = np.log(2)
    plain = np.array([[0.0, half, half, 3.0]])
    hair = plain - [0.0, 1e-12, 1e-12, 0.0]
    edges = np.array([0.0, 10.0, 80.0, 100.0])
    found = depletion(Curves(edges, plain, consuming=Curves(edges, hair)), ASKED)
    assert found["runout_p50_days"].tolist() == [10.0]
    assert days(found, "runout_p50_date", "next_p50_date", "nudge_date") == [["2024-03-06"]] * 3
    for day in (7, 14, 30, 40):
        assert (found[f"p_runout_{day}d"] >= found[f"p_next_{day}d"]).all()


def test_a_house_that_is_full_runs_out_after_the_next_purchase():
    """Its dates are read as they are; a pair beside it whose curves meet keeps its order."""
    half = np.log(2)
    plain = np.array([[0.0, half, 1.0, 3.0], [0.0, half, half, 3.0]])
    still = plain * [[0.5], [1.0]] - [[0.0] * 4, [0.0, 1e-12, 1e-12, 0.0]]
    edges = np.array([0.0, 10.0, 80.0, 100.0])
    found = depletion(Curves(edges, plain, consuming=Curves(edges, still)), ASKED)
    assert found["runout_p50_days"] == pytest.approx([80 + 20 * (half - 0.5), 10.0])
    assert days(found, "next_p50_date") == [["2024-03-06", "2024-03-06"]]
    assert days(found, "nudge_date", "runout_p50_date") == [["2024-05-19", "2024-03-06"]] * 2
    for day in (7, 14, 30, 40):
        assert found[f"p_runout_{day}d"][0] < found[f"p_next_{day}d"][0]
        assert found[f"p_runout_{day}d"][1] >= found[f"p_next_{day}d"][1]


# ------------------------------------------------------------------ what is refused
def test_curves_of_customers_are_refused():
    with pytest.raises(UsageError, match=r"no `consuming`.* entity customer_product"):
        depletion(replace(PAIRS, consuming=None), ASKED)


def test_stock_of_other_rows_is_refused():
    for wrong in (np.array([True]), np.zeros((2, 1), bool)):
        with pytest.raises(UsageError, match=r"out_of_stock: expected shape \(2,\), .* got \("):
            depletion(PAIRS, replace(ASKED, nudge=Nudge(out_of_stock=wrong)))


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, 50, np.nan])
def test_a_quantile_is_a_probability(quantile):
    with pytest.raises(UsageError, match="quantile: expected a probability strictly between"):
        Nudge(quantile)


def test_a_lead_is_not_negative():
    with pytest.raises(UsageError, match="lead_days: expected 0 days or more, got -1"):
        Nudge(lead_days=-1)


# ------------------------------------------------------------------ as a contract
@pytest.mark.parametrize("horizon", [1, 7, 8, 90, 400])
@pytest.mark.parametrize("nudge", [None, Nudge(0.1, 5)])
def test_columns_depend_on_what_is_asked_and_never_on_the_curves(horizon, nudge):
    edges = np.array([0.0, 500.0])
    read = []
    for hazards in ([[0, 1], [0, 0]], [[0, 9]], [[0, 0]], []):
        curves = Curves(edges, np.array(hazards, dtype=float).reshape(-1, 2))
        read.append(depletion(replace(curves, consuming=curves), Asked(horizon, 1, DAY, 0, nudge)))
    shorter = [d for d in (7, 14, 30, 60, 90, 180, 365) if d < horizon]
    for found in read:
        assert [n for n in found if n.startswith("p_")] == [
            f"p_{kind}_{d}d" for kind in ("next", "runout") for d in [*shorter, horizon]
        ]
        assert list(found) == list(read[0])
        assert {n: v.dtype for n, v in found.items()} == {n: v.dtype for n, v in read[0].items()}


def test_a_block_on_some_rows_changes_no_type():
    for blocked in ([True, True], [False, True], [False, False]):
        nudge = Nudge(0.5, 3, np.array(blocked))
        found = depletion(PAIRS, replace(ASKED, nudge=nudge))
        plain = depletion(PAIRS, replace(ASKED, nudge=Nudge(0.5, 3)))
        assert {n: v.dtype for n, v in found.items()} == {n: v.dtype for n, v in plain.items()}


# ------------------------------------------------------------------ readings agree with the curves
@st.composite
def asked_pairs(draw):
    """Curves of one to four pairs, those given that they consume, and what is asked of them."""
    widths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    shape = (draw(st.integers(1, 4)), len(widths))
    steps = draw(hnp.arrays(float, shape, elements=st.just(0.0) | st.floats(1e-6, 3)))
    ending = draw(hnp.arrays(float, shape, elements=st.just(0.0) | st.floats(0, 5)))
    cumulative = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    still = Curves(edges, consuming(cumulative, ending, edges))
    horizon = draw(st.integers(1, int(edges[-1])))
    nudge = Nudge(
        draw(st.sampled_from((0.1, 0.5, 0.9)) | st.floats(0.01, 0.99)),
        draw(st.integers(0, 30)),
        draw(st.none() | hnp.arrays(bool, len(steps))),
    )
    elapsed = draw(st.just(0) | st.integers(0, DAY_US - 1)) / DAY_US
    day = draw(st.dates(date(1970, 3, 1), date(2200, 1, 1)))
    asked = Asked(horizon, draw(st.integers(1, horizon)), day, elapsed, nudge)
    return Curves(edges, cumulative, consuming=still), asked


def stacked(found, name):
    return np.stack([found[name.format(which)] for which in NAMES], axis=1)


@given(asked_pairs())
def test_the_next_purchase_is_that_of_repurchase(drawn):
    curves, asked = drawn
    found, other = depletion(curves, asked), repurchase(curves, asked)
    for day in asked.days:
        assert (found[f"p_next_{day}d"] == other[f"p_order_{day}d"]).all()
    for name in (*(f"next_{which}_date" for which in NAMES), "best_window_start"):
        assert np.array_equal(found[name], other[name], equal_nan=True)
    assert (found["best_window_end"] == other["best_window_end"]).all()
    assert (found["best_window_probability"] == other["best_window_probability"]).all()


@given(asked_pairs())
def test_the_run_out_of_a_usual_house_is_never_later_than_the_next_purchase(drawn):
    curves, asked = drawn
    found = depletion(curves, asked)
    bought = stacked(repurchase(curves, asked), "next_{}_days")
    used_up = stacked(found, "runout_{}_days")
    there = ~np.isnan(bought)
    assert (used_up[there] <= bought[there]).all()
    dates, later = stacked(found, "runout_{}_date"), stacked(found, "next_{}_date")
    assert (dates[there] <= later[there]).all()
    for day in asked.days:
        assert (found[f"p_runout_{day}d"] >= found[f"p_next_{day}d"]).all()


@given(asked_pairs())
def test_probabilities_rise_and_lie_on_their_curves(drawn):
    curves, asked = drawn
    found = depletion(curves, asked)
    for kind, curve in (("next", curves), ("runout", curves.consuming)):
        rising = np.stack([found[f"p_{kind}_{day}d"] for day in asked.days], axis=1)
        assert (np.diff(rising, axis=1) >= 0).all()
        assert ((rising >= 0) & (rising <= 1)).all()
        expected = 1 - curve.survival(np.array(asked.days, dtype=float))
        assert rising == pytest.approx(expected, abs=1e-12)


@given(asked_pairs())
def test_quantiles_are_ordered_and_lie_on_the_curve_of_those_who_consume(drawn):
    curves, asked = drawn
    found = depletion(curves, asked)
    used_up, still = stacked(found, "runout_{}_days"), curves.consuming
    reached = ~np.isnan(used_up)
    assert (np.diff(np.where(reached, used_up, 1e9), axis=1) >= 0).all()
    for i, p in enumerate((0.1, 0.5, 0.9)):
        assert reached[:, i].tolist() == (still.cumulative[:, -1] >= -np.log1p(-p)).tolist()
        for row in np.flatnonzero(reached[:, i]):
            value = still.survival([used_up[row, i]])[row, 0]
            assert value == pytest.approx(1 - p, abs=1e-9)
    p50 = found["runout_p50_days"]
    later = [bool(np.isnan(day) or day > asked.horizon) for day in p50]
    assert found["later_than_horizon"].tolist() == later


@given(asked_pairs())
def test_dates_follow_the_days_and_never_lie_before_the_cutoff(drawn):
    curves, asked = drawn
    found = depletion(curves, asked)
    used_up, dates = stacked(found, "runout_{}_days"), stacked(found, "runout_{}_date")
    assert dates.dtype == np.dtype("datetime64[D]")
    assert np.isnat(dates).tolist() == np.isnan(used_up).tolist()
    there = ~np.isnan(used_up)
    steps = (dates[there] - np.datetime64(asked.first_day, "D")).astype(float)
    assert (steps >= 0).all()
    # the moment lies on that day of the clock, its last instant included
    moment = asked.elapsed + used_up[there]
    assert (steps < moment).all()
    assert (moment <= steps + 1).all()
    for which in NAMES:
        purchases = found[f"next_{which}_date"]
        assert (purchases[~np.isnat(purchases)] >= np.datetime64(asked.first_day)).all()


@given(asked_pairs())
def test_a_reminder_lies_between_the_cutoff_and_the_run_out(drawn):
    curves, asked = drawn
    found = depletion(curves, asked)
    first, lead = np.datetime64(asked.first_day, "D"), np.timedelta64(asked.nudge.lead_days, "D")
    quantile = np.minimum(
        curves.consuming.quantile(asked.nudge.quantile), curves.quantile(asked.nudge.quantile)
    )
    runout = asked.day_before(np.where(np.isinf(quantile), np.nan, quantile))
    blocked = asked.nudge.blocked(len(curves))
    sent, reasons = found["nudge_date"], found["nudge_reason"]
    assert sent.dtype == np.dtype("datetime64[D]")
    assert np.isnat(sent).tolist() == (blocked | np.isinf(quantile)).tolist()
    for row, reason in enumerate(reasons):
        if blocked[row]:
            assert reason == "out of stock"
        elif np.isinf(quantile[row]):
            assert reason == NEVER
        else:
            assert first <= sent[row] <= runout[row]
            if reason == NOW:
                assert sent[row] == first
                assert runout[row] - lead < first
            else:
                assert sent[row] == runout[row] - lead
                assert " it runs out (P" in reason
                assert reason.startswith("when") == (lead == np.timedelta64(0, "D"))


@given(asked_pairs(), st.sampled_from(NAMES))
def test_a_reminder_at_a_quantile_of_the_table_agrees_with_its_date(drawn, which):
    curves, asked = drawn
    nudge = Nudge(int(which[1:]) / 100, asked.nudge.lead_days)
    found = depletion(curves, replace(asked, nudge=nudge))
    first, lead = asked.first_day, timedelta(days=nudge.lead_days)
    for sent, runout in zip(found["nudge_date"], found[f"runout_{which}_date"], strict=True):
        assert np.isnat(sent) == np.isnat(runout)
        if not np.isnat(runout):
            assert sent.item() == max(first, runout.item() - lead)


@given(asked_pairs())
def test_nobody_who_stops_makes_run_out_and_purchase_the_same(drawn):
    curves, asked = drawn
    none = np.zeros((len(curves), len(curves.edges) - 1))
    same = consuming(curves.cumulative, none, curves.edges)
    found = depletion(replace(curves, consuming=Curves(curves.edges, same)), asked)
    for day in asked.days:
        assert (found[f"p_runout_{day}d"] == found[f"p_next_{day}d"]).all()
    for which in NAMES:
        dates = found[f"runout_{which}_date"], found[f"next_{which}_date"]
        assert np.array_equal(*dates, equal_nan=True)
    assert np.array_equal(
        stacked(found, "runout_{}_days"),
        stacked(repurchase(curves, asked), "next_{}_days"),
        equal_nan=True,
    )
