"""Consent: who denied profiling is in no row, in no state, and has a score without values."""

import json
import warnings
from dataclasses import replace

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import bazaar, shops
from tests.conftest import ZONE
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import cli, consent, dataset, rows, simulate
from ppi_ml.errors import DataError, NotTrainableError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past
from ppi_ml.snapshots import Wanted

END = "2020-01-01"  # where the log of the shop ends
YES, NO = "yes", "no"


def at(day):
    return Cutoff.parse(day, ZONE)


def consents(*told):
    """Rows of the table: (customer, occurred_at, granted) and perhaps known_at and purpose."""
    names = ("customer_id", "occurred_at", "granted", "known_at", "purpose")
    padded = [(*row, *(row[1], "profiling")[len(row) - 3 :]) for row in told]
    frame = pl.DataFrame(padded, schema=dict.fromkeys(names, pl.String), orient="row")
    times = pl.col("occurred_at", "known_at")  # a mere date would be known when it is over
    return frame.with_columns(times.str.replace(r"^(.{10})$", "${1}T00:00:00"))


def told_by(log, *told):
    """A log with this table of consents."""
    raw = {
        "order_lines": RawTable(
            pl.DataFrame({"customer_id": ["a"], "occurred_at": ["2018-01-01"], "order_id": ["1"],
                          "line_id": ["1"]}),
            sure=True,
        ),
        "consents": RawTable(consents(*told), sure=True),
    }  # fmt: skip
    table = load_tables(raw, timezone=log.timezone, currency=log.currency).tables["consents"]
    table = replace(table, observed_from=log.observed_from, observed_until=log.observed_until)
    return replace(log, tables={**log.tables, "consents": table})


@pytest.fixture(scope="module")
def few(log_of):
    """Customers a, b, c and d with an order each in spring."""
    return log_of([(who, "2019-03-01T10:00:00") for who in "abcd"], until="2019-12-01")


# ------------------------------------------------------------------ what decides
@pytest.mark.parametrize(
    ("told", "cutoff", "denied"),
    [
        ([("a", "2019-04-01", NO)], "2019-04-01", []),
        ([("a", "2019-04-01", NO)], "2019-04-01T00:00:01", ["a"]),
        ([("a", "2019-04-01", NO, "2019-04-09")], "2019-04-09", []),
        ([("a", "2019-04-01", NO, "2019-04-09")], "2019-04-09T00:00:00.000001", ["a"]),
        ([("a", "2019-04-01", NO), ("a", "2019-04-02", YES)], "2019-05-01", []),
        ([("a", "2019-04-02", NO), ("a", "2019-04-01", YES)], "2019-05-01", ["a"]),
        ([("a", "2019-04-02", NO), ("a", "2019-04-01", YES, "2019-04-20")], "2019-05-01", ["a"]),
        ([("a", "2019-04-01", NO), ("a", "2019-04-02", YES, "2019-06-01")], "2019-05-01", ["a"]),
        ([("a", "2019-04-01", NO, "2019-04-01", "marketing")], "2019-05-01", []),
        ([("a", "2019-04-01", NO, "2019-04-01", "Profiling")], "2019-05-01", ["a"]),
        ([("b", "2019-04-01", NO), ("a", "2019-04-02", NO)], "2019-05-01", ["a", "b"]),
    ],
    ids=[
        "known at the cutoff", "known before it", "known late", "known late, and then known",
        "allowed again", "allowed before", "allowed before, known after", "allowed, not known yet",
        "another purpose", "a capital letter", "sorted",
    ],
)  # fmt: skip
def test_the_newest_row_known_before_the_cutoff_decides(few, told, cutoff, denied):
    log = told_by(few, *told)
    assert consent.denied(log, at(cutoff)).to_list() == denied
    assert consent.denied(log.until(cutoff), at(cutoff)).to_list() == denied


@pytest.mark.parametrize("first", [NO, YES])
def test_of_two_rows_at_one_time_the_denial_wins(few, first):
    """Whichever of them was known first, or stands first."""
    second = YES if first == NO else NO
    for known in ("2019-04-01", "2019-04-05"):
        told = [("a", "2019-04-01", first), ("a", "2019-04-01", second, known, "Profiling")]
        for order in (told, told[::-1]):
            assert consent.denied(told_by(few, *order), at("2019-05-01")).to_list() == ["a"]


def test_without_the_table_or_a_row_everybody_has_allowed(few):
    assert consent.denied(few, at("2019-05-01")).to_list() == []
    assert consent.denied(few).dtype == pl.String
    assert consent.permitted(few) is few


moments = st.integers(0, 6)
told_rows = st.lists(
    st.tuples(
        st.sampled_from("abc"), moments, moments, st.sampled_from([YES, NO]),
        st.sampled_from(["profiling", "Profiling", "marketing"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: (row[0], row[1], row[4]),  # the key of the table
)  # fmt: skip


def by_hand(told, cutoff):
    """The rule of the contract, row by row."""
    newest = {}
    for who, occurred, lag, granted, purpose in told:
        if purpose.lower() == "profiling" and occurred + lag < cutoff:
            mark = (occurred, granted == NO)
            newest[who] = max(newest.get(who, mark), mark)
    return {who for who, (_, no) in newest.items() if no}


@given(told_rows, moments)
def test_the_rule_by_hand(few, told, cutoff):
    day = [f"2019-04-{1 + i:02}" for i in range(20)]
    log = told_by(few, *((w, day[o], g, day[o + lag], p) for w, o, lag, g, p in told))
    assert set(consent.denied(log, at(day[cutoff]))) == by_hand(told, cutoff)
    ask = [(who, at(day[i]).at) for who in "abcd" for i in (cutoff, 3, 0)]
    rows_ = pl.DataFrame(ask, schema=["customer_id", "now_at"], orient="row")
    expected = [
        (who, moment)
        for (who, moment), i in zip(ask, (cutoff, 3, 0) * 4, strict=True)
        if who not in by_hand(told, i)
    ]
    assert consent.allowed(log, rows_).rows() == expected


# ------------------------------------------------------------------ the past
def test_nothing_of_whoever_denied_is_seen(few):
    log = told_by(few, ("b", "2019-04-01", NO), ("zoe", "2019-04-01", NO))
    past = Past(log, at("2019-05-01"))
    assert past.entities["customer_id"].to_list() == ["a", "c", "d"]
    assert "b" not in past.events("order_lines")["customer_id"]
    assert "b" not in past.seen("consents")["customer_id"]
    assert past.denied.to_list() == ["b", "zoe"]
    assert past.withheld["customer_id"].to_list() == ["b"]  # zoe never ordered
    before = Past(log, at("2019-04-01"))
    assert before.entities["customer_id"].to_list() == ["a", "b", "c", "d"]
    assert before.withheld.is_empty()


DENIERS, BACK = ("c3", "c14", "c77"), "c20"


def fickle(log):
    """c3, c14 and c77 deny one after the other; c20 denies in 2018 and allows again in 2019."""
    return told_by(
        log, (DENIERS[0], "2018-02-01", NO), (DENIERS[1], "2018-08-01", NO),
        (DENIERS[2], "2019-06-01", NO, "2019-09-01"),
        (BACK, "2018-03-01", NO), (BACK, "2019-03-01", YES),
    )  # fmt: skip


def same(one, other):
    """Whether two data sets hold the same rows, values and states."""
    assert one.keys.equals(other.keys)
    assert one.names == other.names
    assert one.values.tobytes() == other.values.tobytes()
    assert json.dumps(one.states) == json.dumps(other.states)
    for cutoff, sample in one.samples.items():
        assert sample.equals(other.samples[cutoff])


@pytest.mark.parametrize("cutoff", ["2018-10-28", "2019-08-01"])
def test_features_and_states_are_those_of_a_log_that_never_had_them(make_shop, cutoff):
    """Of every family on the shelf, with every table there is."""
    log = fickle(bazaar.load(bazaar.frames(make_shop())))
    gone = [*DENIERS[:2], *([BACK] if cutoff < "2019" else [])]
    never = log.only([c for c in log.customer_ids if c not in gone])
    never = replace(never, tables={n: t for n, t in never.tables.items() if n != "consents"})
    assert consent.denied(log, at(cutoff)).to_list() == sorted(gone)
    chosen = dataset.families()
    one, other = (dataset.build(some, [at(cutoff)], chosen) for some in (log, never))
    assert 0 < len(one) < len(Past(consent.disregarded(log), at(cutoff)).entities)
    undated = Past(log, at(cutoff)).seen("customers")["customer_id"]
    assert undated.sort().equals(Past(never, at(cutoff)).seen("customers")["customer_id"].sort())
    same(one, other)
    fitted = [rows.fit_processes(d, ["mbg_nbd", "gaps"], log.observed_from) for d in (one, other)]
    assert fitted[0].by_cutoff == fitted[1].by_cutoff


@pytest.mark.parametrize("wanted", [None, Wanted(within=120, most=60, seed=3, in_stock=True)])
def test_pairs_and_what_they_learn_are_those_of_a_log_that_never_had_them(wanted):
    log = fickle(shops.load(shops.pantry()))
    never = log.only([c for c in log.customer_ids if c not in (*DENIERS[:2], BACK)])
    never = replace(never, tables={n: t for n, t in never.tables.items() if n != "consents"})
    one, other = (shops.built(some, "2018-10-28", wanted=wanted) for some in (log, never))
    assert not set(one.customers) & {*DENIERS[:2], BACK}
    same(one, other)


def test_buckets_do_not_matter(make_shop, as_log):
    log = fickle(as_log(make_shop()))
    chosen = dataset.families(["cadence", "orders", "returns"])
    one = dataset.build(log, [at("2018-10-28")], chosen)
    same(one, dataset.build(log, [at("2018-10-28")], chosen, memory=1_000_000, threads=2))


def test_a_denial_that_comes_later_changes_no_feature(make_shop, as_log):
    """Truncation: what is known at the cutoff is all that counts there."""
    log, cutoff = fickle(as_log(make_shop())), at("2018-10-28")
    chosen = dataset.families(["cadence", "orders", "returns"])
    same(dataset.build(log, [cutoff], chosen), dataset.build(log.until(cutoff), [cutoff], chosen))


def test_build_features_has_no_row_of_them(make_shop, as_log):
    table = ppi_ml.build_features(fickle(as_log(make_shop())), "2018-10-28", families=["orders"])
    customers = table.index.get_level_values("customer_id")
    assert DENIERS[0] not in customers
    assert DENIERS[2] in customers  # denied later


# ------------------------------------------------------------------ training
def test_training_leaves_out_who_has_withdrawn_by_the_end(make_shop, as_log):
    log = fickle(as_log(make_shop()))
    left = consent.permitted(log)
    assert not set(DENIERS) & set(left.customer_ids)
    assert BACK in set(left.customer_ids)
    assert len(left.customer_ids) == len(log.customer_ids) - 3
    assert left.observed_until == log.observed_until


@pytest.mark.parametrize(
    ("told", "gone"),
    [
        ([("a", "2019-11-30", NO)], ["a"]),
        ([("a", "2019-11-30", NO), ("a", "2019-12-02", YES)], ["a"]),
        ([("a", "2019-11-29", YES), ("a", "2019-12-02", NO)], ["a"]),
        ([("a", "2019-11-29", NO), ("a", "2019-11-30", YES)], []),
    ],
    ids=["at the end", "allowed again after the end", "denied after the end", "allowed again"],
)
def test_the_last_word_is_the_stricter_one(few, told, gone):
    assert consent.withdrawn(told_by(few, *told)).to_list() == gone


def test_where_nobody_is_left_training_says_so(few):
    log = told_by(few, *((who, "2019-04-01", NO) for who in "abcd"))
    with pytest.raises(NotTrainableError, match="everybody who ordered has denied profiling"):
        consent.permitted(log)


def test_the_scorecard_says_how_consent_was_heeded(few):
    assert consent.said(few) == "No table consents: everybody counts as having allowed profiling."
    log = told_by(few, ("b", "2019-04-01", NO), ("zoe", "2019-04-01", YES))
    assert consent.said(log).startswith("consents: 1 of 5 customers denied profiling by the end")
    other = told_by(few, ("b", "2019-04-01", NO, "2019-04-01", "marketing"))
    assert "no row is about profiling" in consent.said(other)
    many = [(f"c{i}", "2019-04-01", YES) for i in range(60)]
    raw = {
        "order_lines": few.order_lines.drop(columns="currency"),
        "consents": consents(*many, ("b", "2019-04-01", "maybe"), ("d", "soon", YES)),
    }
    told = consent.said(ppi_ml.load(raw))
    assert told.startswith("consents: 1 of ")
    assert told.endswith(
        " 1 rows whose granted cannot be read count as a no."
        " 1 rows are quarantined and could not be heeded."
    )


SETTINGS = {
    "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 4, "engine.threads": 1,
    "model.processes": ["mbg_nbd", "gaps"], "model.stages": "process+glm",
    "baselines": ["base_rate"],
}  # fmt: skip


def test_a_model_is_that_of_a_log_that_never_had_them(make_shop, as_log, tmp_path):
    """Every file of the bundle but the remark on consent in the scorecard."""
    log = as_log(make_shop(seed=1, customers=250, quitters=True))
    deniers = log.customer_ids.to_list()[::9]
    agreed = ("c5", "2018-02-01", YES)
    runs = [
        ppi_ml.train(
            one, target="churn", settings=SETTINGS | {"output.folder": str(tmp_path)}, track=False
        )
        for one in (
            told_by(log, agreed, *((who, "2019-12-20", NO) for who in deniers)),
            told_by(log.only([c for c in log.customer_ids if c not in deniers]), agreed),
        )
    ]
    names = sorted(path.name for path in runs[0].bundle.iterdir())
    differ = [n for n in names if len({(run.bundle / n).read_text() for run in runs}) > 1]
    assert differ == ["manifest.json", "scorecard.json"]
    cards = [run.scorecard for run in runs]
    assert cards[0].rows == cards[1].rows
    assert cards[0].notes[:-1] == cards[1].notes[:-1]
    assert cards[0].notes[-1].startswith(f"consents: {len(deniers)} of ")
    judged = pl.read_parquet(runs[0].folder / "backtest.parquet")
    assert not judged["customer_id"].is_in(deniers).any()
    given_ = pl.read_parquet(runs[0].folder / "predictions.parquet").filter(status="no_consent")
    assert 0 < given_.height <= len(deniers)
    assert set(given_["customer_id"]) <= set(deniers)
    assert given_["churn_probability"].null_count() == given_.height


def test_the_note_stands_on_every_scorecard(trained):
    run, _ = trained
    assert run.scorecard.notes[-1].startswith("No table consents: everybody counts as having")
    assert "No table consents" in (run.folder / "scorecard.md").read_text()


# ------------------------------------------------------------------ scoring
VALUES = ["churn_probability", "horizon_days"]


@pytest.fixture(scope="module")
def scorer(trained):
    return ppi_ml.Scorer.load(trained[0].bundle)


@pytest.fixture(scope="module")
def everybody(scorer, trained):
    return scorer.score(trained[1], END, everyone=True)


@pytest.fixture(scope="module")
def live(scorer, trained):
    """The eligible, by id."""
    return scorer.score(trained[1], END)["customer_id"].tolist()


@pytest.fixture(scope="module")
def silent(everybody, live):
    """A customer who has not bought for long."""
    return next(c for c in everybody["customer_id"] if c not in set(live))


@pytest.fixture(scope="module")
def refused(live, silent):
    """Who denies: two of the eligible, and one who is not."""
    return [live[0], live[5], silent]


@pytest.fixture(scope="module")
def log(trained, refused):
    """The log of the trained bundle with three who denied, and one who never bought anything."""
    return told_by(trained[1], *((who, "2019-12-01", NO) for who in (*refused, "window-shopper")))


def untold(table, ids):
    """Whether these rows say nothing but that nothing is said; the rest is scored."""
    mine = table["customer_id"].isin(ids)
    assert mine.sum() == len(ids)
    assert set(table.loc[mine, "status"]) == {"no_consent"}
    assert set(table.loc[mine, "reason"]) == {"denied profiling"}
    assert table.loc[mine, VALUES].isna().all(axis=None)
    assert table[["cutoff", "target", "model_version", "model_sha256"]].notna().all(axis=None)
    assert set(table.loc[~mine, "status"]) <= {"scored"}


def test_the_eligible_who_denied_have_a_row_without_values(scorer, log, live, refused, everybody):
    table = scorer.score(log, END)
    assert table["customer_id"].tolist() == live
    assert table.dtypes.equals(everybody.dtypes)
    untold(table, refused[:2])


def test_everybody_has_a_row_with_or_without_values(scorer, log, refused, everybody):
    table = scorer.score(log, END, everyone=True)
    assert table["customer_id"].tolist() == everybody["customer_id"].tolist()
    untold(table, refused)
    others = ~table["customer_id"].isin(refused)
    pd.testing.assert_frame_equal(table[others], everybody[others])


def test_asked_for_by_id_a_denial_comes_before_any_other_reason(scorer, log, live, refused):
    asked = [refused[1], "nobody", "window-shopper", live[3], refused[2]]
    table = scorer.score(log, END, ids=asked, days=[7])
    assert table["customer_id"].tolist() == asked
    assert table["status"].tolist() == [
        "no_consent", "no_history", "no_consent", "scored", "no_consent"
    ]  # fmt: skip
    assert table["no_event_by_7d"].isna().tolist() == [True, True, True, False, True]


def test_parts_hold_them_in_order(scorer, log):
    parts = list(scorer.score_parts(log, END, everyone=True))
    whole = pl.concat(parts)
    assert whole["customer_id"].is_sorted()
    assert whole["status"].value_counts(sort=True).rows()[-1] == ("no_consent", 3)


def test_who_denies_after_the_cutoff_is_scored_as_known_then_and_counted(
    scorer, log, trained, refused
):
    table = scorer.score(log, "2019-11-15", everyone=True)
    pd.testing.assert_frame_equal(table, scorer.score(trained[1], "2019-11-15", everyone=True))
    assert set(table.loc[table["customer_id"].isin(refused), "status"]) == {"scored"}
    assert any(
        note.startswith("4 customers have denied profiling since 2019-11-15")
        for note in table.attrs["notes"]
    )
    assert not any("since" in note for note in scorer.score(log, END).attrs["notes"])


def test_they_have_no_curve_and_a_warning_counts_them(scorer, log, refused, everybody):
    with pytest.warns(UserWarning, match="no curves of 3 who have denied profiling"):
        curves = scorer.curves(log, END)
    assert len(curves.keys) == len(everybody) - 3
    assert not curves.keys["customer_id"].is_in(refused).any()


def test_without_a_denial_there_is_no_warning(scorer, trained):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer.curves(trained[1], END)


def test_they_have_no_reasons_and_a_note_counts_them(scorer, log, live, refused):
    told = scorer.explain(log, END, [refused[0], live[3], "nobody", "window-shopper"])
    assert set(told["customer_id"]) == {live[3]}
    assert told.attrs["notes"][:2] == [
        "no reasons for 1 without a purchase before the cutoff",
        "no reasons for 2 who have denied profiling",
    ]
    every = scorer.explain(log, END)
    assert set(every["customer_id"]) == set(live) - set(refused)
    assert "no reasons for 2 who have denied profiling" in every.attrs["notes"]


LINE = {"customer_id": "z", "order_id": "1", "line_id": "1", "occurred_at": "2019-11-01"}


def deny(occurred_at="2019-11-20", **more):
    return {"customer_id": "z", "purpose": "profiling", "granted": False,
            "occurred_at": occurred_at, **more}  # fmt: skip


def test_a_request_that_carries_a_denial_gets_no_values(scorer):
    """Though the model was trained without such a table."""
    said = scorer.one({"order_lines": [LINE], "consents": [deny()]}, "2019-12-01")
    assert (said.status, said.values["status"], said.values["reason"]) == (
        "no_consent", "no_consent", "denied profiling",
    )  # fmt: skip
    assert [said.values[name] for name in VALUES] == [None, None]
    assert said.values["customer_id"] == said.customer_id == "z"
    assert len(said.curves.cumulative) == 0
    assert list(said.rows) == [said.values]
    scored = scorer.one({"order_lines": [LINE]}, "2019-12-01")
    assert scored.status == "scored"
    assert list(said.values) == list(scored.values)
    again = [deny(), deny("2019-11-25", granted=True)]
    allowed = scorer.one({"order_lines": [LINE], "consents": again}, "2019-12-01")
    assert allowed.values == scored.values


def test_a_denial_of_this_very_minute_counts(scorer):
    """Within the grace for clocks that differ; later than that it is refused, as any event."""
    line, now = {**LINE, "occurred_at": "2019-11-01T09:00:00"}, "2019-12-01T10:00:00"
    said = scorer.one({"order_lines": [line], "consents": [deny("2019-12-01T10:03:00")]}, now)
    assert said.status == "no_consent"
    with pytest.raises(DataError, match="consents: an event lies after the cutoff"):
        scorer.one({"order_lines": [line], "consents": [deny("2019-12-01T10:06:00")]}, now)


def test_a_model_that_knew_consents_says_what_their_absence_means(scorer, trained, monkeypatch):
    knows = {**scorer.model.tables, "consents": scorer.model.tables["returns"]}
    monkeypatch.setattr(scorer, "model", replace(scorer.model, tables=knows))
    notes = scorer.score(trained[1], END).attrs["notes"]
    assert [note for note in notes if "table" in note] == [
        "consents: the model was trained with this table, which is absent; everybody counts as "
        "having allowed profiling"
    ]


def test_the_command_counts_them_and_writes_no_value(trained, log, live, refused, tmp_path):
    for name in ("order_lines", "returns", "consents"):
        getattr(log, name).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "ids.txt").write_text("\n".join([refused[0], live[3]]))
    base = ["score", "--model", trained[0].bundle, "--data", tmp_path, "--cutoff", "2019-12-31",
            "--quiet", "--json"]  # fmt: skip
    for more, counts in (
        (["--all"], {"no_consent": 3}),
        (["--ids", tmp_path / "ids.txt", "--explain", "2"], {"scored": 1, "no_consent": 1}),
    ):
        out = tmp_path / "scores.csv"
        ended = CliRunner().invoke(cli.app(), [str(x) for x in (*base, *more, "--out", out)])
        assert ended.exit_code == 0, ended.output
        assert counts.items() <= json.loads(ended.stdout).items()
        table = pd.read_csv(out).set_index("customer_id")
        untold(table.reset_index(), [c for c in refused if c in table.index])


# ------------------------------------------------------------------ scoring of pairs
@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """(scorer, log, who denied, end): a small bundle of pairs, and two who deny."""
    known = simulate.log(simulate.simulate(150, days=330, seed=3, shop=simulate.Shop()))
    settings = SETTINGS | {
        "target.least_purchases": 2, "model.max_rows": 20_000, "baselines": "auto",
        "output.folder": str(tmp_path_factory.mktemp("runs")),
    }  # fmt: skip
    del settings["model.processes"]
    end = str(known.observed_until)
    scores = ppi_ml.Scorer.load(
        ppi_ml.train(known, target="depletion", settings=settings, track=False).bundle
    )
    counts = scores.score(known, end)["customer_id"].value_counts()
    who = sorted(counts[counts > 2].index[:2])
    return scores, told_by(known, *((c, "2018-01-01", NO) for c in who)), who, end


def test_pairs_of_whoever_denied_are_one_row_without_a_product(pairs):
    scores, log, who, end = pairs
    before = scores.score(consent.disregarded(log), end)
    table = scores.score(log, end)
    mine = table["customer_id"].isin(who)
    assert table[mine]["customer_id"].tolist() == who
    assert set(table[mine]["status"]) == {"no_consent"}
    assert table[mine]["product"].isna().all()
    others = before[~before["customer_id"].isin(who)].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[~mine].reset_index(drop=True), others)
    assert table.dtypes.equals(before.dtypes)
    asked = scores.score(log, end, ids=[who[0], "nobody", others["customer_id"][0]])
    assert asked["status"].tolist()[:2] == ["no_consent", "no_history"]
    assert {"scored"} <= set(asked["status"][2:]) <= {"scored", "not_eligible"}
    values = [n for n in table.columns if n.startswith(("p_", "next_", "runout_", "nudge_"))]
    assert table.loc[mine, values].isna().all(axis=None)


def test_parts_of_pairs_hold_them_too(pairs, monkeypatch):
    from ppi_ml import scoring

    scores, log, who, end = pairs
    monkeypatch.setattr(scoring, "bucket_count", lambda *_: 4)
    whole = pl.concat(list(scores.score_parts(log, end)))
    assert sorted(whole.filter(status="no_consent")["customer_id"]) == who
    assert len(whole) == len(scores.score(log, end))


def test_a_request_of_pairs_that_carries_a_denial_gets_no_values(pairs):
    scores, log, who, end = pairs
    alone = log.customer(who[0])
    tables = {n: getattr(alone, n) for n, t in alone.tables.items() if len(t.frame)}
    said = scores.one(tables, end)
    assert (said.status, len(said.rows), said.values["product"]) == ("no_consent", 1, None)
    assert len(said.curves.cumulative) == 0


def test_curves_of_pairs_leave_them_out(pairs):
    scores, log, who, end = pairs
    with pytest.warns(UserWarning, match="no curves of 2 who have denied profiling"):
        curves = scores.curves(log, end)
    assert not curves.keys["customer_id"].is_in(who).any()
