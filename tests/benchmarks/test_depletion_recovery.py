"""Run-out dates of simulated shops: against a truth known by hand, and one shop that is learned."""

import polars as pl
import pytest

import depletion_recovery
import depletion_rules
from ppi_ml import Config, simulate
from ppi_ml.instants import DAY_US


@pytest.fixture(scope="module")
def simulated():
    return simulate.simulate(40, 300, 3, simulate.Shop())


def dates_of(simulated, cutoff, shift=0.0):
    """Dates that are the truth, moved by so many days."""
    truth = simulate.run_out_after(simulated, cutoff).rename({"sku": "product"})
    due = pl.col("days_with_parcels") + shift
    names = ("runout_p50_days", "next purchase", *depletion_rules.RULES)
    return truth.select(
        "customer_id", "product", runout_p10_days=due - 1, runout_p90_days=due + 1,
        **dict.fromkeys(names, due),
    )  # fmt: skip


def test_dates_are_compared_with_the_empty_house(simulated):
    cutoff = simulated.observed_from.plus(200)
    dates = dates_of(simulated, cutoff)
    found = depletion_recovery.compared("default", simulated, cutoff, dates, 90)
    consuming = simulate.run_out_after(simulated, cutoff)["days"].is_not_null().sum()
    assert (found.pairs, found.inside, found.later) == (consuming, 1.0, 0.0)
    assert found.error["run-out"] == found.bias["run-out"] == 0
    late = dates_of(simulated, cutoff, 3.0).with_columns(
        runout_p50_days=pl.lit(None, dtype=pl.Float64), runout_p90_days=pl.lit(None)
    )
    moved = depletion_recovery.compared("default", simulated, cutoff, late, 1_000.0)
    assert (moved.bias["mean_gap"], moved.error["mean_gap"]) == pytest.approx((3, 3))
    assert (moved.later, moved.inside) == (1.0, 0.0)
    assert moved.error["run-out"] > 900  # what is not reached counts as the reach


def test_the_purchase_itself_is_the_next_line_of_the_shop(simulated):
    cutoff = simulated.observed_from.plus(200)
    found = depletion_recovery.purchases_after(simulated, cutoff)
    row = found.sort("customer_id", "product").row(0, named=True)
    lines = simulated.tables["order_lines"].filter(
        (pl.col("customer_id") == row["customer_id"]) & (pl.col("sku") == row["product"])
    )
    days = (lines["occurred_at"].dt.epoch("us") - cutoff.at) / DAY_US
    assert row[depletion_recovery.REAL] == pytest.approx(days.filter(days >= 0).min())


def test_rules_are_the_gap_less_the_time_waited(simulated):
    cutoff = simulated.observed_from.plus(200)
    log = simulate.log(simulated).until(cutoff)
    about = {"data": {"source": "dataframes"}, "target": {"name": "depletion"}}
    config = Config.read(about, {"folds.every": "20d", "target.active_within": "120d",
                                 "target.least_purchases": 2}, {})  # fmt: skip
    found = depletion_rules.rule_dates(log, config)
    lines = log.tables["order_lines"].frame.with_columns(day=pl.col("at") / DAY_US)
    days = lines.group_by("customer_id", pl.col("sku").alias("product"), pl.col("day").floor()
                          .alias("date"), maintain_order=True).agg(pl.col("day").min())  # fmt: skip
    gaps = days.group_by("customer_id", "product").agg(
        gap=pl.col("day").sort().diff().median(), last=pl.col("day").max(), n=pl.len()
    )
    live = gaps.filter((pl.col("n") >= 2) & (cutoff.at / DAY_US - pl.col("last") <= 120))
    left = (pl.col("gap") - (cutoff.at / DAY_US - pl.col("last"))).clip(lower_bound=0.0)
    both = live.with_columns(left=left).join(found, on=["customer_id", "product"], validate="1:1")
    assert both.height == live.height == found.height > 30
    assert both["median_gap"].to_numpy() == pytest.approx(both["left"].to_numpy(), abs=1e-4)
    assert found.select(depletion_rules.RULES).min().min_horizontal().item() == 0


def test_a_shop_is_learned_and_dated(quick, monkeypatch):
    monkeypatch.setattr(depletion_recovery, "AFTER", 40)
    found = depletion_recovery.of_shop("undisturbed", 150, 330)
    assert found.pairs > 100
    assert found.error["run-out"] < found.error["product_quantile"]
    part = depletion_recovery.part_of([found], {"customers": 150})
    assert f"{found.error['run-out']:.2f}; the best rule" in part.checks[0].cells[1]
    assert "| undisturbed | consumption alone drives purchases |" in part.tables


def test_the_best_rule_is_shown_and_is_no_bound():
    numbers = dict.fromkeys((*depletion_rules.RULES, "run-out", "next purchase",
                             "the purchase itself"), 5.0)  # fmt: skip
    made = {"pairs": 9, "empty": 0.1, "typical": 20.0, "inside": 0.8, "later": 0.0,
            "bias": numbers, "measured": "2026-01-02"}  # fmt: skip
    worse = {**numbers, "run-out": 5.1}
    found = [
        depletion_recovery.Found("lapse", error=worse, **made),
        depletion_recovery.Found("all by chance", error=worse, **made),
    ]
    part = depletion_recovery.part_of(found, {})
    assert [check.passed for check in part.checks] == [None, None]
    assert part.checks[0].cells[1:3] == ("5.10; the best rule, last_gap, 5.00", "")
    assert part.measured == "2026-01-02"
