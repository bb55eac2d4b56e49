"""When a stock begins and how long it lasts: by hand, kind by kind, as known at a cutoff."""

import numpy as np
import pytest
from tests import shops
from tests.shops import by_hand

from ppi_ml import houses
from ppi_ml.entities import PRODUCT

NOW = "2019-06-01"
LISTED = [{"sku": "t1", "category": "tea"}, {"sku": "t2", "category": "tea"}]
EARLIER = [("a", "t1", f"2019-0{month}-{day}", {"order_id": f"{month}{day}"})
           for month, day in ((2, "01"), (2, "21"), (3, "13"), (4, "02"))]  # fmt: skip
"""Twenty days apart; so a pack is used twenty days."""
LAST = ("a", "t1", "2019-05-02", {"order_id": "last"})
"""Thirty days before NOW."""


def parcel(order, at, known=None):
    return {"customer_id": "a", "order_id": order, "occurred_at": at, "known_at": known or at}


OLD_PARCELS = [parcel("201", "2019-02-03"), parcel("221", "2019-02-23"),
               parcel("313", "2019-03-15"), parcel("402", "2019-04-04")]  # fmt: skip
"""Two days under way each, as parcels usually are here."""


def report(kind, at, amount=None, known=None):
    return {"customer_id": "a", "sku": "t1", "kind": kind, "occurred_at": at, "amount": amount,
            "known_at": known or at}  # fmt: skip


def bought(*quantities):
    """The five purchases in these amounts."""
    return [(*line[:3], line[3] | {"quantity": q, "unit_price": 2.0, "order_type": "one_off"})
            for line, q in zip([*EARLIER, LAST], quantities, strict=True)]  # fmt: skip


def built(*lines, earlier=EARLIER, **tables):
    log = by_hand([*earlier, *lines], LISTED, until="2019-08-01", **tables)
    return shops.built(log, NOW)


def stocks(*lines, **tables):
    """(days since, usual days) of every guess, of the pair of customer a and t1."""
    data = built(*lines, **tables)
    found = houses.stocks(data, np.ones(len(data)))
    (row,) = np.flatnonzero(data.keys[PRODUCT].to_numpy() == "t1")
    scale = np.exp(data.column("refills__ln_usual_gap")[row])
    return [(age, lasts / scale)
            for age, lasts in zip(found.since[row], found.scale[row], strict=True)]  # fmt: skip


def since(*lines, **tables):
    """Days since the stock of what was bought last began."""
    return stocks(*lines, **tables)[0][0]


def near(days):
    return pytest.approx(days, abs=1e-4)


# ------------------------------------------------------------------ parcels
def test_without_deliveries_a_stock_begins_with_its_order():
    assert stocks(LAST) == [(near(30.0), near(1.0))] * 3


@pytest.mark.parametrize(("came", "days"), [("2019-05-02", 30.0), ("2019-05-04", 28.0),
                                            ("2019-05-31", 1.0)])  # fmt: skip
def test_a_stock_begins_when_it_comes(came, days):
    assert since(LAST, deliveries=[*OLD_PARCELS, parcel("last", came)]) == near(days)


def test_the_last_parcel_of_an_order_counts_and_a_late_one_of_an_older_order():
    both = [parcel("last", "2019-05-04"), parcel("last", "2019-05-20")]
    assert since(LAST, deliveries=[*OLD_PARCELS, *both]) == near(12.0)
    late = [*OLD_PARCELS[:-1], parcel("402", "2019-05-25"), parcel("last", "2019-05-04")]
    assert since(LAST, deliveries=late) == near(7.0)


@pytest.mark.parametrize(("ordered", "days"), [("2019-06-01", -2.0), ("2019-05-31", -1.0),
                                               ("2019-05-30", 0.0), ("2019-05-10", 0.0),
                                               ("2019-05-01", 29.0)])  # fmt: skip
def test_what_is_under_way_comes_the_usual_way_or_any_moment_now(ordered, days):
    """Until a month has passed: then the parcel was lost or not recorded."""
    last = ("a", "t1", f"{ordered}T00:00:00", {"order_id": "last"})
    if ordered == NOW:  # in the instant before the cutoff
        last = ("a", "t1", "2019-05-31T23:59:59", {"order_id": "last"})
    assert since(last, deliveries=OLD_PARCELS) == pytest.approx(days, abs=1e-3)


def test_who_never_has_a_recorded_delivery_is_not_waiting():
    """Somebody else's parcels are recorded; those of this customer never were."""
    others = [("b", "t2", f"2019-04-{day:02d}", {"order_id": f"b{day}"}) for day in range(1, 29)]
    came = [{**parcel(f"b{day}", f"2019-04-{day + 2:02d}"), "customer_id": "b"}
            for day in range(1, 29)]  # fmt: skip
    recent = ("a", "t1", "2019-05-22", {"order_id": "last"})
    assert since(recent, *others, deliveries=came) == near(8.0)  # two days on its way
    # without a past of their own they wait as all do
    assert since(recent, *others, earlier=[], deliveries=came) == near(0.0)


def test_a_delivery_counts_from_when_it_is_known():
    told = parcel("last", "2019-05-20", known=f"{NOW}T00:00:00")
    assert since(LAST, deliveries=[*OLD_PARCELS, told]) == near(0.0)  # as far as is known it waits
    told = parcel("last", "2019-05-20", known="2019-05-31T23:59:59")
    assert since(LAST, deliveries=[*OLD_PARCELS, told]) == near(12.0)


# ------------------------------------------------------------------ what comes without a purchase
@pytest.mark.parametrize("kind", ["subscription", "replacement", "exchange", "free"])
def test_what_comes_without_a_purchase_begins_a_stock_and_is_no_purchase(kind):
    box = ("a", "t1", "2019-05-20", {"order_id": "box", "order_type": kind, "quantity": 1})
    last = (*LAST[:3], LAST[3] | {"order_type": "one_off", "quantity": 1})
    lines = [(*line[:3], line[3] | {"order_type": "one_off", "quantity": 1}) for line in EARLIER]
    found = stocks(last, box, earlier=lines)
    assert found == [(near(30.0), near(1.0)), (near(30.0), near(1.0)), (near(12.0), near(1.0))]
    data = built(last, box, earlier=lines)
    assert data.column("refills__purchases__count").tolist() == [5]
    assert data.column("refills__elapsed__days_since") == near([30.0])
    came = [*OLD_PARCELS, parcel("last", "2019-05-04"), parcel("box", "2019-05-27")]
    assert stocks(last, box, earlier=lines, deliveries=came)[2][0] == near(5.0)
    # an older box is used up, and one that was called off never comes
    older = (*box[:2], "2019-04-20", box[3])
    assert stocks(last, older, earlier=lines)[2] == found[0]
    gone = [{"cancellation_id": "c", "customer_id": "a", "order_id": "box",
             "occurred_at": "2019-05-20"}]  # fmt: skip
    assert stocks(last, box, earlier=lines, cancellations=gone)[2] == found[0]


def test_the_newest_box_counts_with_what_is_in_it():
    boxes = [("a", "t1", f"2019-05-{day}", {"order_id": day, "order_type": "subscription",
                                            "quantity": packs})
             for day, packs in (("10", 9), ("20", 4))]  # fmt: skip
    data = built(*boxes, earlier=bought(1, 2, 1, 3, 1))
    exponent = data.column("refills__exponent")[0]
    found = houses.stocks(data, np.ones(1))
    usual = np.exp(data.column("refills__ln_usual_gap")[0])
    assert found.since[0, 2] == near(12.0)
    assert found.scale[0, 2] / usual == pytest.approx(4**exponent, rel=1e-4)


# ------------------------------------------------------------------ reports, kind by kind
@pytest.mark.parametrize("kind", ["first_use", "refill"])
@pytest.mark.parametrize("amount", [None, 1.0])
def test_an_opening_begins_the_stock(kind, amount):
    used = [report(kind, "2019-05-22", amount)]
    assert stocks(LAST, usage=used)[0] == (near(10.0), near(1.0))
    # but not the stock that came after it
    came = [*OLD_PARCELS, parcel("last", "2019-05-25")]
    assert since(LAST, usage=used, deliveries=came) == near(7.0)


def test_a_refill_says_what_was_opened_and_that_the_one_before_is_used_up():
    last = (*LAST[:3], LAST[3] | {"quantity": 4})
    lines = [(*line[:3], line[3] | {"quantity": 4}) for line in EARLIER]
    tables = {"earlier": lines, "usage": [report("first_use", "2019-05-04", 1.0),
                                          report("refill", "2019-05-24", 1.0)]}  # fmt: skip
    (age, lasts), opened, _ = stocks(last, **tables)
    # by the one gap between reports a pack lasts 20 days, and by purchases four of them do
    twenty = np.exp(built(last, **tables).column("refills__ln_scale")[0])
    four = twenty * (80 / twenty) ** (1 / 3)
    usual = np.exp(built(last, **tables).column("refills__ln_usual_gap")[0])
    assert lasts * usual == pytest.approx(four, rel=1e-3)
    assert age == pytest.approx(8 + four / 4, rel=1e-3)  # one of four was gone by then
    assert opened[0] == near(8.0)
    assert opened[1] < lasts


def test_more_may_be_opened_than_was_bought_here():
    used = [report("first_use", "2019-05-04", 1.0), report("refill", "2019-05-24", 3.0)]
    bought, opened, _ = stocks(LAST, usage=used)
    assert bought[0] > 8.0 + 10  # all of it is gone
    assert opened[0] == near(8.0)
    assert opened[1] > bought[1]


def test_a_reading_says_how_much_is_gone():
    ages = [stocks(LAST, usage=[report("telemetry", "2019-05-27", used)])[0][0]
            for used in (0.1, 0.5, 1.0, 7.0)]  # fmt: skip
    lasts = np.exp(built(LAST).column("refills__ln_scale")[0])  # some twenty days
    assert ages[0] == pytest.approx(5 + 0.1 * lasts, abs=1e-3)
    assert ages[1] == pytest.approx(5 + 0.5 * lasts, abs=1e-3)
    assert ages[0] < ages[1] < ages[2] == ages[3]  # no more than there was
    # read before the goods came, it is about older ones
    early = [report("telemetry", "2019-05-01", 0.5)]
    assert stocks(LAST, usage=early)[0] == (near(30.0), near(1.0))


@pytest.mark.parametrize("said", [
    report("telemetry", "2019-05-27"), report(None, "2019-05-27", 1.0),
    report("refill", "2019-05-27", 1.0, known=NOW),
])  # fmt: skip
def test_what_says_nothing_of_the_stock_changes_nothing(said):
    """A reading without an amount, a report of no kind, and one that is not known yet."""
    assert stocks(LAST, usage=[said]) == [(near(30.0), near(1.0))] * 3


def test_packs_that_last_longer_by_their_reports_last_longer():
    """Whose openings lie forty days apart uses a pack longer than purchases every twenty say."""
    far = [report("refill", day, 1.0) for day in ("2019-02-20", "2019-04-01", "2019-05-11")]
    short = [report("refill", day, 1.0) for day in ("2019-04-21", "2019-05-01", "2019-05-11")]
    slow, fast = (stocks(LAST, usage=used)[0] for used in (far, short))
    assert slow[0] == fast[0] == near(21.0)
    assert slow[1] > 1.2 > 0.85 > fast[1]


@pytest.mark.parametrize("kind", ["refill", "telemetry"])
def test_a_report_that_was_sent_twice_is_no_gap(kind):
    """Five seconds apart; else a pack would seem to last as long."""
    sent = [report(kind, f"2019-05-11T10:00:0{second}", 0.5) for second in (0, 5)]
    assert all(lasts == near(1.0) for _, lasts in stocks(LAST, usage=sent))


def test_what_is_opened_on_one_day_is_not_used_up_by_it():
    day = [report("refill", f"2019-05-11T10:00:0{second}", 0.5) for second in (0, 5)]
    earlier = [report("refill", "2019-04-11T10:00:05", 0.5)]
    both, single = (stocks(LAST, usage=earlier + reports)[0] for reports in (day, day[1:]))
    assert both[1] == near(single[1])
    assert single[1] > 1.1


# ------------------------------------------------------------------ the pair as usual
def test_as_usual_knows_no_delivery_no_report_and_no_amount_of_the_last_purchase():
    def usual(quantity, **tables):
        data = built(earlier=bought(1, 3, 2, 1, quantity), **tables)
        made = houses.as_usual(data)
        return {n: made.column(n)[0] for n in data.names if not n.startswith("house__")}

    parcels = [*OLD_PARCELS, parcel("last", "2019-05-04")]
    plain = usual(1, deliveries=parcels, usage=[report("refill", "2019-03-01", 1.0)])
    back = {"customer_id": "a", "sku": "t1", "quantity": 1.0, "occurred_at": "2019-05-20"}
    others = [
        usual(100_000, deliveries=parcels, usage=[report("refill", "2019-03-01", 1.0)]),
        usual(7, deliveries=[*OLD_PARCELS, parcel("last", "2019-05-30")],
              usage=[report("telemetry", "2019-05-25", 0.4), report("refill", "2019-05-20", 1.0)],
              returns=[back]),
        usual(2, deliveries=OLD_PARCELS, usage=[report("first_use", "2019-05-31")]),
    ]  # fmt: skip
    ways = [name for name in plain if name.startswith("arrivals__")]
    for other in others:
        same = [n for n in plain if n not in ways or n.endswith("over_usual")]
        assert {n: plain[n] for n in same} == pytest.approx({n: other[n] for n in same},
                                                            rel=1e-6, nan_ok=True)  # fmt: skip
    assert plain["arrivals__on_the_way__count__30d"] == 0
    assert np.isnan(plain["usage__last__days_since"])


def test_a_pair_that_is_as_usual_keeps_its_columns_to_the_last_bit():
    data = built(LAST)
    np.testing.assert_array_equal(houses.as_usual(data).values, data.values)
