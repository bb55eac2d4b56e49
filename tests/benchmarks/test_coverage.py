"""Coverage and width of stored curves: by hand, and on a made-up case of the judge's format."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import coverage
import judge
from answers import Answers, Curve

TAU = 30


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.floats(0.05, 1))
def test_the_quarter_has_its_size_and_takes_the_highest_counts(counts, share):
    counts = np.array(counts, dtype=float)
    weight = coverage.quarter(counts, share)
    assert weight.sum() == pytest.approx(share * len(counts))
    assert ((weight >= 0) & (weight <= 1 + 1e-12)).all()
    for one, other in zip(*np.triu_indices(len(counts)), strict=True):
        if counts[one] == counts[other]:
            assert weight[one] == weight[other]
        elif counts[one] < counts[other]:
            assert weight[one] == 0 or weight[other] == pytest.approx(1)


def test_ties_share_the_places_that_are_left():
    weight = coverage.quarter(np.array([5.0, 2, 2, 2, 2, 0, 0, 0]))
    assert weight.tolist() == [1, 0.25, 0.25, 0.25, 0.25, 0, 0, 0]


def answers_of(days, event, tau=4):
    return Answers(None, tau, pl.Series(["a"] * len(days)), np.array(days, float), np.array(event))


def test_coverage_by_hand():
    # F is .05, .5, .95, .96: of an event on day 1 the cell is [0, .05], on day 2 [.05, .5], of
    # which .4 of .45 lie in [.1, .9]; without an event it is [.96, 1].
    curve = Curve(np.arange(1.0, 5), np.array([[0.95, 0.5, 0.05, 0.04]] * 3))
    spread = coverage.Spread.of(answers_of([1, 2, 4], [True, True, False]), curve)
    assert spread.shares == pytest.approx([0, 0.4 / 0.45, 0])
    early = 1 + np.log(0.95 / 0.9) / np.log(0.95 / 0.5)  # constant hazard between days
    late = 2 + np.log(0.5 / 0.1) / np.log(0.5 / 0.05)
    assert spread.width == pytest.approx([late - early] * 3)


def intervals(name, shares, width, active, stored=None, excess=0.0):
    ours = coverage.Spread(np.array(shares), np.array(width))
    reference = None if stored is None else coverage.Spread(np.array(shares), np.array(stored))
    return coverage.Intervals(name, np.array(active), ours, reference, excess)


def test_rows_are_pooled_and_the_quarter_is_weighted():
    found = coverage.checks(
        [
            intervals("a", [1, 1, 0.4], [10.0, 20, 30], [1, 0, 0.5], [20.0, 20, 20], 0.01),
            intervals("b", [0.8], [500.0], [1], excess=0.04),
        ]
    )
    said = {check.what: (check.found, check.passed) for check in found}
    assert said["80 % coverage, all rows pooled"] == ("0.800", True)
    assert said["80 % coverage, most active quarter"] == ("0.800", True)  # (1 + .2 + .8) / 2.5
    assert said["D-calibration excess, worst case (b)"] == ("0.0400", False)
    width = said["mean width of the quarter, days, 1 cases with a reference curve"]
    assert width == ("16.67", True)  # b has no curve of the reference


def test_a_case_is_read_with_its_events_and_predictions(write_case, tmp_path):
    folder = write_case(tmp_path, "made", task="timing", reference=True)
    case, predictions = judge.Case.read(folder), tmp_path / "made.parquet"
    truth = pl.read_parquet(folder / "truth.parquet")
    ours = {f"no_event_by_{day}d": 1 - 0.02 * day for day in (10, 20, TAU)}
    shuffled = truth.select("customer_id", **{n: pl.lit(v) for n, v in ours.items()}).reverse()
    shuffled.write_parquet(predictions)
    found = coverage.Intervals.of(case, predictions)
    assert found.reference is not None
    assert found.active.sum() == pytest.approx(truth.height / 4)
    curve = Curve.of(shuffled, TAU)
    everybody = Answers.read(folder)
    assert np.array_equal(found.ours.shares, coverage.Spread.of(everybody, curve).shares)
    events = pl.read_parquet(case.events["order_lines"])
    counts = coverage.purchases(case, everybody.customers)
    recent = events.filter(pl.col("occurred_at") >= events["occurred_at"].max().replace(
        year=2024, month=12, day=3, hour=0, minute=0, second=0, microsecond=0))  # fmt: skip
    days = recent.group_by("customer_id").agg(pl.col("occurred_at").dt.date().n_unique())
    assert counts.sum() == days["occurred_at"].sum()
    part = coverage.measure(tmp_path / "public", tmp_path)
    assert part.settings["cases"] == 1
    assert "| made |" in part.to_markdown()


def test_predictions_that_miss_somebody_are_refused(write_case, tmp_path):
    folder = write_case(tmp_path, "made", task="timing")
    table = pl.read_parquet(folder / "entities.parquet").with_columns(
        pl.lit(0.5).alias(f"no_event_by_{TAU}d")
    )
    table[1:].write_parquet(tmp_path / "few.parquet")
    with pytest.raises(ValueError, match="made: a prediction is missing"):
        Answers.read(folder).ours(tmp_path / "few.parquet")
    table.rename({f"no_event_by_{TAU}d": "no_event_by_7d"}).write_parquet(
        tmp_path / "short.parquet"
    )
    with pytest.raises(judge.UnusableCaseError, match="no column no_event_by_30d"):
        coverage.Intervals.of(judge.Case.read(folder), tmp_path / "short.parquet")
