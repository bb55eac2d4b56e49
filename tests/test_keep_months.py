"""`data.keep_months`: what is older is gone, counted, and no window claims to have seen it."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from tests import bazaar
from tests.conftest import START, ZONE

import ppi_ml
from ppi_ml import consent, dataset
from ppi_ml.errors import DataError
from ppi_ml.events import RawTable, load_tables, newest_months
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past

END = "2020-01-01"


def at(day):
    return Cutoff.parse(day, ZONE)


@pytest.fixture(scope="module")
def frames(make_shop):
    """Every table there is; surveys that ended long ago, and two old consents."""
    made = bazaar.frames(make_shop(customers=120))
    old = START + timedelta(days=30)
    granted = pl.DataFrame({"customer_id": ["c1", "c2"], "purpose": "profiling",
                            "granted": ["no", "yes"], "occurred_at": [old, old]})  # fmt: skip
    return made | {"consents": granted}


def load(frames, **how):
    """The log of the frames; the surveys of two years ended after one."""
    began = bazaar.BEGAN | {"consents": 0}
    raw = {
        name: RawTable(
            frame, observed_from=START + timedelta(days=began[name]),
            observed_until=START + timedelta(days=365 if name == "surveys" else 730),
        )
        for name, frame in frames.items()
    }  # fmt: skip
    raw["surveys"] = RawTable(
        raw["surveys"].frame.filter(pl.col("occurred_at") < pl.lit(START + timedelta(365))
                                    .dt.replace_time_zone("UTC")),
        observed_from=raw["surveys"].observed_from,
        observed_until=raw["surveys"].observed_until,
    )  # fmt: skip
    return load_tables(raw, timezone=ZONE, currency="GBP", **how)


@pytest.fixture(scope="module")
def whole(frames):
    return load(frames)


@pytest.fixture(scope="module")
def recent(frames):
    return load(frames, keep_months=6)


def test_every_dated_table_begins_there_and_what_is_older_is_counted(whole, recent):
    start = at("2019-07-01")
    for name, table in recent.tables.items():
        before = whole.tables[name]
        if not table.dated or table.holds:
            assert table.frame.equals(before.frame)
            continue
        gone = int((before.frame["at"] < start.at).sum())
        assert table.frame.equals(before.frame.filter(pl.col("at") >= start.at))
        assert table.observed_from == start
        note = f"{name}: {gone:,} events that occurred before 2019-07-01 were set aside"
        assert note in recent.report.notes


def test_a_table_that_had_ended_by_then_is_absent_and_said_to_be(whole, recent):
    """Empty, it would look like a record of silence."""
    assert "surveys" in whole.tables
    assert "surveys" not in recent.tables
    assert "surveys: ended before 2019-07-01, so treated as absent" in recent.report.notes
    gone = whole.tables["surveys"].frame.height
    assert (
        f"surveys: {gone:,} events that occurred before 2019-07-01 were set aside"
        in recent.report.notes
    )
    assert Past(whole, at(END)).has("surveys")
    assert not Past(recent, at(END)).has("surveys")


def test_an_old_denial_still_denies(whole, recent):
    assert consent.denied(recent, at(END)).to_list() == ["c1"]
    assert consent.withdrawn(recent).to_list() == consent.withdrawn(whole).to_list() == ["c1"]


def test_windows_say_only_what_they_could_see(whole, recent):
    """Short windows are as before; what is seen for less than a quarter of a window is null."""
    orders = dataset.families(["orders"])
    long, short = (dataset.build(log, [at(END)], orders) for log in (whole, recent))
    assert Past(recent, at(END)).table_age_us("order_lines") == 184 * 86_400_000_000
    kept = short.keys["customer_id"]
    rows = long.keys["customer_id"].is_in(kept.implode()).to_numpy()
    assert 0 < len(kept) < len(long)
    for name in (n for n in short.names if n.endswith("__30d")):
        np.testing.assert_array_equal(short.column(name), long.column(name)[rows])
    early = dataset.build(recent, [at("2019-08-15")], orders)  # 45 days: under a quarter of 365
    yearly = [n for n in early.names if "__count__365d" in n or "__rate__365d" in n]
    assert yearly
    assert all(np.isnan(early.column(name)).all() for name in yearly)


def test_a_log_that_is_given_is_cut_the_same_way(frames, whole, recent):
    again = newest_months(whole, 6)
    assert again.fingerprint == recent.fingerprint
    assert newest_months(recent, 6).fingerprint == recent.fingerprint
    assert set(again.report.notes) == set(recent.report.notes)
    assert newest_months(whole, 600).fingerprint == whole.fingerprint


# ------------------------------------------------------------------ training and scoring
@pytest.fixture(scope="module")
def shop(make_shop, as_log):
    return as_log(make_shop(seed=1, customers=250))


@pytest.fixture(scope="module")
def scorer(shop, tmp_path_factory):
    """A bundle of a training that keeps 15 of 24 months."""
    settings = {
        "data.keep_months": 15, "target.horizon": "60d", "tune.trials": 1,
        "folds.train_cutoffs": 3, "model.processes": ["mbg_nbd"], "model.stages": "process+glm",
        "baselines": ["base_rate"], "output.folder": str(tmp_path_factory.mktemp("runs")),
    }  # fmt: skip
    run = ppi_ml.train(shop, target="churn", settings=settings, track=False)
    return ppi_ml.Scorer.load(run.bundle)


def test_training_on_a_given_log_keeps_the_months_of_the_config(scorer, shop):
    assert scorer.bundle.manifest["data"]["observed_from"] == "2018-10-01"
    assert scorer.bundle.manifest["data"]["fingerprint"] == newest_months(shop, 15).fingerprint


def test_a_request_with_older_events_says_what_the_log_says(scorer, shop):
    """As one, so all: the request is cut as the log is."""
    log = newest_months(shop, 15)
    table = scorer.score(log, END, everyone=True).set_index("customer_id")["churn_probability"]
    lines = shop.tables["order_lines"].frame
    older = lines.filter(pl.col("at") < log.observed_from.at)["customer_id"]
    asked = [c for c in table.index if c in set(older)][:5]
    assert asked
    for customer in asked:
        own = shop.until(END).customer(customer)
        events = {name: getattr(own, name) for name, t in own.tables.items() if len(t.frame)}
        said = scorer.one(events, END).values["churn_probability"]
        assert said == pytest.approx(table[customer], rel=1e-9)
    gone = next(c for c in older if c not in set(log.tables["order_lines"].frame["customer_id"]))
    with pytest.raises(DataError, match=r"no order line is left; see .*data\.keep_months"):
        scorer.one({"order_lines": shop.customer(gone).order_lines}, END)
