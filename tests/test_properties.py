"""What holds for any log: order, buckets and company never change what is said of a customer."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml import dataset
from ppi_ml.engine.buckets import bucket_count
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.scoring import Scorer
from ppi_ml.training import train

START = datetime(2018, 1, 1, tzinfo=UTC)
CUTOFF, END = "2019-01-15", "2019-02-01"
DAY = 86_400
GIGABYTE = 10**9

MOMENTS = st.integers(0, 390 * DAY)
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": st.sampled_from("abcdef"),
            "second": MOMENTS,
            "late": st.sampled_from([0, 0, 0, DAY // 2, 20 * DAY]),
            "sku": st.sampled_from([None, "x", "y", "z"]),
            "quantity": st.sampled_from([0.001, 1.0, 2.5, 1e6]),
            "unit_price": st.sampled_from([None, 0.0, 0.3333, 19.99, 1e4]),
            "order_type": st.sampled_from(["one_off", "one_off", "subscription"]),
        }
    ),
    min_size=1,
    max_size=30,
)
RETURNS = st.lists(
    st.fixed_dictionaries(
        {"customer_id": st.sampled_from("abcdef"), "second": MOMENTS, "late": st.just(0),
         "quantity": st.sampled_from([1.0, 0.5])}
    ),
    max_size=8,
)  # fmt: skip
LOGS = st.tuples(LINES, RETURNS)
FIRST = {"customer_id": "a", "second": 3600, "late": 0, "sku": "x", "quantity": 1.0,
         "unit_price": 1.0, "order_type": "one_off"}  # fmt: skip


def frames_of(drawn):
    """Raw tables of drawn events, with keys that do not depend on the order of rows."""
    lines = [_event(row, order_id=f"{i:03d}", line_id="1") for i, row in enumerate(drawn[0])]
    first = _event(FIRST, order_id="first", line_id="1")
    sent_back = [_event(row, return_id=f"{i:03d}") for i, row in enumerate(drawn[1])]
    return {"order_lines": [first, *lines], "returns": sent_back}


def _event(row, **keys):
    happened = START + timedelta(seconds=row["second"])
    own = {name: value for name, value in row.items() if name not in ("second", "late")}
    known = happened + timedelta(seconds=row["late"])
    return {**keys, **own, "occurred_at": happened, "known_at": known}


def load(raw):
    tables = {
        name: RawTable(
            pl.DataFrame(rows, infer_schema_length=None) if rows else EMPTY,
            observed_from="2018-01-01" if name == "order_lines" else "2018-06-01",
            observed_until=END,
        )
        for name, rows in raw.items()
    }
    return load_tables(tables, timezone="Europe/London", currency="GBP")


EMPTY = pl.DataFrame(schema={"return_id": pl.String, "customer_id": pl.String,
                             "occurred_at": pl.String})  # fmt: skip


def build(log, **how):
    data = dataset.build(log, [Cutoff.parse(CUTOFF, log.timezone)], dataset.families(), **how)
    return data.customers.to_list(), data.values.tobytes(), data.states


def memory_for(log, buckets):
    """So little memory that the work is split into so many buckets."""
    memory = GIGABYTE
    while bucket_count(log, memory, 1) < buckets:
        memory //= 2
    return memory


@settings(max_examples=25)
@given(LOGS, st.randoms(use_true_random=False))
def test_the_order_of_rows_never_changes_a_feature(drawn, random):
    raw = frames_of(drawn)
    mixed = {name: random.sample(rows, len(rows)) for name, rows in raw.items()}
    one, other = load(raw), load(mixed)
    assert build(one) == build(other)
    assert one.fingerprint == other.fingerprint


@settings(max_examples=25)
@given(LOGS, st.integers(2, 9))
def test_the_bucket_split_never_changes_a_feature_or_a_state(drawn, buckets):
    log = load(frames_of(drawn))
    whole = build(log, threads=1)
    assert bucket_count(log, GIGABYTE, 1) == 1
    assert build(log, threads=1, memory=memory_for(log, buckets)) == whole


@settings(max_examples=25)
@given(LOGS)
def test_a_customer_alone_has_the_features_of_the_batch(drawn):
    log = load(frames_of(drawn))
    customers, values, states = build(log)
    whole = np.frombuffer(values, np.float32).reshape(len(customers), -1)
    for i, customer in enumerate(customers):
        alone = build(log.customer(customer), states=states[CUTOFF])
        assert alone == ([customer], whole[i].tobytes(), states)


def test_a_larger_shop_in_many_buckets_is_the_same(shop):
    assert build(shop, memory=memory_for(shop, 16), threads=2) == build(shop)


# ------------------------------------------------------------------ a trained bundle
@pytest.fixture(scope="module")
def scored(trained):
    """The scorer of a tiny bundle, its log, a cutoff, and the score table of everybody."""
    run, log = trained
    scorer, day = Scorer.load(run.bundle), "2019-12-15"
    assert scorer.model.curve.staged.trees is not None
    table = scorer.score(log, day, everyone=True, days=[7, 30])
    return scorer, log, day, table.set_index("customer_id")


def request_of(log, customer):
    """A customer's events as a service would send them: plain dicts, times as ISO text."""
    columns = {"order_lines": ["order_id", "line_id", "sku", "quantity", "unit_price",
                               "order_type"],
               "returns": ["return_id", "order_id", "sku", "quantity"]}  # fmt: skip
    iso = "%Y-%m-%dT%H:%M:%S%.6f+00:00"
    times = {
        name: pl.from_epoch(of, time_unit="us").dt.strftime(iso)
        for name, of in (("occurred_at", "at"), ("known_at", "known"))
    }
    return {
        name: table.frame.select("customer_id", *columns[name], **times).to_dicts()
        for name, table in log.customer(customer).tables.items()
    }


def some(customers):
    """Every seventh, and those whose orders lie at clock changes and around a midnight."""
    return [*customers[::7], *(c for c in ("autumn", "midnight", "spring") if c in customers)]


def test_one_customer_in_a_request_is_that_customer_s_row_of_the_batch(scored):
    scorer, log, day, table = scored
    curves = scorer.curves(log, day)
    place = {customer: i for i, customer in enumerate(curves.keys["customer_id"])}
    returned = set(log.returns["customer_id"])
    chosen = some(list(table.index))
    assert len(chosen) > 40
    assert len(returned.intersection(chosen)) > 5
    for customer in chosen:
        said = scorer.one(request_of(log.until(day), customer), day)
        assert said.customer_id == customer
        expected = table.loc[customer, "churn_probability"]
        assert said.values["churn_probability"] == pytest.approx(expected, rel=0, abs=1e-9)
        np.testing.assert_allclose(
            said.curves.cumulative[0], curves.cumulative[place[customer]], rtol=0, atol=1e-9
        )


def test_the_features_of_a_request_are_those_of_the_batch_bit_for_bit(scored, monkeypatch):
    scorer, log, day, _ = scored
    seen = []

    def watched(*args, **kwargs):
        seen.append(build_(*args, **kwargs))
        return seen[-1]

    build_ = dataset.build
    monkeypatch.setattr(dataset, "build", watched)
    scorer.curves(log, day)
    (batch,) = seen
    rows = dict(zip(batch.customers, batch.values, strict=True))
    chosen = some(list(rows))
    different = {}
    for customer in chosen:
        scorer.one(request_of(log.until(day), customer), day)
        alone, whole = seen[-1].values[0], rows[customer]
        unlike = ~((alone == whole) | (np.isnan(alone) & np.isnan(whole)))
        if unlike.any():
            different[customer] = [batch.names[i] for i in np.flatnonzero(unlike)]
    assert different == {}


def test_every_curve_starts_at_one_and_never_rises(scored):
    scorer, log, day, _ = scored
    curves = scorer.curves(log, day)
    survival = curves.survival(np.arange(0, curves.max_days + 0.5, 0.5))
    assert (survival[:, 0] == 1).all()
    assert (np.diff(survival, axis=1) <= 0).all()
    assert (survival > 0).all()
    assert survival[:, -1].min() < survival[:, -1].max()


def test_a_score_is_a_reading_of_the_curve(scored):
    scorer, log, day, table = scored
    curves = scorer.curves(log, day)
    asked = curves.survival([7, 30, float(table["horizon_days"].iloc[0])])
    columns = ["no_event_by_7d", "no_event_by_30d", "churn_probability"]
    np.testing.assert_array_equal(table[columns].to_numpy(), asked)


@settings(max_examples=10)
@given(st.permutations(range(6)), st.sampled_from(["2019-06-03", "2019-12-15"]))
def test_company_and_order_of_a_batch_never_change_a_score(trained, picked, day):
    run, log = trained
    scorer = Scorer.load(run.bundle)
    whole = scorer.score(log, day, everyone=True)
    ids = [whole["customer_id"][i] for i in picked]
    asked = scorer.score(log, day, ids=ids)
    assert asked["customer_id"].tolist() == ids
    scores = dict(zip(whole["customer_id"], whole["churn_probability"], strict=True))
    told = asked[asked["status"] == "scored"]
    assert told["churn_probability"].tolist() == [scores[c] for c in told["customer_id"]]


# ------------------------------------------------------------------ when the next order comes
HORIZON, WINDOW = 60, 7
ANY_DAY = st.dates(date(2019, 3, 1), date(2019, 12, 31)).map(str)
LATER = st.lists(
    st.fixed_dictionaries(
        {
            "customer": st.integers(0, 320),  # some of them are strangers
            "happened": st.floats(-30, 60),
            "lag": st.floats(0, 60),
            "quantity": st.sampled_from([1.0, 999.0]),
        }
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def shop_tables(make_shop):
    return make_shop(seed=2, customers=300, quitters=True)


@pytest.fixture(scope="module")
def timed(shop_tables, as_log, tmp_path_factory):
    """(scorer, log): a tiny bundle of the target repurchase with all stages and members."""
    log = as_log(shop_tables)
    run = train(
        log,
        target="repurchase",
        settings={
            "target.horizon": f"{HORIZON}d",
            "target.window": f"{WINDOW}d",
            "tune.trials": 1,
            "folds.train_cutoffs": 4,
            "model.processes": ["mbg_nbd", "gaps"],
            "model.stages": "process+glm+trees",
            "model.members": "staged+cox+newest",
            "model.trees": {"num_leaves": 6, "learning_rate": 0.05, "min_data_in_leaf": 50,
                            "lambda_l2": 10.0},
            "baselines": ["kaplan_meier"],
            "engine.threads": 1,
            "output.folder": str(tmp_path_factory.mktemp("runs")),
        },
        track=False,
    )  # fmt: skip
    scorer = Scorer.load(run.bundle)
    assert set(scorer.model.curve.weights) == {"staged", "cox", "newest"}
    return scorer, log


@settings(max_examples=8)
@given(ANY_DAY)
def test_every_reading_of_the_next_order_agrees_with_the_curve(timed, day):
    scorer, log = timed
    table = scorer.score(log, day, everyone=True, allow_stale=True)
    curves = scorer.curves(log, day, allow_stale=True)
    assert table["customer_id"].tolist() == list(curves.keys["customer_id"])
    whole = curves.survival(np.arange(curves.max_days + 1))
    assert (whole[:, 0] == 1).all()
    assert (np.diff(whole, axis=1) <= 0).all()
    assert (whole > 0).all()

    np.testing.assert_array_equal(table["churn_probability"], whole[:, HORIZON])
    ordered = table.filter(like="p_order_")
    assert list(ordered) == [f"p_order_{d}d" for d in (7, 14, 30, HORIZON)]
    np.testing.assert_array_equal(ordered, 1 - whole[:, [7, 14, 30, HORIZON]])
    later = table["later_than_horizon"].to_numpy(dtype=bool)
    clear = np.abs(whole[:, HORIZON] - 0.5) > 1e-9
    np.testing.assert_array_equal(later[clear], (whole[:, HORIZON] > 0.5)[clear])
    _check_quantiles(table, curves, whole, day)
    _check_best_window(table, whole, day)


def _check_quantiles(table, curves, whole, day):
    """P10 <= P50 <= P90, the curve is there where they say, and no date lies before the cutoff."""
    days = {p: table[f"next_p{p}_days"].to_numpy(dtype=float) for p in (10, 50, 90)}
    reached = {p: np.nan_to_num(found, nan=np.inf) for p, found in days.items()}
    assert (reached[10] <= reached[50]).all()
    assert (reached[50] <= reached[90]).all()
    for p, found in days.items():
        known = np.flatnonzero(~np.isnan(found))
        there = curves.survival(found[known])[known, np.arange(len(known))]
        np.testing.assert_allclose(there, 1 - p / 100, rtol=0, atol=1e-9)
        assert (whole[np.isnan(found), -1] > 1 - p / 100).all()
        dates = table[f"next_p{p}_date"]
        np.testing.assert_array_equal(dates.isna(), np.isnan(found))
        assert (dates.dropna() >= day).all()
    dates = table[["next_p10_date", "next_p50_date", "next_p90_date"]].to_numpy()
    assert not (dates[:, :-1] > dates[:, 1:]).any()


def _check_best_window(table, whole, day):
    """No window of that width within the horizon is likelier, and it begins at the cutoff or on."""
    start = (table["best_window_start"] - np.datetime64(day)).dt.days.to_numpy()
    mass = whole[:, : HORIZON - WINDOW + 1] - whole[:, WINDOW : HORIZON + 1]
    np.testing.assert_array_equal(start, mass.argmax(axis=1))
    np.testing.assert_array_equal(table["best_window_probability"], mass.max(axis=1))
    length = table["best_window_end"] - table["best_window_start"]
    assert (length.dt.days == WINDOW - 1).all()


@settings(max_examples=12)
@given(st.sampled_from(["2019-06-03", "2019-12-15T13:00:00"]), LATER)
def test_what_becomes_known_at_the_cutoff_or_later_changes_no_score(
    timed, shop_tables, as_log, day, later
):
    scorer, log = timed
    cutoff = Cutoff.parse(day, log.timezone)
    at = datetime.fromtimestamp(cutoff.at / 1e6, UTC)
    lines = shop_tables["order_lines"]
    extra = pl.DataFrame(
        [_known_later(row, number, at) for number, row in enumerate(later)],
        schema={name: lines.schema[name] for name in lines.columns},
    )
    more = as_log({**shop_tables, "order_lines": pl.concat([lines, extra])})
    assert more.fingerprint != log.fingerprint
    then, now = (scorer.score(each, day, everyone=True) for each in (log, more))
    pd.testing.assert_frame_equal(now, then, check_exact=True)


def _known_later(row, number, cutoff):
    """An order that was known at the cutoff or after it, whenever it happened."""
    happened = cutoff + timedelta(days=row["happened"])
    return {
        "customer_id": f"c{row['customer']}",
        "order_id": f"later{number}",
        "line_id": 0,
        "sku": "s1",
        "quantity": row["quantity"],
        "unit_price": 5.0,
        "order_type": "one_off",
        "occurred_at": happened,
        "known_at": max(happened, cutoff) + timedelta(days=row["lag"]),
    }


def test_one_customer_in_a_request_is_that_customer_s_row_of_the_table(timed):
    scorer, log = timed
    day = "2019-12-15"
    table = scorer.score(log, day, everyone=True).set_index("customer_id", drop=False)
    for customer in some(list(table.index))[:25]:
        said = scorer.one(request_of(log.until(day), customer), day)
        row = table.loc[customer]
        assert list(said.values) == list(table.columns)
        for name, value in said.values.items():
            if isinstance(value, float):
                assert value == pytest.approx(row[name], rel=0, abs=1e-9 * max(1, abs(value))), name
            elif value is None:
                assert pd.isna(row[name]), name
            else:
                assert (pd.Timestamp(value) if isinstance(value, date) else value) == row[name], (
                    name
                )
