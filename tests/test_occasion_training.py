"""Questions about orders and lines from end to end: trained, judged, shipped, scored."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from tests import moments
from tests.forged import refused_without
from tests.moments import TRUTH_DAYS, day
from typer.testing import CliRunner

from ppi_ml import bundle as bundles
from ppi_ml import cli, dry_run, plots, training
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError, IntegrityError, NotTrainableError, UsageError
from ppi_ml.hindsight import evaluate
from ppi_ml.instants import Cutoff
from ppi_ml.occasion_scoring import OccasionScorer
from ppi_ml.occasions import LATER, standing
from ppi_ml.progress import Progress
from ppi_ml.scoring import Scorer
from ppi_ml.shelf import shelf

TARGETS = ("late_delivery", "low_review", "return_risk")
FAMILIES = {
    "late_delivery": ["basket", "parcel", "orders"],
    "low_review": ["basket", "parcel", "liking", "orders"],
    "return_risk": ["basket", "sent_back", "parcel", "orders"],
}
SETTINGS = {
    "target.horizon": "30d", "target.active_within": "60d", "tune.trials": 2,
    "features.windows": [90], "engine.threads": 1,
    "model.trees": {"num_leaves": 4, "learning_rate": 0.1, "min_data_in_leaf": 20,
                    "lambda_l2": 5.0},
}  # fmt: skip
VALUES = {"late_delivery": [], "low_review": ["probability_of_condition", "probability_if"],
          "return_risk": []}  # fmt: skip
targets = shelf("ppi_ml.targets", "TARGET")
CLOSED = {"late_delivery": "every parcel that was promised for a day has come",
          "low_review": "there is a review of every such order",
          "return_risk": "everything was sent back"}  # fmt: skip
each_target = pytest.mark.parametrize("target", TARGETS)
when = "2025-06-20"
"""A cutoff near the end of the record, with events after it."""


@cache
def shop(truth=True):
    return moments.log_of(TRUTH_DAYS, **moments.planted(0, truth=truth))


def train(log, target, folder, **settings):
    asked = {**SETTINGS, "features.families": FAMILIES[target], "output.folder": str(folder)}
    return training.train(log, target=target, settings=asked | settings, track=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """target -> its run; and its scorer."""
    folder = tmp_path_factory.mktemp("runs")
    found = {target: train(shop(), target, folder) for target in TARGETS}
    return {target: (run, Scorer.load(run.bundle)) for target, run in found.items()}


def headline(run, model="model", metric="log_loss"):
    return next(
        row.value for row in run.scorecard.rows
        if (row.model, row.metric, row.segment, row.cutoff) == (model, metric, "eligible", "pooled")
    )  # fmt: skip


# ------------------------------------------------------------------ what came after
def test_a_bundle_is_judged_on_the_occasions_after_its_training(tmp_path):
    """The baselines know what the bundle knew, and what is not settled yet is left out."""
    until = day(TRUTH_DAYS - 120)
    run = train(shop().until(until), "late_delivery", tmp_path, **{"tune.trials": 1})
    card = evaluate(run, shop())
    dates = sorted({row.cutoff for row in card.rows} - {"pooled"})
    assert dates[0] >= str(Scorer.load(run.bundle).dated) and 1 <= len(dates) <= 3
    assert {row.model for row in card.rows} == {row.model for row in run.scorecard.rows}
    found = {
        row.model: row.value
        for row in card.rows
        if (row.metric, row.segment, row.cutoff) == ("log_loss", "eligible", "pooled")
    }
    assert found["model"] < found["event_rate"] - 0.03
    assert card.entity == "order" and card.labels["model"].startswith("the bundle: ")
    one = evaluate(run, shop(), dates[-1])
    assert {row.cutoff for row in one.rows} == {"pooled", dates[-1]}
    soon = Cutoff.parse(dates[0], shop().timezone).plus(20)
    few = evaluate(run, shop().until(soon), dates[0])
    assert any("their outcome is not settled yet" in note for note in few.notes)
    with pytest.raises(UsageError, match=r"\d+ days after it are needed .* load newer events"):
        evaluate(run, shop().until(day(TRUTH_DAYS - 90)))
    with pytest.raises(UsageError, match="--in-sample"):
        evaluate(run, shop(), day(TRUTH_DAYS - 150))


# ------------------------------------------------------------------ what is learned
@each_target
def test_a_planted_truth_is_found(runs, target):
    run, _ = runs[target]
    assert headline(run, metric="auc") > 0.7
    assert headline(run) < headline(run, "event_rate") - 0.03
    assert run.n_train > 500
    assert run.n_test > 200
    assert len(run.cutoffs) >= 2


@each_target
def test_without_a_truth_it_is_no_better_than_the_share_of_all(target, tmp_path):
    """Rule 4: outcomes without a reason. Nothing simple is beaten, and nothing is lost by much."""
    run = train(shop(truth=False), target, tmp_path, **{"tune.trials": 1})
    assert run.verdict.status != "better"
    assert headline(run) == pytest.approx(headline(run, "event_rate"), abs=0.03)


@each_target
def test_the_run_says_what_was_judged(runs, target):
    run, _ = runs[target]
    told = pl.read_parquet(run.folder / "backtest.parquet")
    keys = ["customer_id", "order_id", *(["line_id"] if target == "return_risk" else [])]
    assert told.columns[: len(keys) + 3] == [*keys, "trigger", "cutoff", "happened"]
    assert told.height == run.n_test
    assert set(told["cutoff"]) == set(run.cutoffs)
    assert LATER in set(told["trigger"])
    first = told.filter(pl.col("trigger") != LATER)
    assert headline(run, metric="auc") == pytest.approx(auc(first), abs=1e-6)
    (panel,) = plots.calibration_at(run).axes
    expected = f"{first['model'].sum():,.0f} predicted, {first['happened'].sum():,} came"
    assert panel.get_title("left") == f"{targets[target].question}\n{expected}"
    assert [path.name for path in (run.folder / "plots").iterdir()] == ["calibration.png"]
    text = run.scorecard.to_text()
    assert "First time asked" in text
    assert "purchase" not in text.lower()


def auc(table):
    hit = table["happened"].to_numpy()
    above, below = (table["model"].to_numpy()[hit == h] for h in (True, False))
    wins = (above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean()
    return float(wins)


def test_the_chance_given_the_condition_is_judged_beside(runs):
    notes = " ".join(runs["low_review"][0].scorecard.notes)
    assert "first occasions that met the condition" in notes
    assert "the probability given the condition has AUC" in notes


def test_what_is_judged_was_learned_from_what_was_known_before(tmp_path):
    """Whatever comes after the last test cutoff but the outcomes may be absurd; the model is blind.

    Parcels that leave after the test periods go to the moon: their lane is in no prediction.
    """
    frames = moments.planted(0)
    plain = train(shop(), "late_delivery", tmp_path)
    told = pl.read_parquet(plain.folder / "backtest.parquet")
    end = Cutoff.parse(plain.cutoffs[-1], moments.ZONE).plus(30)
    later = pl.col("known_at").dt.epoch("us") >= end.at
    sent = frames["shipments"]
    assert sent.select(later.sum()).item() > 50
    moon = pl.when(later).then(pl.lit("moon")).otherwise("region")
    frames["shipments"] = sent.with_columns(region=moon)
    other = train(moments.log_of(TRUTH_DAYS, **frames), "late_delivery", tmp_path)
    assert pl.read_parquet(other.folder / "backtest.parquet").equals(told)


# ------------------------------------------------------------------ it repeats
def test_the_same_config_data_and_seed_give_the_same_model(runs):
    run, _ = runs["return_risk"]
    one = bundles.load(run.bundle)
    same = train(shop(), "return_risk", run.config.output.folder)
    assert bundles.load(same.bundle).content_sha256 == one.content_sha256
    assert same.scorecard == run.scorecard


@each_target
def test_the_bundle_names_no_customer_and_no_order(runs, target):
    run, _ = runs[target]
    frames = shop().tables
    names = set(frames["order_lines"].frame["customer_id"])
    names |= set(frames["order_lines"].frame["order_id"])
    names |= set(frames["shipments"].frame["shipment_id"]) | set(
        frames["reviews"].frame["review_id"]
    )
    assert len(names) > 1000
    for path in run.bundle.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not [name for name in names if name in text], path.name
    if target == "return_risk":
        assert "pot" in run.bundle.joinpath("state.json").read_text(encoding="utf-8")


@each_target
def test_a_bundle_that_was_changed_is_refused(runs, target, tmp_path):
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(runs[target][0].bundle, copy)
    path = copy / "glm.json"
    path.write_text(path.read_text(encoding="utf-8").replace("intercept", "intercepd"))
    with pytest.raises(IntegrityError):
        Scorer.load(copy)


@each_target
def test_a_state_that_lacks_an_array_is_refused_with_its_name(runs, target, tmp_path):
    learned = {"late_delivery": "parcel.ways.ln", "low_review": "parcel.sd",
               "return_risk": "sent_back.back.odds"}  # fmt: skip
    assert f"families.{learned[target]}" in refused_without(runs[target][0].bundle, tmp_path)


# ------------------------------------------------------------------ the score table
ALWAYS = ["cutoff", "target", "status", "reason", "probability"]


@each_target
def test_the_columns_never_depend_on_the_data(runs, target):
    _, scorer = runs[target]
    assert isinstance(scorer, OccasionScorer)
    log = shop()
    keys = ["customer_id", "order_id", *(["line_id"] if target == "return_risk" else [])]
    whole = scorer.score(log, when)
    expected = [*keys, *ALWAYS, *VALUES[target], "horizon_days", "model_version", "model_sha256"]
    assert list(whole.columns) == expected
    some = whole["customer_id"].unique()[:2].tolist()
    tables = [
        scorer.score(log, when, ids=some),
        scorer.score(log, when, ids=["nobody"]),
        scorer.score(log, when, ids=[]),
        scorer.score(log, "2024-02-01", allow_stale=True),
        scorer.score(log.only(some[:1]), when),
        *(pd.DataFrame(part.to_pandas()) for part in scorer.score_parts(log, when)),
    ]
    for table in tables:
        assert list(table.columns) == expected
    for table in tables[:-1]:
        assert table.dtypes.to_dict() == whole.dtypes.to_dict()
    assert len(tables[3]) == 0


@each_target
def test_every_open_order_or_line_is_scored(runs, target):
    _, scorer = runs[target]
    table = scorer.score(shop(), when)
    rows = standing(shop(), scorer.model.entity, scorer.model.asking,
                    Cutoff.parse(when, moments.ZONE))  # fmt: skip
    keys = list(scorer.model.entity.keys)
    assert table[keys].to_numpy().tolist() == [list(row) for row in rows.select(keys).rows()]
    assert len(table) > 5
    assert (table["status"] == "scored").all()
    assert table["probability"].between(0, 1).all()
    assert (table["cutoff"] == when).all()
    assert (table["target"] == target).all()
    assert (table["horizon_days"] == 30).all()
    assert (table["model_sha256"] == scorer.bundle.content_sha256).all()


def test_both_probabilities_fit_together(runs):
    table = runs["low_review"][1].score(shop(), when)
    product = table["probability_of_condition"] * table["probability_if"]
    assert table["probability"].to_numpy() == pytest.approx(product.to_numpy())
    assert (table["probability"] <= table["probability_of_condition"]).all()


@each_target
def test_what_stands_for_days_is_answered_by_the_model_of_later_occasions(runs, target):
    """A bundle whose first model says nothing else than 'certain' says it of new rows alone."""
    scorer = Scorer.load(runs[target][0].bundle)
    part = "first.hit"
    sure = replace(scorer.model.chance.parts[part], intercept=40.0, trees=None,
                   slopes=np.zeros(0))  # fmt: skip
    chance = replace(
        scorer.model.chance, conditional=False, parts={**scorer.model.chance.parts, part: sure}
    )
    # `names` are those of the first model
    scorer.model = replace(scorer.model, chance=chance)
    table = scorer.score(shop(), when)
    rows = standing(shop(), scorer.model.entity, scorer.model.asking,
                    Cutoff.parse(when, moments.ZONE))  # fmt: skip
    certain = (table["probability"] > 0.99).tolist()
    assert certain == (rows["trigger"] != LATER).to_list()
    assert 0 < sum(certain) < len(certain)


@each_target
def test_scores_are_those_of_the_cut_log(runs, target):
    _, scorer = runs[target]
    whole, cut = scorer.score(shop(), when), scorer.score(shop().until(when), when)
    assert_frame_equal(whole, cut, check_exact=True)
    assert any("not used" in note for note in whole.attrs["notes"])
    assert cut.attrs["notes"] == []


# ------------------------------------------------------------------ one customer
def events_of(customer, cutoff):
    """What a shop sends of one customer: all tables, up to the cutoff."""
    frames = moments.planted(0)
    before = pl.col("occurred_at") < pl.lit(cutoff).str.to_datetime()
    return {
        name: frame.filter(pl.col("customer_id") == customer, before)
        for name, frame in frames.items()
    }


@each_target
def test_one_customer_has_the_row_of_the_batch_exactly(runs, target):
    _, scorer = runs[target]
    table = scorer.score(shop(), when)
    keys = list(scorer.model.entity.keys)
    customers = table["customer_id"].unique()[:6]
    for customer in customers:
        said = scorer.one(events_of(customer, when), when)
        batch = table[table["customer_id"] == customer].to_dict("records")
        assert [row["probability"] for row in said.rows] == [row["probability"] for row in batch]
        assert [[row[k] for k in keys] for row in said.rows] == [
            [r[k] for k in keys] for r in batch
        ]
        assert said.values == said.rows[0]
        assert (said.status, said.curves) == ("scored", None)
    assert len(customers) > 2


@each_target
def test_one_customer_of_whom_nothing_is_open_has_the_row_of_the_batch(runs, target):
    """The same status, and the same reason of the four or five that there are."""
    _, scorer = runs[target]
    table = scorer.score(shop(), when)
    quiet = sorted(set(shop().customer_ids) - set(table["customer_id"]))[:30]
    batch = scorer.score(shop(), when, ids=quiet).astype(object)
    batch = batch.where(batch.notna(), None).set_index("customer_id", drop=False)
    asked = batch[batch["status"] == "not_eligible"].drop_duplicates("reason")
    assert len(asked) > 1
    for customer, expected in asked.iterrows():
        said = scorer.one(events_of(customer, when), when)
        assert said.rows == [said.values] == [expected.to_dict()]
        assert (said.status, said.curves) == ("not_eligible", None)
        assert said.values["reason"].startswith("nothing is open: ")


@each_target
def test_events_of_two_customers_or_from_the_future_are_refused(runs, target):
    _, scorer = runs[target]
    two = {"order_lines": moments.planted(0)["order_lines"].head(40)}
    with pytest.raises(DataError, match="expected the events of one customer"):
        scorer.one(two, "2026-01-01")
    one = events_of("customer-0003", "2025-07-20")
    with pytest.raises(DataError, match="lies after the cutoff"):
        scorer.one(one, "2024-12-01")


# ------------------------------------------------------------------ some customers
@each_target
def test_some_customers_by_id(runs, target):
    _, scorer = runs[target]
    log, cutoff = shop(), "2024-04-01"
    table = scorer.score(log, cutoff, allow_stale=True)
    lines = log.tables["order_lines"].frame
    known = lines.filter(pl.col("known") < Cutoff.parse(cutoff, moments.ZONE).at)
    open_ = table["customer_id"].iloc[0]
    quiet = sorted(set(known["customer_id"]) - set(table["customer_id"]))[0]
    later = sorted(set(lines["customer_id"]) - set(known["customer_id"]))[0]
    found = scorer.score(log, cutoff, ids=["nobody", later, open_, quiet], allow_stale=True)
    status = found.set_index("customer_id")["status"].to_dict()
    assert status == {
        open_: "scored", quiet: "not_eligible", later: "no_history", "nobody": "no_history",
    }  # fmt: skip
    reasons = found.set_index("customer_id")["reason"].to_dict()
    assert reasons[later] == "no order before the cutoff"
    assert reasons[quiet] == f"nothing is open: {CLOSED[target]}"
    mine = found[found["status"] == "scored"].reset_index(drop=True)
    theirs = table[table["customer_id"] == open_].reset_index(drop=True)
    assert_frame_equal(mine, theirs, check_exact=True)
    blank = found[found["status"] != "scored"]
    assert blank[["order_id", "probability", *VALUES[target]]].isna().all().all()
    with pytest.raises(UsageError, match="asked for twice"):
        scorer.score(log, cutoff, ids=[open_, open_], allow_stale=True)


def test_what_is_not_for_these_models_is_refused(runs):
    _, scorer = runs["low_review"]
    with pytest.raises(UsageError, match="no curve to read"):
        scorer.score(shop(), when, days=[7])
    with pytest.raises(UsageError, match="a probability, not a curve"):
        scorer.curves(shop(), when)
    with pytest.raises(UsageError, match="reasons are told of customers"):
        scorer.explain(shop(), when)


# ------------------------------------------------------------------ consent
def denials(*rows):
    """(customer, day, granted) as a table of consents."""
    told = [
        {"customer_id": who, "occurred_at": day(at), "known_at": day(at), "purpose": "profiling",
         "granted": granted}
        for who, at, granted in rows
    ]  # fmt: skip
    return pl.DataFrame(told)


def test_who_has_denied_is_a_row_without_values(runs):
    for _, scorer in runs.values():
        table = scorer.score(shop(), when)
        gone, kept = table["customer_id"].unique()[:2]
        frames = moments.planted(0) | {"consents": denials((gone, 3, "no"), (kept, 3, "yes"))}
        log = moments.log_of(TRUTH_DAYS, **frames)
        found = scorer.score(log, when)
        mine = found[found["customer_id"] == gone]
        assert mine["status"].tolist() == ["no_consent"]
        assert mine["reason"].tolist() == ["denied profiling"]
        assert mine[["order_id", "probability"]].isna().all().all()
        others = found[found["customer_id"] != gone].reset_index(drop=True)
        expected = table[table["customer_id"] != gone].reset_index(drop=True)
        assert_frame_equal(others, expected, check_exact=True)
        assert list(found.columns) == list(table.columns)
        by_id = scorer.score(log, when, ids=[gone, kept])
        assert by_id[by_id["customer_id"] == gone]["status"].tolist() == ["no_consent"]


def test_who_had_denied_is_in_no_row_of_that_time(tmp_path):
    """Also who allowed it again: what was denied then is not learned from, nor judged."""
    frames = moments.planted(0)
    run_days = (300, 520)
    busy = frames["order_lines"].group_by("customer_id").len().sort("len", "customer_id")
    back, gone = busy["customer_id"][-1], busy["customer_id"][-2]
    told = denials((back, run_days[0], "no"), (back, run_days[1], "yes"), (gone, 530, "no"))
    log = moments.log_of(TRUTH_DAYS, **frames, consents=told)
    run = train(log, "return_risk", tmp_path)
    judged = pl.read_parquet(run.folder / "backtest.parquet")
    assert gone not in set(judged["customer_id"])
    assert back not in set(judged["customer_id"])  # all test periods lie between the two days
    plain = train(shop(), "return_risk", tmp_path)
    assert {back, gone} & set(pl.read_parquet(plain.folder / "backtest.parquet")["customer_id"])
    assert run.n_train < plain.n_train
    assert any("1 of 200 customers denied profiling" in note for note in run.scorecard.notes)


# ------------------------------------------------------------------ what cannot be trained
NEEDS = {
    "late_delivery": ("shipments", "deliveries"),
    "low_review": ("deliveries", "reviews"),
    "return_risk": ("returns",),
}
LACKING = [(target, table) for target, tables in NEEDS.items() for table in tables]


@pytest.mark.parametrize(("target", "table"), LACKING)
def test_a_table_that_is_missing_is_named(target, table, tmp_path):
    frames = {name: frame for name, frame in moments.planted(0).items() if name != table}
    log = moments.log_of(TRUTH_DAYS, **frames)
    with pytest.raises(NotTrainableError, match=f"{target} needs the table {table}.*load it"):
        train(log, target, tmp_path)
    config = config_of(target)
    with pytest.raises(NotTrainableError, match=f"{target} needs the table {table}"):
        dry_run.describe(config, log)


def config_of(target, **more):
    return Config.read(
        {"data": {"source": "dataframes"}, "target": {"name": target}},
        {**SETTINGS, "features.families": FAMILIES[target], **more}, environ={},
    )  # fmt: skip


def test_older_cutoffs_are_of_customers_alone():
    """What a year ago teaches of a parcel or of a return was not measured."""
    told = [
        dry_run.describe(config_of("low_review", **{"folds.every": 5, "folds.train_cutoffs": most}),
                         shop())
        for most in (20, 24, 60)
    ]  # fmt: skip
    assert told[0] != told[1] == told[2]


def test_returns_can_be_asked_about_without_deliveries(tmp_path):
    frames = moments.planted(0, customers=120)
    few = {name: frames[name] for name in ("order_lines", "returns")}
    run = train(moments.log_of(TRUTH_DAYS, **few), "return_risk", tmp_path)
    told = pl.read_parquet(run.folder / "backtest.parquet")
    assert set(told["trigger"]) == {"ordered", LATER}
    table = Scorer.load(run.bundle).score(moments.log_of(TRUTH_DAYS, **few), when)
    assert len(table) > 5


def test_too_few_outcomes_say_how_many_there_are(tmp_path):
    frames = moments.planted(0)
    frames["returns"] = frames["returns"].head(8)
    with pytest.raises(NotTrainableError, match=r"only \d+ of [\d,]+ settled occasions .* had the"):
        train(moments.log_of(TRUTH_DAYS, **frames), "return_risk", tmp_path)


def test_a_log_that_is_too_short_says_so(tmp_path):
    frames = {
        name: frame.filter(pl.col("occurred_at") < day(40))
        for name, frame in moments.planted(0).items()
    }
    with pytest.raises(NotTrainableError, match="the log covers 40 days, too few for periods"):
        train(moments.log_of(40, **frames), "late_delivery", tmp_path)


def test_a_log_that_is_short_ships_unjudged(tmp_path):
    frames = {
        name: frame.filter(pl.col("occurred_at") < day(150))
        for name, frame in moments.planted(0, customers=400).items()
    }
    run = train(moments.log_of(150, **frames), "late_delivery", tmp_path)
    assert run.verdict.status == "unjudged"
    assert not (run.folder / "backtest.parquet").exists()
    assert len(Scorer.load(run.bundle).score(moments.log_of(150, **frames), "2024-06-28")) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baselines": ["kaplan_meier"]}, "kaplan_meier answers questions of the kind duration"),
        ({"features.families": ["sent_back"]}, "sent_back is about order_line, not about order"),
        ({"features.families": ["refills"]}, "not about order"),
        ({"baselines": ["lane_rat"]}, "lane_rate"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(shop(), "late_delivery", tmp_path, **settings)


OF_CURVES = {
    "model.stages": "process", "model.processes": ["gaps"], "model.season": "off",
    "model.members": "staged", "tune.objective": "ibs",
}  # fmt: skip


@each_target
@pytest.mark.parametrize(("path", "value"), OF_CURVES.items())
def test_a_setting_of_curves_is_refused_and_not_ignored(target, path, value, tmp_path):
    message = rf"^{path}: is of survival curves alone; leave it out\n{target} is a probability"
    with pytest.raises(ConfigError, match=message):
        train(shop(), target, tmp_path / "runs", **{path: value})
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ConfigError, match=message):
        dry_run.describe(config_of(target, **{path: value}), shop())


def test_all_settings_of_curves_are_named_at_once_with_those_that_apply():
    with pytest.raises(ConfigError) as raised:
        dry_run.describe(config_of("low_review", **OF_CURVES), shop())
    *lines, last = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in lines] == list(OF_CURVES)
    assert "(share, logistic, logistic+trees) are chosen on earlier periods" in last
    assert "model.trees, model.max_rows and tune.trials" in last


@each_target
def test_defaults_that_are_written_out_ask_for_nothing(target):
    """A config of a run folder spells out every setting, those of curves too."""
    written = Config.read({**config_of(target).to_dict()}, {"tune.objective": "log_loss"}, {})
    assert written.model.season == "auto"
    assert f"target: {target}" in dry_run.describe(written, shop())


def test_why_texts_are_not_used_is_told_once(tmp_path):
    """The shop's customers give stars and write nothing."""
    stream = io.StringIO()
    asked = SETTINGS | {
        "features.families": ["basket", "liking", "reviews"], "output.folder": str(tmp_path),
        "baselines": ["event_rate"], "tune.trials": 1,
    }  # fmt: skip
    training.train(
        shop(), target="low_review", settings=asked, track=False, progress=Progress(stream=stream)
    )
    (said,) = [line for line in stream.getvalue().splitlines() if "texts" in line]
    assert said.startswith("not used: the texts of reviews (each half is read by what the other")
    assert "too few texts with stars to learn from: 0, 0 of them with few stars" in said


def test_a_rate_that_a_row_cannot_say_is_told_as_not_trainable(tmp_path):
    run = train(shop(), "late_delivery", tmp_path, baselines=["event_rate", "product_rate"])
    text = run.scorecard.to_text()
    assert "product_rate" in text
    assert "a row does not say its product" in " ".join(text.split())


def test_a_question_about_curves_takes_no_baseline_of_probabilities(tmp_path):
    asked = {**SETTINGS, "output.folder": str(tmp_path), "baselines": ["event_rate"]}
    with pytest.raises(ConfigError, match="event_rate answers questions of the kind probability"):
        training.train(shop(), target="churn", settings=asked, track=False)


# ------------------------------------------------------------------ scoring what is not all there
def test_a_log_that_cannot_trigger_the_question_is_refused(runs):
    _, scorer = runs["late_delivery"]
    frames = moments.planted(0)
    log = moments.log_of(TRUTH_DAYS, order_lines=frames["order_lines"])
    with pytest.raises(DataError, match=r"late_delivery is asked when something was shipped.*load"):
        scorer.score(log, when)


@each_target
def test_a_log_without_a_table_is_scored_and_says_so(runs, target):
    """Any table but the one that asks: its features are null, as the notes say."""
    _, scorer = runs[target]
    asks = {"late_delivery": "shipments", "low_review": "deliveries", "return_risk": "order_lines"}
    kept = {"order_lines", asks[target]}
    log = moments.log_of(TRUTH_DAYS, **{n: f for n, f in moments.planted(0).items() if n in kept})
    found = scorer.score(log, when)
    assert len(found) > 5
    absent = set(shop().tables) - set(log.tables)
    (note,) = [note for note in found.attrs["notes"] if "absent" in note]
    assert set(note.split(":")[0].split(", ")) == absent


# ------------------------------------------------------------------ the command line
@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the tables as CSV, and a config for each target."""
    folder = tmp_path_factory.mktemp("shop")
    frames = moments.planted(0)
    tables = {}
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv")
        tables[name] = {"path": str(folder / f"{name}.csv")}
    for target in TARGETS:
        asked = {
            "data": {"source": "files", "tables": tables, "timezone": moments.ZONE,
                     "currency": "GBP"},
            "target": {"name": target, "horizon": "30d", "active_within": "60d"},
        }  # fmt: skip
        (folder / f"{target}.yaml").write_text(json.dumps(asked))
    return folder


def ppi_ml(*args):
    return CliRunner().invoke(cli.app(), [str(arg) for arg in args])


def test_a_dry_run_refuses_a_setting_of_curves(files):
    asked = ("--dry-run", "--set", "model.season=off")
    ended = ppi_ml("train", files / "late_delivery.yaml", *asked)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("model.season: is of survival curves alone; leave it out\n")


@each_target
def test_a_dry_run_says_what_would_be_done(files, target):
    ended = ppi_ml("train", files / f"{target}.yaml", "--dry-run")
    assert ended.exit_code == 0, ended.output
    assert f"target: {target}, asked when" in ended.stdout
    assert "test periods of 30 days from" in ended.stdout
    assert "event_rate" in ended.stdout


def test_scores_are_written_from_files(files, runs, tmp_path):
    run, scorer = runs["return_risk"]
    out, some = tmp_path / "scores.csv", tmp_path / "ids.txt"
    table = scorer.score(shop(), when)
    who = table["customer_id"].iloc[0]
    some.write_text(f"{who}\nnobody\n")
    ended = ppi_ml("score", "--model", run.bundle, "--data", files / "return_risk.yaml",
                   "--cutoff", when, "--ids", some, "--out", out, "--quiet", "--json")  # fmt: skip
    assert ended.exit_code == 0, ended.output
    written = pd.read_csv(out, dtype={"customer_id": str, "order_id": str, "line_id": str})
    expected = table[table["customer_id"] == who]
    assert written[written["status"] == "scored"]["order_id"].tolist() == (
        expected["order_id"].tolist()
    )
    assert written["status"].tolist().count("no_history") == 1
    found = written["probability"].dropna().to_numpy()
    assert found == pytest.approx(expected["probability"].to_numpy(), rel=1e-9)


SCORING = """
import sys
from ppi_ml.scoring import Scorer
scorer = Scorer.load({bundle!r})
lines = [{{"customer_id": "c", "order_id": "o", "line_id": "1", "sku": "tea", "quantity": 1,
           "unit_price": 5.0, "occurred_at": "2025-06-17T10:00:00"}}]
parcels = [{{"customer_id": "c", "order_id": "o", "shipment_id": "p", "region": "south",
             "occurred_at": "2025-06-18T10:00:00", "promised_at": "2025-06-25"}}]
came = [{{"customer_id": "c", "order_id": "o", "shipment_id": "p",
          "occurred_at": "2025-06-19T10:00:00"}}]
events = {{"order_lines": lines, "shipments": parcels}}
if scorer.model.target["name"] != "late_delivery":
    events["deliveries"] = came
assert scorer.one(events, "2025-06-20").status == "scored"
{more}
print(*sorted(m for m in sys.modules if m.startswith(("ppi_ml.future", "ppi_ml.labels",
    "ppi_ml.outcomes", "ppi_ml.targets", "ppi_ml.occasion_training", "mlflow", "optuna"))))
"""


def loaded_by_scoring(bundle, more=""):
    code = SCORING.format(bundle=str(bundle), more=more)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@each_target
def test_a_process_that_scores_never_loads_the_future(runs, target):
    assert loaded_by_scoring(runs[target][0].bundle) == []


def test_an_import_hidden_from_the_linter_is_seen_at_run_time(runs):
    hidden = "import importlib; importlib.import_module('ppi_ml.' + 'outcomes')"
    found = loaded_by_scoring(runs["late_delivery"][0].bundle, hidden)
    assert "ppi_ml.outcomes" in found
