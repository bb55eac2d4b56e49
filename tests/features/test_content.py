"""Content by hand: what follows an exposure, what is asked about, and the codes of tags."""

import numpy as np
import pytest
from tests.by_hand import built, log_of, says

from ppi_ml.features.content import FAMILY

MINUTE = 1 / 1440
FOLLOWED, FOLLOWING = "followed__share__365d", "following__mean__365d"


def shown(*days, tag="t", who="a"):
    return [(who, day, {"content_tag": tag}) for day in days]


def after(*order_days, exposure=50, day=100, **columns):
    """What is said of one exposure on day 50, of somebody who ordered on day 1 and on others."""
    orders = [("a", 1), *(("a", when, columns) for when in order_days)]
    return says(log_of(orders, exposures=shown(exposure)), "content", day)


@pytest.mark.parametrize(
    ("days", "orders"),
    [((), 0), ((50 + MINUTE,), 1), ((64,), 1), ((64 + MINUTE,), 0), ((49.9,), 0), ((50,), 0),
     ((51, 52, 70), 2)],
    ids=["none", "soon", "on the last day", "too late", "before", "at once", "several"],
)  # fmt: skip
def test_an_order_follows_in_the_fourteen_days_after(days, orders):
    said = after(*days)
    assert said[FOLLOWING] == orders
    assert said[FOLLOWED] == (orders > 0)


def test_two_orders_of_one_instant_are_two():
    assert after(51, 51)[FOLLOWING] == 2


@pytest.mark.parametrize("kind", ["subscription", "exchange", "replacement", "free"])
def test_only_what_is_decided_upon_follows(kind):
    assert after(55, order_type=kind)[FOLLOWED] == 0


def test_an_order_that_is_known_to_be_called_off_does_not_follow():
    off = [("a", 80, {"order_id": "o1", "line_id": None})]
    log = log_of([("a", 1), ("a", 55)], exposures=shown(50), cancellations=off)
    assert says(log, "content", 80)["followed__share__90d"] == 1
    assert says(log, "content", 81)["followed__share__90d"] == 0


def test_what_was_shown_less_than_fourteen_days_ago_is_not_asked_about():
    log = log_of([("a", 1), ("a", 55)], exposures=shown(50))
    assert says(log, "content", 63.9)[FOLLOWED] is None
    assert says(log, "content", 64)[FOLLOWED] is None  # a quarter of 365 days is not over
    assert says(log, "content", 64)["followed__share__90d"] == 1
    assert says(log, "content", 100)[FOLLOWED] == 1


def test_what_brought_the_customer_is_the_last_tag_but_counts_in_no_window():
    log = log_of([("a", 10)], exposures=shown(9, 9.5, tag="influencer"))
    said = says(log, "content", 101.5)
    assert said["last__days_since"] == 92
    assert said["tag_a__last"] is not None
    assert [said[f"shown__count__{days}d"] for days in (30, 90)] == [0, 0]
    assert [said["tags__distinct__90d"], said["last_tag__count__90d"]] == [0, 0]
    assert said[FOLLOWED] is None


def test_rates_are_over_the_time_since_the_first_order():
    log = log_of([("a", 80)], exposures=shown(70, 85, 95))
    said = says(log, "content", 100)
    assert said["shown__count__30d"] == 2
    assert said["shown__rate__30d"] == pytest.approx(2 / 20)
    assert said["shown__count__90d"] is None  # less than a quarter was observed


def test_the_last_tag_is_the_last_one_known():
    events = [*shown(20, 60, 95, tag="x"), *shown(70, tag="y"), ("a", 98, {"content_tag": None})]
    log = log_of([("a", 1)], exposures=events)
    said = says(log, "content", 100)
    assert said["tags__distinct__90d"] == 2
    assert said["last_tag__count__30d"] == 1
    assert said["last_tag__count__90d"] == 3
    assert said["last__days_since"] == 2


def test_orders_at_the_own_pace_are_no_answer_and_more_are():
    """Every week an order: two follow each exposure, as two are to be expected."""
    weekly = [("a", 7 * week) for week in range(1, 29)]
    steady = says(log_of(weekly, exposures=shown(30.5, 90.5, 150.5)), "content", 200)
    assert steady[FOLLOWING] == 2
    assert steady["following_over_own_pace"] == pytest.approx(1.0, abs=0.05)
    prompt = [("a", 1), ("a", 31), ("a", 91), ("a", 151)]
    led = says(log_of(prompt, exposures=shown(30.5, 90.5, 150.5)), "content", 200)
    assert led["following_over_own_pace"] > 2


def codes(log, day=300):
    data = built(log, "content", day)
    columns = [data.column(f"content__tag_{which}__last") for which in "ab"]
    return dict(zip(data.customers, zip(*columns, strict=True), strict=True))


def test_a_tag_has_the_same_codes_in_any_log_and_at_any_cutoff():
    both = [*shown(50, tag="x"), *shown(60, tag="y", who="b")]
    few = log_of([("a", 1), ("b", 1)], exposures=both)
    many = [("c", 61 + i / 100, {"content_tag": f"post-{i}"}) for i in range(5_000)]
    crowd = log_of([("a", 1), ("c", 1)], exposures=[*shown(50, tag="x"), *many])
    assert codes(few)["a"] == codes(few, 450)["a"] == codes(crowd)["a"]
    assert codes(few)["a"] != codes(few)["b"]


def test_any_number_of_tags_makes_the_same_columns_and_few_share_a_code():
    many = [(f"c{i}", 50, {"content_tag": f"post-{i}"}) for i in range(3_000)]
    log = log_of([(who, 1) for who, *_ in many], exposures=many)
    data = built(log, "content", 300)
    assert list(data.names) == list(built(log_of([("a", 1)]), "content", 300).names)
    a, b = (data.column(f"content__tag_{which}__last") for which in "ab")
    assert len(set(zip(a, b, strict=True))) > 2_990
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06  # three standard errors
    for column in (a, b):
        assert 0 <= column.min() < column.max() < 1
        assert np.histogram(column, 10, (0, 1))[0].min() > 230  # of 300, all over the range


@pytest.mark.parametrize("tag", [None, "x"])
def test_a_customer_without_a_tag_has_no_code(tag):
    """Also alone, where no row of the table says what the column holds."""
    events = [*shown(50, tag=tag), *shown(50, tag="x", who="b")]
    log = log_of([("a", 1), ("b", 1)], exposures=events)
    for which in (log, log.customer("a")):
        said = says(which, "content", 100)
        assert (said["tag_a__last"] is None) == (tag is None)
        assert said["shown__count__90d"] == 1
    nobody = log_of([("a", 1), ("b", 1)], exposures=shown(50, who="b")).customer("a")
    assert says(nobody, "content", 100)["tag_b__last"] is None


def test_nothing_is_learned():
    assert FAMILY.learned is None
    assert FAMILY.fitted is None
