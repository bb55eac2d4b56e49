"""SQL as an independent judge: windowed features equal what sqlite3 counts in the raw events.

The oracle shares nothing with the code it judges: it reads the raw frames, knows local time from
`datetime`, and says in SQL what a purchase day, a window and enough exposure are.
"""

import sqlite3
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ppi_ml import dataset
from ppi_ml.instants import Cutoff

ZONE = ZoneInfo("Europe/London")
DAY = 86_400_000_000
CUTOFFS = ("2018-07-01", "2018-10-29T06:30:00", "2019-04-01", "2019-11-15T13:45:10")
WINDOWS = (30, 90, 180, 365)

PURCHASE_DAYS = """
create view known_lines as
    select * from order_lines where known < (select at from cutoff) and order_type = 'one_off';
create view purchase_days as
    select customer_id, min(wall) as wall, count(distinct order_id) as orders,
           sum(round(quantity * 1000)) as units,
           case when count(unit_price) = count(*) then sum(round(quantity * unit_price * 10000)) end
               as value
    from known_lines group by customer_id, wall / 86400000000;
create view rhythm as
    select customer_id, (wall - lag(wall) over (partition by customer_id order by wall)) as gap
    from purchase_days;
create view known_returns as select * from returns where known < (select at from cutoff);
create view seen as
    select customer_id, (select wall from cutoff) - min(wall) as age from purchase_days group by 1;
"""

WINDOWED = """
with seen_for as (
    select customer_id, min(age, (select wall from cutoff) - :began) / 86400000000.0 as exposure
    from seen),
inside as (
    select customer_id, {value} as value from {view}
    where wall >= (select wall from cutoff) - :window * 86400000000)
select s.customer_id, case when s.exposure * 4 >= :window then {aggregate} end
from seen_for s left join inside i on i.customer_id = s.customer_id
group by s.customer_id order by s.customer_id
"""

RATE = "count(i.value) / min(s.exposure, :window * 1.0)"
BY_WINDOW = {
    "orders__purchases__count": ("purchase_days", "1", "count(i.value)"),
    "orders__purchases__rate": ("purchase_days", "1", RATE),
    "orders__value__sum": ("purchase_days", "value / 1e4", "sum(i.value)"),
    "orders__value__mean": ("purchase_days", "value / 1e4", "avg(i.value)"),
    "orders__value__max": ("purchase_days", "value / 1e4", "max(i.value)"),
    "orders__units__mean": ("purchase_days", "units / 1e3", "avg(i.value)"),
    "orders__orders__mean": ("purchase_days", "orders", "avg(i.value)"),
    "orders__skus__distinct": ("known_lines", "sku", "count(distinct i.value)"),
    "returns__requests__count": ("known_returns", "1", "count(i.value)"),
    "returns__requests__rate": ("known_returns", "1", RATE),
    "returns__units__sum": ("known_returns", "quantity", "sum(i.value)"),
}

SINCE_EVER = "select s.customer_id, {what} from seen s order by s.customer_id"
OWN = "where v.customer_id = s.customer_id)"
AGO = "(select (select wall from cutoff) - max(wall) from {view} v " + OWN
WHOLE_PAST = {
    "cadence__elapsed__days_since": AGO.format(view="purchase_days") + " / 864e8",
    "cadence__age__max": "s.age / 864e8",
    "cadence__purchases__count": "(select count(*) from purchase_days v " + OWN,
    "cadence__gap__mean": "(select avg(gap) / 864e8 from rhythm v " + OWN,
    "cadence__gap__max": "(select max(gap) / 864e8 from rhythm v " + OWN,
    "returns__last__days_since": AGO.format(view="known_returns") + " / 864e8",
    "returns__any__count": "(select count(*) from known_returns v " + OWN,
}


def micro(moment):
    """Microseconds UTC, and on the wall of the shop."""
    local = moment.astimezone(ZONE).replace(tzinfo=None)
    whole = (local - datetime(1970, 1, 1)) // datetime.resolution
    return round(moment.timestamp() * 1e6), whole


@pytest.fixture(scope="module", params=[3, 4])
def both(request, make_shop, as_log):
    """A shop as a log, and the same raw events in sqlite."""
    tables = make_shop(seed=request.param, customers=100)
    con = sqlite3.connect(":memory:")
    for name, frame in tables.items():
        own = [c for c in frame.columns if c not in ("occurred_at", "known_at")]
        con.execute(f"create table {name} ({', '.join([*own, 'wall', 'known'])})")
        rows = [
            (*(row[c] for c in own), micro(row["occurred_at"])[1], micro(row["known_at"])[0])
            for row in frame.iter_rows(named=True)
        ]
        con.executemany(f"insert into {name} values ({', '.join('?' * (len(own) + 2))})", rows)
    con.execute("create table cutoff (at, wall)")
    con.executescript(PURCHASE_DAYS)
    yield as_log(tables), con
    con.close()


@pytest.fixture(scope="module", params=CUTOFFS)
def case(request, both):
    log, con = both
    local = datetime.fromisoformat(request.param).replace(tzinfo=ZONE)
    con.execute("delete from cutoff")
    con.execute("insert into cutoff values (?, ?)", micro(local))
    cutoff = Cutoff.parse(request.param, log.timezone)
    return dataset.build(log, [cutoff], dataset.families(windows=WINDOWS)), log, con


def agree(data, name, answer):
    assert [customer for customer, _ in answer] == data.customers.to_list()
    expected = np.array([np.nan if v is None else v for _, v in answer], dtype=np.float64)
    np.testing.assert_allclose(data.column(name), expected, rtol=1e-6, atol=1e-9)
    return expected


@pytest.mark.parametrize("stem", BY_WINDOW)
def test_windows(case, stem):
    data, log, con = case
    view, value, aggregate = BY_WINDOW[stem]
    table = "returns" if "returns" in view else "order_lines"
    began = log.tables[table].observed_from
    sql = WINDOWED.format(view=view, value=value, aggregate=aggregate)
    judged = [w for w in WINDOWS if f"{stem}__{w}d" in data.names]
    assert judged
    for window in judged:
        answer = con.execute(sql, {"window": window, "began": began.wall}).fetchall()
        agree(data, f"{stem}__{window}d", answer)


@pytest.mark.parametrize("name", WHOLE_PAST)
def test_the_whole_past(case, name):
    data, _, con = case
    expected = agree(data, name, con.execute(SINCE_EVER.format(what=WHOLE_PAST[name])).fetchall())
    assert len(set(expected[np.isfinite(expected)])) > 1


def test_the_data_hold_what_the_oracle_is_for(both):
    """Late rows, local days that are not UTC days, and all three kinds of orders."""
    log, con = both
    lines = log.tables["order_lines"].frame
    assert (lines["known"] - lines["at"] > DAY).sum() > 30
    assert (lines["wall"] // DAY != lines["at"] // DAY).sum() > 10
    assert len(con.execute("select distinct order_type from order_lines").fetchall()) == 3
