"""What came of occasions: by hand, as known at a date, and settled whichever way it went."""

from datetime import timedelta

import numpy as np
import pytest
from tests import moments
from tests.moments import (
    ASKINGS,
    arrival,
    day,
    line,
    parcel,
    review,
    sent_back,
)

from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.occasions import standing, triggered
from ppi_ml.outcomes import Aftermath, outcomes, settling_days
from ppi_ml.schema import TABLES
from ppi_ml.targets import late_delivery, low_review, return_risk

TARGETS = {"late": late_delivery.TARGET, "low": low_review.TARGET, "back": return_risk.TARGET}
HORIZON = 30


def at(number, hours=0.0):
    return Cutoff.parse(day(number, hours), moments.ZONE)


def told(log, kind, asked, as_of=moments.DAYS, settling=0.0, horizon=HORIZON):
    """(hit, given, ripe) of the one order or line that is asked about at a day."""
    entity, asking = ASKINGS[kind]
    rows = standing(log, entity, asking, at(asked))
    assert rows.height == 1
    found = outcomes(TARGETS[kind], rows, log, at(as_of), horizon, settling)
    return bool(found.hit[0]), bool(found.given[0]), bool(found.ripe[0])


# ------------------------------------------------------------------ late deliveries
def shipped(*arrivals, promised=10):
    return moments.log_of(
        order_lines=[line(1)], shipments=[parcel(2, promised)],
        deliveries=[*arrivals, arrival(90, "else", "p9", customer_id="z")],
    )  # fmt: skip


def test_a_parcel_that_comes_by_the_promised_instant_is_in_time():
    assert told(shipped(arrival(10)), "late", 3) == (False, True, True)
    assert told(shipped(arrival(10.01)), "late", 3) == (True, True, True)


def test_late_once_the_promised_day_has_passed_even_if_it_is_still_on_its_way():
    log = shipped()
    assert told(log, "late", 3, as_of=11) == (True, True, True)
    assert told(log, "late", 3, as_of=9)[2] is False


def test_a_promised_date_is_kept_until_the_day_is_over():
    """A mere date promises the day, not its first moment."""
    parcels = [parcel(2, None, promised_at="2024-02-11")]  # day 10 of the shop
    for when, hit in ((10.8, False), (11.01, True)):
        log = moments.log_of(order_lines=[line(1)], shipments=parcels, deliveries=[arrival(when)])
        assert told(log, "late", 3) == (hit, True, True)


def test_in_time_counts_where_it_becomes_known_after_the_promise():
    log = shipped(arrival(9, known=12))
    assert told(log, "late", 3, as_of=11) == (True, True, True)  # as known then
    assert told(log, "late", 3, as_of=13) == (False, True, True)
    assert told(log, "late", 3, as_of=11, settling=3)[2] is False  # so one waits for it to settle


def test_it_is_about_the_day_promised_when_it_was_asked():
    """A replacement with a promise of its own does not undo the miss."""
    parcels = [parcel(2, 6), parcel(9, 14, number="p2")]
    log = moments.log_of(
        order_lines=[line(1)], shipments=parcels, deliveries=[arrival(12, number="p2")]
    )
    assert told(log, "late", 3) == (True, True, True)
    assert told(log, "late", 10) == (False, True, True)


def test_an_order_is_late_when_any_of_its_parcels_is():
    parcels = [parcel(2, 6), parcel(2, 12, number="p2")]
    for when, hit in ((11, False), (13, True)):
        log = moments.log_of(
            order_lines=[line(1)], shipments=parcels,
            deliveries=[arrival(4), arrival(when, number="p2")],
        )  # fmt: skip
        assert told(log, "late", 3) == (hit, True, True)
        assert told(log, "late", 3, as_of=11.9)[2] is False  # the last promise settles it


def test_a_parcel_that_had_come_says_nothing_of_those_that_are_out():
    parcels = [parcel(2, 4), parcel(2, 12, number="p2")]
    deliveries = [arrival(5), arrival(11, number="p2")]
    log = moments.log_of(order_lines=[line(1)], shipments=parcels, deliveries=deliveries)
    assert told(log, "late", 3) == (True, True, True)
    assert told(log, "late", 6) == (False, True, True)


def test_a_delivery_that_names_no_order_is_found_by_its_parcel():
    assert told(shipped(arrival(9, None)), "late", 3) == (False, True, True)


# ------------------------------------------------------------------ low reviews
def rated(*reviews):
    return moments.log_of(order_lines=[line(1)], deliveries=[arrival(3)], reviews=list(reviews))


@pytest.mark.parametrize(("stars", "hit"), [(1.0, True), (2.0, True), (2.5, False), (5.0, False)])
def test_two_stars_or_fewer_are_low(stars, hit):
    assert told(rated(review(8, stars)), "low", 4) == (hit, True, True)


def test_without_a_review_within_the_horizon_the_condition_is_not_met():
    assert told(rated(review(4 + HORIZON, 1.0)), "low", 4) == (False, False, True)
    assert told(rated(review(3.9 + HORIZON, 1.0)), "low", 4) == (True, True, True)
    assert told(rated(review(8, 1.0, "else")), "low", 4) == (False, False, True)


def test_a_review_without_stars_says_nothing_and_the_next_one_does():
    log = rated(review(8, None), review(9, 1.0, number="v2"))
    assert told(log, "low", 4) == (True, True, True)


def test_the_first_review_with_stars_counts():
    log = rated(review(9, 1.0), review(8, 5.0, number="v2"))
    assert told(log, "low", 4) == (False, True, True)


def test_a_review_from_before_that_became_known_later_is_neither_past_nor_future():
    assert told(rated(review(3.5, 1.0, known=9)), "low", 4) == (False, False, True)


def test_the_horizon_settles_a_review_whichever_it_is():
    for log in (rated(review(5, 1.0)), rated(review(5, 5.0)), rated(review(70, 5.0))):
        assert told(log, "low", 4, as_of=33.9)[2] is False
        assert told(log, "low", 4, as_of=34)[2] is True
        assert told(log, "low", 4, as_of=34, settling=0.5)[2] is False
        assert told(log, "low", 4, as_of=34.5, settling=0.5)[2] is True


def test_a_review_that_is_not_known_then_is_not_there():
    log = rated(review(8, 1.0, known=50))
    assert told(log, "low", 4, as_of=49) == (False, False, True)
    assert told(log, "low", 4, as_of=51) == (True, True, True)


# ------------------------------------------------------------------ returns
def bought(*returns, units=1.0):
    return moments.log_of(order_lines=[line(1, quantity=units)], returns=list(returns))


def test_a_unit_that_comes_back_within_the_horizon():
    assert told(bought(sent_back(2)), "back", 2) == (True, True, True)
    assert told(bought(sent_back(1.9 + HORIZON)), "back", 2) == (True, True, True)
    assert told(bought(sent_back(2 + HORIZON)), "back", 2) == (False, True, True)


def test_one_more_unit_of_a_line_that_sent_one_before():
    log = bought(sent_back(3), sent_back(9, number="r2"), units=2.0)
    assert told(log, "back", 5) == (True, True, True)
    assert told(bought(sent_back(3), units=2.0), "back", 5) == (False, True, True)


def test_the_line_that_it_came_from_first_in_first_out():
    lines = [line(1), line(2, "o2")]
    log = moments.log_of(order_lines=lines, returns=[sent_back(6, None)])
    rows = standing(log, *ASKINGS["back"], at(3))
    found = outcomes(TARGETS["back"], rows, log, at(100), HORIZON, 0.0)
    assert dict(zip(rows["order_id"], found.hit, strict=True)) == {"o1": True, "o2": False}


def test_an_unmatched_return_is_of_no_line():
    log = moments.log_of(
        order_lines=[line(5)], returns=[sent_back(4, None), sent_back(9, "o7", "r2")]
    )
    assert told(log, "back", 6) == (False, True, True)


def test_returns_are_matched_as_known_at_the_date():
    """The earlier return is known later; then it is the one that emptied the older line."""
    lines = [line(1), line(2, "o2")]
    returns = [sent_back(6, None, known=50), sent_back(7, None, "r2")]
    log = moments.log_of(order_lines=lines, returns=returns)
    rows = standing(log, *ASKINGS["back"], at(3))
    for as_of, expected in ((40, [True, False]), (60, [True, True])):
        found = outcomes(TARGETS["back"], rows, log, at(as_of), HORIZON, 0.0)
        assert found.hit.tolist() == expected


# ------------------------------------------------------------------ on the busy shop
@pytest.fixture(scope="module")
def shop():
    return moments.log_of(**moments.busy(3, customers=80))


@pytest.mark.parametrize("kind", ASKINGS)
def test_a_row_is_ripe_whichever_its_outcome(shop, kind):
    """Early hits alone would make everything look likelier: no outcome says whether it is ripe."""
    entity, asking = ASKINGS[kind]
    rows = triggered(shop, entity, asking, shop.observed_until)
    early = outcomes(TARGETS[kind], rows, shop, at(85), HORIZON, 4.0)
    if kind == "late":
        moments_ = rows.select("order_id", "now_at").rows()
        settled = [last_promise(shop, order, now_at) for order, now_at in moments_]
    else:
        settled = [now_at + HORIZON * DAY_US for now_at in rows["now_at"]]
    assert early.ripe.tolist() == [when <= at(81).at for when in settled]
    shown = outcomes(TARGETS[kind], rows, shop, at(85), HORIZON, 0.0).hit
    assert (shown & early.ripe).any()
    assert (shown & ~early.ripe).any() or kind == "late"


def last_promise(log, order, now_at):
    """The last day promised for a parcel of an order that is out at a moment."""
    frames = {name: table.frame.rows(named=True) for name, table in log.tables.items()}
    came = {row["shipment_id"] for row in frames["deliveries"] if row["known"] < now_at}
    return max(
        (row["promised_at"] for row in frames["shipments"]
         if row["order_id"] == order and row["known"] < now_at and row["shipment_id"] not in came
         and row["promised_at"] is not None and row["promised_at"] >= now_at),
        default=None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ASKINGS)
def test_outcomes_at_a_date_know_nothing_learned_later(shop, kind):
    entity, asking = ASKINGS[kind]
    rows = triggered(shop, entity, asking, at(60))
    whole = outcomes(TARGETS[kind], rows, shop, at(60), HORIZON, 0.0)
    cut = outcomes(TARGETS[kind], rows, shop.until(at(60)), at(60), HORIZON, 0.0)
    for name in ("hit", "given", "ripe"):
        assert getattr(whole, name).tolist() == getattr(cut, name).tolist()


@pytest.mark.parametrize("kind", ASKINGS)
def test_after_the_settling_time_little_changes(shop, kind):
    """What is ripe now is what it will be for good, but for the latest one in a hundred."""
    entity, asking = ASKINGS[kind]
    rows = triggered(shop, entity, asking, shop.observed_until)
    settling = settling_days(shop, TARGETS[kind].event)
    then = outcomes(TARGETS[kind], rows, shop, at(80), HORIZON, settling)
    good = outcomes(TARGETS[kind], rows, shop, at(moments.DAYS + 30), HORIZON, settling)
    ripe = then.ripe
    assert ripe.sum() > 20
    assert (then.hit[ripe] != good.hit[ripe]).mean() < 0.02
    raw = outcomes(TARGETS[kind], rows, shop, at(80), HORIZON, 0.0).ripe
    assert raw.sum() > ripe.sum()


@pytest.mark.parametrize("kind", ASKINGS)
def test_one_answer_per_row_in_their_order(shop, kind):
    entity, asking = ASKINGS[kind]
    rows = triggered(shop, entity, asking, shop.observed_until)
    whole = outcomes(TARGETS[kind], rows, shop, at(100), HORIZON, 0.0)
    some = rows.gather_every(3)[::-1]
    part = outcomes(TARGETS[kind], some, shop, at(100), HORIZON, 0.0)
    order = np.arange(len(rows))[::3][::-1]
    assert part.hit.tolist() == whole.hit[order].tolist()
    assert part.ripe.tolist() == whole.ripe[order].tolist()
    assert whole.conditional == (kind == "low")
    assert not (whole.hit & ~whole.given).any()
    assert whole.given.all() == (kind != "low")


def test_some_rows_of_outcomes(shop):
    rows = triggered(shop, *ASKINGS["low"], shop.observed_until)
    whole = outcomes(TARGETS["low"], rows, shop, at(100), HORIZON, 0.0)
    part = whole.take(whole.ripe)
    assert part.hit.tolist() == whole.hit[whole.ripe].tolist()
    assert part.ripe.all()
    assert part.conditional


# ------------------------------------------------------------------ what it is told by
def test_an_absent_table_has_its_columns_and_no_rows():
    log = moments.log_of(order_lines=[line(1)])
    rows = standing(log, *ASKINGS["back"], at(2))
    after = Aftermath(rows, log, at(50), HORIZON)
    full = moments.log_of(**moments.busy(customers=10))
    for name in ("shipments", "deliveries", "reviews", "returns", "cancellations"):
        assert after.known(name).height == 0
        assert (
            after.known(name).schema
            == full.tables[name].frame.select(after.known(name).columns).schema
        )
        assert set(after.known(name).columns) == set(full.tables[name].frame.columns)
    assert after.returned().height == 0
    assert set(TABLES["reviews"].names) - {"occurred_at", "known_at"} <= set(
        after.known("reviews").columns
    )
    for kind in ("low", "back"):
        found = outcomes(TARGETS[kind], rows, log, at(50), HORIZON, 0.0)
        assert (found.hit.tolist(), found.ripe.tolist()) == ([False], [True])


def test_a_target_without_outcomes_is_refused():
    from ppi_ml.targets import churn

    log = moments.log_of(order_lines=[line(1)])
    rows = standing(log, *ASKINGS["back"], at(2))
    with pytest.raises(ValueError, match="churn says nothing of outcomes"):
        outcomes(churn.TARGET, rows, log, at(50), HORIZON, 0.0)


def test_how_long_it_takes_until_the_events_are_known():
    lines = [line(1, f"o{n}", known=1 + n / 100) for n in range(100)]
    log = moments.log_of(order_lines=lines, returns=[sent_back(3)])
    assert settling_days(log, "order_lines") == pytest.approx(0.99, abs=1e-5)
    assert settling_days(log, "returns") == 0.0
    assert settling_days(log, "reviews") == 0.0


def test_ends_are_whole_days_of_24_hours():
    log = bought()
    rows = standing(log, *ASKINGS["back"], at(2))
    ends = rows.select(Aftermath(rows, log, at(50), 60).ends.alias("ends"))["ends"][0]
    assert ends - rows["now_at"][0] == timedelta(days=60) // timedelta(microseconds=1)
