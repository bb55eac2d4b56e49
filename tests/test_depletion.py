"""Depletion from end to end on a simulated shop: train, judge, score, and the list for people."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import cli, pair_scores, run_outs, scoring, simulate
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.score_rows import ELIGIBLE, POOLED
from ppi_ml.scorecard import Scorecard
from ppi_ml.simulate import Shop

DAYS, CUSTOMERS = 420, 250
SETTINGS = {
    "target.horizon": "60d",
    "target.active_within": "120d",
    "target.least_purchases": 2,
    "folds.train_cutoffs": 6,
    "tune.trials": 1,
    "model.max_rows": 40_000,
}


@pytest.fixture(scope="module")
def shop():
    return simulate.simulate(CUSTOMERS, days=DAYS, seed=5, shop=Shop())


@pytest.fixture(scope="module")
def log(shop):
    return simulate.log(shop)


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    settings = SETTINGS | {"output.folder": str(folder)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scoring.Scorer, "score", never)
        patched.setattr(scoring, "bucket_count", lambda *_: 3)
        patched.setattr(pair_scores, "MOST_ROWS", 200)
        return ppi_ml.train(log, target="depletion", settings=settings, track=False)


def never(*_, **__):
    raise AssertionError("a training may not hold the scores of all pairs")


@pytest.fixture(scope="module")
def scorer(run):
    return ppi_ml.Scorer.load(run.bundle)


@pytest.fixture(scope="module")
def end(log):
    return str(log.observed_until)


@pytest.fixture(scope="module")
def scores(scorer, log, end):
    return scorer.score(log, end, days=[7, 30])


def test_the_curve_beats_what_knows_nobody_and_every_rule_of_one_date(run):
    pooled = [r for r in run.scorecard.rows if (r.cutoff, r.segment) == (POOLED, ELIGIBLE)]
    rows = {r.model: r for r in pooled if r.metric == "ibs"}
    rules = ("kaplan_meier", "last_gap", "mean_gap", "median_gap", "quantity_over_rate",
             "product_quantile", "shrunk_gap")  # fmt: skip
    assert all(rows[name].difference_high < 0 for name in rules)


def test_one_row_per_live_pair(scores, log):
    assert not scores.duplicated(["customer_id", "product"]).any()
    bought = log.order_lines.assign(day=lambda lines: lines["occurred_at"].dt.date)
    pairs = bought.groupby(["customer_id", "sku"])
    often = pairs["day"].nunique() >= 2
    last = pairs["occurred_at"].max().dt.tz_localize(None)
    live = often & (np.datetime64(scores["cutoff"].iloc[0]) - last <= np.timedelta64(120, "D"))
    found = list(zip(scores["customer_id"], scores["product"], strict=True))
    assert found == sorted(live[live].index)


def test_run_out_is_never_later_than_the_next_purchase(scores):
    later = scores["next_p50_date"].isna() | (scores["runout_p50_date"] <= scores["next_p50_date"])
    assert later.all()
    assert (scores["p_runout_30d"] >= scores["p_next_30d"] - 1e-12).all()
    assert np.allclose(scores["no_event_by_30d"], 1 - scores["p_next_30d"])


def test_parts_of_any_size_make_the_same_table(scorer, log, end, scores, monkeypatch):
    from ppi_ml import scoring

    monkeypatch.setattr(scoring, "bucket_count", lambda *_: 5)
    parts = list(scorer.score_parts(log, end, days=[7, 30]))
    assert len(parts) == 5
    whole = pl.concat(parts).sort("customer_id", "product")
    told = pl.from_pandas(scores.reset_index(drop=True))
    for name in ("runout_p50_days", "no_event_by_7d", "best_window_probability"):
        np.testing.assert_array_equal(whole[name].to_numpy(), told[name].to_numpy())


def test_one_customer_in_a_request_is_that_customer_s_rows(scorer, log, end, scores):
    customer = scores["customer_id"].iloc[len(scores) // 2]
    alone = log.customer(customer)
    tables = {name: getattr(alone, name) for name in alone.tables if name != "products"}
    tables = {name: frame for name, frame in tables.items() if len(frame)}
    said = scorer.one(tables | {"products": log.products}, end)
    known = {row["product"]: row["runout_p50_days"] for row in said.rows}
    batch = scores[scores["customer_id"] == customer]
    assert len(batch) > 1
    for product, days in zip(batch["product"], batch["runout_p50_days"], strict=True):
        assert (known[product] is None) == bool(np.isnan(days))
        assert np.isnan(days) or known[product] == pytest.approx(days, rel=1e-9)


def test_asked_for_by_customer(scorer, log, end, scores):
    few = scores["customer_id"].unique()[:3].tolist()
    found = scorer.score(log, end, ids=[*few, "nobody"])
    assert set(found["customer_id"]) == {*few, "nobody"}
    scored = found[found["status"] == "scored"]
    assert len(scored) == int(scores["customer_id"].isin(few).sum())
    assert found.loc[found["customer_id"] == "nobody", "status"].tolist() == ["no_history"]


def test_what_is_out_of_stock_is_not_reminded_of(scorer, log, end, scores):
    product = scores["product"].mode()[0]
    stock = log.tables["stock"]
    last = stock.frame.filter(pl.col("sku") == product).tail(1)
    row = stock.frame.head(1) if last.is_empty() else last
    out = row.with_columns(
        sku=pl.lit(product), available=pl.lit("no"), at=log.observed_until.at - 2,
        known=log.observed_until.at - 1, wall=log.observed_until.wall - 2,
    ).select(stock.frame.columns)  # fmt: skip
    frame = pl.concat([stock.frame, out]).sort("at", "sku")
    without = replace(log, tables={**log.tables, "stock": replace(stock, frame=frame)})
    found = scorer.score(without, end)
    of_it = found["product"] == product
    assert found.loc[of_it, "nudge_date"].isna().all()
    assert (found.loc[of_it, "nudge_reason"] == "out of stock").all()
    assert (found["runout_p50_days"].fillna(-1) == scores["runout_p50_days"].fillna(-1)).all()


def test_a_run_folder_made_by_parts_holds_the_whole_score_table(run, scorer, log, end):
    """The run was made from three parts, and read back in ranges of two hundred rows."""
    scores = scorer.score(log, end)
    found = pd.read_parquet(run.folder / "predictions.parquet")
    scores.to_parquet(run.folder.parent / "whole.parquet", index=False)
    whole = pd.read_parquet(run.folder.parent / "whole.parquet")
    pd.testing.assert_frame_equal(found, whole, rtol=1e-12)
    assert found.attrs == whole.attrs == scores.attrs
    assert len(found) > 600
    listed = run_outs.listed(pl.from_pandas(found), 60)
    assert (run.folder / "run_outs.csv").read_text() == listed.write_csv()
    page = (run.folder / "run_outs.md").read_text()
    assert page == run_outs.to_markdown(listed, end)
    assert not list(run.folder.glob(".*"))


def test_the_scorecard_speaks_of_pairs(run):
    card = run.scorecard
    assert card.entity == "customer_product"
    assert Scorecard.from_dict(card.to_dict()) == card
    told = [line for line in card.to_markdown().splitlines() if "customer" in line.lower()]
    # who is resampled is a customer, with all rows
    about = ("- A pair is a customer and a product", "- Intervals: ", "- **95 % interval**: ",
             "- No table consents: ")  # fmt: skip
    assert [line for line in told if not line.startswith(about)] == []
    assert "two pairs, the one that was bought again earlier" in card.to_markdown()
    assert "Everybody" not in card.to_markdown()


def test_what_is_not_consumable_is_told_and_not_scored(log, tmp_path):
    products = log.tables["products"]
    sku = log.tables["order_lines"].frame["sku"].mode()[0]
    frame = products.frame.with_columns(
        consumable=pl.when(pl.col("sku") == sku).then(pl.lit("no")).otherwise("consumable")
    )
    less = replace(log, tables={**log.tables, "products": replace(products, frame=frame)})
    settings = SETTINGS | {"output.folder": str(tmp_path), "folds.train_cutoffs": 3,
                           "model.stages": "process", "baselines": ["kaplan_meier"]}  # fmt: skip
    run = ppi_ml.train(less, target="depletion", settings=settings, track=False)
    lines = (log.tables["order_lines"].frame["sku"] == sku).sum()
    assert f"{lines:,} order lines are of what is not consumable; they are in no pair." in (
        run.scorecard.notes
    )
    found = pl.read_parquet(run.folder / "predictions.parquet")["product"]
    assert sku not in found.to_list()
    assert len(found) > 100


def test_the_list_for_people(run, scores):
    text = (run.folder / "run_outs.md").read_text()
    assert text.startswith("# Who runs out of what, when")
    rows = pl.read_csv(run.folder / "run_outs.csv", infer_schema=False)
    assert rows.height == len(scores)
    assert rows["remind on"].drop_nulls().is_sorted()


def test_the_command_keeps_the_soonest_of_each_customer(run, log, end, scores, tmp_path):
    data = tmp_path / "shop"
    data.mkdir()
    for name in log.tables:
        getattr(log, name).to_parquet(data / f"{name}.parquet")
    out = tmp_path / "due.parquet"
    command = ["score", "--model", str(run.bundle), "--data", str(data), "--cutoff", end,
               "--out", str(out), "--top", "2", "--quiet"]  # fmt: skip
    done = CliRunner().invoke(cli.app(), command)
    assert done.exit_code == 0, done.output
    found = pl.read_parquet(out)
    assert found.group_by("customer_id").len()["len"].max() == 2
    first = scores.sort_values(["customer_id", "runout_p50_days", "product"])
    first = first.groupby("customer_id").head(2)
    expected = set(zip(first["customer_id"], first["product"], strict=True))
    assert set(zip(found["customer_id"], found["product"], strict=True)) == expected


# ------------------------------------------------------------------ what cannot be
def test_a_product_that_the_log_cannot_tell_is_refused(log):
    bare = replace(log, tables={"order_lines": log.tables["order_lines"]})
    with pytest.raises(DataError, match=r"target\.product.*products.*set target.product to sku"):
        ppi_ml.train(
            bare, target="depletion", settings=SETTINGS | {"target.product": "category"},
            track=False,
        )  # fmt: skip


def test_a_column_of_products_that_is_none_is_refused(log):
    with pytest.raises(DataError, match="colour"):
        ppi_ml.train(
            log, target="depletion", settings=SETTINGS | {"target.product": "colour"}, track=False
        )


def test_families_of_customers_are_refused(log):
    with pytest.raises(ConfigError, match="orders is about customer, not about customer_product"):
        ppi_ml.train(
            log, target="depletion", settings=SETTINGS | {"features.families": ["orders"]},
            track=False,
        )  # fmt: skip


def test_reasons_are_not_told_of_pairs(scorer, log, end):
    with pytest.raises(UsageError, match="pairs"):
        scorer.explain(log, end)
