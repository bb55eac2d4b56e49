"""`data.purchases`: which types of orders make a purchase, in every place that asks."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from tests import bazaar, shops
from tests.loadings import SMALL
from tests.test_occasion_data import A_LINE, ANYTIME, FAMILIES, matrix, periods_of
from tests.test_properties import LOGS, build, frames_of, load

import ppi_ml
from ppi_ml import bundle as bundles
from ppi_ml import dataset, entities, labels, purchase_types, why_none
from ppi_ml.config import Config
from ppi_ml.entities import ONE_CUSTOMER, PAIR
from ppi_ml.errors import ConfigError, UsageError
from ppi_ml.instants import Cutoff
from ppi_ml.occasions import triggered
from ppi_ml.scoring import Scorer
from ppi_ml.training import train

BOTH = ("one_off", "subscription")


def relabelled(frames):
    """The same shop, had it called its subscriptions one_off."""
    kind = pl.col("order_type")
    lines = frames["order_lines"].with_columns(
        order_type=pl.when(kind == "subscription").then(pl.lit("one_off")).otherwise(kind)
    )
    return frames | {"order_lines": lines}


def same_matrix(one, other):
    assert one.names == other.names
    assert one.keys.equals(other.keys)
    assert np.array_equal(one.values, other.values, equal_nan=True)
    assert one.states == other.states


# ------------------------------------------------------------------ oracle: another word for it
@pytest.fixture(scope="module")
def market(make_shop):
    """(the log that counts subscriptions, one whose subscriptions are called one_off, usual)."""
    frames = bazaar.frames(make_shop())
    usual = bazaar.load(frames)
    return replace(usual, purchases=BOTH), bazaar.load(relabelled(frames)), usual


def test_columns_and_labels_of_customers_are_those_of_one_off_orders(market):
    found = []
    for log in market:
        cutoffs = [Cutoff.parse(day, log.timezone) for day in ("2019-01-01", "2019-06-01")]
        data = dataset.build(log, cutoffs, dataset.families())
        end = log.observed_until
        found.append((data, labels.durations(data, log, end), labels.usual_gap(log)))
    (data, waits, gap), (other, waits_, gap_), (usual, *_) = found
    same_matrix(data, other)
    assert np.array_equal(waits.days, waits_.days)
    assert np.array_equal(waits.observed, waits_.observed)
    assert gap == gap_
    assert data.keys.height > usual.keys.height  # customers of subscriptions alone are rows now


def test_columns_of_orders_and_lines_are_those_of_one_off_orders(market):
    found = []
    for log in market:
        rows = triggered(log, A_LINE, ANYTIME, Cutoff.parse("2019-01-01", log.timezone))
        periods = periods_of(log, "2018-01-08", "2018-07-01")
        found.append(matrix(log, rows, periods, list(FAMILIES.values()), A_LINE))
    same_matrix(found[0], found[1])
    assert not np.array_equal(found[0].values, found[2].values, equal_nan=True)


def test_columns_and_labels_of_pairs_are_those_of_one_off_orders():
    frames, found = shops.pantry(), []
    usual = shops.load(frames)
    for raw in (replace(usual, purchases=BOTH), shops.load(relabelled(frames)), usual):
        log = entities.prepared(raw, shops.SKU)
        cutoff = Cutoff.parse("2019-06-01", log.timezone)
        data = dataset.build(log, [cutoff], dataset.families(entity=PAIR), entity=shops.SKU)
        found.append((data, labels.durations(data, log, log.observed_until)))
    (data, waits), (other, waits_), (without, _) = found
    same_matrix(data, other)
    assert np.array_equal(waits.days, waits_.days)
    assert not np.array_equal(data.values, without.values, equal_nan=True)


@settings(max_examples=25)
@given(LOGS)
def test_any_log_is_that_of_one_off_orders(drawn):
    raw = frames_of(drawn)
    called = raw | {"order_lines": [row | {"order_type": "one_off"} for row in raw["order_lines"]]}
    assert build(replace(load(raw), purchases=BOTH)) == build(load(called))


def test_why_nothing_is_said_follows(log_of):
    lines = [("a", "2019-01-01", {"order_type": "subscription"}),
             ("b", "2019-01-01", {"order_type": "one_off"}),
             ("c", "2019-01-01", {"order_type": "exchange"})]  # fmt: skip
    log, cutoff = log_of(lines), Cutoff.parse("2019-02-01", "Europe/London")
    only = "no purchase before the cutoff, only order lines of the type {}"
    kinds = {"a": "subscription", "b": "one_off", "c": "exchange"}
    for purchases, bought in ((("one_off",), "b"), (("subscription",), "a"), (BOTH, "ab")):
        told = why_none.of_purchases(replace(log, purchases=purchases), cutoff, ONE_CUSTOMER)
        expected = {n: "" if n in bought else only.format(kind) for n, kind in kinds.items()}
        assert told == expected


# ------------------------------------------------------------------ how it is said
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], "expected a list of one_off or subscription; without a purchase there is nothing"),
        ("subscription", "expected a list of one_off or subscription, such as"),
        (["one_off", "free"], "free is never a purchase: what is free is given, not bought;"),
        (["exchange"], "exchange is never a purchase: an exchange follows from an earlier"),
        (["replacement"], "replacement is never a purchase"),
        (["abo"], 'expected a list of one_off or subscription, got "abo"'),
        (7, "expected a list of one_off or subscription"),
        (iter(BOTH), "expected a list of one_off or subscription, such as"),  # read but once
    ],
)
def test_what_cannot_be_a_purchase_is_refused_and_why(said, expected, make_shop):
    with pytest.raises(ConfigError) as error:
        Config.read(None, {"data.source": "cdnow", "target.name": "churn", "data.purchases": said})
    assert str(error.value).startswith(f"data.purchases: {expected}")
    with pytest.raises(UsageError) as error:
        ppi_ml.load(make_shop(customers=3), purchases=said)
    assert str(error.value).startswith(f"purchases: {expected}")


def test_each_is_meant_once_whatever_the_order(make_shop):
    sets = {"data.source": "cdnow", "target.name": "churn"}
    assert Config.read(None, sets).data.purchases == purchase_types.DEFAULT == ("one_off",)
    config = Config.read(None, sets | {"data.purchases": ["subscription", "one_off", "one_off"]})
    assert config.data.purchases == BOTH
    assert Config.read(config.to_dict()) == config
    log = ppi_ml.load(make_shop(customers=3), purchases=["subscription", "one_off"])
    assert log.purchases == BOTH


def test_a_training_takes_those_of_a_log_and_contradicts_none(shop):
    log = replace(shop, purchases=BOTH)
    with pytest.raises(UsageError, match="the log that is given was loaded otherwise"):
        train(log, settings=SMALL | {"data.purchases": ["subscription"]})


def test_the_fingerprint_tells_logs_apart_that_train_other_models(shop):
    assert replace(shop, purchases=BOTH).fingerprint != shop.fingerprint


def test_a_config_says_it_to_the_log(make_shop, tmp_path):
    path = tmp_path / "order_lines.parquet"
    make_shop(customers=3)["order_lines"].write_parquet(path)
    sets = {"data.source": "files", "data.path": str(path.parent), "target.name": "churn",
            "data.purchases": list(BOTH)}  # fmt: skip
    assert ppi_ml.inputs.load_log(Config.read(None, sets).data).purchases == BOTH


# ------------------------------------------------------------------ the bundle knows it
@pytest.fixture(scope="module")
def scored(make_shop, as_log, tmp_path_factory):
    """(run, scorer, log, frames): its model counts subscriptions."""
    frames = make_shop(seed=1, customers=250, quitters=True)
    log = replace(as_log(frames), purchases=BOTH)
    out = {"output.folder": str(tmp_path_factory.mktemp("runs"))}
    run = train(log, target="churn", settings=SMALL | out, track=False)
    return run, Scorer.load(run.bundle), log, frames


def test_the_bundle_records_it(scored):
    run, scorer, *_ = scored
    assert run.config.data.purchases == scorer.config.data.purchases == BOTH
    assert bundles.load(run.bundle).manifest["data"]["purchases"] == list(BOTH)


def test_a_log_is_scored_as_the_model_was_trained_however_it_was_loaded(scored):
    _, scorer, log, _ = scored
    table = scorer.score(log, "2020-01-01", everyone=True)
    other = scorer.score(replace(log, purchases=("one_off",)), "2020-01-01", everyone=True)
    assert table.equals(other)
    note = (
        "purchases: this log was loaded with one_off; what counts are those of the model, "
        "one_off, subscription"
    )
    assert note in other.attrs["notes"]
    assert note not in table.attrs["notes"]
    (part,) = scorer.score_parts(replace(log, purchases=("one_off",)), "2020-01-01", everyone=True)
    assert part["churn_probability"].to_list() == table["churn_probability"].tolist()


def test_a_request_is_answered_like_the_batch(scored):
    _, scorer, log, frames = scored
    lines = log.tables["order_lines"].frame
    kinds = lines.group_by("customer_id").agg(kinds=pl.col("order_type").unique())
    only = kinds.filter(pl.col("kinds") == ["subscription"])["customer_id"].sort()[0]
    scores = scorer.score(log, "2020-01-01", everyone=True).set_index("customer_id")
    events = {name: frame.filter(customer_id=only) for name, frame in frames.items()}
    said = scorer.one(events, "2020-01-01")
    assert said.status == "scored"
    expected = scores.loc[only, "churn_probability"]
    assert said.values["churn_probability"] == pytest.approx(expected, abs=1e-9)


def test_what_is_no_purchase_fills_the_house_as_before():
    """Subscriptions count as boxes unless they are purchases; then nothing is left to be one."""
    frames = shops.pantry()
    lines = frames["order_lines"].filter(pl.col("order_type") != "free")
    log = entities.prepared(shops.load(frames | {"order_lines": lines}), shops.SKU)
    cutoff = Cutoff.parse("2019-06-01", log.timezone)
    boxes = []
    for each in (log, replace(log, purchases=BOTH)):
        house = dataset.families(("house",), entity=PAIR)
        data = dataset.build(each, [cutoff], house, entity=shops.SKU)
        names = [n for n in data.names if n.startswith("house__box")]
        boxes.append(any(np.isfinite(data.column(n)).any() for n in names))
    assert boxes == [True, False]
