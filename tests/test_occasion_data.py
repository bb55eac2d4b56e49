"""The matrix of occasions: each row knows what a past at its own cutoff knows, and nothing else."""

import json
import re
from dataclasses import replace
from functools import cache
from math import log
from typing import get_args

import numpy as np
import polars as pl
import pytest
from tests import bazaar, moments
from tests.moments import A_LINE, AN_ORDER, ASKINGS, BACK, LATE, LOW, arrival, line, parcel

from ppi_ml import aggregation, dataset, occasion_data
from ppi_ml.declare import Aggregate, Expression, Feature
from ppi_ml.entities import CUSTOMER, LINE, ONE_CUSTOMER, ORDER
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.occasion_past import OccasionPast, numbered
from ppi_ml.occasions import LATER, Asking, standing, triggered
from ppi_ml.schema import TABLES
from ppi_ml.snapshot import Past

FAMILIES = {f.name: f for f in dataset.families("all", entity=LINE)}
OF_CUSTOMERS = [f for f in FAMILIES.values() if f.serves(CUSTOMER)]
OWN = {name: f for name, f in FAMILIES.items() if not f.serves(CUSTOMER)}
ANYTIME = Asking(("ordered", "shipped", "delivered"), "returned", 60)
"""Asked as often as can be, so that a customer has many occasions."""


def periods_of(log, *days):
    return [Cutoff.parse(day, log.timezone) for day in days]


def matrix(log, rows, periods, families, entity, **options):
    states = {str(p): occasion_data.states_at(log, p, families, 1) for p in periods}
    return occasion_data.build(log, rows, periods, families, entity, states, **options)


# ------------------------------------------------------------------ the families of customers
@pytest.fixture(scope="module")
def market(make_shop):
    """The noise shop with every table."""
    return bazaar.load(bazaar.frames(make_shop()))


@pytest.fixture(scope="module")
def noise(market):
    """(log, occasions of lines in the first year, their matrix)."""
    rows = triggered(market, A_LINE, ANYTIME, Cutoff.parse("2019-03-01", market.timezone))
    periods = periods_of(market, "2018-01-08", "2018-07-01", "2019-01-01")
    return market, matrix(market, rows, periods, list(FAMILIES.values()), A_LINE)


def alone(log, data, i, family):
    """What a past of one customer, of a log cut at the cutoff of row i, says of a family."""
    key = data.keys.row(i, named=True)
    cutoff = Cutoff.from_instant(key["now_at"], log.timezone)
    past = Past(log.only([key["customer_id"]]).until(cutoff), cutoff, ONE_CUSTOMER)
    if not past.entities.height:
        return None  # whoever never bought is no customer, though what they were given is an order
    state = data.states[str(data.cutoffs[data.cutoff_index[i]])].get(family.name)
    made = aggregation.compute(family, past, state)
    if family.fitted is not None:
        made = made.with_columns(**family.fitted.columns(state))
    return made


READS_TEXTS = "reviews__text_low"
"""Texts are read by the half of the shop that the customer is not in: drawn by the name of the
customer, which is the number of the occasion here (see the test below)."""


def differing(log, data, family, rows):
    """Names of columns that differ from those of the customer's own past, in any of the rows."""
    found, compared = set(), 0
    for i in rows:
        made = alone(log, data, i, family)
        if made is None:
            continue
        compared += 1
        for name, _ in aggregation.columns_of(family):
            said = np.float32(np.nan if made[name][0] is None else made[name][0])
            here = data.values[i, data.names.index(name)]
            if said.tobytes() != here.tobytes() and not (np.isnan(said) and np.isnan(here)):
                found.add(name)
    assert compared > 0.8 * len(rows)
    return found


@pytest.fixture(scope="module")
def some(noise):
    """Rows spread over the matrix, those of the first days among them."""
    _, data = noise
    draw = np.random.default_rng(5)
    return [*range(12), *draw.choice(len(data), 50, replace=False).tolist()]


@pytest.mark.parametrize("family", OF_CUSTOMERS, ids=lambda f: f.name)
def test_a_family_of_customers_says_what_it_says_of_the_customer(noise, some, family):
    found = differing(*noise, family, some)
    assert {name for name in found if not name.startswith(READS_TEXTS)} == set()


def test_texts_are_read_by_the_half_that_the_customer_is_not_in(market):
    periods = periods_of(market, "2019-09-01")
    rows = triggered(market, A_LINE, ANYTIME, market.observed_until)
    data = matrix(market, rows, periods, [FAMILIES["reviews"]], A_LINE)
    read = ~np.isnan(data.column("reviews__text_low__last"))
    assert read.any()
    assert differing(market, data, FAMILIES["reviews"], np.flatnonzero(read)[:40]) == set()


def test_some_tables_had_not_begun_at_some_of_the_rows(noise, some):
    """So that equality above is about those, too: unknown is null, and not 0."""
    log_, data = noise
    began = [table.observed_from.at for table in log_.tables.values()]
    known = [sum(start < data.keys["now_at"][i] for start in began) for i in some]
    assert min(known) < max(known) == len(began)
    assert np.isnan(data.column("returns__any__count")[data.keys["now_at"] < max(began)]).any()


def test_occasions_of_one_customer_never_meet(noise):
    """The rows of a customer with many occasions are those that each has alone."""
    log_, data = noise
    busiest = data.customers.value_counts().sort("count", "customer_id")["customer_id"][-1]
    mine = data.customers == busiest
    few = data.keys.filter(mine)
    assert few["now_at"].n_unique() > 10
    for i in range(0, few.height, few.height // 4):
        one = few[i : i + 1].drop("period", strict=False)
        got = occasion_data.build(
            log_, one, data.cutoffs, list(FAMILIES.values()), A_LINE, data.states
        )
        assert got.values.tobytes() == data.values[mine.to_numpy()][i].tobytes()


# ------------------------------------------------------------------ however it is worked out
@pytest.fixture(scope="module")
def shop():
    return moments.log_of(**moments.busy(2, customers=50))


PERIODS = ("2024-03-01", "2024-04-01", "2024-05-01")


@cache
def built(log_, kind):
    entity, asking = ASKINGS[kind]
    families = dataset.families("all", entity=entity.name)
    rows = triggered(log_, entity, asking, log_.observed_until)
    return rows, families, matrix(log_, rows, periods_of(log_, *PERIODS), families, entity)


@pytest.mark.parametrize("kind", ASKINGS)
def test_parts_threads_and_the_order_of_rows_change_no_byte(shop, kind, monkeypatch):
    rows, families, data = built(shop, kind)
    entity = ASKINGS[kind][0]
    monkeypatch.setattr(occasion_data, "_AT_ONCE", 40)
    again = occasion_data.build(
        shop, rows.sample(fraction=1, shuffle=True, seed=3), data.cutoffs, families, entity,
        data.states, threads=3,
    )  # fmt: skip
    assert again.keys.equals(data.keys)
    assert again.values.tobytes() == data.values.tobytes()
    assert again.starts == data.starts


@pytest.mark.parametrize("kind", ASKINGS)
def test_a_customer_alone_has_the_same_rows(shop, kind):
    rows, families, data = built(shop, kind)
    entity = ASKINGS[kind][0]
    for customer in data.customers.unique().sort()[::12]:
        few = rows.filter(customer_id=customer)
        one = occasion_data.build(
            shop.customer(customer), few, data.cutoffs, families, entity, data.states
        )
        mine = (data.customers == customer).to_numpy()
        assert len(one) == mine.sum() > 0
        assert one.values.tobytes() == data.values[mine].tobytes()


def test_an_occasion_before_the_first_period_is_left_out(shop):
    rows, _, data = built(shop, "back")
    first = data.cutoffs[0].at
    assert len(data) == (rows["now_at"] >= first).sum() < rows.height
    index = data.cutoff_index
    for i, (start, end) in enumerate(zip(data.cutoffs, [*data.cutoffs[1:], None], strict=True)):
        here = data.keys.filter(pl.Series(index == i))["now_at"]
        assert (here >= start.at).all()
        assert end is None or (here < end.at).all()


def test_states_are_those_of_the_period(shop):
    """A row at a cutoff uses what was learned at the start of its period, not what came since."""
    rows, families, data = built(shop, "back")
    for cutoff in data.cutoffs:
        learned = occasion_data.states_at(shop.until(cutoff), cutoff, families, 1)
        assert json.dumps(learned) == json.dumps(data.states[str(cutoff)])
    newest = {str(c): data.states[str(data.cutoffs[-1])] for c in data.cutoffs}
    other = occasion_data.build(shop, rows, data.cutoffs, families, A_LINE, newest)
    assert other.column("sent_back__product_back__max").tolist() != (
        data.column("sent_back__product_back__max").tolist()
    )


def test_days_since_it_was_asked_and_whether_again(shop):
    _, _, data = built(shop, "back")
    keys = data.keys
    elapsed = (keys["now_at"] - keys["asked_at"]).to_numpy() / DAY_US
    assert data.column(occasion_data.ELAPSED) == pytest.approx(elapsed, rel=1e-6)
    assert (data.column(occasion_data.AGAIN) == (keys["trigger"] == LATER).to_numpy()).all()
    assert set(data.column(occasion_data.AGAIN)) == {0.0, 1.0}


def test_what_is_scored_later_is_known_as_later(shop):
    """A question that stands since yesterday is answered by the model of later occasions."""
    families = dataset.families("all", entity=LINE)
    cutoff = Cutoff.parse("2024-04-10", shop.timezone)
    rows = standing(shop, A_LINE, BACK, cutoff)
    data = matrix(shop, rows, [cutoff], families, A_LINE)
    waited = data.column(occasion_data.ELAPSED)
    assert (data.column(occasion_data.AGAIN) == (waited > 1)).all()
    assert (waited > 1).any()
    assert not (waited > 1).all()


def test_no_rows_make_an_empty_matrix_with_all_columns(shop):
    rows, families, data = built(shop, "late")
    empty = occasion_data.build(shop, rows.clear(), data.cutoffs, families, AN_ORDER, data.states)
    assert (len(empty), empty.names) == (0, data.names)
    assert empty.keys.schema == data.keys.schema


# ------------------------------------------------------------------ what a family gets to see
@pytest.mark.parametrize("table", TABLES)
def test_what_is_seen_holds_no_dates_and_says_whose_it_is(noise, table):
    log_, data = noise
    if table not in log_.tables and not TABLES[table].of_customers:
        return
    rows = numbered(data.keys.filter(pl.int_range(pl.len()) % 40 == 0))
    past = OccasionPast(log_, data.cutoffs[0], rows=rows)
    seen, usual = past.seen(table), Past(log_, data.cutoffs[0]).seen(table)
    more = {"own": pl.Boolean, "who": pl.String} if TABLES[table].of_customers else {}
    assert dict(seen.schema) == {**usual.schema, **more}
    if not TABLES[table].of_customers or table not in log_.tables:
        return
    orders = dict(rows.select("occasion", "order_id").rows())
    customers = dict(rows.select("occasion", "customer_id").rows())
    assert seen.height
    for row in seen.gather_every(7).iter_rows(named=True):
        number = row["customer_id"]
        assert row["who"] == customers[number]
        if "order_id" in usual.columns:
            assert row["own"] == (row["order_id"] == f"{number}{orders[number]}")
        else:
            assert not row["own"]


# ------------------------------------------------------------------ declarations
@pytest.mark.parametrize("name", OWN)
def test_a_family_of_orders_keeps_what_every_family_keeps(shop, name):
    family = OWN[name]
    assert set(OWN) == {"basket", "parcel", "liking", "sent_back"}
    assert family.entity in (ORDER, LINE)
    assert set(family.needs) <= set(TABLES)
    plain = re.compile(rf"{name}__[a-z0-9_]+?__({'|'.join(get_args(Aggregate))})(__\d+d)?")
    data = built(shop, "back")[2]
    for column, declared in aggregation.columns_of(family):
        assert isinstance(declared, Feature | Expression)
        assert plain.fullmatch(column)
        assert declared.unit.strip()
        assert declared.null.strip()
        assert family.view(declared.view).of in family.needs
        if declared.null.startswith("never null"):
            assert not np.isnan(data.column(column)).any(), column
        values = data.column(column)
        known = values[~np.isnan(values)]
        assert len(np.unique(known)) > 1, column
        assert not np.isinf(known).any()


@pytest.mark.parametrize("name", OWN)
def test_without_its_tables_its_columns_are_null(name):
    frames = moments.busy(2, customers=20)
    bare = moments.log_of(order_lines=frames["order_lines"], products=frames["products"])
    families = [OWN[name]]
    rows = triggered(bare, A_LINE, ANYTIME, bare.observed_until)
    data = matrix(bare, rows, periods_of(bare, PERIODS[0]), families, A_LINE)
    for column, declared in aggregation.columns_of(OWN[name]):
        of = OWN[name].view(declared.view).of
        assert np.isnan(data.column(column)).all() == (of != "order_lines"), column


# ------------------------------------------------------------------ oracles in plain Python
def known_rows(log_, table, cutoff):
    if table not in log_.tables:
        return []
    rows = log_.tables[table].frame.iter_rows(named=True)
    return [row for row in rows if row.get("known", -1) < cutoff]


def odds_of(cases, prior):
    """Group -> log odds over the shop's own, of (group, hit); what `_shares` says."""
    share = min(max(sum(hit for _, hit in cases) / max(len(cases), 1), 1e-4), 1 - 1e-4)
    found = {}
    for group in {group for group, _ in cases}:
        hits = [hit for name, hit in cases if name == group]
        own = (sum(hits) + prior * share) / (len(hits) + prior)
        found[group] = round(log(own / (1 - own)) - log(share / (1 - share)), 6)
    return found


def asserted(data, family, expected):
    """Every column of a family beside its oracle: one dict of columns for each row."""
    names = [name for name, _ in aggregation.columns_of(OWN[family])]
    assert set(expected[0]) == set(names)
    for name in names:
        slow = np.array([np.nan if row[name] is None else row[name] for row in expected])
        np.testing.assert_allclose(data.column(name), slow, rtol=2e-6, atol=2e-6, err_msg=name)
        assert not np.isnan(slow).all()


def moments_in(log_, data):
    """(row, cutoff, what is known of a table) of each row of a matrix."""
    for row in data.keys.iter_rows(named=True):
        yield row, row["now_at"], row["now_wall"], cache(
            lambda table, now=row["now_at"]: known_rows(log_, table, now)
        )  # fmt: skip


def days(us):
    return us / DAY_US


def basket(log_, data):
    for row, _, wall, known in moments_in(log_, data):
        own = [r for r in known("order_lines") if r["order_id"] == row["order_id"]]
        prices = [r["unit_price"] for r in own if r["unit_price"] is not None]
        worth = [r["value_e4"] for r in own]
        yield {
            "basket__lines__count": len(own),
            "basket__units__sum": sum(r["quantity"] for r in own),
            "basket__products__distinct": len({r["sku"] for r in own} - {None}),
            "basket__value__sum": None if None in worth else sum(worth) / 1e4,
            "basket__price__max": max(prices, default=None),
            "basket__price__mean": sum(prices) / len(prices) if prices else None,
            "basket__discount__sum": sum(r["discount"] or 0.0 for r in own),
            "basket__coded__share": sum(r["promo_code"] is not None for r in own) / len(own),
            "basket__ordered__max": days(wall - min(r["wall"] for r in own)),
        }


def test_basket_beside_plain_python(shop):
    _, _, data = built(shop, "back")
    asserted(data, "basket", list(basket(shop, data)))


def clock(at, log_):
    return Cutoff.from_instant(at, log_.timezone).wall


def ways(log_, parcels, arrivals, wall):
    """Each parcel with its times as ages at a moment whose clock shows `wall`."""
    came = {r["shipment_id"]: max(wall - r["wall"], 1) for r in arrivals}
    for r in parcels:
        promise = None if r["promised_at"] is None else wall - clock(r["promised_at"], log_)
        arrived, sent = came.get(r["shipment_id"]), max(wall - r["wall"], 1)
        if promise is None:
            missed = None
        elif arrived is not None:
            missed = arrived < promise
        else:
            missed = True if promise > 0 else None
        yield {
            **r, "sent": sent, "promise": promise, "missed": missed, "lane": r["region"] or "",
            "way": None if arrived is None else max(sent - arrived, DAY_US // 24),
            "late": None if arrived is None or promise is None else promise - arrived,
            "due": None if promise is None else max(sent - promise, DAY_US // 24),
            "came": arrived,
        }  # fmt: skip


def usual_ways(log_, when):
    """(ln days usual of all, lane -> ln over that, standard deviation, lane -> log odds)."""
    found = list(ways(log_, known_rows(log_, "shipments", when.at),
                      known_rows(log_, "deliveries", when.at), when.wall))  # fmt: skip
    done = [(r["lane"], log(days(r["way"]))) for r in found if r["way"] is not None]
    logs = [ln for _, ln in done]
    mean = sum(logs) / len(logs)
    sd = max(sum(ln**2 for ln in logs) / len(logs) - mean**2, 0.05**2) ** 0.5
    lanes = {}
    for lane in {r["lane"] for r in found}:
        mine = [ln for name, ln in done if name == lane]
        lanes[lane] = (sum(mine) + 30 * mean) / (len(mine) + 30) - mean
    cases = [(r["lane"], r["missed"]) for r in found if r["missed"] is not None]
    return mean, lanes, sd, odds_of(cases, 30)


def parcels(log_, data):
    usual = {str(when): usual_ways(log_, when) for when in data.cutoffs}
    dates = [str(data.cutoffs[i]) for i in data.cutoff_index]
    for (row, _, wall, known), date in zip(moments_in(log_, data), dates, strict=True):
        now, lanes, sd, missed = usual[date]
        own = [r for r in known("shipments") if r["order_id"] == row["order_id"]]
        own = list(ways(log_, own, known("deliveries"), wall))
        ordered = max(wall - r["wall"] for r in known("order_lines")
                      if r["order_id"] == row["order_id"])  # fmt: skip
        due = [r for r in own if r["due"] is not None]
        came = [r for r in own if r["way"] is not None]

        def over(value, lane, now=now, lanes=lanes):
            return log(days(value)) - now - lanes.get(lane, 0.0)

        yield {
            "parcel__sent__count": len(own),
            "parcel__to_ship__max": most(days(max(ordered - r["sent"], 0)) for r in own),
            "parcel__due__min": least(days(r["due"]) for r in due),
            "parcel__left__min": least(days(-r["promise"]) for r in due),
            "parcel__spare__min": least(over(r["due"], r["lane"]) / sd for r in due),
            "parcel__lane_missed__max": most(missed.get(r["lane"], 0.0) for r in own),
            "parcel__lane_way__max": most(lanes.get(r["lane"], 0.0) for r in own),
            "parcel__way__max": most(days(r["way"]) for r in came),
            "parcel__over_usual__max": most(over(r["way"], r["lane"]) for r in came),
            "parcel__late__max": most(days(r["late"]) for r in came if r["late"] is not None),
            "parcel__trouble__count": sum(
                r["order_id"] == row["order_id"] for r in known("delivery_exceptions")
            ),
        }


def most(values):
    return max(values, default=None)


def least(values):
    return min(values, default=None)


@pytest.mark.parametrize("kind", ["late", "low"])
def test_parcel_beside_plain_python(shop, kind):
    _, _, data = built(shop, kind)
    asserted(data, "parcel", list(parcels(shop, data)))


def low_by(log_, when):
    """sku -> and category -> log odds of few stars, by the orders that were rated."""
    lines = known_rows(log_, "order_lines", when.at)
    bought = {(r["order_id"], r["sku"]) for r in lines}
    kinds = {r["sku"]: r["category"] for r in known_rows(log_, "products", when.at)}
    cases = [
        (sku, r["rating_e3"] <= 2_000)
        for r in known_rows(log_, "reviews", when.at) if r["rating_e3"] is not None
        for order, sku in bought if order == r["order_id"]
    ]  # fmt: skip
    by_sku = odds_of([case for case in cases if case[0] is not None], 20)
    named = [(kinds.get(sku), low) for sku, low in cases]
    return by_sku, odds_of([case for case in named if case[0] is not None], 20), kinds


def liking(log_, data):
    usual = {str(when): low_by(log_, when) for when in data.cutoffs}
    dates = [str(data.cutoffs[i]) for i in data.cutoff_index]
    for (row, _, _, known), date in zip(moments_in(log_, data), dates, strict=True):
        by_sku, by_kind, kinds = usual[date]
        own = [r["sku"] for r in known("order_lines") if r["order_id"] == row["order_id"]]
        yield {
            "liking__product_low__max": most(by_sku.get(sku, 0.0) for sku in own),
            "liking__category_low__max": most(by_kind.get(kinds.get(sku), 0.0) for sku in own),
        }


def test_liking_beside_plain_python(shop):
    _, _, data = built(shop, "low")
    asserted(data, "liking", list(liking(shop, data)))


def returned_by(log_, when):
    """(sku -> log odds of a return, sku -> usual ln units, ln units of all)."""
    lines = [r for r in known_rows(log_, "order_lines", when.at) if r["sku"] is not None]
    back = [r["sku"] for r in known_rows(log_, "returns", when.at)]
    cases, logs = [], {}
    for sku in {r["sku"] for r in lines}:
        mine = [log(r["quantity"]) for r in lines if r["sku"] == sku]
        logs[sku] = mine
        hits = min(back.count(sku), len(mine))
        cases += [(sku, i < hits) for i in range(len(mine))]
    every = [ln for mine in logs.values() for ln in mine]
    mean = sum(every) / len(every)
    usual = {sku: (sum(mine) + 30 * mean) / (len(mine) + 30) for sku, mine in logs.items()}
    return odds_of(cases, 30), usual, mean


def sent_back(log_, data):
    learned = {str(when): returned_by(log_, when) for when in data.cutoffs}
    dates = [str(data.cutoffs[i]) for i in data.cutoff_index]
    for (row, _, wall, known), date in zip(moments_in(log_, data), dates, strict=True):
        back, usual, mean = learned[date]
        theirs = [r for r in known("order_lines") if r["customer_id"] == row["customer_id"]]
        own = [r for r in theirs if r["order_id"] == row["order_id"]]
        (it,) = [r for r in own if r["line_id"] == row["line_id"]]
        worth = [r["value_e4"] for r in own]
        whole = None if None in worth else sum(worth)
        same = [r for r in theirs if r["sku"] == it["sku"] is not None and r not in own]
        gone = [r for r in known("returns") if it["sku"] is not None
                and (r["customer_id"], r["sku"]) == (it["customer_id"], it["sku"])]  # fmt: skip
        yield {
            "sent_back__units__max": it["quantity"],
            "sent_back__over_usual__max": log(it["quantity"]) - usual.get(it["sku"], mean),
            "sent_back__price__max": it["unit_price"],
            "sent_back__value__max": None if it["value_e4"] is None else it["value_e4"] / 1e4,
            "sent_back__part__max": it["value_e4"] / whole if whole else None,
            "sent_back__lines__max": len(own),
            "sent_back__ordered__max": days(wall - it["wall"]),
            "sent_back__product_back__max": back.get(it["sku"], 0.0),
            "sent_back__bought__max": len(same),
            "sent_back__back__max": len(gone),
        }


def test_sent_back_beside_plain_python(shop):
    _, _, data = built(shop, "back")
    asserted(data, "sent_back", list(sent_back(shop, data)))


# ------------------------------------------------------------------ parcels by hand
def test_a_parcel_by_hand():
    """Ordered on day 1, shipped on day 3 for day 8; asked about on day 3 and on day 6."""
    log_ = moments.log_of(
        order_lines=[line(1), line(40, "o2")],
        shipments=[parcel(3, 8), parcel(41, 45, "o2", "p2")],
        deliveries=[arrival(9), arrival(43, "o2", "p2")],
    )
    families = [OWN["parcel"]]
    cutoffs = periods_of(log_, "2024-02-07", "2024-03-01")
    rows = standing(log_, AN_ORDER, LATE, cutoffs[0])
    data = matrix(log_, rows, cutoffs[:1], families, AN_ORDER)
    said = {name: float(data.column(f"parcel__{name}")[0]) for name in
            ("sent__count", "to_ship__max", "due__min", "left__min", "way__max")}  # fmt: skip
    assert said["sent__count"] == 1
    assert (said["to_ship__max"], said["due__min"], said["left__min"]) == (2.0, 5.0, 2.0)
    assert np.isnan(said["way__max"])
    asked = replace(LOW, until="reviewed")
    rows = standing(log_, AN_ORDER, asked, periods_of(log_, "2024-02-20")[0])
    data = matrix(log_, rows, cutoffs[:1], families, AN_ORDER)
    assert data.column("parcel__late__max").tolist() == [1.0]
    assert data.column("parcel__way__max").tolist() == [6.0]
