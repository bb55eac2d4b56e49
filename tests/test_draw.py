"""Larger shops: who is drawn to be learned from, and that everybody is still scored."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml import draw
from ppi_ml.config import Config
from ppi_ml.dry_run import describe
from ppi_ml.scoring import Scorer
from ppi_ml.training import plan_of, train

SETTINGS = {
    "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 4,
    "model.processes": ["mbg_nbd", "gaps"], "baselines": ["base_rate"],
}  # fmt: skip


@pytest.fixture(scope="module")
def log(make_shop, as_log):
    return as_log(make_shop(seed=3, customers=200, days=400), days=400)


def test_a_shop_that_is_small_enough_is_taken_as_it_is(log):
    assert draw.customers(log, 203, seed=7) is log
    assert draw.said(log, log) == ()


def test_those_drawn_come_with_all_their_events_and_the_others_with_none(log):
    drawn = draw.customers(log, 60, seed=7)
    kept = drawn.tables["order_lines"].frame["customer_id"].unique()
    assert len(kept) == 60
    for name, table in drawn.tables.items():
        whole = log.tables[name].frame
        assert table.frame.equals(whole.filter(pl.col("customer_id").is_in(kept.implode())))
        assert table.observed_until == log.tables[name].observed_until


def test_the_draw_depends_on_ids_and_seed_alone(log):
    first = draw.customers(log, 60, seed=7).customer_ids.to_list()
    assert draw.customers(log, 60, seed=7).customer_ids.to_list() == first
    assert draw.customers(log, 60, seed=8).customer_ids.to_list() != first
    # whoever is drawn of many is drawn of a part of them too
    part = log.only([*first, *log.customer_ids.to_list()[:100]])
    assert set(first) <= set(draw.customers(part, 60, seed=7).customer_ids.to_list())


@given(st.lists(st.text(max_size=8), unique=True, max_size=30), st.integers(0, 2**31))
def test_a_draw_lies_between_nought_and_one_whatever_stands_beside_it(ids, seed):
    found = draw.uniform(pl.Series(ids, dtype=pl.String), seed)
    assert ((found >= 0) & (found < 1)).all()
    alone = [draw.uniform(pl.Series([name], dtype=pl.String), seed)[0] for name in ids]
    assert found.tolist() == alone


def test_the_draw_is_even():
    found = draw.uniform(pl.Series([f"c{i}" for i in range(20_000)]), seed=7)
    shares = [((found >= k / 10) & (found < (k + 1) / 10)).mean() for k in range(10)]
    assert max(abs(share - 0.1) for share in shares) < 0.01


def test_a_dry_run_says_it_too(log):
    sets = {**SETTINGS, "model.max_customers": 120, "data.source": "dataframes",
            "target.name": "churn"}  # fmt: skip
    told = describe(Config.read({}, sets), log)
    assert "Learned from and judged on 120 of 203 customers" in told


def test_a_training_on_some_says_so_and_scores_everybody(log, tmp_path):
    settings = {**SETTINGS, "model.max_customers": 120, "output.folder": str(tmp_path)}
    run = train(log, target="churn", settings=settings, track=False)
    told = [note for note in run.scorecard.notes if "model.max_customers" in note]
    assert told == [
        "Learned from and judged on 120 of 203 customers, drawn by hash (model.max_customers); "
        "everybody is scored."
    ]
    judged = pl.read_parquet(run.folder / "backtest.parquet")["customer_id"].unique()
    drawn = set(draw.customers(log, 120, run.config.seed).customer_ids)
    assert set(judged) <= drawn
    scored = set(pl.read_parquet(run.folder / "predictions.parquet")["customer_id"])
    asked = Scorer.load(run.bundle).score(log, log.observed_until)
    assert scored == set(asked.customer_id)
    assert scored - drawn


@pytest.mark.parametrize(("share", "most"), [(0.5, 24), (1, 24), (1.26, 30), (10, 60)])
def test_a_long_log_has_as_many_cutoffs_as_leave_rows_for_the_most_customers(log, share, most):
    """24 cutoffs of 1.26 times the customers are 30 of those there are."""
    asked = {"folds.every": "2d", "model.max_customers": int(share * len(log.customer_ids))}
    target = {"name": "churn", "horizon": "30d"}
    config = Config.read({"data": {"source": "dataframes"}, "target": target}, asked, environ={})
    assert len(plan_of(log, config).final.train) == most
    assert len(plan_of(log, config, of_pairs=True).final.train) == 24


def test_who_never_ordered_takes_no_older_cutoff_away(log_of):
    """Rows are of customers with a purchase; returns here stand for all that others leave."""
    days = [f"20{year}-{month:02d}-01" for year in range(10, 18) for month in range(1, 13)]
    lines = [(f"c{i % 20}", day) for i, day in enumerate(days)]
    strangers = [(f"s{i}", "2017-06-01") for i in range(200)]
    target = {"name": "churn", "horizon": "30d"}
    sets = {"model.max_customers": 60}
    config = Config.read({"data": {"source": "dataframes"}, "target": target}, sets, environ={})
    most = len(plan_of(log_of(lines), config).final.train)
    assert most > 24
    assert len(plan_of(log_of(lines, strangers), config).final.train) == most
