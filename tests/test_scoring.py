"""Scoring: the same columns for everybody, nothing from after the cutoff, nothing damaged."""

import hashlib
import importlib.metadata
import json
import subprocess
import sys
import traceback
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.forged import copy_of, refused_without

import ppi_ml
from ppi_ml import bundle as bundles
from ppi_ml import dataset
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.scoring import Scorer

END = "2020-01-01"  # where the log of the shop ends
COLUMNS = [
    "customer_id", "cutoff", "target", "status", "reason", "churn_probability", "horizon_days",
    "model_version", "model_sha256",
]  # fmt: skip
VALUES = ["churn_probability", "horizon_days"]


@pytest.fixture(scope="module")
def scorer(trained):
    return Scorer.load(trained[0].bundle)


@pytest.fixture(scope="module")
def log(trained):
    return trained[1]


@pytest.fixture(scope="module")
def everybody(scorer, log):
    return scorer.score(log, END, everyone=True)


# ------------------------------------------------------------------ the table
def test_the_end_of_the_log_may_be_asked_for_by_its_name(scorer, log):
    """And the notes say which instant that is."""
    by_name, by_date = scorer.score(log, "end"), scorer.score(log, END)
    pd.testing.assert_frame_equal(by_name, by_date)
    said = [note for note in by_name.attrs["notes"] if note not in by_date.attrs["notes"]]
    assert said == [f"the log ends at {log.observed_until}, and that is the cutoff"]
    earlier = scorer.score(log.until("2019-12-01"), "end")
    assert set(earlier["cutoff"].astype(str)) == {"2019-12-01"}


def test_the_eligible_are_scored_unless_everybody_is_asked_for(scorer, log, everybody):
    table = scorer.score(log, END)
    assert list(table.columns) == list(everybody.columns) == COLUMNS
    assert 0 < len(table) < len(everybody)
    assert set(table["status"]) == set(everybody["status"]) == {"scored"}
    assert table["customer_id"].is_monotonic_increasing
    assert table["churn_probability"].between(0, 1).all()
    assert set(table["customer_id"]) < set(everybody["customer_id"])
    lines = log.tables["order_lines"].frame.filter(order_type="one_off")
    assert sorted(everybody["customer_id"]) == sorted(lines["customer_id"].unique())


def test_a_score_says_which_model_and_which_cutoff_it_is_of(everybody, trained):
    sha = bundles.load(trained[0].bundle).content_sha256
    assert set(everybody["model_sha256"]) == {sha}
    assert set(everybody["model_version"]) == {trained[0].folder.name}
    assert set(everybody["cutoff"]) == {END}
    assert set(everybody["target"]) == {"churn"}
    assert set(everybody["horizon_days"]) == {60}


def test_ids_give_exactly_those_rows_in_their_order(scorer, log, everybody):
    eligible = scorer.score(log, END)["customer_id"]
    lapsed = next(c for c in everybody["customer_id"] if c not in set(eligible))
    asked = [eligible.iloc[3], "nobody", lapsed, eligible.iloc[0]]
    table = scorer.score(log, END, ids=asked)
    assert list(table.columns) == COLUMNS
    assert table.dtypes.equals(everybody.dtypes)
    assert table["horizon_days"].dtype == "Int64"
    assert table["customer_id"].tolist() == asked
    assert table["status"].tolist() == ["scored", "no_history", "not_eligible", "scored"]
    assert table["reason"].isna().tolist() == [True, False, False, True]
    assert table["reason"][1] == "no purchase before the cutoff"
    assert table["reason"][2] == "no purchase in the last 180 days"
    assert table[VALUES].isna().all(axis=1).tolist() == [False, True, True, False]
    always = ["cutoff", "target", "model_version", "model_sha256"]
    assert table[always].notna().all(axis=None)
    known = everybody.set_index("customer_id").loc[asked[0], "churn_probability"]
    assert table["churn_probability"][0] == known


def test_only_unknown_ids_give_the_same_columns(scorer, log):
    table = scorer.score(log, END, ids=["x", "y"], days=[7])
    assert list(table.columns) == [*COLUMNS[:7], "no_event_by_7d", *COLUMNS[7:]]
    assert table["status"].tolist() == ["no_history"] * 2
    assert "2 of 2 ids asked for are in no table of this log" in table.attrs["notes"]
    known = scorer.score(log, END, ids=log.customer_ids[:1].to_list())
    assert not [note for note in known.attrs["notes"] if "asked for" in note]


def test_an_id_twice_is_refused_without_naming_it(scorer, log):
    with pytest.raises(UsageError, match="asked for twice") as error:
        scorer.score(log, END, ids=["c1", "c1"])
    assert "c1" not in str(error.value)


def test_nobody_before_the_first_purchase(scorer, log):
    table = scorer.score(log, "2018-01-01", allow_stale=True)
    assert len(table) == 0
    assert list(table.columns) == COLUMNS
    asked = scorer.score(log, "2018-01-01", ids=["c1"], allow_stale=True)
    assert asked["status"].tolist() == ["no_history"]
    assert asked["cutoff"].tolist() == ["2018-01-01"]


def test_days_add_a_curve_that_never_rises_and_meets_the_reading(scorer, log, everybody):
    table = scorer.score(log, END, everyone=True, days=[7, 30, 60])
    curve = table[["no_event_by_7d", "no_event_by_30d", "no_event_by_60d"]].to_numpy()
    assert (np.diff(curve, axis=1) <= 0).all()
    assert table["no_event_by_60d"].tolist() == everybody["churn_probability"].tolist()


def test_a_day_beyond_the_curve_is_refused(scorer, log):
    with pytest.raises(UsageError, match="the curve reaches"):
        scorer.score(log, END, days=[4000])
    with pytest.raises(UsageError, match="the curve reaches"):
        scorer.curves(log, END, days=[4000])


@pytest.mark.parametrize("days", [30, 30.5, None, "30", ["soon"], [None]])
def test_days_that_are_no_list_of_numbers_are_refused(scorer, log, days):
    with pytest.raises(UsageError, match="days: expected"):
        scorer.score(log, END, days=days)
    if days is not None:
        with pytest.raises(UsageError, match="days: expected"):
            scorer.curves(log, END, days=days)


def test_days_may_be_an_array(scorer, log):
    wanted = scorer.score(log, END, days=[30, 60])
    pd.testing.assert_frame_equal(scorer.score(log, END, days=np.array([30, 60])), wanted)


def test_curves_carry_their_customers(scorer, log, everybody):
    curves = scorer.curves(log, END)
    assert curves.keys["customer_id"].to_list() == everybody["customer_id"].tolist()
    found = curves.survival([60])[:, 0]
    assert found.tolist() == everybody["churn_probability"].tolist()


@pytest.mark.parametrize("cutoff", ["soon", "2020-13-01", 5, ""])
def test_a_cutoff_that_is_none_is_refused(scorer, log, cutoff):
    with pytest.raises(UsageError):
        scorer.score(log, cutoff)
    with pytest.raises(UsageError):
        scorer.one(events_of(log, log.customer_ids[0]), cutoff)


# ------------------------------------------------------------------ one as all, and nothing late
def test_some_customers_are_scored_as_among_all(scorer, log, everybody):
    parts = [scorer.score(log.bucket(i, 3), END, everyone=True) for i in range(3)]
    found = pd.concat(parts).sort_values("customer_id", ignore_index=True)
    assert found["customer_id"].tolist() == everybody["customer_id"].tolist()
    # a matrix product over other rows may differ in the last bit
    expected = everybody["churn_probability"].to_numpy()
    assert found["churn_probability"].to_numpy() == pytest.approx(expected, rel=1e-12)


def events_of(log, customer):
    """The events of a customer as a request carries them."""
    own = log.until(END).customer(customer)
    tables = {"order_lines": own.order_lines, "returns": own.returns}
    return {
        name: json.loads(frame.drop(columns=["currency"], errors="ignore").to_json(
            orient="records", date_format="iso", date_unit="us", double_precision=15))
        for name, frame in tables.items()
        if len(frame)
    }  # fmt: skip


def test_a_request_says_the_same_as_the_log(scorer, log, everybody):
    returned = set(log.until(END).tables["returns"].frame["customer_id"])
    sent_back = [customer for customer in everybody["customer_id"] if customer in returned]
    for customer in [*everybody["customer_id"][:3], *sent_back[:3]]:
        said = scorer.one(events_of(log, customer), END)
        expected = everybody.set_index("customer_id").loc[customer, "churn_probability"]
        assert said.customer_id == customer
        assert said.status == "scored"
        assert said.values["churn_probability"] == pytest.approx(expected, rel=1e-9)
        assert said.curves.survival([60])[0, 0] == said.values["churn_probability"]


@pytest.mark.parametrize("cutoff", ["2019-07-01", "2019-11-15"])
def test_events_known_later_are_not_used_and_counted(scorer, log, cutoff):
    later = sum(
        int((t.frame["known"] >= Cutoff.parse(cutoff, log.timezone).at).sum())
        for t in log.tables.values()
    )
    assert later
    whole = scorer.score(log, cutoff, everyone=True)
    cut = scorer.score(log.until(cutoff), cutoff, everyone=True)
    pd.testing.assert_frame_equal(whole, cut)
    assert f"{later:,} events known at or after {cutoff} were not used" in whole.attrs["notes"]
    assert not any("not used" in note for note in cut.attrs["notes"])


def test_a_late_event_that_happened_before_the_cutoff_is_not_used(scorer, log, everybody):
    """A purchase of yesterday that is entered tomorrow cannot be known today."""
    table = log.tables["order_lines"]
    at = Cutoff.parse(END, log.timezone).at
    customer = everybody["customer_id"][0]
    late = table.frame.filter(customer_id=customer).tail(1).with_columns(
        at=pl.lit(at - 10**9), wall=pl.lit(at - 10**9), known=pl.lit(at), order_id=pl.lit("late")
    )  # fmt: skip
    frame = pl.concat([table.frame, late]).sort("customer_id", "at", "order_id", "line_id")
    more = replace(log, tables={**log.tables, "order_lines": replace(table, frame=frame)})
    found = scorer.score(more, END, everyone=True)
    assert found["churn_probability"].tolist() == everybody["churn_probability"].tolist()


def test_old_states_are_noted(scorer, log):
    found = scorer.score(log, "2021-01-01", allow_stale=True)
    assert any("366 days old; train again" in note for note in found.attrs["notes"])


def test_a_log_without_its_first_years_is_told(scorer, log, everybody):
    """Files of one year each, of which the newest alone is given."""
    table = log.tables["order_lines"]
    began = Cutoff.parse("2019-06-01", log.timezone)
    rest = replace(table, frame=table.frame.filter(pl.col("at") >= began.at), observed_from=began)
    cut = replace(log, tables={**log.tables, "order_lines": rest})
    found = scorer.score(cut, END, everyone=True)
    told = [note for note in found.attrs["notes"] if "days of history where" in note]
    assert len(told) == 1 and told[0].startswith("order_lines: they begin 2019-06-01, so ")
    assert not any("days of history where" in note for note in everybody.attrs["notes"])


# ------------------------------------------------------------------ stale tables
def test_a_stale_table_is_refused(scorer, log):
    with pytest.raises(DataError, match=r"order_lines: the last event .*--allow-stale"):
        scorer.score(log, "2020-03-01")


def test_a_stale_table_that_is_allowed_gives_null_features(scorer, log):
    table = log.tables["returns"]
    old = Cutoff.parse("2019-06-01", log.timezone).at
    ended = replace(table, frame=table.frame.filter(pl.col("known") < old))
    stale = replace(log, tables={**log.tables, "returns": ended})
    with pytest.raises(DataError, match="returns: the last event"):
        scorer.score(stale, END)
    found = scorer.score(stale, END, everyone=True, allow_stale=True)
    without = replace(log, tables={"order_lines": log.tables["order_lines"]})
    absent = scorer.score(without, END, everyone=True)
    assert any("returns" in note and "null" in note for note in found.attrs["notes"])
    assert found["churn_probability"].tolist() == absent["churn_probability"].tolist()
    asked = scorer.asked(stale, END, True)
    data = scorer._features(asked.log, asked.cutoff, everyone=True)
    told = dataset.catalogue(dataset.families(["returns"]))
    columns = [column["name"] for column in told if column["table"] == "returns"]
    assert columns
    assert all(np.isnan(data.column(name)).all() for name in columns)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"currency": "EUR"}, "trained on GBP, this log is in EUR"),
        ({"timezone": "Europe/Berlin"}, "days of Europe/London, this log has days of Europe/Berl"),
    ],
)
def test_a_log_of_other_money_or_another_clock_is_refused(scorer, log, other, message):
    with pytest.raises(DataError, match=message):
        scorer.score(replace(log, **other), END)


def test_a_currency_that_the_table_alone_told_counts_too(scorer, log, monkeypatch):
    """Of a config that leaves it open the bundle knows what the events of the training said."""
    told = scorer.bundle.manifest["data"]["currency"]
    assert told == log.currency == "GBP"
    data = scorer.config.data.model_copy(update={"currency": None})
    config = scorer.config.model_copy(update={"data": data})
    monkeypatch.setattr(scorer, "config", config)
    assert len(scorer.score(log, END)) > 0
    with pytest.raises(DataError, match="trained on GBP, this log is in EUR"):
        scorer.score(replace(log, currency="EUR"), END)
    pounds, euros = ({"order_lines": [line("2019-11-01", currency=c)]} for c in ("GBP", "EUR"))
    assert scorer.one(pounds, "2019-12-01").status == "scored"
    with pytest.raises(DataError, match="trained on GBP, this log is in EUR"):
        scorer.one(euros, "2019-12-01")


# ------------------------------------------------------------------ requests
def line(day, customer="z", **more):
    return {"customer_id": customer, "order_id": day, "line_id": 1, "occurred_at": day, **more}


def test_an_event_after_the_cutoff_is_refused_with_five_minutes_of_grace(scorer):
    early = line("2019-11-01T10:00:00")
    with pytest.raises(DataError, match="order_lines: an event lies after the cutoff"):
        scorer.one({"order_lines": [early, line("2019-12-01T10:06:00")]}, "2019-12-01T10:00:00")
    within = scorer.one(
        {"order_lines": [early, line("2019-12-01T10:04:00")]}, "2019-12-01T10:00:00"
    )
    alone = scorer.one({"order_lines": [early]}, "2019-12-01T10:00:00")
    assert within.values["churn_probability"] == alone.values["churn_probability"]


def test_a_date_without_a_time_may_be_asked_about_at_a_time(scorer):
    """The model knows times: a request of bare dates does not make it a model of whole days."""
    date, midnight = (
        scorer.one({"order_lines": [line(day)]}, "2019-12-01T10:30:00").values
        for day in ("2019-11-01", "2019-11-01T00:00:00")
    )
    assert date["cutoff"] == "2019-12-01T10:30:00"
    assert date["churn_probability"] == midnight["churn_probability"]


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        ({"order_lines": []}, DataError, "order_lines"),
        ({"returns": []}, DataError, "order_lines"),
        ({"order_lines": [line("2019-11-01")], "visits": []}, UsageError, "visits"),
        (
            {"order_lines": [line("2019-11-01"), line("2019-11-02", customer="other")]},
            DataError,
            "one customer, got 2",
        ),
        ({"order_lines": [line("2019-11-01", quantity=-3)]}, DataError, "quantity"),
        ({"order_lines": [line("yesterday")]}, DataError, "occurred_at"),
    ],
)
def test_a_request_that_breaks_its_contract_is_refused(scorer, events, error, message):
    with pytest.raises(error, match=message):
        scorer.one(events, "2019-12-01")


@pytest.mark.parametrize(
    "rows",
    [
        [line("2019-11-01"), line("2019-11-02", customer={"id": "17850"})],
        [line("2019-11-01"), line(datetime(2019, 11, 2, 17, 8, 50))],
        [line("2019-11-01", quantity=17850**10)],
        [line("2019-11-01"), 17850],
        line("2019-11-01", customer="17850"),
        pd.DataFrame([line("2019-11-01", quantity=1), line("2019-11-02", quantity="17850")]),
        17850,
    ],
)
def test_rows_that_are_no_table_are_refused_without_their_values(scorer, rows):
    with pytest.raises(DataError, match="order_lines: expected a DataFrame") as told:
        scorer.one({"order_lines": rows}, "2019-12-01")
    printed = "".join(traceback.format_exception(told.value))
    assert "17850" not in printed
    assert "17:08" not in printed


FREE = line("2019-11-01", order_type="free")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([FREE], "no purchase before the cutoff, only order lines of the type free"),
        ([FREE, line("2019-11-02", order_type="subscription")],
         "no purchase before the cutoff, only order lines of the type free, subscription"),
        ([line("2019-12-01T00:03:00")], "no purchase before the cutoff"),
    ],
)  # fmt: skip
def test_one_without_a_purchase_has_the_row_of_the_batch(scorer, log, lines, reason):
    said = scorer.one({"order_lines": lines}, "2019-12-01")
    assert (said.customer_id, said.status, said.values["reason"]) == ("z", "no_history", reason)
    assert list(said.rows) == [said.values]
    assert [said.values[name] for name in VALUES] == [None] * len(VALUES)
    assert len(said.curves.cumulative) == 0
    frame = pl.DataFrame(lines, infer_schema_length=None).with_columns(known_at="occurred_at")
    own = load_tables({"order_lines": RawTable(frame)}, timezone=log.timezone)
    batch = scorer.score(own, "2019-12-01", ids=["z"], allow_stale=True).astype(object)
    told = batch.where(batch.notna(), None).to_dict("records")
    assert told == [said.values]


def test_what_is_said_of_one_prints_in_a_line_and_does_not_name_them(scorer):
    known = {**line("2019-11-01"), "customer_id": "somebody-known"}
    said = scorer.one({"order_lines": [known]}, "2019-12-01")
    assert said.customer_id == "somebody-known" and "somebody" not in repr(said)
    risk = said.values["churn_probability"]
    assert repr(said).startswith(f"Prediction(2019-12-01, scored: churn_probability {risk:.3g}")
    nothing = scorer.one({"order_lines": [line("2019-11-01", order_type="free")]}, "2019-12-01")
    assert repr(nothing).startswith("Prediction(2019-12-01, no_history: reason no purchase")


def test_now_is_the_cutoff_if_none_is_given(scorer):
    before = datetime.now(UTC).timestamp()
    said = scorer.one({"order_lines": [line("2020-01-05T10:00:00")]})
    assert before - 1e-6 <= said.cutoff.at / 1e6 <= datetime.now(UTC).timestamp()


# ------------------------------------------------------------------ bundles
# ------------------------------------------------------------------ readings of repurchase
@pytest.fixture(scope="module")
def timing(trained, tmp_path_factory):
    """The same curves, read by the target repurchase with windows of three days."""

    def reread(files):
        target = json.loads(files["target.json"])
        files["target.json"] = json.dumps({**target, "name": "repurchase", "reading": "repurchase"})
        assert "window: 7d" in files["config.yaml"]
        files["config.yaml"] = files["config.yaml"].replace("window: 7d", "window: 3d")

    folder = tmp_path_factory.mktemp("timing") / "bundle"
    return Scorer.load(copy_of(trained[0].bundle, folder, reread))


def test_the_readings_of_repurchase_are_of_the_curve_of_churn(timing, scorer, log, everybody):
    table = timing.score(log, END, everyone=True, days=[7])
    assert set(table["target"]) == {"repurchase"}
    assert table["churn_probability"].tolist() == everybody["churn_probability"].tolist()
    assert table["p_order_60d"].tolist() == (1 - everybody["churn_probability"]).tolist()
    assert table["p_order_7d"].to_numpy() == pytest.approx(1 - table["no_event_by_7d"].to_numpy())
    curves = scorer.curves(log, END)
    for p in (10, 50, 90):
        days = curves.quantile(p / 100)
        reached = np.isfinite(days)
        assert table[f"next_p{p}_days"].isna().tolist() == (~reached).tolist()
        dates = pd.Timestamp(END) + pd.to_timedelta(np.ceil(days[reached]) - 1, unit="D")
        assert table.loc[reached, f"next_p{p}_date"].tolist() == dates.tolist()
    assert 0 < table["later_than_horizon"].mean() < 1
    length = table["best_window_end"] - table["best_window_start"]
    assert set(length.dt.days + 1) == {3}
    assert (table["best_window_start"] >= END).all()


def test_the_table_of_repurchase_keeps_columns_and_types_for_anybody(timing, log):
    whole = timing.score(log, END, everyone=True)
    lapsed = set(whole["customer_id"]) - set(timing.score(log, END)["customer_id"])
    for ids in (["nobody"], [min(lapsed), "nobody"], [whole["customer_id"][0]]):
        asked = timing.score(log, END, ids=ids)
        assert list(asked.columns) == list(whole.columns)
        assert asked.dtypes.equals(whole.dtypes)
    nothing = timing.score(log, END, ids=["nobody"]).iloc[0]
    assert nothing.filter(regex="churn|horizon|order|next|best").isna().all()


def test_one_customer_now_is_told_dates_from_now_on(timing):
    said = timing.one({"order_lines": [line("2019-11-01")]}, "2019-12-01T18:00:00").values
    assert said["cutoff"] == "2019-12-01T18:00:00"
    first = date(2019, 12, 1)
    assert first <= said["next_p10_date"]
    # the moment lies on that day of the clock, counted from 18:00
    begun = (said["next_p10_date"] - first).days
    assert begun < 0.75 + said["next_p10_days"] <= begun + 1
    assert (said["best_window_end"] - said["best_window_start"]).days == 3  # until 18:00
    assert said["later_than_horizon"] in (True, False)


def test_a_damaged_bundle_is_refused_before_lightgbm_sees_it(trained, tmp_path, monkeypatch):
    folder = copy_of(trained[0].bundle, tmp_path / "bundle", lambda files: None)
    Scorer.load(folder)
    text = (folder / "model.txt").read_text()
    (folder / "model.txt").write_text(text.replace("num_leaves=", "num_leaves=9", 1)[: len(text)])

    def never(*args, **more):
        raise AssertionError("the parser must not see this")

    monkeypatch.setattr("lightgbm.Booster", never)
    with pytest.raises(IntegrityError, match=r"model\.txt: damaged"):
        Scorer.load(folder)


def test_a_run_folder_is_found_to_hold_its_bundle(trained, scorer):
    found = Scorer.load(trained[0].folder)
    assert found.bundle.content_sha256 == scorer.bundle.content_sha256
    assert scorer.bundle.content_sha256[:12] in repr(scorer)
    assert Scorer.load(trained[0]).bundle.content_sha256 == scorer.bundle.content_sha256


def test_one_id_may_stand_alone_and_must_be_text(scorer, log, everybody):
    first = everybody["customer_id"].iloc[0]
    alone = scorer.score(log, END, ids=first)
    pd.testing.assert_frame_equal(alone, scorer.score(log, END, ids=[first]))
    told = scorer.explain(log, END, first)
    assert set(told["customer_id"]) == {first}
    with pytest.raises(UsageError, match=r"expected text, as in log\.customer_ids, got int"):
        scorer.score(log, END, ids=[956])
    with pytest.raises(UsageError, match="expected text"):
        scorer.explain(log, END, [956])


def test_what_is_no_log_is_refused_with_the_way_to_make_one(scorer, log):
    for wrong in (log.order_lines, "orders.csv", None):
        with pytest.raises(UsageError, match=r"log: expected an event log, got .*ppi_ml\.load"):
            scorer.score(wrong, END)
    with pytest.raises(UsageError, match="got DataFrame; make one"):
        ppi_ml.train(log.order_lines, target="churn")
    for wrong in (log, log.order_lines):
        with pytest.raises(UsageError, match="events: expected the tables of one customer"):
            scorer.one(wrong, END)


def test_what_is_printed_of_a_run_and_what_comes_of_it_fits_a_line(trained, scorer, log):
    run, _ = trained
    assert repr(run) == f"Run(churn within 60 days, {run.verdict.status}, {run.folder})"
    assert repr(run.report).startswith("LoadReport(order_lines: ")
    curves = scorer.curves(log, END)
    assert repr(curves) == f"Curves({len(curves):,} survival curves, {curves.max_days:g} days)"
    for value in (run, run.report, curves, scorer):
        assert len(repr(value)) < 300
    assert ppi_ml.__version__ == importlib.metadata.version("ppi_ml")


def test_a_bundle_that_answers_otherwise_than_in_training_is_refused(trained, tmp_path):
    def louder(files):
        glm = json.loads(files["glm.json"])
        glm["staged"]["intercept"] += 1e-6
        files["glm.json"] = json.dumps(glm)

    folder = copy_of(trained[0].bundle, tmp_path / "bundle", louder)
    with pytest.raises(IntegrityError, match=r"does not score the bundle as it was trained"):
        Scorer.load(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yaml", "colour: blue\ntarget: {name: churn}", "colour.*train again, or install"),
        ("config.yaml", "target: {name: churn, horizon: soon}", "horizon.*train again, or install"),
        ("config.yaml", "target: [", "train again, or install"),
        ("config.yaml", b"\xff", "not text in UTF-8"),
        ("selftest.json", "{", "not JSON"),
        ("target.json", "[" * 100_000, "not JSON"),
    ],
)
def test_a_part_that_cannot_be_read_is_of_the_bundle(trained, tmp_path, name, content, message):
    """Not a wrong setting of whoever scores: a later version may have written it."""
    folder = copy_of(trained[0].bundle, tmp_path / "b", lambda files: files.update({name: content}))
    with pytest.raises(IntegrityError, match=rf"(?s)b/{name}: .*{message}"):
        Scorer.load(folder)


def test_a_state_that_lacks_an_array_is_refused_with_its_name(trained, tmp_path):
    """As bundles of another version may, where a part of a family's state got a new name."""
    states = "processes.states"
    assert refused_without(trained[0].bundle, tmp_path) >= {
        "families", "families.delivery.share", "families.returns", "families.returns.share",
        f"{states}.gaps.mean", f"{states}.mbg_nbd", f"{states}.mbg_nbd.r",
    }  # fmt: skip


def test_a_bundle_of_other_features_is_refused(trained, tmp_path):
    def renamed(files):
        features = json.loads(files["features.json"])
        features["columns"][0] = "orders__gone"
        files["features.json"] = json.dumps(features)

    folder = copy_of(trained[0].bundle, tmp_path / "bundle", renamed)
    with pytest.raises(IntegrityError, match="not those of the installed ppi_ml"):
        Scorer.load(folder)


def test_a_plugin_that_is_missing_is_named(trained):
    bundle = bundles.load(trained[0].bundle)
    asking = replace(
        bundle, manifest={**bundle.manifest, "plugins": [{"name": "mine", "sha256": "0" * 64}]}
    )
    with pytest.raises(IntegrityError, match="plug-in mine"):
        Scorer(asking)


def test_a_plugin_that_changed_since_training_is_not_run(trained, tmp_path):
    path, marker = tmp_path / "mine.py", tmp_path / "marker"
    path.write_text(f"from pathlib import Path\nPath({str(marker)!r}).write_text('ran')\n")
    noted = {"name": "mine", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    def asking(files):
        files["config.yaml"] = files["config.yaml"].replace("plugins: []", f"plugins: [{path}]")

    folder = copy_of(trained[0].bundle, tmp_path / "bundle", asking, plugins=[noted])
    Scorer.load(folder)
    marker.unlink()  # raises if the plug-in of the bundle was not run
    path.write_text(path.read_text() + "\n")
    with pytest.raises(IntegrityError, match=r"mine\.py: not the file .* it was not run"):
        Scorer.load(folder)
    assert not marker.exists()


def test_scoring_never_imports_what_knows_the_future(trained, log, tmp_path):
    """In a process of its own: neither labels, nor the search, nor the tracker."""
    for name in ("order_lines", "returns"):
        getattr(log, name).to_parquet(tmp_path / f"{name}.parquet")
    program = f"""
import sys
import ppi_ml
log = ppi_ml.load({{n: r"{tmp_path}/" + n + ".parquet" for n in ("order_lines", "returns")}},
                  timezone="{log.timezone}", currency="GBP", until="{END}")
scorer = ppi_ml.Scorer.load(r"{trained[0].bundle}")
table = scorer.score(log, "{END}")
scorer.one({{"order_lines": [dict(customer_id="z", order_id=1, line_id=1,
                                  occurred_at="2019-11-01")]}}, "{END}")
known = ("ppi_ml.future", "ppi_ml.labels", "ppi_ml.targets", "ppi_ml.training", "ppi_ml.tuning",
         "mlflow", "optuna")
print(len(table), sorted(n for n in sys.modules if n.startswith(known)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    count, loaded = ended.stdout.strip().split(" ", 1)
    assert int(count) > 0
    assert loaded == "[]"
