"""A bundle judged on dates after its training: what it says there, and what nobody may know."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import cli, splits
from ppi_ml.errors import UsageError
from ppi_ml.instants import Cutoff
from ppi_ml.scorecard import Scorecard

UNTIL, HORIZON = "2019-07-01", 60
RIVALS = ["base_rate", "mbg_nbd", "rfm_pooled", "lightgbm_classifier"]
SETTINGS = {
    "target.horizon": f"{HORIZON}d",
    "tune.trials": 1,
    "folds.train_cutoffs": 4,
    "model.max_rows": 20_000,
    "model.processes": ["mbg_nbd", "gaps"],
    "model.stages": "process+glm+trees",
    "model.trees": {"num_leaves": 6, "learning_rate": 0.05, "min_data_in_leaf": 50,
                    "lambda_l2": 10.0},
    "baselines": RIVALS,
    "engine.threads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def log(make_shop, as_log):
    """Two years of a shop; the bundle knows the first half of the second one."""
    return as_log(make_shop(seed=1, customers=400, quitters=True))


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("runs"))
    early = log.until(UNTIL)
    return ppi_ml.train(
        early, target="churn", settings=SETTINGS | {"output.folder": folder}, track=False
    )


def test_what_is_judged_is_what_the_bundle_scores(run, log, looked_back):
    cutoffs = ["2019-07-01", "2019-09-10"]
    ppi_ml.evaluate(run, log, cutoffs)
    scorer = ppi_ml.Scorer.load(run.bundle)
    for cutoff in cutoffs:
        judged = looked_back[0].filter(pl.col("cutoff") == str(Cutoff.parse(cutoff, log.timezone)))
        asked = judged.filter("eligible").sort("customer_id")
        scores = scorer.score(log, cutoff)
        assert asked["customer_id"].to_list() == scores["customer_id"].tolist()
        np.testing.assert_allclose(asked["model"], scores["churn_probability"], rtol=1e-12)


def test_nobody_answers_with_what_came_after_the_training(run, log, looked_back):
    """Outcomes alone may differ when the months after a cutoff are other ones."""
    moved = log.tables["order_lines"]
    later = pl.col("at") >= Cutoff.parse(UNTIL, log.timezone).at
    frame = moved.frame.filter(~later | (pl.col("customer_id").hash(7) % 2 == 0))
    other = replace(log, tables={**log.tables, "order_lines": replace(moved, frame=frame)})
    ppi_ml.evaluate(run, log, UNTIL)
    ppi_ml.evaluate(run, other, UNTIL)
    said = [table.select("customer_id", "model", *RIVALS) for table in looked_back]
    assert said[0].equals(said[1])
    assert looked_back[0]["purchased"].sum() > looked_back[1]["purchased"].sum() > 0


def test_the_latest_dates_are_judged_unless_others_are_named(run, log):
    card = ppi_ml.evaluate(run, log)
    dates = sorted({row.cutoff for row in card.rows} - {"pooled"})
    newest = log.observed_until.plus(-HORIZON)
    assert 3 <= len(dates) <= splits.MOST_TEST_CUTOFFS
    assert newest.days_since(Cutoff.parse(dates[-1], log.timezone)) < 30  # settling
    assert dates[0] >= UNTIL
    assert {row.model for row in card.rows} == {"model", *RIVALS}
    assert f"learned from what was known by {UNTIL}" in card.notes[0]
    assert card.labels["model"].startswith("the bundle: ")
    assert Scorecard.from_dict(card.to_dict()) == card


def test_where_the_horizon_is_not_over_fewer_days_are_judged(run, log):
    short = ppi_ml.evaluate(run, log.until("2019-09-05"))
    days = int(short.verdict.text.split("judged at ")[1].split(" of 60 days")[0])
    assert splits.SHORTEST_HORIZON <= days <= 50
    with pytest.raises(UsageError, match=r"can be followed for \d+ days, and 28 are needed"):
        ppi_ml.evaluate(run, log.until("2019-07-20"))
    with pytest.raises(UsageError, match="load newer events, or choose an earlier cutoff"):
        ppi_ml.evaluate(run, log, ["2019-08-01", "2019-12-20"])


def test_dates_that_the_model_has_seen_are_refused_or_stamped(run, log):
    with pytest.raises(UsageError, match=f"2019-05-01 lies before {UNTIL}.*--in-sample"):
        ppi_ml.evaluate(run, log, ["2019-05-01", "2019-08-01"])
    card = ppi_ml.evaluate(run, log, ["2019-05-01", "2019-08-01"], in_sample=True)
    assert card.verdict.text.endswith("; in sample")
    assert card.notes[0].startswith("In sample: ")
    later = ppi_ml.evaluate(run, log, "2019-08-01", in_sample=True)
    assert "in sample" not in later.to_text().lower()


@pytest.mark.parametrize(
    ("cutoffs", "message"),
    [([], "expected one date or more"), ("soon", "soon"), ([7], "7")],
)
def test_what_is_no_date_is_refused(run, log, cutoffs, message):
    with pytest.raises(UsageError, match=message):
        ppi_ml.evaluate(run, log, cutoffs)


def test_what_is_no_log_or_lacks_the_training_is_refused(run, make_shop):
    shop = make_shop(seed=1, customers=400, quitters=True)
    with pytest.raises(UsageError, match="expected an event log, got DataFrame"):
        ppi_ml.evaluate(run, shop["order_lines"])
    late = shop["order_lines"].filter(pl.col("occurred_at").cast(pl.String) >= "2019-07-01")
    log = ppi_ml.load({"order_lines": late}, timezone="Europe/London", currency="GBP")
    with pytest.raises(UsageError, match=r"log begins at 2019-07-0.* load that history too"):
        ppi_ml.evaluate(run, log, "2019-08-01")


def test_threads_and_memory_are_those_that_the_scorer_was_given(run):
    engine = ppi_ml.Scorer.load(run.bundle, threads=3, memory="2GB").config.engine
    assert (engine.threads, engine.memory) == (3, "2GB")
    engine = ppi_ml.Scorer.load(run.bundle).config.engine
    assert (engine.threads, engine.memory) == (2, run.config.engine.memory)


def test_the_command_says_the_same(run, make_shop, tmp_path):
    for name, frame in make_shop(seed=1, customers=400, quitters=True).items():
        frame.write_csv(tmp_path / f"{name}.csv")
    args = ["evaluate", "--model", run.bundle, "--data", tmp_path, "--quiet", "--cutoff", UNTIL]
    ended = CliRunner().invoke(cli.app(), [str(arg) for arg in [*args, "--json"]])
    assert ended.exit_code in (0, 5), ended.stderr
    card = json.loads(ended.stdout)
    assert (ended.exit_code == 5) == (card["verdict"]["status"] == "worse")
    page = tmp_path / "told" / "later.md"
    again = CliRunner().invoke(cli.app(), [str(arg) for arg in [*args, "--out", page]])
    assert card["verdict"]["text"].split(" (")[0] in " ".join(again.stdout.split())
    assert page.read_text().startswith(f"# Verdict: {card['verdict']['status']}")
    wrong = CliRunner().invoke(cli.app(), [str(arg) for arg in [*args, "--out", tmp_path / "a.x"]])
    assert wrong.exit_code == 2 and "ends in .md or .json" in wrong.stderr
