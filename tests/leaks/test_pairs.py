"""Rules 1 to 3 for pairs: what became known at or after the cutoff changes nothing there.

Neither a feature nor a fitted state, nor the sample that processes are fitted on, nor who is a row,
nor what is out of stock. Nor does the order of rows, the split into buckets, or the year.
"""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from tests import shops
from tests.shops import BEGAN, CATEGORY, DAYS, SKU, START, ZONE, load, pantry, past

from ppi_ml import dataset, entities, labels, pair_rows, rows, snapshots
from ppi_ml.declare import Expression, Family
from ppi_ml.engine.buckets import bucket_count
from ppi_ml.entities import PAIR, PRODUCT
from ppi_ml.events import RawTable, load_tables
from ppi_ml.future import Future
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past
from ppi_ml.snapshots import Wanted

WHERE = ("2018-10-28", "2019-03-31T13:00:00", "2019-08-01")
"""Cutoffs: midnight before a clock change, midday after one, and months later."""
WANTED = Wanted(within=120, most=60, seed=3, in_stock=True)
ABSURD_COPIES = 2
KEYS = {"order_lines": "order_id", "returns": "return_id", "deliveries": "shipment_id",
        "usage": "usage_id"}  # fmt: skip
ABSURD = {"quantity": 999_999.0, "unit_price": 88_888.0, "order_type": "one_off",
          "amount": 777_777.0, "discount": 0.5, "promo_code": "POISON"}  # fmt: skip
entity_of = pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
at_each = pytest.mark.parametrize("cutoff", WHERE)


def whole_shelf(_log, _cutoff):
    return dataset.families(entity=PAIR)


def bytes_of(frame):
    """Every column of a frame with its nulls."""
    return {
        c.name: json.dumps(c.to_list()).encode()
        if c.dtype == pl.String
        else c.is_null().to_numpy().tobytes() + c.fill_null(0).to_numpy().tobytes()
        for c in frame
    }


def answers(log, cutoff, entity=SKU, families_of=whole_shelf, **how):
    """Name -> bytes of every feature, state, sample and row at a cutoff."""
    log = entities.prepared(log, entity)
    instant = Cutoff.parse(cutoff, log.timezone)
    chosen = families_of(log, instant)
    data = dataset.build(log, [instant], chosen, entity=entity, **how)
    told = {name: data.values[:, i].tobytes() for i, name in enumerate(data.names)}
    told |= {f"key {name}": found for name, found in bytes_of(data.keys).items()}
    told |= {"silent_days": data.silent_days.tobytes(), "purchases": data.purchases.tobytes()}
    for family, state in data.states[str(instant)].items():
        told[f"state of {family}"] = json.dumps(state).encode()
    sample = bytes_of(data.samples[str(instant)])
    told |= {f"sample {name}": found for name, found in sample.items()}
    if "refills__ln_scale" in data.names:
        fitted = rows.fit_processes(data, [], log.observed_from)
        told["state of renewals"] = json.dumps(fitted.by_cutoff[str(instant)]).encode()
    drawn = dataset.build(log, [instant], chosen, entity=entity, wanted=WANTED, **how)
    told["rows drawn"] = json.dumps(drawn.keys.rows()).encode()
    told["values drawn"] = drawn.values.tobytes()
    told["out of stock"] = json.dumps(Past(log, instant, entity).out_of_stock().to_list()).encode()
    return told


def differing(left, right):
    assert left.keys() == right.keys()
    return [name for name in left if left[name] != right[name]]


# ------------------------------------------------------------------ rule 1: poison
def poisoned(tables, cutoff):
    """The tables with everything that was known at or after the cutoff made absurd."""
    at = Cutoff.parse(cutoff, ZONE).at
    return {n: f if n == "products" else _spoil(n, f, at) for n, f in tables.items()}


def _spoil(name, frame, cutoff):
    later = pl.col("known_at").dt.epoch("us") >= cutoff
    before, rest = frame.filter(~later), frame.filter(later)
    assert before.height
    assert rest.height
    absurd = {n: v for n, v in ABSURD.items() if n in frame.columns}
    rest = rest.with_columns(pl.lit(value).alias(n) for n, value in absurd.items())
    if name == "stock":
        rest = rest.with_columns(~pl.col("available"))
    return pl.concat([before, rest, *(_copy(name, rest, frame, i) for i in range(ABSURD_COPIES))])


def _copy(name, rest, frame, number):
    """The rows again, of anybody and anything, at any time before they were known."""
    draw, n = np.random.default_rng(number), rest.height
    back = [timedelta(microseconds=int(us)) for us in draw.uniform(1, 120 * 86_400e6, n)]
    occurred = pl.max_horizontal(pl.col("known_at") - pl.Series(back), frame["occurred_at"].min())
    new = {"sku": pl.Series([f"s{i}" for i in draw.integers(0, shops.SKUS + 2, n)])}
    if name in KEYS:
        people = [*frame["customer_id"].unique().sort(), *(f"stranger{i}" for i in range(9))]
        new["customer_id"] = pl.Series(draw.choice(people, n))
        new[KEYS[name]] = pl.Series([f"poison{number}_{i}" for i in range(n)])
    if name == "deliveries":  # parcels of real orders, which would have come much earlier
        new["order_id"] = pl.Series(draw.choice(pantry()["order_lines"]["order_id"], n))
    kept = {column: values for column, values in new.items() if column in frame.columns}
    return rest.with_columns(**kept, occurred_at=occurred)


def found_by_poison(cutoff, entity=SKU, families_of=whole_shelf):
    logs = [load(tables) for tables in (pantry(), poisoned(pantry(), cutoff))]
    return differing(*(answers(log, cutoff, entity, families_of) for log in logs))


@entity_of
@at_each
def test_nothing_knows_what_was_learned_later(cutoff, entity):
    assert found_by_poison(cutoff, entity) == []


@entity_of
def test_the_poison_is_strong(entity):
    """After the cutoff everything differs, so equality before it means something."""
    clean, spoiled = (answers(load(t), "2019-12-30", entity)
                      for t in (pantry(), poisoned(pantry(), WHERE[0])))  # fmt: skip
    assert [name for name in clean if clean[name] == spoiled[name]] == []


@at_each
def test_some_of_the_poison_lies_before_the_cutoff(cutoff):
    at = Cutoff.parse(cutoff, ZONE).at
    for name, frame in poisoned(pantry(), cutoff).items():
        if name != "products":
            late = frame.filter(pl.col("occurred_at").dt.epoch("us") < at,
                                pl.col("known_at").dt.epoch("us") >= at)  # fmt: skip
            assert late.height > (20 if name in KEYS else 3), name


def test_labels_at_the_training_end_know_nothing_learned_later():
    end, found = "2019-07-01", []
    for tables in (pantry(), poisoned(pantry(), end)):
        log = load(tables)
        data = shops.built(log, "2018-12-01", "2019-04-01", names=["refills"])
        prepared = entities.prepared(log, SKU)
        found.append(labels.durations(data, prepared, Cutoff.parse(end, ZONE), settling=10.0))
    np.testing.assert_array_equal(found[0].days, found[1].days)
    np.testing.assert_array_equal(found[0].observed, found[1].observed)
    assert found[0].observed.any()


# ------------------------------------------------------------------ rule 2: truncation
def found_by_truncation(cutoff, entity=SKU, families_of=whole_shelf):
    log = load(pantry())
    return differing(*(answers(each, cutoff, entity, families_of)
                       for each in (log, log.until(cutoff))))  # fmt: skip


@entity_of
@at_each
def test_a_cut_log_gives_the_same(cutoff, entity):
    assert found_by_truncation(cutoff, entity) == []


@entity_of
@at_each
def test_rows_that_were_never_loaded_give_the_same(cutoff, entity):
    at = Cutoff.parse(cutoff, ZONE).at
    known = {
        n: f if n == "products" else f.filter(pl.col("known_at").dt.epoch("us") < at)
        for n, f in pantry().items()
    }
    whole, short = (answers(load(tables), cutoff, entity) for tables in (pantry(), known))
    assert differing(whole, short) == []


# ------------------------------------------------------------------ rule 3: planted leaks
def looked_up(counts):
    """A family whose one column is looked up by pair, past the back of the snapshot."""
    known = {f"{customer}|{product}": value for customer, product, value in counts.rows()}
    pair = pl.concat_str("customer_id", PRODUCT, separator="|")
    peek = Expression("peek", "events", "never null", "purchases",
                      lambda: pair.replace_strict(known, default=0.0))  # fmt: skip
    return [Family("planted", PAIR, ("order_lines",), features=(), expressions=(peek,))]


def by_occurrence_only(log, instant):
    frame = log.tables["usage"].frame.filter(pl.col("at") < instant.at).drop_nulls(PRODUCT)
    return looked_up(frame.group_by("customer_id", PRODUCT).agg(pl.len().cast(pl.Float64)))


def with_the_future(log, instant):
    return looked_up(Future(log, instant, log.observed_until).next_purchase(SKU.keys))


@pytest.mark.parametrize("planted", [by_occurrence_only, with_the_future])
@pytest.mark.parametrize("check", [found_by_poison, found_by_truncation])
def test_a_leaking_family_is_found(check, planted):
    assert check("2019-08-01", families_of=planted) == ["planted__peek", "values drawn"]


@pytest.mark.parametrize("check", [found_by_poison, found_by_truncation])
def test_a_past_that_goes_by_occurrence_alone_is_found(check, monkeypatch):
    """In every table, every family, every state, the sample, and in who is a row."""

    def events(self, table):
        frame = self.log.tables[table].frame.filter(pl.col("at") < self.cutoff.at)
        return frame.with_columns(age_us=(self.cutoff.wall - pl.col("wall")).clip(lower_bound=1))

    monkeypatch.setattr(Past, "events", events)
    found = set(check("2019-08-01"))
    assert {"arrivals__last__days_since", "arrivals__on_the_way__count__30d",
            "cadence__gap__mean", "packs__amount__last", "refills__returned__sum",
            "substitutes__days__count", "trips__days__rate__30d", "usage__reports__rate__90d",
            "usage__opened__sum", "house__came__last", "state of house",
            "state of refills", "state of renewals",
            "sample refills__ln_scale", "key customer_id", "purchases"} <= found  # fmt: skip


# ------------------------------------------------------------------ what must not matter
@entity_of
def test_neither_the_order_of_rows_nor_buckets_nor_threads_change_a_byte(entity, monkeypatch):
    monkeypatch.setattr(snapshots, "SAMPLED_PAIRS", 80)  # so that the draw of the sample counts
    log, cutoff = load(pantry()), "2019-08-01"
    plain = answers(log, cutoff, entity, threads=1)
    mixed = load({n: f.sample(fraction=1, shuffle=True, seed=i)
                  for i, (n, f) in enumerate(pantry().items())})  # fmt: skip
    assert differing(plain, answers(mixed, cutoff, entity)) == []
    memory = 10**5
    assert bucket_count(log, memory, 2) > 16
    assert differing(plain, answers(log, cutoff, entity, threads=2, memory=memory)) == []
    data = shops.built(log, cutoff, entity=entity, names=["refills"])
    assert 50 < data.samples[cutoff].height < 120 < len(data)


def test_fitting_many_pairs_again_gives_the_same_bytes(monkeypatch):
    """Sums of floats over groups, made by several threads, differ in the last digits."""
    sample = shops.built(load(pantry()), "2019-08-01", names=["refills"]).samples["2019-08-01"]
    fitted = pair_rows.fit(sample, 1)  # the search is not what is asked about
    monkeypatch.setattr(pair_rows.renewals, "fit", lambda _: fitted)
    times = pl.Series(np.random.default_rng(0).uniform(0.5, 2, 120 * len(sample)))
    waited = pl.col("refills__elapsed__days_since") * times
    many = pl.concat([sample] * 120).with_columns(waited)
    states = {json.dumps(pair_rows.fit(many, 1)) for _ in range(8)}
    assert len(many) > 15_000
    assert len(states) == 1


@entity_of
def test_chosen_pairs_have_the_values_they_have_among_all(entity):
    log, cutoff = load(pantry()), "2019-08-01"
    whole, some = (shops.built(log, cutoff, entity=entity, wanted=w) for w in (None, WANTED))
    place = {row: i for i, row in enumerate(whole.keys.rows())}
    chosen = [place[row] for row in some.keys.rows()]
    assert 20 < len(chosen) <= 90 < len(place)
    np.testing.assert_array_equal(some.values, whole.values[chosen])
    out = set(past(log, cutoff, entity).out_of_stock())
    assert not out & set(some.keys[PRODUCT])
    assert (some.silent_days <= WANTED.within).all()


@entity_of
def test_the_same_shop_a_year_earlier_says_the_same(entity):
    """364 days: the same weekdays. Who knows a date, knows another one here."""
    weeks = timedelta(days=364)
    moved = {
        n: f.with_columns(pl.col("occurred_at", "known_at") - weeks) if n != "products" else f
        for n, f in pantry().items()
    }
    told = []
    for tables, start, cutoff in ((pantry(), START, "2019-08-01"),
                                  (moved, START - weeks, "2018-08-02")):  # fmt: skip
        raw = {
            n: RawTable(f) if n == "products" else RawTable(
                f, observed_from=start + timedelta(BEGAN[n]),
                observed_until=start + timedelta(days=DAYS))
            for n, f in tables.items()
        }  # fmt: skip
        told.append(answers(load_tables(raw, timezone="UTC", currency="GBP"), cutoff, entity))
    assert differing(*told) == []
