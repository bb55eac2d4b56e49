"""The log that is trained on: what only all its tables together tell is kept, and told."""

import io
import json
from datetime import timedelta

import polars as pl
import pytest

import ppi_ml
from ppi_ml import training_log
from ppi_ml.config import Config
from ppi_ml.dry_run import describe
from ppi_ml.findings import Checks, Orphans, SentBack, Skew
from ppi_ml.progress import Progress

SETTINGS = {
    "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 3, "engine.threads": 1,
    "model.processes": ["mbg_nbd"], "model.stages": "process", "baselines": ["base_rate"],
}  # fmt: skip
EARLY = "returns: sent back before it was ordered in "


@pytest.fixture(scope="module")
def skewed(make_shop, as_log):
    """The shop whose returns are dated two months too early."""
    tables = make_shop(seed=1, customers=250)
    times = pl.col("occurred_at", "known_at") - timedelta(days=60)
    return as_log({**tables, "returns": tables["returns"].with_columns(times)})


def config():
    data = {"source": "dataframes", "timezone": "Europe/London"}
    return Config.read({"data": data, "target": {"name": "churn"}})


def test_a_log_is_looked_at_as_a_whole(skewed, shop):
    assert skewed.report.checks is None
    log = training_log.read(config(), (), skewed)
    assert (log.tables, log.fingerprint) == (skewed.tables, skewed.fingerprint)
    assert training_log.remarks(log)[0].startswith(EARLY)
    assert not [
        n for n in training_log.remarks(training_log.read(config(), (), shop)) if EARLY in n
    ]
    assert training_log.remarks(skewed) == ()


def test_of_less_than_a_hundredth_nothing_is_told():
    few = Checks(
        orphans=(Orphans("refunds", "order_id", "an order that is not there", 9, 1_000),),
        clock_skew=(Skew("deliveries", "delivered before it was shipped", 9, 1_000, 1.0),),
        sent_back=SentBack(9.0, 1_000.0, 3, 90),
        repeated={"reviews": 0.009},
        twice={"order_lines": 500},
        ahead=None,
        currency=None,
    )
    assert few.notable(training_log.NOTABLE) == ()
    assert few.notable(0.009) == (
        "refunds.order_id: 9 of 1,000 rows (0.9%) name an order that is not there",
        "deliveries: delivered before it was shipped in 9 of 1,000 rows (0.9%), by 1.0 hours in "
        "the median",
        "returns: 9 of 1,000 units were sent back without having been bought before",
        "reviews: 0.9% of the rows say what another one says under another id",
    )
    nothing = Checks((), (), SentBack(0.0, 0.0, 0, 0), {"reviews": 0.0}, {}, None, "EUR")
    assert nothing.notable(training_log.NOTABLE) == ()


def test_training_keeps_it_prints_it_and_says_it_on_the_scorecard(skewed, tmp_path):
    stream = io.StringIO()
    run = ppi_ml.train(
        skewed, target="churn", settings=SETTINGS | {"output.folder": str(tmp_path)}, track=False,
        progress=Progress(stream=stream),
    )  # fmt: skip
    assert EARLY in stream.getvalue()
    stored = json.loads((run.folder / "load_report.json").read_text())["checks"]
    early = next(s for s in stored["clock_skew"] if s["table"] == "returns")
    assert early["share"] > 0.9
    assert run.report.checks.to_dict() == stored
    assert f"In the log as a whole: {EARLY}" in (run.folder / "scorecard.md").read_text()


def test_a_dry_run_tells_it_too(skewed):
    assert "clock skew:\n" in describe(config(), skewed)
