"""Reviews: what a text is read by, what is soon after a delivery, and a text model of one's own."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier
from tests import bazaar

from ppi_ml import aggregation, dataset, family_check
from ppi_ml.errors import UsageError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.features import reviews
from ppi_ml.features.reviews import FAMILY, texts_read_by
from ppi_ml.instants import Cutoff
from ppi_ml.models.sentiment import TextModel
from ppi_ml.shelf import load_plugins
from ppi_ml.snapshot import Past
from ppi_ml.snapshots import unused

START, LATE = datetime(2018, 1, 1), "2019-11-01"
TEXTS = [name for f in FAMILY.features if "text" in f.what for name, _ in f.columns("reviews")]


@pytest.fixture(scope="module")
def frames(make_shop):
    return bazaar.frames(make_shop(customers=250))


@pytest.fixture(scope="module")
def log(frames):
    return bazaar.load(frames)


def built(log, cutoff=LATE, states=None, family=FAMILY, **options):
    instant = Cutoff.parse(cutoff, log.timezone)
    return dataset.build(log, [instant], [family], states=states, **options)


def state_of(data, name="reviews"):
    return data.states[str(data.cutoffs[0])][name]


def same(one, other):
    return one.keys.equals(other.keys) and one.values.tobytes() == other.values.tobytes()


# ------------------------------------------------------------------ by hand
def by_hand(said, parcels=(), shipments=(), others=(), days=400):
    """A log of customer `a` with one order `o`: reviews (day, columns), parcels (day, columns)."""

    def frame(key, rows, who="a"):
        made = [
            {"customer_id": who, key: f"{key}{i}", "occurred_at": START + timedelta(days=day),
             **columns} for i, (day, columns) in enumerate(rows)
        ]  # fmt: skip
        return pl.DataFrame(made, infer_schema_length=None)

    rows = {
        "order_lines": pl.DataFrame({
            "customer_id": ["a", "b"], "order_id": ["o", "p"], "line_id": ["1", "1"],
            "occurred_at": [START + timedelta(days=1)] * 2,
        }),
        "reviews": frame("review_id", said),
        "deliveries": pl.concat(
            [frame("shipment_id", parcels), frame("shipment_id", others, who="b")], how="diagonal"
        ),
        "shipments": frame("shipment_id", shipments),
    }  # fmt: skip
    until = START + timedelta(days=days)
    raw = {n: RawTable(f, observed_from=START, observed_until=until)
           for n, f in rows.items() if f.height}  # fmt: skip
    return load_tables(raw, timezone="UTC", currency="GBP")


ABOUT = {"order_id": "o"}


@pytest.mark.parametrize(
    ("parcels", "shipments", "wait"),
    [
        ([(10, ABOUT)], [], 10),
        ([(10, ABOUT), (15, ABOUT), (30, ABOUT)], [], 5),
        ([(23, ABOUT), (26, ABOUT)], [], -3),
        ([(10, {"order_id": None})], [(8, ABOUT)], 10),
        ([(10, {"order_id": "x"})], [], None),
        ([], [], None),
    ],
    ids=["one", "the last before it", "before the first", "order of the shipment", "another order",
         "none"],
)  # fmt: skip
def test_days_from_the_delivery(parcels, shipments, wait):
    data = built(by_hand([(20, {**ABOUT, "rating": 4})], parcels, shipments), "2019-01-01")
    found = data.column("reviews__wait__mean")[0]
    assert np.isnan(found) if wait is None else found == wait


def test_a_parcel_of_another_customer_is_not_this_customers():
    log = by_hand([(20, {**ABOUT, "rating": 4})], others=[(10, ABOUT)])
    assert np.isnan(built(log, "2019-01-01").column("reviews__wait__mean")).all()


TOLD = {"gloomy": 0.83, "fine": 0.04, "so so": 0.41}
ORACLE = TextModel(
    fit=lambda texts, low: {"n": len(texts), "low": int(low.sum())},
    score=lambda _state, texts: np.array([TOLD.get(text, np.nan) for text in texts]),
)
READ = texts_read_by(ORACLE, "own")


def test_texts_soon_after_a_delivery_and_all_texts():
    """Within 14 days, the day itself and the last moment included; never before it."""
    said = [(9, "gloomy"), (10, "so so"), (24, "fine"), (24.01, "gloomy"), (50, None), (60, "?")]
    rows = [(day, {**ABOUT, "rating": 3, "text": text}) for day, text in said]
    data = built(by_hand(rows, [(10, ABOUT)]), "2019-01-01", family=READ)
    found = {name.removeprefix("own__"): data.column(name)[0] for name in data.names}
    assert found == pytest.approx({
        "text_low__mean": (0.85 + 0.4 + 0.05 + 0.85) / 4, "text_low__last": 0.85,
        "text_low__max": 0.85, "text_low_soon__mean": 0.225, "text_low_soon__last": 0.05,
        "text_low_soon__max": 0.4,
    })  # fmt: skip
    assert np.isnan(data.values[1]).all()


def test_what_is_said_of_who_never_wrote():
    data = built(by_hand([(20, {**ABOUT, "rating": 4})]), "2019-01-01")
    of_b = dict(zip(data.names, data.values[1], strict=True))
    known = {name for name, value in of_b.items() if not np.isnan(value)}
    assert known == {name for name in data.names if "count" in name or "rate" in name} | {
        "reviews__reviews_per_purchase"
    }
    assert not any(of_b[name] for name in known - {"reviews__purchases__count"})


# ------------------------------------------------------------------ what is learned
def test_too_few_texts_are_said_to_be_too_few_and_the_columns_are_null():
    said = [(20 + i, {**ABOUT, "rating": 1 + i % 5, "text": f"so it was {i}"}) for i in range(30)]
    data = built(by_hand(said), "2019-01-01")
    whys = [half["why"] for half in state_of(data)["halves"]]
    assert all("too few texts with stars to learn from" in why for why in whys)
    assert all(np.isnan(data.column(name)).all() for name in TEXTS)
    assert data.column("reviews__stars__mean")[0] == 3.0


def told_unused(log, family=FAMILY):
    """What training says of a family that could not learn."""
    data = built(log, family=family)
    return unused(log, [family], data.states[str(data.cutoffs[0])])


def test_texts_that_cannot_be_learned_from_are_told_with_the_reason(log):
    few = [(20 + i, {**ABOUT, "rating": 1 + i % 5, "text": f"so it was {i}"}) for i in range(30)]
    (said,) = told_unused(by_hand(few))
    assert said.startswith(
        "the texts of reviews (each half is read by what the other teaches; too few texts with "
        "stars to learn from: "
    )
    content = [(20 + i, {**ABOUT, "rating": 5, "text": f"so it was {i}"}) for i in range(300)]
    (said,) = told_unused(by_hand(content))
    assert ", 0 of them with few stars; at least 75 are needed, 10 with few and 10" in said
    assert told_unused(log) == ()


def test_where_one_half_teaches_nothing_the_other_half_of_the_texts_is_told():
    said = [(20 + i, {**ABOUT, "rating": 1 + 4 * (i % 2), "text": f"so {i}"}) for i in range(300)]
    rows = by_hand(said).tables["reviews"].frame
    drawn = reviews._drawn(rows) % 2
    dull = rows.filter((drawn == 0) & (pl.col("rating") == 1))["text"].to_list()
    kept = [(day, row) for day, row in said if row["text"] not in dull]
    (why,) = told_unused(by_hand(kept))
    assert why.startswith("half of the texts of reviews (each half is read by what the other")


def test_nothing_is_told_where_there_are_no_reviews_or_a_model_of_ones_own_is_content(make_shop):
    basic = bazaar.frames(make_shop(customers=30))
    assert told_unused(bazaar.load({"order_lines": basic["order_lines"]})) == ()
    said = by_hand([(20, {**ABOUT, "rating": 1, "text": "gloomy"})])
    assert told_unused(said, READ) == ()
    mute = texts_read_by(replace(ORACLE, fit=lambda _texts, _low: {"why": "no such tongue"}), "own")
    (why,) = told_unused(said, mute)
    assert why.endswith("; no such tongue)")


def test_no_reviews_at_all_learn_nothing(make_shop):
    basic = bazaar.frames(make_shop(customers=30))
    data = built(bazaar.load({"order_lines": basic["order_lines"]}))
    assert state_of(data)["mean_e3"] is None
    assert np.isnan(data.values).all()


def test_no_text_is_read_by_what_its_own_stars_taught(frames, log):
    """Other stars in every review of one half change what the other half is told, and only that."""
    drawn = reviews._drawn(log.tables["reviews"].frame) % 2
    ids = log.tables["reviews"].frame["review_id"].filter(drawn == 0).to_list()
    turned = frames["reviews"].with_columns(
        rating=pl.when(pl.col("review_id").is_in(ids))
        .then(6 - pl.col("rating"))
        .otherwise("rating")
    )
    other = bazaar.load(frames | {"reviews": turned})
    before, after = (
        FAMILY.views[0].make(Past(one, Cutoff.parse(LATE, one.timezone)).seen, state_of(built(one)))
        for one in (log, other)
    )
    own = before["review_id"].is_in(ids)
    assert before["review_id"].equals(after["review_id"])
    unlike = before["text_low_e3"].ne_missing(after["text_low_e3"])
    assert not unlike.filter(own).any()
    assert unlike.filter(~own).sum() > 50


def test_what_becomes_known_later_changes_nothing(frames, log):
    """Neither columns nor state: later reviews and parcels are turned into absurd ones."""
    instant = Cutoff.parse("2019-08-01", log.timezone).at
    later = pl.col("known_at").dt.epoch("us") >= instant
    absurd = frames["reviews"].with_columns(
        rating=pl.when(later).then(1.0).otherwise("rating"),
        text=pl.when(later).then(pl.lit("lovely good fast")).otherwise("text"),
    )
    parcels = frames["deliveries"].filter(~later)
    poisoned = bazaar.load(frames | {"reviews": absurd, "deliveries": parcels})
    one, other = built(log, "2019-08-01"), built(poisoned, "2019-08-01")
    assert frames["reviews"].filter(later).height > 20
    assert same(one, other)
    assert json.dumps(state_of(one)) == json.dumps(state_of(other))
    assert "weights_e3" in state_of(one)["halves"][0]
    assert not same(built(log), built(poisoned))


def test_order_of_rows_and_split_into_buckets_change_nothing(frames, log, monkeypatch):
    """Also where only a sample of the texts is learned from."""
    monkeypatch.setattr(reviews, "MOST_TEXTS", 180)
    whole = built(log)
    mixed = {
        name: frame.sample(fraction=1.0, shuffle=True, seed=4) for name, frame in frames.items()
    }
    assert sum(half["texts"] for half in state_of(whole)["halves"]) == 180
    for other in (built(bazaar.load(mixed)), built(log, memory=10**8, threads=1)):
        assert same(whole, other)
        assert json.dumps(state_of(whole)) == json.dumps(state_of(other))


def test_a_customer_alone_is_the_row_of_the_batch(log):
    whole = built(log)
    states = json.loads(json.dumps(whole.states[str(whole.cutoffs[0])]))
    for who in whole.customers[::25]:
        alone = built(log.customer(who), states=states)
        row = (whole.customers == who).arg_true()[0]
        np.testing.assert_array_equal(alone.values[0], whole.values[row])


def test_the_checks_of_a_family_hold(log):
    assert [finding for finding in family_check.check(FAMILY, log) if not finding.holds] == []


# ------------------------------------------------------------------ nothing that tells the date
FEW_TEXTS = [f"{mood} {thing}" for mood in ("good", "bad", "late", "lovely", "broken")
             for thing in ("parcel", "colour", "price", "shop")]  # fmt: skip
SHARE_LOW = np.linspace(0.05, 0.9, len(FEW_TEXTS))


def few_words(days=700, customers=500, seed=1):
    """A shop that never changes: all order at a constant pace and write one of twenty texts."""
    draw = np.random.default_rng(seed)
    n = customers * days // 40
    who, day = draw.integers(0, customers, n), draw.uniform(0, days - 10, n)
    text = draw.integers(0, len(FEW_TEXTS), n)
    low = draw.random(n) < SHARE_LOW[text]
    stars = np.where(low, draw.integers(1, 3, n), draw.integers(3, 6, n))
    ids = {"customer_id": [f"c{i}" for i in who], "order_id": [f"o{i}" for i in range(n)]}
    moment = np.datetime64(START, "us") + (day * 86_400e6).astype("timedelta64[us]")
    after = moment + np.timedelta64(6, "D")
    tables = {
        "order_lines": ids | {"line_id": ["1"] * n, "occurred_at": moment},
        "reviews": ids | {"review_id": ids["order_id"], "occurred_at": after,
                          "rating": stars * 1.0, "text": [FEW_TEXTS[i] for i in text]},
        "deliveries": ids | {"shipment_id": ids["order_id"],
                             "occurred_at": moment + np.timedelta64(4, "D")},
    }  # fmt: skip
    until = START + timedelta(days=days)
    raw = {name: RawTable(pl.DataFrame(columns), observed_from=START, observed_until=until)
           for name, columns in tables.items()}  # fmt: skip
    return load_tables(raw, timezone="UTC", currency="GBP")


def told(log, columns):
    """How well a small tree tells late cutoffs from early ones, by customers it has not seen."""
    cutoffs = [Cutoff.parse("2019-02-01", "UTC").plus(30 * i) for i in range(8)]
    data = dataset.build(log, cutoffs, [FAMILY])
    inputs = data.values[:, [data.names.index(name) for name in columns]]
    late = data.cutoff_index >= 4
    learn = data.customers.str.slice(1).cast(pl.Int64).to_numpy() % 2 == 0
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=30, random_state=0)
    said = tree.fit(inputs[learn], late[learn]).predict_proba(inputs[~learn])[:, 1]
    return roc_auc_score(late[~learn], said)


OF_A_STATE = [*TEXTS, "reviews__stars_over_shop"]


def test_what_a_state_says_does_not_tell_the_date(monkeypatch):
    """Its exact values would: many customers write one text, and its value is that date's own."""
    log = few_words()
    assert told(log, OF_A_STATE) < 0.56
    monkeypatch.setattr(reviews, "_STEP_E3", 1)
    assert told(log, TEXTS) > 0.6
    monkeypatch.setattr(reviews, "_STAR_STEP_E3", 1)
    assert told(log, OF_A_STATE) > 0.6


# ------------------------------------------------------------------ a text model of one's own
PLUGIN = '''
"""Texts that say "bad" are angry; how often they come with few stars is learned from the shop."""
import numpy as np
from ppi_ml.features.reviews import texts_read_by
from ppi_ml.models.sentiment import TextModel


def fit(texts, low):
    angry = texts.str.contains("bad").to_numpy()
    return {"angry": float(low[angry].mean()) if angry.any() else None}


def score(state, texts):
    angry = texts.str.contains("bad").to_numpy()
    return np.where(angry, np.nan if state["angry"] is None else state["angry"], 0.1)


FAMILY = texts_read_by(TextModel(fit, score), name="angry")
'''


@pytest.fixture
def angry(tmp_path):
    file = tmp_path / "angry.py"
    file.write_text(PLUGIN)
    return dataset.families(["angry"], plugins=load_plugins([file]))[0]


def test_a_text_model_of_ones_own_is_one_file(log, angry):
    data = built(log, family=angry)
    state = state_of(data, "angry")
    for half in state["halves"]:
        assert 0 < half["angry"] < 1
    known = data.column("angry__text_low__max")
    steps = {0.1, *(round(half["angry"] * 20) / 20 for half in state["halves"])}
    found = set(known[~np.isnan(known)].round(3))
    assert found == steps
    assert [finding for finding in family_check.check(angry, log) if not finding.holds] == []


def test_it_stands_beside_the_family_of_the_shelf(log, angry):
    both = dataset.build(log, [Cutoff.parse(LATE, log.timezone)], [FAMILY, angry])
    assert {"reviews__text_low__mean", "angry__text_low__mean"} <= set(both.names)
    assert len(set(both.names)) == len(both.names)
    columns = [name for name, _ in aggregation.columns_of(angry)]
    assert [name.replace("angry", "reviews") for name in columns] == TEXTS


@pytest.mark.parametrize(
    ("answer", "message"),
    [(lambda texts: np.zeros(len(texts) + 1), "gave .* numbers for .* texts"),
     (lambda texts: np.full(len(texts), 1.5), "a number outside 0 to 1")],
    ids=["how many", "range"],
)  # fmt: skip
def test_what_is_no_probability_is_refused(log, answer, message):
    model = replace(ORACLE, score=lambda _state, texts: answer(texts))
    with pytest.raises(UsageError, match=message):
        built(log, family=texts_read_by(model, "own"))
