"""Depletion from end to end on a simulated shop: train, judge, score, and the list for people."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests import forged
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import bundle as bundles
from ppi_ml import (
    cli,
    dry_run,
    houses,
    pair_scores,
    rows,
    run_outs,
    scoring,
    simulate,
)
from ppi_ml.config import Config
from ppi_ml.entities import PAIR, Entity
from ppi_ml.errors import ConfigError, DataError, IntegrityError, UsageError
from ppi_ml.models.stocks import Stocks
from ppi_ml.score_rows import ELIGIBLE, POOLED
from ppi_ml.scorecard import Scorecard
from ppi_ml.simulate import Shop

DAYS, CUSTOMERS = 420, 250
SKU = Entity(PAIR, "sku", "category")
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


def test_further_members_may_be_asked_for(log, end, tmp_path):
    asked = {"model.members": "staged+cox+newest", "folds.train_cutoffs": 4,
             "target.least_purchases": 3, "output.folder": str(tmp_path)}  # fmt: skip
    found = ppi_ml.train(log, target="depletion", settings=SETTINGS | asked, track=False)
    loaded = ppi_ml.Scorer.load(found.bundle)
    assert {"staged", "cox", "newest"} <= set(loaded.model.curve.weights)
    often = loaded.score(log, end)
    assert often["p_next_30d"].between(0, 1).all()
    assert len(often) > 100


def test_one_row_per_live_pair(scores, log):
    assert not scores.duplicated(["customer_id", "product"]).any()
    bought = log.order_lines.assign(day=lambda lines: lines["occurred_at"].dt.date)
    pairs = bought.groupby(["customer_id", "sku"])
    often = pairs["day"].nunique() >= 2
    last = pairs["occurred_at"].max().dt.tz_localize(None)
    live = often & (np.datetime64(scores["cutoff"].iloc[0]) - last <= np.timedelta64(120, "D"))
    found = list(zip(scores["customer_id"], scores["product"], strict=True))
    assert found == sorted(live[live].index)


def test_run_out_of_a_usual_house_is_never_later_than_the_next_purchase(scorer, log, end):
    """Of goods that were at home at once, in the usual amount, and of whose use nothing is said."""
    few = {name: table for name, table in log.tables.items() if name not in ("deliveries", "usage")}
    lines = few["order_lines"]
    single = replace(lines, frame=lines.frame.with_columns(
        quantity=pl.lit(1.0), quantity_e3=pl.lit(1_000, dtype=pl.Int64)
    ))  # fmt: skip
    plain = replace(log, tables=few | {"order_lines": single})
    scores = scorer.score(plain, end, allow_stale=True)
    later = scores["next_p50_date"].isna() | (scores["runout_p50_date"] <= scores["next_p50_date"])
    assert later.all()
    assert (scores["p_runout_30d"] >= scores["p_next_30d"] - 1e-12).all()
    assert len(scores) > 500


def test_probabilities_of_days_are_those_of_the_curve(scores):
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


@pytest.mark.filterwarnings("ignore:deliveries, usage")
def test_a_model_is_not_asked_again_about_pairs_that_are_as_usual(scorer, log, end, monkeypatch):
    """That is most of the work, and the answer is known."""
    few = {name: table for name, table in log.tables.items() if name not in ("deliveries", "usage")}
    lines = few["order_lines"]
    single = lines.frame.with_columns(quantity=pl.lit(1.0), quantity_e3=pl.lit(1_000, pl.Int64))
    half = pl.concat([single.head(single.height // 2), lines.frame.tail(-(single.height // 2))])
    plain = replace(log, tables=few | {"order_lines": replace(lines, frame=half)})
    asked, build = [], rows.build
    monkeypatch.setattr(rows, "build", lambda data, *more: asked.append(data) or build(data, *more))
    found = scorer.curves(plain, end, allow_stale=True).consuming.cumulative
    assert len(found) > sum(map(len, asked[1:])) > 0
    monkeypatch.setattr(
        houses, "_asked",
        lambda curve, data, known, other, *given: houses.Answer.of(curve, build(other, *given)),
    )  # fmt: skip
    whole = scorer.curves(plain, end, allow_stale=True).consuming.cumulative
    np.testing.assert_allclose(found, whole, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:deliveries, usage")
def test_a_stock_that_is_as_usual_is_worked_out_once(scorer, log, end, monkeypatch):
    few = {name: table for name, table in log.tables.items() if name not in ("deliveries", "usage")}
    worked, lasting = [], houses.lasting
    monkeypatch.setattr(
        houses, "lasting", lambda *given: worked.append(len(given[1])) or lasting(*given)
    )
    found = scorer.curves(replace(log, tables=few), end, allow_stale=True).consuming.cumulative
    once = sum(worked)
    monkeypatch.setattr(Stocks, "differ", lambda own, _others: np.ones(len(own.since), bool))
    whole = scorer.curves(replace(log, tables=few), end, allow_stale=True).consuming.cumulative
    assert len(found) < once < sum(worked) - once
    np.testing.assert_array_equal(found, whole)


# ------------------------------------------------------------------ what is in the house
READ = ("p10", "p50", "p90")


def houses_of(scorer, log, end, cases):
    """Case -> days of the run-out at P10, P50, P90 (null: later than is known).

    A case is the last purchase (days ago), and what is known beside four earlier ones, 20 days
    apart, of the product bought most: `quantity`, `came` (days ago), `box` (days ago, type, units)
    and `used` (kind, days ago, amount).
    """
    sku = log.order_lines["sku"].mode()[0]

    def at(days):
        return log.observed_until.plus(-days).at - 36_000_000_000  # ten hours before midnight

    lines, parcels, reports = [], [], []

    def order(who, number, days, units=1, kind="one_off"):
        lines.append({"customer_id": who, "order_id": f"{who}-{number}", "line_id": "1",
                      "occurred_at": at(days), "sku": sku, "quantity": units,
                      "unit_price": 5.0, "order_type": kind})  # fmt: skip

    def parcel(who, number, days):
        parcels.append({"shipment_id": f"{who}-{number}", "customer_id": who,
                        "order_id": f"{who}-{number}", "occurred_at": at(days)})  # fmt: skip

    for number, (last, more) in enumerate(cases):
        who = f"x{number:04d}"
        for i in range(5):
            days = last + 20 * (4 - i)
            order(who, i, days, more.get("quantity", 1) if i == 4 else 1)
            if i < 4:
                parcel(who, i, days - 2)
        if "came" in more:
            parcel(who, 4, more["came"])
        if "box" in more:
            days, kind, units = more["box"]
            order(who, "box", days, units, kind)
            parcel(who, "box", days - 1)
        reports += [{"usage_id": f"{who}-{i}", "customer_id": who, "sku": sku, "kind": kind,
                     "occurred_at": at(days), "amount": amount}
                    for i, (kind, days, amount) in enumerate(more.get("used", ()))]  # fmt: skip
    tables = {"order_lines": lines, "deliveries": parcels}
    tables |= {"usage": reports} if reports else {}
    frames = {name: pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.from_epoch("occurred_at", time_unit="us").dt.replace_time_zone("UTC"))
        for name, rows in tables.items()}  # fmt: skip
    raw = ppi_ml.load(frames | {"products": log.products}, currency="EUR", until=end)
    found = scorer.score(raw, end, everyone=True, allow_stale=True)
    assert found["customer_id"].tolist() == [f"x{i:04d}" for i in range(len(cases))]
    return [[np.inf if np.isnan(d) else d for d in row]
            for row in found[[f"runout_{q}_days" for q in READ]].to_numpy()]  # fmt: skip


def never_sooner(found, least):
    """Whether each case runs out no sooner than the one before, and the last one so much later."""
    steps = np.array(found)
    assert (steps[1:] >= steps[:-1] - 1e-9).all()
    assert steps[-1][1] > steps[0][1] + least


def test_a_later_delivery_makes_the_run_out_later(scorer, log, end):
    came = (28, 27, 25, 20, 12, 8, 5, 3, 1)
    found = houses_of(scorer, log, end, [(30, {"came": days}) for days in came])
    never_sooner(found, least=8)
    for last in (6, 12, 60, 100):  # of a fast pair as well, and of one that is overdue
        came = range(last, 0, -max(1, last // 8))
        never_sooner(houses_of(scorer, log, end, [(last, {"came": d}) for d in came]), least=1)


def test_what_is_under_way_runs_out_after_what_has_come(scorer, log, end):
    there, waiting, late = houses_of(scorer, log, end, [
        (1, {"came": 1}), (1, {}), (20, {}),
    ])  # fmt: skip
    assert waiting[1] > there[1]
    assert late[1] > waiting[1] - 3  # it may come any moment, but it is not there


@pytest.mark.parametrize("kind", ["subscription", "replacement", "exchange", "free"])
def test_what_comes_without_a_purchase_makes_the_run_out_later(scorer, log, end, kind):
    plain = (30, {"came": 28})
    boxes = [(30, {"came": 28, "box": (days, kind, 1)}) for days in (25, 15, 6, 2)]
    never_sooner(houses_of(scorer, log, end, [plain, *boxes]), least=8)
    sizes = [(30, {"came": 28, "box": (10, kind, units)}) for units in (1, 2, 4, 12)]
    never_sooner(houses_of(scorer, log, end, sizes), least=5)


@pytest.mark.parametrize("kind", ["first_use", "refill"])
def test_a_later_opening_makes_the_run_out_later(scorer, log, end, kind):
    plain = (30, {"came": 28})
    opened = [(30, {"came": 28, "used": [(kind, days, 1.0)]}) for days in (27, 20, 10, 4, 1)]
    never_sooner(houses_of(scorer, log, end, [plain, *opened]), least=8)


def test_the_more_a_device_has_read_the_sooner_it_runs_out(scorer, log, end):
    read = [(30, {"came": 28, "used": [("telemetry", 1, used)]})
            for used in (2.0, 0.9, 0.6, 0.3, 0.05)]  # fmt: skip
    never_sooner(houses_of(scorer, log, end, read), least=5)


def test_an_opening_and_a_reading_say_different_things(scorer, log, end):
    first, refill, read = houses_of(scorer, log, end, [
        (30, {"came": 28, "used": [("first_use", 20, 1.0), (kind, 1, 1.0)]})
        for kind in ("first_use", "refill", "telemetry")
    ])  # fmt: skip
    assert first == refill
    assert read[1] < refill[1] - 3


def test_the_regression_of_pairs_knows_no_amount_that_training_has_not_seen(scorer):
    bounds = scorer.bundle.json("glm.json")["staged"]["bounds"]
    assert {"fact_ln_amount", "fact_amount_over_usual", "log_value"} <= set(bounds)
    least, most = bounds["fact_ln_amount"]  # one to three packs, each beside those of its kind
    assert -2 < least < 0 < most < np.log(3) + 2
    assert "log_age" not in bounds


def test_more_never_runs_out_sooner(scorer, log, end):
    """From a thousandth of a pack to what no training has seen, however long ago."""
    amounts = (0.001, 0.5, 1, 1.5, 2, 3, 4, 8, 16, 64, 1_000, 100_000)
    for last in (1, 4, 10, 30, 75):
        for more in ({"came": max(last - 2, 0)}, {}, {"used": [("telemetry", 1, 0.4)]}):
            cases = [(last, more | {"quantity": amount}) for amount in amounts]
            never_sooner(houses_of(scorer, log, end, cases), least=5)


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
    listed = run_outs.listed(
        pl.from_pandas(found), 60, run_outs.what_they_are(log, SKU, log.observed_until)
    )
    assert listed["category"].null_count() == 0
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


def test_pairs_are_judged_on_other_dates_as_they_are_scored(run, log, looked_back):
    cutoff = log.observed_until.plus(-90)
    card = ppi_ml.evaluate(run, log, cutoff, in_sample=True)
    assert card.entity == PAIR and {row.model for row in card.rows} >= {"model", "kaplan_meier"}
    judged = looked_back[0].filter("eligible")
    scores = pl.from_pandas(ppi_ml.Scorer.load(run.bundle).score(log, str(cutoff), days=[60]))
    both = judged.join(scores, on=["customer_id", "product"])
    assert len(judged) > 100 and len(both) == len(judged)
    np.testing.assert_allclose(both["model"], both["no_event_by_60d_right"], atol=1e-6)


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


def test_a_dry_run_tells_what_is_in_no_pair_as_a_training_does(log):
    lines, products = log.tables["order_lines"], log.tables["products"]
    unknown = pl.int_range(pl.len()) < 7
    named = lines.frame.with_columns(sku=pl.when(~unknown).then("sku"))
    pan = named["sku"].drop_nulls()[0]
    used_up = pl.when(pl.col("sku") == pan).then(pl.lit("no")).otherwise("consumable")
    frame = products.frame.with_columns(consumable=used_up)
    less = replace(log, tables={
        **log.tables, "order_lines": replace(lines, frame=named),
        "products": replace(products, frame=frame),
    })  # fmt: skip
    config = Config.read({"data": {"source": "dataframes", "currency": log.currency},
                          "target": {"name": "depletion", "horizon": "60d"}},
                         environ={})  # fmt: skip
    told = dry_run.describe(config, less).splitlines()
    pans = (named["sku"] == pan).sum()
    assert "7 order lines name no known product; they are in no pair" in told
    assert f"{pans:,} order lines are of what is not consumable; they are in no pair" in told
    nothing = replace(less, tables={**less.tables, "order_lines": replace(
        lines, frame=named.with_columns(sku=pl.lit(None, dtype=pl.String)))})  # fmt: skip
    with pytest.raises(DataError, match=r"target\.product: no order line has a product"):
        dry_run.describe(config, nothing)
    assert not [line for line in dry_run.describe(config, log).splitlines() if "no pair" in line]


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


# ------------------------------------------------------------------ what a bundle proves
def test_a_bundle_whose_run_out_differs_here_is_refused(run, tmp_path, monkeypatch):
    """Though what it says of the next purchase is the same."""
    told = bundles.load(run.bundle).json("selftest.json")
    assert len(told["run_out"]) == len(told["cumulative_hazard"]) == len(told["customers"]) == 3
    assert [len(numbers) for numbers in told["run_out"]] == [
        len(numbers) for numbers in told["cumulative_hazard"]
    ]
    assert any(request.get("usage") for request in told["customers"])
    older = forged.changed(
        run.bundle, tmp_path / "older", "selftest.json", lambda kept: kept.pop("run_out")
    )
    plain = houses.run_out
    monkeypatch.setattr(houses, "run_out", lambda *given: plain(*given) * (1 + 1e-7))
    with pytest.raises(IntegrityError, match=r"does not score the bundle .*run out: off by"):
        ppi_ml.Scorer.load(run.bundle)
    assert ppi_ml.Scorer.load(older).of_pairs  # of a version that kept less, less is compared


def test_a_state_that_lacks_an_array_is_refused_with_its_name(run, tmp_path):
    """As in bundles that were made before the penetration of products was known."""
    learned = ("again", "exponent", "ln_gap", "ln_rate", "names", "penetration")
    found = forged.refused_without(run.bundle, tmp_path)
    assert {f"families.refills.products.{name}" for name in learned} < found
    assert {"families.house.way_us", "families.house.recorded"} < found
    assert "processes.states.renewals.lapse_of_products" in found


def test_a_bundle_of_pairs_that_knows_no_house_is_refused(run, tmp_path):
    """As it was before run-outs were read from what is in the house."""

    def before(features):
        features["families"].remove("house")
        features["columns"] = [c for c in features["columns"] if not c.startswith("house__")]

    folder = forged.changed(run.bundle, tmp_path / "before", "features.json", before)
    with pytest.raises(IntegrityError, match=r"features\.json: the family house .*train again"):
        ppi_ml.Scorer.load(folder)


def test_orders_that_name_no_product_are_told_or_refused_when_scoring(scorer, log, end):
    lines = log.tables["order_lines"]

    def without(skus):
        frame = lines.frame.with_columns(sku=pl.when(~skus).then("sku"))
        return replace(log, tables={**log.tables, "order_lines": replace(lines, frame=frame)})

    told = scorer.score(without(pl.int_range(pl.len()) < 7), end).attrs["notes"]
    assert "7 order lines name no known product; they are in no pair" in told
    with pytest.raises(DataError, match="no order line has a product"):
        scorer.score(without(pl.lit(value=True)), end)


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
