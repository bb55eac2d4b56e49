"""What people call the rows: one word for every entity, wherever a scorecard or command speaks."""

import json
from dataclasses import replace
from typing import cast

import polars as pl
import pytest
from tests import moments
from tests.backtests import PLANTED
from tests.backtests import shop as backtest_of
from typer.testing import CliRunner

from ppi_ml import cli, evaluation, training
from ppi_ml.declare import Target
from ppi_ml.entities import CUSTOMER, LINE, ORDER, PAIR
from ppi_ml.nouns import NOUNS, noun_of_keys
from ppi_ml.shelf import shelf

ABOUT_ORDERS = {
    "target.horizon": "30d", "target.active_within": "60d", "tune.trials": 1, "engine.threads": 1,
    "features.windows": [90], "features.families": ["basket", "sent_back", "parcel", "orders"],
}  # fmt: skip


def test_every_target_is_about_something_that_has_a_noun():
    targets = shelf("ppi_ml.targets", "TARGET")
    assert {cast(Target, targets[name]).entity for name in targets} <= set(NOUNS)
    assert set(NOUNS) == {CUSTOMER, PAIR, ORDER, LINE}
    assert [noun.a for noun in NOUNS.values()] == [
        "a customer", "a pair", "an order", "an order line"
    ]  # fmt: skip


def test_keys_tell_pairs_from_customers():
    assert noun_of_keys(["customer_id", "product"]) == NOUNS[PAIR]
    assert noun_of_keys(["customer_id"]) == NOUNS[CUSTOMER]


@pytest.mark.parametrize("entity", NOUNS)
def test_a_scorecard_says_what_a_row_is_unless_it_is_a_customer(entity):
    backtest = replace(backtest_of(PLANTED), entity=entity)
    card = evaluation.judge(backtest, seed=1, draws=100)
    assert card.entity == entity
    said = [note for note in card.notes if note.startswith(("A pair is", "A row is"))]
    assert said == ([] if entity == CUSTOMER else [NOUNS[entity].meaning])
    assert evaluation.judge(backtest.take(slice(0)), seed=1).entity == entity
    assert evaluation.judge(backtest.take(slice(20)), seed=1).entity == entity


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """A run about order lines."""
    log = moments.log_of(moments.TRUTH_DAYS, **moments.planted(0, truth=True))
    settings = ABOUT_ORDERS | {"output.folder": str(tmp_path_factory.mktemp("runs"))}
    return log, training.train(log, target="return_risk", settings=settings, track=False)


def test_a_scorecard_about_lines_speaks_of_lines(lines):
    _, run = lines
    assert json.loads((run.folder / "scorecard.json").read_text())["entity"] == LINE
    page = (run.folder / "scorecard.md").read_text()
    assert NOUNS[LINE].meaning in page
    assert "predicted number of order lines to which it happens" in page
    told = [line for line in page.splitlines() if "customer" in line]
    about = ("- Intervals: ", "- **95 % interval**: ", "| customer_rate", "| minus customer_rate",
             "- customer_rate: ")  # fmt: skip
    assert [line for line in told if not line.startswith(about)] == []


def test_a_scorecard_that_judges_nothing_says_what_it_is_about(tmp_path):
    frames = {
        name: frame.filter(pl.col("occurred_at") < moments.day(150))
        for name, frame in moments.planted(0, customers=400).items()
    }
    log = moments.log_of(150, **frames)
    settings = ABOUT_ORDERS | {"output.folder": str(tmp_path)}
    run = training.train(log, target="return_risk", settings=settings, track=False)
    assert run.verdict.status == "unjudged"
    assert run.scorecard.entity == LINE


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--top", "--top: this model scores order lines; expected a model of pairs"),
        ("--explain", "--explain: reasons are told of customers; this model scores order lines"),
    ],
)
def test_commands_name_what_a_model_scores(lines, tmp_path, option, said):
    log, run = lines
    log.order_lines.to_parquet(tmp_path / "order_lines.parquet")
    asked = ["score", "--model", str(run.bundle), "--data", str(tmp_path), "--cutoff",
             "2025-06-20", "--out", str(tmp_path / "out.csv"), option, "2", "--quiet"]  # fmt: skip
    done = CliRunner().invoke(cli.app(), asked)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
