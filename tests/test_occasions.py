"""Who is asked about what, and when: by hand, and against a version that looks at one at a time."""

from datetime import datetime, timedelta
from functools import cache
from zlib import crc32

import polars as pl
import pytest
from tests import moments
from tests.moments import (
    A_LINE,
    AN_ORDER,
    ASKINGS,
    BACK,
    LATE,
    LOW,
    arrival,
    called_off,
    day,
    line,
    parcel,
    review,
    sent_back,
)

from ppi_ml.errors import UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.occasions import AGAIN, CLOSED, TRIGGERS, Asking, standing, tables_of, triggered

ORDERED = Asking(("ordered",), "reviewed", 60)


def at(number, hours=0.0, zone=moments.ZONE):
    return Cutoff.parse(day(number, hours), zone)


def every(log, entity, asking):
    """All occasions of a log: (order, trigger, days from the start of the shop to the cutoff)."""
    found = triggered(log, entity, asking, log.observed_until)
    return [
        (row["order_id"], row["trigger"], (row["now_wall"] - at(0).wall) / DAY_US)
        for row in found.iter_rows(named=True)
    ]


def open_at(log, entity, asking, *cutoffs):
    """Whether anything stands open at each cutoff."""
    return [bool(standing(log, entity, asking, cutoff).height) for cutoff in cutoffs]


# ------------------------------------------------------------------ triggers
def test_the_cutoff_is_the_microsecond_after_the_trigger_was_known():
    log = moments.log_of(order_lines=[line(1)], shipments=[parcel(2, 9, known=3.5)])
    first = triggered(log, AN_ORDER, LATE, log.observed_until).row(0, named=True)
    assert first["asked_at"] == at(3, 12).at
    assert first["now_at"] == at(3, 12).at + 1
    assert first["now_wall"] == at(3, 12).wall + 1
    assert first["trigger"] == "shipped"
    assert first["lane"] == "north"


def test_the_trigger_is_past_at_its_own_cutoff():
    log = moments.log_of(**moments.busy())
    for entity, asking in ASKINGS.values():
        found = triggered(log, entity, asking, log.observed_until)
        assert (found["asked_at"] < found["now_at"]).all()


def test_a_parcel_that_is_known_before_its_order_waits_for_it():
    log = moments.log_of(order_lines=[line(1, known=4)], shipments=[parcel(2, 9)])
    first = triggered(log, AN_ORDER, LATE, log.observed_until).row(0, named=True)
    assert first["now_at"] == at(4).at + 1


def test_the_first_parcel_of_an_order_asks():
    log = moments.log_of(order_lines=[line(1)], shipments=[parcel(5, 9), parcel(3, 9, number="p2")])
    first = triggered(log, AN_ORDER, LATE, log.observed_until).row(0, named=True)
    assert first["asked_at"] == at(3).at


def test_an_order_is_asked_about_when_its_first_line_is_known_and_a_line_when_it_is_itself():
    lines = [line(1), line(1, number="2", known=6)]
    log = moments.log_of(order_lines=lines)
    assert every(log, AN_ORDER, ORDERED)[0][2] == pytest.approx(1)
    found = triggered(log, A_LINE, BACK, log.observed_until).filter(trigger="ordered")
    assert found.select("line_id", "asked_at").rows() == [("1", at(1).at), ("2", at(6).at)]


def test_a_delivery_that_names_no_order_is_that_of_its_parcel():
    log = moments.log_of(
        order_lines=[line(1)], shipments=[parcel(2, 9, known=7)], deliveries=[arrival(5, None)]
    )
    found = triggered(log, AN_ORDER, LOW, log.observed_until)
    assert found["asked_at"].unique().to_list() == [at(7).at]  # before, nobody knew of which order


def test_another_customer_of_the_same_order_id_triggers_nothing():
    log = moments.log_of(order_lines=[line(1)], deliveries=[arrival(5, customer_id="b")])
    assert every(log, AN_ORDER, LOW) == []


def test_a_table_that_is_absent_triggers_nothing():
    log = moments.log_of(order_lines=[line(1)])
    assert [row[1] for row in every(log, A_LINE, BACK)] == ["ordered", "later"]
    for asking in (LATE, LOW):
        found = triggered(log, AN_ORDER, asking, log.observed_until)
        assert found.height == 0
        assert standing(log, AN_ORDER, asking, at(3)).schema == found.schema


def test_what_is_told_of_orders_and_of_lines():
    told = ["trigger", "asked_at", "now_at", "now_wall"]
    log = moments.log_of(**moments.busy(customers=5))
    orders = triggered(log, AN_ORDER, LOW, log.observed_until)
    assert orders.columns == ["customer_id", "order_id", "lane", *told]
    lines = triggered(log, A_LINE, BACK, log.observed_until)
    assert lines.columns == ["customer_id", "order_id", "line_id", "sku", *told]
    keys = ["customer_id", "order_id", "line_id", "now_at"]
    assert lines.equals(lines.sort(keys))
    assert not lines.select(keys).is_duplicated().any()


def test_nothing_is_asked_after_the_end():
    log = moments.log_of(order_lines=[line(1), line(50, "o2")])
    found = triggered(log, AN_ORDER, ORDERED, at(20))
    assert found["order_id"].unique().to_list() == ["o1"]
    assert (found["now_at"] <= at(20).at).all()


# ------------------------------------------------------------------ asked again
def test_it_is_asked_again_at_one_of_the_midnights():
    lines = [line(1.5, f"o{n}") for n in range(300)]
    log = moments.log_of(order_lines=lines)
    again = [row for row in every(log, AN_ORDER, ORDERED) if row[1] == "later"]
    assert len(again) == len(lines)
    days = [day for day in AGAIN if day < 60]
    assert {row[2] for row in again} == {2.0 + day for day in days}
    for order, _, when in again:
        assert when == 2.0 + days[crc32(order.encode()) % len(days)]


def test_a_short_question_is_asked_again_within_its_days_or_not_at_all():
    log = moments.log_of(order_lines=[line(1.5, f"o{n}") for n in range(50)])
    for within, days in ((3, {2}), (2, set()), (6, {2, 5})):
        asking = Asking(("ordered",), "reviewed", within)
        again = {row[2] for row in every(log, AN_ORDER, asking) if row[1] == "later"}
        assert again == {2.0 + day for day in days}


def test_midnights_are_those_of_the_zone_whatever_its_clock_does():
    lines = [line(58.9, f"o{n}") for n in range(50)]  # the clock changes on day 59, March 31st
    log = moments.log_of(order_lines=lines)
    later = triggered(log, AN_ORDER, ORDERED, log.observed_until).filter(trigger="later")
    assert set(later["now_wall"].unique() % DAY_US) == {0}
    summer = later.filter(pl.col("now_wall") == at(61).wall)
    assert summer["now_at"].unique().to_list() == [at(61).at]


def test_from_a_newer_trigger_on_the_question_is_that_of_the_newer_trigger():
    order = next(f"o{n}" for n in range(99) if crc32(f"o{n}".encode()) % 5 == 3)  # 20 days later
    log = moments.log_of(order_lines=[line(1.5, order)], deliveries=[arrival(10.5, order)])
    found = triggered(log, A_LINE, BACK, log.observed_until)
    start = at(0)
    waits = [
        ((now_wall - start.wall) / DAY_US, trigger, (asked_at - start.at) / DAY_US)
        for now_wall, trigger, asked_at in found.select("now_wall", "trigger", "asked_at").rows()
    ]
    assert waits == [
        (pytest.approx(1.5), "ordered", 1.5),
        (pytest.approx(10.5), "delivered", 10.5),
        (22.0, "later", 10.5),  # 20 days after the order, of which the delivery is known by now
        (31.0, "later", 10.5),
    ]


def test_of_two_triggers_known_at_once_the_later_kind_counts():
    log = moments.log_of(order_lines=[line(1, known=4)], deliveries=[arrival(4)])
    found = triggered(log, A_LINE, BACK, log.observed_until)
    assert [row[1] for row in every(log, A_LINE, BACK)] == ["delivered", "later"]
    assert found["asked_at"].unique().to_list() == [at(4).at]


# ------------------------------------------------------------------ tables of days
def test_with_a_table_of_days_everything_is_asked_at_midnights():
    log = moments.log_of(
        order_lines=[line(1, occurred_at="2024-02-02", known_at=None)],
        shipments=[parcel(2.25, 9)],
        granularity={"order_lines": "day"},
    )
    assert {row[2] % 1 for row in every(log, AN_ORDER, LATE)} == {0.0}
    first = triggered(log, AN_ORDER, LATE, log.observed_until).row(0, named=True)
    assert first["now_wall"] == at(3).wall
    assert first["trigger"] == "shipped"
    assert standing(log, AN_ORDER, LATE, at(3)).row(0, named=True) == first
    with pytest.raises(UsageError, match="local midnights"):
        standing(log, AN_ORDER, LATE, at(3, 7))


def test_an_order_of_a_day_is_asked_about_when_the_day_is_over():
    rows = [line(1, occurred_at="2024-02-02", known_at=None)]
    log = moments.log_of(order_lines=rows, granularity={"order_lines": "day"})
    assert every(log, AN_ORDER, ORDERED)[0] == ("o1", "ordered", 2.0)


# ------------------------------------------------------------------ what closes a question
def test_a_parcel_that_is_known_to_have_come_is_not_asked_about():
    log = moments.log_of(
        order_lines=[line(1)], shipments=[parcel(2, 20)], deliveries=[arrival(5, known=8)]
    )
    asked = open_at(log, AN_ORDER, LATE, at(2), at(3), at(6), at(8), at(8, 1), at(9))
    assert asked == [False, True, True, True, False, False]


def test_nor_is_one_whose_promise_is_over_or_that_has_none():
    log = moments.log_of(order_lines=[line(1)], shipments=[parcel(2, 6)])
    assert open_at(log, AN_ORDER, LATE, at(6), at(6, 0.001)) == [True, False]
    log = moments.log_of(order_lines=[line(1)], shipments=[parcel(2, None)])
    assert every(log, AN_ORDER, LATE) == []


def test_a_promise_that_is_made_later_opens_nothing_before():
    """A replacement that leaves after the promise was missed says nothing of the time between."""
    parcels = [parcel(2, 6), parcel(9, 14, number="p2")]
    log = moments.log_of(order_lines=[line(1)], shipments=parcels)
    asked = open_at(log, AN_ORDER, LATE, at(5), at(7), at(9), at(10), at(15))
    assert asked == [True, False, False, True, False]


def test_an_order_is_open_while_any_of_its_parcels_is():
    parcels = [parcel(2, 6), parcel(2, 12, number="p2")]
    arrivals = [arrival(4), arrival(11, number="p2")]
    log = moments.log_of(order_lines=[line(1)], shipments=parcels, deliveries=arrivals)
    asked = open_at(log, AN_ORDER, LATE, at(3), at(5), at(10), at(12))
    assert asked == [True, True, True, False]


def test_a_delivery_counts_by_its_parcel_even_where_it_names_no_order():
    log = moments.log_of(
        order_lines=[line(1)], shipments=[parcel(2, 20)], deliveries=[arrival(5, None)]
    )
    assert open_at(log, AN_ORDER, LATE, at(4), at(6)) == [True, False]


def test_an_order_that_has_a_review_is_not_asked_about():
    log = moments.log_of(
        order_lines=[line(1)], deliveries=[arrival(3)], reviews=[review(6, None, known=10)]
    )
    assert open_at(log, AN_ORDER, LOW, at(7), at(10), at(11)) == [True, True, False]


def test_a_line_is_asked_about_while_some_of_it_is_kept():
    log = moments.log_of(
        order_lines=[line(1, quantity=2.0)],
        returns=[sent_back(5), sent_back(8, number="r2", known=9)],
    )
    assert open_at(log, A_LINE, BACK, at(4), at(6), at(9), at(10)) == [True, True, True, False]


def test_which_line_is_gone_is_said_by_what_is_known_then():
    """The earlier return is known later: until then the other one emptied the older line."""
    log = moments.log_of(
        order_lines=[line(1), line(2, "o2")],
        returns=[sent_back(5, None, known=20), sent_back(6, None, "r2")],
    )
    for when, left in ((10, ["o2"]), (19, ["o2"]), (21, [])):
        assert standing(log, A_LINE, BACK, at(when))["order_id"].to_list() == left


def test_a_line_that_becomes_known_later_takes_no_return_before():
    log = moments.log_of(
        order_lines=[line(1, known=30), line(2, "o2")], returns=[sent_back(6, None)]
    )
    assert standing(log, A_LINE, BACK, at(10))["order_id"].to_list() == []
    # now it is the older line that sent it
    assert standing(log, A_LINE, BACK, at(31))["order_id"].to_list() == ["o2"]


def test_after_its_days_a_question_is_not_asked():
    log = moments.log_of(order_lines=[line(1)])
    asking = Asking(("ordered",), "reviewed", 10)
    assert open_at(log, AN_ORDER, asking, at(10.9), at(11), at(11.1)) == [True, True, False]


# ------------------------------------------------------------------ cancelled
def test_a_cancelled_order_is_asked_about_until_that_is_known():
    log = moments.log_of(order_lines=[line(1)], cancellations=[called_off(2, known=5)])
    assert open_at(log, AN_ORDER, ORDERED, at(3), at(5), at(6)) == [True, True, False]
    assert open_at(log, A_LINE, BACK, at(3), at(5), at(6)) == [True, True, False]


def test_a_cancelled_line_is_not_asked_about_its_order_is():
    lines = [line(1), line(1, number="2")]
    log = moments.log_of(order_lines=lines, cancellations=[called_off(2, line_id="2")])
    assert standing(log, A_LINE, BACK, at(3))["line_id"].to_list() == ["1"]
    assert open_at(log, AN_ORDER, ORDERED, at(3)) == [True]


def test_an_order_without_a_line_that_is_left_is_not_asked_about():
    lines = [line(1), line(1, number="2", known=8)]
    off = [called_off(2, line_id="1"), called_off(3, line_id="2", known=12)]
    log = moments.log_of(order_lines=lines, cancellations=off)
    asked = open_at(log, AN_ORDER, ORDERED, at(1.5), at(3), at(9), at(13))
    assert asked == [True, False, True, False]


# ------------------------------------------------------------------ the lane
def test_the_lane_is_that_of_the_first_parcel_known_then():
    parcels = [parcel(3, 30, region="south", known=6), parcel(4, 30, number="p2")]
    log = moments.log_of(order_lines=[line(1)], shipments=parcels)
    lanes = [standing(log, AN_ORDER, LATE, at(d))["lane"].to_list() for d in (5, 7)]
    assert lanes == [["north"], ["north"]]
    assert standing(log, AN_ORDER, ORDERED, at(3))["lane"].to_list() == [None]


# ------------------------------------------------------------------ against a slow version
@cache
def all_rows(log, table):
    return log.tables[table].frame.rows(named=True) if table in log.tables else []


def rows_of(log, table, cutoff):
    """What was known of a table before an instant."""
    return [row for row in all_rows(log, table) if row["known"] < cutoff]


def slow_triggers(log, key, asking, cutoff):
    """(known, which kind) of each trigger of an order or line, newest last."""
    lines = [r for r in rows_of(log, "order_lines", cutoff) if matches(r, key)]
    if not lines:
        return []
    ordered = min(r["known"] for r in lines)
    sent = rows_of(log, "shipments", cutoff)
    of_parcel = {(p["customer_id"], p["shipment_id"]): p for p in sent if p["order_id"]}
    times = {"ordered": [ordered]}
    times["shipped"] = [p["known"] for p in sent if matches(p, key[:2])]
    times["delivered"] = []
    for came in rows_of(log, "deliveries", cutoff):
        there = of_parcel.get((came["customer_id"], came["shipment_id"]))
        if came["order_id"]:
            if matches(came, key[:2]):
                times["delivered"].append(came["known"])
        elif there and matches(there, key[:2]):
            times["delivered"].append(max(came["known"], there["known"]))
    found = [
        (max(min(times[name]), ordered), TRIGGERS.index(name)) for name in asking.at if times[name]
    ]
    return sorted(found)


def matches(row, key):
    return all(row[name] == value for name, value in zip(KEYS, key, strict=False))


KEYS = ("customer_id", "order_id", "line_id")


def slow_open(log, key, asking, cutoff):
    """Whether the question about a key is open, by what was known before an instant."""
    order = key[1]
    lines = [r for r in rows_of(log, "order_lines", cutoff) if r["order_id"] == order]
    off = [r["line_id"] for r in rows_of(log, "cancellations", cutoff) if r["order_id"] == order]
    left = [r for r in lines if None not in off and r["line_id"] not in off and matches(r, key)]
    if not left:
        return False
    if asking.until == "delivered":
        came = {r["shipment_id"] for r in rows_of(log, "deliveries", cutoff)}
        return any(
            p["order_id"] == order and p["shipment_id"] not in came
            and p["promised_at"] is not None and p["promised_at"] >= cutoff
            for p in rows_of(log, "shipments", cutoff)
        )  # fmt: skip
    if asking.until == "reviewed":
        return not any(r["order_id"] == order for r in rows_of(log, "reviews", cutoff))
    return slow_kept(log, left[0], cutoff) > 0


def slow_kept(log, line, cutoff):
    """How many units of a line are not back, one after the other."""
    bought = [
        r for r in rows_of(log, "order_lines", cutoff)
        if r["sku"] == line["sku"] and r["customer_id"] == line["customer_id"]
    ]  # fmt: skip
    bought.sort(key=lambda r: (r["at"], r["order_id"], r["line_id"]))
    rest = [r["quantity_e3"] // 1_000 for r in bought]
    back = [
        r for r in rows_of(log, "returns", cutoff)
        if line["sku"] is not None
        and (r["customer_id"], r["sku"]) == (line["customer_id"], line["sku"])
    ]  # fmt: skip
    back.sort(key=lambda r: (r["at"], r["known"], r["order_id"] or "", r["quantity_e3"]))
    for gone in back:
        for _ in range(gone["quantity_e3"] // 1_000):
            for i, r in enumerate(bought):
                fits = r["at"] <= gone["at"] and gone["order_id"] in (None, r["order_id"])
                if fits and rest[i] > 0:
                    rest[i] -= 1
                    break
    mine = [(r["order_id"], r["line_id"]) for r in bought]
    return rest[mine.index((line["order_id"], line["line_id"]))]


def slowly(log, entity, asking, cutoff):
    """(key, trigger, asked_at) of everything that is open at a cutoff, one key after the other."""
    found = []
    keys = sorted(
        {tuple(r[k] for k in entity.keys) for r in rows_of(log, "order_lines", cutoff.at)}
    )
    for key in keys:
        triggers = slow_triggers(log, key, asking, cutoff.at)
        if not triggers or triggers[-1][0] < cutoff.plus(-asking.within).at:
            continue
        if slow_open(log, key, asking, cutoff.at):
            asked_at, kind = triggers[-1]
            waited = cutoff.wall - Cutoff.from_instant(asked_at, log.timezone).wall
            found.append((key, TRIGGERS[kind] if waited <= DAY_US else "later", asked_at))
    return found


def quickly(found, entity):
    """The same of a frame of occasions."""
    return [
        (tuple(row[k] for k in entity.keys), row["trigger"], row["asked_at"])
        for row in found.iter_rows(named=True)
    ]


@pytest.fixture(scope="module", params=[0, 1])
def shop(request):
    return moments.log_of(**moments.busy(request.param, customers=90))


each_asking = pytest.mark.parametrize(("entity", "asking"), ASKINGS.values(), ids=list(ASKINGS))


@each_asking
@pytest.mark.parametrize("when", [(20, 0.0), (45, 13.5), (59, 2.5), (90, 0.0)])
def test_what_stands_open_is_what_the_slow_version_finds(shop, entity, asking, when):
    cutoff = at(*when)
    found = standing(shop, entity, asking, cutoff)
    assert quickly(found, entity) == slowly(shop, entity, asking, cutoff)
    assert (found["now_at"] == cutoff.at).all()
    assert (found["now_wall"] == cutoff.wall).all()


@each_asking
def test_what_stands_open_reads_the_past_alone(shop, entity, asking):
    for when in ((20, 0.0), (45, 13.5), (90, 0.0)):
        cutoff = at(*when)
        whole, cut = (standing(log, entity, asking, cutoff) for log in (shop, shop.until(cutoff)))
        assert whole.equals(cut)
        assert whole.height


@each_asking
def test_every_occasion_is_one_that_would_be_scored_at_its_cutoff(shop, entity, asking):
    """Training and use agree: on who is asked, since when, and whether for the first time."""
    found = triggered(shop, entity, asking, shop.observed_until)
    for now_at in sorted(set(found["now_at"]))[::4]:
        rows = found.filter(now_at=now_at)
        scored = standing(shop, entity, asking, Cutoff.from_instant(now_at, shop.timezone))
        assert rows.join(scored, on=rows.columns, how="anti", nulls_equal=True).is_empty()
    assert {"later", *asking.at} == set(found["trigger"])


@each_asking
def test_no_occasion_is_left_out(shop, entity, asking):
    """Every moment right after a trigger, and every one that was drawn, while it was open then."""
    expected = set()
    end = shop.observed_until
    days = [day for day in AGAIN if day < asking.within]
    for key in {tuple(r[k] for k in entity.keys) for r in rows_of(shop, "order_lines", end.at)}:
        for known, _ in slow_triggers(shop, key, asking, 2**62):
            local = Cutoff.from_instant(known, shop.timezone)
            midnight = Cutoff.from_wall(local.wall // DAY_US * DAY_US, shop.timezone)
            drawn = days[crc32(key[1].encode()) % len(days)]
            for cutoff in (known + 1, midnight.plus(drawn + 1).at):
                if cutoff <= end.at and slow_open(shop, key, asking, cutoff):
                    expected.add((*key, cutoff))
    found = triggered(shop, entity, asking, end)
    assert set(found.select(*entity.keys, "now_at").rows()) == expected
    assert found.height == len(expected) > 50


@each_asking
def test_occasions_before_a_date_do_not_depend_on_what_comes_after(shop, entity, asking):
    end = at(70)
    whole = triggered(shop, entity, asking, end)
    assert whole.equals(triggered(shop.until(end), entity, asking, end))
    later = triggered(shop, entity, asking, shop.observed_until)
    assert whole.equals(later.filter(pl.col("now_at") <= end.at))


@each_asking
def test_a_customer_alone_has_the_same_occasions(shop, entity, asking):
    whole = triggered(shop, entity, asking, shop.observed_until)
    for customer in ("c3", "c17", "c42"):
        alone = triggered(shop.customer(customer), entity, asking, shop.observed_until)
        assert alone.equals(whole.filter(customer_id=customer))


# ------------------------------------------------------------------ the tables it takes
def test_the_tables_of_a_question():
    assert tables_of(LATE) == ("shipments", "deliveries")
    assert tables_of(LOW) == ("deliveries", "reviews")
    assert tables_of(BACK) == ("order_lines", "deliveries", "returns")
    for until in CLOSED:
        assert tables_of(Asking(("ordered",), until, 5))[0] == "order_lines"


def test_a_question_may_stay_open():
    log = moments.log_of(
        order_lines=[line(1)], shipments=[parcel(2, 20)], deliveries=[arrival(3)],
        reviews=[review(4, 5.0)], returns=[sent_back(4)],
    )  # fmt: skip
    asking = Asking(("ordered", "delivered"), "never", 30)
    assert open_at(log, AN_ORDER, asking, at(0.9), at(5), at(30), at(34)) == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("lost", ["shipments", "deliveries", "reviews", "returns", "cancellations"])
@each_asking
def test_a_log_may_lack_any_table_but_the_order_lines(lost, entity, asking):
    frames = moments.busy(customers=15)
    log = moments.log_of(**{name: frame for name, frame in frames.items() if name != lost})
    cutoff = at(40)
    found = standing(log, entity, asking, cutoff)
    assert quickly(found, entity) == slowly(log, entity, asking, cutoff)


def test_the_long_day_of_autumn_is_one_day():
    """An hour that the clock shows twice: 25 hours after its trigger it is still the same day."""
    moment = datetime(2024, 10, 26, 23, 30)
    log = moments.log_of(days=300, order_lines=[line(1, occurred_at=moment, known_at=moment)])
    cutoff = Cutoff.parse(moment + timedelta(hours=24), moments.ZONE)
    waited = cutoff.at - log.tables["order_lines"].frame["known"][0]
    assert waited == 25 * 3_600_000_000
    assert standing(log, AN_ORDER, ORDERED, cutoff)["trigger"].to_list() == ["ordered"]
